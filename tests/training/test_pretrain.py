"""A language model of the texts, with which a network begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from rnnsent.config.sections import Config, NgramsConfig
from rnnsent.data.dataset import Split
from rnnsent.engine.device import start
from rnnsent.engine.dispatch import NATIVE, STOCK, LayerPath
from rnnsent.models.builder import build_model
from rnnsent.models.weights import begin_with, weights_of
from rnnsent.runs.registry import open_run
from rnnsent.training.features import InitialWeights
from rnnsent.training.pretrain import pretrain
from rnnsent.training.sampled_softmax import SampledSoftmax
from tests.conftest import parsed, rnnsent

ROWS = 13
CONFIG = """\
data: {source: sample, num_words: 300, maxlen: 40}
model:
  embedding_dim: 6
  language_model: {epochs: 1, batch_size: 400, learning_rate: 2e-2, samples: 64}
  recurrent: [{cell: gru, units: 8, bidirectional: true}]
training: {epochs: 1, batch_size: 400}
"""


def walks() -> Split:
    """Return texts in which after each word, and before it, one of two may stand."""
    rng = np.random.default_rng(0)
    sequences = []
    for _ in range(200):
        steps = rng.integers(1, 3, int(rng.integers(8, 30)))
        sequences.append([1, *(3 + (rng.integers(10) + np.cumsum(steps)) % 10)])
    return Split.from_sequences(sequences, np.zeros(200, np.int64))


def of_walks(config: Config, path: str = NATIVE) -> InitialWeights:
    features: Any = SimpleNamespace(all_texts=[walks()], rows=ROWS)
    return pretrain(features, config, None, LayerPath("0", path, "asked for"), start("cpu"))


@pytest.mark.parametrize("directions", [1, 2])
def test_loss_is_that_of_a_softmax_over_all_words(directions: int) -> None:
    rng = np.random.default_rng(1)
    rows, width, units, batch, time = 9, 4, 5, 3, 6
    table = keras.Variable(rng.normal(size=(rows, width)).astype(np.float32))
    layer = SampledSoftmax(table, directions, samples=200_000, seed=0)
    ids = rng.integers(2, rows, (batch, time)).astype(np.int32)
    ids[0, 4:], ids[1, 1:] = 0, 0  # a text of four words, and one of one, which predicts nothing
    states = rng.normal(size=(batch, time, units * directions)).astype(np.float32)
    layer.build((states.shape, ids.shape))
    bias = rng.normal(size=rows).astype(np.float32)
    layer.set_weights([value if value.ndim == 2 else bias for value in layer.get_weights()])
    found = np.asarray(layer([states, ids]))

    projections = [value for value in layer.get_weights() if value.shape == (units, width)]
    losses = []
    for text in range(batch):
        for at in range(int((ids[text] != 0).sum()) - 1):
            for direction in range(directions):
                here, there = (at, at + 1) if direction == 0 else (at + 1, at)
                state = states[text, here, direction * units : (direction + 1) * units]
                # 0 and 1, padding and the start of a text, are predicted by nobody.
                logits = (state @ projections[direction]) @ table.numpy()[2:].T + bias[2:]
                losses.append(np.log(np.exp(logits).sum()) - logits[ids[text, there] - 2])
    np.testing.assert_allclose(found, np.full((batch, 1), np.mean(losses)), rtol=5e-3)


@pytest.mark.parametrize(("path", "cell"), [(NATIVE, "gru"), (STOCK, "simple_rnn")])
def test_it_learns_what_may_follow(path: str, cell: str) -> None:
    text = CONFIG.replace("epochs: 1, batch_size: 400, learning_rate: 2e-2", "epochs: 12, batch_size: 8")
    text = text.replace("cell: gru", f"cell: {cell}").replace("embedding_dim: 6", "embedding_dim: 16")
    config = parsed(text.replace("samples: 64", "learning_rate: 5e-2, samples: 64"))
    found, again = of_walks(config, path), of_walks(config, path)
    assert found.language_model is not None and not found.language_model.cached
    assert np.log(2) * 0.95 < found.language_model.loss < np.log(2) * 1.35  # of ten words, two may follow
    assert again.language_model == replace(found.language_model, cached=True)
    assert all(np.array_equal(again.layers[name], each) for name, each in found.layers.items())


def test_network_begins_with_its_weights_and_reads_other_inputs_with_its_own() -> None:
    found = of_walks(parsed(CONFIG))
    config = parsed(CONFIG)
    config = replace(config, model=replace(config.model, ngrams=NgramsConfig(orders=2)))
    model = build_model(config, ROWS, seed=5)
    before = weights_of(model)
    begin_with(model, found.layers)
    after = weights_of(model)
    assert set(found.layers) < set(after) and len(found.layers) == 7
    for name, value in after.items():
        given = found.layers.get(name, value[:0])
        np.testing.assert_array_equal(value[: len(given)], given)
        np.testing.assert_array_equal(value[len(given) :], before[name][len(given) :])
        if len(given):
            assert len(value) - len(given) == (2 if name.endswith("/kernel") else 0)


def test_two_seeds_share_one_and_resume_trains_it_no_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Path("c.yaml").write_text(CONFIG)
    found = []
    for seed, where in (("0", "trained"), ("1", "from the cache")):
        done = rnnsent("train", "--config", "c.yaml", "--run-dir", f"run{seed}", "--seed", seed)
        assert done.exit_code == 0, done.stderr
        found.append(open_run(Path(f"run{seed}")).metrics.language_model)
        assert found[-1] is not None and f"language model: {where}, loss {found[-1].loss:.4f}" in done.stderr
    assert found[0] is not None and found[1] == replace(found[0], cached=True)
    monkeypatch.setenv("RNNSENT_CACHE", str(tmp_path / "another"))  # where it is not
    more = rnnsent("train", "--resume", "run0", "--epochs", "2")
    assert more.exit_code == 0 and "language model" not in more.stderr, more.stderr
    metrics = open_run(Path("run0")).metrics
    assert (metrics.epochs, metrics.language_model) == (2, found[0])
