"""Metrics of a binary classifier, each with a 95 % interval, in plain NumPy.

Class 1 is predicted where the probability is *above* the threshold, as in `keras.metrics.binary_accuracy`: a
probability equal to the threshold is class 0.

A metric whose definition divides by zero is undefined and is None, in Python as in JSON: precision without any
predicted positive, recall without any real one, F1 without either, ROC AUC with one class only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z_95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution
CLIP = 1e-7  # Keras' epsilon: one confident mistake costs at most 16.1 nats

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; None where undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """Return the estimate for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Evaluation:
    """How good a binary classifier was on `n` reviews.

    `confusion` has a row for each real class and a column for each predicted one: [[tn, fp], [fn, tp]].
    """

    n: int
    threshold: float
    accuracy: Estimate
    precision: Estimate
    recall: Estimate
    f1: Estimate
    roc_auc: Estimate
    log_loss: Estimate
    confusion: list[list[int]]

    def to_dict(self) -> dict[str, dict[str, float | None]]:
        """Return {metric: {"value", "low", "high"}}, safe for JSON; the confusion matrix stands apart."""
        names = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss")
        return {name: getattr(self, name).to_dict() for name in names}


@dataclass(frozen=True, eq=False)
class _Table:
    """The reviews counted by class and probability: all that a metric needs, and quick to draw again."""

    counts: Floats  # (2, groups), a column for each distinct probability, ascending; whole numbers
    losses: Floats  # (2, groups), what a review of this class and probability adds to the log loss
    first_predicted: int  # the first group above the threshold


def evaluate(
    labels: ArrayLike, probabilities: ArrayLike, *, threshold: float = 0.5, seed: int = 0, resamples: int = 1000
) -> Evaluation:
    """Measure the predictions of a binary classifier.

    Intervals are Wilson's score interval for the proportions (accuracy, precision, recall), and percentiles of a
    bootstrap over reviews for F1, ROC AUC and log loss. They depend on `seed` and on the set of reviews, not on the
    order of the reviews; resamples in which a metric is undefined are left out of its percentiles.

    Args:
        labels: (n,), 0 or 1.
        probabilities: (n,), of class 1, in [0, 1].
        threshold: Class 1 is predicted above it.
        seed: Of the bootstrap.
        resamples: How many; with 0 the three bootstrapped metrics have no interval.

    Raises:
        ValueError: If the arrays are empty or do not fit each other, or a value is out of its range.
    """
    table = _tabulate(labels, probabilities, threshold)
    (tn, fp), (fn, tp) = confusion = _confusion(table, table.counts)
    n = tn + fp + fn + tp
    f1, auc, loss = _bootstrap(table, (_f1, _roc_auc, _log_loss), seed, resamples)
    return Evaluation(
        n=n,
        threshold=float(threshold),
        accuracy=proportion(tn + tp, n),
        precision=proportion(tp, tp + fp),
        recall=proportion(tp, tp + fn),
        f1=f1,
        roc_auc=auc,
        log_loss=loss,
        confusion=confusion,
    )


def proportion(successes: int, total: int) -> Estimate:
    """Return successes / total with the score interval of Wilson (1927, JASA 22, 209-212); undefined if total is 0."""
    if not 0 <= successes <= total:
        raise ValueError(f"successes must lie in 0..{total}, not {successes}")
    if total == 0:
        return Estimate(None)
    share = successes / total
    center = share + Z_95**2 / (2 * total)
    spread = Z_95 * sqrt(share * (1 - share) / total + Z_95**2 / (4 * total**2))
    scale = 1 + Z_95**2 / total
    # At 0 and at all the formula meets the border exactly; rounding must not carry it across.
    low = 0.0 if successes == 0 else (center - spread) / scale
    high = 1.0 if successes == total else (center + spread) / scale
    return Estimate(share, low, high)


def confusion_matrix(labels: ArrayLike, probabilities: ArrayLike, threshold: float = 0.5) -> list[list[int]]:
    """Return [[tn, fp], [fn, tp]]; arguments and errors as in `evaluate`."""
    table = _tabulate(labels, probabilities, threshold)
    return _confusion(table, table.counts)


def roc_auc(labels: ArrayLike, probabilities: ArrayLike) -> float | None:
    """Return the chance that a positive review outranks a negative one, a tie counting one half; None for one class.

    This is the area under the ROC curve (Hanley & McNeil 1982). Arguments and errors as in `evaluate`.
    """
    table = _tabulate(labels, probabilities)
    return _defined(_roc_auc(table, table.counts))


