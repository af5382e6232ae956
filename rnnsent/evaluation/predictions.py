"""Predictions for texts whose labels are known, and the CSV file that holds them."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnsent.config.sections import DataConfig, Targets
from rnnsent.errors import RunError
from rnnsent.files import table_writer
from rnnsent.inference.prediction_columns import PROBABILITY_OF as OF
from rnnsent.inference.thresholds import decide
from rnnsent.runs.directory import Run, evaluation_name
from rnnsent.runs.schemas import Evaluation

if TYPE_CHECKING:
    from rnnsent.inference.calibration import Calibration

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Costs = tuple[Floats, Floats]  # what texts add to a mean: with their own labels, (texts,); with each, (texts, labels)

UNCALIBRATED = "scored without calibration, which was fitted on these texts"  # on validation
CALIBRATED = "the calibration was fitted on these texts: the figures are optimistic"  # with thresholds

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
    targets: Targets = "classes"  # what the labels are
    # of several labels a text, (texts, labels): 1 for those that are predicted; of one, (texts,), if thresholds decide
    decisions: Ints | None = None

    @classmethod
    def of(
        cls,
        labels: ArrayLike,
        probabilities: ArrayLike,
        targets: Targets = "classes",
        thresholds: Sequence[float] = (),
    ) -> Predictions:
        """Check and wrap arrays.

        Args:
            labels: (texts,), from 0; of several labels a text which it has, (texts, labels).
            probabilities: of label 1, (texts,), or of each label, (texts, labels).
            targets: what the labels are.
            thresholds: of several labels a text, above which each is predicted; by default 0.5.

        Raises:
            ValueError: if the arrays are empty, have other shapes, or a value is out of its range.
        """
        real, array = np.asarray(labels), np.asarray(probabilities).astype(np.float64)
        if real.ndim == 2:
            if (
                real.shape != array.shape
                or real.shape[1] < 2
                or not len(real)
                or not ((array >= 0) & (array <= 1)).all()
            ):
                raise ValueError(f"labels must be (n, labels), probabilities too, not {real.shape}, {array.shape}")
            decisions = (array > (list(thresholds) or 0.5)).astype(np.int64)
            return SeveralPredictions(real.astype(np.int64), array, "multi", decisions)
        columns = np.stack([1 - array, array], axis=1) if array.ndim == 1 else array
        if real.ndim != 1 or columns.ndim != 2 or len(real) != len(columns) or not len(real):
            raise ValueError(f"labels must be (n,), probabilities (n,) or (n, labels), not {real.shape}, {array.shape}")
        if not ((array >= 0) & (array <= 1)).all() or not np.isin(real, np.arange(columns.shape[1])).all():
            raise ValueError(f"labels must be whole numbers below {columns.shape[1]}, probabilities from 0 to 1")
        return cls(real.astype(np.int64), columns, targets)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> int:
        """How many labels there are."""
        return int(self.probabilities.shape[1])

    @cached_property
    def predicted(self) -> Ints:
        """The most probable label, (texts,); of two, label 1 if its probability is above one half, as in Keras."""
        predicted: Ints = self.probabilities.argmax(axis=1) if self.decisions is None else self.decisions
        return predicted

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the predicted label is the real one, (texts,)."""
        right: NDArray[np.bool_] = self.predicted == self.labels
        return right

    @cached_property
    def confidence(self) -> Floats:
        """The probability of the predicted label, (texts,)."""
        confidence: Floats = self.probabilities[np.arange(len(self)), self.predicted]
        return confidence

    @cached_property
    def of_real(self) -> Floats:
        """The probability of the real label, (texts,)."""
        return self._costs(self.probabilities)[0]

    @cached_property
    def hits(self) -> Costs:
        """What texts add to the accuracy."""
        return self._costs(np.eye(self.size)[self.predicted])

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
        one = self.size == 2 and self.labels.ndim == 1
        return [self._ranking(label) for label in range(1 if one else 0, self.size)]

    def _ranking(self, label: int) -> Ranking:
        order = np.argsort(self.probabilities[:, label], kind="stable")
        ends = np.flatnonzero(np.diff(self.probabilities[order, label], append=2.0))
        members = self.members(label)[order].astype(float)
        return Ranking(label, order, np.argsort(order), members, None if len(ends) == len(order) else ends)

    def members(self, label: int) -> NDArray[np.bool_]:
        """Return which texts have a label, (texts,)."""
        members: NDArray[np.bool_] = self.labels == label if self.labels.ndim == 1 else self.labels[:, label] > 0
        return members

    def take(self, index: Ints) -> Predictions:
        """Return the predictions for the texts at `index`, in its order."""
        decisions = None if self.decisions is None else self.decisions[index]
        return replace(self, labels=self.labels[index], probabilities=self.probabilities[index], decisions=decisions)

    def calibrated(self, calibration: Calibration) -> Predictions:
        """Return the predictions with calibrated probabilities."""
        values = self.probabilities[:, 1] if self.size == 2 and self.labels.ndim == 1 else self.probabilities
        return replace(self, probabilities=Predictions.of(self.labels, calibration(values)).probabilities)

    def decided(self, thresholds: Mapping[int, float]) -> Predictions:
        """Return the predictions with labels that thresholds decide, by the number of the label."""
        return replace(self, decisions=decide(self.probabilities, thresholds))

    def same_as(self, other: Predictions) -> bool:
        """Return whether all probabilities are equal to the last digit."""
        return np.array_equal(self.probabilities, other.probabilities)

    def cells(self, data: DataConfig) -> Iterator[tuple[str, str]]:
        """Yield the real and the predicted label of each text; several labels are joined."""
        name: Callable[[Any], str] = data.joined if self.labels.ndim == 2 else lambda label: data.label_names[label]
        return zip(map(name, self.labels.tolist()), map(name, self.predicted.tolist()), strict=True)

    def to_csv(self, data: DataConfig, lines: Sequence[int] | None = None) -> str:
        """Return a row for each text, with names of labels and lines in its file; `read_csv` reads it without loss."""
        buffer = io.StringIO()
        writer = table_writer(buffer)
        writer.writerow(["index", "label", "predicted", *_columns(data), *(["line"] if lines is not None else [])])
        columns = self.probabilities[:, -data.outputs :]
        shortest = columns.astype(np.float32).astype(str)  # the fewest digits that give the same number again
        for index, (label, predicted) in enumerate(self.cells(data)):
            line = [] if lines is None else [lines[index]]
            writer.writerow([index, label, predicted, *shortest[index], *line])
        return buffer.getvalue()


