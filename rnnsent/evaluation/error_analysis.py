"""Error analysis: the wrong predictions with the highest confidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rnnsent.evaluation.predictions import Predictions

MAX_ERRORS = 20


@dataclass(frozen=True)
class PredictionError:
    """A wrong prediction.

    Attributes:
        index: of the text in its split, from 0, as in the predictions file.
        label, predicted: the real one, and the predicted one.
        probability: of the predicted one.
        place: in its file, such as "reviews.csv, line 7"; empty if unknown.
        text: its words as the network reads them; empty if unknown.
    """

    index: int
    label: str
    predicted: str
    probability: float
    place: str
    text: str


def most_confident_errors(
    predictions: Predictions,
    names: Sequence[str],
    place: Callable[[int], str],
    text: Callable[[int], str] = lambda index: "",
) -> list[PredictionError]:
    """Return the most confident errors, at most `MAX_ERRORS`.

    Args:
        predictions: with their labels.
        names: of the labels.
        place, text: of a text, by its index.
    """
    wrong = np.flatnonzero(~predictions.right)
    order = np.argsort(-predictions.confidence[wrong], kind="stable")[:MAX_ERRORS]
    return [
        PredictionError(
            index=index,
            label=names[int(predictions.labels[index])],
            predicted=names[int(predictions.predicted[index])],
            probability=float(predictions.confidence[index]),
            place=place(index),
            text=text(index),
        )
        for index in wrong[order].tolist()
    ]
