"""Masked batches that are not simply right-padded: padding between words, or nothing but padding.

The kernel reads each row up to its length. Where padding stands elsewhere, the words are moved together before the
pass, and what comes out is moved back; of a row without a single word the output is zero, and so is every gradient, as
stock Keras has it, which keeps the state that it began with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.engine.kernel import Floats, Gradients, Inputs, Pass, States, Weights

Mask = NDArray[np.bool_]


def lengths_of(mask: Mask) -> NDArray[np.int32]:
    """Return how many words each row has: bool (batch, time) → int32 (batch,)."""
    found: NDArray[np.int32] = np.count_nonzero(mask, axis=1).astype(np.int32)
    return found


def has_gaps(mask: Mask) -> bool:
    """Return whether words come after padding in a row, or a row has no word."""
    return not mask[:, 0].all() or bool((mask[:, 1:] > mask[:, :-1]).any())


class GappedPass:
    """A `Pass` over rows with padding anywhere; with the same arrays in and out.

    Args:
        weights: of the layer.
        inputs: a batch; its lengths are not read.
        mask: bool (batch, time), where the words are.
        keep, sequence, workspace: as for `Pass`.
    """

    def __init__(
        self,
        weights: Weights,
        inputs: Inputs,
        mask: Mask,
        *,
        keep: bool = True,
        sequence: bool = False,
        workspace: NDArray[np.uint8] | None = None,
    ) -> None:
        self._ids = weights.embedding is not None
        self._empty = ~mask.any(axis=1)
        self._order = np.argsort(~mask, axis=1, kind="stable")  # the words of each row first
        together = replace(
            inputs,
            values=np.ascontiguousarray(self._together(inputs.values)),
            lengths=np.maximum(lengths_of(mask), 1),  # the kernel reads a step of every row
        )
        self._pass = Pass(weights, together, keep=keep, sequence=sequence, workspace=workspace)

    @property
    def states(self) -> States:
        """The states; zero where there is padding."""
        found = self._pass.states
        last = found.last.copy()
        last[self._empty] = 0
        if found.sequence is None:
            return States(last)
        sequence = self._apart(found.sequence)
        sequence[self._empty] = 0
        return States(last, sequence)

    @property
    def workspace(self) -> NDArray[np.uint8]:
        """The bytes that were worked in."""
        return self._pass.workspace

    def backward(self, d_last: Floats | None = None, d_sequence: Floats | None = None) -> Gradients:
        """Return the gradients, as `Pass.backward` does."""
        if d_last is not None:
            d_last = d_last.copy()
            d_last[self._empty] = 0
        if d_sequence is not None:
            d_sequence = np.ascontiguousarray(self._together(d_sequence))
            d_sequence[self._empty] = 0
        gradients = self._pass.backward(d_last, d_sequence)
        return gradients if self._ids else replace(gradients, inputs=self._apart(gradients.inputs))

    def _together(self, array: NDArray[Any]) -> NDArray[Any]:
        return np.take_along_axis(array, self._places(array), axis=1)

    def _apart(self, array: Floats) -> Floats:
        found = np.zeros_like(array)
        np.put_along_axis(found, self._places(array), array, axis=1)
        return found

    def _places(self, array: NDArray[Any]) -> NDArray[np.int64]:
        return self._order if array.ndim == 2 else self._order[:, :, None]
