"""Ensembles: networks trained by one command, and the mean of what they say."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from rnnsent.training.observers import Observer, StepFacts

import rnnsent as package
from benchmarks.milestones import of_run
from rnnsent.config.loader import dump_config, load_config, parse_config
from rnnsent.data.dataset import Split
from rnnsent.errors import ConfigError, Interrupted
from rnnsent.inference.predictor import load_ngram_weights, load_predictor, member_weights
from rnnsent.runs import artifacts as stored
from rnnsent.runs import directory as runs
from rnnsent.runs.registry import open_run
from rnnsent.training.experiment import train
from tests.conftest import rnnsent

CONFIG = """\
data: {source: sample, num_words: 300, maxlen: 40}
model:
  embedding_dim: 8
  ngrams: {orders: 2, folds: 3}
  recurrent: [{cell: gru, units: 8}]
training: {epochs: 1, batch_size: 128, learning_rate: 2e-2}
ensemble:
  - {}
  - {recurrent: [{cell: lstm, units: 6, bidirectional: true}], pooling: mean_max, ngrams: false}
  - {embedding_dim: 5, seed: 40}
"""


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("  ngrams: {orders: 2, folds: 3}\n", "", "ensemble.1.ngrams: has no effect under model.ngrams: null"),
        ("orders: 2", "weights: [naive_bayes, naive_bayes]", "model.ngrams.weights: must name each once"),
    ],
)
def test_what_would_do_nothing_is_refused(before: str, after: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(rule)):
        parse_config(CONFIG.replace(before, after), "c")


@pytest.fixture(scope="module")
def run(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ensemble")
    (folder / "c.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSENT_CACHE", str(cache))
        found = rnnsent("train", "--config", str(folder / "c.yaml"), "--run-dir", str(folder / "run"), "--json")
    assert found.exit_code == 0, found.stderr
    return folder / "run"


def test_each_network_is_what_its_line_makes_of_the_config() -> None:
    first, second, third = parse_config(CONFIG, "c").members
    assert [member.training.seed for member in (first, second, third)] == [0, 1, 40]
    assert (first.model.recurrent[0].cell, second.model.recurrent[0].cell) == ("gru", "lstm")
    assert (first.channels, second.channels, third.model.embedding_dim) == (2, 0, 5)
    assert all(member.ensemble is None for member in (first, second, third))
    others = parse_config(CONFIG, "c", {"training.seed": 1}).members
    assert [member.training.seed for member in others] == [3, 4, 40]  # none but the one that was asked for


@pytest.mark.parametrize("backend", ["native", "numpy", "keras"])
def test_the_answer_is_the_mean_of_the_networks(run: Path, backend: str) -> None:
    found = open_run(run)
    config, weights, ratios = load_config(str(run / runs.CONFIG)), stored.load_weights(found), load_ngram_weights(found)
    assert ratios is not None
    rng = np.random.default_rng(0)
    split = Split.from_sequences([rng.integers(4, 300, n).tolist() for n in (1, 5, 40, 17)], np.zeros(4, np.int64))
    alone = [
        load_predictor(member, member_weights(weights, number), ratios if member.channels else None, backend=backend)
        for number, member in enumerate(config.members, start=1)
    ]
    together = load_predictor(config, weights, ratios, backend=backend)(split)
    each = [predictor(split) for predictor in alone]
    assert np.abs(each[0] - each[1]).max() > 1e-3
    np.testing.assert_allclose(together, np.mean(each, axis=0), atol=1e-6)


def test_the_run_can_do_what_any_run_can(run: Path) -> None:
    metrics = json.loads((run / runs.METRICS).read_text())
    assert len(metrics["networks"]) == 3 and metrics["epochs"] == 3 and metrics["best_epoch"] is None
    assert [list(each["engine"]) for each in metrics["networks"]] == [["0:gru"], ["0:lstm"], ["0:gru"]]
    assert list(metrics["engine"]) == ["network 1, 0:gru", "network 2, 0:lstm", "network 3, 0:gru"]
    assert metrics["engine"]["network 2, 0:lstm"] == metrics["networks"][1]["engine"]["0:lstm"]
    judged = rnnsent("eval", str(run), "--split", "validation", "--json")
    assert judged.exit_code == 0, judged.stderr
    assert json.loads(judged.stdout)["metrics"] == metrics["validation"]
    checked = rnnsent("verify", str(run))
    assert checked.exit_code == 0, checked.stdout
    assert rnnsent("predict", str(run), "a fine film").exit_code == 0
    assert rnnsent("trace", str(run), "a fine film").exit_code == 0
    refused = rnnsent("trace", str(run), "a fine film", "--method", "integrated-gradients")
    assert refused.exit_code == 1 and "ensembles" in refused.stderr
    table = rnnsent("summary", str(run)).stdout
    assert "network 3 of 3" in table
    summary = json.loads(rnnsent("summary", str(run), "--json").stdout)
    sizes = [sum(layer["parameters"] for layer in network["layers"]) for network in summary["networks"]]
    assert sizes == [network["parameters"] for network in summary["networks"]] and len(sizes) == 3
    assert summary["parameters"] == metrics["parameters"] == sum(sizes)
    answer = package.load(run).predict(["a fine film"])[0]
    assert 0.5 <= answer.probability <= 1


def test_its_way_to_an_accuracy_is_its_end(run: Path) -> None:
    recorded = json.loads((run / runs.METRICS).read_text())
    course = of_run(open_run(run))
    assert course.seconds == (recorded["seconds"],) and course.reviews == recorded["validation_reviews"]
    assert course.accuracies == (recorded["validation"]["accuracy"]["value"],)


def test_a_changed_network_is_noticed(run: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(run, tmp_path / "run")
    weights = tmp_path / "run" / "members" / "2" / "weights.npz"
    weights.write_bytes(weights.read_bytes() + b"x")
    found = rnnsent("predict", str(tmp_path / "run"), "a fine film")
    assert found.exit_code == 1 and "members/2/weights.npz was changed" in found.stderr


class StopAt(Observer):
    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_step(self, facts: StepFacts) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_stopped_training_keeps_the_networks_that_were_trained() -> None:
    config = parse_config(CONFIG, "c", {"data.num_words": 100})
    steps: list[int] = []

    class Count(Observer):
        def on_step(self, facts: StepFacts) -> None:
            steps.append(facts.steps)

    train(config, "whole", run_dir=Path("whole"), observers=[Count()])
    with pytest.raises(Interrupted, match="stopped in network 3 of 3; stopped is finished with 2 networks"):
        train(config, "c", run_dir=Path("stopped"), observers=[StopAt(2 * steps[0] + 2)])
    stopped = open_run(Path("stopped"))
    stopped.verify()
    assert len(load_config("stopped/config.yaml").members) == 2
    judged = rnnsent("eval", "stopped", "--split", "validation")
    assert judged.exit_code == 0 and "with 2 of 3 networks" in judged.stderr
    with pytest.raises(Interrupted, match="stopped in network 2 of 3; early is finished with 1 network"):
        train(config, "c", run_dir=Path("early"), observers=[StopAt(steps[0] + 2)])
    judged = rnnsent("eval", "early", "--split", "validation")
    assert judged.exit_code == 0 and "with 1 of 3 networks" in judged.stderr
    resumed = rnnsent("train", "--resume", "early", "--quiet")
    assert resumed.exit_code == 0, resumed.stderr
    for number in (1, 2, 3):
        weights = [Path(run, "members", str(number), runs.WEIGHTS).read_bytes() for run in ("whole", "early")]
        assert weights[0] == weights[1]
    with pytest.raises(Interrupted, match="stopped before the first step"):
        train(config, "c", run_dir=Path("nothing"), observers=[StopAt(2)])
    assert not Path("nothing").exists()


def test_faults_in_a_network_are_named_with_their_place(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    text = CONFIG.replace("pooling: mean_max", "pooling: middle")
    with pytest.raises(ConfigError, match=r"ensemble\.1\.pooling"):
        parse_config(text, "c")
    text = CONFIG.replace("units: 6,", "units: 6, return_sequences: false,")
    with pytest.raises(ConfigError, match=r"ensemble\.1\.recurrent\.0\.return_sequences"):
        parse_config(text, "c")
    alone, twice = (CONFIG.split("ensemble:")[0] + f"ensemble: [{line}]\n" for line in ("{}", "{}, {seed: 0}"))
    with pytest.raises(ConfigError, match="ensemble: must have at least 2 items"):
        parse_config(alone, "c", to_train=True)
    assert parse_config(dump_config(parse_config(alone, "c")), "c").members  # what a stopped training may leave
    with pytest.raises(ConfigError, match=r"ensemble\.1: is the same network as ensemble\.0"):
        parse_config(twice, "c")
