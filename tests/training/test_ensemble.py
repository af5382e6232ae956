"""Ensembles: networks trained by one command, and the mean of what they predict."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rnnsent.data.dataset import Split
from rnnsent.errors import Interrupted
from rnnsent.inference.predictor import load_ngram_weights, load_predictor
from rnnsent.runs.registry import open_run
from rnnsent.training.experiment import Request, train
from tests.conftest import parsed, rnnsent, trained

CONFIG = """\
data: {source: sample, num_words: 300, maxlen: 40}
model:
  embedding_dim: 8
  ngrams: {orders: 2, folds: 3}
  recurrent: [{cell: gru, units: 8}]
training: {epochs: 1, batch_size: 800, learning_rate: 2e-2}
ensemble:
  - {}
  - {recurrent: [{cell: lstm, units: 6, bidirectional: true}], pooling: mean_max, ngrams: false}
  - {embedding_dim: 5, seed: 40}
"""


@pytest.fixture(scope="module")
def run(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = tmp_path_factory.mktemp("ensemble") / "c.yaml"
    config.write_text(CONFIG)
    return trained(config, cache)


@pytest.mark.parametrize("backend", ["native", "numpy", "keras"])
def test_prediction_is_the_mean_of_the_networks(run: Path, backend: str) -> None:
    found = open_run(run)
    ngram_weights = load_ngram_weights(found)
    assert ngram_weights is not None
    rng = np.random.default_rng(0)
    split = Split.from_sequences([rng.integers(4, 300, n).tolist() for n in (1, 5, 40, 17)], np.zeros(4, np.int64))
    alone = []
    for member, network in zip(found.config.members, found.networks, strict=True):
        beside = ngram_weights if member.channels else None
        alone.append(load_predictor(member, network.weights(), beside, backend=backend)(split))
    together = load_predictor(found.config, found.weights(), ngram_weights, backend=backend)(split)
    assert np.abs(alone[0] - alone[1]).max() > 1e-3
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-6)


def test_run_can_do_what_any_run_can(run: Path) -> None:
    metrics = open_run(run).metrics
    assert metrics.networks is not None and (metrics.epochs, metrics.best_epoch) == (3, None)
    assert [list(each.engine) for each in metrics.networks] == [["0:gru"], ["0:lstm"], ["0:gru"]]
    assert list(metrics.engine) == ["network 1, 0:gru", "network 2, 0:lstm", "network 3, 0:gru"]
    assert [network.path.name for network in open_run(run).networks] == ["1", "2", "3"]
    open_run(run).verify()
    for command in (["eval"], ["verify"], ["summary"], ["predict", "a fine film"], ["trace", "a fine film"]):
        found = rnnsent(command[0], str(run), *command[1:])
        assert found.exit_code == 0, found.stderr
    found = rnnsent("eval", str(run), "--split", "validation", "--json")
    accuracy = metrics.validation["accuracy"]
    assert json.loads(found.stdout)["metrics"]["accuracy"] == pytest.approx(vars(accuracy))


def test_stopped_training_resumes_in_the_network_where_it_stopped() -> None:
    config = parsed(CONFIG, "training.checkpoint_every=1")
    whole = train(config, Request("whole"), run_dir=Path("whole"))
    steps = count(1)

    def stop(batch: int, logs: Any) -> None:
        if next(steps) == 6 + 1:  # 4,800 texts make 6 steps
            raise KeyboardInterrupt

    callbacks = [keras.callbacks.LambdaCallback(on_train_batch_end=stop)]
    with pytest.raises(Interrupted, match="stopped before the first step"):
        train(config, Request("c", callbacks=lambda config: callbacks), run_dir=Path("stopped"))
    assert rnnsent("eval", "stopped").exit_code == 1
    resumed = rnnsent("train", "--resume", "stopped", "--quiet")
    assert resumed.exit_code == 0, resumed.stderr
    mine, theirs = whole.weights(), open_run(Path("stopped")).weights()
    assert list(mine) == list(theirs) and all(np.array_equal(mine[name], theirs[name]) for name in mine)
