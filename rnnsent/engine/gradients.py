"""Gradients in the form that an optimizer's arithmetic means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


def summed_by_word(optimizer: type) -> type:
    """Return the optimizer class with every gradient made dense first.

    On TensorFlow an embedding's gradient arrives as one slice for each occurrence of a word, and Keras takes the norm
    of the slices, and the squares that RMSprop and Adam divide by, not those of their sum: a step would depend on how
    often words repeat, and be another one where the engine sums them itself.
    """
    if keras.backend.backend() != "tensorflow":
        return optimizer
    import tensorflow as tf

    class Dense(optimizer):  # type: ignore[misc]
        def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
            dense = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in grads]
            super().apply(dense, trainable_variables)

    Dense.__name__ = optimizer.__name__  # names the optimizer's variables
    return Dense
