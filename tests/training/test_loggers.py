"""Trackers against the real libraries: what they are told can be read back, and none of them can take training down."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnsent.cli.options import overrides
from rnnsent.config import Config
from rnnsent.config.loader import parse_config
from rnnsent.errors import ConfigError, Interrupted
from rnnsent.models import requirements
from rnnsent.runs import artifacts as stored
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.registry import open_run
from rnnsent.training.experiment import Trained, resume, train
from rnnsent.training.loggers.tracker import Beginning, Ending, flattened
from rnnsent.training.loggers.wandb import WeightsAndBiases
from rnnsent.training.observers import EpochFacts, Observer, StepFacts
from tests.conftest import REPOSITORY, SAMPLE_CONFIG, rnnsent

pytestmark = [
    pytest.mark.slow,  # starting the clients of three trackers alone takes eleven seconds
    # MLflow asks SQLAlchemy for what that deprecates.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
]

ALL = ("tensorboard", "mlflow", "wandb")


def config(*trackers: str, epochs: int = 2, text: str = SAMPLE_CONFIG) -> Config:
    settings = [f"training.trackers={json.dumps(trackers)}", f"training.epochs={epochs}"]
    return parse_config(text, "c", overrides(settings))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database for MLflow, which takes seconds to make."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture(autouse=True)
def alone(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.delenv("WANDB_MODE", raising=False)


@pytest.fixture(scope="module")
def tracked(cache: Path, store: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run of two epochs with all trackers."""
    folder = tmp_path_factory.mktemp("tracked")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("RNNSENT_CACHE", str(cache))
        patch.setenv("MLFLOW_TRACKING_URI", store)
        patch.delenv("WANDB_MODE", raising=False)
        return train(config(*ALL), "tracked", run_dir=folder / "run")


def history(run: RunDirectory) -> list[dict[str, float]]:
    rows = csv.DictReader(run.file(runs.HISTORY).read_text().splitlines())
    return [{name: float(value) for name, value in row.items()} for row in rows]


def curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})  # all, not some of them
    events.Reload()
    return [(each.step, float(tensor_util.make_ndarray(each.tensor_proto))) for each in events.Tensors(tag)]


def text(folder: Path, tag: str) -> str:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return str(events.Tensors(tag)[0].tensor_proto.string_val[0].decode())


def client() -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient()


def mlflow_run(name: str) -> Any:
    """Return the newest run of a name."""
    experiment = client().get_experiment_by_name("rnnsent")
    found = client().search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'")
    return found[0]


def wandb_records(run: RunDirectory) -> list[Any]:
    """Return what an offline run holds: blocks of 32 KiB with records in pieces, as LevelDB writes its logs."""
    from wandb.proto import wandb_internal_pb2

    (file,) = run.file(runs.LOGS).rglob("run-*.wandb")
    content, at, piece, found = file.read_bytes(), 7, b"", []
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        piece += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            found.append(wandb_internal_pb2.Record.FromString(piece))
            piece = b""
    return found


def wandb_items(items: Any) -> dict[str, Any]:
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def test_tensorboard_holds_the_curves_of_the_history(tracked: Trained) -> None:
    logs = tracked.run.file("logs/tensorboard")
    rows = history(tracked.run)
    for part, tag, column in (
        ("train", "loss", "loss"),
        ("train", "accuracy", "accuracy"),
        ("validation", "loss", "val_loss"),
        ("validation", "accuracy", "val_accuracy"),
        ("train", "learning_rate", "learning_rate"),
        ("train", "tokens_per_second", "tokens_per_second"),
        ("train", "gradient_norm", "gradient_norm"),
        ("train", "largest_gradient_norm", "largest_gradient_norm"),
    ):
        steps, values = zip(*curve(logs / part, tag), strict=True)
        assert steps == (1, 2)
        np.testing.assert_allclose(values, [row[column] for row in rows], rtol=1e-5)
    written = [step for step, _ in curve(logs / "train", "step/loss")]
    assert written == list(range(1, 2 * 38 + 1))  # 4,800 by 128: few enough to be written all
    assert curve(logs / "train", "step/loss")[-1][1] == pytest.approx(rows[-1]["loss"], rel=1e-5)


