"""The story as a whole: what a run holds when all goes well, and what is left where things go wrong half-way."""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import shutil
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rnnsent.config.loader import load_config
from rnnsent.config.sections import Config
from rnnsent.data import imdb
from rnnsent.errors import ConfigError, DataError, DataUnavailable, DeviceError, Interrupted, RunError, TrainingError
from rnnsent.runs import directory
from rnnsent.runs.directory import Run
from rnnsent.runs.registry import LATEST, mark_latest, open_run
from rnnsent.signals import listening
from rnnsent.training.experiment import Request, resume_training, train
from tests.conftest import SAMPLE_CONFIG, TINY_CONFIG, parsed, rnnsent, write_imdb

FILES = {
    "calibration.json", "checkpoints/epoch-0001.safetensors", "config.json", "config.yaml", "environment.json",
    "fingerprint.json", "history.csv", "manifest.json", "metrics.json", "model.keras", "plots/curves.png", "split.npz",
    "summary.json", "summary.txt", "vocabulary.json", "weights.safetensors",
}  # fmt: skip
COLUMNS = "epoch,seconds,loss,accuracy,val_loss,val_accuracy,learning_rate,tokens_per_second,"


def config(*settings: str) -> Config:
    return parsed(TINY_CONFIG.replace("CELL", "simple_rnn"), *settings)


@pytest.fixture(autouse=True)
def data(tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))


@pytest.fixture
def run(finished_run: Path) -> Run:
    """A copy of a finished run, with the data that it was trained on at hand."""
    shutil.copytree(finished_run, "run")
    return open_run(Path("run"))


def contents(run: Path) -> dict[str, str]:
    found = {path.relative_to(run).as_posix(): path for path in run.rglob("*") if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()}


class At(keras.callbacks.Callback):  # type: ignore[misc]
    """Raises an error, or sends a signal, in step 2 of an epoch."""

    def __init__(self, epoch: int, what: BaseException | signal.Signals) -> None:
        super().__init__()
        self._epoch, self._what, self._now = epoch, what, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._now = epoch + 1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self._now, batch) == (self._epoch, 1):
            if isinstance(self._what, BaseException):
                raise self._what
            signal.raise_signal(self._what)


def at(epoch: int, what: BaseException | signal.Signals) -> Request:
    return Request("tiny", callbacks=lambda config: [At(epoch, what)])


def test_run_directory(run: Run, tiny_imdb: Path) -> None:
    assert set(contents(run.path)) == FILES
    run.verify()
    assert set(run.manifest()) == FILES - {"manifest.json"}
    assert load_config("run/config.yaml") == run.config == Config.from_dict(json.loads(run.read("config.json")))
    assert run.config.training.epochs == 1 and run.config.training.optimizer == "adam"
    (epoch,) = run.history()
    header, row = run.read("history.csv").decode().splitlines()
    assert header.startswith(COLUMNS) and float(row.split(",")[2]) == epoch.loss
    with np.load("run/split.npz") as split:
        parts = {name: split[name] for name in split.files}
    rows = imdb.load(str(tiny_imdb))
    assert sorted(np.concatenate([parts["train"], parts["validation"]])) == sorted(rows.indices["train"])
    assert run.weights()["embedding/embeddings"].shape == (60, 8)
    assert {array.dtype.name for array in run.weights().values()} == {"float32"}
    plain = keras.models.load_model("run/model.keras")  # as plain Keras users do
    assert plain.count_params() == run.metrics.parameters
    for weight in plain.weights:
        np.testing.assert_array_equal(weight, run.weights()[weight.path.removeprefix("rnnsent/")])
    assert run.environment.command and run.environment.seed == 0


