"""Batches → what Keras' fit, evaluate and predict take on the running backend."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rnnsent.data.batching import Batch, Batches


def keras_batches(batches: Batches, epoch: Callable[[], int] = lambda: 0) -> Any:
    """Return the batches as a data set, made in the background, that asks for its epoch when it is iterated over."""
    numbered = _Numbered(batches, epoch)
    return _tensorflow_dataset(numbered) if keras.backend.backend() == "tensorflow" else _PyBatches(numbered)


class _Numbered:
    """The batches of an epoch by their number; the order of the epoch is known from the first on."""

    def __init__(self, batches: Batches, epoch: Callable[[], int]) -> None:
        self.batches, self._epoch = batches, epoch
        self._order: list[NDArray[np.int64]] = []

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Batch:
        if number == 0 or not self._order:
            self._order = self.batches.order(self._epoch())
        return self.batches.batch(self._order[number])


def _tensorflow_dataset(numbered: _Numbered) -> Any:
    import tensorflow as tf

    length, channels = numbered.batches.fixed_length, numbered.batches.split.channels
    columns = numbered.batches.outputs
    # Dimensions are left open, so that no batch of another length makes TensorFlow trace the model again.
    shapes: list[tuple[int | None, ...]] = [(None, length)]
    types = [tf.int32]
    if channels is not None:
        shapes.append((None, length, channels.shape[1]))
        types.append(tf.float32)

    reference = weakref.ref(numbered)  # TensorFlow keeps every function for ever, which would keep batches and model

    def flat(index: Any) -> Any:
        source = reference()
        assert source is not None  # the data set holds it
        inputs, targets = source[int(index)]
        return (*inputs, targets)

    def make(number: Any) -> Any:
        *inputs, targets = tf.numpy_function(flat, [number], (*types, tf.float32))
        tensors = tuple(tf.ensure_shape(tensor, shape) for tensor, shape in zip(inputs, shapes, strict=True))
        return tensors if len(tensors) > 1 else tensors[0], tf.ensure_shape(targets, (None, columns))

    # One at a time and in order: a batch is made in a fraction of the time in which the model works on it.
    dataset = tf.data.Dataset.range(len(numbered)).map(make, num_parallel_calls=1, deterministic=True).prefetch(2)
    options = tf.data.Options()
    # The tuner has nothing to tune, and its thread sometimes sleeps on for seconds before the next epoch.
    options.autotune.enabled = False
    dataset = dataset.with_options(options)
    dataset.numbered = numbered
    return dataset


class _PyBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """The same for backends other than TensorFlow."""

    def __init__(self, numbered: _Numbered) -> None:
        super().__init__(workers=1)
        self._numbered = numbered

    @property
    def num_batches(self) -> int:
        """How many batches there are in an epoch."""
        return len(self._numbered)

    def __getitem__(self, index: int) -> Any:
        inputs, targets = self._numbered[index]
        return inputs if len(inputs) > 1 else inputs[0], targets
