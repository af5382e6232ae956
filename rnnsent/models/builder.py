"""Config → Keras model, made of stock Keras layers and operations.

The mask is computed once from the ids and handed to each layer that reads steps: Keras after 3.15 no longer passes it
on through recurrent layers. It is handed over by position, because a recurrent layer there warns of a mask by keyword.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from rnnsent.config.sections import Config, RecurrentConfig
from rnnsent.data.tokenizer import PAD
from rnnsent.engine.device import leave_cores_to_kernel
from rnnsent.models.weights import CHANNEL_SUM_SCALE, Weights, output_of, require_weights, set_weights, weights_of

NAME = "rnnsent"

_LOW = -6e4  # below any state or score, and still a number in float16


def build_model(
    config: Config, rows: int, *, native: Sequence[bool] = (), seed: int | None = None, training: bool = False
) -> keras.Model:
    """Build the network of a config: ids, int32 (batch, time) → probability of label 1, float32 (batch, 1).

    With three labels or more, or several a text, it gives the probability of each, (batch, labels). With n-grams it has
    a second input, float32 (batch, time, channels), zero at padding. Without `model.head` the output is what stands
    before it.

    Args:
        config: of the network.
        rows: of the embedding.
        native: for each recurrent layer, whether the native kernel runs it; such a network cannot be saved.
        seed: of the initial weights and the dropout.
        training: take precision and adversary from `config.training`; else the network is float32 and without one.
    """
    if native and all(native):
        leave_cores_to_kernel()
    if seed is not None:
        keras.utils.set_random_seed(seed)
    model = _Network(config, training).build(rows, native or [False] * len(config.model.recurrent))
    require_weights(config, weights_of(model))  # the Keras layer of a new cell may call them otherwise
    return model


def rebuild_model(config: Config, weights: Weights, *, native: Sequence[bool] = ()) -> keras.Model:
    """Return the network of a run: built from its config, filled with its weights.

    Raises:
        RunError: if the weights are not those of the config.
    """
    model = build_model(config, require_weights(config, weights), native=native)
    set_weights(model, weights)
    return model


class _Network:
    """The parts of a network, as they are connected."""

    def __init__(self, config: Config, training: bool) -> None:
        self._config, self._model = config, config.model
        self._dtype = config.training.precision if training else "float32"
        self._adversarial = config.training.adversarial if training else None
        self._tokens = keras.Input((None,), dtype="int32", name="tokens")
        channels = config.channels
        self._channels = keras.Input((None, channels), dtype="float32", name="channels") if channels else None
        self._mask = ops.not_equal(self._tokens, PAD) if config.data.padding != "notebook" else None
        self._perturbation: Any = None

    def build(self, rows: int, native: Sequence[bool]) -> keras.Model:
        embedding = layers.Embedding(rows, self._model.embedding_dim, dtype=self._dtype, name="embedding")
        embedding.trainable = self._model.vectors is None or self._model.vectors.trainable
        names = zip(self._model.layer_names, self._model.recurrent, strict=True)
        stack = [self._recurrent(name, layer, index) for index, (name, layer) in enumerate(names)]
        # The kernel looks vectors up itself, unless something happens to them on the way.
        folded = native[0] and not (self._model.embedding_dropout or self._adversarial or self._config.channels)
        states = self._tokens if folded else self._vectors(embedding)
        features = self._model.embedding_dim + self._config.channels
        for index, (stock, settings) in enumerate(zip(stack, self._model.recurrent, strict=True)):
            layer = stock
            if native[index]:
                from rnnsent.engine.native_layer import NativeRecurrent  # needs TensorFlow

                lookup = embedding if folded and index == 0 else None
                layer = NativeRecurrent(stock, settings.kind, features, lookup)
            states = layer(states) if self._mask is None else layer(states, None, self._mask)
            features = settings.units * (2 if settings.bidirectional else 1)
        return self._connected(self._head(self._pooled(states)))

    def _recurrent(self, name: str, layer: RecurrentConfig, index: int) -> Any:
        stock = layer.kind.keras_layer(
            units=layer.units,
            activation=layer.activation,
            dropout=layer.dropout,
            recurrent_dropout=layer.recurrent_dropout,
            return_sequences=self._model.returns_sequence(index),
            dtype=self._dtype,
            name=layer.cell if layer.bidirectional else name,
        )
        if not layer.bidirectional:
            return stock
        wrapper = layers.Bidirectional(stock, name=name)
        # Bidirectional hands the mask on by keyword, of which Keras after 3.15 warns.
        wrapper.forward_layer.supports_masking = wrapper.backward_layer.supports_masking = True
        return wrapper

    def _vectors(self, embedding: Any) -> Any:
        """Return all that stands at each word, (batch, time, features)."""
        vectors = embedding(self._tokens)
        if self._model.embedding_dropout:
            dropout = self._model.embedding_dropout
            vectors = layers.SpatialDropout1D(dropout, dtype=self._dtype, name="embedding_dropout")(vectors)
        if self._adversarial is not None:
            from rnnsent.engine.adversarial import Perturbation

            self._perturbation = Perturbation(self._adversarial)
            vectors = self._perturbation(vectors, self._mask)
        if self._channels is not None:
            vectors = ops.concatenate([vectors, ops.cast(self._channels, vectors.dtype)], axis=-1)
        return vectors

    def _pooled(self, states: Any) -> Any:
        pooling = self._model.pooling
        if pooling == "last":
            return states
        if pooling == "mean":
            return self._mean(states)
        if pooling == "attention":
            scores = layers.Dense(1, dtype=self._dtype, name="attention")(states)
            return ops.sum(states * ops.softmax(self._low_at_padding(scores), axis=1), axis=1)
        highest = ops.max(self._low_at_padding(states), axis=1)
        return highest if pooling == "max" else ops.concatenate([self._mean(states), highest], axis=-1)

    def _mean(self, states: Any) -> Any:
        return layers.GlobalAveragePooling1D(dtype=self._dtype, name="mean")(states, mask=self._mask)

    def _low_at_padding(self, values: Any) -> Any:
        """Return `values`, (batch, time, features), with a number at padding that no maximum and no softmax takes."""
        return values if self._mask is None else ops.where(ops.expand_dims(self._mask, -1), values, _LOW)

    def _head(self, vector: Any) -> Any:
        if self._model.dropout:
            vector = layers.Dropout(self._model.dropout, dtype=self._dtype, name="dropout")(vector)
        if self._channels is not None:
            sums = ops.cast(ops.sum(self._channels, axis=1), vector.dtype) / CHANNEL_SUM_SCALE
            vector = ops.concatenate([vector, sums], axis=-1)
        for index, dense in enumerate(self._model.dense):
            name = f"dense_{index}"
            vector = layers.Dense(dense.units, dense.activation, dtype=self._dtype, name=name)(vector)
            if dense.dropout:
                vector = layers.Dropout(dense.dropout, dtype=self._dtype, name=f"{name}_dropout")(vector)
        if self._model.head:
            # float32 whatever the precision: a probability near 1 has no digits to spare.
            units, activation = output_of(self._config.data)
            vector = layers.Dense(units, activation, dtype="float32", name="output")(vector)
        return vector

    def _connected(self, output: Any) -> keras.Model:
        inputs = self._tokens if self._channels is None else [self._tokens, self._channels]
        if self._perturbation is None:
            return keras.Model(inputs, output, name=NAME)
        from rnnsent.engine.adversarial import adversarial_model

        return adversarial_model(self._perturbation, inputs, output, NAME)
