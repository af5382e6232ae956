"""Coverage curves: the accuracy of the most confident predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.evaluation.intervals import proportion
from rnnsent.runs.schemas import Coverage

SHARES = (1.0, 0.95, 0.9, 0.8, 0.5)


def coverage(
    right: NDArray[np.bool_], confidence: NDArray[np.floating[Any]], shares: Sequence[float] = SHARES
) -> list[Coverage]:
    """Return the accuracy of the most confident predictions for several shares of the texts.

    Args:
        right: (n,), whether the predicted label is the real one.
        confidence: (n,), the probability of the predicted label.
        shares: of the texts; equal confidences stay together, so a row may have a larger share.
    """
    ordered = np.sort(confidence)[::-1]
    rows = []
    for share in shares:
        threshold = float(ordered[max(int(np.ceil(share * len(ordered))), 1) - 1])
        kept = confidence >= threshold
        texts = int(kept.sum())
        accuracy = proportion(int(right[kept].sum()), texts)
        rows.append(Coverage(threshold=threshold, share=texts / len(ordered), texts=texts, accuracy=accuracy))
    return rows
