from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rnnsent.config import Config, ModelConfig
from rnnsent.config.loader import load_config, parse_config
from rnnsent.errors import RunError
from rnnsent.models import numpy_layers as reference
from rnnsent.models.builder import build_model, model_for, rebuild_model, set_weights, weights_of

RNG = np.random.default_rng(0)
CELLS = ("simple_rnn", "lstm", "gru")


def model_config(text: str) -> ModelConfig:
    config: Config = parse_config(f"model: {{embedding_dim: 6, {text}}}", "test")
    return config.model


@pytest.mark.parametrize(
    ("name", "layers", "total"),
    [
        ("embedding_simple_rnn", [((None, None, 32), 320_000), ((None, 32), 2_080)], 322_080),
        ("embedding_simple_rnn_sequences", [((None, None, 32), 320_000), ((None, None, 32), 2_080)], 322_080),
        (
            "embedding_stacked_simple_rnn",
            [((None, None, 32), 320_000), *[((None, None, 32), 2_080)] * 3, ((None, 32), 2_080)],
            328_320,
        ),
        ("simple_rnn", [((None, None, 32), 320_000), ((None, 32), 2_080), ((None, 1), 33)], 322_113),
        ("lstm", [((None, None, 32), 320_000), ((None, 32), 8_320), ((None, 1), 33)], 328_353),
        ("gru", [((None, None, 32), 320_000), ((None, 32), 6_336), ((None, 1), 33)], 326_369),
    ],
)
def test_the_models_of_the_notebook(name: str, layers: list[Any], total: int) -> None:
    model = model_for(load_config(f"notebook/{name}"), num_words=10_000)
    assert [(layer.output.shape, layer.count_params()) for layer in model.layers] == layers
    assert model.count_params() == total


def tokens(padding: str = "post", extra: int = 0) -> Any:
    reviews = [RNG.integers(1, 20, length) for length in (1, 3, 7)]
    return keras.utils.pad_sequences(reviews, 7 + extra, padding=padding)


def forward_by_reference(model: keras.Model, config: ModelConfig, ids: Any) -> Any:
    """Compute the same network with the NumPy reference."""
    mask = ids != 0
    states = reference.embedding(ids, model.get_layer("embedding").get_weights()[0])
    recurrent = [layer for layer in model.layers if isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional))]
    for index, (layer, settings) in enumerate(zip(recurrent, config.recurrent, strict=True)):
        sequences = index < len(recurrent) - 1 or config.pooling != "last"
        weights = layer.get_weights()
        half = len(weights) // 2
        if settings.bidirectional:
            pair = reference.BidirectionalWeights(
                reference.RecurrentWeights(*weights[:half]), reference.RecurrentWeights(*weights[half:])
            )
            states = reference.bidirectional(settings.cell, states, pair, mask=mask, return_sequences=sequences)
        else:
            one = reference.RecurrentWeights(*weights)
            states = reference.recurrent(settings.cell, states, one, mask=mask, return_sequences=sequences).output
    if config.pooling == "attention":
        kernel, bias = model.get_layer("attention").get_weights()
        states = reference.attention(states, kernel, bias, mask=mask)
    elif config.pooling != "last":
        states = reference.pool(config.pooling, states, mask)
    return reference.dense(states, *model.get_layer("output").get_weights(), activation="sigmoid")


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "mean_max", "attention"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", ["false", "true"])
def test_every_network_agrees_with_the_reference_and_heeds_its_mask(
    cell: str, pooling: str, bidirectional: str
) -> None:
    layer = f"{{cell: {cell}, units: 5, bidirectional: {bidirectional}}}"
    config = model_config(f"recurrent: [{layer}], pooling: {pooling}")
    model = build_model(config, num_words=20, seed=1)
    ids = tokens()
    expected = forward_by_reference(model, config, ids)
    # Called as it is: each of these shapes would be a graph of its own.
    alone = [model(row[None, row > 0]) for row in ids]
    for found in (model(ids), model(np.pad(ids, ((0, 0), (0, 9)))), keras.ops.concatenate(alone)):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(found), expected, rtol=1e-5, atol=1e-6)


def test_a_mixed_stack_agrees_with_the_reference() -> None:
    layers = "{cell: lstm, units: 4}, {cell: gru, units: 3, reset_after: false}, {cell: simple_rnn, units: 5}"
    config = model_config(f"recurrent: [{layers}], dense: [{{units: 7, activation: tanh}}]")
    model = build_model(config, num_words=20, seed=1)
    ids = tokens()
    states = reference.embedding(ids, model.get_layer("embedding").get_weights()[0])
    for name, cell in (("lstm", "lstm"), ("gru", "gru_reset_before"), ("simple_rnn", "simple_rnn")):
        weights = reference.RecurrentWeights(*model.get_layer(name).get_weights())
        inside = cell != "simple_rnn"
        states = reference.recurrent(cell, states, weights, mask=ids != 0, return_sequences=inside).output
    for name, activation in (("dense_0", "tanh"), ("output", "sigmoid")):
        states = reference.dense(states, *model.get_layer(name).get_weights(), activation=activation)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(ids)), states, rtol=1e-5, atol=1e-6)


def test_without_a_mask_padding_is_a_word() -> None:
    config = model_config("recurrent: [{cell: gru, units: 5}]")
    model = build_model(config, num_words=20, masked=False, seed=1)
    ids = tokens(padding="pre")
    states = reference.embedding(ids, model.get_layer("embedding").get_weights()[0])
    weights = reference.RecurrentWeights(*model.get_layer("gru").get_weights())
    states = reference.recurrent("gru", states, weights).output
    expected = reference.dense(states, *model.get_layer("output").get_weights(), activation="sigmoid")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(ids)), expected, rtol=1e-5, atol=1e-6)


