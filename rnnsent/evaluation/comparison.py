"""Whether networks that judged the same reviews differ: paired intervals, McNemar's test, parts, flipped reviews."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.evaluation import multiclass
from rnnsent.evaluation.intervals import Estimate, paired, percentiles
from rnnsent.evaluation.measures import correlation, mcnemar
from rnnsent.evaluation.multiclass import Weights, defined_mean, shares
from rnnsent.evaluation.slices import Slice

Floats = NDArray[np.float64]

METRICS = (
    "accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "balanced_accuracy", "mcc", "pr_auc", "brier",
)  # fmt: skip
SIGNIFICANT = 0.05


class Judgment(multiclass.Judgment):
    """What a network said of reviews, and every metric of them under any weighting.

    Args:
        labels: int64 (n,).
        probabilities: (n, labels), of each label.
        predicted: int64 (n,), where probabilities were rounded since; None: the most probable labels.
    """

    def __init__(
        self, labels: NDArray[np.int64], probabilities: Floats, predicted: NDArray[np.int64] | None = None
    ) -> None:
        super().__init__(labels, probabilities, predicted)
        self.probabilities = probabilities
        self.right: NDArray[np.bool_] = self.predicted == labels
        self._cells = labels * self.size + self.predicted

    def metrics(self, weights: Weights) -> list[float]:
        """Return `METRICS` of weighted reviews; NaN where one is undefined."""
        size = self.size
        changed = weights.labels * size + self.predicted[weights.reviews]
        cells = np.concatenate([self._cells, changed]), np.concatenate([weights.own, weights.others])
        confusion = np.bincount(cells[0], weights=cells[1], minlength=size * size).reshape(size, size)
        by_label = [values[0] for values in shares(confusion[None])]
        one = [float(values[1]) if size == 2 else float(defined_mean(values)) for values in by_label]
        area, loss, ranked, square = self.averages(weights)
        balanced = float(defined_mean(by_label[1]))
        accuracy = float(np.trace(confusion) / confusion.sum())
        return [accuracy, *one, area, loss, balanced, correlation(confusion), ranked, square]


@dataclass(frozen=True, slots=True)
class PartDifference:
    """How the accuracy on a part of the reviews differs.

    Attributes:
        group, name, reviews: which part.
        first, other: the two accuracies.
        difference: of the other less the first, with a paired interval.
        p_value: of McNemar's exact test, corrected for the number of parts (Holm).
    """

    group: str
    name: str
    reviews: int
    first: float
    other: float
    difference: Estimate
    p_value: float

    @property
    def moved(self) -> bool:
        """Whether it surely differs."""
        return self.p_value < SIGNIFICANT


@dataclass(frozen=True, slots=True)
class Flip:
    """A review that one of two networks has right, and how far the probability of its label moved."""

    review: int
    better: bool  # the other network has it right
    first: float  # probability of the real label
    other: float


@dataclass(frozen=True)
class Comparison:
    """Two networks on the same reviews; differences are those of the other less the first.

    Attributes:
        n: reviews.
        values: of `METRICS`, of the first and of the other; None where undefined.
        differences: with 95 % intervals of a paired bootstrap.
        only_first, only_other: reviews that one of them alone has right.
        p_value: of McNemar's exact test; corrected (Holm) where several networks are compared with the first.
        parts: by length and the like.
        flips: those whose probability moved furthest, the furthest first.
        apart: (labels,), of each label the reviews that one of them alone has right.
        same: whether both said the same of each review, probabilities and all; then nothing can be tested.
    """

    n: int
    values: dict[str, tuple[float | None, float | None]]
    differences: dict[str, Estimate]
    only_first: int
    only_other: int
    p_value: float
    parts: tuple[PartDifference, ...]
    flips: tuple[Flip, ...]
    apart: tuple[int, ...]
    same: bool

    @property
    def differ(self) -> bool:
        """Whether their accuracies surely differ."""
        return self.p_value < SIGNIFICANT


def compare(
    judgments: Sequence[Judgment], slices: Sequence[Slice], *, seed: int = 0, resamples: int = 1000, flips: int = 20
) -> list[Comparison]:
    """Compare every network but the first with the first.

    The bootstrap draws weights of reviews, the same for all networks: what is hard for both is hard in both (B. Efron
    and R. Tibshirani, "An introduction to the bootstrap", 1993, chapter 8). What it takes for granted of mistakes that
    were not seen, see `intervals.prior_reviews`, each network has to itself, so that two that agree on a few reviews
    are not taken to agree on all. The difference of accuracies has the interval of `intervals.paired`. p-values are
    corrected by S. Holm, "A simple sequentially rejective multiple test procedure", 1979.

    Args:
        judgments: two or more, of the same reviews in the same order.
        slices: parts of these reviews.
        seed, resamples: of the bootstrap.
        flips: the most that are kept.

    Raises:
        ValueError: if the labels are not the same.
    """
    first, *others = judgments
    if any(not np.array_equal(first.labels, other.labels) for other in others):
        raise ValueError("judgments of different reviews")
    n = len(first.labels)
    drawn = _drawn(judgments, seed, resamples)
    whole = np.array([judgment.metrics(Weights(np.ones(n))) for judgment in judgments])
    p_values = holm([mcnemar(*_alone(first.right, other.right)) for other in others])
    parts = _parts(first, others, slices)
    found = []
    for place, other in enumerate(others, start=1):
        differences = {
            name: percentiles(float(whole[place, k] - whole[0, k]), drawn[:, place, k] - drawn[:, 0, k])
            for k, name in enumerate(METRICS)
        }
        alone, same = _alone(first.right, other.right), _same(first, other)
        if not same:
            differences["accuracy"] = paired(*alone, n)
        values = {name: (_known(whole[0, k]), _known(whole[place, k])) for k, name in enumerate(METRICS)}
        told = tuple(_flips(first, other)[:flips])
        apart = tuple(np.bincount(first.labels[first.right != other.right], minlength=first.size).tolist())
        p_value = p_values[place - 1]
        found.append(Comparison(n, values, differences, *alone, p_value, tuple(parts[place - 1]), told, apart, same))
    return found


def _drawn(judgments: Sequence[Judgment], seed: int, resamples: int) -> Floats:
    """Return `METRICS` of each network in each sample of the bootstrap, (samples, networks, metrics)."""
    first = judgments[0]
    labels, size = first.labels, first.size
    # Each pair's own: what stands between two runs does not depend on which others are asked about.
    reviews, *priors = (np.random.default_rng([seed, stream]) for stream in (0, 1, *[2] * (len(judgments) - 1)))
    drawn = np.empty((resamples, len(judgments), len(METRICS)))
    for sample in drawn:
        own = reviews.standard_exponential(len(labels))
        for place, judgment in enumerate(judgments):
            weights = Weights.drawn(own, labels, size, priors[place])
            sample[place] = sample[0] if place and _same(first, judgment) else judgment.metrics(weights)
    return drawn


def _same(one: Judgment, other: Judgment) -> bool:
    """Return whether both said the same, to the last digit: then it is one network."""
    return one is other or (
        np.array_equal(one.probabilities, other.probabilities) and np.array_equal(one.predicted, other.predicted)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that hold for all of the tests together, in the same order."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    found, most = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[at]))
        found[at] = most
    return found


def _parts(first: Judgment, others: Sequence[Judgment], slices: Sequence[Slice]) -> list[list[PartDifference]]:
    """Return, for each other network, the parts in the order of `slices`."""
    pairs = [(other, each.members) for other in others for each in slices]
    corrected = iter(holm([mcnemar(*_alone(first.right[part], other.right[part])) for other, part in pairs]))
    found = []
    for other in others:
        rows = []
        for each in slices:
            before, after = first.right[each.members], other.right[each.members]
            n, shares_right = len(before), (float(before.mean()), float(after.mean()))
            difference = paired(*_alone(before, after), n)
            rows.append(PartDifference(each.group, each.name, n, *shares_right, difference, next(corrected)))
        found.append(rows)
    return found


def _alone(first: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[int, int]:
    return int((first & ~other).sum()), int((other & ~first).sum())


def _flips(first: Judgment, other: Judgment) -> list[Flip]:
    flipped = np.flatnonzero(first.right != other.right)
    moved = np.abs(other.of_real - first.of_real)[flipped]
    return [
        Flip(index, bool(other.right[index]), float(first.of_real[index]), float(other.of_real[index]))
        for index in flipped[np.argsort(-moved, kind="stable")].tolist()
    ]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def flattened(values: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested mappings and lists as {"a.b.0": value}."""
    if isinstance(values, dict):
        pairs: list[tuple[Any, Any]] = list(values.items())
    elif isinstance(values, list) and any(isinstance(each, dict) for each in values):
        pairs = list(enumerate(values))
    else:
        return {prefix: values}
    found: dict[str, Any] = {}
    for key, value in pairs:
        found |= flattened(value, f"{prefix}.{key}" if prefix else str(key))
    return found


def differing(first: Any, other: Any, leave: Callable[[str], bool] = lambda key: False) -> dict[str, tuple[Any, Any]]:
    """Return the keys of nested values that differ, with both values; None where one has no such key."""
    one, two = flattened(first), flattened(other)
    keys = [*one, *(key for key in two if key not in one)]
    return {key: (one.get(key), two.get(key)) for key in keys if one.get(key) != two.get(key) and not leave(key)}
