"""The story as a whole, where things go wrong half-way; what it leaves when all goes well is in test_cli.py."""

from __future__ import annotations

import gc
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from rnnsent.runs.artifacts import load_weights
from rnnsent.training.observers import Observer, StepFacts

from rnnsent.config.loader import parse_config
from rnnsent.config.sections import Config
from rnnsent.data import imdb
from rnnsent.engine import kernel
from rnnsent.errors import (
    ConfigError,
    DataError,
    DataUnavailable,
    DeviceError,
    Interrupted,
    RnnsentError,
    RunError,
    TrainingError,
)
from rnnsent.evaluation.evaluate import judge
from rnnsent.runs import directory as runs
from rnnsent.runs import registry as run_root
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.registry import open_run
from rnnsent.training.experiment import train
from tests.conftest import TINY_CONFIG, rnnsent, write_imdb


def config(*settings: str) -> Config:
    text = TINY_CONFIG.replace("CELL", "simple_rnn")
    return parse_config(text, "tiny", [("--set", setting) for setting in settings])


@pytest.fixture
def data(tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))


@pytest.fixture
def run(finished_run: Path, data: None) -> RunDirectory:
    """A copy of a finished run, with the data that it was trained on at hand."""
    shutil.copytree(finished_run, "run")
    return open_run(Path("run"))


class StopAt(Observer):
    """Raises in the middle of an epoch."""

    def __init__(self, epoch: int, error: BaseException) -> None:
        self.epoch, self.error = epoch, error

    def on_step(self, facts: StepFacts) -> None:
        if (facts.epoch, facts.step) == (self.epoch, 2):
            raise self.error


@pytest.mark.parametrize("engine", ["native", "stock"])
def test_a_training_that_is_over_leaves_nothing_in_memory(data: None, engine: str) -> None:
    if engine == "native" and not kernel.available():
        engine = "auto"

    def models() -> int:
        gc.collect()
        return sum(isinstance(each, keras.Model) for each in gc.get_objects())

    before = models()
    trained = train(config(f"training.engine={engine}", "training.ema=0.9"), "tiny", run_dir=Path("run"))
    judge(trained.run, "validation", backend="keras")
    del trained
    assert models() == before


@pytest.mark.parametrize(("warmup", "said"), [(5000, True), (1, False)])
def test_a_warmup_that_outlasts_the_training_is_said(data: None, warmup: int, said: bool) -> None:
    lines: list[str] = []
    train(config(f"training.schedule.warmup_steps={warmup}"), "tiny", run_dir=Path("run"), tell=lines.append)
    found = [line for line in lines if line.startswith("training.schedule.warmup_steps: ")]
    assert bool(found) == said
    if said:
        assert "the learning rate rises over 5,000 steps" in found[0]
        assert f"it never comes to {config().training.learning_rate:g}" in found[0]


@pytest.mark.parametrize(("ema", "left"), [("0.99", True), ("0.5", False)])
def test_an_average_that_is_too_slow_for_so_few_steps_is_said(data: None, ema: str, left: bool) -> None:
    lines: list[str] = []
    trained = train(config(f"training.ema={ema}"), "tiny", run_dir=Path("run"), tell=lines.append)
    found = [line for line in lines if line.startswith("training.ema: after ")]
    assert bool(found) == left
    if left:
        per_epoch = -(-sum(trained.metrics["data"]["counts"]["train"].values()) // config().training.batch_size)
        steps = per_epoch * config().training.epochs
        told = f"training.ema: after all {steps} steps the average will hold {0.99**steps:.0%} of the first weights; "
        value = float(found[0].removeprefix(f"{told}lower it to ").removesuffix(", or set it to null"))
        assert value**steps < 0.05 < (value + 0.01) ** steps


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (Interrupted("terminated", 143), 143)])
def test_an_interruption_leaves_a_complete_run_of_the_whole_epochs(data: None, error: BaseException, code: int) -> None:
    with pytest.raises(Interrupted) as caught:
        train(config(), "tiny", run_dir=Path("run"), observers=[StopAt(3, error)])
    assert caught.value.exit_code == code
    run = open_run(None)
    run.verify()
    recorded = run.read_json(runs.METRICS)
    assert (recorded["interrupted"], recorded["epochs"]) == (True, 2)
    rows = run.file(runs.HISTORY).read_text().splitlines()[1:]
    accuracies = [float(row.split(",")[5]) for row in rows]
    assert len(rows) == 2 and recorded["best_epoch"] == 1 + int(np.argmax(accuracies))
    assert recorded["validation"]["accuracy"]["value"] == pytest.approx(max(accuracies), abs=1e-5)
    assert judge(run, "validation").metrics == recorded["validation"]
    with pytest.raises(RunError, match="holds a training that was stopped; go on: rnnsent train --resume run; or"):
        train(config(), "tiny", run_dir=Path("run"))