def test_tensorboard_holds_graph_config_and_result(tracked: Trained) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logs = tracked.run.file("logs/tensorboard")
    events = EventAccumulator(str(logs / "train"))
    events.Reload()
    nodes = {node.name for node in events.Graph().node}
    assert any("gru" in name for name in nodes) and any("embedding" in name for name in nodes)
    stored = "\n".join(line.removeprefix("    ") for line in text(logs, "config").split("\n"))
    assert parse_config(stored, "stored").training.trackers == tuple(ALL)
    ended = json.loads(text(logs, "ended"))
    accuracy = tracked.metrics["validation"]["accuracy"]
    assert ended["status"] == "finished" and ended["validation_accuracy"] == accuracy["value"]


def test_the_projector_gets_the_words_of_the_best_epoch(tracked: Trained) -> None:
    from google.protobuf import text_format
    from tensorboard.plugins import projector

    folder = tracked.run.file("logs/tensorboard/train")
    found = text_format.Parse((folder / "projector_config.pbtxt").read_text(), projector.ProjectorConfig())
    (embedding,) = found.embeddings
    vocabulary = json.loads(tracked.run.file(runs.VOCABULARY).read_text())["words"]
    words = (folder / embedding.metadata_path).read_text().split("\n")[:-1]
    vectors = np.loadtxt(folder / embedding.tensor_path, delimiter="\t")
    kept = stored.load_weights(tracked.run)["embedding/embeddings"]
    assert words == vocabulary[: len(words)] and list(embedding.tensor_shape) == list(vectors.shape)
    assert len(words) == min(300 - 4, len(vocabulary))
    np.testing.assert_allclose(vectors, kept[4 : 4 + len(words)], rtol=1e-5)


def test_mlflow_holds_config_epochs_and_files(tracked: Trained) -> None:
    found = mlflow_run("run")
    assert found.info.status == "FINISHED"
    assert found.data.params["model.recurrent.0.cell"] == "gru"
    assert found.data.params["training.learning_rate"] == "0.02"
    assert found.data.params["training.early_stopping"] == "null"
    assert found.data.tags["data_sha256"] == tracked.metrics["data"]["sha256"]
    assert found.data.tags["status"] == "finished" and found.data.tags["rnnsent_version"]
    points = client().get_metric_history(found.info.run_id, "val_loss")
    assert [point.step for point in points] == [1, 2]
    np.testing.assert_allclose(
        [point.value for point in points], [row["val_loss"] for row in history(tracked.run)], 1e-5
    )
    accuracy = tracked.metrics["validation"]["accuracy"]
    assert found.data.metrics["validation_accuracy"] == accuracy["value"]
    assert found.data.metrics["validation_accuracy_low"] == accuracy["low"]
    for name in (runs.CONFIG, runs.METRICS, runs.SUMMARY):
        copied = Path(client().download_artifacts(found.info.run_id, name))
        assert copied.read_bytes() == tracked.run.file(name).read_bytes()


def test_wandb_holds_config_history_and_summary_offline(tracked: Trained) -> None:
    records = wandb_records(tracked.run)
    (run,) = [record.run for record in records if record.HasField("run")]
    assert (run.project, run.display_name) == ("rnnsent", "run")
    assert wandb_items(run.config.update)["model"]["recurrent"][0]["cell"] == "gru"
    epochs = [wandb_items(record.history.item) for record in records if record.HasField("history")]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    losses = [epoch["val_loss"] for epoch in epochs]
    np.testing.assert_allclose(losses, [row["val_loss"] for row in history(tracked.run)], 1e-5)
    summary: dict[str, Any] = {}
    for record in records:
        summary |= wandb_items(record.summary.update)
    assert summary["status"] == "finished"
    assert summary["validation_accuracy"] == tracked.metrics["validation"]["accuracy"]["value"]
    assert [record.exit.exit_code for record in records if record.HasField("exit")] == [0]


def test_logs_are_part_of_the_run_and_lead_nowhere_else(tracked: Trained, tmp_path: Path) -> None:
    logs = tracked.run.file(runs.LOGS)
    assert {path.name for path in logs.iterdir()} == {"tensorboard", "wandb"}
    assert not [path for path in logs.rglob("*") if path.is_symlink()]
    listed = [name for name in tracked.run.manifest() if name.startswith("logs/")]
    assert len(listed) == sum(path.is_file() for path in logs.rglob("*"))
    shutil.copytree(tracked.run.path, tmp_path / "moved")
    open_run(tmp_path / "moved").verify()
    stored = tracked.run.read_json(runs.METRICS)["trackers"]
    assert list(stored) == list(ALL) and all(facts["failed"] is None and facts["where"] for facts in stored.values())


