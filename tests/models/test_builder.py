from __future__ import annotations

import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest

from rnnsent.cli.options import overrides
from rnnsent.config.cells import CELLS
from rnnsent.config.loader import load_config, parse_config
from rnnsent.config.sections import Config
from rnnsent.errors import RunError
from rnnsent.models import numpy_layers as reference
from rnnsent.models.builder import build_model, rebuild_model
from rnnsent.models.summary import summarize
from rnnsent.models.weights import set_weights, weights_of
from rnnsent.runs.schemas import NetworkSummary

RNG = np.random.default_rng(0)


def config_of(text: str, *settings: str) -> Config:
    return parse_config(f"model: {{embedding_dim: 6, {text}}}", "test", overrides(settings))


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
    config = load_config(f"notebook/{name}")
    model = build_model(config, 10_000)
    assert [(layer.output.shape, layer.count_params()) for layer in model.layers[1:]] == layers
    assert model.count_params() == total
    lines: list[str] = []
    stock = keras.Sequential(model.layers, name="rnnsent")  # as the notebook writes it
    stock.summary(line_length=80, print_fn=lambda line, **_: lines.append(line))
    text = "".join(f"{line.rstrip()}\n" for line in "\n".join(lines).splitlines())
    assert summarize(config, 10_000)[0] == text


def tokens(padding: str = "post", extra: int = 0) -> Any:
    reviews = [RNG.integers(1, 20, length) for length in (1, 3, 7)]
    return keras.utils.pad_sequences(reviews, 7 + extra, padding=padding)


def forward_by_reference(model: keras.Model, config: Config, ids: Any) -> Any:
    """Compute the same network with the NumPy layers, from the weights of its Keras layers."""
    mask = ids != 0
    states = reference.embedding(ids, model.get_layer("embedding").get_weights()[0])
    for index, (name, layer) in enumerate(zip(config.model.layer_names, config.model.recurrent, strict=True)):
        sequences = config.model.returns_sequence(index)
        weights = model.get_layer(name).get_weights()
        if layer.bidirectional:
            half = len(weights) // 2
            pair = reference.BidirectionalWeights(
                reference.RecurrentWeights(*weights[:half]), reference.RecurrentWeights(*weights[half:])
            )
            states = reference.bidirectional(layer.kind, states, pair, mask=mask, return_sequences=sequences)
        else:
            one = reference.RecurrentWeights(*weights)
            states = reference.recurrent(layer.kind, states, one, mask=mask, return_sequences=sequences)
    if config.model.pooling == "attention":
        kernel, bias = model.get_layer("attention").get_weights()
        states = reference.attention(states, kernel, bias, mask=mask)
    elif config.model.pooling != "last":
        states = reference.pool(config.model.pooling, states, mask)
    dense = [(f"dense_{index}", each.activation) for index, each in enumerate(config.model.dense)]
    for name, activation in [*dense, ("output", "sigmoid")]:
        states = reference.dense(states, *model.get_layer(name).get_weights(), activation=activation)
    return states


@pytest.mark.parametrize(
    ("cell", "bidirectional", "pooling"),
    [
        *((cell, bidirectional, "last") for cell in CELLS for bidirectional in ("false", "true")),
        *(("lstm", "true", pooling) for pooling in ("mean", "max", "mean_max", "attention")),
    ],
)
def test_every_network_agrees_with_the_reference_and_heeds_its_mask(
    cell: str, bidirectional: str, pooling: str
) -> None:
    layer = f"{{cell: {cell}, units: 5, bidirectional: {bidirectional}}}"
    config = config_of(f"recurrent: [{layer}], pooling: {pooling}")
    model = build_model(config, 20, seed=1)
    ids = tokens()
    expected = forward_by_reference(model, config, ids)
    # Called as it is: each of these shapes would be a graph of its own.
    alone = [model(row[None, row > 0]) for row in ids]
    for found in (model(ids), model(np.pad(ids, ((0, 0), (0, 9)))), keras.ops.concatenate(alone)):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(found), expected, rtol=1e-5, atol=1e-6)


def test_a_mixed_stack_agrees_with_the_reference() -> None:
    layers = "{cell: lstm, units: 4}, {cell: gru, units: 3, reset_after: false}, {cell: simple_rnn, units: 5}"
    config = config_of(f"recurrent: [{layers}], dense: [{{units: 7, activation: tanh}}]")
    model = build_model(config, 20, seed=1)
    ids = tokens()
    expected = forward_by_reference(model, config, ids)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(ids)), expected, rtol=1e-5, atol=1e-6)


