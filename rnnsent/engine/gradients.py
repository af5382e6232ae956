"""Gradients in the form that an optimizer's arithmetic means, and their norms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
from keras import ops


class GradientNorms(NamedTuple):
    """Global norms of the gradients of an epoch so far, before clipping."""

    mean: float  # nan where no step was taken
    largest: float
    steps: int  # that were taken: not those whose gradient overflowed in mixed precision


@contextmanager
def gradient_scope() -> Iterator[None]:
    """Drop the gradients that TensorFlow registers for custom operations traced in this block.

    It never does itself, and each keeps its graph, model and weights: some 20 MB for each training of a process.
    """
    registry = _registered_gradients()
    old_names = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - old_names:
            if name.startswith("CustomGradient-"):
                del registry[name]


def _registered_gradients() -> dict[str, object]:
    if keras.backend.backend() != "tensorflow":
        return {}
    from tensorflow.python.framework import ops as framework

    # Not of the public API, which has no way to let go; a TensorFlow without it leaks, and the soak says so.
    registry: dict[str, object] = getattr(getattr(framework, "gradient_registry", None), "_registry", {})
    return registry


def measured_optimizer(optimizer: type) -> type:
    """Return the optimizer class with dense gradients, whose norms it measures.

    On TensorFlow an embedding's gradient is a slice for each occurrence of a word, and Keras takes norms and squares of
    the slices, not of their sum, as the native engine does.
    """

    dense = _dense()

    class Measured(optimizer):  # type: ignore[misc]
        def build(self, variables: Sequence[Any]) -> None:
            if self.built:
                return
            super().build(variables)
            # One of the optimizer's variables, so that it is in checkpoints: sum, largest, number.
            self.gradient_norms = self.add_variable(shape=(3,), initializer="zeros", name="gradient_norms")

        def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
            gradients = [None if gradient is None else dense(gradient) for gradient in grads]
            super().apply(gradients, trainable_variables)
            norm, norms = _global_norm(gradients), self.gradient_norms
            self.gradient_norms.assign(ops.stack([norms[0] + norm, ops.maximum(norms[1], norm), norms[2] + 1.0]))

    Measured.__name__ = optimizer.__name__  # names the optimizer's variables
    return Measured


def reset_norms(optimizer: Any) -> None:
    """Let an epoch begin."""
    if inner_optimizer(optimizer).built:  # else there is nothing to forget
        inner_optimizer(optimizer).gradient_norms.assign([0.0, 0.0, 0.0])


def norms_of(optimizer: Any) -> GradientNorms:
    """Return the norms since `reset_norms`; across a stop and a resume, as they are variables of the optimizer."""
    total, largest, steps = ops.convert_to_numpy(inner_optimizer(optimizer).gradient_norms).tolist()
    return GradientNorms(total / steps if steps else math.nan, largest, int(steps))


def is_finite(norms: GradientNorms) -> bool:
    """Return whether the gradients of all steps that were taken were numbers."""
    return norms.steps == 0 or math.isfinite(norms.mean)


def inner_optimizer(optimizer: Any) -> Any:
    """Return the optimizer that takes the steps."""
    return getattr(optimizer, "inner_optimizer", optimizer)  # mixed precision wraps it


def _dense() -> Callable[[Any], Any]:
    """Return what makes one array of a gradient, with the slices of equal words summed."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        convert: Callable[[Any], Any] = tf.convert_to_tensor  # Keras' own would leave slices as they are
        return convert
    return lambda gradient: gradient


def _global_norm(gradients: Sequence[Any]) -> Any:
    """Return the norm that clipping goes by, in the same operations: where it is taken, this one costs nothing."""
    return ops.sqrt(ops.sum(ops.stack([ops.sum(ops.square(grad)) for grad in gradients if grad is not None])))
