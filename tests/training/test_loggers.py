"""Experiment trackers against the real libraries, and the failures that they must keep to themselves."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rnnsent.config.sections import Config
from rnnsent.errors import ConfigError, Interrupted
from rnnsent.training import loggers, requirements
from rnnsent.training.loggers import Tracker, finish_trackers, tracker_callbacks
from tests.conftest import REPOSITORY, SAMPLE_CONFIG, parsed, rnnsent

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow asks SQLAlchemy for it

ALL = ["tensorboard", "mlflow", "wandb"]
EPOCH = {"loss", "accuracy", "val_loss", "val_accuracy", "tokens_per_second"}
VALIDATION = {"accuracy": {"value": 0.9, "low": 0.8, "high": None}}
HOOKS = [hook for hook in dir(keras.callbacks.Callback) if hook.startswith(("on_", "set_")) and "predict" not in hook]
HOOKS = [hook for hook in HOOKS if hook not in ("on_batch_begin", "on_batch_end")]  # aliases that Keras does not call


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database for MLflow, which takes seconds to create."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture(autouse=True)
def environment(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return the warnings of rnnsent so far."""
    return lambda: [
        each.getMessage()
        for each in caplog.records
        if each.levelno == logging.WARNING and each.name.startswith("rnnsent")
    ]


def config(*trackers: str) -> Config:
    return parsed(SAMPLE_CONFIG, f"training.trackers={json.dumps(trackers)}")


def opened(*names: str, run_id: str = "0123456789abcdef") -> list[keras.callbacks.Callback]:
    return tracker_callbacks(names, Path("run"), config(), run_id=run_id, run_name="a-run")


class Throughput(keras.callbacks.Callback):  # type: ignore[misc]
    """Completes the logs of an epoch, as our own training does."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["tokens_per_second"] = 7.0


def fitted(callbacks: list[keras.callbacks.Callback], first: int = 0, last: int = 2) -> Any:
    """Train a tiny network; return its weights and its history."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).random((32, 4), dtype=np.float32)
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.Adam(schedule), "binary_crossentropy", metrics=["accuracy"])
    y = (x.sum(1) > 2).astype("float32")
    fit = model.fit(
        x, y, 8, last, 0, [Throughput(), *callbacks], validation_split=0.25, initial_epoch=first, shuffle=False
    )
    return model.get_weights(), fit.history


def events(folder: str) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(f"run/logs/tensorboard/{folder}")
    accumulator.Reload()
    return accumulator


