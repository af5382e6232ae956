"""Numbers that are none any more, NaN or infinite: which array holds one, and which batch it came with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def first_not_finite(arrays: Mapping[str, NDArray[Any]]) -> str | None:
    """Return the name of the first array with a number that is NaN or infinite; None where there is none."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return name
    return None


def shown_batch(index: NDArray[np.int64], noun: str = "review") -> str:
    """Return "a batch of 40 reviews: 3, 17, 20, 31, 5, …"; they count from 0 in the order of the split."""
    first = ", ".join(map(str, index[:5].tolist()))
    return f"a batch of {len(index)} {noun}s: {first}{', …' if len(index) > 5 else ''}"
