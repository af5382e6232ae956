"""95 % intervals: Wilson's for proportions, those of a Bayesian bootstrap for all else; tests of two models."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.errors import count
from rnnsent.runs.schemas import Estimate

Z_95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution

MIN_TEXTS = 30  # with fewer the coverage of the intervals was never simulated

PRIOR = 0.5  # texts of another label that are added to every sample
PRIOR_PLACES = 24  # texts that share the prior; the rest is less than 1e-11 of it

Floats = NDArray[np.floating[Any]]


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


def small_sample_warning(texts: int) -> str | None:
    """Return a warning that intervals may be too narrow; None from `MIN_TEXTS` texts on."""
    return None if texts >= MIN_TEXTS else f"only {count(texts, 'text')}: intervals may be too narrow below {MIN_TEXTS}"


def percentiles(value: float, samples: Floats) -> Estimate:
    """Return `value` with the 95 % interval of bootstrap `samples`, extended to include it; NaN is undefined.

    Samples for which it is undefined are left out.
    """
    defined = samples[~np.isnan(samples)]
    if np.isnan(value) or not len(defined):
        return Estimate(None if np.isnan(value) else float(value))
    low, high = np.percentile(defined, [2.5, 97.5])
    # If no prediction is wrong, all samples lie below the value.
    return Estimate(float(value), min(float(low), value), max(float(high), value))


def prior_texts(texts: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return which texts also count with another label in a sample of the bootstrap, and with what weight.

    The weights of a sample are standard exponential: D. Rubin, "The Bayesian bootstrap", Annals of Statistics 9, 1981.
    That alone knows no error that was not observed: it would be certain of a classifier that was always right. So half
    a text of another label, which may be any of them, is added: what H. Jeffreys' prior is to a proportion. It keeps
    intervals from having no width. `benchmarks/coverage.py` simulates how often the intervals contain the truth.

    The weights are gamma distributed with shape PRIOR / texts; all but a few are practically zero, and these few are
    drawn as in J. Sethuraman, "A constructive definition of Dirichlet priors", 1994.
    """
    rest = np.cumprod(rng.random(PRIOR_PLACES) ** (1 / PRIOR))
    pieces = -np.diff(rest, prepend=1.0)
    return rng.integers(0, texts, PRIOR_PLACES), rng.standard_gamma(PRIOR) * pieces


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
    losses, wins = ((number + 1) / (texts + 2) for number in (only_first, only_other))
    spread = Z_95 * sqrt((losses + wins - (wins - losses) ** 2) / (texts + 2))
    return Estimate(value, max(min(wins - losses - spread, value), -1.0), min(max(wins - losses + spread, value), 1.0))


def discordant(first: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[int, int]:
    """Return how many texts one of two models alone has right, of which texts, (texts,), each has right."""
    return int((first & ~other).sum()), int((other & ~first).sum())


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
    results, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        results[index] = largest
    return results
