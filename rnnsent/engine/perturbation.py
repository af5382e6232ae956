"""Adversarial and virtual adversarial training: the loss also of reviews whose word vectors were moved a little.

Sources: T. Miyato, A. Dai and I. Goodfellow, "Adversarial training methods for semi-supervised text classification",
ICLR 2017, sections 3.1 and 3.2. Their vectors are normalized, so that a network cannot escape by growing them; here the
size of a move is a share of the length of the review's vectors, which has the same effect. TensorFlow only.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from rnnsent.config import AdversarialConfig

PROBE = 1e-2  # how far a virtual adversary looks around, as a share of the length of the vectors
TINY = 1e-12


class Perturbation(layers.Layer):  # type: ignore[misc]
    """Adds `offset` to word vectors, (batch, time, features), where there is one; remembers what it was given.

    Its mask, (batch, time), says which of them are words: padding is not moved, and does not count for how far.
    """

    def __init__(self) -> None:
        super().__init__(name="perturbation")
        self.supports_masking = True
        self.offset: Any = None
        self.vectors: Any = None
        self.words: Any = 1.0  # by which what is not to count is made nothing

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return the vectors, moved."""
        self.vectors = inputs
        if mask is not None:
            self.words = ops.cast(ops.expand_dims(mask, -1), inputs.dtype)
        return inputs if self.offset is None else inputs + self.offset

    def compute_output_spec(self, inputs: Any, mask: Any = None) -> Any:
        """Return the symbolic output."""
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)


class PerturbedModel(keras.Model):  # type: ignore[misc]
    """A functional model with a `Perturbation` inside, whose training step takes the moved reviews into the loss."""

    def perturb(self, layer: Perturbation, config: AdversarialConfig) -> None:
        """Say which layer moves the vectors, and how."""
        self._perturbation, self._adversarial = layer, config
        self._directions = keras.random.SeedGenerator()  # of the model: its state is kept in checkpoints

    def train_step(self, data: Any) -> dict[str, Any]:
        """Run one step: the loss of the reviews, and that of the same reviews moved in the worst direction."""
        inputs, targets, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        weights = self.trainable_weights
        adversarial = self._adversarial
        with tf.GradientTape() as tape:
            predicted = self(inputs, training=True)
            loss = self.compute_loss(inputs, targets, predicted, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        *gradients, ascent = tape.gradient(scaled, [*weights, self._perturbation.vectors])
        vectors = self._perturbation.vectors * self._perturbation.words
        if adversarial.kind == "virtual":
            targets, sample_weight = tf.stop_gradient(predicted), None
            ascent = self._away_from(targets, inputs, vectors)
        ascent = ascent * self._perturbation.words
        offset = tf.stop_gradient(_of_length(ascent, adversarial.size * _lengths(vectors)))
        with tf.GradientTape() as tape:
            moved = self.compute_loss(inputs, targets, self._moved(inputs, offset), sample_weight, training=True)
            scaled = self.optimizer.scale_loss(adversarial.weight * moved)
        further = tape.gradient(scaled, weights)
        self.optimizer.apply_gradients(zip(map(_sum, gradients, further), weights, strict=True))
        labels = keras.utils.unpack_x_y_sample_weight(data)[1]
        return self._measured(loss, inputs, labels, predicted)

    def _measured(self, loss: Any, inputs: Any, labels: Any, predicted: Any) -> dict[str, Any]:
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=ops.shape(predicted)[0])
        found: dict[str, Any] = self.compute_metrics(inputs, labels, predicted)
        return found

    def _moved(self, inputs: Any, offset: Any) -> Any:
        self._perturbation.offset = offset
        try:
            return self(inputs, training=True)
        finally:
            self._perturbation.offset = None

    def _away_from(self, predicted: Any, inputs: Any, vectors: Any) -> Any:
        """Return the direction in which the prediction changes most: one step of the power iteration.

        `vectors` are those of words; where padding stands they are zero.
        """
        drawn = keras.random.normal(tf.shape(vectors), seed=self._directions) * self._perturbation.words
        start = _of_length(drawn, PROBE * _lengths(vectors))
        with tf.GradientTape() as tape:
            tape.watch(start)
            loss = self.compute_loss(inputs, predicted, self._moved(inputs, start), None, training=True)
        return tape.gradient(loss, start)


def _lengths(vectors: Any) -> Any:
    """Return the Euclidean length of all vectors of each review together, (batch, 1, 1)."""
    return tf.sqrt(tf.reduce_sum(tf.square(vectors), axis=(1, 2), keepdims=True) + TINY)


def _of_length(direction: Any, length: Any) -> Any:
    return direction * (length / _lengths(direction))


def _sum(one: Any, other: Any) -> Any:
    """Return the sum of two gradients of one weight; those of an embedding are slices."""
    if isinstance(one, tf.IndexedSlices) and isinstance(other, tf.IndexedSlices):
        values, indices = (tf.concat(parts, 0) for parts in ((one.values, other.values), (one.indices, other.indices)))
        return tf.IndexedSlices(values, indices, one.dense_shape)
    return one + other
