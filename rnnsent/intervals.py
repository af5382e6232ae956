"""A value with its 95 % interval: Wilson's for a proportion, for all else one from a bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution

# With fewer reviews, or fewer mistakes among them, what is drawn again and again is too much alike.
FEW_REVIEWS, FEW_MISTAKES = 200, 20

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


def doubts(reviews: int, mistakes: int) -> str | None:
    """Return why bootstrapped intervals are too narrow, if they are: then Wilson's alone can be relied on."""
    if reviews >= FEW_REVIEWS and mistakes >= FEW_MISTAKES:
        return None
    few = f"{reviews:,} reviews are few" if reviews < FEW_REVIEWS else f"{mistakes:,} mistakes are few"
    return f"{few}: the true figures lie outside these intervals more often than in 5 of 100 cases"


def percentiles(value: float, samples: Floats) -> Estimate:
    """Return `value` with the 95 % interval of its bootstrap `samples`; NaN is undefined.

    Resamples in which it is undefined are left out.
    """
    defined = samples[~np.isnan(samples)]
    if np.isnan(value) or not len(defined):
        return Estimate(None if np.isnan(value) else value)
    low, high = np.percentile(defined, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def of_area(value: float, samples: Floats) -> Estimate:
    """Return an area under a curve, 0 … 1, with the 95 % interval of its bootstrap `samples`; NaN is undefined.

    Near 1 the percentiles hold the truth too seldom, in 91 % of simulated sets of 200 reviews. Instead it is the normal
    interval of the logits, which are spread evenly around theirs.
    """
    defined = samples[~np.isnan(samples)]
    inside = defined[(defined > 0) & (defined < 1)]
    if np.isnan(value) or not 0 < value < 1 or not len(inside):
        return percentiles(value, samples)
    least = np.minimum(inside, 1 - inside).min() / 2  # of what a resample can show, for those that show a whole area
    spread = Z_95 * float(_logit(np.clip(defined, least, 1 - least)).std())
    center = float(_logit(np.array([value]))[0])
    low, high = (1 / (1 + np.exp(-(center + side))) for side in (-spread, spread))
    return Estimate(value, float(low), float(high))


def _logit(shares: Floats) -> Floats:
    found: Floats = np.log(shares / (1 - shares))
    return found
