"""ROC and precision–recall curves of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

GRID = np.linspace(0, 1, 501)  # on which curves are averaged


@dataclass(frozen=True)
class Curve:
    """A line through points, float64 (points,) each; x never falls."""

    x: Floats
    y: Floats

    def at(self, x: float) -> float:
        """Return y at the last point whose x is not above `x`."""
        return float(self.y[max(int(np.searchsorted(self.x, x, "right")) - 1, 0)])


def roc(positive: NDArray[np.bool_], scores: Floats) -> Curve | None:
    """Return the true positive rate by the false positive rate, from (0, 0) to (1, 1); None for one class.

    Args:
        positive: (n,), whether a text is of the label.
        scores: (n,), its probability.
    """
    negatives, positives = _above(positive, scores)
    if not negatives[-1] or not positives[-1]:
        return None
    return Curve(*(np.append(0.0, counts / counts[-1]) for counts in (negatives, positives)))


def precision_recall(positive: NDArray[np.bool_], scores: Floats) -> Curve | None:
    """Return the precision by the recall, from the highest score on; None without positives. Arguments as `roc`."""
    negatives, positives = _above(positive, scores)
    if not positives[-1]:
        return None
    return Curve(positives / positives[-1], positives / (positives + negatives))


def macro_average(curves: Sequence[Curve]) -> Curve:
    """Return the mean of curves at equal x."""
    return Curve(GRID, np.mean([np.interp(GRID, curve.x, curve.y) for curve in curves], axis=0))


def _above(positive: NDArray[np.bool_], scores: Floats) -> NDArray[np.int64]:
    """Return how many negatives and positives have at least each distinct score, (2, scores), from the highest on."""
    distinct, group = np.unique(-scores, return_inverse=True)
    counts: NDArray[np.int64] = np.stack(
        [np.bincount(group[side], minlength=len(distinct)) for side in (~positive, positive)]
    ).cumsum(axis=1)
    return counts
