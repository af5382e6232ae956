"""The NumPy passes against stock Keras layers, and the small pieces against plain computations."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnsent.config.cells import CELLS, Cell
from rnnsent.models import numpy_layers as reference
from rnnsent.models.numpy_layers import (
    ACTIVATIONS,
    Array,
    BidirectionalWeights,
    Mask,
    RecurrentWeights,
    sigmoid,
    softmax,
)
from tests.conftest import rnnsent

FEATURES, UNITS = 5, 4
BEFORE = CELLS["gru"].reset_before
assert BEFORE is not None
VARIANTS = CELLS | {"gru_reset_before": BEFORE}
each_cell = pytest.mark.parametrize("cell", VARIANTS.values(), ids=VARIANTS)
MASKS = {
    "none": None,
    "right-padded": np.array([[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0]], bool),
    "left-padded": np.array([[0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]], bool),
    "ragged": np.array([[0, 1, 0, 0, 1, 1], [1, 0, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0]], bool),
}


def stock_layer(cell: Cell, units: int = UNITS, **options: Any) -> Any:
    # The generic kernels, also on a GPU: cuDNN treats the outputs of masked steps in a way of its own.
    options |= {"use_cudnn": False} if cell.cudnn else {}
    # Random biases too: the default zeros would hide a bias that is left out.
    return cell.keras_layer(units=units, bias_initializer="random_normal", **options)


def weights_of(layer: Any) -> RecurrentWeights:
    return RecurrentWeights(*layer.get_weights())


def directions_of(layer: Any) -> BidirectionalWeights:
    return BidirectionalWeights(weights_of(layer.forward_layer), weights_of(layer.backward_layer))


def sequences(batch: int = 3, timesteps: int = 6, features: int = FEATURES, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(batch, timesteps, features)).astype(np.float32)


def run_stock(layer: Any, inputs: Array, mask: Mask | None = None, **options: Any) -> Any:
    outputs = layer(inputs, mask=mask, **options)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def assert_close(found: Any, expected: Any) -> None:
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
@each_cell
def test_every_cell_equals_keras(cell: Cell, mask: Mask | None) -> None:
    inputs = sequences()
    layer = stock_layer(cell, return_sequences=True)
    expected = run_stock(layer, inputs, mask)
    found = reference.recurrent(cell, inputs, weights_of(layer), mask=mask, return_sequences=True)
    assert_close(found, expected)
    np.testing.assert_array_equal(reference.recurrent(cell, inputs, weights_of(layer), mask=mask), found[:, -1])


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"softmax"}))
@each_cell
def test_every_activation_equals_keras(cell: Cell, activation: str) -> None:
    layer = keras.layers.Bidirectional(stock_layer(cell, activation=activation, return_sequences=True))
    expected = run_stock(layer, sequences() / 2, MASKS["right-padded"])
    found = reference.bidirectional(
        cell,
        sequences() / 2,
        directions_of(layer),
        activation=activation,
        mask=MASKS["right-padded"],
        return_sequences=True,
    )
    assert_close(found, expected)


@each_cell
def test_layers_without_bias_equal_keras(cell: Cell) -> None:
    layer = stock_layer(cell, use_bias=False)
    expected = run_stock(layer, sequences())
    assert_close(reference.recurrent(cell, sequences(), weights_of(layer)), expected)


@pytest.mark.parametrize("return_sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
@each_cell
def test_bidirectional_equals_keras(cell: Cell, mask: Mask | None, return_sequences: bool) -> None:
    layer = keras.layers.Bidirectional(stock_layer(cell, return_sequences=return_sequences))
    expected = run_stock(layer, sequences(), mask)
    found = reference.bidirectional(
        cell, sequences(), directions_of(layer), mask=mask, return_sequences=return_sequences
    )
    assert_close(found, expected)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_shape_and_mask_equals_keras(data: st.DataObject) -> None:
    cell = data.draw(st.sampled_from(list(VARIANTS.values())))
    batch, timesteps, features, units = (data.draw(st.integers(1, high)) for high in (4, 7, 6, 5))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=batch * timesteps, max_size=batch * timesteps)))
    mask = mask.reshape(batch, timesteps)
    inputs = sequences(batch, timesteps, features, seed=batch)
    layer = stock_layer(cell, units, return_sequences=True)
    expected = run_stock(layer, inputs, mask)
    assert_close(reference.recurrent(cell, inputs, weights_of(layer), mask=mask, return_sequences=True), expected)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(cell=st.sampled_from(list(VARIANTS.values())), padding=st.integers(1, 5), seed=st.integers(0, 99))
def test_padding_changes_nothing(cell: Cell, padding: int, seed: int) -> None:
    inputs = sequences(2, 4, FEATURES, seed)
    weights = random_weights(cell, seed)
    padded = np.concatenate([inputs, sequences(2, padding, FEATURES, seed + 1) * 1e3], axis=1)
    mask = np.zeros(padded.shape[:2], bool)
    mask[:, :4] = True
    found, expected = (
        reference.recurrent(cell, padded, weights, mask=mask),
        reference.recurrent(cell, inputs, weights),
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


def random_weights(cell: Cell, seed: int = 0) -> RecurrentWeights:
    rng = np.random.default_rng(seed)
    width = cell.gates * UNITS
    bias = rng.normal(size=(2, width) if cell.biases == 2 else width)
    return RecurrentWeights(rng.normal(size=(FEATURES, width)), rng.normal(size=(UNITS, width)), bias)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_cell
def test_dtype_of_the_input_is_kept(cell: Cell, dtype: type[np.floating[Any]]) -> None:
    inputs = sequences().astype(dtype)
    mask = MASKS["ragged"]
    found = reference.recurrent(cell, inputs, random_weights(cell), mask=mask, return_sequences=True)
    assert found.dtype == dtype
    for name in reference.POOLINGS:
        assert reference.pool(name, found, mask).dtype == dtype
    kernel = np.ones((UNITS, 1))
    assert reference.attention(found, kernel, np.ones(1), mask).dtype == dtype
    for activation in ACTIVATIONS:
        assert reference.dense(found, kernel, activation=activation).dtype == dtype


def test_embedding_refuses_tokens_outside_of_the_table() -> None:
    table = sequences()[0]
    np.testing.assert_array_equal(reference.embedding(np.array([[1, 0]]), table), [[table[1], table[0]]])
    for tokens in ([[-1]], [[6]]):
        with pytest.raises(ValueError, match=r"tokens must lie in 0\.\.5"):
            reference.embedding(np.array(tokens), table)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
def test_poolings_row_by_row(mask: Mask | None) -> None:
    sequence = sequences() - 2  # mostly below zero, where a padded zero would win the maximum
    for row in range(3):
        real = sequence[row] if mask is None else sequence[row][mask[row]]
        if not len(real):
            real = np.zeros((1, FEATURES), np.float32)
        expected = {"mean": real.mean(axis=0), "max": real.max(axis=0)}
        expected["mean_max"] = np.concatenate([expected["mean"], expected["max"]])
        assert expected.keys() == reference.POOLINGS.keys()
        for name, values in expected.items():
            assert_close(reference.pool(name, sequence, mask)[row], values)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
def test_attention_row_by_row(mask: Mask | None) -> None:
    sequence, kernel, bias = sequences(), sequences(1, FEATURES, 1)[0] * 3, np.array([0.7], np.float32)
    shares = reference.attention_weights(sequence, kernel, bias, mask)
    context = reference.attention(sequence, kernel, bias, mask)
    for row in range(3):
        steps = [t for t in range(6) if mask is None or mask[row, t]]
        exponential = {t: float(np.exp(sequence[row, t] @ kernel[:, 0] + 0.7)) for t in steps}
        expected = np.array([exponential.get(t, 0.0) / (sum(exponential.values()) or 1.0) for t in range(6)])
        np.testing.assert_allclose(shares[row], expected, atol=1e-6)
        np.testing.assert_allclose(context[row], expected @ sequence[row], atol=1e-5)


def test_attention_survives_wild_scores_behind_the_mask() -> None:
    sequence = np.array([[[1.0], [2.0], [1e30]]], np.float32)
    mask = np.array([[True, True, False]])
    shares = reference.attention_weights(sequence, np.array([[1e3]], np.float32), None, mask)
    np.testing.assert_array_equal(shares, [[0, 1, 0]])


def test_notebook_pass_has_the_promised_shape_and_equals_simple_rnn() -> None:
    rng = np.random.default_rng(0)
    # Smaller than the notebook's own weights, under which every output would be 1 and any mistake would pass.
    inputs, w, u, b = (
        rng.normal(scale=0.2, size=shape).astype(np.float32) for shape in ((100, 32), (64, 32), (64, 64), (64,))
    )
    found = reference.simple_rnn_pass(inputs, w, u, b)
    assert found.shape == (100, 64)
    assert np.concatenate(list(found), axis=0).shape == (6400,)
    layer = keras.layers.SimpleRNN(64, return_sequences=True)
    layer.build((None, None, 32))
    layer.set_weights([w.T, u.T, b])
    np.testing.assert_allclose(found, run_stock(layer, inputs[np.newaxis])[0], atol=1e-4)
    batch = reference.recurrent(CELLS["simple_rnn"], inputs[np.newaxis], weights_of(layer), return_sequences=True)
    np.testing.assert_allclose(found, batch[0], atol=1e-4)


def test_command_shows_the_notebooks_shapes() -> None:
    result = rnnsent("reference")
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80
    for line in ("input_sequence         (100, 32)", "final_output_sequence  (100, 64)", "(6400,)", "U   "):
        assert line in result.output


def test_command_prints_one_json_object_and_obeys_the_seed() -> None:
    def invoke(*arguments: str) -> dict[str, Any]:
        result = rnnsent("reference", "--json", "--timesteps", "3", "--output-features", "2", *arguments)
        assert result.exit_code == 0
        found: dict[str, Any] = json.loads(result.output)
        return found

    first = invoke("--seed", "7")
    assert first["shapes"]["final_output_sequence"] == [3, 2]
    assert first["concatenated_shape"] == [6]
    assert first == invoke("--seed", "7")
    assert first["final_state"] != invoke("--seed", "8")["final_state"]


@pytest.mark.parametrize("option", ["--timesteps", "--input-features", "--output-features"])
def test_command_refuses_empty_arrays(option: str) -> None:
    assert rnnsent("reference", option, "0").exit_code == 2


@pytest.mark.parametrize("name", list(ACTIVATIONS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_activation_is_that_of_keras(name: str, dtype: type[np.floating[Any]]) -> None:
    x = np.concatenate([np.random.default_rng(0).normal(size=98) * 5, [0.0, -0.0]]).astype(dtype).reshape(10, 10)
    expected = keras.ops.convert_to_numpy(getattr(keras.activations, name)(x))
    found = ACTIVATIONS[name](x)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_and_softmax_are_stable(dtype: type[np.floating[Any]]) -> None:
    x = np.array([-1e30, -1000, -30, 0, 30, 1000, 1e30], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        np.testing.assert_allclose(sigmoid(x), [0, 0, np.exp(-30), 0.5, 1, 1, 1], rtol=1e-6, atol=1e-34)
        np.testing.assert_allclose(softmax(np.array([1e4, 1e4, -1e4], dtype)), [0.5, 0.5, 0])
