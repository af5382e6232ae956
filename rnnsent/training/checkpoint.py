"""Checkpoints: all that a training needs to go on bit for bit, in files that show by themselves whether they are whole.

`checkpoints/epoch-0003.npz` is the state after three epochs, `checkpoints/epoch-0003-step-000120.npz` that 120 batches
later. Each is a NumPy archive of plain arrays; the newest two are kept. Without Keras.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
import re
import time
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import TrainingConfig
from rnnsent.errors import RunError, count
from rnnsent.json_files import parse_json
from rnnsent.runs.artifacts import read_arrays, require_finite
from rnnsent.runs.directory import CHECKPOINTS, HISTORY, RunDirectory
from rnnsent.training.observers import EpochFacts, StepLoss

logger = logging.getLogger(__name__)

KEPT = 2
FORMAT = 3  # 1 had no position, and nothing to go on from; 2 no gradient norms, and not whose it is

# Checkpoints that are written every so many seconds take at most this share of the time, and those after epochs, which
# are not put off, as much again if an epoch takes a hundred times as long.
CHECKPOINT_SHARE = 0.01

COUNTERS = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter")  # that a callback of Keras goes by

_FACTS, _DIGEST, _CURVE = "facts", "sha256", "curve/steps"
_NO_CURVE = np.empty((0, 4))
MOST_COUNTED = 2**53  # which floats count exactly
_NAME = re.compile(r"epoch-(\d{4,})(?:-step-(\d{6,}))?\.npz")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a training between two steps.

    Attributes:
        epoch: the epoch that is being trained, from 0; equally, how many are over.
        step: how many batches of it are over.
        facts: history, counters of callbacks, seconds: what JSON can hold, exactly.
        arrays: weights, optimizer, random generators, metrics, points of the curve, by name.
    """

    epoch: int
    step: int
    facts: dict[str, Any] = field(repr=False)
    arrays: dict[str, NDArray[Any]] = field(repr=False)

    @property
    def name(self) -> str:
        """The name of its file in the run."""
        step = f"-step-{self.step:06d}" if self.step else ""
        return f"{CHECKPOINTS}/epoch-{self.epoch:04d}{step}.npz"

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        after = count(self.epoch, "epoch")
        return f"after {after} and {count(self.step, 'step')}" if self.step else f"after {after}"

    def under(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return the arrays whose names begin with `prefix/`, without it, in their order."""
        return {
            name.removeprefix(f"{prefix}/"): array
            for name, array in self.arrays.items()
            if name.startswith(f"{prefix}/")
        }

    def curve(self) -> list[StepLoss]:
        """Return the points of the curve so far; of an older checkpoint none."""
        rows = self.arrays.get(_CURVE, _NO_CURVE).tolist()
        return [StepLoss(int(epoch), int(step), int(steps), loss) for epoch, step, steps, loss in rows]


class Curve:
    """The points of the curve so far, as a checkpoint keeps them: epoch, step, steps and loss, float64 (points, 4)."""

    def __init__(self, points: Iterable[StepLoss] = ()) -> None:
        self._numbers = array("d")  # grows with the points: there are many after many epochs
        for point in points:
            self.append(point)

    def append(self, point: StepLoss) -> None:
        """Add a point."""
        self._numbers.extend((point.epoch, point.step, point.steps, point.loss))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a checkpoint keeps."""
        return {_CURVE: np.array(self._numbers).reshape(-1, 4)}


class Interval:
    """When something that takes time is to be done again, such as keeping the state of a training within an epoch.

    Args:
        every: so many seconds (float) or steps (int); None: never.
        share: of the time, which it takes at most if `every` is in seconds.
    """

    def __init__(self, every: float | int | None, share: float = CHECKPOINT_SHARE) -> None:
        self._every, self._share = every, share
        self._due = math.inf

    def is_over(self, step: int) -> bool:
        """Return whether it is time, after `step` steps of the epoch."""
        return time.perf_counter() >= self._due or (isinstance(self._every, int) and step % self._every == 0)

    def put_off(self, took: float) -> None:
        """Begin anew, after it was done in `took` seconds."""
        if isinstance(self._every, float):
            self._due = time.perf_counter() + max(self._every, took / self._share)


def write(run: RunDirectory, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, all or nothing, and remove those that are older than the one before it.

    Raises:
        RunError: if the disk is full or cannot be written to; the checkpoints before are intact.
    """
    place = {"training": run.training, "epoch": checkpoint.epoch, "step": checkpoint.step}
    with run.writing(checkpoint.name) as temporary:
        save(temporary, {"format": FORMAT, **place, **checkpoint.facts}, checkpoint.arrays)
    older = [name for name in names(run) if _position(name) < (checkpoint.epoch, checkpoint.step)]
    for name in older[: -(KEPT - 1)]:
        run.file(name).unlink(missing_ok=True)


def keep_newest(run: RunDirectory) -> None:
    """Remove all but the newest: training is over."""
    for name in names(run)[:-1]:
        run.file(name).unlink(missing_ok=True)


def names(run: RunDirectory) -> list[str]:
    """Return the names of the checkpoints of a run, the oldest first."""
    folder = run.file(CHECKPOINTS)
    there = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted((f"{CHECKPOINTS}/{name}" for name in there if _NAME.fullmatch(name)), key=_position)


def newest_epoch(run: RunDirectory) -> int:
    """Return how many epochs were over at the newest checkpoint, going by its name; 0 where there is none."""
    there = names(run)
    return _position(there[-1])[0] if there else 0


def steps(run: RunDirectory) -> list[int]:
    """Return after how many steps of its epoch each checkpoint is, going by its name."""
    return [_position(name)[1] for name in names(run)]


def ended_early(checkpoint: Checkpoint, config: TrainingConfig) -> bool:
    """Return whether early stopping, as in `config`, ends the training of a checkpoint, however many epochs it asks."""
    waited = checkpoint.facts["callbacks"].get("early_stopping", {}).get("wait", 0)
    return config.early_stopping is not None and waited >= config.early_stopping.patience


def is_over(checkpoint: Checkpoint, config: TrainingConfig) -> bool:
    """Return whether the training of a checkpoint, as in `config`, has no step left."""
    return checkpoint.epoch >= config.epochs or ended_early(checkpoint, config)


def newest(run: RunDirectory, *, quietly: bool = False) -> Checkpoint | None:
    """Return the newest checkpoint that is whole; None where there is none at all.

    Damaged ones are named in the log, unless it is asked `quietly`.

    Raises:
        RunError: if there are checkpoints, and all are damaged; or if there were some, or may have been.
    """
    there = names(run)
    for name in reversed(there):
        try:
            return read(run, name)
        except RunError as error:
            if not quietly:
                logger.warning("%s; an older one is looked for", error)
    if there:
        raise RunError(f"{run.file(CHECKPOINTS)}: no checkpoint is whole; restore the run from a copy, or train anew")
    epochs = run.epochs_in(HISTORY)
    if epochs > 1:  # the second begins when the checkpoint of the first is there
        raise RunError(
            f"{run.file(CHECKPOINTS)}: holds no checkpoint, though {HISTORY} has {epochs} epochs, which would be lost; "
            "restore it from a copy, or train anew"
        )
    return None


def read(run: RunDirectory, name: str) -> Checkpoint:
    """Return one checkpoint.

    Raises:
        RunError: if it is not, byte for byte of its arrays, what was written, holds NaN or infinity, or cannot be read.
    """
    path = run.file(name)
    facts, arrays = load(path)
    if facts.pop("format", None) != FORMAT:
        raise RunError(f"{path}: written by another version of rnnsent")
    if facts.pop("training", None) != run.training:
        raise RunError(f"{path}: belongs to another training than origin.json, or to another network of it")
    wrong = _contradiction(facts)
    if wrong is not None:
        raise RunError(f"{path}: damaged: its {wrong} cannot be those of a training")
    curve = arrays.get(_CURVE, _NO_CURVE)
    if curve.dtype != np.float64 or curve.shape[1:] != (4,) or not _are_places(curve[:, :3]):
        raise RunError(f"{path}: damaged: its curve cannot be that of a training")
    found = Checkpoint(facts.pop("epoch"), facts.pop("step"), facts, arrays)
    if found.name != name:
        raise RunError(f"{path}: damaged: it holds the state {found.place}")
    return found


def save(path: Path, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write facts and arrays to one file that vouches for itself.

    Raises:
        OSError: if the disk is full or cannot be written to.
    """
    content = {_FACTS: _bytes(json.dumps(facts, sort_keys=True)), **arrays}
    with path.open("wb") as handle:
        np.savez(handle, **{_DIGEST: _bytes(_digest(content)), **content})  # type: ignore[arg-type]


def load(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the facts and the arrays that `save` wrote.

    Raises:
        RunError: if they are not those that were written, or hold NaN or infinity, which no training leaves.
    """
    arrays = read_arrays(path)
    try:
        whole = arrays.pop(_DIGEST).tobytes().decode() == _digest(arrays)
        facts = parse_json(arrays.pop(_FACTS).tobytes(), finite=False) if whole else {}
    except (KeyError, ValueError) as error:
        raise RunError(f"{path}: damaged: {error}") from None
    if not whole:
        raise RunError(f"{path}: damaged: its contents are not those that were written")
    require_finite(path, arrays)  # whoever forged them knew the digest
    return facts if isinstance(facts, dict) else {}, arrays


def _contradiction(facts: Mapping[str, Any]) -> str | None:
    """Return the name of what cannot have been written of a training; whoever forged it knew the digest."""
    history, callbacks, best = (facts.get(name) for name in ("history", "callbacks", "best"))
    epochs = len(history) if isinstance(history, list) else 0
    fields = {each.name for each in dataclasses.fields(EpochFacts)}
    sound = {
        "epoch": _is_count(facts.get("epoch")),
        "step": _is_count(facts.get("step")),
        "history": isinstance(history, list)
        and all(isinstance(epoch, dict) and set(epoch) == fields and _are_numbers(epoch) for epoch in history)
        and [epoch["epoch"] for epoch in history] == list(range(1, len(history) + 1))
        and len(history) == facts.get("epoch"),
        "best": best is None or (_is_count(best) and 1 <= best <= epochs),
        "callbacks": isinstance(callbacks, dict)
        and all(isinstance(each, dict) and set(each) <= set(COUNTERS) and _are_numbers(each)
                for each in callbacks.values()),
        "seconds": _is_amount(facts.get("seconds")) and _is_amount(facts.get("elapsed")),
        "learning_rate": _is_amount(facts.get("learning_rate")) and facts["learning_rate"] > 0,
    }  # fmt: skip
    return next((name for name, is_sound in sound.items() if not is_sound), None)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value) and value >= 0


def _are_places(places: NDArray[np.float64]) -> bool:
    """Return whether epoch, step and steps, (points, 3), are whole numbers of a training."""
    epoch, step, steps = places.T
    whole = (places >= 1).all() and (places <= MOST_COUNTED).all() and (places == np.floor(places)).all()
    return bool(whole and (step <= steps).all() and (np.diff(epoch) >= 0).all())


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (
        isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST_COUNTED
    )


def _are_numbers(values: Mapping[str, Any]) -> bool:
    return all(map(_is_number, values.values()))


def _is_amount(value: Any) -> bool:
    return _is_number(value) and 0 <= value < math.inf


def _position(name: str) -> tuple[int, int]:
    found = _NAME.fullmatch(name.rpartition("/")[2])
    assert found is not None
    return int(found[1]), int(found[2] or 0)


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}\0{array.dtype.str}\0{arrays[name].shape}\0".encode())
        digest.update(array.data if array.size else b"")
    return digest.hexdigest()
