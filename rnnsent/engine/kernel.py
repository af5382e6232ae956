"""The native kernel on NumPy arrays: one recurrent layer in one direction, forward and backward.

The build compiles the C code in `native/` if there is a compiler. Arrays are contiguous, float32 or int32.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.cells import Cell

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

LEVELS = ("plain", "avx2", "avx512")
MAX_THREADS = 64

_INTEGERS = (
    "cell", "units", "features", "reverse", "reviews", "steps", "words", "keep", "threads", "unused",
)  # fmt: skip
_ARRAYS = (
    "lengths", "tokens", "inputs", "kernel", "recurrent", "bias", "scale", "initial", "initial_carry",
    "last", "states", "carries", "d_last", "d_states", "d_carries",
    "d_inputs", "d_kernel", "d_recurrent", "d_bias", "d_initial", "d_initial_carry", "workspace",
)  # fmt: skip


class _Layer(ctypes.Structure):
    """`Layer` of native/layer.h."""

    _fields_ = [(name, ctypes.c_int32) for name in _INTEGERS] + [(name, ctypes.c_void_p) for name in _ARRAYS]


@dataclass(frozen=True)
class Weights:
    """The weights of one layer as Keras keeps them, and the embedding before it if that is folded in."""

    cell: Cell  # one that the kernel has
    kernel: Floats  # (features, gates · units)
    recurrent: Floats  # (units, gates · units)
    bias: Floats  # (gates · units,); GRU (2, 3 · units)
    embedding: Floats | None = None  # (words, features); None: the inputs are vectors


@dataclass(frozen=True)
class Inputs:
    """A padded batch."""

    values: NDArray[Any]  # int32 (batch, time), ids, if an embedding is folded in; else float32 (batch, time, features)
    lengths: Ints  # int32 (batch,), 1 … time: number of steps of each row before its padding
    scale: Floats | None = None  # (batch, features), the dropout mask of the input vectors of a row
    initial: Floats | None = None  # (batch, units); None is zero
    initial_carry: Floats | None = None  # the same for the LSTM's cell state
    reverse: bool = False  # whether every row is read from its last step to its first


@dataclass(frozen=True)
class States:
    """The output of a layer."""

    last: Floats  # (batch, units), the state after the last step that was read
    sequence: Floats | None = None  # (batch, time, units), zero at padding; None without `Options.sequence`
    carries: Floats | None = None  # the LSTM's cell states in the same form; None without `Options.carries`


@dataclass(frozen=True)
class Gradients:
    """Gradients of a loss, each of the shape of what it belongs to."""

    inputs: Floats  # of the embedding if that is folded in
    kernel: Floats
    recurrent: Floats
    bias: Floats
    initial: Floats
    initial_carry: Floats


@cache
def _library() -> ctypes.CDLL | None:
    spec = importlib.util.find_spec("rnnsent.engine._native")
    if spec is None or spec.origin is None or not Path(spec.origin).exists():
        return None
    try:
        library = ctypes.CDLL(spec.origin)
        library.rnnsent_workspace.restype = ctypes.c_int64
        library.rnnsent_flush.restype = ctypes.c_uint
        library.rnnsent_restore.argtypes = [ctypes.c_uint]
    except (OSError, AttributeError):
        return None
    return library


def available() -> bool:
    """Return whether the kernel was built and can be loaded."""
    return _library() is not None


def level() -> str:
    """Return the instruction set that the kernel uses here: "avx512", "avx2" or "plain"."""
    library = _library()
    return LEVELS[library.rnnsent_best()] if library else "none"


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Take denormal numbers for zero in this thread while the block runs, if there is a kernel.

    The moments of rare words fade into them, and each costs a hundred cycles; TensorFlow flushes them in its own
    threads alone.
    """
    library = _library()
    mode = library.rnnsent_flush() if library else 0
    try:
        yield
    finally:
        if library:
            library.rnnsent_restore(mode)


def default_threads() -> int:
    """Return the number of cores that this process may use."""
    return min(len(os.sched_getaffinity(0)), MAX_THREADS)


@dataclass(frozen=True)
class Options:
    """How a pass runs."""

    keep: bool = True  # whether `Pass.backward` will be called
    sequence: bool = False  # whether the states of all steps are returned
    carries: bool = False  # the same for the LSTM's cell states
    threads: int | None = None  # None: one for each core; the last bits of the gradients depend on it
    instructions: str | None = None  # one of LEVELS; None: the best
    workspace: NDArray[np.uint8] | None = None  # to work in; a new one is made if it is None or too small


DEFAULTS = Options()


