"""Metrics of a classifier of three labels or more, with the same names and intervals as those of two in `metrics`.

Precision, recall, F1, ROC AUC and PR AUC are macro averages: of each label against all others, every label counting the
same. A label for which one is undefined is left out of the average.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnsent.intervals import Estimate, of_area, percentiles, proportion
from rnnsent.measures import area_under, average_precision, calibration_bins, calibration_error, correlation
from rnnsent.metrics import CLIP, Evaluation, LabelMetrics

Floats = NDArray[np.float64]


def evaluate(labels: ArrayLike, probabilities: ArrayLike, *, seed: int = 0, resamples: int = 1000) -> Evaluation:
    """Measure the predictions of a classifier of several labels; the most probable one is what is predicted.

    The interval of the accuracy is Wilson's; the others are percentiles of a bootstrap over reviews.

    Args:
        labels: (n,), 0 … labels - 1.
        probabilities: (n, labels).
        seed: of the bootstrap.
        resamples: how many.

    Raises:
        ValueError: if the arrays are empty or do not fit each other, or a value is out of its range.
    """
    classes, scores = np.asarray(labels), np.asarray(probabilities, np.float64)
    if classes.ndim != 1 or scores.ndim != 2 or len(classes) != len(scores) or not len(classes):
        raise ValueError(f"labels must be (n,), probabilities (n, labels), not {classes.shape} and {scores.shape}")
    if classes.min() < 0 or classes.max() >= scores.shape[1]:
        raise ValueError(f"labels must lie in 0 … {scores.shape[1] - 1}")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1]")
    size, n = scores.shape[1], len(classes)
    cells = np.bincount(classes * size + scores.argmax(axis=1), minlength=size * size)
    confusion = cells.reshape(size, size)
    losses = -np.log(np.clip(scores[np.arange(n), classes], CLIP, 1 - CLIP))
    reviews = _Reviews(classes, scores, losses)
    rng = np.random.default_rng(seed)
    # Resampling reviews resamples the cells of the confusion matrix with their frequencies.
    drawn = rng.multinomial(n, cells / n, resamples).reshape(resamples, size, size)
    averages = np.array([reviews.averages(np.bincount(rng.integers(0, n, n), minlength=n)) for _ in range(resamples)])
    averages = averages.reshape(resamples, len(_AVERAGES))
    values = reviews.averages(np.ones(n, np.int64))
    averaged = {
        name: (of_area if name in ("roc_auc", "pr_auc") else percentiles)(values[k], averages[:, k])
        for k, name in enumerate(_AVERAGES)
    }
    return Evaluation(
        n=n,
        threshold=1 / size,
        accuracy=proportion(int(np.trace(confusion)), n),
        confusion=confusion.tolist(),
        by_label=_by_label(confusion, drawn),
        ece=reviews.calibration_error(),
        **_of_confusions(confusion, drawn),
        **averaged,
    )


def _of_confusions(confusion: NDArray[np.int64], drawn: NDArray[np.int64]) -> dict[str, Estimate]:
    """Return the metrics that the confusion matrix gives, with intervals by the matrices that were drawn."""
    values, samples = shares(confusion[None]), shares(drawn)
    names = ("precision", "recall", "f1")
    found = {
        name: percentiles(float(defined_mean(values[k])[0]), defined_mean(samples[k])) for k, name in enumerate(names)
    }
    mcc = percentiles(correlation(confusion), np.array([correlation(each) for each in drawn]))
    return found | {"balanced_accuracy": found["recall"], "mcc": mcc}


def _by_label(confusion: NDArray[np.int64], drawn: NDArray[np.int64]) -> tuple[LabelMetrics, ...]:
    f1, samples = shares(confusion[None])[2][0], shares(drawn)[2]
    return tuple(
        LabelMetrics(
            reviews=int(confusion[label].sum()),
            precision=proportion(int(confusion[label, label]), int(confusion[:, label].sum())),
            recall=proportion(int(confusion[label, label]), int(confusion[label].sum())),
            f1=percentiles(float(f1[label]), samples[:, label]),
        )
        for label in range(len(confusion))
    )


def shares(confusions: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of each label in each matrix, (matrices, labels); NaN where undefined."""
    hits = np.diagonal(confusions, axis1=1, axis2=2).astype(np.float64)
    predicted, real = confusions.sum(axis=1), confusions.sum(axis=2)
    pairs = ((hits, predicted), (hits, real), (2 * hits, predicted + real))
    one, two, three = (np.divide(a, b, where=b > 0, out=np.full_like(hits, np.nan)) for a, b in pairs)
    return one, two, three


_AVERAGES = ("roc_auc", "log_loss", "pr_auc", "brier")


class _Reviews:
    """What does not change from one resample to the next."""

    def __init__(self, classes: NDArray[np.int64], scores: Floats, losses: Floats) -> None:
        self._classes, self._losses = classes, losses
        self._ranked = ranked_by_label(classes, scores)
        truth = np.eye(scores.shape[1])[classes]
        self._squares = ((scores - truth) ** 2).sum(axis=1)
        confidence, right = scores.max(axis=1), scores.argmax(axis=1) == classes
        self._doubts = confidence - right
        self._bins = calibration_bins(confidence, np.ones(len(classes), np.int64))

    def averages(self, counts: NDArray[np.int64]) -> list[float]:
        """Return the metrics of `_AVERAGES` where each review counts so often."""
        n = float(counts.sum())
        area, precision = areas(self._ranked, self._classes, counts)
        return [
            area,
            float(counts @ self._losses) / n,
            precision,
            float(counts @ self._squares) / n,
        ]

    def calibration_error(self) -> Estimate:
        """Return the expected calibration error of the most probable label."""
        return calibration_error(self._doubts, self._bins, np.ones(len(self._doubts)))


def defined_mean(values: Floats) -> Floats:
    """Return the mean along the last axis of what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0).sum(axis=-1)
    counts = defined.sum(axis=-1)
    mean: Floats = np.divide(total, counts, where=counts > 0, out=np.full(total.shape, np.nan))
    return mean


def ranked_by_label(classes: NDArray[np.int64], scores: Floats) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return, for each label, the order of the reviews by its probability and where a new probability begins."""
    ranked = []
    for column in scores.T:
        order = np.argsort(column, kind="stable")
        ranked.append((order, np.flatnonzero(np.diff(column[order], prepend=-1.0))))
    return ranked


def areas(
    ranked: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    classes: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> tuple[float, float]:
    """Return the means, over the labels, of the ROC AUC and of the average precision."""
    found = []
    for label, (order, begins) in enumerate(ranked):
        weights = counts[order].astype(np.float64)
        positive = classes[order] == label
        table = np.stack([np.add.reduceat(weights * (positive == side), begins) for side in (False, True)])
        found.append((area_under(table), average_precision(table)))
    one, two = defined_mean(np.array(found).T)
    return float(one), float(two)
