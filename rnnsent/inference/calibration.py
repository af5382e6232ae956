"""What makes probabilities mean what they say, found on validation reviews: a temperature, and a threshold.

A network is as a rule surer than it is right. Dividing its logits by one number, the temperature, mends that and
changes no answer: C. Guo, G. Pleiss, Y. Sun and K. Weinberger, "On calibration of modern neural networks", ICML 2017.

Of two labels there may also be a better probability than one half to draw the line at. A line drawn where a thousand
reviews would have it is mostly noise, so it stays at one half unless the other one is better by McNemar's exact test.
Logits are shifted by that of the threshold, so that what is above one half after calibration is what was above the
threshold before, and whoever reads probabilities needs to know nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.errors import count
from rnnsent.evaluation.intervals import Estimate, proportion
from rnnsent.evaluation.measures import mcnemar

Floats = NDArray[np.floating[Any]]

CLIP = 1e-7  # float32 probabilities have no digits nearer to 0 and 1
HOTTEST = 20.0  # temperatures lie between this and its inverse
NEARLY = 1.001
FEW = 100  # reviews, by which a temperature is hardly known
SIGNIFICANT = 0.01  # stricter than usual: the best of many thresholds looks better than it is
SHARES = (1.0, 0.95, 0.9, 0.8, 0.5)  # of the reviews, that are to be answered


@dataclass(frozen=True, slots=True)
class Calibration:
    """How probabilities of a network are changed.

    Attributes:
        temperature: what logits are divided by; above 1 the network was too sure.
        threshold: of two labels, the probability before calibration above which label 1 is predicted.
        reviews: on how many it was found; 0 where nothing was.
    """

    temperature: float = 1.0
    threshold: float = 0.5
    reviews: int = 0

    def __call__(self, probabilities: Floats) -> NDArray[np.float32]:
        """Return calibrated probabilities: of label 1, (n,), or of each label, (n, labels), as they were given."""
        if self == Calibration(reviews=self.reviews):
            same: NDArray[np.float32] = probabilities.astype(np.float32, copy=False)
            return same
        wide = np.clip(probabilities.astype(np.float64), CLIP, 1 - CLIP)
        if wide.ndim == 1:
            found = 1 / (1 + np.exp(-(logit(wide) - self.shift) / self.temperature))
        else:
            powers = np.exp((np.log(wide) - np.log(wide).max(axis=1, keepdims=True)) / self.temperature)
            found = powers / powers.sum(axis=1, keepdims=True)
        calibrated: NDArray[np.float32] = found.astype(np.float32)
        return calibrated

    def __str__(self) -> str:
        at = "" if self.threshold == NONE.threshold else f", threshold {self.threshold:.3f}"
        end = " (the least that is tried)" if self.temperature < NEARLY / HOTTEST else ""
        end = " (the highest that is tried)" if self.temperature > HOTTEST / NEARLY else end
        few = ": few to find it by" if self.reviews < FEW else ""
        return f"temperature {self.temperature:.3f}{end}{at}, of {count(self.reviews, 'validation text')}{few}"

    @property
    def shift(self) -> float:
        """The logit of the threshold."""
        return float(np.log(self.threshold) - np.log1p(-self.threshold))

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Calibration:
        """Read what `to_dict` gave; other keys are passed over.

        Raises:
            RunError: if it is something else.
        """
        from rnnsent.runs.schemas import Calibrated, checked

        found = checked(Calibrated, values, where)
        return cls(found.temperature, found.threshold, found.reviews)


NONE = Calibration()


def fit(labels: NDArray[np.int64], probabilities: Floats) -> Calibration:
    """Find temperature and threshold on validation reviews.

    The temperature gives the least log loss; a faint pull towards 1, as strong as one review, keeps it finite where
    every answer is right. It never makes the log loss worse than it was.

    Args:
        labels: (n,).
        probabilities: of label 1, (n,), or of each label, (n, labels).
    """
    if not len(labels):
        return NONE
    threshold = _threshold(labels, probabilities) if probabilities.ndim == 1 else 0.5

    def cost(log_temperature: float) -> float:
        calibrated = Calibration(float(np.exp(log_temperature)), threshold)(probabilities)
        return log_loss(labels, calibrated) + log_temperature**2 / (2 * len(labels))

    low, high = -np.log(HOTTEST), np.log(HOTTEST)
    best = _minimum(cost, float(low), float(high))
    temperature = float(np.exp(best)) if cost(best) < cost(0.0) else 1.0
    return Calibration(round(temperature, 6), threshold, len(labels))


def log_loss(labels: NDArray[np.int64], probabilities: Floats) -> float:
    """Return the mean of -ln(probability of the real label)."""
    wide = np.clip(probabilities.astype(np.float64), CLIP, 1 - CLIP)
    real = np.where(labels == 1, wide, 1 - wide) if wide.ndim == 1 else wide[np.arange(len(labels)), labels]
    return float(-np.log(real).mean())


def logit(probabilities: Floats) -> Floats:
    """Return ln(p / (1 - p))."""
    found: Floats = np.log(probabilities) - np.log1p(-probabilities)
    return found


def _threshold(labels: NDArray[np.int64], probabilities: Floats) -> float:
    """Return the threshold of the best accuracy, between two reviews; 0.5 unless it is surely better."""
    order = np.argsort(probabilities, kind="stable")
    sorted_, real = probabilities[order].astype(np.float64), labels[order]
    # Right answers if the line is drawn below review k: zeros before it, ones from it on.
    right = np.concatenate([[0], np.cumsum(real == 0)]) + np.concatenate([np.cumsum((real == 1)[::-1])[::-1], [0]])
    possible = np.concatenate([[False], sorted_[1:] > sorted_[:-1], [False]])
    if not possible.any():
        return 0.5
    place = int(np.argmax(np.where(possible, right, -1)))
    found = round(float(np.clip((sorted_[place - 1] + sorted_[place]) / 2, CLIP, 1 - CLIP)), 6)
    other, half = ((probabilities > line) == labels for line in (found, 0.5))
    if mcnemar(int((other & ~half).sum()), int((half & ~other).sum())) >= SIGNIFICANT:
        return 0.5
    return found


def _minimum(cost: Any, low: float, high: float) -> float:
    """Return where a convex function is least, by golden section."""
    ratio = (np.sqrt(5) - 1) / 2
    one, two = high - ratio * (high - low), low + ratio * (high - low)
    costs = cost(one), cost(two)
    while high - low > 1e-6:
        if costs[0] <= costs[1]:
            high, two = two, one
            one = high - ratio * (high - low)
            costs = cost(one), costs[0]
        else:
            low, one = one, two
            two = low + ratio * (high - low)
            costs = costs[1], cost(two)
    return float((low + high) / 2)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is gained by leaving out the least certain answers.

    Attributes:
        least: the probability from which an answer is given.
        share: of the reviews that then have one.
        reviews: how many these are.
        accuracy: of these answers.
    """

    least: float
    share: float
    reviews: int
    accuracy: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return {"least": self.least, "share": self.share, "reviews": self.reviews, "accuracy": self.accuracy.to_dict()}


def coverage(right: NDArray[np.bool_], confidence: Floats, shares: tuple[float, ...] = SHARES) -> list[Coverage]:
    """Return the accuracy of the surest answers, so many of them at least as each of `shares` says.

    Args:
        right: (n,), whether the predicted label is the real one.
        confidence: (n,), the probability of the predicted label.
        shares: of the reviews.
    """
    ordered = np.sort(confidence)[::-1]
    found = []
    for share in shares:
        least = float(ordered[max(int(np.ceil(share * len(ordered))), 1) - 1])
        answered = confidence >= least
        number = int(answered.sum())
        found.append(Coverage(least, number / len(ordered), number, proportion(int(right[answered].sum()), number)))
    return found
