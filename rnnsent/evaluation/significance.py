"""Whether models differ on the same texts: paired intervals, McNemar's test, Holm's correction, slices and flips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb, sqrt

import numpy as np
from numpy.typing import NDArray

from rnnsent.evaluation.intervals import Z_95, percentiles
from rnnsent.evaluation.metrics import METRICS, Sample, Weights
from rnnsent.evaluation.predictions import Floats, Predictions
from rnnsent.evaluation.slices import Slice
from rnnsent.runs.schemas import Estimate

ALPHA = 0.05
MIN_DISCORDANT = 10  # texts of a label that one model alone has right; simulated by benchmarks/coverage.py --pairs
MAX_FLIPS = 20


@dataclass(frozen=True, slots=True)
class SliceDifference:
    """The difference of the accuracies on a slice of the texts.

    Attributes:
        group, name, texts: of the slice.
        first, other: the two accuracies.
        difference: of the other minus the first, with a paired interval.
        p_value: of McNemar's exact test, corrected for the number of slices (Holm).
    """

    group: str
    name: str
    texts: int
    first: float
    other: float
    difference: Estimate
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether the accuracies differ."""
        return self.p_value < ALPHA


@dataclass(frozen=True, slots=True)
class Flip:
    """A text that one of two models alone has right.

    Attributes:
        index: its place in the split, from 0.
        better: whether the other model has it right.
        first, other: the probabilities of the real label.
    """

    index: int
    better: bool
    first: float
    other: float


@dataclass(frozen=True)
class Comparison:
    """Two models on the same texts; differences are those of the other minus the first.

    Attributes:
        texts: how many.
        values: {metric: (of the first, of the other)}; None where undefined.
        differences: {metric: difference with its interval}.
        only_first, only_other: texts that one of them alone has right.
        p_value: of McNemar's exact test, corrected if several models are compared with the first (Holm).
        slices: the same for parts of the texts.
        flips: texts whose probability moved most, most first.
        discordant: (labels,), texts of each label that one of them alone has right.
        same: whether all probabilities are equal, so that there is nothing to test.
    """

    texts: int
    values: dict[str, tuple[float | None, float | None]]
    differences: dict[str, Estimate]
    only_first: int
    only_other: int
    p_value: float
    slices: list[SliceDifference]
    flips: list[Flip]
    discordant: list[int]
    same: bool

    @property
    def significant(self) -> bool:
        """Whether the accuracies differ."""
        return self.p_value < ALPHA


def compare(
    predictions: Sequence[Predictions], slices: Sequence[Slice], *, seed: int = 0, resamples: int = 1000
) -> list[Comparison]:
    """Compare every model except the first with the first.

    A bootstrap sample weighs the texts in the same way for all models, since what is hard for one is hard for others
    (B. Efron and R. Tibshirani, "An introduction to the bootstrap", 1993, chapter 8). The prior of
    `intervals.prior_texts` is drawn for each model by itself: two that agree on a few texts need not agree on all. The
    difference of accuracies has the interval of `paired_difference`.

    Args:
        predictions: two or more, for the same texts in the same order.
        slices: parts of these texts.
        seed, resamples: of the bootstrap.

    Raises:
        ValueError: if the labels differ.
    """
    first, *others = predictions
    if any(not np.array_equal(first.labels, other.labels) for other in others):
        raise ValueError("predictions of different texts")
    names = compared_metrics()
    drawn = _bootstrap(predictions, seed, resamples)
    whole = np.array([_values(Sample(each)) for each in predictions])
    p_values = holm([mcnemar(*_discordant(first.right, other.right)) for other in others])
    slice_rows = _slice_differences(first, others, slices)
    comparisons = []
    for number, other in enumerate(others, start=1):
        change, samples = whole[number] - whole[0], drawn[:, number] - drawn[:, 0]
        differences = {name: percentiles(change[k], samples[:, k]) for k, name in enumerate(names)}
        only_first, only_other = _discordant(first.right, other.right)
        same = first.same_as(other)
        if not same:
            differences["accuracy"] = paired_difference(only_first, only_other, len(first))
        comparisons.append(
            Comparison(
                texts=len(first),
                values={name: (_defined(whole[0, k]), _defined(whole[number, k])) for k, name in enumerate(names)},
                differences=differences,
                only_first=only_first,
                only_other=only_other,
                p_value=p_values[number - 1],
                slices=slice_rows[(number - 1) * len(slices) : number * len(slices)],
                flips=_flips(first, other),
                discordant=np.bincount(first.labels[first.right != other.right], minlength=first.size).tolist(),
                same=same,
            )
        )
    return comparisons


