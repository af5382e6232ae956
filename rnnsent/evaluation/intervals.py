"""A value with its 95 % interval: Wilson's for a proportion, for all else one from a Bayesian bootstrap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution

FEW_REVIEWS = 30  # with fewer nobody tried how often the intervals hold the truth
FEW_APART = 10  # of a label, that one of two networks alone has right; simulated in docs/judging.md, "Comparisons"

PRIOR = 0.5  # reviews of another label that every set is taken to hold besides its own
PRIOR_PLACES = 24  # among which that is shared out; what is left over is less than 1e-11 of it

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


def doubts(reviews: int, unit: str = "review") -> str | None:
    """Return why the intervals may not be what they seem; None where they were found to be.

    Args:
        reviews: how many.
        unit: what one of them is called.
    """
    if reviews >= FEW_REVIEWS:
        return None
    tried = f"from {FEW_REVIEWS} on the intervals were found to hold the true figures as often as they should"
    return f"{reviews:,} {unit}{' is' if reviews == 1 else 's are'} few: {tried}"


def paired_doubts(apart: Mapping[str, int]) -> str | None:
    """Return why intervals of a paired bootstrap may be too narrow; None where they were found not to be.

    Args:
        apart: of each label, on how many of its reviews one of the two alone is right.
    """
    few = {name: number for name, number in apart.items() if number < FEW_APART}
    if not few:
        return None
    told = ", ".join(f"{number} of {name}" for name, number in few.items())
    return (
        f"Few reviews are right in one run alone ({told}): with fewer than {FEW_APART} of a label the intervals, that "
        "of accuracy apart, may be too narrow, and hold the true difference in 85 to 93 % instead of 95"
    )


def percentiles(value: float, samples: Floats) -> Estimate:
    """Return `value` with the 95 % interval of the `samples` of a bootstrap, which holds it; NaN is undefined.

    Samples in which it is undefined are left out.
    """
    defined = samples[~np.isnan(samples)]
    if np.isnan(value) or not len(defined):
        return Estimate(None if np.isnan(value) else value)
    low, high = np.percentile(defined, [2.5, 97.5])
    # Where nothing is wrong all samples lie below the value.
    return Estimate(value, min(float(low), value), max(float(high), value))


def prior_reviews(reviews: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
    """Return which of the reviews a sample of the bootstrap takes to have another label as well, and their weights.

    Weights of reviews are drawn, in each sample, from the standard exponential distribution: D. Rubin, "The Bayesian
    bootstrap", Annals of Statistics 9, 1981. That alone knows no mistake that was not seen, and of a classifier that
    was always right it would be certain. So the reviews are taken to hold half a review more, of another label, which
    may be any of them: what H. Jeffreys' prior is to a proportion, and what keeps an interval from having no width.
    How often the intervals hold the truth, from 30 reviews on: `benchmarks/coverage.py`.

    The weights are those of a gamma distribution of shape PRIOR / reviews for each review, of which all but a few are
    as good as zero; J. Sethuraman, "A constructive definition of Dirichlet priors", 1994, draws these few.
    """
    rest = np.cumprod(rng.random(PRIOR_PLACES) ** (1 / PRIOR))
    pieces = -np.diff(rest, prepend=1.0)
    return rng.integers(0, reviews, PRIOR_PLACES), rng.standard_gamma(PRIOR) * pieces


def paired(only_first: int, only_other: int, reviews: int) -> Estimate:
    """Return how far a share of right answers is above another on the same reviews, with its interval.

    Source: D. Bonett and R. Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data", Journal of Educational and Behavioral Statistics 37, 2012.

    Args:
        only_first, only_other: reviews that one of the two alone has right.
        reviews: on how many; undefined if 0.
    """
    if reviews == 0:
        return Estimate(None)
    value = (only_other - only_first) / reviews
    lost, won = ((number + 1) / (reviews + 2) for number in (only_first, only_other))
    spread = Z_95 * sqrt((lost + won - (won - lost) ** 2) / (reviews + 2))
    return Estimate(value, max(min(won - lost - spread, value), -1.0), min(max(won - lost + spread, value), 1.0))
