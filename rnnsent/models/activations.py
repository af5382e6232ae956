"""Activation functions in NumPy, each the function that Keras has under the same name; the dtype stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Activation = Callable[[Array], Array]

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
