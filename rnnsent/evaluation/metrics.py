"""Metrics of a binary classifier, each with a 95 % interval, in plain NumPy; `multiclass` has those of several labels.

Class 1 is predicted where the probability is *above* the threshold, as in `keras.metrics.binary_accuracy`: a
probability equal to the threshold is class 0.

A metric whose definition divides by zero is undefined and is None, in Python as in JSON: precision without any
predicted positive, recall without any real one, F1 without either, ROC AUC and balanced accuracy with one class only,
PR AUC without a positive, Matthews' coefficient where a class is never there or never predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnsent.evaluation.intervals import Estimate, percentiles, prior_reviews, proportion
from rnnsent.evaluation.measures import area_under, average_precision, calibration_error, correlation

CLIP = 1e-7  # Keras' epsilon: one confident mistake costs at most 16.1 nats

Floats = NDArray[np.floating[Any]]


NAMES = (
    "accuracy", "precision", "recall", "f1", "roc_auc", "log_loss",
    "balanced_accuracy", "mcc", "pr_auc", "brier", "ece",
)  # fmt: skip


@dataclass(frozen=True)
class LabelMetrics:
    """How good a classifier was on the reviews of one label, and on those that it gave this label.

    Attributes:
        reviews: of this label.
        precision, recall: with Wilson's intervals.
        f1: with a bootstrapped one.
    """

    reviews: int
    precision: Estimate
    recall: Estimate
    f1: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return reviews, precision, recall and f1 for JSON."""
        return {"reviews": self.reviews} | {
            name: getattr(self, name).to_dict() for name in ("precision", "recall", "f1")
        }


@dataclass(frozen=True)
class Evaluation:
    """How good a classifier was on `n` reviews.

    Attributes:
        n: reviews.
        threshold: of two labels, label 1 is predicted above it; of more, what the most probable one exceeds at least.
        accuracy: share of reviews whose label is the predicted one.
        precision, recall, f1: of label 1; of three labels or more their mean over the labels.
        roc_auc: the chance that a review of a label outranks one of another (Hanley and McNeil 1982).
        log_loss: mean of -ln(probability of the real label), in nats.
        balanced_accuracy: mean recall of the labels.
        mcc: correlation of real and predicted labels, -1 … 1 (Matthews 1975; of several labels Gorodkin 2004).
        pr_auc: average precision: the mean of the precision over the positives, ranked by probability.
        brier: mean squared distance of probability and truth, 0 … 1; of three labels or more summed over them, 0 … 2.
        ece: expected calibration error: see `measures.calibration_bins` and `calibration_error`.
        confusion: a row for each real label and a column for each predicted one; of two: [[tn, fp], [fn, tp]].
        by_label: of every label.
    """

    n: int
    threshold: float
    accuracy: Estimate
    precision: Estimate
    recall: Estimate
    f1: Estimate
    roc_auc: Estimate
    log_loss: Estimate
    balanced_accuracy: Estimate
    mcc: Estimate
    pr_auc: Estimate
    brier: Estimate
    ece: Estimate
    confusion: list[list[int]]
    by_label: tuple[LabelMetrics, ...]

    def to_dict(self) -> dict[str, dict[str, float | None]]:
        """Return {metric: {"value", "low", "high"}}, safe for JSON; confusion and labels stand apart."""
        return {name: getattr(self, name).to_dict() for name in NAMES}


@dataclass(frozen=True, eq=False)
class _Table:
    """The reviews counted by class and probability: all that a metric needs, and quick to draw again."""

    counts: Floats  # (2, groups), a column for each distinct probability, ascending; whole numbers
    losses: Floats  # (2, groups), what a review of this class and probability adds to the log loss
    squares: Floats  # (2, groups), the same for Brier's score
    confidence: Floats  # (groups,), the probability of the predicted label
    first_predicted: int  # the first group above the threshold


def evaluate(
    labels: ArrayLike, probabilities: ArrayLike, *, threshold: float = 0.5, seed: int = 0, resamples: int = 1000
) -> Evaluation:
    """Measure the predictions of a binary classifier.

    Intervals are Wilson's score interval for the proportions (accuracy, precision, recall), that of
    `measures.calibration_error` for ece, and for all others percentiles of a Bayesian bootstrap over reviews, see
    `intervals.prior_reviews`. They depend on `seed` and on the set of reviews, not on the order of the reviews.

    Args:
        labels: (n,), 0 or 1.
        probabilities: (n,), of class 1, in [0, 1].
        threshold: Class 1 is predicted above it.
        seed: Of the bootstrap.
        resamples: Samples of it; with 0 the bootstrapped metrics have no interval.

    Raises:
        ValueError: If the arrays are empty or do not fit each other, or a value is out of its range.
    """
    table = _tabulate(labels, probabilities, threshold)
    (tn, fp), (fn, tp) = confusion = _whole(_confusion(table, table.counts))
    n = tn + fp + fn + tp
    measured = dict(zip(_MEASURES, _bootstrap(table, list(_MEASURES.values()), seed, resamples), strict=True))
    f1_of_0 = measured.pop("f1 of 0")
    return Evaluation(
        n=n,
        threshold=float(threshold),
        accuracy=proportion(tn + tp, n),
        precision=proportion(tp, tp + fp),
        recall=proportion(tp, tp + fn),
        confusion=confusion,
        by_label=(
            LabelMetrics(tn + fp, proportion(tn, tn + fn), proportion(tn, tn + fp), f1_of_0),
            LabelMetrics(fn + tp, proportion(tp, tp + fp), proportion(tp, tp + fn), measured["f1"]),
        ),
        ece=_calibration_error(table),
        **measured,
    )


