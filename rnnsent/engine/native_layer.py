"""The native kernel as a Keras layer around a stock one, whose weights it uses. TensorFlow on a CPU only."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from rnnsent.config.cells import Cell
from rnnsent.engine.kernel import Options, Weights
from rnnsent.engine.padding import AnyPass, LeftPaddedPass, run_pass


class NativeRecurrent(layers.Layer):  # type: ignore[misc]
    """A recurrent layer on the kernel, in one direction or both, with an Embedding folded in if there is one.

    Input: int32 (batch, time) with an embedding, else float32 (batch, time, features); right-padded if masked.
    Output: (batch, units) or (batch, time, units) as the stock layer's; zero, not repeated, at padding.

    Args:
        stock: the stock layer, Bidirectional or not, which keeps the weights and their names.
        cell: of the stock layer.
        features: width of an input vector.
        embedding: a stock Embedding, if the layer looks its vectors up itself.
    """

    def __init__(self, stock: Any, cell: Cell, features: int, embedding: Any | None = None) -> None:
        super().__init__(name=f"native_{stock.name}", dtype=stock.dtype_policy)
        stock.build((None, None, features))
        if embedding is not None:
            embedding.build((None, None))
        self.stock, self.embedding = stock, embedding
        self._cell = cell
        bidirectional = isinstance(stock, layers.Bidirectional)
        self._directions = [stock.forward_layer, stock.backward_layer] if bidirectional else [stock]
        self.built = True

    def call(self, inputs: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """Run every direction over the batch; the arguments are those of a stock layer, without an initial state."""
        outputs = [self._run(direction, inputs, mask, training) for direction in self._directions]
        return outputs[0] if len(outputs) == 1 else tf.concat(outputs, axis=-1)

    def compute_output_spec(
        self, inputs: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """Return the symbolic output."""
        shape = inputs.shape[:2] if self._directions[0].return_sequences else inputs.shape[:1]
        units = sum(direction.units for direction in self._directions)
        return keras.KerasTensor((*shape, units), dtype="float32")

    def _run(self, layer: Any, inputs: Any, mask: Any, training: bool) -> Any:
        cell = layer.cell
        source = inputs if self.embedding is None else tf.convert_to_tensor(self.embedding.embeddings.value)
        tokens = tf.zeros((0, 0), tf.int32) if self.embedding is None else inputs
        runner = _Runner(
            self._cell,
            sequence=layer.return_sequences,
            reverse=layer.go_backwards,
            masked=mask is not None,
            keep=bool(training),
        )
        mask = tf.zeros((0, 0), tf.bool) if mask is None else mask
        scale = _dropout_scale(cell, tf.shape(inputs)[0], int(cell.kernel.shape[0])) if training else None
        scale = tf.zeros((0, 0)) if scale is None else scale

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def run(*arrays: Any) -> tuple[Any, Any]:
            out, handle = tf.numpy_function(runner.forward, [tokens, mask, scale, *arrays], (tf.float32, tf.int64))

            def gradient(d_out: Any) -> list[Any]:
                gradients = tf.numpy_function(runner.backward, [handle, d_out], (tf.float32,) * len(arrays))
                return [tf.ensure_shape(value, array.shape) for value, array in zip(gradients, arrays, strict=True)]

            return out, gradient

        weights = (cell.kernel, cell.recurrent_kernel, cell.bias)
        out = run(source, *(tf.convert_to_tensor(weight.value) for weight in weights))
        rank = 3 if layer.return_sequences else 2
        return tf.ensure_shape(out, (*inputs.shape[: rank - 1], layer.units))


def _dropout_scale(cell: Any, batch: Any, features: int) -> Any | None:
    """Return the mask that the stock cell would draw: (batch, features), the same for every step."""
    if not cell.dropout:
        return None
    cell.reset_dropout_mask()
    mask = cell.get_dropout_mask(tf.ones((batch, features)))
    cell.reset_dropout_mask()
    return mask[0] if isinstance(mask, list) else mask


class _Runner:
    """Calls the kernel from TensorFlow's graph; passes wait here for their gradient."""

    def __init__(self, cell: Cell, *, sequence: bool, reverse: bool, masked: bool, keep: bool) -> None:
        self._cell, self._sequence, self._reverse, self._masked, self._keep = cell, sequence, reverse, masked, keep

    def forward(
        self,
        tokens: NDArray[np.int32],
        mask: NDArray[np.bool_],
        scale: NDArray[np.float32],
        source: NDArray[np.float32],
        *weights: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], np.int64]:
        folded = tokens.size > 0
        kernel, recurrent, bias = weights
        forward = run_pass(
            Weights(self._cell, kernel, recurrent, bias, source if folded else None),
            tokens if folded else source,
            mask if self._masked else None,
            Options(self._keep, self._sequence, workspace=_store.workspace()),
            scale=scale if scale.size else None,
            reverse=self._reverse,
        )
        states = forward.states
        out = states.sequence if self._sequence else states.last
        assert out is not None
        if self._keep:
            return out, _store.put(forward)
        _store.release(forward.workspace)
        return out, np.int64(-1)

    def backward(self, handle: np.int64, d_out: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        forward = _store.take(int(handle))
        d_out = np.ascontiguousarray(d_out)
        if self._sequence and not isinstance(forward, LeftPaddedPass):
            gradients = forward.backward(None, d_out)
        else:
            gradients = forward.backward(d_out)
        _store.release(forward.workspace)
        return gradients.inputs, gradients.kernel, gradients.recurrent, gradients.bias


class _PassStore:
    """Passes between forward and backward, and workspaces in between passes: fresh memory costs more than the work."""

    MAX_PASSES = 64  # so that passes without a gradient are dropped

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._passes: OrderedDict[int, AnyPass] = OrderedDict()
        self._free: list[NDArray[np.uint8]] = []
        self._next = 0

    def workspace(self) -> NDArray[np.uint8] | None:
        with self._lock:
            return self._free.pop() if self._free else None

    def release(self, workspace: NDArray[np.uint8]) -> None:
        with self._lock:
            self._free.append(workspace)
            self._free.sort(key=len)
            del self._free[:-8]  # the largest stay

    def put(self, forward: AnyPass) -> np.int64:
        with self._lock:
            self._next += 1
            self._passes[self._next] = forward
            while len(self._passes) > self.MAX_PASSES:
                self._passes.popitem(last=False)
            return np.int64(self._next)

    def take(self, handle: int) -> AnyPass:
        with self._lock:
            forward = self._passes.pop(handle, None)
        if forward is None:
            raise RuntimeError("no gradient: this layer was called with training=False, or too long ago")
        return forward


_store = _PassStore()