def compared_metrics() -> list[str]:
    """Return the metrics that have intervals, and so can be compared."""
    return [name for name, metric in METRICS.items() if metric.interval]


def _values(sample: Sample) -> list[float]:
    return [METRICS[name].function(sample) for name in compared_metrics()]


def _bootstrap(predictions: Sequence[Predictions], seed: int, resamples: int) -> Floats:
    """Return the metrics of each model in each sample, (samples, models, metrics)."""
    first = predictions[0]
    # Generators of their own: a comparison of two models does not depend on which others are compared.
    texts, *priors = (np.random.default_rng([seed, stream]) for stream in (0, 1, *[2] * (len(predictions) - 1)))
    same = [first.same_as(each) for each in predictions]
    drawn = np.empty((resamples, len(predictions), len(compared_metrics())))
    for row in drawn:
        own = texts.standard_exponential(len(first))
        for number, each in enumerate(predictions):
            weights = Weights.drawn(own, each, priors[number])
            row[number] = row[0] if number and same[number] else _values(Sample(each, weights))
    return drawn


def _slice_differences(
    first: Predictions, others: Sequence[Predictions], slices: Sequence[Slice]
) -> list[SliceDifference]:
    """Return the slices, in order, of each other model after the other."""
    pairs = [(each, first.right[each.members], other.right[each.members]) for other in others for each in slices]
    p_values = holm([mcnemar(*_discordant(before, after)) for _, before, after in pairs])
    return [
        SliceDifference(
            group=each.group,
            name=each.name,
            texts=len(before),
            first=float(before.mean()),
            other=float(after.mean()),
            difference=paired_difference(*_discordant(before, after), len(before)),
            p_value=p_value,
        )
        for (each, before, after), p_value in zip(pairs, p_values, strict=True)
    ]


def _discordant(first: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[int, int]:
    """Return how many texts one of the two alone has right."""
    return int((first & ~other).sum()), int((other & ~first).sum())


def _flips(first: Predictions, other: Predictions) -> list[Flip]:
    flipped = np.flatnonzero(first.right != other.right)
    moved = np.abs(other.of_real - first.of_real)[flipped]
    return [
        Flip(index, bool(other.right[index]), float(first.of_real[index]), float(other.of_real[index]))
        for index in flipped[np.argsort(-moved, kind="stable")[:MAX_FLIPS]].tolist()
    ]


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def paired_warning(discordant: Mapping[str, int]) -> str | None:
    """Return a warning that intervals of a paired bootstrap may be too narrow; None if they are not.

    Args:
        discordant: of each label, how many of its texts one of the two models alone has right.
    """
    few = {name: number for name, number in discordant.items() if number < MIN_DISCORDANT}
    if not few:
        return None
    return (
        f"Few texts are right in one run alone ({', '.join(f'{number} of {name}' for name, number in few.items())}): "
        f"with fewer than {MIN_DISCORDANT} of a label all intervals but that of accuracy may be too narrow, and "
        "contain the true difference in 85 to 93 % of cases instead of 95"
    )


def paired_difference(only_first: int, only_other: int, texts: int) -> Estimate:
    """Return the difference of two accuracies on the same texts, the other's minus the first's, with its interval.

    Source: D. Bonett and R. Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data", Journal of Educational and Behavioral Statistics 37, 2012.

    Args:
        only_first, only_other: texts that one of the two alone has right.
        texts: how many there are; undefined if 0.
    """
    if texts == 0:
        return Estimate(None)
    value = (only_other - only_first) / texts
    lost, won = ((number + 1) / (texts + 2) for number in (only_first, only_other))
    spread = Z_95 * sqrt((lost + won - (won - lost) ** 2) / (texts + 2))
    return Estimate(value, max(min(won - lost - spread, value), -1.0), min(max(won - lost + spread, value), 1.0))


def mcnemar(only_first: int, only_other: int) -> float:
    """Return the two-sided p-value of McNemar's exact test of two classifiers on the same texts.

    Source: T. Dietterich, "Approximate statistical tests for comparing supervised classification learning algorithms",
    1998, in the binomial form, which also holds for few texts.

    Args:
        only_first, only_other: texts that one of the two alone has right.
    """
    discordant, least = only_first + only_other, min(only_first, only_other)
    tail = sum(comb(discordant, k) for k in range(least + 1))  # whole numbers, so always exact
    return min(1.0, float(Fraction(2 * tail, 2**discordant)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for the number of tests, in the same order.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