def test_metrics_json_says_what_was_trained_on_and_how(run: Run, tiny_imdb: Path) -> None:
    said = json.loads(run.read("metrics.json"))
    data = said["data"]
    assert (data["source"], data["fallback_used"]) == ("imdb", False)
    assert data["sha256"] == hashlib.sha256((tiny_imdb / "imdb.npz").read_bytes()).hexdigest()
    assert data["counts"]["validation"] == {"negative": 13, "positive": 11}
    assert sum(data["counts"]["train"].values()) == 96 and sum(data["counts"]["test"].values()) == 120
    assert data["truncated_share"] == pytest.approx(5 / 24, abs=1e-6) and data["unknown_share"] == 0
    assert set(said["engine"]) == {"0:gru"} and set(said["engine"]["0:gru"]) == {"path", "because"}
    assert (said["epochs"], said["best_epoch"], said["interrupted"]) == (1, 1, False)
    assert said["seconds"] > 0 and said["peak_memory_mb"] > 100 and said["parameters"] > 424
    assert {"accuracy", "f1", "roc_auc", "log_loss"} <= set(said["validation"])
    assert all(set(estimate) == {"value", "low", "high"} for estimate in said["validation"].values())
    accuracy = said["validation"]["accuracy"]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert accuracy["value"] == pytest.approx(run.history()[0].val_accuracy, abs=1e-6)


def test_evaluation_adds_files_and_changes_none(run: Run) -> None:
    before = contents(run.path)
    result = rnnsent("eval", "run", "--json")
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    assert (said["run"], said["split"], said["n"]) == ("run", "test", 120)
    after = contents(run.path)
    assert {name: after[name] for name in before} == before
    added = set(after) - set(before)
    assert "evaluations/test.json" in added and all(name.startswith("evaluations/test") for name in added)
    run.verify()


def test_run_is_evaluated_on_its_own_texts_only(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(write_imdb(tmp_path / "other", seed=9).parent))
    assert rnnsent("eval", "run").exit_code == 1
    monkeypatch.setenv("RNNSENT_DATA", str(tmp_path / "nowhere"))
    assert rnnsent("eval", "run").exit_code == 1
    assert not Path("run/evaluations").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_after_an_epoch_leaves_a_usable_run(number: signal.Signals, code: int) -> None:
    holds = "run holds the best epoch, 1; continue: rnnsent train --resume run"
    with pytest.raises(Interrupted, match=holds) as caught, listening():
        train(config(), at(2, number), run_dir=Path("run"))
    assert caught.value.exit_code == code
    run = open_run(None)
    run.verify()
    assert run.path == Path("run") and run.metrics.interrupted and run.metrics.epochs == len(run.history()) == 1
    assert Path("run/checkpoints/epoch-0001-step-000002.safetensors").is_file()
    assert rnnsent("predict", "run", "word4 word5").exit_code == 0
    with pytest.raises(RunError, match="run: holds a run; continue it: rnnsent train --resume run; choose another"):
        train(config(), Request("tiny"), run_dir=Path("run"))


def test_signal_before_the_first_epoch_leaves_what_can_be_resumed_and_no_run() -> None:
    with pytest.raises(Interrupted, match="stopped after 0 epochs and 2 steps"), listening():
        train(config(), at(1, signal.SIGINT), run_dir=Path("run"))
    assert not Path("run/manifest.json").exists() and not LATEST.exists()
    refused = rnnsent("predict", "run", "word4")
    assert refused.exit_code == 1 and "no epoch was completed" in refused.stderr
    resumed = rnnsent("train", "--resume", "run", "--epochs", "3")
    assert resumed.exit_code == 0, resumed.stderr
    open_run(Path("run")).verify()


FAILURES: list[tuple[list[str], Request, type[BaseException]]] = [
    (["model.head=false"], Request("tiny"), ConfigError),
    (["data.path=nowhere"], Request("tiny"), DataError),
    (["training.device=gpu:99"], Request("tiny"), DeviceError),
    (["training.class_weights={good: 1.0}"], Request("tiny"), ConfigError),
    ([], at(1, TrainingError("spoiled")), TrainingError),
]