def test_without_a_mask_padding_is_a_word() -> None:
    config = config_of("recurrent: [{cell: gru, units: 5}]", "data.padding=notebook")
    model = build_model(config, 20, seed=1)
    ids = tokens(padding="pre")
    states = reference.embedding(ids, model.get_layer("embedding").get_weights()[0])
    weights = reference.RecurrentWeights(*model.get_layer("gru").get_weights())
    states = reference.recurrent(CELLS["gru"], states, weights)
    expected = reference.dense(states, *model.get_layer("output").get_weights(), activation="sigmoid")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(ids)), expected, rtol=1e-5, atol=1e-6)


def test_a_seed_decides_the_initial_weights() -> None:
    config = config_of("recurrent: [{cell: gru, units: 5}]")
    first, again, other = (weights_of(build_model(config, 20, seed=seed)) for seed in (1, 1, 2))
    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value)
    assert not np.array_equal(other["embedding/embeddings"], first["embedding/embeddings"])


def test_dropout_works_in_training_only() -> None:
    dropping = "{cell: gru, units: 5, dropout: 0.5, recurrent_dropout: 0.5}"
    model = build_model(config_of(f"recurrent: [{dropping}], dropout: 0.5"), 20, seed=1)
    plain = build_model(config_of("recurrent: [{cell: gru, units: 5}]"), 20)
    set_weights(plain, weights_of(model))
    ids = tokens()
    still, moving, expected = (
        keras.ops.convert_to_numpy(each)
        for each in (model(ids, training=False), model(ids, training=True), plain(ids, training=False))
    )
    np.testing.assert_array_equal(still, expected)
    assert not np.array_equal(moving, expected)


@pytest.mark.parametrize(
    ("pooling", "precision"),
    [("mean_max", "mixed_float16"), ("attention", "mixed_float16"), ("last", "mixed_bfloat16")],
)
def test_mixed_precision_is_near_float32_and_gives_float32(pooling: str, precision: str) -> None:
    layer = "{cell: lstm, units: 5, bidirectional: true}"
    config = config_of(f"recurrent: [{layer}], pooling: {pooling}", f"training.precision={precision}")
    plain, mixed = (build_model(config, 20, seed=1, training=mixed) for mixed in (False, True))
    ids = tokens()
    found = keras.ops.convert_to_numpy(mixed(ids))
    assert found.dtype == np.float32 and {weight.dtype for weight in mixed.weights} == {"float32"}
    np.testing.assert_allclose(found, keras.ops.convert_to_numpy(plain(ids)), atol=1e-2)


def test_mixed_stacks_return_sequences_inside_and_have_stable_names() -> None:
    stack = "recurrent: [{cell: lstm, units: 4}, {cell: gru, units: 3, bidirectional: true}, {cell: lstm, units: 2}]"
    for _ in range(2):
        model = build_model(config_of(f"{stack}, dense: [{{units: 3, dropout: 0.5}}], dropout: 0.1"), 20)
        shapes = {layer.name: layer.output.shape for layer in model.layers[1:]}
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
    model = build_model(config_of("recurrent: [{cell: gru, units: 4}]"), 20, seed=1)
    before = weights_of(model)
    wrong = {name: value + 1 for name, value in before.items()}
    with pytest.raises(RunError, match="differ in output/bias"):
        set_weights(model, {name: value for name, value in wrong.items() if name != "output/bias"})
    with pytest.raises(RunError, match="output/bias has the shape"):
        set_weights(model, wrong | {"output/bias": np.zeros(2, np.float32)})
    for name, value in weights_of(model).items():
        np.testing.assert_array_equal(value, before[name])


