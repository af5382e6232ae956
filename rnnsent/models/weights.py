"""The weights of a network as plain arrays, `layer/…/weight`: names, shapes, and the way into Keras and out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import Config, DataConfig, RecurrentConfig
from rnnsent.errors import RunError

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]
Shape = tuple[int, ...]

EMBEDDINGS = "embedding/embeddings"
CHANNEL_SUM_SCALE = 10.0  # the sum of a text's n-gram weights divided by this is of the size of a state


def output_of(data: DataConfig) -> tuple[int, str]:
    """Return units and activation of the output layer: a sigmoid for one probability, or for each of several labels."""
    return data.outputs, "sigmoid" if data.outputs == 1 or data.targets == "multi" else "softmax"


def directions(name: str, layer: RecurrentConfig) -> list[tuple[str, bool]]:
    """Return the prefix of the weights of each direction, and whether it reads backwards."""
    if not layer.bidirectional:
        return [(f"{name}/{layer.cell}_cell", False)]
    return [(f"{name}/{way}_{layer.cell}/{layer.cell}_cell", way == "backward") for way in ("forward", "backward")]


def weight_shapes(config: Config, rows: int) -> dict[str, Shape]:
    """Return the name and shape of every weight of the network that `config` describes.

    Args:
        config: of the network.
        rows: of the embedding.
    """
    model = config.model
    shapes: dict[str, Shape] = {EMBEDDINGS: (rows, model.embedding_dim)}
    features = model.embedding_dim + config.channels
    for name, layer in zip(model.layer_names, model.recurrent, strict=True):
        width = layer.kind.gates * layer.units
        prefixes = directions(name, layer)
        for prefix, _ in prefixes:
            shapes[f"{prefix}/kernel"] = (features, width)
            shapes[f"{prefix}/recurrent_kernel"] = (layer.units, width)
            shapes[f"{prefix}/bias"] = (width,) if layer.kind.biases == 1 else (layer.kind.biases, width)
        features = layer.units * len(prefixes)
    if model.pooling == "attention":
        shapes |= {"attention/kernel": (features, 1), "attention/bias": (1,)}
    features = features * (2 if model.pooling == "mean_max" else 1) + config.channels
    dense = [(f"dense_{index}", dense.units) for index, dense in enumerate(model.dense)]
    head = [("output", output_of(config.data)[0])] if model.head else []
    for name, units in [*dense, *head]:
        shapes |= {f"{name}/kernel": (features, units), f"{name}/bias": (units,)}
        features = units
    return shapes


def require_shapes(expected: Mapping[str, Shape], weights: Weights) -> None:
    """Require that `weights` have the `expected` names and shapes.

    Raises:
        RunError: naming what differs.
    """
    if set(expected) != set(weights):
        names = ", ".join(sorted(set(expected) ^ set(weights)))
        raise RunError(f"the weights do not belong to this config: they differ in {names}")
    for name, shape in expected.items():
        if weights[name].shape != shape:
            rule = f"{weights[name].shape}, the config needs {shape}"
            raise RunError(f"the weights do not belong to this config: {name} has the shape {rule}")


def require_weights(config: Config, weights: Weights) -> int:
    """Return the rows of the embedding, if `weights` are those of the network that `config` describes.

    Raises:
        RunError: naming what differs.
    """
    table = weights.get(EMBEDDINGS)
    rows = 1 if table is None or table.ndim == 0 else len(table)
    require_shapes(weight_shapes(config, rows), weights)
    return rows


def with_rows(weights: Weights, vectors: Floats) -> Weights:
    """Return weights with `vectors`, (ids, width), below the embedding."""
    return {**weights, EMBEDDINGS: np.concatenate([weights[EMBEDDINGS], vectors])}


def weights_of(model: Any) -> dict[str, Floats]:
    """Return the weights of a Keras model as float32 arrays by name."""
    return {name: _array(variable) for name, variable in _variables(model).items()}


def set_weights(model: Any, weights: Weights) -> None:
    """Put `weights`, as `weights_of` names them, into a Keras model.

    Raises:
        RunError: if names or shapes are not those of the model; the model is then unchanged.
    """
    variables = _variables(model)
    require_shapes({name: tuple(variable.shape) for name, variable in variables.items()}, weights)
    for name, variable in variables.items():
        variable.assign(weights[name])


def begin_with(model: Any, weights: Weights) -> None:
    """Put pretrained weights into a Keras model, by name; rows and columns that they lack stay as they are."""
    variables = _variables(model)
    for name, pretrained in weights.items():
        value = _array(variables[name]).copy()
        value[tuple(map(slice, pretrained.shape))] = pretrained
        variables[name].assign(value)


def embedding_of(model: Any) -> Any:
    """Return the variable with the word vectors of a Keras model, (rows, features)."""
    return _variables(model)[EMBEDDINGS]


def _variables(model: Any) -> dict[str, Any]:
    return {variable.path.removeprefix(f"{model.name}/"): variable for variable in model.weights}


def _array(variable: Any) -> Floats:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(variable), np.float32)
