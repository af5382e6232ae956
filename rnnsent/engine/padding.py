"""Runs the kernel over padded batches: masked and right-padded, or unmasked with padding before the words.

The notebook feeds its networks unmasked left padding. Its states are the same in every row, so they are computed once,
for the longest padding, and each row begins in the state in which its padding ends. Backward, the gradients of these
initial states flow into one pass over the padding. Values and gradients are those of whole rows, up to rounding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.engine.kernel import DEFAULTS, Floats, Gradients, Inputs, Options, Pass, Weights

PAD = 0

Mask = NDArray[np.bool_]


class LeftPaddedPass:
    """A `Pass` over whole rows of ids that begin with padding, without scale or reverse; gives the last states."""

    def __init__(self, weights: Weights, inputs: Inputs, options: Options) -> None:
        words = inputs.values != PAD
        # A row of padding alone keeps its last step as a word.
        self._pads = np.where(words.any(axis=1), words.argmax(axis=1), words.shape[1] - 1)
        self._padded = self._pads > 0
        self._padding = _padding_pass(weights, int(self._pads.max()), options.keep)
        self._words = Pass(weights, self._without_padding(inputs), Options(options.keep, workspace=options.workspace))
        self.states, self.workspace = self._words.states, self._words.workspace

    def backward(self, d_last: Floats) -> Gradients:
        """Return the gradients, as `Pass.backward` does; `initial` and `initial_carry` are those of the padding."""
        gradients = self._words.backward(d_last)
        d_states, d_carries = (self._summed(gradient) for gradient in (gradients.initial, gradients.initial_carry))
        padding = self._padding.backward(None, d_states, d_carries)
        gradients.inputs[PAD] += padding.inputs[0].sum(axis=0)
        for name in ("kernel", "recurrent", "bias"):
            total = getattr(gradients, name)
            total += getattr(padding, name)
        return replace(gradients, initial=padding.initial, initial_carry=padding.initial_carry)

    def _without_padding(self, inputs: Inputs) -> Inputs:
        """Return the words alone, moved to the left, with the states in which they begin."""
        steps = inputs.values.shape[1]
        tokens = np.full_like(inputs.values, PAD)
        for row, ids, pads in zip(tokens, inputs.values, self._pads.tolist(), strict=True):
            row[: steps - pads] = ids[pads:]
        states = self._padding.states
        return Inputs(
            tokens,
            (steps - self._pads).astype(np.int32),
            initial=self._initial(states.sequence),
            initial_carry=self._initial(states.carries),
        )

    def _initial(self, sequence: Floats | None) -> Floats | None:
        if sequence is None:
            return None
        states: Floats = sequence[0, self._pads - 1]
        states[~self._padded] = 0
        return states

    def _summed(self, gradient: Floats) -> Floats:
        """Sum the gradients of equal initial states: (rows, units) → (1, longest padding, units)."""
        total = np.zeros((1, int(self._pads.max()), gradient.shape[1]), np.float32)
        np.add.at(total[0], self._pads[self._padded] - 1, gradient[self._padded])
        return total


def _padding_pass(weights: Weights, steps: int, keep: bool) -> Pass:
    """Run the layer over so much padding, as vectors: nothing as large as the embedding is touched for one row."""
    assert weights.embedding is not None
    vectors = np.repeat(weights.embedding[None, PAD : PAD + 1], steps, axis=1)
    inputs = Inputs(vectors, np.array([steps], np.int32))
    weights = replace(weights, embedding=None)
    return Pass(weights, inputs, Options(keep, sequence=True, carries=weights.cell.states == 2, threads=1))


AnyPass = Pass | LeftPaddedPass


def run_pass(
    weights: Weights,
    values: NDArray[Any],
    mask: Mask | None,
    options: Options = DEFAULTS,
    *,
    scale: Floats | None = None,
    reverse: bool = False,
) -> AnyPass:
    """Run the kernel over a batch.

    Args:
        weights, options: as for `kernel.Pass`.
        values, scale, reverse: as for `kernel.Inputs`.
        mask: bool (batch, time), True for words; None: every row is read to its end, padding too.

    Raises:
        ValueError: if a mask is not right-padded, or as `kernel.Pass` does.
    """
    batch, steps = values.shape[:2]
    if mask is None:
        inputs = Inputs(values, np.full(batch, steps, np.int32), scale=scale, reverse=reverse)
        plain = weights.embedding is not None and scale is None and not (reverse or options.sequence)
        if plain and steps > 1 and (values[:, 0] == PAD).any():
            return LeftPaddedPass(weights, inputs, options)
    else:
        if (mask[:, 1:] > mask[:, :-1]).any():
            raise ValueError("the native kernel reads right-padded rows only: the mask has a word after padding")
        lengths = np.count_nonzero(mask, axis=1).astype(np.int32)
        inputs = Inputs(values, lengths, scale=scale, reverse=reverse)
    return Pass(weights, inputs, options)
