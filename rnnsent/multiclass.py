"""Metrics of a classifier of three labels or more, with the same names and intervals as those of two in `metrics`.

Precision, recall, F1 and ROC AUC are macro averages: of each label against all others, every label counting the same. A
label for which one is undefined is left out of the average.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnsent.metrics import CLIP, Evaluation, area_under, percentiles, proportion

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
    rng = np.random.default_rng(seed)
    # Resampling reviews resamples the cells of the confusion matrix with their frequencies.
    drawn = rng.multinomial(n, cells / n, resamples).reshape(resamples, size, size)
    macros = [_macro(confusion[None]), _macro(drawn)]
    precision, recall, f1 = (percentiles(float(macros[0][k][0]), macros[1][k]) for k in range(3))
    ranked, averages = _ranked(classes, scores), np.empty((resamples, 2))
    for average in averages:
        counts = np.bincount(rng.integers(0, n, n), minlength=n)
        average[:] = _area(ranked, classes, counts), float(counts @ losses) / n
    area = _area(ranked, classes, np.ones(n, np.int64))
    return Evaluation(
        n=n,
        threshold=1 / size,
        accuracy=proportion(int(np.trace(confusion)), n),
        precision=precision,
        recall=recall,
        f1=f1,
        roc_auc=percentiles(area, averages[:, 0]),
        log_loss=percentiles(float(losses.mean()), averages[:, 1]),
        confusion=confusion.tolist(),
    )


def _macro(confusions: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Return macro precision, recall and F1 of each matrix, (matrices, labels, labels)."""
    hits = np.diagonal(confusions, axis1=1, axis2=2).astype(np.float64)
    predicted, real = confusions.sum(axis=1), confusions.sum(axis=2)
    pairs = ((hits, predicted), (hits, real), (2 * hits, predicted + real))
    one, two, three = (_mean(np.divide(a, b, where=b > 0, out=np.full_like(hits, np.nan))) for a, b in pairs)
    return one, two, three


def _mean(values: Floats) -> Floats:
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0).sum(axis=-1)
    counts = defined.sum(axis=-1)
    mean: Floats = np.divide(total, counts, where=counts > 0, out=np.full(total.shape, np.nan))
    return mean


def _ranked(classes: NDArray[np.int64], scores: Floats) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return, for each label, the order of the reviews by its probability and where a new probability begins."""
    ranked = []
    for column in scores.T:
        order = np.argsort(column, kind="stable")
        ranked.append((order, np.flatnonzero(np.diff(column[order], prepend=-1.0))))
    return ranked


def _area(
    ranked: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    classes: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> float:
    areas = []
    for label, (order, begins) in enumerate(ranked):
        weights = counts[order].astype(np.float64)
        positive = classes[order] == label
        table = np.stack([np.add.reduceat(weights * (positive == side), begins) for side in (False, True)])
        areas.append(area_under(table))
    return float(_mean(np.array(areas)))