class Pass:
    """A forward pass, and what its backward pass needs.

    Args:
        weights: of the layer.
        inputs: a batch.
        options: how it runs.

    Raises:
        ValueError: if shapes, types or values do not fit each other.
    """

    def __init__(self, weights: Weights, inputs: Inputs, options: Options = DEFAULTS) -> None:
        library = _library()
        if library is None:
            raise ValueError("the native kernel was not built")
        self._library, self._weights, self._inputs, self._keep = library, weights, inputs, options.keep
        self._level = library.rnnsent_best() if options.instructions is None else LEVELS.index(options.instructions)
        if self._level > library.rnnsent_best():
            raise ValueError(f"this machine has no {options.instructions}")
        _check(weights, inputs)
        batch, steps = inputs.values.shape[:2]
        units = weights.recurrent.shape[0]
        self.states = States(
            np.empty((batch, units), np.float32),
            np.zeros((batch, steps, units), np.float32) if options.sequence else None,
            np.zeros((batch, steps, units), np.float32) if options.carries else None,
        )
        self._layer = _Layer(
            cell=weights.cell.native,
            units=units,
            features=weights.kernel.shape[0],
            reverse=inputs.reverse,
            reviews=batch,
            steps=steps,
            words=0 if weights.embedding is None else len(weights.embedding),
            keep=options.keep,
            threads=max(1, min(options.threads or default_threads(), MAX_THREADS)),
            lengths=_address(inputs.lengths),
            tokens=None if weights.embedding is None else _address(inputs.values),
            inputs=_address(inputs.values if weights.embedding is None else weights.embedding),
            kernel=_address(weights.kernel),
            recurrent=_address(weights.recurrent),
            bias=_address(weights.bias),
            scale=_address(inputs.scale),
            initial=_address(inputs.initial),
            initial_carry=_address(inputs.initial_carry),
            last=_address(self.states.last),
            states=_address(self.states.sequence),
            carries=_address(self.states.carries),
        )
        size = library.rnnsent_workspace(self._level, ctypes.byref(self._layer))
        workspace = options.workspace
        if workspace is None or workspace.nbytes < size:
            workspace = np.empty(size, np.uint8)
        self.workspace = workspace
        self._layer.workspace = _address(workspace)
        library.rnnsent_forward(self._level, ctypes.byref(self._layer))

    def backward(
        self, d_last: Floats | None = None, d_sequence: Floats | None = None, d_carries: Floats | None = None
    ) -> Gradients:
        """Return the gradients of inputs and weights; once per pass.

        Args:
            d_last, d_sequence, d_carries: gradients of `states`; None is zero. Their values at padding are not read.

        Raises:
            ValueError: if nothing was kept, or this was done before.
        """
        if not self._keep:
            raise ValueError("this pass kept nothing for backward, or has been backward already")
        self._keep = False
        weights, batch = self._weights, self._inputs.values.shape[0]
        units = weights.recurrent.shape[0]
        source = self._inputs.values if weights.embedding is None else weights.embedding
        gradients = Gradients(
            inputs=np.zeros(source.shape, np.float32),
            kernel=np.empty_like(weights.kernel),
            recurrent=np.empty_like(weights.recurrent),
            bias=np.empty_like(weights.bias),
            initial=np.empty((batch, units), np.float32),
            initial_carry=np.empty((batch, units), np.float32),
        )
        layer = self._layer
        layer.d_last, layer.d_states, layer.d_carries = _address(d_last), _address(d_sequence), _address(d_carries)
        layer.d_inputs, layer.d_kernel = _address(gradients.inputs), _address(gradients.kernel)
        layer.d_recurrent, layer.d_bias = _address(gradients.recurrent), _address(gradients.bias)
        layer.d_initial, layer.d_initial_carry = _address(gradients.initial), _address(gradients.initial_carry)
        self._library.rnnsent_backward(self._level, ctypes.byref(layer))
        return gradients


def _address(array: NDArray[Any] | None) -> int | None:
    return None if array is None else array.ctypes.data


def _check(weights: Weights, inputs: Inputs) -> None:
    """Everything that the C code relies on."""
    units, features = weights.recurrent.shape[0], weights.kernel.shape[0]
    width = weights.cell.gates * units
    _require("recurrent", weights.recurrent, np.float32, (units, width))
    _require("kernel", weights.kernel, np.float32, (features, width))
    _require("bias", weights.bias, np.float32, (2, width) if weights.cell.biases == 2 else (width,))
    batch, steps = inputs.values.shape[:2]
    if not (batch and steps and units and features):
        raise ValueError("a layer needs at least one review, step, unit and feature")
    if batch * steps > np.iinfo(np.int32).max:
        raise ValueError(f"a batch of {batch} x {steps} steps is too large")
    if weights.embedding is None:
        _require("values", inputs.values, np.float32, (batch, steps, features))
    else:
        _require("embedding", weights.embedding, np.float32, (len(weights.embedding), features))
        _require("values", inputs.values, np.int32, (batch, steps))
        _require_within("values", inputs.values, 0, len(weights.embedding) - 1)
    _require("lengths", inputs.lengths, np.int32, (batch,))
    _require_within("lengths", inputs.lengths, 1, steps)
    for name, array, shape in (
        ("scale", inputs.scale, (batch, features)),
        ("initial", inputs.initial, (batch, units)),
        ("initial_carry", inputs.initial_carry, (batch, units)),
    ):
        if array is not None:
            _require(name, array, np.float32, shape)


def _require(name: str, array: NDArray[Any], dtype: type, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
        raise ValueError(
            f"{name} must be a contiguous {np.dtype(dtype)} array of shape {shape}, not {array.dtype} {array.shape}"
        )


def _require_within(name: str, array: NDArray[Any], low: int, high: int) -> None:
    if array.min() < low or array.max() > high:
        raise ValueError(f"{name} must lie within {low} … {high}, not {array.min()} … {array.max()}")
