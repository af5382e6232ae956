"""A network without Keras: config and weights → probabilities, on the native kernel and in NumPy.

It computes what `models.builder` builds, layer by layer. A recurrent layer runs on the kernel if that was built and can
run it, else in `numpy_layers`, which can run every layer and is slower.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnsent.config.sections import Config, RecurrentConfig
from rnnsent.data.dataset import Ids
from rnnsent.data.tokenizer import PAD
from rnnsent.engine import kernel
from rnnsent.engine.padding import run_pass
from rnnsent.models import numpy_layers
from rnnsent.models.weights import (
    CHANNEL_SUM_SCALE,
    EMBEDDINGS,
    Floats,
    Weights,
    directions,
    output_of,
    require_weights,
)


def runs_on_kernel(layer: RecurrentConfig) -> bool:
    """Return whether the native kernel can run a layer; dropout does not matter to a prediction."""
    return kernel.available() and layer.activation == "tanh" and layer.kind.native is not None


class Network:
    """The forward pass of one network.

    Args:
        config: of its run.
        weights: float32 arrays by name.
        native: False keeps all layers off the native kernel.

    Raises:
        RunError: if names or shapes of the weights are not those of the config.
    """

    def __init__(self, config: Config, weights: Weights, *, native: bool = True) -> None:
        require_weights(config, weights)
        self._model = config.model
        self._output = output_of(config.data)
        self._masked = config.data.padding != "notebook"
        self._weights = {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}
        self._native = [native and runs_on_kernel(layer) for layer in config.model.recurrent]

    def probabilities(self, ids: Ids, channels: Floats | None = None) -> Floats:
        """Return the probability of label 1 for each row of `ids`; with more outputs, that of each label.

        Args:
            ids: int32 (batch, time), right-padded; for `padding: notebook` left-padded to its full length.
            channels: float32 (batch, time, width), zero at padding, if the network has any.

        Returns:
            float32 (batch,) or (batch, labels).

        Raises:
            ValueError: if an id is not in the embedding, or a row has none.
        """
        vectors = self._pooled(self._states(ids, channels), ids)
        if channels is not None:
            vectors = np.concatenate([vectors, channels.sum(axis=1) / np.float32(CHANNEL_SUM_SCALE)], axis=-1)
        for index, dense in enumerate(self._model.dense):
            vectors = self._dense(f"dense_{index}", vectors, dense.activation)
        units, activation = self._output
        probabilities = self._dense("output", vectors, activation)
        return probabilities[:, 0] if units == 1 else probabilities

    def _states(self, ids: Ids, channels: Floats | None) -> Floats:
        """Return the output of the recurrent stack: (batch, time, features), or (batch, features), the last state."""
        states: Any = ids
        if channels is not None:
            states = np.concatenate([numpy_layers.embedding(ids, self._weights[EMBEDDINGS]), channels], axis=-1)
        mask = ids != PAD if self._masked else None
        for index in range(len(self._model.recurrent)):
            states = (self._on_kernel if self._native[index] else self._on_numpy)(index, states, mask)
        output: Floats = states
        return output

    def _on_kernel(self, index: int, values: Any, mask: numpy_layers.Mask | None) -> Floats:
        layer = self._model.recurrent[index]
        options = kernel.Options(keep=False, sequence=self._model.returns_sequence(index))
        table = self._weights[EMBEDDINGS] if values.ndim == 2 else None
        outputs = []
        for prefix, reverse in directions(self._model.layer_names[index], layer):
            weights = kernel.Weights(layer.kind, *self._cell(prefix), table)
            values = np.ascontiguousarray(values)
            states = run_pass(weights, values, mask, options, reverse=reverse).states
            outputs.append(states.last if states.sequence is None else states.sequence)
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)

    def _on_numpy(self, index: int, values: Any, mask: numpy_layers.Mask | None) -> Floats:
        layer, name = self._model.recurrent[index], self._model.layer_names[index]
        vectors = numpy_layers.embedding(values, self._weights[EMBEDDINGS]) if values.ndim == 2 else values
        weights = [numpy_layers.RecurrentWeights(*self._cell(prefix)) for prefix, _ in directions(name, layer)]
        options: dict[str, Any] = {
            "activation": layer.activation, "mask": mask, "return_sequences": self._model.returns_sequence(index)
        }  # fmt: skip
        states: Floats
        if layer.bidirectional:
            pair = numpy_layers.BidirectionalWeights(*weights)
            states = numpy_layers.bidirectional(layer.kind, vectors, pair, **options)
        else:
            states = numpy_layers.recurrent(layer.kind, vectors, weights[0], **options)
        return states

    def _pooled(self, states: Floats, ids: Ids) -> Floats:
        mask = ids != PAD if self._masked else None
        if self._model.pooling == "last":
            return states
        if self._model.pooling == "attention":
            weights = self._weights["attention/kernel"], self._weights["attention/bias"]
            return numpy_layers.attention(states, *weights, mask)
        return numpy_layers.pool(self._model.pooling, states, mask)

    def _dense(self, name: str, vectors: Floats, activation: str) -> Floats:
        weights = self._weights[f"{name}/kernel"], self._weights[f"{name}/bias"]
        return numpy_layers.dense(vectors, *weights, activation=activation)

    def _cell(self, prefix: str) -> tuple[Floats, Floats, Floats]:
        kernel_, recurrent = self._weights[f"{prefix}/kernel"], self._weights[f"{prefix}/recurrent_kernel"]
        return kernel_, recurrent, self._weights[f"{prefix}/bias"]
