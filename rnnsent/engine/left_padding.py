"""Left-padded, unmasked reviews, as the notebook feeds them, without the work for their padding.

Before its first word every review stands in the same states: those of the padding alone, read from the start. They are
computed once, for the longest padding; each review then begins in the state in which its own padding ends. Backward,
the gradients of these beginnings flow into one pass over the padding. Values and gradients are those of reading every
review from its first padding on, up to rounding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.engine.kernel import Floats, Gradients, Inputs, Pass, States, Weights

PAD = 0


class LeftPaddedPass:
    """A `Pass` over whole rows of ids that begin with padding; only the last states come out.

    Args:
        weights: of the layer, with its embedding.
        inputs: ids; all rows are read from their first step to their last. Neither scale nor reverse.
        keep, workspace: as for `Pass`.
    """

    def __init__(
        self, weights: Weights, inputs: Inputs, *, keep: bool = True, workspace: NDArray[np.uint8] | None = None
    ) -> None:
        ids = inputs.values
        steps = ids.shape[1]
        words = ids != PAD
        # A row of padding alone keeps its last step as a word.
        self._pads = np.where(words.any(axis=1), words.argmax(axis=1), steps - 1)
        self._padded = self._pads > 0
        self._prefix: Pass | None = None
        if self._padded.any():
            inputs = self._shifted(weights, inputs, keep)
        self._rest = Pass(weights, inputs, keep=keep, workspace=workspace)

    @property
    def states(self) -> States:
        """The states after the last step."""
        return self._rest.states

    @property
    def workspace(self) -> NDArray[np.uint8]:
        """The bytes that were worked in."""
        return self._rest.workspace

    def backward(self, d_last: Floats) -> Gradients:
        """Return the gradients, as `Pass.backward` does; `initial` and `initial_carry` are those of the padding."""
        gradients = self._rest.backward(d_last)
        if self._prefix is None:
            return gradients
        starts = (gradients.initial, gradients.initial_carry)
        d_states, d_carries = (self._by_padding(start) for start in starts)
        padding = self._prefix.backward(None, d_states, d_carries)
        gradients.inputs[PAD] += padding.inputs[0].sum(axis=0)
        for name in ("kernel", "recurrent", "bias"):
            total = getattr(gradients, name)
            total += getattr(padding, name)
        return replace(gradients, initial=padding.initial, initial_carry=padding.initial_carry)

    def _shifted(self, weights: Weights, inputs: Inputs, keep: bool) -> Inputs:
        """Run the padding; return the words alone, moved to the left, with the states in which they begin."""
        _rows, steps = inputs.values.shape
        longest = int(self._pads.max())
        # As vectors, not as ids: nothing as large as the embedding is then touched for one of its rows.
        assert weights.embedding is not None
        vectors = np.repeat(weights.embedding[None, PAD : PAD + 1], longest, axis=1)
        only_padding = Inputs(vectors, np.array([longest], np.int32))
        lstm = weights.cell == "lstm"
        self._prefix = Pass(
            replace(weights, embedding=None), only_padding, keep=keep, sequence=True, carries=lstm, threads=1
        )
        states = self._prefix.states
        moved = np.full_like(inputs.values, PAD)
        for row, ids, pads in zip(moved, inputs.values, self._pads.tolist(), strict=True):
            row[: steps - pads] = ids[pads:]
        return Inputs(
            moved,
            (steps - self._pads).astype(np.int32),
            initial=self._beginnings(states.sequence),
            initial_carry=self._beginnings(states.carries) if lstm else None,
        )

    def _beginnings(self, sequence: Floats | None) -> Floats:
        assert sequence is not None
        found: Floats = sequence[0, self._pads - 1]
        found[~self._padded] = 0
        return found

    def _by_padding(self, gradient: Floats) -> Floats:
        """Sum the gradients of equal beginnings: (rows, units) → (1, longest padding, units)."""
        total = np.zeros((1, int(self._pads.max()), gradient.shape[1]), np.float32)
        np.add.at(total[0], self._pads[self._padded] - 1, gradient[self._padded])
        return total


def shares_padding(weights: Weights, inputs: Inputs, sequence: bool) -> bool:
    """Return whether there is left padding that can be read once for all rows, and nobody needs its states."""
    values: Any = inputs.values
    plain = weights.embedding is not None and inputs.scale is None and not inputs.reverse and not sequence
    return plain and values.shape[1] > 1 and bool((values[:, 0] == PAD).any())