FAILURES: list[tuple[list[str], dict[str, Any], type[BaseException]]] = [
    (["model.head=false"], {}, ConfigError),
    (["data.path=nowhere"], {}, DataError),
    (["training.device=gpu:99"], {}, DeviceError),
    (["training.class_weights={good: 1.0}"], {}, ConfigError),
    ([], {"observers": [StopAt(1, KeyboardInterrupt())]}, Interrupted),
]


@pytest.mark.parametrize(
    ("settings", "arguments", "error"), FAILURES, ids=[failure[2].__name__ for failure in FAILURES]
)
def test_a_training_that_fails_early_puts_back_what_it_was_to_replace(
    run: RunDirectory, settings: list[str], arguments: dict[str, Any], error: type[BaseException]
) -> None:
    before = {name: run.file(name).read_bytes() for name in [*run.names(), runs.MANIFEST]}
    with pytest.raises(error):
        train(config(*settings), "tiny", run_dir=run.path, force=True, **arguments)
    assert {name: run.file(name).read_bytes() for name in [*run.names(), runs.MANIFEST]} == before
    assert [path.name for path in run.path.parent.glob("run*")] == ["run"]


def test_a_training_that_fails_later_says_where_the_replaced_run_is(
    run: RunDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(TrainingError, match="spoiled"):
        train(config(), "tiny", run_dir=run.path, force=True, observers=[StopAt(2, TrainingError("spoiled"))])
    (kept,) = Path().glob("run.replaced-*")
    assert str(kept) in caplog.text
    open_run(kept).verify()
    with pytest.raises(RunError, match=r"not a finished run, it has no manifest.json"):
        judge(open_run(run.path), "test")


def test_a_finished_training_replaces_a_run_through_a_link(run: RunDirectory) -> None:
    run_root.mark_latest(run)
    trained = train(config("training.epochs=1"), "tiny", run_dir=run_root.LATEST, force=True)
    assert sorted(path.name for path in Path().iterdir()) == ["run", "runs"]
    assert open_run(None).path == Path("run")
    assert open_run(None).read_json(runs.METRICS) == trained.metrics


def test_a_run_is_complete_where_the_latest_one_cannot_be_noted(data: None, caplog: pytest.LogCaptureFixture) -> None:
    Path("runs").write_text("mine")
    with caplog.at_level(logging.WARNING):
        train(config("training.epochs=1"), "tiny", run_dir=Path("run"))
    open_run(Path("run")).verify()
    assert "runs/latest cannot be written" in caplog.text
    assert Path("runs").read_text() == "mine"


def test_metrics_say_what_was_trained_on_and_how(run: RunDirectory, tiny_imdb: Path) -> None:
    recorded = run.read_json(runs.METRICS)
    assert set(recorded) == {
        "data", "engine", "epochs", "best_epoch", "interrupted", "validation", "test", "baseline", "seconds",
        "peak_memory_mb", "parameters", "validation_reviews",
    }  # fmt: skip
    assert recorded["data"] == {
        "source": "imdb",
        "fallback_used": False,
        "sha256": imdb.load(str(tiny_imdb)).provenance["sha256"],
        "file": str(tiny_imdb / "imdb.npz"),
        "official_file": False,
        "counts": {
            "train": {"negative": 47, "positive": 49},
            "validation": {"negative": 13, "positive": 11},
            "test": {"negative": 60, "positive": 60},
        },
        "truncated_share": pytest.approx(5 / 24, abs=1e-6),
        "unknown_share": 0.0,
    }
    assert set(recorded["engine"]) == {"0:gru"} and recorded["engine"]["0:gru"].keys() == {"path", "because"}
    assert recorded["seconds"] > 0 and recorded["peak_memory_mb"] > 100
    for estimate in recorded["validation"].values():
        assert estimate["low"] <= estimate["value"] <= estimate["high"]


def test_judging_writes_the_result_next_to_that_of_training(run: RunDirectory) -> None:
    before = run.read_json(runs.METRICS)
    judged = judge(run, "test")
    after = run.read_json(runs.METRICS)
    assert after["test"] == judged.metrics
    assert after["evaluations"]["test"]["reviews"] == judged.n == 120
    assert after["evaluations"]["test"]["confusion"] == judged.confusion
    assert np.sum(judged.confusion) == 120
    assert {key: after[key] for key in before if key != "test"} == {key: before[key] for key in before if key != "test"}
    run.verify()
    assert runs.predictions("test") in run.manifest()


def test_a_run_is_not_judged_on_other_reviews(
    run: RunDirectory, tiny_imdb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = judge(run, "test").metrics
    before = run.file(runs.METRICS).read_bytes()
    monkeypatch.setenv("RNNSENT_DATA", str(write_imdb(tmp_path / "other", seed=9).parent))
    with pytest.raises(DataError, match=r"not the reviews that run was trained on .* name those with --data PATH"):
        judge(run, "test")
    assert run.file(runs.METRICS).read_bytes() == before
    assert judge(run, "test", data={"source": "imdb", "path": str(tiny_imdb)}).metrics == expected


def test_a_run_finds_its_data_from_another_folder(
    tiny_imdb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_imdb, "mine")
    monkeypatch.delenv("RNNSENT_DATA", raising=False)
    train(config("data.path=mine", "training.epochs=1"), "tiny", run_dir=Path("run").resolve())
    (tmp_path / "elsewhere").mkdir()
    run = open_run(Path("run").resolve())
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert judge(run, "test").n == 120


def evil() -> bytes:
    array = np.empty(1, dtype=object)
    array[0] = {"a": 1}
    np.savez("evil.npz", array)
    return Path("evil.npz").read_bytes()


@pytest.mark.parametrize("damage", [lambda content: content[:300], lambda content: b"x", lambda content: evil()])
def test_weights_that_are_no_plain_arrays(run: RunDirectory, damage: Any) -> None:
    path = run.file(runs.WEIGHTS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RunError, match=r"weights.npz: cannot be read"):
        load_weights(run)


def test_a_summary_counts_the_words_where_the_config_does_not(data: None, tiny_config: Path) -> None:
    # 49 words and the 4 special ids make 53 rows of 8.
    arguments = ("summary", "--config", str(tiny_config), "--set", "data.num_words=null")
    text, summary = rnnsent(*arguments).stdout, json.loads(rnnsent(*arguments, "--json").stdout)
    assert "424" in text and "(None, None, 8)" in text
    embedding = {"name": "embedding", "type": "Embedding", "output_shape": [None, None, 8], "parameters": 424}
    assert summary["layers"][0] == embedding
    assert summary["parameters"] == sum(layer["parameters"] for layer in summary["layers"])


def test_too_few_reviews_to_split(tmp_path: Path) -> None:
    path = write_imdb(tmp_path / "few", reviews=1)
    with pytest.raises(RnnsentError, match="both need at least 1"):
        train(config(f"data.path={path}", "data.validation_split=0.1"), "tiny", run_dir=Path("run"))
    assert not Path("run").exists()


def test_a_run_is_not_judged_on_the_fallback(data: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trained = train(config("data.fallback=sample", "training.epochs=1"), "tiny", run_dir=Path("run"))
    assert trained.metrics["data"]["fallback_used"] is False
    before = Path("run/metrics.json").read_bytes()
    monkeypatch.setenv("RNNSENT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataUnavailable):
        judge(open_run(Path("run")), "test")
    assert Path("run/metrics.json").read_bytes() == before