KINDS = [
    "recurrent: [{cell: lstm, units: 5}, {cell: gru, units: 4}]",
    "recurrent: [{cell: lstm, units: 5, bidirectional: true}], pooling: mean",
    "recurrent: [{cell: simple_rnn, units: 5}], pooling: max, dense: [{units: 3, dropout: 0.5}]",
    "recurrent: [{cell: gru, units: 5}], pooling: mean_max, dropout: 0.5, embedding_dropout: 0.5",
    "recurrent: [{cell: gru, units: 5, reset_after: false}, {cell: lstm, units: 4}], pooling: attention",
    "recurrent: [{cell: lstm, units: 5}], ngrams: {orders: 2}",
    "recurrent: [{cell: lstm, units: 5}], head: false",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_summary_lists_the_layers_of_keras(kind: str) -> None:
    config = config_of(kind)
    layers = [each for each in build_model(config, 20).layers if not isinstance(each, keras.layers.InputLayer)]
    _, summary = summarize(config, 20)
    assert isinstance(summary, NetworkSummary)
    assert [(each.name, each.type, each.output_shape, each.parameters) for each in summary.layers] == [
        (each.name, type(each).__name__, each.output.shape, each.count_params()) for each in layers
    ]


@pytest.fixture
def without_masking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let recurrent layers pass no mask on, as Keras after 3.15."""
    for kind in (keras.layers.RNN, keras.layers.Bidirectional):

        def construct(self: Any, *args: Any, construct: Any = kind.__init__, **options: Any) -> None:
            construct(self, *args, **options)
            self.supports_masking = False

        monkeypatch.setattr(kind, "__init__", construct)


@pytest.mark.parametrize("kind", KINDS[:5])
@pytest.mark.usefixtures("without_masking")
def test_no_layer_needs_another_to_pass_its_mask_on(kind: str) -> None:
    config = config_of(kind)
    model = build_model(config, 20, seed=1)
    ids = tokens()
    expected = forward_by_reference(model, config, ids)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(ids)), expected, rtol=1e-5, atol=1e-6)


PLAIN = """
import sys
import keras, numpy as np
for kind in (keras.layers.RNN, keras.layers.Bidirectional) if sys.argv[1] == "without masking" else ():
    def construct(self, *args, construct=kind.__init__, **options):
        construct(self, *args, **options)
        self.supports_masking = False
    kind.__init__ = construct
for number in sys.argv[2:]:
    np.save(f"{number}.npy", keras.saving.load_model(f"{number}.keras")(np.load("ids.npy")))
assert not any(name.partition(".")[0] == "rnnsent" for name in sys.modules)
"""


@pytest.mark.parametrize("masking", ["with masking", "without masking"])
def test_saved_models_load_in_plain_keras(masking: str) -> None:
    ids = tokens()
    np.save("ids.npy", ids)
    expected = {}
    for number, kind in enumerate(KINDS[:5]):
        config = config_of(kind)
        model = build_model(config, 20, seed=1)
        model.save(f"{number}.keras")
        expected[str(number)] = forward_by_reference(model, config, ids)
    done = subprocess.run([sys.executable, "-c", PLAIN, masking, *expected], check=True, capture_output=True, text=True)
    # Bidirectional itself hands a mask to its two layers in the way that Keras after 3.15 warns of.
    warnings = [line for line in done.stderr.splitlines() if "UserWarning" in line and "ward_lstm" not in line]
    assert not warnings
    for saved, value in expected.items():
        np.testing.assert_allclose(np.load(f"{saved}.npy"), value, rtol=1e-5, atol=1e-6)


def test_a_rebuilt_model_is_the_same_in_float32() -> None:
    config = parse_config(
        "model: {recurrent: [{cell: simple_rnn}], pooling: mean_max}\ntraining: {precision: mixed_bfloat16}", "test"
    )
    trained = build_model(config, 20, seed=3)
    rebuilt = rebuild_model(config, weights_of(trained))
    ids = tokens()
    np.testing.assert_array_equal(rebuilt(ids), trained(ids))


def test_weights_of_another_config_are_refused() -> None:
    config, other = (parse_config(f"model: {{recurrent: [{{cell: gru, units: {n}}}]}}", "test") for n in (8, 9))
    weights = weights_of(build_model(config, 60))
    with pytest.raises(RunError, match="the weights do not belong to this config: gru"):
        rebuild_model(other, weights)
    with pytest.raises(RunError, match="differ in embedding/embeddings"):
        rebuild_model(config, {name: value for name, value in weights.items() if name != "embedding/embeddings"})


def test_the_embedding_has_as_many_rows_as_the_weights() -> None:
    config = parse_config("model: {recurrent: [{cell: gru}]}", "test")
    model = rebuild_model(config, weights_of(build_model(config, 77)))
    assert model.get_layer("embedding").input_dim == 77
