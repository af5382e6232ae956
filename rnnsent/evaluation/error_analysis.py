"""The wrong answers that a network was surest of, and where the reviews that it got wrong stand in their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnsent.config import Config
from rnnsent.data.dataset import Dataset, Partition, Split
from rnnsent.inference.predictor import by_label, most_probable

MISTAKES = 20  # that are looked for


@dataclass(frozen=True)
class WrongAnswer:
    """An answer that the network was sure of, to a review whose label is another one.

    Attributes:
        review: its place in the split, from 0, as in the predictions file.
        label, predicted: the real one, and what the network says.
        probability: of what it says.
        place: in its file, as `Places` says it.
    """

    review: int
    label: str
    predicted: str
    probability: float
    place: str = ""


@dataclass(frozen=True)
class Mistake(WrongAnswer):
    """A wrong answer with the words that were read.

    Attributes:
        text: in lower case where the tokenizer makes them so; ‹?› for unknown ones.
    """

    text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Places:
    """Where the reviews of a split stand in their file.

    Attributes:
        file: its name.
        unit: "line", or "row" where a file has none.
        numbers: (reviews,), from 1; 0 where it is not known. None: of no review.
    """

    file: str
    unit: str
    numbers: Sequence[int] | None

    @classmethod
    def of(cls, dataset: Dataset, config: Config, split: str) -> Places:
        """Return those of a split of a data set as it was loaded."""
        if dataset.numbers is None:
            return cls("", "", None)
        file = config.data.test_path if split == "test" else None
        unit = "row" if dataset.provenance.get("format") == "parquet" else "line"
        return cls(Path(str(file or dataset.provenance["file"])).name, unit, dataset.numbers[split].tolist())

    def __getitem__(self, review: int) -> str:
        """Return "reviews.csv, line 7"; empty where that is not known."""
        if self.numbers is None or not self.numbers[review]:
            return ""
        return f"{self.file}, {self.unit} {self.numbers[review]}"


def surest_mistakes(reviews: Split, probabilities: Any, parts: Partition, places: Places) -> tuple[Mistake, ...]:
    """Return the wrong answers that the network was most sure of, the surest first.

    Args:
        reviews: of a split, as the network reads them.
        probabilities: of label 1, (reviews,), or of each label, (reviews, labels).
        parts: what the reviews are of.
        places: of the reviews.
    """

    def words(review: int) -> str:
        return parts.vocabulary.decode(reviews.sequence(review))

    return mistakes_among(reviews.labels, probabilities, parts.label_names, places, words)


def mistakes_among(
    labels: Any, probabilities: Any, names: Sequence[str], places: Places, texts: Callable[[int], str] | None = None
) -> tuple[Mistake, ...]:
    """Return the wrong answers that were given most surely, the surest first.

    Args:
        labels: (reviews,), the real ones.
        probabilities: of label 1, (reviews,), or of each label, (reviews, labels).
        names: of the labels.
        places: of the reviews.
        texts: gives the words of a review; None: they are not known.
    """
    predicted, sure = answers(probabilities)
    wrong = np.flatnonzero(predicted != labels)
    surest = wrong[np.argsort(-sure[wrong], kind="stable")][:MISTAKES]
    return tuple(
        Mistake(
            index,
            names[int(labels[index])],
            names[int(predicted[index])],
            float(sure[index]),
            places[index],
            "" if texts is None else texts(index),
        )
        for index in surest.tolist()
    )


def answers(probabilities: Any) -> tuple[Any, Any]:
    """Return the predicted label of each review and the probability of it, (reviews,) both.

    Args:
        probabilities: of label 1, (reviews,), or of each label, (reviews, labels).
    """
    predicted = most_probable(probabilities)
    return predicted, by_label(probabilities)[np.arange(len(predicted)), predicted]
