"""A language model of the texts, with which a network begins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rnnsent import language_model
from rnnsent.config import Config
from rnnsent.configfile import parse_config
from rnnsent.data.split import Split
from rnnsent.engine.paths import NATIVE, STOCK
from rnnsent.errors import Interrupted, TrainingError
from rnnsent.foretelling import Foretelling
from rnnsent.models import begin_with, model_for, weights_of
from rnnsent.run_root import open_run
from rnnsent.stored import load_weights
from tests.conftest import rnnsent

ROWS = 13
CONFIG = """\
data: {source: sample, num_words: 13, maxlen: 40}
model:
  embedding_dim: 6
  language_model: {epochs: 3, batch_size: 16, learning_rate: 2e-2, samples: 64}
  recurrent: [{cell: gru, units: 8, bidirectional: true}]
training: {epochs: 1, batch_size: 64}
"""


def config(*changes: str) -> Config:
    text = CONFIG
    for change in changes:
        old, new = change.split(" -> ")
        assert old in text
        text = text.replace(old, new)
    return parse_config(text, "c.yaml", [])


def walks(count: int = 200) -> Split:
    """Return texts in which after each word, and before it, one of two may stand."""
    rng = np.random.default_rng(0)
    sequences = []
    for _ in range(count):
        steps = rng.integers(1, 3, int(rng.integers(8, 30)))
        sequences.append([1, *(3 + (rng.integers(10) + np.cumsum(steps)) % 10)])
    return Split.from_sequences(sequences, np.zeros(count, np.int64))


def trained(cache: Path, monkeypatch: pytest.MonkeyPatch, asked: Config, **options: Any) -> language_model.Trained:
    monkeypatch.setenv("RNNSENT_CACHE", str(cache))
    return language_model.train([walks()], asked, ROWS, None, options.pop("path", NATIVE), **options)


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
    model = model_for(asked, num_words=ROWS, seed=5)
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


def test_stopped_after_any_epoch_it_ends_with_the_same_bits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", monkeypatch, config())

    def stop(line: str) -> None:
        if "goes on" not in line:
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "stopped", monkeypatch, config(), tell=stop)
    told: list[str] = []
    ended = trained(tmp_path / "stopped", monkeypatch, config(), tell=told.append)
    assert [line.partition(",")[0] for line in told] == [
        "language model: goes on after 2 epochs",
        "language model: epoch 3 of 3",
    ]
    assert ended.loss == whole.loss and set(ended.weights) == set(whole.weights)
    for name, value in whole.weights.items():
        np.testing.assert_array_equal(value, ended.weights[name])
    assert len(list((tmp_path / "stopped").iterdir())) == 1  # what was kept on the way is gone
    again = trained(tmp_path / "stopped", monkeypatch, config())
    assert again.cached and again.seconds == ended.seconds
    assert not trained(tmp_path / "stopped", monkeypatch, config("samples: 64 -> samples: 32")).cached


def test_a_signal_ends_it_between_two_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    steps: list[int] = []

    def terminated(self: Any, batch: int, logs: Any = None) -> None:
        steps.append(batch)
        if len(steps) == 20:  # 13 an epoch
            raise Interrupted("terminated", 143)

    monkeypatch.setattr(language_model._Delivering, "on_train_batch_end", terminated)
    with pytest.raises(Interrupted, match="stopped in the language model; 1 epoch of it is in the cache") as stopped:
        trained(tmp_path, monkeypatch, config())
    assert stopped.value.exit_code == 143


def test_a_loss_that_is_no_number_ends_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"loss became nan in epoch \d of 3: lower model.language_model.learning"):
        trained(tmp_path, monkeypatch, config("learning_rate: 2e-2 -> learning_rate: 1e30"))


def test_two_seeds_begin_with_the_same_one_and_the_run_says_so() -> None:
    Path("c.yaml").write_text(CONFIG.replace("num_words: 13", "num_words: 300").replace("epochs: 3", "epochs: 1"))
    facts = []
    for seed in ("0", "1"):
        done = rnnsent("train", "--config", "c.yaml", "--run-dir", f"run{seed}", "--seed", seed, "--json")
        assert done.exit_code == 0, done.stderr
        facts.append(json.loads(done.stdout)["language_model"])
        assert load_weights(open_run(Path(f"run{seed}")))["embedding/embeddings"].shape == (300, 6)
        assert f"{facts[-1]['loss']:.4f}" in done.stderr
    assert facts[0]["loss"] == facts[1]["loss"] > 0
    assert facts[1]["cached"] and facts[0]["seconds"] == facts[1]["seconds"] > 0


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
