"""What can go wrong around a training that was stopped: disk, permissions, clock, files of others. Nothing is lost."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rnnsent.runs.directory import RunDirectory
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training.checkpoint import Checkpoint
from tests.conftest import TINY_CONFIG, rnnsent

NOBODY = 65534


class Killed(BaseException):
    """As by SIGKILL."""


Stop = Callable[[str, int], Path]


@pytest.fixture
def stop(tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> Stop:
    """Train into a folder, and be killed after so many checkpoints; the config stays in tiny.yaml."""
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    text = TINY_CONFIG.replace("CELL", "gru").replace("epochs: 3", "epochs: 2, checkpoint_every: 1")
    Path("tiny.yaml").write_text(text)

    def stopped(name: str, after: int) -> Path:
        written: list[str] = []
        write = checkpoints.write

        def counting(run: RunDirectory, checkpoint: Checkpoint) -> None:
            write(run, checkpoint)
            written.append(checkpoint.name)
            if len(written) == after:
                run.release()  # as the end of a process does
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(checkpoints, "write", counting)
            with pytest.raises(Killed):
                rnnsent("train", "--config", "tiny.yaml", "--run-dir", name)
        return Path(name)

    return stopped


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def assert_ends_as_undisturbed(run: Path) -> None:
    resumed = rnnsent("train", "--resume", str(run))
    assert resumed.exit_code == 0, resumed.stderr
    whole = rnnsent("train", "--config", "tiny.yaml", "--run-dir", "whole")
    assert whole.exit_code == 0, whole.stderr
    assert (run / "weights.npz").read_bytes() == Path("whole/weights.npz").read_bytes()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let this process write no file that is larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_more_leaves_the_checkpoints_that_were_there(stop: Stop) -> None:
    run = stop("run", 8)
    before = {name: (run / "checkpoints" / name).read_bytes() for name in names(run)}
    with files_of_at_most(6000):  # the text files are smaller, checkpoints are not
        found = rnnsent("train", "--resume", "run")
    assert found.exit_code == 1
    assert "Error: run: cannot be written: File too large" in found.stderr
    assert {name: (run / "checkpoints" / name).read_bytes() for name in names(run)} == before
    assert not [path for path in run.rglob(".*") if path.name != ".lock"]
    assert_ends_as_undisturbed(run)


@contextmanager
def without_permissions() -> Iterator[None]:
    """Be somebody for whom permissions count."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_run_that_may_only_be_read(stop: Stop, tmp_path: Path) -> None:
    run = stop("run", 3)
    before = names(run)
    places = [tmp_path, run, run / "checkpoints"]
    for place in places:
        place.chmod(0o555)
    with without_permissions():
        found = rnnsent("train", "--resume", "run")
        new = rnnsent("train", "--config", "tiny.yaml", "--run-dir", "new")
    for place in places:
        place.chmod(0o755)
    assert (found.exit_code, new.exit_code) == (1, 1)
    assert "Error: run: cannot be written: Permission denied" in found.stderr
    assert "Error: new: cannot be written: Permission denied" in new.stderr
    assert names(run) == before
    assert_ends_as_undisturbed(run)


def test_a_clock_that_jumps_back_changes_nothing(stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stop("run", 8)
    newest = checkpoints.names(RunDirectory(run))[-1]
    for path in run.rglob("*"):  # written in a future that is still to come, the newest before the others
        os.utime(path, (4e9, 4e9) if path != run / newest else (1e9, 1e9))
    now = [time.time()]

    def backwards() -> float:
        now[0] -= 3600.0
        return now[0]

    with monkeypatch.context() as patch:
        patch.setattr(time, "time", backwards)
        resumed = rnnsent("train", "--resume", "run")
    assert resumed.exit_code == 0, resumed.stderr
    assert "checkpoint: after 1 epoch and 1 step" in resumed.stderr
    assert_ends_as_undisturbed(run)


def test_a_checkpoint_of_another_training_is_not_taken_for_ones_own(stop: Stop) -> None:
    run, other = stop("run", 3), stop("other", 4)
    shutil.copy(other / "checkpoints" / names(other)[-1], run / "checkpoints")
    resumed: Any = rnnsent("train", "--resume", "run")
    assert resumed.exit_code == 0
    assert f"{names(other)[-1]}: belongs to another training" in resumed.stderr
    assert "checkpoint: after 0 epochs and 3 steps" in resumed.stderr
    assert_ends_as_undisturbed(run)
