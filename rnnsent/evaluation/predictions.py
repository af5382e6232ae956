"""Predictions for texts whose labels are known, and the CSV file that holds them."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnsent.errors import RunError
from rnnsent.files import table_writer
from rnnsent.inference.prediction_columns import PROBABILITY_OF as OF
from rnnsent.runs.directory import Run, evaluation_name
from rnnsent.runs.schemas import Evaluation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Costs = tuple[Floats, Floats]  # what texts add to a mean: with their own labels, (texts,); with each, (texts, labels)

UNCALIBRATED = "scored without calibration, which was fitted on these texts"  # on validation

CLIP = 1e-7  # Keras' epsilon: one confident error costs at most 16.1 nats


@dataclass(frozen=True, slots=True)
class Ranking:
    """Texts in ascending order of the probability of one label."""

    label: int  # which
    order: Ints  # (texts,), the texts
    places: Ints  # (texts,), where each text is in `order`
    members: Floats  # (texts,), in this order, 1 if the label is the real one, else 0
    ends: Ints | None  # the last place of each distinct probability; None: all are distinct


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities of texts, and their labels."""

    labels: Ints  # int64 (texts,), the real ones
    probabilities: Floats  # float64 (texts, labels)

    @classmethod
    def of(cls, labels: ArrayLike, probabilities: ArrayLike) -> Predictions:
        """Check and wrap arrays.

        Args:
            labels: (texts,), from 0.
            probabilities: of label 1, (texts,), or of each label, (texts, labels).

        Raises:
            ValueError: if the arrays are empty, have other shapes, or a value is out of its range.
        """
        real, array = np.asarray(labels), np.asarray(probabilities).astype(np.float64)
        columns = np.stack([1 - array, array], axis=1) if array.ndim == 1 else array
        if real.ndim != 1 or columns.ndim != 2 or len(real) != len(columns) or not len(real):
            raise ValueError(f"labels must be (n,), probabilities (n,) or (n, labels), not {real.shape}, {array.shape}")
        if not ((array >= 0) & (array <= 1)).all() or not np.isin(real, np.arange(columns.shape[1])).all():
            raise ValueError(f"labels must be whole numbers below {columns.shape[1]}, probabilities from 0 to 1")
        return cls(real.astype(np.int64), columns)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> int:
        """How many labels there are."""
        return int(self.probabilities.shape[1])

    @cached_property
    def predicted(self) -> Ints:
        """The most probable label, (texts,); of two, label 1 if its probability is above one half, as in Keras."""
        predicted: Ints = self.probabilities.argmax(axis=1)
        return predicted

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the predicted label is the real one, (texts,)."""
        right: NDArray[np.bool_] = self.predicted == self.labels
        return right

    @cached_property
    def confidence(self) -> Floats:
        """The probability of the predicted label, (texts,)."""
        confidence: Floats = self.probabilities.max(axis=1)
        return confidence

    @cached_property
    def of_real(self) -> Floats:
        """The probability of the real label, (texts,)."""
        return self._costs(self.probabilities)[0]

    @cached_property
    def losses(self) -> Costs:
        """What texts add to the log loss."""
        return self._costs(-np.log(np.clip(self.probabilities, CLIP, 1 - CLIP)))

    @cached_property
    def squares(self) -> Costs:
        """What texts add to the Brier score; of two labels the square of one probability, not the sum of both."""
        squares = (self.probabilities**2).sum(axis=1)[:, None] - 2 * self.probabilities + 1
        return self._costs(squares / 2 if self.size == 2 else squares)

    def _costs(self, each: Floats) -> Costs:
        return each[np.arange(len(self)), self.labels], each

    @cached_property
    def rankings(self) -> list[Ranking]:
        """The texts ranked by each label; of two by the second alone, since the first gives nothing new."""
        return [self._ranking(label) for label in range(1 if self.size == 2 else 0, self.size)]

    def _ranking(self, label: int) -> Ranking:
        order = np.argsort(self.probabilities[:, label], kind="stable")
        ends = np.flatnonzero(np.diff(self.probabilities[order, label], append=2.0))
        members = (self.labels == label)[order].astype(float)
        return Ranking(label, order, np.argsort(order), members, None if len(ends) == len(order) else ends)

    def same_as(self, other: Predictions) -> bool:
        """Return whether all probabilities are equal to the last digit."""
        return np.array_equal(self.probabilities, other.probabilities)

    def to_csv(self, names: Sequence[str], lines: Sequence[int] | None = None) -> str:
        """Return a row for each text, with names of labels and lines in its file; `read_csv` reads it without loss."""
        buffer = io.StringIO()
        writer = table_writer(buffer)
        writer.writerow(["index", "label", "predicted", *_columns(names), *(["line"] if lines is not None else [])])
        columns = self.probabilities[:, 1:] if self.size == 2 else self.probabilities
        shortest = columns.astype(np.float32).astype(str)  # the fewest digits that give the same number again
        for index, (label, predicted) in enumerate(zip(self.labels.tolist(), self.predicted.tolist(), strict=True)):
            line = [] if lines is None else [lines[index]]
            writer.writerow([index, names[label], names[predicted], *shortest[index], *line])
        return buffer.getvalue()


@dataclass(frozen=True)
class EvaluatedRun:
    """A finished run, what its evaluations/SPLIT.json says, and its predictions for the texts of this split."""

    run: Run
    record: Evaluation
    predictions: Predictions


def read_evaluation(run: Run, split: str) -> EvaluatedRun | None:
    """Return the evaluation of this very run that was written, if its predictions are there and agree with it."""
    record = run.evaluation(split, Evaluation)
    if record is None:
        return None
    try:
        predictions = read_csv(run.file(evaluation_name(split, "predictions", ".csv")), run.config.data.label_names)
    except RunError:
        return None
    size = predictions.size
    confusion = np.bincount(predictions.labels * size + predictions.predicted, minlength=size * size)
    return EvaluatedRun(run, record, predictions) if (confusion == np.ravel(record.confusion)).all() else None


def read_csv(path: Path, names: Sequence[str]) -> Predictions:
    """Read what `Predictions.to_csv` wrote with the same names.

    Raises:
        RunError: if it holds anything else.
    """
    columns = _columns(names)
    labels, values = array("q"), array("f")  # a list of all rows would take a hundred times the memory
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                labels.append(names.index(row["label"]))
                values.extend(float(row[column]) for column in columns)
        probabilities = np.frombuffer(values, np.float32)
        real = np.frombuffer(labels, np.int64)
        return Predictions.of(real, probabilities if len(names) == 2 else probabilities.reshape(-1, len(columns)))
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise RunError(f"{path}: not predictions of this run: {error}; evaluate it again: rnnsent eval") from None


def _columns(names: Sequence[str]) -> list[str]:
    return [f"{OF}{name}" for name in names] if len(names) > 2 else ["probability"]
