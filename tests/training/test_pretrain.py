"""A language model of the texts, with which a network begins."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from rnnsent.runs.artifacts import load_weights

from rnnsent.engine import kernel
from rnnsent.engine.dispatch import NATIVE, STOCK
from rnnsent.json_files import unsealed
from rnnsent.models.builder import build_model
from rnnsent.models.weights import begin_with, weights_of
from rnnsent.runs.registry import open_run
from rnnsent.training.sampled_softmax import Foretelling
from tests.conftest import rnnsent
from tests.walks import CONFIG, ROWS, config, trained


@pytest.mark.parametrize("directions", [1, 2])
def test_the_surprise_is_that_of_a_softmax_over_all_words(directions: int) -> None:
    rng = np.random.default_rng(1)
    rows, width, units, batch, time = 9, 4, 5, 3, 6
    table = keras.Variable(rng.normal(size=(rows, width)).astype(np.float32))
    layer = Foretelling(table, directions, samples=200_000, seed=0)
    ids = rng.integers(2, rows, (batch, time)).astype(np.int32)
    ids[0, 4:], ids[1, 1:] = 0, 0  # a review of four words, and one of one, which foretells nothing
    states = rng.normal(size=(batch, time, units * directions)).astype(np.float32)
    layer.build((states.shape, ids.shape))
    bias = rng.normal(size=rows).astype(np.float32)
    layer.set_weights([value if value.ndim == 2 else bias for value in layer.get_weights()])
    found = np.asarray(layer([states, ids]))

    ways = [value for value in layer.get_weights() if value.shape == (units, width)]
    surprises = []
    for review in range(batch):
        for at in range(int((ids[review] != 0).sum()) - 1):
            for direction in range(directions):
                here, there = (at, at + 1) if direction == 0 else (at + 1, at)
                state = states[review, here, direction * units : (direction + 1) * units]
                logits = (state @ ways[direction]) @ table.numpy()[2:].T + bias[2:]  # 0 and 1 are foretold by nobody
                surprises.append(np.log(np.exp(logits).sum()) - logits[ids[review, there] - 2])
    np.testing.assert_allclose(found, np.full((batch, 1), np.mean(surprises)), rtol=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "cell"), [(NATIVE, "gru"), (NATIVE, "lstm"), (STOCK, "simple_rnn")])
def test_it_learns_what_may_follow(path: str, cell: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[str] = []
    asked = config(
        f"cell: gru -> cell: {cell}",
        "epochs: 3, batch_size: 16, learning_rate: 2e-2 -> epochs: 12, batch_size: 8, learning_rate: 5e-2",
        "embedding_dim: 6 -> embedding_dim: 16",
    )
    found = trained(tmp_path, monkeypatch, asked, path=path, tell=told.append)
    assert len(told) == 12 and not found.cached
    assert np.log(2) * 0.95 < found.loss < np.log(2) * 1.35  # of ten words, two may follow


def test_a_network_begins_with_its_weights_and_reads_other_things_with_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = trained(tmp_path, monkeypatch, config())
    asked = config("  recurrent -> \n  ngrams: {orders: 2}\n  recurrent")
    model = build_model(asked, ROWS, seed=5)
    before = weights_of(model)
    begin_with(model, found.weights)
    after = weights_of(model)
    assert set(found.weights) < set(after) and len(found.weights) == 7
    for name, value in after.items():
        if name in found.weights:
            given = found.weights[name]
            np.testing.assert_array_equal(value[: len(given)], given)
            np.testing.assert_array_equal(value[len(given) :], before[name][len(given) :])
            assert len(value) - len(given) == (2 if name.endswith("/kernel") else 0)
        else:
            np.testing.assert_array_equal(value, before[name])


def test_two_seeds_begin_with_the_same_one_and_the_run_says_so() -> None:
    Path("c.yaml").write_text(CONFIG.replace("num_words: 13", "num_words: 300").replace("epochs: 3", "epochs: 1"))
    facts = []
    for seed, whence in (("0", "ready"), ("1", "from the cache")):
        done = rnnsent("train", "--config", "c.yaml", "--run-dir", f"run{seed}", "--seed", seed, "--json")
        assert done.exit_code == 0, done.stderr
        facts.append(json.loads(done.stdout)["language_model"])
        assert load_weights(open_run(Path(f"run{seed}")))["embedding/embeddings"].shape == (300, 6)
        assert f"language model: {whence}, loss {facts[-1]['loss']:.4f}" in done.stderr
        assert unsealed(json.loads(Path(f"run{seed}/language_model.json").read_text())) == facts[-1]
    assert facts[0]["loss"] == facts[1]["loss"] > 0
    assert facts[1]["cached"] and facts[0]["seconds"] == facts[1]["seconds"] > 0
    (epoch,) = facts[1]["epochs"]
    assert epoch == facts[0]["epochs"][0] and 0 < epoch["gradient_norm"] < epoch["largest_gradient_norm"]
    (maker,) = facts[1]["made_with"]
    environment = json.loads(Path("run1/environment.json").read_text())
    assert maker == {
        "python": environment["python"],
        **environment["packages"],
        **{name: environment[name] for name in ("processor", "backend", "threads")},
        "device": environment["device"]["name"],
        "engine": "native" if kernel.available() else "keras",
    }


def test_a_training_that_goes_on_neither_trains_it_again_nor_forgets_what_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Path("c.yaml").write_text(CONFIG.replace("num_words: 13", "num_words: 300").replace("epochs: 3", "epochs: 1"))
    first = rnnsent("train", "--config", "c.yaml", "--run-dir", "run", "--json")
    assert first.exit_code == 0, first.stderr
    monkeypatch.setenv("RNNSENT_CACHE", str(tmp_path / "another"))  # where it is not
    more = rnnsent("train", "--resume", "run", "--epochs", "2", "--allow-changes", "--json")
    assert more.exit_code == 0 and "language model" not in more.stderr, more.stderr
    facts = json.loads(more.stdout)
    assert facts["epochs"] == 2 and facts["language_model"] == json.loads(first.stdout)["language_model"]


def test_padding_that_is_read_as_words_is_refused() -> None:
    Path("c.yaml").write_text(CONFIG.replace("maxlen: 40", "maxlen: 40, padding: notebook"))
    refused = rnnsent("train", "--config", "c.yaml")
    assert refused.exit_code == 1
    assert "model.language_model: must be null under padding: notebook" in " ".join(refused.stderr.split())