@dataclass(frozen=True, eq=False)
class SeveralPredictions(Predictions):
    """Probabilities of texts that may have several labels: `labels` are 1 for those of a text, (texts, labels).

    A prediction is right if all labels are, and its probability is that of independent labels.
    """

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the predicted labels are the real ones, (texts,)."""
        right: NDArray[np.bool_] = (self.predicted == self.labels).all(axis=1)
        return right

    @cached_property
    def hits(self) -> Costs:
        """What texts add to the accuracy: with their own labels, and with one of them changed."""
        wrong = self.predicted != self.labels
        return self.right.astype(np.float64), (wrong & (wrong.sum(axis=1, keepdims=True) == 1)).astype(np.float64)

    @cached_property
    def confidence(self) -> Floats:
        """The probability of the predicted set of labels, (texts,)."""
        return self._of_set(self.predicted > 0)

    @cached_property
    def of_real(self) -> Floats:
        """The probability of the real set of labels, (texts,)."""
        return self._of_set(self.labels > 0)

    def _of_set(self, held: NDArray[np.bool_]) -> Floats:
        probabilities: Floats = np.where(held, self.probabilities, 1 - self.probabilities).prod(axis=1)
        return probabilities

    def _costs(self, each: Floats) -> Costs:
        """Return what texts add to a mean, from what a label costs where it is there and where it is not, (2, …)."""
        there, absent = each
        own = np.where(self.labels > 0, there, absent)
        flipped = np.where(self.labels > 0, absent, there) - own
        return own.mean(axis=1), (own.sum(axis=1, keepdims=True) + flipped) / self.size

    @cached_property
    def losses(self) -> Costs:
        """What texts add to the log loss, the mean over the labels."""
        clipped = np.clip(self.probabilities, CLIP, 1 - CLIP)
        return self._costs(-np.log(np.stack([clipped, 1 - clipped])))

    @cached_property
    def squares(self) -> Costs:
        """What texts add to the Brier score, the mean over the labels."""
        return self._costs(np.stack([1 - self.probabilities, self.probabilities]) ** 2)


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
        predictions = read_csv(run.file(evaluation_name(split, "predictions", ".csv")), run.config.data)
    except RunError:
        return None
    if isinstance(predictions, SeveralPredictions):
        texts = [row.texts for row in record.labels.values()]
        return EvaluatedRun(run, record, predictions) if predictions.labels.sum(axis=0).tolist() == texts else None
    size = predictions.size
    confusion = np.bincount(predictions.labels * size + predictions.predicted, minlength=size * size)
    return EvaluatedRun(run, record, predictions) if (confusion == np.ravel(record.confusion)).all() else None


def read_csv(path: Path, data: DataConfig) -> Predictions:
    """Read what `Predictions.to_csv` wrote for the labels of `data`.

    Raises:
        RunError: if it holds anything else.
    """
    names, columns, several = data.label_names, _columns(data), data.targets == "multi"
    # A list of all rows would take a hundred times the memory.
    labels, predicted, values = array("q"), array("q"), array("f")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if several:
                    labels.extend(_flags(row["label"], data))
                    predicted.extend(_flags(row["predicted"], data))
                else:
                    labels.append(names.index(row["label"]))
                values.extend(float(row[column]) for column in columns)
        probabilities = np.frombuffer(values, np.float32)
        real = np.frombuffer(labels, np.int64)
        shaped = probabilities if data.outputs == 1 else probabilities.reshape(-1, len(columns))
        if several:
            decisions = np.frombuffer(predicted, np.int64).reshape(shaped.shape)
            return SeveralPredictions(real.reshape(shaped.shape), shaped.astype(np.float64), "multi", decisions)
        return Predictions.of(real, shaped, data.targets)
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise RunError(f"{path}: not predictions of this run: {error}; evaluate it again: rnnsent eval") from None


def _flags(cell: str, data: DataConfig) -> list[int]:
    """Return 1 for each label in a cell of several, and 0 for the others."""
    held = set(cell.split(data.separator)) if cell else set()
    if unknown := held - set(data.label_names):
        raise ValueError(f"unknown labels {', '.join(sorted(unknown))}")
    return [int(name in held) for name in data.label_names]


def _columns(data: DataConfig) -> list[str]:
    return [f"{OF}{name}" for name in data.label_names] if data.outputs > 1 else ["probability"]
