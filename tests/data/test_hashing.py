"""Hashed n-grams: the same rows everywhere, and a network that reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnsent.config import Config
from rnnsent.config.loader import parse_config
from rnnsent.data.hashing import MOST_BUCKETS, NONE, hashed_ngrams
from rnnsent.models.builder import model_for, weights_of
from rnnsent.models.network import Network, weight_shapes
from tests.conftest import rnnsent

LARGEST = 2**31 - 1


def ids_of(rows: list[list[int]]) -> Any:
    return np.array(rows, np.int32)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    rows=st.integers(1, 6).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(0, LARGEST), min_size=width, max_size=width), min_size=1, max_size=4
        )
    ),
    order=st.sampled_from([2, 3]),
    buckets=st.integers(2, MOST_BUCKETS),
)
def test_keras_and_numpy_hash_alike(rows: list[list[int]], order: int, buckets: int) -> None:
    ids = ids_of(rows)
    found = hashed_ngrams(ids, order, buckets, np)
    assert found.shape == ids.shape
    assert found.min() >= 0
    assert found.max() < buckets
    in_keras = hashed_ngrams(keras.ops.convert_to_tensor(ids), order, buckets, keras.ops)
    np.testing.assert_array_equal(found, keras.ops.convert_to_numpy(in_keras))


@pytest.mark.parametrize("order", [2, 3])
def test_an_ngram_has_one_row_wherever_it_stands(order: int) -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(1, 30_000, 20)
    padded = ids_of([[0, 0, *words, 0], [7, 8, *words, 9]])
    found = hashed_ngrams(padded, order, 2**16, np)
    inside = slice(2 + order - 1, 22)
    np.testing.assert_array_equal(found[0, inside], found[1, inside])
    assert (found[0, : 2 + order - 1] == NONE).all()
    assert found[0, -1] == NONE
    assert (found[1, order - 1 :] != NONE).all()


def test_order_matters_and_collisions_are_those_of_chance() -> None:
    rng = np.random.default_rng(1)
    pairs = np.unique(rng.integers(1, 30_000, (20_000, 2)), axis=0).astype(np.int32)
    buckets = 2**16
    rows = hashed_ngrams(pairs, 2, buckets, np)[:, 1]
    there = len(np.unique(rows))
    by_chance = (buckets - 1) * (1 - np.exp(-len(pairs) / (buckets - 1)))
    assert there == pytest.approx(by_chance, rel=0.02)
    turned = hashed_ngrams(np.ascontiguousarray(pairs[:, ::-1]), 2, buckets, np)[:, 1]
    assert (rows == turned).mean() < 0.001


def config(model: str, padding: str = "post") -> Config:
    return parse_config(f"data: {{padding: {padding}, maxlen: 9}}\nmodel: {{embedding_dim: 6, {model}}}\n", "test")


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "mean_max", "attention"])
@pytest.mark.parametrize("padding", ["post", "notebook"])
@pytest.mark.parametrize("orders", [2, 3])
def test_numpy_and_kernel_give_what_keras_gives(pooling: str, padding: str, orders: int) -> None:
    layer = "{cell: gru, units: 5, bidirectional: true}"
    hashed = f"hashed_ngrams: {{orders: {orders}, buckets: 50, dim: 3}}"
    chosen = config(f"recurrent: [{layer}], pooling: {pooling}, {hashed}, embedding_dropout: 0.5", padding)
    model = model_for(chosen, num_words=20, seed=3)
    assert {name: value.shape for name, value in weights_of(model).items()} == weight_shapes(chosen, 20)
    rng = np.random.default_rng(0)
    ids = np.zeros((3, 9), np.int32)
    for row, length in zip(ids, (9, 4, 1), strict=True):
        row[slice(9 - length, None) if padding == "notebook" else slice(length)] = rng.integers(1, 20, length)
    expected = keras.ops.convert_to_numpy(model(ids))[:, 0]
    for native in (True, False):
        found = Network(chosen, weights_of(model), native=native).probabilities(ids)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    fast = model_for(chosen, num_words=20, seed=3, native=[True])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(fast(ids))[:, 0], expected, rtol=0, atol=1e-5)


def test_a_run_that_reads_them(tiny_imdb: Path, tiny_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    hashed = ["--set", "model.hashed_ngrams.buckets=500", "--set", "model.ngrams.orders=2"]
    trained = rnnsent("train", "--config", str(tiny_config), "--run-dir", "run", *hashed, "--epochs", "2", "--json")
    assert trained.exit_code == 0, trained.stderr
    assert json.loads(trained.stdout)["validation"]["accuracy"]["value"] > 0.6
    verified = rnnsent("verify", "run")
    assert verified.exit_code == 0, verified.stderr
    texts = ["word5 word6 word7", "word15 word30 word31 word16"]
    answers = [
        [line["probability"] for line in map(json.loads, rnnsent(*arguments).stdout.splitlines())]
        for arguments in (
            ["predict", "run", *texts, "--json"],
            ["predict", "run", *texts, "--json", "--backend", "keras"],
        )
    ]
    assert len(answers[0]) == 2
    np.testing.assert_allclose(answers[0], answers[1], rtol=0, atol=1e-5)
    traced = rnnsent("trace", "run", texts[0], "--method", "integrated-gradients")
    assert traced.exit_code == 1
    assert "n-grams; occlusion is" in traced.stderr