def log_loss(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the mean of -ln(probability of the real class), probabilities clipped to [1e-7, 1 - 1e-7], in nats.

    Arguments and errors as in `evaluate`.
    """
    table = _tabulate(labels, probabilities)
    return _log_loss(table, table.counts)


def _tabulate(labels: ArrayLike, probabilities: ArrayLike, threshold: float = 0.5) -> _Table:
    classes, scores = _checked(labels, probabilities)
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must lie in [0, 1], not {threshold}")
    distinct, group = np.unique(scores, return_inverse=True)
    cells = np.bincount(classes * len(distinct) + group, minlength=2 * len(distinct))
    clipped = np.clip(distinct.astype(np.float64), CLIP, 1 - CLIP)
    return _Table(
        # Floats, because they get multiplied by floats in every resample; whole numbers up to 2**53 stay exact.
        counts=cells.reshape(2, -1).astype(np.float64),
        losses=-np.log(np.stack([1 - clipped, clipped])),
        # Compared in the dtype of the probabilities, as Keras does it: in float32, 0.3 is not above 0.3.
        first_predicted=int(np.count_nonzero(distinct <= threshold)),
    )


def _checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.int64], Floats]:
    classes, scores = np.asarray(labels), np.asarray(probabilities)
    if classes.ndim != 1 or classes.shape != scores.shape:
        raise ValueError(f"labels and probabilities must be (n,) both, not {classes.shape} and {scores.shape}")
    if not len(classes):
        raise ValueError("there is nothing to evaluate: no labels")
    if not np.isin(classes, (0, 1)).all():
        row = int(np.argmin(np.isin(classes, (0, 1))))
        raise ValueError(f"labels must be 0 or 1; row {row} is {classes[row]}")
    if not np.issubdtype(scores.dtype, np.floating):
        scores = scores.astype(np.float64)
    valid = (scores >= 0) & (scores <= 1)
    if not valid.all():
        row = int(np.argmin(valid))
        raise ValueError(f"probabilities must lie in [0, 1]; row {row} is {scores[row]}")
    return classes.astype(np.int64), scores


def _confusion(table: _Table, counts: Floats) -> list[list[int]]:
    cut = table.first_predicted
    return [[int(row[:cut].sum()), int(row[cut:].sum())] for row in counts]


def _f1(table: _Table, counts: Floats) -> float:
    (_, fp), (fn, tp) = _confusion(table, counts)
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else np.nan


def _roc_auc(table: _Table, counts: Floats) -> float:
    return area_under(counts)


def area_under(counts: Floats) -> float:
    """Return the ROC AUC of reviews counted by class and probability, (2, groups) ascending; NaN for one class."""
    negatives, positives = counts
    below = np.cumsum(negatives)
    pairs = below[-1] * positives.sum()
    # Pairs in order count two, ties one: whole numbers, so that the area is exact. Not a dot product: BLAS would
    # wake its threads for each of a thousand short vectors, twenty times slower than the sum itself.
    in_order = (positives * (2 * below - negatives)).sum()
    return float(in_order / (2 * pairs)) if pairs else np.nan


def _log_loss(table: _Table, counts: Floats) -> float:
    return float((counts * table.losses).sum() / counts.sum())


def _bootstrap(
    table: _Table, measures: Sequence[Callable[[_Table, Floats], float]], seed: int, resamples: int
) -> list[Estimate]:
    """Estimate every measure from the same resamples."""
    rng = np.random.default_rng(seed)
    # One entry for each review, in the order of the table, so that the order of the reviews cannot matter.
    cell_of_review = np.repeat(np.arange(table.counts.size), table.counts.ravel().astype(np.int64))
    n = len(cell_of_review)
    samples = np.empty((resamples, len(measures)))
    for sample in samples:
        drawn = cell_of_review[rng.integers(0, n, n)]
        counts = np.bincount(drawn, minlength=table.counts.size).reshape(2, -1).astype(np.float64)
        sample[:] = [measure(table, counts) for measure in measures]
    return [percentiles(measure(table, table.counts), samples[:, k]) for k, measure in enumerate(measures)]


def percentiles(value: float, samples: Floats) -> Estimate:
    """Return `value` with the 95 % interval of its bootstrap `samples`; NaN is undefined."""
    defined = samples[~np.isnan(samples)]
    if np.isnan(value) or not len(defined):
        return Estimate(_defined(value))
    low, high = np.percentile(defined, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value
