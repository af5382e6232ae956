"""Metrics of a classifier of three labels or more, with the same names and intervals as those of two in `metrics`.

Precision, recall, F1, ROC AUC and PR AUC are macro averages: of each label against all others, every label counting the
same. A label for which one is undefined is left out of the average.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnsent.evaluation.intervals import PRIOR, Estimate, percentiles, prior_reviews, proportion
from rnnsent.evaluation.measures import area_under, average_precision, calibration_error, correlation
from rnnsent.evaluation.metrics import CLIP, Evaluation, LabelMetrics

Floats = NDArray[np.float64]


def evaluate(labels: ArrayLike, probabilities: ArrayLike, *, seed: int = 0, resamples: int = 1000) -> Evaluation:
    """Measure the predictions of a classifier of several labels; the most probable one is what is predicted.

    Intervals are made as those of `metrics.evaluate`.

    Args:
        labels: (n,), 0 … labels - 1.
        probabilities: (n, labels).
        seed: of the bootstrap.
        resamples: samples of it.

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
    judged = Judgment(classes, scores)
    rng = np.random.default_rng(seed)
    drawn = _drawn_confusions(confusion, resamples, rng)
    averages = np.empty((resamples, len(AVERAGES)))
    for sample in averages:
        sample[:] = judged.averages(Weights.drawn(rng.standard_exponential(n), classes, size, rng))
    values = judged.averages(Weights(np.ones(n)))
    right = (judged.predicted == classes).astype(np.int64)
    return Evaluation(
        n=n,
        threshold=1 / size,
        accuracy=proportion(int(np.trace(confusion)), n),
        confusion=confusion.tolist(),
        by_label=_by_label(confusion, drawn),
        ece=calibration_error(scores.max(axis=1), right, np.ones(n, np.int64)),
        **_of_confusions(confusion, drawn),
        **{name: percentiles(values[k], averages[:, k]) for k, name in enumerate(AVERAGES)},
    )


def _of_confusions(confusion: NDArray[np.int64], drawn: Floats) -> dict[str, Estimate]:
    """Return the metrics that the confusion matrix gives, with intervals by the matrices that were drawn."""
    values, samples = shares(confusion[None]), shares(drawn)
    names = ("precision", "recall", "f1")
    found = {
        name: percentiles(float(defined_mean(values[k])[0]), defined_mean(samples[k])) for k, name in enumerate(names)
    }
    mcc = percentiles(correlation(confusion), np.array([correlation(each) for each in drawn]))
    return found | {"balanced_accuracy": found["recall"], "mcc": mcc}


def _by_label(confusion: NDArray[np.int64], drawn: Floats) -> tuple[LabelMetrics, ...]:
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


