"""Accuracy by coverage: what abstaining from the least confident predictions gains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.evaluation.intervals import Estimate, proportion

SHARES = (1.0, 0.95, 0.9, 0.8, 0.5)  # of the texts that keep their prediction


@dataclass(frozen=True, slots=True)
class Coverage:
    """The accuracy of the most confident predictions.

    Attributes:
        least: the lowest confidence among them.
        share: their share of all texts.
        reviews: how many they are.
        accuracy: how many of them are right.
    """

    least: float
    share: float
    reviews: int
    accuracy: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return {"least": self.least, "share": self.share, "reviews": self.reviews, "accuracy": self.accuracy.to_dict()}


def coverage(
    right: NDArray[np.bool_], confidence: NDArray[np.floating[Any]], shares: tuple[float, ...] = SHARES
) -> list[Coverage]:
    """Return the accuracy of the most confident predictions, at least each of `shares` of them.

    Args:
        right: (n,), whether the predicted label is the real one.
        confidence: (n,), the probability of the predicted label.
        shares: of the texts.
    """
    ordered = np.sort(confidence)[::-1]
    rows = []
    for share in shares:
        least = float(ordered[max(int(np.ceil(share * len(ordered))), 1) - 1])
        kept = confidence >= least
        number = int(kept.sum())
        rows.append(Coverage(least, number / len(ordered), number, proportion(int(right[kept].sum()), number)))
    return rows
