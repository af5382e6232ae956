"""Networks without Keras against the same networks in stock Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnsent.config.cells import CELLS
from rnnsent.config.loader import parse_config
from rnnsent.config.sections import Config
from rnnsent.engine import kernel
from rnnsent.errors import RunError
from rnnsent.models.builder import build_model
from rnnsent.models.network import Network, runs_on_kernel
from rnnsent.models.weights import weight_shapes, weights_of

WORDS = 20
NATIVE = [True, False] if kernel.available() else [False]
POOLINGS = ("last", "mean", "max", "mean_max", "attention")
ACTIVATIONS = ("tanh", "tanh", "relu", "gelu", "softsign")  # tanh more often: it is what the kernel runs


def config(model: str, padding: str = "post") -> Config:
    return parse_config(f"data: {{padding: {padding}, maxlen: 9}}\nmodel: {{embedding_dim: 6, {model}}}\n", "test")


def rows(lengths: list[int], padding: str, seed: int = 0) -> Any:
    """Ids as the network gets them: right-padded, or left-padded to maxlen in the notebook's form."""
    rng = np.random.default_rng(seed)
    steps = 9 if padding == "notebook" else max(lengths)
    ids = np.zeros((len(lengths), steps), np.int32)
    for row, length in zip(ids, lengths, strict=True):
        place = slice(steps - length, None) if padding == "notebook" else slice(length)
        row[place] = rng.integers(1, WORDS, length)
    return ids


layers = st.builds(
    "{{cell: {}, units: {}, bidirectional: {}, activation: {}}}".format,
    st.sampled_from(sorted(CELLS)),
    st.integers(1, 7),
    st.sampled_from(["true", "false"]),
    st.sampled_from(ACTIVATIONS),
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    stack=st.lists(layers, min_size=1, max_size=3),
    pooling=st.sampled_from(POOLINGS),
    padding=st.sampled_from(["post", "notebook"]),
    dense=st.sampled_from(["[]", "[{units: 3}]", "[{units: 3, activation: gelu}, {units: 2, dropout: 0.5}]"]),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    seed=st.integers(0, 100),
)
def test_any_network_gives_what_keras_gives(
    stack: list[str], pooling: str, padding: str, dense: str, lengths: list[int], seed: int
) -> None:
    chosen = config(f"recurrent: [{', '.join(stack)}], pooling: {pooling}, dense: {dense}", padding)
    model = build_model(chosen, WORDS, seed=seed)
    for weight in model.weights:  # Keras starts biases at zero, which would hide one that is left out
        if weight.path.endswith("bias"):
            weight.assign(np.random.default_rng(seed).normal(size=weight.shape))
    ids = rows(lengths, padding, seed)
    expected = keras.ops.convert_to_numpy(model(ids))[:, 0]
    for native in NATIVE:
        found = Network(chosen, weights_of(model), native=native).probabilities(ids)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_both_forms_of_the_gru() -> None:
    for form in ("true", "false"):
        chosen = config(f"recurrent: [{{cell: gru, units: 4, reset_after: {form}}}]")
        model = build_model(chosen, WORDS, seed=1)
        ids = rows([3, 9, 1], "post")
        assert runs_on_kernel(chosen.model.recurrent[0]) == (form == "true" and kernel.available())
        np.testing.assert_allclose(
            Network(chosen, weights_of(model)).probabilities(ids), model(ids)[:, 0], rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("native", NATIVE)
def test_company_and_padding_change_nothing(pooling: str, native: bool) -> None:
    layer = "{cell: lstm, units: 5, bidirectional: true}"
    chosen = config(f"recurrent: [{layer}, {{cell: gru, units: 4}}], pooling: {pooling}")
    network = Network(chosen, weights_of(build_model(chosen, WORDS, seed=2)), native=native)
    lengths = [4, 9, 1, 6]
    ids = rows(lengths, "post")
    together = network.probabilities(np.pad(ids, ((0, 0), (0, 30))))
    alone = [network.probabilities(row[None, :length])[0] for row, length in zip(ids, lengths, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        "recurrent: [{cell: gru, bidirectional: true}, {cell: lstm}, {cell: lstm}, {cell: gru, reset_after: false}]",
        "recurrent: [{cell: simple_rnn, units: 3}], pooling: attention, dense: [{units: 3}, {units: 4}]",
        "recurrent: [{cell: lstm, units: 3, bidirectional: true}], pooling: mean_max, dense: [{units: 3}]",
        "recurrent: [{cell: lstm, units: 3}], head: false",
    ],
)
def test_names_and_shapes_are_those_of_the_keras_model(model: str) -> None:
    chosen = config(model)
    expected = {name: value.shape for name, value in weights_of(build_model(chosen, WORDS)).items()}
    assert weight_shapes(chosen, WORDS) == expected


def test_weights_of_another_config_are_refused() -> None:
    chosen = config("recurrent: [{cell: gru, units: 4}]")
    weights = weights_of(build_model(chosen, WORDS))
    with pytest.raises(RunError, match="differ in output/bias"):
        Network(chosen, {name: value for name, value in weights.items() if name != "output/bias"})
    with pytest.raises(RunError, match=r"output/bias has the shape \(2,\), the config needs \(1,\)"):
        Network(chosen, weights | {"output/bias": np.zeros(2, np.float32)})


@pytest.mark.parametrize("native", NATIVE)
@pytest.mark.parametrize("ids", [[[WORDS, 1]], [[-1, 1]]])
def test_ids_that_have_no_vector(native: bool, ids: list[list[int]]) -> None:
    chosen = config("recurrent: [{cell: gru, units: 4}]")
    network = Network(chosen, weights_of(build_model(chosen, WORDS)), native=native)
    with pytest.raises(ValueError, match="must lie"):
        network.probabilities(np.array(ids, np.int32))


def test_the_kernel_takes_what_it_can() -> None:
    chosen = config("recurrent: [{cell: gru, recurrent_dropout: 0.5}, {cell: lstm, activation: relu}]")
    assert [runs_on_kernel(layer) for layer in chosen.model.recurrent] == [kernel.available(), False]
