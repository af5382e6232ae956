"""Adversarial and virtual adversarial training: a second loss, of the same texts with slightly moved word vectors.

Source: T. Miyato, A. Dai and I. Goodfellow, "Adversarial training methods for semi-supervised text classification",
ICLR 2017, sections 3.1 and 3.2. Instead of normalizing the vectors, the size of a move is a share of their length.
Dropout is drawn again in each pass. Texts without a label share the batches; the loss of labels is the mean over those
that have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from rnnsent.config.sections import AdversarialConfig

PROBE = 1e-2  # the move from which the virtual adversary takes its gradient, as a share of the length of the vectors
MIN_LENGTH = 1e-30  # of a direction


class Perturbation(layers.Layer):  # type: ignore[misc]
    """Adds `offset`, if there is one, to word vectors, (batch, time, features), and keeps them; padding never moves."""

    def __init__(self, config: AdversarialConfig) -> None:
        super().__init__(name="perturbation")
        self.supports_masking = True
        self.config = config
        self.offset: Any = None
        self.vectors: Any = None
        self.words: Any = 1.0  # 0 where there is padding

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return the moved vectors."""
        self.vectors = inputs
        if mask is not None:
            self.words = ops.cast(ops.expand_dims(mask, -1), inputs.dtype)
        return inputs if self.offset is None else inputs + self.offset

    def compute_output_spec(self, inputs: Any, mask: Any = None) -> Any:
        """Return the symbolic output."""
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)


def adversarial_model(layer: Perturbation, inputs: Any, outputs: Any, name: str) -> keras.Model:
    """Return a functional model, with `layer` inside, whose training step adds the loss of moved vectors.

    A target of NaN is a text without a label, which has only the loss of the virtual adversary.
    """
    model = (_JaxModel if keras.backend.backend() == "jax" else _TensorFlowModel)(inputs, outputs, name=name)
    model.perturbation = layer
    model.directions = keras.random.SeedGenerator()  # of the model: its state is kept in checkpoints
    return model


