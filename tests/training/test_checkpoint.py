"""Checkpoints on disk: what is kept, what is refused; that training resumes from them is in test_resume.py."""

from __future__ import annotations

import errno
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnsent.errors import RunError, TrainingError
from rnnsent.runs.schemas import Epoch
from rnnsent.training.callbacks import FiniteCallback
from rnnsent.training.checkpoint import Checkpoint, CheckpointFolder, Interval

EPOCH = Epoch(
    epoch=1, seconds=0.5, loss=0.7, accuracy=0.5, val_loss=0.6, val_accuracy=0.6, learning_rate=1e-3,
    tokens_per_second=9.0, elapsed=1.0, gradient_norm=0.1, largest_gradient_norm=0.2,
)  # fmt: skip
ARRAYS: dict[str, Any] = {
    "model/z": np.arange(12, dtype=np.float32).reshape(3, 4),
    "model/a": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "random/000": np.array([1, 2], np.uint32),
    "optimizer/000": np.array(7, np.int64),
    "best/z": np.zeros((0, 3), np.float32),
}


@pytest.fixture
def folder() -> CheckpointFolder:
    return CheckpointFolder(Path("checkpoints"), "t")


def checkpoint(epoch: int, step: int = 0, **values: Any) -> Checkpoint:
    return Checkpoint(**{"training": "t", "epoch": epoch, "step": step, "arrays": ARRAYS, **values})


def test_checkpoint_comes_back_as_it_was(folder: CheckpointFolder) -> None:
    counters = {"early_stopping": {"wait": 1, "best": 0.123456789012345678}}
    written = checkpoint(1, 120, history=[EPOCH], best_epoch=1, counters=counters, seconds=0.25, elapsed=1.5)
    folder.write(written)
    found = folder.newest()
    assert found is not None and found.name == "epoch-0001-step-000120.safetensors"
    assert {**vars(found), "arrays": None} == {**vars(written), "arrays": None}
    assert found.position == folder.position == "after 1 epoch and 120 steps"
    assert list(found.arrays) == list(ARRAYS) and list(found.under("model")) == ["z", "a"]
    for name, array in found.arrays.items():
        np.testing.assert_array_equal(array, ARRAYS[name])
        assert array.dtype == ARRAYS[name].dtype
    assert found.covers(1, 120) and not found.covers(1, 121) and not found.covers(2, 1)


def test_newest_two_are_kept(folder: CheckpointFolder) -> None:
    assert (folder.newest(), folder.epoch, folder.position) == (None, 0, "before the first step")
    for place in ((0, 5), (0, 10), (1, 0), (1, 5)):
        folder.write(checkpoint(*place))
    (folder.path / "notes.txt").write_text("mine")
    assert folder.names() == ["epoch-0001.safetensors", "epoch-0001-step-000005.safetensors"]
    folder.keep_newest()
    assert folder.names() == ["epoch-0001-step-000005.safetensors"] and folder.epoch == 1
    folder.clear()
    assert not folder.path.exists()


def test_damaged_one_costs_only_itself(folder: CheckpointFolder, caplog: pytest.LogCaptureFixture) -> None:
    for step in (1, 2):
        folder.write(checkpoint(0, step))
    newest = folder.path / "epoch-0000-step-000002.safetensors"
    whole = newest.read_bytes()
    for damage in (b"", whole[:300], whole.replace(b"order", b"ordex"), whole.replace(b"epoch", b"epoxx")):
        newest.write_bytes(damage)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = folder.newest()
        assert found is not None and found.step == 1
        assert f"{newest}: " in caplog.text and "trying an older checkpoint" in caplog.text
    (folder.path / "epoch-0000-step-000001.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match=r"checkpoints: no checkpoint is intact; restore it from a copy"):
        folder.newest()


def test_that_of_another_training_is_refused(folder: CheckpointFolder) -> None:
    CheckpointFolder(folder.path, "other").write(checkpoint(1, training="other"))
    with pytest.raises(RunError, match=r"epoch-0001.safetensors: belongs to another training"):
        folder.read("epoch-0001.safetensors")


def test_full_disk_leaves_the_one_before(folder: CheckpointFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(checkpoint(1))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("rnnsent.files.os.fsync", full)
    with pytest.raises(RunError, match="checkpoints: the disk is full; what was written before is intact"):
        folder.write(checkpoint(2))
    assert [path.name for path in folder.path.iterdir()] == ["epoch-0001.safetensors"]


@pytest.mark.parametrize("name", ["model/a", "optimizer/003", "best/a", "metrics/000"])
def test_state_that_could_never_continue_is_not_kept(name: str) -> None:
    class Train:
        def order(self, epoch: int) -> list[np.ndarray]:
            return [np.arange(9)]

    finite = FiniteCallback(Train(), 0.1, "lower it", None)  # type: ignore[arg-type]
    finite.require_arrays(ARRAYS, 1)
    spoiled = ARRAYS | {name: np.array([0, np.nan], np.float32)}
    expected = rf"^{name.removeprefix('model/')} is no longer finite in epoch 1, step 1 \(a batch of 9 texts: 0, 1, 2, "
    with pytest.raises(TrainingError, match=expected):
        finite.require_arrays(spoiled, 1)


def test_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    steps, seconds, never = Interval(3), Interval(60.0), Interval(None)
    for each in (steps, seconds, never):
        each.restart()
    assert [steps.is_due(step) for step in (1, 2, 3, 6)] == [False, False, True, True]
    assert not seconds.is_due(3) and not never.is_due(3)
    now = 60.0
    assert seconds.is_due(4) and not never.is_due(4) and not steps.is_due(4)
    seconds.restart(took=2.0)  # of which it may take 1 % of the time
    now = 259.0
    assert not seconds.is_due(5)
    now = 261.0
    assert seconds.is_due(6)