def test_being_watched_changes_not_one_bit(tracked: Trained) -> None:
    plain = train(config(), "plain", run_dir=Path("plain"))
    assert "trackers" not in plain.metrics and not plain.run.file(runs.LOGS).exists()
    watched = stored.load_weights(tracked.run)
    for name, value in stored.load_weights(plain.run).items():
        np.testing.assert_array_equal(watched[name], value)


def test_force_replaces_a_run_with_logs(tracked: Trained, tmp_path: Path) -> None:
    shutil.copytree(tracked.run.path, tmp_path / "run")
    train(config(epochs=1), "again", run_dir=tmp_path / "run", force=True)
    assert not (tmp_path / "run" / runs.LOGS).exists()


ENSEMBLE = f"{SAMPLE_CONFIG}ensemble:\n  - {{}}\n  - {{embedding_dim: 5}}\n"


def test_each_network_of_an_ensemble_has_its_own_curves() -> None:
    trained = train(config(*ALL, epochs=1, text=ENSEMBLE), "both", run_dir=Path("both"))
    logs = trained.run.file("logs/tensorboard/members")
    found = mlflow_run("both")
    (first, second) = (
        wandb_items(record.history.item) for record in wandb_records(trained.run) if record.HasField("history")
    )
    for number, logged in ((1, first), (2, second)):
        (row,) = history(trained.run.member(number))
        ((_, loss),) = curve(logs / str(number) / "validation", "loss")
        assert loss == pytest.approx(row["val_loss"], rel=1e-5)
        assert found.data.metrics[f"members/{number}/val_loss"] == pytest.approx(row["val_loss"], rel=1e-5)
        assert logged[f"members/{number}/val_loss"] == pytest.approx(row["val_loss"], rel=1e-5)
    trained.run.verify()


class StopAt(Observer):
    """Is Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_step(self, facts: StepFacts) -> None:
        if (facts.epoch, facts.step) == (self.epoch, 3):
            raise KeyboardInterrupt


def test_a_stopped_training_is_marked_as_stopped() -> None:
    with pytest.raises(Interrupted):
        train(config(*ALL), "stopped", run_dir=Path("stopped"), observers=[StopAt(2)])
    run = open_run(Path("stopped"))
    run.verify()
    assert json.loads(text(run.file("logs/tensorboard"), "ended"))["status"] == "stopped"
    assert len(curve(run.file("logs/tensorboard/train"), "loss")) == 1
    assert run.file("logs/tensorboard/train/vectors.tsv").is_file()
    assert mlflow_run("stopped").info.status == "KILLED"
    assert [record.exit.exit_code for record in wandb_records(run) if record.HasField("exit")] == [130]


def test_a_training_that_came_to_nothing_leaves_no_run_behind_and_nothing_open() -> None:
    with pytest.raises(Interrupted):
        train(config(*ALL), "nothing", run_dir=Path("nothing"), observers=[StopAt(1)])
    assert not Path("nothing").exists()
    assert mlflow_run("nothing").info.status == "KILLED"


KILLED = """
import os, signal, sys
from pathlib import Path
from rnnsent.training.experiment import train
from rnnsent.training.observers import Observer
from tests.training.test_loggers import ALL, config

class Kill(Observer):
    def on_step(self, facts):
        if (facts.epoch, facts.step) == (3, 5):
            os.kill(os.getpid(), signal.SIGKILL)

train(config(*ALL, epochs=3), "killed", run_dir=Path(sys.argv[1]), observers=[Kill()])
"""


def newest_killed(folder: Path) -> RunDirectory:
    """Return a run that was killed in its third epoch, and whose checkpoint of the second never reached the disk."""
    found = subprocess.run([sys.executable, "-c", KILLED, str(folder)], capture_output=True, text=True)
    assert found.returncode == -signal.SIGKILL, found.stderr
    sorted(folder.glob("checkpoints/epoch-0002*"))[-1].unlink()
    return RunDirectory(folder)


@pytest.fixture(scope="module")
def killed(cache: Path, store: str, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run of all trackers that was killed; to be copied."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSENT_CACHE", str(cache))
        patch.setenv("MLFLOW_TRACKING_URI", store)
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        return newest_killed(tmp_path_factory.mktemp("folder") / "killed")


def mlflow_runs(name: str) -> list[Any]:
    experiment = client().get_experiment_by_name("rnnsent")
    return list(client().search_runs([experiment.experiment_id], f"attributes.run_name = '{name}'"))


def steps(id: str, name: str) -> list[int]:
    return [point.step for point in client().get_metric_history(id, name)]


def kept(run: RunDirectory) -> dict[str, Any]:
    return run.read_json(runs.TRACKERS)


def graphs(file: Path) -> int:
    """Return how many graphs an event file holds."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    return sum(bool(event.graph_def) for event in LegacyEventFileLoader(str(file)).Load())


