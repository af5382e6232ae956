"""Config → Keras model, made of stock Keras layers and operations only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from rnnsent.config import AdversarialConfig, Config, ModelConfig, RecurrentConfig
from rnnsent.data.vocabulary import PAD
from rnnsent.engine.device import leave_cores_to_kernel
from rnnsent.errors import ConfigError, Problem
from rnnsent.models.network import CHANNEL_SUM_SCALE, EMBEDDINGS, output_of, require_shapes, weight_shapes
from rnnsent.runs.archives import MAX_BYTES

CELLS = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}

_LOW = -6e4  # below any state or score, and still a number in float16


def build_model(
    config: ModelConfig,
    *,
    num_words: int,
    masked: bool = True,
    precision: str = "float32",
    seed: int | None = None,
    native: Sequence[bool] = (),
    labels: int = 2,
    channels: int = 0,
    adversarial: AdversarialConfig | None = None,
) -> keras.Model:
    """Build the network: ids, int32 (batch, time) → probability of label 1, float32 (batch, 1).

    Of three labels or more it gives the probability of each, (batch, labels).

    Without `config.head` the output is what stands before it: (batch, features), or (batch, time, features) where the
    stack ends in a sequence.

    Args:
        config: the `model` section.
        num_words: rows of the embedding table.
        masked: whether id 0 is padding, to be passed over.
        precision: Keras dtype policy of all layers but the output.
        seed: makes the initial weights and the dropout a function of this number.
        native: for each recurrent layer, whether the native kernel runs it; none by default. Weights and their names
            stay those of the stock layers, but only a network without native layers can be saved.
        labels: how many there are to tell apart.
        channels: how many numbers stand beside each id; the network then has a second input, float32 (batch, time,
            channels), zero where there is padding.
        adversarial: makes a network whose `fit` trains against adversaries. It cannot be saved.
    """
    if native and all(native):
        leave_cores_to_kernel()
    if seed is not None:
        keras.utils.set_random_seed(seed)
    trunk: list[Any] = [
        layers.Embedding(num_words, config.embedding_dim, mask_zero=masked, dtype=precision, name="embedding")
    ]
    trunk[0].trainable = config.vectors is None or config.vectors.trainable
    for index, (name, layer) in enumerate(zip(config.layer_names, config.recurrent, strict=True)):
        sequences = config.returns_sequence(index)
        trunk.append(_recurrent(layer, name, sequences, precision))
    apart = adversarial is not None or _apart(config)
    if any(native):
        from rnnsent.engine.native_layer import accelerated  # needs TensorFlow

        trunk = accelerated(trunk[0], trunk[1:], native, channels, apart=apart)
    if apart or channels or config.pooling in ("max", "mean_max", "attention"):
        return _functional(trunk, config, masked, precision, labels, channels, adversarial)
    if config.pooling == "mean":
        trunk.append(layers.GlobalAveragePooling1D(dtype=precision, name="mean"))
    if config.dropout:
        trunk.append(layers.Dropout(config.dropout, dtype=precision, name="dropout"))
    return keras.Sequential([_tokens(), *trunk, *_dense(config, precision, labels)], name="rnnsent")


def model_for(
    config: Config,
    *,
    num_words: int,
    precision: str = "float32",
    seed: int | None = None,
    native: Sequence[bool] = (),
    adversarial: AdversarialConfig | None = None,
) -> keras.Model:
    """Build the network that `config` describes, with the masking that its padding asks for; see `build_model`.

    Raises:
        ConfigError: if its weights would be more than a run can hold.
    """
    size = 4 * sum(map(math.prod, weight_shapes(config, num_words).values()))
    if size > MAX_BYTES:
        rule = f"is a network of {size:,} bytes, and a run holds at most {MAX_BYTES:,}"
        raise ConfigError([Problem("", "model", rule)])
    return build_model(
        config.model,
        num_words=num_words,
        masked=config.data.padding != "notebook",
        precision=precision,
        seed=seed,
        native=native,
        labels=len(config.data.label_names),
        channels=config.channels,
        adversarial=adversarial,
    )


def rebuild_model(
    config: Config,
    weights: Mapping[str, NDArray[np.float32]],
    *,
    precision: str = "float32",
    native: Sequence[bool] = (),
) -> keras.Model:
    """Return the network of a run: built from its config, filled with its weights.

    Raises:
        RunError: if the weights are not those of the config.
    """
    table = weights.get(EMBEDDINGS)
    rows = 1 if table is None or table.ndim == 0 else len(table)
    require_shapes(weight_shapes(config, rows), weights)  # before memory is taken for what a config only claims
    model = model_for(config, num_words=rows, precision=precision, native=native)
    set_weights(model, weights)
    return model


def _tokens() -> Any:
    return keras.Input((None,), dtype="int32", name="tokens")


def _recurrent(config: RecurrentConfig, name: str, sequences: bool, precision: str) -> Any:
    arguments: dict[str, Any] = {
        "units": config.units,
        "activation": config.activation,
        "dropout": config.dropout,
        "recurrent_dropout": config.recurrent_dropout,
        "return_sequences": sequences,
        "dtype": precision,
        "name": config.cell if config.bidirectional else name,
    }
    if config.cell == "gru":
        arguments["reset_after"] = config.reset_after is not False
    layer = CELLS[config.cell](**arguments)
    return layers.Bidirectional(layer, name=name) if config.bidirectional else layer


def _functional(
    trunk: list[Any],
    config: ModelConfig,
    masked: bool,
    precision: str,
    labels: int,
    channels: int,
    adversarial: AdversarialConfig | None,
) -> keras.Model:
    """Build what is no chain of layers: channels, adversaries, poolings of which Keras has none that heeds the mask."""
    tokens = _tokens()
    beside = keras.Input((None, channels), dtype="float32", name="channels") if channels else None
    make, moved = (keras.Model, None) if adversarial is None else _perturbed(adversarial)
    states, rest = tokens, trunk
    if adversarial is not None or beside is not None or _apart(config):
        vectors = _vectors(trunk[0], tokens, config, precision)
        # By hand: Keras takes what has no mask of its own, the channels, for words wherever they stand.
        mask = {"mask": ops.not_equal(tokens, PAD)} if masked else {}
        vectors = vectors if moved is None else moved(vectors, **mask)
        if beside is not None:
            vectors = ops.concatenate([vectors, ops.cast(beside, vectors.dtype)], axis=-1)
        states = trunk[1](vectors, **mask)
        rest = trunk[2:]
    for layer in rest:
        states = layer(states)
    vector = _pooled(states, tokens, config, masked, precision)
    if config.dropout:
        vector = layers.Dropout(config.dropout, dtype=precision, name="dropout")(vector)
    if beside is not None:
        vector = ops.concatenate([vector, ops.cast(ops.sum(beside, axis=1), vector.dtype) / CHANNEL_SUM_SCALE], axis=-1)
    for layer in _dense(config, precision, labels):
        vector = layer(vector)
    return make(tokens if beside is None else [tokens, beside], vector, name="rnnsent")


def _apart(config: ModelConfig) -> bool:
    """Return whether something happens to the word vectors before they are read, so that no layer can look them up."""
    return bool(config.embedding_dropout)


def _vectors(embedding: Any, tokens: Any, config: ModelConfig, precision: str) -> Any:
    """Return the vector of each word."""
    vectors = embedding(tokens)
    if config.embedding_dropout:
        vectors = layers.SpatialDropout1D(config.embedding_dropout, dtype=precision, name="embedding_dropout")(vectors)
    return vectors


def _perturbed(config: AdversarialConfig) -> tuple[Any, Any]:
    """Return what makes a model that trains against adversaries, and the layer that moves its word vectors."""
    from rnnsent.engine.adversarial import Perturbation, perturbed

    layer = Perturbation()
    return partial(perturbed, layer, config), layer


def _pooled(states: Any, tokens: Any, config: ModelConfig, masked: bool, precision: str) -> Any:
    words = ops.expand_dims(ops.not_equal(tokens, PAD), -1) if masked else None  # (batch, time, 1)
    if config.pooling == "last":
        return states
    if config.pooling == "mean":
        return layers.GlobalAveragePooling1D(dtype=precision, name="mean")(states)
    if config.pooling == "attention":
        scores = layers.Dense(1, dtype=precision, name="attention")(states)
        scores = scores if words is None else ops.where(words, scores, _LOW)
        return ops.sum(states * ops.softmax(scores, axis=1), axis=1)
    vector = ops.max(states if words is None else ops.where(words, states, _LOW), axis=1)
    if config.pooling == "mean_max":
        mean = layers.GlobalAveragePooling1D(dtype=precision, name="mean")(states)
        vector = ops.concatenate([mean, vector], axis=-1)
    return vector


def _dense(config: ModelConfig, precision: str, labels: int) -> list[Any]:
    top: list[Any] = []
    for index, dense in enumerate(config.dense):
        top.append(layers.Dense(dense.units, dense.activation, dtype=precision, name=f"dense_{index}"))
        if dense.dropout:
            top.append(layers.Dropout(dense.dropout, dtype=precision, name=f"dense_{index}_dropout"))
    if config.head:
        # float32 whatever the precision: a probability near 1 has no digits to spare.
        units, activation = output_of(labels)
        top.append(layers.Dense(units, activation, dtype="float32", name="output"))
    return top


def weights_of(model: keras.Model) -> dict[str, NDArray[np.float32]]:
    """Return the weights as float32 arrays by name, `layer/…/weight`."""
    return {name: np.asarray(ops.convert_to_numpy(weight), np.float32) for name, weight in _by_name(model).items()}


def _by_name(model: keras.Model) -> dict[str, Any]:
    """Return the variables of all weights by the names that runs have for them."""
    prefix = f"{model.name}/"
    return {weight.path.removeprefix(prefix): weight for weight in model.weights}


def set_weights(model: keras.Model, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Put `weights`, as `weights_of` names them, into `model`.

    Raises:
        RunError: if names or shapes are not those of the model; the model is then unchanged.
    """
    wanted = _by_name(model)
    require_shapes({name: tuple(weight.shape) for name, weight in wanted.items()}, weights)
    for name, weight in wanted.items():
        weight.assign(weights[name])


