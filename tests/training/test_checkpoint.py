"""Checkpoints on disk: what is kept, what is refused; that training resumes from them is in test_resume.py."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnnsent.errors import RunError, TrainingError
from rnnsent.runs.schemas import Epoch
from rnnsent.training.callbacks import FiniteCallback
from rnnsent.training.checkpoint import Checkpoint, CheckpointFolder, Interval

EPOCH = Epoch(
    epoch=1, seconds=0.5, loss=0.7, accuracy=0.5, val_loss=0.6, val_accuracy=0.6, learning_rate=1e-3,
    tokens_per_second=9.0, elapsed=1.0, gradient_norm=0.1, largest_gradient_norm=0.2, val_f1=0.55,
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


@pytest.mark.parametrize("name", ["model/a", "optimizer/003", "best/a", "metrics/000"])
def test_state_that_could_never_continue_is_not_kept(name: str) -> None:
    train: Any = SimpleNamespace(order=lambda epoch: [np.arange(9)])
    finite = FiniteCallback(train, "lower it", None)
    finite.require_arrays(ARRAYS, 1)
    spoiled = ARRAYS | {name: np.array([0, np.nan], np.float32)}
    expected = rf"^{name.removeprefix('model/')} is no longer finite in epoch 1, step 1 \(a batch of 9 texts: 0, 1, 2, "
    with pytest.raises(TrainingError, match=expected):
        finite.require_arrays(spoiled, 1)


def test_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    steps, seconds = Interval(3), Interval(60.0)
    assert [steps.is_due(step) for step in (1, 2, 3, 6)] == [False, False, True, True]
    seconds.restart(took=2.0)  # of which it may take 1 % of the time
    for clock[0], due in ((199.0, False), (201.0, True)):
        assert seconds.is_due(1) is due and not steps.is_due(1) and not Interval(None).is_due(3)
    seconds.restart()
    clock[0] += 60.0
    assert seconds.is_due(2)
