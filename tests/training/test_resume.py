"""Training that is stopped and goes on ends with the bits of one that was not, whatever was on."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnsent.cli.options import overrides
from rnnsent.config import Config
from rnnsent.config.loader import parse_config
from rnnsent.data import imdb
from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Partition, partition
from rnnsent.engine.device import start
from rnnsent.engine.dispatch import NATIVE, choose
from rnnsent.errors import RunError, TrainingError
from rnnsent.models.builder import model_for
from rnnsent.runs import directory as runs
from rnnsent.runs import schemas as records
from rnnsent.runs import sealed
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.lock import Lock
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training import finalize
from rnnsent.training.checkpoint import Checkpoint, Interval
from rnnsent.training.fit import TrainingResult, fit
from rnnsent.training.observers import EpochFacts, Observer, StepFacts
from rnnsent.training.run_writer import Keeper
from tests.conftest import TINY_CONFIG, rnnsent, write_imdb

EVERY_STEP = ("training.epochs=2", "training.batch_size=40", "training.checkpoint_every=1")


class Killed(BaseException):
    """As by SIGKILL: whatever is in memory is gone."""


class Disk(Observer):
    """Keeps what it is handed as files; is killed after some steps, or while an epoch is validated."""

    def __init__(self, run: RunDirectory, steps: int | None = None) -> None:
        self.run, self.left = run, steps
        self.told: list[tuple[int, int]] = []

    def on_step(self, facts: StepFacts) -> None:
        self.told.append((facts.epoch, facts.step))

    def on_epoch(self, facts: EpochFacts, best: bool, model: keras.Model) -> None:
        self.told.append((facts.epoch, 0))

    def on_state(self, checkpoint: Checkpoint) -> None:
        checkpoints.write(self.run, checkpoint)
        if self.left is not None:
            self.left -= 1
            if not self.left:
                raise Killed


@pytest.fixture
def parts(tiny_imdb: Path) -> Partition:
    return partition(imdb.load(str(tiny_imdb)), config().data)


def config(*changes: str, cell: str = "gru") -> Config:
    changed = overrides((*EVERY_STEP, *changes))
    return parse_config(TINY_CONFIG.replace("CELL", cell), "tiny", changed)


def train(
    parts: Partition, chosen: Config, disk: Observer, begin: Checkpoint | None = None
) -> tuple[keras.Model, TrainingResult]:
    keras.utils.set_random_seed(1234)  # another process: whatever it drew before
    native = [layer.path == NATIVE for layer in choose(chosen, start("cpu"))]
    model = model_for(
        chosen,
        num_words=60,
        precision=chosen.training.precision,
        seed=chosen.training.seed,
        native=native,
        adversarial=chosen.training.adversarial,
    )
    shuffled = Batches.from_config(parts.train, chosen, shuffle=True)
    validation = Batches.from_config(parts.validation, chosen, shuffle=False)
    return model, fit(model, shuffled, validation, chosen.training, observers=[disk], begin=begin)


def untimed(facts: EpochFacts) -> EpochFacts:
    return replace(facts, seconds=0.0, tokens_per_second=0.0, elapsed=0.0)


def assert_same(one: tuple[keras.Model, TrainingResult], other: tuple[keras.Model, TrainingResult]) -> None:
    for mine, theirs in zip(one[0].get_weights(), other[0].get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert list(map(untimed, one[1].history)) == list(map(untimed, other[1].history))
    assert one[1].best.epoch == other[1].best.epoch


OPTIONS = {
    "lstm": ("lstm", "training.ema=0.9", "training.clip_norm=1.0", "training.schedule={kind: cosine, warmup_steps: 4}"),
    "rnn": ("simple_rnn", "training.optimizer=nadam", "training.batch_tokens=800", "training.class_weights=balanced"),
    "dropouts": ("gru", "model.dropout=0.5", "model.embedding_dropout=0.3", "training.word_dropout=0.2",
                 "training.early_stopping={patience: 1}", "training.learning_rate=1e-12", "training.epochs=3"),
    "adversarial": ("gru", "training.adversarial={kind: virtual}", "training.ema=0.5",
                    "training.schedule={kind: plateau, patience: 1}"),
}  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_killed_after_every_step_the_weights_are_the_same_bits(option: str, parts: Partition, tmp_path: Path) -> None:
    cell, *changes = OPTIONS[option]
    chosen = config(*changes, cell=cell)
    undisturbed = Disk(RunDirectory(tmp_path / "undisturbed"))
    expected = train(parts, chosen, undisturbed)
    run, found, begin = RunDirectory(tmp_path / "killed"), None, None
    told: list[tuple[int, int]] = []
    while found is None:
        disk = Disk(run, steps=2)  # with one it would do as well; so every other test stands between two epochs
        try:
            found = train(parts, chosen, disk, begin)
        except Killed:
            assert len(told) < 20
        begin = checkpoints.newest(run)
        told += disk.told
    assert_same(found, expected)
    assert told == undisturbed.told  # no step and no epoch twice


@pytest.fixture
def trained(finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "run")
    return Path("run")


def contents(run: Path) -> dict[str, bytes]:
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_finished_run_has_nothing_to_go_on_with(trained: Path) -> None:
    before = contents(trained)
    result = rnnsent("train", "--resume", "run")
    assert result.exit_code == 0 and "run is finished: there is nothing to go on with" in result.stderr
    assert result.stdout.startswith("run: validation accuracy ")
    assert contents(trained) == before


def test_more_epochs_are_a_change_that_has_to_be_allowed(trained: Path) -> None:
    before = contents(trained)
    refused = rnnsent("train", "--resume", "run", "--epochs", "2", "--set", "training.trackers=[]")
    assert refused.exit_code == 1
    assert "config.training.epochs: 1 → 2" in refused.stderr and "--allow-changes" in refused.stderr
    assert contents(trained) == before
    allowed = rnnsent("train", "--resume", "run", "--epochs", "2", "--allow-changes")
    assert allowed.exit_code == 0, allowed.stderr
    assert "config.training.epochs: 1 → 2" in allowed.stderr
    rows = csv.DictReader(Path("run/history.csv").read_text().splitlines())
    assert [row["epoch"] for row in rows] == ["1", "2"]
    once = rnnsent("train", "--config", "run/config.yaml", "--run-dir", "once")
    assert once.exit_code == 0, once.stderr
    assert Path("once/weights.npz").read_bytes() == Path("run/weights.npz").read_bytes()
    assert rnnsent("eval", "run", "--split", "validation").exit_code == 0


def test_fewer_epochs_than_are_over_are_refused(trained: Path) -> None:
    allowed = rnnsent("train", "--resume", "run", "--epochs", "2", "--allow-changes")
    assert allowed.exit_code == 0, allowed.stderr
    before = contents(trained)
    found = rnnsent("train", "--resume", "run", "--epochs", "1", "--allow-changes")
    assert found.exit_code == 1 and "2 epochs are over, which is more than training.epochs: 1" in found.stderr
    assert contents(trained) == before
    environment = json.loads(Path("run/environment.json").read_text())
    assert "--resume" not in environment["command"]


def test_whoever_trains_into_a_run_that_was_stopped_is_told_how_to_go_on(trained: Path, tiny_config: Path) -> None:
    (trained / "manifest.json").unlink()
    found = rnnsent("train", "--config", "tiny.yaml", "--run-dir", "run")
    assert found.exit_code == 1 and "go on: rnnsent train --resume run" in found.stderr


def test_the_same_reviews_may_lie_elsewhere(trained: Path, tiny_imdb: Path, tmp_path: Path) -> None:
    (trained / "manifest.json").unlink()
    shutil.copytree(tiny_imdb, tmp_path / "moved")
    found = rnnsent("train", "--resume", "run", "--data", str(tmp_path / "moved"))
    assert found.exit_code == 0, found.stderr


def test_two_processes_do_not_train_one_run(trained: Path) -> None:
    (trained / "manifest.json").unlink()
    lock = Lock(trained)
    found = rnnsent("train", "--resume", "run")
    assert found.exit_code == 1 and "another training is writing this run now" in found.stderr
    lock.release()
    assert rnnsent("train", "--resume", "run").exit_code == 0


def test_other_data_and_another_config_file_are_named(trained: Path, tmp_path: Path) -> None:
    (trained / "manifest.json").unlink()  # killed at the very end
    other = write_imdb(tmp_path / "other", seed=1).parent
    found = rnnsent("train", "--resume", "run", "--data", str(other))
    assert found.exit_code == 1
    assert "  data.train: other reviews than those the training began with" in found.stderr
    assert "  data.validation: other reviews" in found.stderr
    config = Path("run/config.yaml")
    config.write_text(config.read_text().replace("learning_rate: 0.02", "learning_rate: 0.5"))
    found = rnnsent("train", "--resume", "run")
    assert found.exit_code == 1 and "config.training.learning_rate: 0.02 → 0.5" in found.stderr
    origin = sealed.read(RunDirectory(trained), runs.ORIGIN, records.Origin)
    origin["versions"]["keras"] = "2.0"
    origin["machine"]["engine"] = {"1": "0:gru on keras (asked for)"}
    sealed.write(RunDirectory(trained), runs.ORIGIN, origin)
    found = rnnsent("train", "--resume", "run")
    assert found.exit_code == 1 and 'versions.keras: "2.0" → "' in found.stderr
    assert 'machine.engine.1: "0:gru on keras (asked for)" → "0:gru on ' in found.stderr
    (trained / "origin.json").unlink()
    assert "origin.json: is missing" in rnnsent("train", "--resume", "run").stderr


def test_epochs_whose_checkpoints_are_gone_are_not_trained_over(trained: Path) -> None:
    assert rnnsent("train", "--resume", "run", "--epochs", "2", "--allow-changes").exit_code == 0
    (trained / "manifest.json").unlink()
    shutil.rmtree(trained / "checkpoints")
    before = (trained / "weights.npz").read_bytes(), (trained / "history.csv").read_bytes()
    found = rnnsent("train", "--resume", "run")
    assert found.exit_code == 1
    assert "run/checkpoints: holds no checkpoint, though history.csv has 2 epochs, which would be lost" in found.stderr
    assert before == ((trained / "weights.npz").read_bytes(), (trained / "history.csv").read_bytes())


def test_other_words_with_the_same_ids_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{'warm' if row % 2 else 'dull'} w{row % 7} w{row % 5}" for row in range(60)]
    text = "body,verdict\n" + "".join(f"{row},{'yes' if 'warm' in row else 'no'}\n" for row in rows)
    Path("d.csv").write_text(text)
    Path("tiny.yaml").write_text(
        TINY_CONFIG.replace("CELL", "gru").replace("source: imdb", "source: texts, path: d.csv, text_column: body")
    )
    found = rnnsent("train", "--config", "tiny.yaml", "--run-dir", "run", "--set", "data.label_column=verdict")
    assert found.exit_code == 0, found.stderr
    Path("run/manifest.json").unlink()
    Path("d.csv").write_text(text.replace("w5", "w5a"))
    found = rnnsent("train", "--resume", "run")
    assert found.exit_code == 1 and "  data.vocabulary: other words than those the training began with" in found.stderr
    assert "data.train" not in found.stderr


@pytest.mark.parametrize("place", ["at the start", "in the middle", "at the end"])
def test_a_flipped_bit_in_what_a_run_comes_from_is_named(place: str, trained: Path) -> None:
    (trained / "manifest.json").unlink()
    path = trained / "origin.json"
    content = path.read_bytes()
    start = {"at the start": 20, "in the middle": content.index(b'"learning_rate"') + 18, "at the end": -20}[place]
    path.write_bytes(content[:start] + bytes([content[start] ^ 1]) + content[start + 1 :])
    found = rnnsent("train", "--resume", "run")
    assert found.exit_code == 1 and "run/origin.json: " in found.stderr
    path.write_bytes(b"{}")
    assert "origin.json: damaged" in rnnsent("train", "--resume", "run").stderr


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("machine", [], "machine: "), ("versions", {"keras": 3}, "versions.keras: "), ("command", None, "command: ")],
)
def test_what_a_stranger_says_a_run_comes_from_is_checked(key: str, value: Any, message: str, trained: Path) -> None:
    (trained / "manifest.json").unlink()
    origin = sealed.read(RunDirectory(trained), runs.ORIGIN, records.Origin)
    sealed.write(RunDirectory(trained), runs.ORIGIN, origin | {key: value})
    found = rnnsent("train", "--resume", "run")
    assert found.exit_code == 1 and f"run/origin.json: {message}" in found.stderr


def test_the_command_of_a_run_is_that_which_began_it_whatever_became_of_the_file(trained: Path) -> None:
    (trained / "manifest.json").unlink()
    path = trained / "environment.json"
    begun = json.loads(path.read_text())["command"]
    path.write_text(path.read_text().replace(begun[0], "flipped"))
    assert rnnsent("train", "--resume", "run").exit_code == 0
    assert json.loads(path.read_text())["command"] == begun


def test_another_file_of_word_vectors_is_named(tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    words = [f"word{number}" for number in range(1, 40)]
    Path("v.txt").write_text("".join(f"{word} {number / 40} 0 0 1\n" for number, word in enumerate(words)))
    Path("tiny.yaml").write_text(TINY_CONFIG.replace("CELL", "gru"))
    begin = ["--set", "model.vectors={path: v.txt}", "--set", "model.embedding_dim=4"]
    found = rnnsent("train", "--config", "tiny.yaml", "--run-dir", "run", *begin)
    assert found.exit_code == 0, found.stderr
    Path("run/manifest.json").unlink()
    shutil.copy("v.txt", "moved.txt")
    elsewhere = ["--set", "model.vectors={path: moved.txt}"]
    assert rnnsent("train", "--resume", "run", *elsewhere).exit_code == 0
    Path("run/manifest.json").unlink()
    Path("moved.txt").write_text(Path("v.txt").read_text().replace(" 1\n", " 2\n"))
    found = rnnsent("train", "--resume", "run", *elsewhere)
    assert found.exit_code == 1
    assert "  data.vectors: other word vectors than those the training began with (SHA-256 " in found.stderr


def test_versions_are_those_of_libraries_that_the_config_uses(trained: Path) -> None:
    origin = sealed.read(RunDirectory(trained), runs.ORIGIN, records.Origin)
    assert "keras" in origin["versions"] and "scikit-learn" not in origin["versions"]
    with_weights = ["--set", "model.ngrams={orders: 1, weights: [regression]}"]
    found = rnnsent("train", "--config", "run/config.yaml", "--run-dir", "other", *with_weights)
    assert found.exit_code == 0, found.stderr
    versions = sealed.read(RunDirectory(Path("other")), runs.ORIGIN, records.Origin)["versions"]
    assert versions["scikit-learn"] == version("scikit-learn") and "gensim" not in versions


def test_after_a_second_signal_nothing_is_completed(tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    Path("tiny.yaml").write_text(TINY_CONFIG.replace("CELL", "gru"))
    on_epoch = Keeper.on_epoch

    def twice(self: Keeper, *given: Any) -> None:
        on_epoch(self, *given)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as signalled:
        signalled.setattr(Keeper, "on_epoch", twice)
        found = rnnsent("train", "--config", "tiny.yaml", "--run-dir", "run")
    assert found.exit_code == 130 and "Go on: rnnsent train --resume run" in found.stderr
    assert not Path("run/metrics.json").exists()
    again = rnnsent("train", "--resume", "run")
    assert again.exit_code == 0, again.stderr


def test_a_signal_while_a_stopped_run_is_completed_does_not_wait(
    tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one: the first was that which stopped it."""
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    Path("tiny.yaml").write_text(TINY_CONFIG.replace("CELL", "gru"))
    on_epoch, load_predictor = Keeper.on_epoch, finalize.load_predictor  # type: ignore[attr-defined]

    def stopping(self: Keeper, *given: Any) -> None:
        on_epoch(self, *given)
        signal.raise_signal(signal.SIGINT)

    def once_more(*given: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return load_predictor(*given, **options)

    with monkeypatch.context() as signalled:
        signalled.setattr(Keeper, "on_epoch", stopping)
        signalled.setattr(finalize, "load_predictor", once_more)
        found = rnnsent("train", "--config", "tiny.yaml", "--run-dir", "run", "--epochs", "2")
    assert found.exit_code == 130 and "Go on: rnnsent train --resume run" in found.stderr
    assert not Path("run/manifest.json").exists()
    again = rnnsent("train", "--resume", "run")
    assert again.exit_code == 0, again.stderr


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_a_learning_rate_that_was_changed_takes_effect(
    schedule: str, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    Path("tiny.yaml").write_text(TINY_CONFIG.replace("CELL", "gru"))
    kind = ["--set", f"training.schedule.kind={schedule}"]
    assert rnnsent("train", "--config", "tiny.yaml", "--run-dir", "run", "--epochs", "1", *kind).exit_code == 0
    changes = ["--epochs", "2", "--set", "training.learning_rate=5e-3", "--allow-changes"]
    found = rnnsent("train", "--resume", "run", *changes)
    assert found.exit_code == 0, found.stderr
    with Path("run/history.csv").open(newline="") as handle:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(handle)]
    assert rates == [pytest.approx(2e-2), pytest.approx(5e-3)]


@pytest.mark.slow
def test_a_process_that_is_killed_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("tiny.yaml").write_text(TINY_CONFIG.replace("CELL", "lstm"))
    monkeypatch.setenv("RNNSENT_DATA", str(write_imdb(tmp_path / "big", reviews=1500).parent))
    arguments = ["train", "--config", "tiny.yaml", "--set", "training.checkpoint_every=3", "--run-dir"]
    whole = rnnsent(*arguments, "whole")
    assert whole.exit_code == 0, whole.stderr
    command = [sys.executable, "-m", "rnnsent", *arguments, "run"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as training:
        while not list(Path("run/checkpoints").glob("epoch-0001-step-*.npz")):
            assert training.poll() is None
            time.sleep(0.001)
        training.kill()
    Path("run/.weights-torn.npz").write_bytes(b"half of it")  # as if killed in the middle of a write
    held = rnnsent("eval", "run")
    assert held.exit_code == 1 and "Go on: rnnsent train --resume run" in held.stderr
    done = rnnsent("train", "--resume", "run")
    assert done.exit_code == 0, done.stderr
    assert "checkpoint: after 1 epoch and " in done.stderr
    assert Path("run/weights.npz").read_bytes() == Path("whole/weights.npz").read_bytes()
    assert sorted(contents(Path("run"))) == sorted(contents(Path("whole")))
    assert not list(Path("run").glob(".weights*"))


EPOCH = EpochFacts(1, 0.5, 0.7, 0.5, 0.6, 0.6, 1e-3, 100.0).to_dict()
FACTS = {"history": [EPOCH], "best": 1, "callbacks": {"early_stopping": {"wait": 0, "best": 0.6}},
         "learning_rate": 1e-3, "seconds": 0.5, "elapsed": 1.0}  # fmt: skip


def checkpoint(step: int) -> Checkpoint:
    rng = np.random.default_rng(step)
    arrays = {"model/a": rng.normal(size=(5, 3)).astype(np.float32), "random/0": np.arange(2, dtype=np.uint32)}
    return Checkpoint(1, step, dict(FACTS), arrays)


@settings(max_examples=200, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(place: float, bit: int, cut: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder))
        for step in (1, 2, 3):
            checkpoints.write(run, checkpoint(step))
        older, newer = checkpoints.names(run)
        path = run.file(newer)
        content = bytearray(path.read_bytes())
        at = int(place * len(content))
        content[at] ^= 1 << bit
        path.write_bytes(content[:at] if cut else content)
        found = checkpoints.newest(run)
        assert found is not None
        expected = checkpoint(found.step)  # what no reader looks at, such as a date in the archive, may be damaged
        assert found.facts == expected.facts and found.arrays.keys() == expected.arrays.keys()
        for name, array in expected.arrays.items():
            np.testing.assert_array_equal(found.arrays[name], array)
        assert found.step == 2 or not cut
        path.write_bytes(b"")
        run.file(older).write_bytes(b"nothing")
        with pytest.raises(RunError, match="no checkpoint is whole"):
            checkpoints.newest(run)


@pytest.mark.parametrize(
    ("name", "forged"),
    [
        ("history", []),
        ("history", 7),
        ("history", [{"epoch": 1}]),
        ("history", [EPOCH | {"epoch": 2}]),
        ("history", [EPOCH | {"loss": "low"}]),
        ("best", 99),
        ("best", 0),
        ("best", True),
        ("callbacks", {"early_stopping": {"monitor_op": 1}}),
        ("callbacks", {"early_stopping": {"wait": "long"}}),
        ("seconds", None),
        ("seconds", float("inf")),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("history", [EPOCH | {"val_loss": 10**400}]),
        ("elapsed", 10**400),
        ("step", 10**400),
    ],
)
def test_a_checkpoint_that_contradicts_itself_is_refused(name: str, forged: Any, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    checkpoints.write(run, Checkpoint(1, 0, FACTS | {name: forged}, checkpoint(0).arrays))
    told = {"elapsed": "seconds"}.get(name, name)
    with pytest.raises(RunError, match=f"its {told} cannot be those of a training"):
        checkpoints.read(run, "checkpoints/epoch-0001.npz")


@pytest.mark.parametrize(
    "forged",
    [
        np.ones((2, 3)),
        np.ones(4),
        np.ones((2, 4), np.int64),
        np.array([[1.0, 2.0, 1.0, 0.5]]),
        np.array([[1e300, 1.0, 1.0, 0.5]]),
        np.array([[1.0, 0.5, 1.0, 0.5]]),
        np.array([[2.0, 1.0, 1.0, 0.5], [1.0, 1.0, 1.0, 0.5]]),
    ],
)
def test_a_checkpoint_whose_curve_is_none_is_refused(forged: np.ndarray, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    checkpoints.write(run, Checkpoint(1, 0, FACTS, checkpoint(0).arrays | {"curve/steps": forged}))
    with pytest.raises(RunError, match="its curve cannot be that of a training"):
        checkpoints.read(run, checkpoints.names(run)[0])


def test_a_state_is_due_after_seconds_of_which_it_takes_a_hundredth(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("rnnsent.training.checkpoint.time.perf_counter", lambda: now)
    interval = Interval(60.0)
    interval.put_off(0.0)
    now = 159.0
    assert not interval.is_over(1)
    now = 160.0
    assert interval.is_over(2)
    interval.put_off(3.0)
    now = 160.0 + 299.0
    assert not interval.is_over(3)
    now = 160.0 + 300.0
    assert interval.is_over(4)


@pytest.mark.parametrize(("every", "due"), [(None, []), (1, [1, 2, 3, 4, 5, 6]), (3, [3, 6])])
def test_a_state_is_due_after_steps(every: int | None, due: list[int]) -> None:
    interval = Interval(every)
    interval.put_off(1e9)
    assert [step for step in range(1, 7) if interval.is_over(step)] == due


def test_a_checkpoint_under_another_name_is_refused(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    checkpoints.write(run, checkpoint(1))
    run.file(checkpoints.names(run)[0]).rename(tmp_path / "checkpoints" / "epoch-0007.npz")
    with pytest.raises(RunError, match="it holds the state after 1 epoch and 1 step"):
        checkpoints.read(run, "checkpoints/epoch-0007.npz")


def test_a_checkpoint_of_another_network_is_refused(parts: Partition, tmp_path: Path) -> None:
    disk = Disk(RunDirectory(tmp_path), steps=1)
    with pytest.raises(Killed):
        train(parts, config(), disk)
    begin = checkpoints.newest(disk.run)
    with pytest.raises(RunError, match="of another model"):
        train(parts, config("model.embedding_dim=5"), disk, begin)


def test_weights_that_are_no_longer_numbers_are_never_kept(parts: Partition, tmp_path: Path) -> None:
    class Poison(Disk):
        """Spoils a weight after a step whose own loss was still a number."""

        def on_step(self, facts: StepFacts) -> None:
            super().on_step(facts)
            if len(self.told) == 3:
                model.weights[0].assign(np.full(model.weights[0].shape, np.nan))

    disk = Poison(RunDirectory(tmp_path))
    chosen = config()
    model = model_for(chosen, num_words=60, seed=0)
    shuffled, rest = (Batches.from_config(split, chosen, shuffle=True) for split in (parts.train, parts.validation))
    with pytest.raises(TrainingError, match=r"embeddings is no longer finite in epoch 1, step 3 \(a batch of 40 "):
        fit(model, shuffled, rest, chosen.training, observers=[disk])
    assert [name[-10:] for name in checkpoints.names(disk.run)] == ["000001.npz", "000002.npz"]