def confusion_matrix(labels: ArrayLike, probabilities: ArrayLike, threshold: float = 0.5) -> list[list[int]]:
    """Return [[tn, fp], [fn, tp]]; arguments and errors as in `evaluate`."""
    table = _tabulate(labels, probabilities, threshold)
    return _whole(_confusion(table, table.counts))


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
    # Compared in the dtype of the probabilities, as Keras does it: in float32, 0.3 is not above 0.3.
    cut = int(np.count_nonzero(distinct <= threshold))
    wide = distinct.astype(np.float64)
    return _Table(
        # Floats, because they get multiplied by floats in every resample; whole numbers up to 2**53 stay exact.
        counts=cells.reshape(2, -1).astype(np.float64),
        losses=-np.log(np.stack([1 - clipped, clipped])),
        squares=np.stack([wide**2, (1 - wide) ** 2]),
        confidence=np.where(np.arange(len(distinct)) >= cut, wide, 1 - wide),
        first_predicted=cut,
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


def _confusion(table: _Table, counts: Floats) -> list[list[float]]:
    cut = table.first_predicted
    return [[float(row[:cut].sum()), float(row[cut:].sum())] for row in counts]


def _whole(confusion: Sequence[Sequence[float]]) -> list[list[int]]:
    return [[int(count) for count in row] for row in confusion]


def _calibration_error(table: _Table) -> Estimate:
    counts = table.counts.astype(np.int64)
    predicted = np.arange(counts.shape[1]) >= table.first_predicted
    return calibration_error(table.confidence, np.where(predicted, counts[1], counts[0]), counts.sum(axis=0))


def _f1(table: _Table, counts: Floats) -> float:
    (_, fp), (fn, tp) = _confusion(table, counts)
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else np.nan


def _f1_of_0(table: _Table, counts: Floats) -> float:
    (tn, fp), (fn, _) = _confusion(table, counts)
    return 2 * tn / (2 * tn + fp + fn) if tn + fp + fn else np.nan


def _balanced_accuracy(table: _Table, counts: Floats) -> float:
    (tn, fp), (fn, tp) = _confusion(table, counts)
    return (tn / (tn + fp) + tp / (fn + tp)) / 2 if tn + fp and fn + tp else np.nan


def _mcc(table: _Table, counts: Floats) -> float:
    return correlation(np.array(_confusion(table, counts)))


def _pr_auc(table: _Table, counts: Floats) -> float:
    return average_precision(counts)


def _brier(table: _Table, counts: Floats) -> float:
    return float((counts * table.squares).sum() / counts.sum())


def _roc_auc(table: _Table, counts: Floats) -> float:
    return area_under(counts)


def _log_loss(table: _Table, counts: Floats) -> float:
    return float((counts * table.losses).sum() / counts.sum())


_MEASURES: dict[str, Callable[[_Table, Floats], float]] = {
    "f1": _f1,
    "f1 of 0": _f1_of_0,
    "roc_auc": _roc_auc,
    "log_loss": _log_loss,
    "balanced_accuracy": _balanced_accuracy,
    "mcc": _mcc,
    "pr_auc": _pr_auc,
    "brier": _brier,
}


def _bootstrap(
    table: _Table, measures: Sequence[Callable[[_Table, Floats], float]], seed: int, resamples: int
) -> list[Estimate]:
    """Estimate every measure from the same samples of the bootstrap."""
    rng = np.random.default_rng(seed)
    # In the order of the table, so that the order of the reviews cannot matter.
    flat = table.counts.ravel()
    cells = np.flatnonzero(flat)
    held, up_to = flat[cells], np.cumsum(flat[cells])
    n, groups = int(up_to[-1]), table.counts.shape[1]
    samples = np.empty((resamples, len(measures)))
    weights = np.zeros(len(flat))
    for sample in samples:
        weights[:] = 0.0
        weights[cells] = rng.standard_gamma(held)  # the sum of as many weights of single reviews
        reviews, others = prior_reviews(n, rng)
        same = cells[np.searchsorted(up_to, reviews, "right")]
        np.add.at(weights, (same + groups) % (2 * groups), others)  # the same probability, the other label
        sample[:] = [measure(table, weights.reshape(2, -1)) for measure in measures]
    return [percentiles(measure(table, table.counts), samples[:, k]) for k, measure in enumerate(measures)]


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value
