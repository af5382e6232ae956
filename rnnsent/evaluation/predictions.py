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
from rnnsent.inference.batch import PROBABILITY_OF as OF

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Costs = tuple[Floats, Floats]  # what texts add to a mean: with their own labels, (texts,); with each, (texts, labels)

CLIP = 1e-7  # Keras' epsilon: one confident error costs at most 16.1 nats


@dataclass(frozen=True, slots=True)
class Ranking:
    """Texts in ascending order of the probability of one label.

    Attributes:
        label: which.
        order: (texts,), the texts.
        places: (texts,), where each text is in `order`.
        members: (texts,), in this order, 1 if the label is the real one, else 0.
        ends: the last place of each distinct probability; None: all are distinct.
    """

    label: int
    order: Ints
    places: Ints
    members: Floats
    ends: Ints | None

    @classmethod
    def by(cls, label: int, probabilities: Floats, members: NDArray[np.bool_]) -> Ranking:
        """Rank texts by the `probabilities` of a label, (texts,)."""
        order = np.argsort(probabilities, kind="stable")
        ends = np.flatnonzero(np.diff(probabilities[order], append=2.0))
        distinct = len(ends) == len(order)
        return cls(label, order, np.argsort(order), members[order].astype(float), None if distinct else ends)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities of texts, and their labels.

    Attributes:
        labels: int64 (texts,), the real ones.
        probabilities: float64 (texts, labels).
    """

    labels: Ints
    probabilities: Floats

    @classmethod
    def of(cls, labels: ArrayLike, probabilities: ArrayLike) -> Predictions:
        """Check and wrap arrays.

        Args:
            labels: (texts,), from 0.
            probabilities: of label 1, (texts,), or of each label, (texts, labels).

        Raises:
            ValueError: if the arrays are empty, have other shapes, or a value is out of its range.
        """
        real, given = np.asarray(labels), np.asarray(probabilities).astype(np.float64)
        if real.ndim != 1 or given.ndim not in (1, 2) or len(real) != len(given) or not len(real):
            raise ValueError(f"labels must be (n,), probabilities (n,) or (n, labels), not {real.shape}, {given.shape}")
        if not ((given >= 0) & (given <= 1)).all():
            raise ValueError("probabilities must lie in [0, 1]")
        columns = given if given.ndim == 2 else np.stack([1 - given, given], axis=1)
        if not np.isin(real, np.arange(columns.shape[1])).all():
            raise ValueError(f"labels must be whole numbers from 0 to {columns.shape[1] - 1}")
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
    def cells(self) -> Ints:
        """The cell of the flat confusion matrix that each text counts in, (texts,)."""
        return self.labels * self.size + self.predicted

    @cached_property
    def rankings(self) -> list[Ranking]:
        """The texts ranked by each label; of two by the second alone, since the first gives nothing new."""
        columns = range(1 if self.size == 2 else 0, self.size)
        return [Ranking.by(label, self.probabilities[:, label], self.labels == label) for label in columns]

    def same_as(self, other: Predictions) -> bool:
        """Return whether all probabilities are equal to the last digit."""
        return np.array_equal(self.probabilities, other.probabilities)

    def to_csv(self, names: Sequence[str], lines: Sequence[int] | None = None) -> str:
        """Return a row for each text, which `read_csv` reads without loss.

        Args:
            names: of the labels.
            lines: of each text in its file, if known.
        """
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["index", "label", "predicted", *_columns(names), *(["line"] if lines is not None else [])])
        columns = self.probabilities[:, 1:] if self.size == 2 else self.probabilities
        shortest = columns.astype(np.float32).astype(str)  # the fewest digits that give the same number again
        for index, (label, predicted) in enumerate(zip(self.labels.tolist(), self.predicted.tolist(), strict=True)):
            line = [] if lines is None else [lines[index]]
            writer.writerow([index, names[label], names[predicted], *shortest[index], *line])
        return buffer.getvalue()


def read_csv(path: Path, names: Sequence[str]) -> Predictions:
    """Read what `Predictions.to_csv` wrote.

    Args:
        path: the file.
        names: of the labels, in order.

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