@pytest.mark.parametrize(("settings", "request_", "error"), FAILURES)
def test_failed_training_leaves_nothing_and_puts_back_what_it_was_to_replace(
    run: Run, settings: list[str], request_: Request, error: type[BaseException]
) -> None:
    before = contents(run.path)
    with pytest.raises(error):
        train(config(*settings), request_, run_dir=run.path, force=True)
    with pytest.raises(error):
        train(config(*settings), request_, run_dir=Path("new"))
    assert contents(run.path) == before
    assert [path.name for path in Path().iterdir()] == ["run"]


def test_training_that_fails_later_keeps_its_epochs_and_the_replaced_run(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    spoiled = at(2, TrainingError("spoiled"))
    with caplog.at_level(logging.WARNING), pytest.raises(TrainingError, match=r"spoiled\.\n  The last checkpoint is"):
        train(config(), spoiled, run_dir=run.path, force=True)
    (kept,) = Path().glob("run.replaced")
    open_run(kept).verify()
    assert "not a finished run, it has no manifest.json: training was stopped, 1 epoch kept" in caplog.text
    assert rnnsent("eval", "run").exit_code == 1
    resume_training(run.path, Request("tiny"))
    assert [path.name for path in Path().iterdir()] == ["run", "runs"]


def test_force_replaces_a_run_through_a_link_and_nothing_but_runs(run: Run) -> None:
    mark_latest(run)
    new = train(config("training.epochs=1"), Request("tiny"), run_dir=LATEST, force=True)
    assert sorted(path.name for path in Path().iterdir()) == ["run", "runs"]
    assert open_run(None).path == Path("run") and open_run(None).metrics == new.metrics
    Path("thesis").mkdir()
    Path("thesis/thesis.tex").write_text("mine")
    with pytest.raises(RunError, match=r"thesis: is not empty and not a run: it holds thesis\.tex"):
        train(config(), Request("tiny"), run_dir=Path("thesis"), force=True)


def test_fallback_is_said_and_can_be_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tmp_path / "nowhere"))
    Path("small.yaml").write_text(SAMPLE_CONFIG.replace("source: sample", "source: imdb, fallback: sample"))
    result = rnnsent("train", "--config", "small.yaml", "--run-dir", "run", "--json")
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)["data"]
    assert (said["source"], said["fallback_used"]) == ("sample", True)
    assert open_run(Path("run")).config.data.source == "sample"
    assert rnnsent("train", "--config", "small.yaml", "--no-fallback", "--run-dir", "new").exit_code == 1
    with pytest.raises(DataUnavailable):
        train(config("data.fallback=null"), Request("tiny"), run_dir=Path("new"))
    assert not Path("new").exists()


@pytest.mark.parametrize("engine", ["auto", "stock"])
def test_training_that_is_over_leaves_nothing_in_memory(engine: str) -> None:
    def models() -> int:
        gc.collect()
        return sum(isinstance(each, keras.Model) for each in gc.get_objects())

    before = models()
    train(config(f"training.engine={engine}", "training.ema=0.9"), Request("tiny"), run_dir=Path("run"))
    assert models() == before


def test_texts_of_no_word_and_of_a_hundred_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{'good' if row % 2 else 'bad'} film {row},{'pos' if row % 2 else 'neg'}" for row in range(60)]
    Path("t.csv").write_text("\n".join(["text,label", *rows, '"",pos', "...,neg", "good " * 100_000 + ",pos"]))
    Path("t.yaml").write_text(
        "data: {source: texts, path: t.csv, maxlen: null}\n"
        "model: {embedding_dim: 4, recurrent: [{cell: gru, units: 4}]}\ntraining: {epochs: 1, batch_size: 16}\n"
    )
    found = rnnsent("train", "--config", "t.yaml", "--run-dir", "run")
    assert found.exit_code == 0, found.stderr
    run = open_run(Path("run"))
    assert all(np.isfinite(list(vars(epoch).values())).all() for epoch in run.history())
    monkeypatch.chdir("run")  # from another folder it finds its data all the same
    assert rnnsent("eval", ".").exit_code == 0
    assert directory.Run(Path()).config.data.path == str(Path("../t.csv").resolve())