def test_a_killed_training_goes_on_in_the_runs_of_its_trackers(killed: RunDirectory, tmp_path: Path) -> None:
    shutil.copytree(killed.path, tmp_path / "went-on")
    before, told = kept(killed), list[str]()
    assert client().get_run(before["mlflow"]).info.status == "RUNNING" and steps(before["mlflow"], "loss") == [1, 2]
    there = {each.info.run_id for each in mlflow_runs("killed") + mlflow_runs("went-on")}
    points = curve(Path("went-on/logs/tensorboard/train"), "step/loss")
    assert len(points) >= 2 * 38 + 4  # killed in the third epoch of 38 steps; it goes on in the second one
    Path("victim").write_text("mine")
    Path("went-on/logs/tensorboard/train/projector_config.pbtxt").symlink_to(Path("victim").resolve())
    os.mkfifo("went-on/logs/tensorboard/train/events.out.tfevents.1")  # which has no end, if it were read
    trained = resume(Path("went-on"), tell=told.append)
    again = curve(trained.run.file("logs/tensorboard/train"), "step/loss")
    assert [step for step, _ in again] == list(range(1, 3 * 38 + 1)) and again[: len(points)] == points
    assert Path("victim").read_text() == "mine"
    assert sum(map(graphs, trained.run.file("logs/tensorboard/train").glob("*.tfevents.*"))) == 1
    assert {each.info.run_id for each in mlflow_runs("killed") + mlflow_runs("went-on")} == there
    assert client().get_run(before["mlflow"]).info.status == "FINISHED"
    for name in ("loss", "val_loss", "learning_rate"):
        assert steps(before["mlflow"], name) == [1, 2, 3]
    for part in ("train", "validation"):
        assert [step for step, _ in curve(trained.run.file(f"logs/tensorboard/{part}"), "loss")] == [1, 2, 3]
    records = wandb_records(trained.run)
    assert [record.run.run_id for record in records if record.HasField("run")] == [before["wandb"]]
    epochs = [wandb_items(record.history.item)["epoch"] for record in records if record.HasField("history")]
    assert epochs == [1, 2, 3]
    assert kept(trained.run) == before and runs.TRACKERS in trained.run.manifest()
    assert not [line for line in told if "not there any more" in line]
    trained.run.verify()
    # More epochs, which is another config: MLflow would not let a parameter be written twice.
    more = resume(Path("went-on"), {"training.epochs": 4}, allow_changes=True)
    assert more.metrics["trackers"]["mlflow"]["failed"] is None and steps(before["mlflow"], "loss") == [1, 2, 3, 4]
    assert client().get_run(before["mlflow"]).data.tags["changed.training.epochs"] == "4"


@pytest.mark.parametrize("lost", ["another store", "thrown away"])
def test_a_run_that_its_tracker_has_lost_is_begun_anew_and_that_is_said(killed: RunDirectory, lost: str) -> None:
    shutil.copytree(killed.path, "lost")
    before = kept(killed)["mlflow"]
    if lost == "another store":
        unknown = f"{0:032x}"
        Path("lost/trackers.json").write_text(json.dumps({"mlflow": unknown}))
        before = unknown
    else:
        before = client().create_run(client().get_experiment_by_name("rnnsent").experiment_id).info.run_id
        client().delete_run(before)
        Path("lost/trackers.json").write_text(json.dumps({"mlflow": before}))
    told: list[str] = []
    trained = resume(Path("lost"), {"training.trackers": ["mlflow"]}, tell=told.append)
    assert f"mlflow: its run {before} is not there any more; a new one is begun" in told
    new = kept(trained.run)["mlflow"]
    assert new != before and steps(new, "loss") == [1, 2, 3]
    assert client().get_run(new).info.status == "FINISHED"


@pytest.mark.parametrize("content", ["{", "[]", '{"wandb": "../../evil"}', '{"wandb": 1}'])
def test_ids_that_are_none_are_named_and_training_goes_on(
    content: str, killed: RunDirectory, warned: Callable[[], list[str]]
) -> None:
    shutil.copytree(killed.path, "odd")
    Path("odd/trackers.json").write_text(content)
    trained = resume(Path("odd"), {"training.trackers": ["wandb"]})
    (warning,) = warned()
    assert "trackers.json" in warning and "new run" in warning
    assert trained.metrics["trackers"]["wandb"]["failed"] is None
    assert kept(trained.run)["wandb"].isalnum() and not Path("evil").exists()
    trained.run.verify()