def curve(folder: str, tag: str) -> list[tuple[int, float]]:
    from tensorboard.util import tensor_util

    return [(event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for event in events(folder).Tensors(tag)]


def same(points: Iterable[tuple[int, float]], expected: Iterable[tuple[int, float]]) -> None:
    np.testing.assert_allclose(list(points), list(expected), rtol=1e-5)


def mlflow_run(run_id: str) -> Any:
    from mlflow import MlflowClient

    experiment = MlflowClient().get_experiment_by_name("rnnsent")
    (run,) = MlflowClient().search_runs([experiment.experiment_id], f"tags.rnnsent_run = '{run_id}'")
    return run


def mlflow_curve(run: Any, name: str) -> list[tuple[int, float]]:
    from mlflow import MlflowClient

    return [(point.step, point.value) for point in MlflowClient().get_metric_history(run.info.run_id, name)]


def wandb_records(file: Path) -> list[Any]:
    """Return what an offline run holds: blocks of 32 KiB with records in pieces, as LevelDB writes its logs."""
    from wandb.proto import wandb_internal_pb2

    content, at, record, records = file.read_bytes(), 7, b"", []
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        record += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            records.append(wandb_internal_pb2.Record.FromString(record))
            record = b""
    return records


def wandb_items(items: Any) -> dict[str, Any]:
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def test_tensorboard_holds_epochs_config_and_validation_and_continues() -> None:
    callbacks = opened("tensorboard")
    _, history = fitted(callbacks)
    finish_trackers(callbacks, VALIDATION)
    for folder, tag, name in (
        ("train", "epoch_loss", "loss"),
        ("train", "epoch_tokens_per_second", "tokens_per_second"),
        ("validation", "epoch_loss", "val_loss"),
        ("validation", "epoch_accuracy", "val_accuracy"),
    ):
        same(curve(folder, tag), enumerate(history[name], 1))
    (text,) = events(".").Tensors("config")
    assert "    model.recurrent.0.cell: gru\n" in text.tensor_proto.string_val[0].decode()
    same(curve(".", "best.accuracy.low"), [(0, 0.8)])
    assert "best.accuracy.high" not in events(".").Tags()["tensors"]
    callbacks = opened("tensorboard")
    fitted(callbacks, 2, 3)
    finish_trackers(callbacks, error=Interrupted("stopped", 130))
    assert [step for step, _ in curve("train", "epoch_loss")] == [1, 2, 3]


def test_mlflow_holds_epochs_config_and_validation_and_continues_its_run() -> None:
    callbacks = opened("mlflow", run_id="continued")
    _, history = fitted(callbacks)
    assert mlflow_run("continued").info.status == "RUNNING"
    finish_trackers(callbacks, error=Interrupted("stopped", 130))
    run = mlflow_run("continued")
    assert (run.info.status, run.info.run_name) == ("KILLED", "a-run")
    assert run.data.params["model.recurrent.0.cell"] == "gru" and run.data.params["training.learning_rate"] == "0.02"
    assert set(run.data.metrics) == EPOCH
    for name, values in history.items():
        same(mlflow_curve(run, name), enumerate(values, 1))
    callbacks = opened("mlflow", run_id="continued")
    fitted(callbacks, 2, 3)
    finish_trackers(callbacks, {**VALIDATION, "recall": {"très bien!": 0.5}})
    finish_trackers(callbacks, error=ValueError())  # closed already
    run = mlflow_run("continued")
    assert run.info.status == "FINISHED" and [step for step, _ in mlflow_curve(run, "loss")] == [1, 2, 3]
    assert (run.data.metrics["best.accuracy.low"], run.data.metrics["best.recall.très bien_"]) == (0.8, 0.5)


def test_mlflow_that_cannot_be_reached_costs_one_warning(
    monkeypatch: pytest.MonkeyPatch, warned: Callable[[], list[str]]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")  # the discard port
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    fitted(opened("mlflow"))
    (warning,) = warned()
    assert warning.startswith("mlflow failed") and "127.0.0.1:9" in warning and "secret" not in warning


def test_wandb_holds_epochs_config_and_validation_offline() -> None:
    callbacks = opened("wandb", run_id="abc/members/2")
    _, history = fitted(callbacks)
    finish_trackers(callbacks, VALIDATION)
    (file,) = Path("run/logs").rglob("run-*.wandb")
    records = wandb_records(file)
    (run,) = [record.run for record in records if record.HasField("run")]
    assert (run.run_id, run.project, run.display_name) == ("abc-members-2", "rnnsent", "a-run")
    assert wandb_items(run.config.update)["model.recurrent.0.cell"] == "gru"
    epochs = [wandb_items(record.history.item) for record in records if record.HasField("history")]
    assert [epoch["epoch/epoch"] for epoch in epochs] == [1, 2]
    for name in EPOCH:
        assert [epoch[f"epoch/{name}"] for epoch in epochs] == history[name]
    summary = {name: value for record in records for name, value in wandb_items(record.summary.update).items()}
    assert summary["best.accuracy.value"] == 0.9
    assert [record.exit.exit_code for record in records if record.HasField("exit")] == [0]


@pytest.mark.parametrize(("variable", "mode"), [(None, "offline"), ("WANDB_API_KEY", None), ("WANDB_MODE", None)])
def test_wandb_is_offline_unless_the_environment_says_otherwise(
    variable: str | None, mode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, Any] = {}

    if variable is not None:
        monkeypatch.setenv(variable, "online")
    monkeypatch.setattr("wandb.init", arguments.update)
    opened("wandb")
    assert (arguments["mode"], arguments["id"], arguments["resume"]) == (mode, "0123456789abcdef", "allow")


def test_trackers_that_fail_anywhere_change_nothing(
    monkeypatch: pytest.MonkeyPatch, warned: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    calls: dict[str, list[str]] = {}

    def failing(broken: str) -> Callable[[Any], Tracker]:
        """Return how a tracker is opened that raises at one of its hooks."""

        def call(name: str) -> None:
            print("on stdout")
            calls.setdefault(broken, []).append(name)
            if name == broken:
                raise RuntimeError("no disk")

        def open_tracker(run: Any) -> Tracker:
            call("open")
            callback = keras.callbacks.Callback()
            for hook in HOOKS:
                setattr(callback, hook, lambda *arguments, hook=hook, **named: call(hook))
            return Tracker("somewhere", callback, lambda metrics: call("log_summary"), lambda status: call("close"))

        return open_tracker

    names = ["open", *HOOKS, "log_summary", "close"]
    monkeypatch.setattr(loggers, "TRACKERS", {name: failing(name) for name in names})
    callbacks = opened(*names)
    weights, _ = fitted(callbacks)
    finish_trackers(callbacks, VALIDATION)
    assert capsys.readouterr().out == ""
    text = "failed and is left out from now on; the training continues: RuntimeError: no disk"
    assert sorted(warned()) == sorted(f"{name} {text}" for name in names)
    assert all(calls[name].count(name) == 1 and calls[name][-1] == name for name in names)
    for array, expected in zip(weights, fitted([])[0], strict=True):
        np.testing.assert_array_equal(array, expected)


JAX = """
import logging
from pathlib import Path
import tests.training.test_loggers as tests
from rnnsent.training.loggers import finish_trackers
logging.basicConfig(level=logging.WARNING)
weights, _ = tests.fitted([])
callbacks = tests.opened(*tests.ALL)
tracked, _ = tests.fitted(callbacks)
finish_trackers(callbacks, tests.VALIDATION)
print(tests.keras.backend.backend(), all((a == b).all() for a, b in zip(weights, tracked, strict=True)))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_all_trackers_together_change_no_weight(backend: str) -> None:
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(REPOSITORY)}
    found = subprocess.run([sys.executable, "-c", JAX], capture_output=True, text=True, env=environment, check=True)
    assert found.stdout.split() == [backend, "True"] and "failed" not in found.stderr
    assert [step for step, _ in curve("train", "epoch_loss")] == [1, 2]
    assert mlflow_run("0123456789abcdef").info.status == "FINISHED"


def test_train_with_tracker_leaves_the_same_weights(
    finished_run: Path, tiny_config: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    command = f"train --config {tiny_config} --epochs 1 --run-dir run --track tensorboard --json"
    result = rnnsent(*command.split())
    assert result.exit_code == 0 and "\ntensorboard: tensorboard --logdir run/logs\n" in result.stderr
    (line,) = result.stdout.splitlines()
    accuracy = json.loads(line)["validation"]["accuracy"]["value"]
    same(curve(".", "best.val_accuracy"), [(0, accuracy)])
    names = {"loss", "accuracy", "learning_rate", "tokens_per_second", "seconds", "gradient_norm"}
    assert {f"epoch_{name}" for name in names} <= set(events("train").Tags()["tensors"])
    (weights,) = finished_run.glob("weights.*")
    assert weights.read_bytes() == Path("run", weights.name).read_bytes()
    assert not (finished_run / "logs").exists()


@pytest.mark.parametrize("name", ALL)
def test_a_missing_library_is_named_before_anything_else(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "installed", lambda module: module != name)
    with pytest.raises(ConfigError, match=rf"training.trackers: needs {name}: pip install 'rnnsent\[{name}\]'"):
        requirements.require_trainable(config(name))