class _AdversarialModel(keras.Model):  # type: ignore[misc]
    """What the training step is made of on every backend."""

    perturbation: Perturbation
    directions: Any

    def loss_of_labels(self, inputs: Any, targets: Any, predicted: Any, sample_weight: Any) -> Any:
        """Return the mean loss of the texts with a label."""
        if self.perturbation.config.unlabeled:
            mask = _labeled(targets, predicted.dtype)
            number = ops.cast(ops.shape(mask)[0], mask.dtype)
            sample_weight = mask * number / ops.maximum(ops.sum(mask), 1.0)  # Keras divides by all
            targets = ops.where(ops.isnan(targets), 0.5, targets)
        return self.compute_loss(inputs, targets, predicted, sample_weight, training=True)

    def loss_of_moved(self, inputs: Any, targets: Any, clean: Any, sample_weight: Any, offset: Any) -> Any:
        """Return the loss of texts moved by `offset`: against their targets, or against the `clean` prediction."""
        self.perturbation.offset = offset
        try:
            outputs = self(inputs, training=True)
        finally:
            self.perturbation.offset = None
        if self.perturbation.config.kind == "virtual":
            targets, sample_weight = ops.stop_gradient(clean), None
        return self.compute_loss(inputs, targets, outputs, sample_weight, training=True)

    def probe(self, vectors: Any) -> Any:
        """Return where the virtual adversary begins: a small move of the words in a random direction."""
        noise = keras.random.normal(ops.shape(vectors), seed=self.directions) * self.perturbation.words
        return _with_length(noise, PROBE * _lengths(vectors))

    def offset(self, ascent: Any, vectors: Any) -> Any:
        """Return the move of `vectors` along `ascent`."""
        length = self.perturbation.config.size * _lengths(vectors)
        return ops.stop_gradient(_with_length(ascent * self.perturbation.words, length))

    def labeled_count(self, targets: Any, predicted: Any) -> Any:
        """Return how many texts the loss of labels is the mean of."""
        if not self.perturbation.config.unlabeled:
            return ops.shape(predicted)[0]
        return ops.sum(_labeled(targets, predicted.dtype))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Return the metrics of the texts with a label."""
        if self.perturbation.config.unlabeled:
            sample_weight = _labeled(y, y_pred.dtype)
        metrics: dict[str, Any] = super().compute_metrics(x, y, y_pred, sample_weight)
        return metrics


class _TensorFlowModel(_AdversarialModel):
    """Gradient tapes, of which the first serves both the loss and the adversary."""

    def train_step(self, data: Any) -> dict[str, Any]:
        """Run one step."""
        import tensorflow as tf

        inputs, targets, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        weights, config = self.trainable_weights, self.perturbation.config
        with tf.GradientTape() as tape:
            predicted = self(inputs, training=True)
            loss = self.loss_of_labels(inputs, targets, predicted, sample_weight)
            scaled_loss = self.optimizer.scale_loss(loss)
        *gradients, ascent = tape.gradient(scaled_loss, [*weights, self.perturbation.vectors])
        vectors = self.perturbation.vectors * self.perturbation.words
        arguments = inputs, targets, predicted, sample_weight
        if config.kind == "virtual":
            probe = self.probe(vectors)
            with tf.GradientTape() as tape:
                tape.watch(probe)
                change = self.loss_of_moved(*arguments, probe)
            ascent = tape.gradient(change, probe)
        offset = self.offset(ascent, vectors)
        with tf.GradientTape() as tape:
            extra = self.optimizer.scale_loss(config.weight * self.loss_of_moved(*arguments, offset))
        self.optimizer.apply_gradients(zip(map(_sum, gradients, tape.gradient(extra, weights)), weights, strict=True))
        self._loss_tracker.update_state(loss, sample_weight=self.labeled_count(targets, predicted))
        return self.compute_metrics(inputs, targets, predicted, sample_weight)


class _JaxModel(_AdversarialModel):
    """Keras' own step for JAX, with both losses as one function of the weights."""

    def compute_loss_and_updates(  # with the parameters of Keras' own
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        metrics_variables: Sequence[Any],
        x: Any,
        y: Any,
        sample_weight: Any,
        training: bool = False,
        optimizer_variables: Sequence[Any] | None = None,
    ) -> Any:
        """Return the loss that is differentiated, and what Keras keeps of the step."""
        if not training:
            return super().compute_loss_and_updates(
                trainable_variables, non_trainable_variables, metrics_variables, x, y, sample_weight, training
            )
        variables = [*self.non_trainable_variables, *self.metrics_variables]
        state = [
            *zip(self.trainable_variables, trainable_variables, strict=True),
            *zip(variables, [*non_trainable_variables, *metrics_variables], strict=True),
            *zip(self.optimizer.variables, optimizer_variables or (), strict=True),
        ]
        config = self.perturbation.config
        with keras.StatelessScope(state_mapping=state) as scope:
            predicted = self(x, training=True)
            loss = self.loss_of_labels(x, y, predicted, sample_weight)
            vectors = ops.stop_gradient(self.perturbation.vectors) * self.perturbation.words
            start = self.probe(vectors) if config.kind == "virtual" else ops.zeros_like(vectors)
            ascent = self._slope(scope, (x, y, ops.stop_gradient(predicted), sample_weight), start)
            extra = self.loss_of_moved(x, y, predicted, sample_weight, self.offset(ascent, vectors))
            scaled_loss = self.optimizer.scale_loss(loss + config.weight * extra)
        self.perturbation.vectors, self.perturbation.words = None, 1.0  # those of this trace
        values = [_value(scope, variable) for variable in variables]
        number = len(self.non_trainable_variables)
        return scaled_loss, (loss, predicted, values[:number], values[number:])

    def _slope(self, scope: Any, given: tuple[Any, Any, Any, Any], start: Any) -> Any:
        """Return the gradient of the loss of moved texts by the move, at `start`."""
        import jax

        variables = [*self.trainable_variables, *self.non_trainable_variables]
        # What the pass draws is forgotten: its values must not leave the function that is differentiated.
        state = [(variable, jax.lax.stop_gradient(_value(scope, variable))) for variable in variables]

        def loss(offset: Any) -> Any:
            with keras.StatelessScope(state_mapping=state):
                return self.loss_of_moved(*given, offset)

        return jax.grad(loss)(start)

    def _update_metrics_variables(
        self, metrics_variables: Sequence[Any], unscaled_loss: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any
    ) -> Any:
        """Return the metrics and their variables after a batch; Keras would count all its texts."""
        variables = self.metrics_variables
        with keras.StatelessScope(state_mapping=list(zip(variables, metrics_variables, strict=True))) as scope:
            self._loss_tracker.update_state(unscaled_loss, sample_weight=self.labeled_count(y, y_pred))
            logs = self.compute_metrics(x, y, y_pred, sample_weight)
        return logs, [_value(scope, variable) for variable in variables]


def _labeled(targets: Any, dtype: Any) -> Any:
    """Return 1 for each text with a label, 0 for the others, (batch,)."""
    return ops.cast(ops.logical_not(ops.isnan(targets[:, 0])), dtype)


def _lengths(vectors: Any) -> Any:
    """Return the Euclidean length of all vectors of each text together, float32 (batch, 1, 1)."""
    return ops.sqrt(ops.sum(ops.square(ops.cast(vectors, "float32")), axis=(1, 2), keepdims=True))


def _with_length(direction: Any, length: Any) -> Any:
    """Return `direction`, (batch, time, features), scaled to `length`; zero stays zero."""
    vectors = ops.cast(direction, "float32")
    # The gradient of a text that the network is sure of may be so short that its square is zero.
    vectors = vectors / ops.maximum(ops.max(ops.abs(vectors), axis=(1, 2), keepdims=True), MIN_LENGTH)
    return ops.cast(vectors * (length / ops.maximum(_lengths(vectors), MIN_LENGTH)), direction.dtype)


def _sum(one: Any, other: Any) -> Any:
    """Return the sum of two gradients of one weight on TensorFlow; those of an embedding are slices."""
    import tensorflow as tf

    if isinstance(one, tf.IndexedSlices) and isinstance(other, tf.IndexedSlices):
        values, indices = (tf.concat(parts, 0) for parts in ((one.values, other.values), (one.indices, other.indices)))
        return tf.IndexedSlices(values, indices, one.dense_shape)
    return one + other


def _value(scope: Any, variable: Any) -> Any:
    """Return the value of a variable in a scope, which only has those that changed."""
    value = scope.get_current_value(variable)
    return variable.value if value is None else value