class FakeRun:
    """A run of Weights & Biases that a server holds already, with so many steps."""

    def __init__(self, step: int) -> None:
        self.step, self.logged = step, list[dict[str, Any]]()
        self.config, self.dir, self.url = self, ".", "https://example.org"

    def update(self, *given: Any, **more: Any) -> None:
        """Take a config."""

    def log(self, values: dict[str, Any]) -> None:
        self.logged.append(values)


def test_a_server_of_wandb_is_asked_for_the_same_run_and_told_what_it_does_not_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, Any] = {}
    held = FakeRun(2)
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr("wandb.init", lambda **given: asked.update(given) or held)
    beginning = Beginning(RunDirectory(Path("run")), config("wandb"), {}, {}, "abcd1234")
    tracker = WeightsAndBiases()
    tracker.begin(beginning)
    assert (asked["id"], asked["resume"], tracker.id) == ("abcd1234", "allow", "abcd1234")
    for epoch in (1, 2, 3):
        tracker.log({"epoch": epoch})
    assert [each["epoch"] for each in held.logged] == [3]


class AfterTheFirstEpoch(Observer):
    def __init__(self, do: Any) -> None:
        self.do = do

    def on_epoch(self, facts: EpochFacts, best: bool, model: Any) -> None:
        if facts.epoch == 1:
            self.do()


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what rnnsent warned of so far."""
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("rnnsent")]


def test_a_store_that_breaks_in_the_middle_costs_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str, warned: Callable[[], list[str]]
) -> None:
    shutil.copyfile(store.removeprefix("sqlite:///"), "broken.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/broken.db")

    def breaks() -> None:
        with sqlite3.connect("broken.db") as database:
            database.execute("DROP TABLE latest_metrics")
            database.execute("DROP TABLE metrics")
        database.close()

    watching = AfterTheFirstEpoch(breaks)
    trained = train(config("mlflow", "tensorboard", epochs=3), "x", run_dir=Path("run"), observers=[watching])
    assert trained.metrics["epochs"] == 3
    (warning,) = warned()
    assert warning.startswith("mlflow failed and is left out from here on; training is not touched: ")
    facts = trained.run.read_json(runs.METRICS)["trackers"]
    assert "metrics" in facts["mlflow"]["failed"] and facts["tensorboard"]["failed"] is None
    assert len(curve(trained.run.file("logs/tensorboard/train"), "loss")) == 3
    trained.run.verify()


def test_logs_that_cannot_be_written_at_the_very_end_are_noted(
    warned: Callable[[], list[str]],
) -> None:
    def in_the_way() -> None:
        Path("run/logs/tensorboard/train").rename("run/logs/tensorboard/elsewhere")
        Path("run/logs/tensorboard/train").write_text("not a folder")

    trained = train(config("tensorboard"), "x", run_dir=Path("run"), observers=[AfterTheFirstEpoch(in_the_way)])
    assert len(warned()) == 1
    assert trained.run.read_json(runs.METRICS)["trackers"]["tensorboard"]["failed"]
    trained.run.verify()


def test_a_server_that_is_not_there_does_not_keep_training_waiting(
    monkeypatch: pytest.MonkeyPatch, warned: Callable[[], list[str]]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")  # the discard port
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    trained = train(config("mlflow", epochs=1), "x", run_dir=Path("run"))
    assert trained.metrics["trackers"]["mlflow"]["failed"]
    assert "secret" not in trained.run.file(runs.METRICS).read_text()
    (warning,) = warned()
    assert "127.0.0.1:9" in warning and "secret" not in warning


def test_nobody_is_asked_to_log_in(monkeypatch: pytest.MonkeyPatch, warned: Callable[[], list[str]]) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(Path("netrc").resolve()))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    trained = train(config("wandb", epochs=1), "x", run_dir=Path("run"))
    assert trained.metrics["trackers"]["wandb"]["failed"] and len(warned()) == 1
    trained.run.verify()


@pytest.mark.parametrize("name", ALL)
def test_a_missing_library_is_said_before_anything_else(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "rnnsent.models.requirements.find_spec", lambda module: None if module == name else find_spec(module)
    )
    with pytest.raises(ConfigError, match=rf"training.trackers: needs {name}: pip install 'rnnsent\[{name}\]'"):
        train(config(name), "x", run_dir=Path("run"))
    assert not Path("run").exists()


def test_a_folder_of_that_name_is_not_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("tracked_by_nobody").mkdir()
    monkeypatch.syspath_prepend(str(Path.cwd()))
    assert find_spec("tracked_by_nobody") is not None
    assert requirements.missing("tracked_by_nobody") and not requirements.missing("json")


def test_mlflow_needs_a_database_only_for_its_own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = "sqlalchemy"
    monkeypatch.setattr(
        "rnnsent.models.requirements.find_spec", lambda name: None if name == hidden else find_spec(name)
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    requirements.require_trainable(config("mlflow"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(ConfigError, match=r"needs sqlalchemy: pip install 'rnnsent\[mlflow\]'"):
        requirements.require_trainable(config("mlflow"))


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("[tensorbord]", "must be one of tensorboard, mlflow, wandb"),
        ("[wandb, mlflow, wandb]", r'must name each tracker once \(here: "wandb"\)'),
        ("wandb", "must be a list"),
    ],
)
def test_a_config_names_trackers_that_there_are_once_each(given: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        parse_config(SAMPLE_CONFIG, "c", overrides([f"training.trackers={given}"]))


def test_track_overrides_the_config() -> None:
    Path("c.yaml").write_text(SAMPLE_CONFIG.replace("{epochs: 1,", "{trackers: [wandb], epochs: 1,"))
    found = rnnsent("train", "--config", "c.yaml", "--run-dir", "run", "--track", "tensorboard", "--json")
    assert found.exit_code == 0, found.stderr
    assert list(json.loads(found.stdout)["trackers"]) == ["tensorboard"]
    twice = rnnsent("train", "--config", "c.yaml", "--track", "mlflow", "--track", "mlflow")
    assert twice.exit_code == 1 and "must name each tracker once" in twice.stderr


def test_results_go_to_stdout_and_each_tracker_says_one_line() -> None:
    Path("c.yaml").write_text(SAMPLE_CONFIG)
    command = [sys.executable, "-m", "rnnsent", "train", "--config", "c.yaml", "--run-dir", "run", "--json"]
    command += [part for name in ALL for part in ("--track", name)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    (line,) = found.stdout.splitlines()
    assert list(json.loads(line)["trackers"]) == list(ALL)
    told = found.stderr.splitlines()
    for name in ALL:
        assert sum(line.startswith(f"{name}: ") for line in told) == 1
    assert [line.split(" ")[0] for line in told] == [
        "data:", "device:", "run:", "tensorboard:", "mlflow:", "wandb:", "engine:", "epoch", "calibration:",
    ]  # fmt: skip


def test_nothing_is_imported_that_was_not_asked_for() -> None:
    Path("c.yaml").write_text(SAMPLE_CONFIG)
    code = """
