"""One way into the kernel for any batch, wherever its padding stands, and whether it is masked or read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.engine.gaps import GappedPass, Mask, has_gaps, lengths_of
from rnnsent.engine.kernel import Floats, Inputs, Pass, Weights
from rnnsent.engine.left_padding import LeftPaddedPass, shares_padding

AnyPass = Pass | LeftPaddedPass | GappedPass


def run_pass(
    weights: Weights,
    values: NDArray[Any],
    mask: Mask | None,
    *,
    scale: Floats | None = None,
    reverse: bool = False,
    keep: bool = True,
    sequence: bool = False,
    workspace: NDArray[np.uint8] | None = None,
) -> AnyPass:
    """Run the kernel over a batch.

    Args:
        values, scale, reverse: as for `kernel.Inputs`.
        mask: bool (batch, time), where the words are; None: all of it is read, padding too.
        weights, keep, sequence, workspace: as for `kernel.Pass`.

    Raises:
        ValueError: as `kernel.Pass` does.
    """
    batch, steps = values.shape[:2]
    lengths = np.full(batch, steps, np.int32) if mask is None else lengths_of(mask)
    inputs = Inputs(values, lengths, scale=scale, reverse=reverse)
    if mask is not None and batch and steps and has_gaps(mask):
        return GappedPass(weights, inputs, mask, keep=keep, sequence=sequence, workspace=workspace)
    if mask is None and shares_padding(weights, inputs, sequence):
        return LeftPaddedPass(weights, inputs, keep=keep, workspace=workspace)
    return Pass(weights, inputs, keep=keep, sequence=sequence, workspace=workspace)
