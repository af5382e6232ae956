"""Batches → what Keras' fit, evaluate and predict take on the running backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from rnnsent.batches import Batch, Batches


def keras_batches(batches: Batches, epoch: Callable[[], int] = lambda: 0) -> Any:
    """Return the batches as a data set that asks for the number of its epoch each time it is iterated over.

    Batches are made in the background while the model is busy with the one before.
    """
    if keras.backend.backend() == "tensorflow":
        return _tensorflow_dataset(batches, epoch)
    return _PyBatches(batches, epoch)


def _tensorflow_dataset(batches: Batches, epoch: Callable[[], int]) -> Any:
    import tensorflow as tf

    def generate() -> Iterator[Batch]:
        return batches.epoch(epoch())

    # Both dimensions are left open, so that no batch of another length makes TensorFlow trace the model again.
    signature = (tf.TensorSpec((None, batches.fixed_length), tf.int32), tf.TensorSpec((None, 1), tf.float32))
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(2)


class _PyBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """The same for backends other than TensorFlow."""

    def __init__(self, batches: Batches, epoch: Callable[[], int]) -> None:
        super().__init__(workers=1)
        self._batches, self._epoch = batches, epoch
        self._order: list[np.ndarray[Any, Any]] = []

    @property
    def num_batches(self) -> int:
        """How many batches there are in an epoch."""
        return len(self._batches)

    def __getitem__(self, index: int) -> Batch:
        # The order of an epoch is asked for with its first batch, or to look at one before training.
        if index == 0 or not self._order:
            self._order = self._batches.order(self._epoch())
        return self._batches.batch(self._order[index])