import sys
from click.testing import CliRunner
from rnnsent.cli.main import cli
found = CliRunner().invoke(cli, ["train", "--config", "c.yaml", "--run-dir", "run"])
assert found.exit_code == 0, found.stderr
print([name for name in ("mlflow", "wandb", "tensorboard") if name in sys.modules])
print([name for name in sys.modules if name.startswith("rnnsent.training.loggers.")])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    libraries, own = found.stdout.splitlines()
    assert libraries == "[]"
    assert sorted(own.strip("[]").replace("'", "").split(", ")) == [
        "rnnsent.training.loggers.following", "rnnsent.training.loggers.tracker",
    ]  # fmt: skip


def test_a_config_as_parameters_has_every_value_under_its_key() -> None:
    text = SAMPLE_CONFIG.replace("batch_size: 128", 'batch_size: 128, class_weights: {"negative": 1.0, positive: 2.0}')
    found = flattened(parse_config(text, "c"))
    assert found["data.source"] == "sample" and found["model.recurrent.0.units"] == "8"
    assert found["training.class_weights"] == '{"negative": 1.0, "positive": 2.0}'
    assert (
        found["training.schedule.kind"] == "constant" and found["model.dense"] == "[]" and found["ensemble"] == "null"
    )


def test_metrics_that_are_not_defined_are_left_out() -> None:
    estimate = {"value": None, "low": None, "high": None}
    assert Ending("finished", {"validation": {"f1": estimate, "per_label": {"a": 1}}}).validation() == {}
    assert Ending("failed").validation() == {}