def shares(confusions: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of each label in each matrix, (matrices, labels); NaN where undefined."""
    hits = np.diagonal(confusions, axis1=1, axis2=2).astype(np.float64)
    predicted, real = confusions.sum(axis=1), confusions.sum(axis=2)
    pairs = ((hits, predicted), (hits, real), (2 * hits, predicted + real))
    one, two, three = (np.divide(a, b, where=b > 0, out=np.full_like(hits, np.nan)) for a, b in pairs)
    return one, two, three


def _drawn_confusions(confusion: NDArray[np.int64], samples: int, rng: np.random.Generator) -> Floats:
    """Return confusion matrices of the Bayesian bootstrap, which weighs their cells, (samples, labels, labels)."""
    others = confusion.sum(axis=0) - confusion  # reviews of other labels that got the same answer
    prior = PRIOR * others / max(int(others.sum()), 1)
    return rng.standard_gamma(confusion + prior, size=(samples, *confusion.shape))


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each review counts, with its own label; and some with another one.

    Attributes:
        own: (n,).
        reviews, labels, others: (places,), which reviews count with which other label as well, and how much.
    """

    own: Floats
    reviews: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    labels: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    others: Floats = field(default_factory=lambda: np.empty(0))

    @classmethod
    def drawn(cls, own: Floats, classes: NDArray[np.int64], labels: int, rng: np.random.Generator) -> Weights:
        """Return weights of one sample of the Bayesian bootstrap, see `intervals.prior_reviews`."""
        reviews, others = prior_reviews(len(classes), rng)
        changed = (classes[reviews] + rng.integers(1, labels, len(reviews))) % labels
        return cls(own, reviews, changed, others.astype(np.float64, copy=False))

    def total(self) -> Floats:
        """Return the weight of each review, (n,)."""
        total = self.own.copy()
        np.add.at(total, self.reviews, self.others)
        return total

    def with_label(self, label: int, members: NDArray[np.bool_]) -> Floats:
        """Return the weight that each review has with a label, (n,), of which `members` are those whose own it is."""
        found: Floats = np.where(members, self.own, 0.0)
        changed = self.labels == label
        np.add.at(found, self.reviews[changed], self.others[changed])
        return found


AVERAGES = ("roc_auc", "log_loss", "pr_auc", "brier")


class Judgment:
    """What a network said of reviews, and metrics of them under any weighting.

    Args:
        labels: int64 (n,).
        probabilities: (n, labels), of each label. Of two labels the areas are those of the second.
        predicted: int64 (n,), where probabilities were rounded since; None: the most probable labels.
    """

    def __init__(
        self, labels: NDArray[np.int64], probabilities: Floats, predicted: NDArray[np.int64] | None = None
    ) -> None:
        self.labels, self.size = labels, probabilities.shape[1]
        rows = np.arange(len(labels))
        self.predicted: NDArray[np.int64] = probabilities.argmax(axis=1) if predicted is None else predicted
        self.of_real: Floats = probabilities[rows, labels]
        self._losses: Floats = -np.log(np.clip(probabilities, CLIP, 1 - CLIP))
        squares = (probabilities**2).sum(axis=1)[:, None] - 2 * probabilities + 1
        self._squares: Floats = squares / 2 if self.size == 2 else squares
        self._own_losses, self._own_squares = self._losses[rows, labels], self._squares[rows, labels]
        columns = range(1 if self.size == 2 else 0, self.size)
        self._ranked = [_Ranked.of(column, probabilities[:, column], labels) for column in columns]

    def averages(self, weights: Weights) -> list[float]:
        """Return `AVERAGES` of weighted reviews; NaN where one is undefined."""
        total = weights.total()
        n = float(total.sum())
        area, precision = defined_mean(np.array([ranked.areas(weights, total) for ranked in self._ranked]).T)
        at = weights.reviews, weights.labels
        loss, square = (
            float((weights.own * own).sum() + (weights.others * every[at]).sum()) / n
            for own, every in ((self._own_losses, self._losses), (self._own_squares, self._squares))
        )
        return [float(area), loss, float(precision), square]


@dataclass(frozen=True, slots=True)
class _Ranked:
    """The reviews in the order of the probability of a label.

    Attributes:
        label: which.
        members: (n,), whose own label it is.
        order: (n,).
        begins: where a new probability begins; None: everywhere.
    """

    label: int
    members: NDArray[np.bool_]
    order: NDArray[np.int64]
    begins: NDArray[np.int64] | None

    @classmethod
    def of(cls, label: int, probabilities: Floats, classes: NDArray[np.int64]) -> _Ranked:
        """Rank by the probabilities, (n,)."""
        order = np.argsort(probabilities, kind="stable")
        begins = np.flatnonzero(np.diff(probabilities[order], prepend=-1.0))
        return cls(label, classes == label, order, None if len(begins) == len(order) else begins)

    def areas(self, weights: Weights, total: Floats) -> tuple[float, float]:
        """Return ROC AUC and average precision of the label against all others; `total` is that of `weights`."""
        positive = weights.with_label(self.label, self.members)
        table = np.empty((2, len(total)))
        np.take(total - positive, self.order, out=table[0], mode="clip")  # clip: without a copy of the array
        np.take(positive, self.order, out=table[1], mode="clip")
        if self.begins is not None:
            table = np.add.reduceat(table, self.begins, axis=1)
        return area_under(table), average_precision(table)


def defined_mean(values: Floats) -> Floats:
    """Return the mean along the last axis of what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0).sum(axis=-1)
    counts = defined.sum(axis=-1)
    mean: Floats = np.divide(total, counts, where=counts > 0, out=np.full(total.shape, np.nan))
    return mean
