"""Predictions → the points of curves, in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

MOST = 200  # points of a curve that is drawn; more than these nobody sees


@dataclass(frozen=True)
class Curve:
    """A line through points, float64 (points,) each."""

    x: Floats
    y: Floats


def counted(positive: NDArray[np.bool_], scores: Floats) -> NDArray[np.int64]:
    """Return how many negatives and positives have each distinct score, (2, scores), ascending."""
    distinct, group = np.unique(scores, return_inverse=True)
    found: NDArray[np.int64] = np.stack(
        [np.bincount(group[side], minlength=len(distinct)) for side in (~positive, positive)]
    )
    return found


def roc(positive: NDArray[np.bool_], scores: Floats) -> Curve | None:
    """Return the ROC curve, false alarms against hits as shares, from (0, 0) to (1, 1); None for one class.

    Args:
        positive: (n,), whether a review is of the label.
        scores: (n,), its probability.
    """
    above = np.cumsum(counted(positive, scores)[:, ::-1], axis=1)
    totals = above[:, -1:]
    if not totals.all():
        return None
    shares = np.concatenate([np.zeros((2, 1)), above / totals], axis=1)
    return Curve(shares[0], shares[1])


def precision_recall(positive: NDArray[np.bool_], scores: Floats) -> Curve | None:
    """Return precision (y) against recall (x), from the surest review on; None without positives."""
    negatives, positives = np.cumsum(counted(positive, scores)[:, ::-1], axis=1)
    if not positives[-1]:
        return None
    return Curve(positives / positives[-1], positives / (positives + negatives))


def mean_roc(curves: Sequence[Curve]) -> Curve:
    """Return the mean of ROC curves at equal false alarms; the area below it is the mean of theirs.

    Source: T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27, 2006, section 9, vertical
    averaging.
    """
    x = np.unique(np.concatenate([curve.x for curve in curves]))
    ends = np.mean([_ends(curve, x) for curve in curves], axis=0)
    return Curve(np.repeat(x, 2), ends.T.ravel())


def _ends(curve: Curve, x: Floats) -> Floats:
    """Return the lowest and the highest y of a curve that rises at each of `x`, (2, len(x))."""
    own, first = np.unique(curve.x, return_index=True)
    low, high = curve.y[first], curve.y[np.append(first[1:], len(curve.x)) - 1]
    at = np.searchsorted(own, x)
    met, before = own[at] == x, np.maximum(at - 1, 0)
    along = (x - own[before]) / np.where(met, 1.0, own[at] - own[before])
    between = high[before] + along * (low[at] - high[before])
    found: Floats = np.stack([np.where(met, low[at], between), np.where(met, high[at], between)])
    return found


def mean_precision_recall(curves: Sequence[Curve]) -> Curve:
    """Return the mean precision of curves at equal recall, that of the first point that reaches it.

    Its steps add up to the mean of their average precisions.
    """
    x = np.unique(np.concatenate([curve.x[curve.x > 0] for curve in curves]))
    return Curve(x, np.mean([curve.y[np.searchsorted(curve.x, x)] for curve in curves], axis=0))


def thinned(curve: Curve, most: int = MOST) -> Curve:
    """Return at most `most` points of a curve in a square, first and last among them, as far apart along it."""
    if len(curve.x) <= most:
        return curve
    steps = np.abs(np.diff(curve.x)) + np.abs(np.diff(curve.y))
    along = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, along[-1], most)
    places = np.unique(np.minimum(np.searchsorted(along, wanted), len(along) - 1))
    return Curve(curve.x[places], curve.y[places])


def highest(curve: Curve, x: float) -> float:
    """Return y at the last point whose x is not above `x`."""
    return float(curve.y[max(int(np.searchsorted(curve.x, x, "right")) - 1, 0)])


def at_least(curve: Curve, x: float) -> float:
    """Return y at the first point whose x is not below `x`."""
    return float(curve.y[min(int(np.searchsorted(curve.x, x)), len(curve.x) - 1)])