def test_a_seed_decides_the_initial_weights() -> None:
    config = model_config("recurrent: [{cell: gru, units: 5}]")
    first, again, other = (weights_of(build_model(config, num_words=20, seed=seed)) for seed in (1, 1, 2))
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value)
    assert not np.array_equal(other["embedding/embeddings"], first["embedding/embeddings"])


def test_dropout_works_in_training_only() -> None:
    dropping = "{cell: gru, units: 5, dropout: 0.5, recurrent_dropout: 0.5}"
    model = build_model(model_config(f"recurrent: [{dropping}], dropout: 0.5"), num_words=20, seed=1)
    plain = build_model(model_config("recurrent: [{cell: gru, units: 5}]"), num_words=20)
    set_weights(plain, weights_of(model))
    ids = tokens()
    still, moving, expected = (
        keras.ops.convert_to_numpy(each)
        for each in (model(ids, training=False), model(ids, training=True), plain(ids, training=False))
    )
    np.testing.assert_array_equal(still, expected)
    assert not np.array_equal(moving, expected)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "mean_max", "attention"])
def test_mixed_precision_is_near_float32_and_gives_float32(pooling: str, precision: str) -> None:
    config = model_config(f"recurrent: [{{cell: lstm, units: 5, bidirectional: true}}], pooling: {pooling}")
    plain, mixed = (build_model(config, num_words=20, precision=each, seed=1) for each in ("float32", precision))
    ids = tokens()
    found = keras.ops.convert_to_numpy(mixed(ids))
    assert found.dtype == np.float32 and {weight.dtype for weight in mixed.weights} == {"float32"}
    np.testing.assert_allclose(found, keras.ops.convert_to_numpy(plain(ids)), atol=1e-2)


def test_mixed_stacks_return_sequences_inside_and_have_stable_names() -> None:
    stack = "recurrent: [{cell: lstm, units: 4}, {cell: gru, units: 3, bidirectional: true}, {cell: lstm, units: 2}]"
    for _ in range(2):
        model = build_model(model_config(f"{stack}, dense: [{{units: 3, dropout: 0.5}}], dropout: 0.1"), num_words=20)
        shapes = {layer.name: layer.output.shape for layer in model.layers}
        assert shapes == {
            "embedding": (None, None, 6),
            "lstm": (None, None, 4),
            "bidirectional_gru": (None, None, 6),
            "lstm_1": (None, 2),
            "dropout": (None, 2),
            "dense_0": (None, 3),
            "dense_0_dropout": (None, 3),
            "output": (None, 1),
        }
    assert "bidirectional_gru/forward_gru/gru_cell/kernel" in weights_of(model)


def test_weights_that_do_not_belong_change_nothing() -> None:
    model = build_model(model_config("recurrent: [{cell: gru, units: 4}]"), num_words=20, seed=1)
    before = weights_of(model)
    wrong = {name: value + 1 for name, value in before.items()}
    with pytest.raises(RunError, match="differ in output/bias"):
        set_weights(model, {name: value for name, value in wrong.items() if name != "output/bias"})
    with pytest.raises(RunError, match="output/bias has the shape"):
        set_weights(model, wrong | {"output/bias": np.zeros(2, np.float32)})
    for name, value in weights_of(model).items():
        np.testing.assert_array_equal(value, before[name])


PLAIN = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "rnnsent":
            raise ImportError("rnnsent is not here")
sys.meta_path.insert(0, Block())
try:
    import rnnsent
    sys.exit("rnnsent could be imported")
except ImportError:
    pass
import keras, numpy as np
ids = np.load("ids.npy")
for name in sys.argv[1:]:
    np.save(name + ".npy", keras.models.load_model(name + ".keras")(ids))
"""


@pytest.mark.slow
def test_saved_models_load_in_plain_keras(tmp_path: Path) -> None:
    ids = tokens()
    np.save("ids.npy", ids)
    expected = {}
    for pooling in ("last", "mean", "max", "mean_max", "attention"):
        layer = "{cell: lstm, units: 5, bidirectional: true}"
        model = build_model(model_config(f"recurrent: [{layer}], pooling: {pooling}"), num_words=20, seed=1)
        model.save(f"{pooling}.keras")
        expected[pooling] = model.predict_on_batch(ids)
    subprocess.run([sys.executable, "-c", PLAIN, *expected], check=True, capture_output=True)
    for pooling, value in expected.items():
        np.testing.assert_allclose(np.load(f"{pooling}.npy"), value, rtol=1e-5, atol=1e-6)


def test_a_rebuilt_model_is_the_same_in_float32() -> None:
    config = parse_config(
        "model: {recurrent: [{cell: simple_rnn}], pooling: mean_max}\ntraining: {precision: mixed_bfloat16}", "test"
    )
    trained = model_for(config, num_words=20, seed=3)
    rebuilt = rebuild_model(config, weights_of(trained))
    ids = tokens()
    np.testing.assert_array_equal(rebuilt(ids), trained(ids))


def test_weights_of_another_config_are_refused() -> None:
    config, other = (parse_config(f"model: {{recurrent: [{{cell: gru, units: {n}}}]}}", "test") for n in (8, 9))
    weights = weights_of(model_for(config, num_words=60))
    with pytest.raises(RunError, match="the weights do not belong to this config: gru"):
        rebuild_model(other, weights)
    with pytest.raises(RunError, match="differ in embedding/embeddings"):
        rebuild_model(config, {name: value for name, value in weights.items() if name != "embedding/embeddings"})


def test_the_embedding_has_as_many_rows_as_the_weights() -> None:
    config = parse_config("model: {recurrent: [{cell: gru}]}", "test")
    model = rebuild_model(config, weights_of(model_for(config, num_words=77)))
    assert model.get_layer("embedding").input_dim == 77