def embedding_of(model: keras.Model) -> Any:
    """Return the variable with the word vectors of `model`, (words, features)."""
    return next(weight for weight in model.weights if weight.path.endswith(EMBEDDINGS))


def set_embedding(model: keras.Model, table: NDArray[np.float32]) -> None:
    """Put `table`, (words, features), into the embedding of `model`."""
    embedding_of(model).assign(table)


def begin_with(model: keras.Model, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Put weights that were trained before into `model`, by name.

    A kernel that reads more than those did, as what n-grams put beside the word vectors, keeps its own rows for that.
    """
    own = _by_name(model)
    for name, given in weights.items():
        value = np.array(ops.convert_to_numpy(own[name]))
        value[: len(given)] = given
        own[name].assign(value)


def layer_facts(model: keras.Model) -> list[dict[str, Any]]:
    """Return name, type, output_shape and parameters of each layer; None in a shape stands for any size."""
    return [
        {
            "name": layer.name,
            "type": type(layer).__name__,
            "output_shape": list(layer.output.shape),
            "parameters": int(layer.count_params()),
        }
        for layer in model.layers
    ]


def summary_text(model: keras.Model, width: int = 80) -> str:
    """Return Keras' own table of layers, shapes and parameters."""
    lines: list[str] = []
    model.summary(line_length=width, print_fn=lambda line, **_: lines.append(line))
    return "\n".join(line.rstrip() for line in "\n".join(lines).splitlines()) + "\n"
