"""Adversarial and virtual adversarial training: the loss also of reviews whose word vectors were moved a little.

Sources: T. Miyato, A. Dai and I. Goodfellow, "Adversarial training methods for semi-supervised text classification",
ICLR 2017, sections 3.1 and 3.2. Their vectors are normalized, so that a network cannot escape by growing them; here the
size of a move is a share of the length of the review's vectors, which has the same effect. Dropout is drawn anew in
each pass, so that it is other vectors which are moved. Texts without a label are in the same batches as the others,
and the loss of labels is the mean over those of the batch.

What is the same on every backend is here; how a backend comes by gradients is in `descent_tensorflow` and
`descent_jax`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from rnnsent.config import AdversarialConfig

PROBE = 1e-2  # how far a virtual adversary looks around, as a share of the length of the vectors
SHORTEST = 1e-30  # that still is a direction


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
    """A functional model with a `Perturbation` inside; a backend's class takes the moved reviews into the loss.

    A review of which no label is known has NaN for a target. It counts for a virtual adversary alone.
    """

    def perturb(self, layer: Perturbation, config: AdversarialConfig) -> None:
        """Say which layer moves the vectors, and how."""
        self._perturbation, self._adversarial = layer, config
        self._directions = keras.random.SeedGenerator()  # of the model: its state is kept in checkpoints

    def loss_of_labels(self, inputs: Any, targets: Any, predicted: Any, sample_weight: Any) -> Any:
        """Return the mean loss of the reviews of which a label is known."""
        if self._adversarial.unlabeled:
            known = _known(targets, predicted.dtype)
            number = ops.cast(ops.shape(known)[0], known.dtype)
            sample_weight = known * number / ops.maximum(ops.sum(known), 1.0)  # Keras divides by all
            targets = ops.where(ops.isnan(targets), 0.5, targets)
        return self.compute_loss(inputs, targets, predicted, sample_weight, training=True)

    def loss_of_moved(self, inputs: Any, targets: Any, clean: Any, offset: Any, sample_weight: Any) -> Any:
        """Return the loss of reviews moved by `offset`: by their targets, or by what is said of them unmoved."""
        moved = self.moved(inputs, offset)
        if self._adversarial.kind == "virtual":
            return self.compute_loss(inputs, ops.stop_gradient(clean), moved, None, training=True)
        return self.compute_loss(inputs, targets, moved, sample_weight, training=True)

    def moved(self, inputs: Any, offset: Any) -> Any:
        """Return what the network says of reviews whose vectors are moved by `offset`, (batch, time, features)."""
        self._perturbation.offset = offset
        try:
            return self(inputs, training=True)
        finally:
            self._perturbation.offset = None

    def start(self, vectors: Any) -> Any:
        """Return where a virtual adversary begins to look: a small move in a random direction, of words alone."""
        drawn = keras.random.normal(ops.shape(vectors), seed=self._directions) * self._perturbation.words
        return _of_length(drawn, PROBE * _lengths(vectors))

    def offset(self, ascent: Any, vectors: Any) -> Any:
        """Return how far vectors are moved along `ascent`; both of words alone, zero where padding stands."""
        return ops.stop_gradient(
            _of_length(ascent * self._perturbation.words, self._adversarial.size * _lengths(vectors))
        )

    def counted(self, targets: Any, predicted: Any) -> Any:
        """Return how many reviews the loss of labels is the mean of."""
        if not self._adversarial.unlabeled:
            return ops.shape(predicted)[0]
        return ops.sum(_known(targets, predicted.dtype))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Return the metrics, of the reviews of which a label is known."""
        if self._adversarial.unlabeled:
            sample_weight = _known(y, y_pred.dtype)
        found: dict[str, Any] = super().compute_metrics(x, y, y_pred, sample_weight)
        return found


def perturbed(layer: Perturbation, config: AdversarialConfig, *arguments: Any, **options: Any) -> PerturbedModel:
    """Return a functional model of the running backend that trains against adversaries; arguments as of `keras.Model`.

    Args:
        layer: of the model, which moves the vectors.
        config: how.
    """
    if keras.backend.backend() == "jax":
        from rnnsent.engine.descent_jax import Descent
    else:
        from rnnsent.engine.descent_tensorflow import Descent
    model = Descent(*arguments, **options)
    model.perturb(layer, config)
    return model


def _known(targets: Any, dtype: Any) -> Any:
    """Return 1 for each review of which a label is known, 0 for the others, (batch,)."""
    return ops.cast(ops.logical_not(ops.isnan(targets[:, 0])), dtype)


def _lengths(vectors: Any) -> Any:
    """Return the Euclidean length of all vectors of each review together, float32 (batch, 1, 1)."""
    return ops.sqrt(ops.sum(ops.square(ops.cast(vectors, "float32")), axis=(1, 2), keepdims=True))


def _of_length(direction: Any, length: Any) -> Any:
    """Return `direction` made so long; of none it stays none, however short others are."""
    wide = ops.cast(direction, "float32")
    # The gradient of a review that the network is sure of may be so short that its square is nothing.
    wide = wide / ops.maximum(ops.max(ops.abs(wide), axis=(1, 2), keepdims=True), SHORTEST)
    return ops.cast(wide * (length / ops.maximum(_lengths(wide), SHORTEST)), direction.dtype)
