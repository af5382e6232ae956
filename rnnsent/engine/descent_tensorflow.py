"""The step of adversarial training on TensorFlow: gradient tapes, of which the first serves loss and adversary."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from rnnsent.engine.adversarial import PerturbedModel


class Descent(PerturbedModel):
    """A `PerturbedModel` whose training step is TensorFlow's."""

    def train_step(self, data: Any) -> dict[str, Any]:
        """Run one step: the loss of the reviews, and that of the same reviews moved in the worst direction."""
        inputs, targets, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        weights = self.trainable_weights
        with tf.GradientTape() as tape:
            predicted = self(inputs, training=True)
            loss = self.loss_of_labels(inputs, targets, predicted, sample_weight)
            scaled = self.optimizer.scale_loss(loss)
        *gradients, ascent = tape.gradient(scaled, [*weights, self._perturbation.vectors])
        vectors = self._perturbation.vectors * self._perturbation.words
        if self._adversarial.kind == "virtual":
            ascent = self._away_from(predicted, inputs, vectors)
        offset = self.offset(ascent, vectors)
        with tf.GradientTape() as tape:
            moved = self.loss_of_moved(inputs, targets, predicted, offset, sample_weight)
            scaled = self.optimizer.scale_loss(self._adversarial.weight * moved)
        further = tape.gradient(scaled, weights)
        self.optimizer.apply_gradients(zip(map(_sum, gradients, further), weights, strict=True))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=self.counted(targets, predicted))
        return self.compute_metrics(inputs, targets, predicted)

    def _away_from(self, predicted: Any, inputs: Any, vectors: Any) -> Any:
        """Return the direction in which the prediction changes most: one step of the power iteration."""
        start = self.start(vectors)
        with tf.GradientTape() as tape:
            tape.watch(start)
            loss = self.loss_of_moved(inputs, None, predicted, start, None)
        return tape.gradient(loss, start)


def _sum(one: Any, other: Any) -> Any:
    """Return the sum of two gradients of one weight; those of an embedding are slices."""
    if isinstance(one, tf.IndexedSlices) and isinstance(other, tf.IndexedSlices):
        values, indices = (tf.concat(parts, 0) for parts in ((one.values, other.values), (one.indices, other.indices)))
        return tf.IndexedSlices(values, indices, one.dense_shape)
    return one + other
