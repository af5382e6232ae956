"""The layers of a network in NumPy: the reference of the project, and prediction without TensorFlow.

Batch first, computed in the dtype of the input, float32 or float64, with weights as Keras keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import erf, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnsent.config.cells import Cell

Array = NDArray[np.floating[Any]]
Activation = Callable[[Array], Array]
Mask = NDArray[np.bool_]
Tokens = NDArray[np.integer[Any]]
State = tuple[Array, ...]

# Klambauer et al. 2017, "Self-Normalizing Neural Networks".
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def sigmoid(x: Array) -> Array:
    """Return the logistic function of `x`, of any shape."""
    # Below -80 the result is held at 2e-35, so that exp cannot overflow in float32.
    probability: Array = 1 / (1 + np.exp(np.minimum(-x, 80)))
    return probability


def softmax(x: Array) -> Array:
    """Return the softmax of `x` over its last axis."""
    exponential: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    exponential /= exponential.sum(axis=-1, keepdims=True)
    return exponential


def _erf(x: Array) -> Array:
    # NumPy has none, and an error function for each element is quick enough for a reference.
    values: Array = np.fromiter(map(erf, x.ravel().tolist()), x.dtype, x.size).reshape(x.shape)
    return values


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


ACTIVATIONS: Mapping[str, Activation] = {
    "linear": lambda x: x,
    "sigmoid": sigmoid,
    "softmax": softmax,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "elu": _elu,
    "selu": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * _elu(x)),
    "gelu": lambda x: x * (1 + _erf(x / sqrt(2))) / 2,
    "silu": lambda x: x * sigmoid(x),
    "softplus": lambda x: np.logaddexp(x, 0),
    "softsign": lambda x: x / (1 + np.abs(x)),
}


@dataclass(frozen=True, eq=False)
class RecurrentWeights:
    """The weights of one recurrent layer, as `keras.layers.Layer.get_weights()` orders them."""

    kernel: Array  # (features, gates * units)
    recurrent_kernel: Array  # (units, gates * units)
    bias: Array | None = None  # (gates * units,); (2, 3 * units) for a GRU with `reset_after`, input bias first

    def astype(self, dtype: DTypeLike) -> RecurrentWeights:
        """Return the same weights as `dtype`, without a copy where they have it already."""
        bias = None if self.bias is None else np.asarray(self.bias, dtype)
        return RecurrentWeights(np.asarray(self.kernel, dtype), np.asarray(self.recurrent_kernel, dtype), bias)


class BidirectionalWeights(NamedTuple):
    """The weights of the two directions of one bidirectional layer."""

    forward: RecurrentWeights
    backward: RecurrentWeights


def simple_rnn_step(projected: Array, state: State, weights: RecurrentWeights, activation: Activation) -> State:
    """tanh(x W + h U + b) (Elman 1990, "Finding Structure in Time")."""
    (hidden,) = state
    return (activation(projected + hidden @ weights.recurrent_kernel),)


def lstm_step(projected: Array, state: State, weights: RecurrentWeights, activation: Activation) -> State:
    """Gates in the order i, f, c, o (Hochreiter & Schmidhuber 1997; the forget gate: Gers et al. 2000)."""
    hidden, carry = state
    units = hidden.shape[-1]
    sums = projected + hidden @ weights.recurrent_kernel
    # One sigmoid over all four blocks costs less than three calls, although the candidate has no use for it.
    gates = sigmoid(sums)
    candidate = activation(sums[:, 2 * units : 3 * units])
    carry = gates[:, units : 2 * units] * carry + gates[:, :units] * candidate
    return gates[:, 3 * units :] * activation(carry), carry


def gru_step(projected: Array, state: State, weights: RecurrentWeights, activation: Activation) -> State:
    """Gates in the order z, r, h; the reset gate works after the product, the default of Keras and what cuDNN has."""
    (hidden,) = state
    units = hidden.shape[-1]
    recurrent = hidden @ weights.recurrent_kernel
    if weights.bias is not None:
        # The reset gate multiplies this bias, so it cannot join the input's bias outside of the loop.
        recurrent += weights.bias[1]
    gates = sigmoid(projected[:, : 2 * units] + recurrent[:, : 2 * units])
    candidate = activation(projected[:, 2 * units :] + gates[:, units:] * recurrent[:, 2 * units :])
    return (gates[:, :units] * hidden + (1 - gates[:, :units]) * candidate,)


def gru_reset_before_step(projected: Array, state: State, weights: RecurrentWeights, activation: Activation) -> State:
    """Gates in the order z, r, h; the reset gate works before the product, as published (Cho et al. 2014)."""
    (hidden,) = state
    units = hidden.shape[-1]
    gates = sigmoid(projected[:, : 2 * units] + hidden @ weights.recurrent_kernel[:, : 2 * units])
    reset_state = gates[:, units:] * hidden
    candidate = activation(projected[:, 2 * units :] + reset_state @ weights.recurrent_kernel[:, 2 * units :])
    return (gates[:, :units] * hidden + (1 - gates[:, :units]) * candidate,)


def recurrent(
    cell: Cell,
    inputs: Array,
    weights: RecurrentWeights,
    *,
    activation: str = "tanh",
    mask: Mask | None = None,
    return_sequences: bool = False,
) -> Array:
    """Run one recurrent layer over a batch of sequences, as the stock Keras layer does.

    A masked step keeps the state, so its output is the one before it.

    Args:
        cell: an entry of `config.cells.CELLS`, or a variant of one.
        inputs: (batch, timesteps, features).
        weights: of the layer.
        activation: of the candidate state, and of an LSTM's carry; a name in `ACTIVATIONS`.
        mask: (batch, timesteps), True for words.
        return_sequences: return the outputs of all steps instead of the last one.

    Returns:
        (batch, units) or (batch, timesteps, units).
    """
    weights = weights.astype(inputs.dtype)
    step = partial(cell.numpy_step(), weights=weights, activation=ACTIVATIONS[activation])
    mask = np.ones(inputs.shape[:2], np.bool_) if mask is None else mask
    state: State = (np.zeros((len(inputs), len(weights.recurrent_kernel)), inputs.dtype),) * cell.states
    outputs = []
    for projected, active in zip(_projected(cell, inputs, weights), mask.T[:, :, np.newaxis], strict=True):
        previous, state = state, step(projected, state)
        if not active.all():
            state = tuple(np.where(active, new, old) for new, old in zip(state, previous, strict=True))
        if return_sequences:
            outputs.append(state[0])
    return np.stack(outputs, axis=1) if return_sequences else state[0]


def _projected(cell: Cell, inputs: Array, weights: RecurrentWeights) -> Array:
    """Return x W + b of all steps, time first, (timesteps, batch, gates * units): one product, outside of the loop."""
    batch, timesteps, features = inputs.shape
    projected = inputs.swapaxes(0, 1).reshape(timesteps * batch, features) @ weights.kernel
    if weights.bias is not None:
        projected += weights.bias[0] if cell.biases == 2 else weights.bias
    return projected.reshape(timesteps, batch, weights.kernel.shape[1])


def bidirectional(
    cell: Cell,
    inputs: Array,
    weights: BidirectionalWeights,
    *,
    activation: str = "tanh",
    mask: Mask | None = None,
    return_sequences: bool = False,
) -> Array:
    """Run a layer in both directions and concatenate, as `keras.layers.Bidirectional` does (Schuster & Paliwal 1997).

    Arguments are those of `recurrent`. A returned sequence is in reading order and zero at masked steps.

    Returns:
        The forward half first: (batch, 2 * units) or (batch, timesteps, 2 * units).
    """
    run = partial(recurrent, cell, activation=activation, return_sequences=return_sequences)
    forward = run(inputs, weights.forward, mask=mask)
    backward = run(inputs[:, ::-1], weights.backward, mask=None if mask is None else mask[:, ::-1])
    if not return_sequences:
        return np.concatenate([forward, backward], axis=-1)
    outputs = np.concatenate([forward, backward[:, ::-1]], axis=-1)
    return outputs if mask is None else np.where(mask[:, :, np.newaxis], outputs, 0)


def embedding(tokens: Tokens, table: Array) -> Array:
    """Look up `tokens`, (batch, timesteps), in `table`, (num_words, features) -> (batch, timesteps, features).

    Raises:
        ValueError: if a token lies outside of the table; NumPy would read -1 as the last row.
    """
    if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < len(table):
        raise ValueError(f"tokens must lie in 0..{len(table) - 1}, found {tokens.min()}..{tokens.max()}")
    return table[tokens]


def dense(inputs: Array, kernel: Array, bias: Array | None = None, *, activation: str = "linear") -> Array:
    """Return activation(x W + b): (..., features) -> (..., units), with `activation` a name in `ACTIVATIONS`."""
    with np.errstate(invalid="ignore"):  # BLAS warned of finite numbers; perhaps of what it throws away
        output = inputs @ kernel.astype(inputs.dtype, copy=False)
    if bias is not None:
        output = output + bias.astype(inputs.dtype, copy=False)
    return ACTIVATIONS[activation](output)


def _mean(sequence: Array, mask: Mask) -> Array:
    steps = np.maximum(mask.sum(axis=1, keepdims=True), 1).astype(sequence.dtype)
    mean: Array = np.where(mask[:, :, np.newaxis], sequence, 0).sum(axis=1) / steps
    return mean


def _max(sequence: Array, mask: Mask) -> Array:
    highest = np.where(mask[:, :, np.newaxis], sequence, -np.inf).max(axis=1)
    return np.where(mask.any(axis=1, keepdims=True), highest, 0)


POOLINGS: Mapping[str, Callable[[Array, Mask], Array]] = {
    "mean": _mean,
    "max": _max,
    "mean_max": lambda sequence, mask: np.concatenate([_mean(sequence, mask), _max(sequence, mask)], axis=-1),
}


def pool(name: str, sequence: Array, mask: Mask | None = None) -> Array:
    """Reduce a sequence, (batch, timesteps, features), over its unmasked steps; a row without any gives zeros.

    Returns:
        (batch, features), or (batch, 2 * features) for "mean_max", the mean first.
    """
    return POOLINGS[name](sequence, np.ones(sequence.shape[:2], np.bool_) if mask is None else mask)


def attention_weights(sequence: Array, kernel: Array, bias: Array | None = None, mask: Mask | None = None) -> Array:
    """Return the softmax over time of the `Dense(1)` score of each step, 0 at masked ones.

    Shapes: sequence (batch, timesteps, features), kernel (features, 1), bias (1,), mask and result (batch, timesteps).
    """
    scores = dense(sequence, kernel, bias)[..., 0]
    if mask is None:
        return softmax(scores)
    # Not -inf, which would make a row that is all masked NaN; the product clears what such a row gets instead.
    return softmax(np.where(mask, scores, np.finfo(scores.dtype).min)) * mask


def attention(sequence: Array, kernel: Array, bias: Array | None = None, mask: Mask | None = None) -> Array:
    """Return the sum of the steps weighted by `attention_weights`, (batch, features) (after Bahdanau et al. 2015)."""
    context: Array = attention_weights(sequence, kernel, bias, mask)[:, np.newaxis] @ sequence
    return context[:, 0]


def simple_rnn_pass(inputs: Array, W: Array, U: Array, b: Array) -> Array:
    """Run the notebook's toy RNN over one sequence: s_t = tanh(W x_t + U s_(t-1) + b), with s_0 = 0.

    Unlike there, U multiplies the state, and outputs are stacked. Shapes: inputs (timesteps, input_features),
    W (output_features, input_features), U (output_features, output_features), b (output_features,) ->
    (timesteps, output_features).
    """
    state = np.zeros_like(b)
    outputs = []
    for x in inputs:
        state = np.tanh(W @ x + U @ state + b)
        outputs.append(state)
    return np.stack(outputs)
