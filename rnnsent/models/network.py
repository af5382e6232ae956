"""A trained network without Keras: config and weights → probabilities and states, in NumPy and on the native kernel.

It computes what `models.build_model` builds, layer by layer. A recurrent layer runs on the kernel where that was built
and can do it, else on `reference`, which can do everything and is slower.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import Config, RecurrentConfig
from rnnsent.data.dataset import Ids
from rnnsent.data.hashing import hashed_ngrams
from rnnsent.data.vocabulary import PAD
from rnnsent.engine import kernel
from rnnsent.engine.padding import run_pass
from rnnsent.errors import RunError
from rnnsent.models import numpy_layers as reference

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]
Shape = tuple[int, ...]

CHANNEL_SUM_SCALE = 10.0  # the sum of a review's ratios by this is of the size of a state


EMBEDDINGS = "embedding/embeddings"
HASHED = "hashed_ngrams/embeddings"


def output_of(labels: int) -> tuple[int, str]:
    """Return units and activation of the output layer for so many labels: one probability is enough for two."""
    return (1, "sigmoid") if labels == 2 else (labels, "softmax")


def runs_on_kernel(layer: RecurrentConfig) -> bool:
    """Return whether the native kernel can run a layer; dropout does not matter to what is predicted."""
    return kernel.available() and layer.activation == "tanh" and layer.reset_after is not False


class Network:
    """The forward pass of one network.

    Args:
        config: of its run.
        weights: float32 arrays by name, as in weights.npz.
        native: False keeps all layers off the native kernel.

    Raises:
        RunError: if names or shapes of the weights are not those of the config.
    """

    def __init__(self, config: Config, weights: Weights, *, native: bool = True) -> None:
        _check(config, weights)
        self._model = config.model
        self._labels = len(config.data.label_names)
        self._masked = config.data.padding != "notebook"
        self._weights = {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}
        self._native = [native and runs_on_kernel(layer) for layer in config.model.recurrent]

    @property
    def native(self) -> bool:
        """Whether every recurrent layer runs on the kernel."""
        return all(self._native)

    def probabilities(self, ids: Ids, channels: Floats | None = None) -> Floats:
        """Return the probability of label 1 for each row of `ids`; of three labels or more, that of each.

        Args:
            ids: int32 (batch, time), right-padded; for `padding: notebook` left-padded to its full length.
            channels: float32 (batch, time, width), zero where there is padding, if the network has any.

        Returns:
            float32 (batch,) or (batch, labels).

        Raises:
            ValueError: if an id is not in the embedding, or a row has none.
        """
        vectors = self._pooled(self._states(ids, channels), ids)
        if channels is not None:
            vectors = np.concatenate([vectors, channels.sum(axis=1) / np.float32(CHANNEL_SUM_SCALE)], axis=-1)
        found = self.head(vectors)
        return found[:, 0] if self._labels == 2 else found

    def head(self, vectors: Floats) -> Floats:
        """Return what dense layers and output make of pooled vectors: (…, features) → (…, 1), or (…, labels)."""
        for index, dense in enumerate(self._model.dense):
            vectors = self._dense(f"dense_{index}", vectors, dense.activation)
        return self._dense("output", vectors, output_of(self._labels)[1])

    def _states(self, ids: Ids, channels: Floats | None) -> Floats:
        """Return what the recurrent stack puts out: (batch, time, features), or (batch, features), the last state."""
        states: Any = ids
        if channels is not None or self._model.hashed_ngrams is not None:
            states = self._vectors(ids, channels)
        for index, layer in enumerate(self._model.recurrent):
            run = self._on_kernel if self._native[index] else self._on_numpy
            states = run(index, layer, states, ids)
        found: Floats = states
        return found

    def _vectors(self, ids: Ids, channels: Floats | None) -> Floats:
        """Return all that stands at each word, (batch, time, features)."""
        parts = [reference.embedding(ids, self._weights[EMBEDDINGS])]
        if hashed := self._model.hashed_ngrams:
            table = self._weights[HASHED]
            orders = range(2, hashed.orders + 1)
            found = [reference.embedding(hashed_ngrams(ids, order, hashed.buckets, np), table) for order in orders]
            parts.append(sum(found[1:], found[0]))
        if channels is not None:
            parts.append(channels)
        return np.concatenate(parts, axis=-1)

    def _on_kernel(self, index: int, layer: RecurrentConfig, values: Floats | Ids, ids: Ids) -> Floats:
        sequence = self._model.returns_sequence(index)
        outputs = []
        for prefix, reverse in _directions(self._model.layer_names[index], layer):
            one, two, bias = self._cell(prefix)
            table = self._weights[EMBEDDINGS] if values.ndim == 2 else None
            running = run_pass(
                kernel.Weights(layer.cell, one, two, bias, table),
                np.ascontiguousarray(values),
                self._mask(ids),
                reverse=reverse,
                keep=False,
                sequence=sequence,
            )
            out = running.states.sequence if sequence else running.states.last
            assert out is not None
            outputs.append(out)
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)

    def _on_numpy(self, index: int, layer: RecurrentConfig, values: Floats | Ids, ids: Ids) -> Floats:
        cell = "gru_reset_before" if layer.reset_after is False else layer.cell
        vectors: Any = reference.embedding(ids, self._weights[EMBEDDINGS]) if values.ndim == 2 else values
        weights = [
            reference.RecurrentWeights(*self._cell(prefix))
            for prefix, _ in _directions(self._model.layer_names[index], layer)
        ]
        run: Any = reference.recurrent
        given: Any = weights[0]
        if layer.bidirectional:
            run, given = reference.bidirectional, reference.BidirectionalWeights(*weights)
        sequence = self._model.returns_sequence(index)
        found = run(cell, vectors, given, activation=layer.activation, mask=self._mask(ids), return_sequences=sequence)
        states: Floats = found if layer.bidirectional else found.output
        return states

    def _pooled(self, states: Floats, ids: Ids) -> Floats:
        pooling = self._model.pooling
        if pooling == "last":
            return states
        if pooling == "attention":
            weights = self._weights["attention/kernel"], self._weights["attention/bias"]
            return reference.attention(states, *weights, self._mask(ids))
        return reference.pool(pooling, states, self._mask(ids))

    def _dense(self, name: str, vectors: Floats, activation: str) -> Floats:
        weights = self._weights[f"{name}/kernel"], self._weights[f"{name}/bias"]
        return reference.dense(vectors, *weights, activation=activation)

    def _cell(self, prefix: str) -> tuple[Floats, Floats, Floats]:
        one, two, three = (self._weights[f"{prefix}/{name}"] for name in ("kernel", "recurrent_kernel", "bias"))
        return one, two, three

    def _mask(self, ids: Ids) -> reference.Mask | None:
        return ids != PAD if self._masked else None


def _directions(name: str, layer: RecurrentConfig) -> list[tuple[str, bool]]:
    """Return where the weights of each direction are named, and whether it reads backwards."""
    if not layer.bidirectional:
        return [(f"{name}/{layer.cell}_cell", False)]
    return [(f"{name}/{way}_{layer.cell}/{layer.cell}_cell", way == "backward") for way in ("forward", "backward")]


def weight_shapes(config: Config, num_words: int) -> dict[str, Shape]:
    """Return the name and shape of every weight of the network that `config` describes.

    Args:
        config: an experiment.
        num_words: rows of the embedding table.
    """
    model, labels = config.model, len(config.data.label_names)
    features = model.embedding_dim
    shapes: dict[str, Shape] = {EMBEDDINGS: (num_words, features)}
    if model.hashed_ngrams is not None:
        shapes[HASHED] = (model.hashed_ngrams.buckets, model.hashed_ngrams.dim)
    features = model.vector_width + config.channels
    for name, layer in zip(model.layer_names, model.recurrent, strict=True):
        width = kernel.GATES[layer.cell] * layer.units
        biases = (2, width) if layer.cell == "gru" and layer.reset_after is not False else (width,)
        directions = _directions(name, layer)
        for prefix, _ in directions:
            shapes[f"{prefix}/kernel"] = (features, width)
            shapes[f"{prefix}/recurrent_kernel"] = (layer.units, width)
            shapes[f"{prefix}/bias"] = biases
        features = layer.units * len(directions)
    denses = [(f"dense_{index}", dense.units) for index, dense in enumerate(model.dense)]
    if model.pooling == "attention":
        shapes |= {"attention/kernel": (features, 1), "attention/bias": (1,)}
    features = features * (2 if model.pooling == "mean_max" else 1) + config.channels
    for name, units in [*denses, *([("output", output_of(labels)[0])] if model.head else [])]:
        shapes |= {f"{name}/kernel": (features, units), f"{name}/bias": (units,)}
        features = units
    return shapes


def _check(config: Config, weights: Weights) -> None:
    table = weights.get(EMBEDDINGS)
    require_shapes(weight_shapes(config, 1 if table is None or table.ndim == 0 else len(table)), weights)


def require_shapes(wanted: Mapping[str, Shape], weights: Weights) -> None:
    """Require that `weights` have the `wanted` names and shapes.

    Raises:
        RunError: naming what differs.
    """
    if set(wanted) != set(weights):
        odd = ", ".join(sorted(set(wanted) ^ set(weights)))
        raise RunError(f"the weights do not belong to this config: they differ in {odd}")
    for name, shape in wanted.items():
        if weights[name].shape != shape:
            found = f"{weights[name].shape}, the config needs {shape}"
            raise RunError(f"the weights do not belong to this config: {name} has the shape {found}")
