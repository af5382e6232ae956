"""Checkpoints: all that a training needs to resume bit for bit, one safetensors file each. Without Keras.

`epoch-0003.safetensors` is the state after three epochs, `epoch-0003-step-000120.safetensors` that 120 batches later.
The newest two are kept, so that a damaged one costs some minutes and not the training.
"""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rnnsent.config.sections import TrainingConfig
from rnnsent.errors import RunError, count
from rnnsent.files import atomic_path, disk_errors
from rnnsent.runs.directory import RESTORE, arrays_bytes, read_arrays
from rnnsent.runs.schemas import Epoch, parse, to_dict

logger = logging.getLogger(__name__)

KEPT = 2
SUFFIX = ".safetensors"
OVERHEAD = 0.01  # share of the time that checkpoints within an epoch may take

_NAME = re.compile(r"epoch-(\d{4,})(?:-step-(\d{6,}))?\.safetensors")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a training between two steps."""

    training: str  # the id of the training and of its network
    epoch: int  # the epoch that is being trained, from 0; equally, how many are complete
    step: int  # how many batches of it are done
    history: list[Epoch] = field(default_factory=list, repr=False)  # the complete epochs
    best_epoch: int | None = None  # from 1; None before the first is complete
    # {callback: {counter: value}} of EarlyStopping and ReduceLROnPlateau
    counters: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: float = 0.0  # of training in the epoch so far
    elapsed: float = 0.0  # seconds since the experiment started
    # weights, optimizer, random generators, metrics, best weights; see `keras_state`
    arrays: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"epoch-{self.epoch:04d}{f'-step-{self.step:06d}' if self.step else ''}{SUFFIX}"

    @property
    def position(self) -> str:
        """Where it stands, such as "after 3 epochs and 120 steps"."""
        return f"after {count(self.epoch, 'epoch')}" + (f" and {count(self.step, 'step')}" if self.step else "")

    def under(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return the arrays whose names begin with `prefix/`, without it, in their order."""
        start = f"{prefix}/"
        return {name.removeprefix(start): array for name, array in self.arrays.items() if name.startswith(start)}

    def covers(self, epoch: int, step: int) -> bool:
        """Return whether a step, from 1, of an epoch, from 0, was trained before this checkpoint."""
        return epoch == self.epoch and step <= self.step

    def stopped_early(self, config: TrainingConfig) -> bool:
        """Return whether early stopping ended the training, however many epochs are requested."""
        wait = self.counters.get("early_stopping", {}).get("wait", 0)
        return config.early_stopping is not None and wait >= config.early_stopping.patience

    def is_last(self, config: TrainingConfig) -> bool:
        """Return whether no step is left to train."""
        return self.epoch >= config.epochs or self.stopped_early(config)


@dataclass(frozen=True)
class CheckpointFolder:
    """The checkpoints of one training."""

    path: Path  # the folder
    training: str  # the id of the training; the checkpoints of another one are refused

    def write(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, all or nothing, and remove all that are older than the one before it.

        Raises:
            RunError: if the disk is full or cannot be written to; the checkpoints before are intact.
        """
        values = to_dict(replace(checkpoint, arrays={}))
        # safetensors sorts by type and name, and the order means something.
        facts = {"checkpoint": json.dumps(values), "order": json.dumps(list(checkpoint.arrays))}
        with disk_errors(self.path), atomic_path(self.path / checkpoint.name) as temporary:
            temporary.write_bytes(arrays_bytes(checkpoint.arrays, facts))
        names = [name for name in self.names() if _position(name) < (checkpoint.epoch, checkpoint.step)]
        self._remove(names[: -(KEPT - 1)])

    def keep_newest(self) -> None:
        """Remove all but the newest."""
        self._remove(self.names()[:-1])

    def clear(self) -> None:
        """Remove all: the training is complete, and its result is elsewhere."""
        shutil.rmtree(self.path, ignore_errors=True)

    def names(self) -> list[str]:
        """Return the names of the checkpoints, the oldest first."""
        names = [path.name for path in self.path.iterdir()] if self.path.is_dir() else []
        return sorted(filter(_NAME.fullmatch, names), key=_position)

    @property
    def epoch(self) -> int:
        """How many epochs are complete at the newest checkpoint, going by its name."""
        names = self.names()
        return _position(names[-1])[0] if names else 0

    @property
    def position(self) -> str:
        """Where the newest checkpoint stands, going by its name."""
        names = self.names()
        if not names:
            return "before the first step"
        epoch, step = _position(names[-1])
        return Checkpoint(training=self.training, epoch=epoch, step=step).position

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is intact; None where there is none at all.

        Raises:
            RunError: if there are checkpoints, and all are damaged.
        """
        names = self.names()
        for name in reversed(names):
            try:
                return self.read(name)
            except RunError as error:
                logger.warning("%s; trying an older checkpoint", error)
        if names:
            raise RunError(f"{self.path}: no checkpoint is intact; {RESTORE}")
        return None

    def read(self, name: str) -> Checkpoint:
        """Return one checkpoint.

        Raises:
            RunError: if it is damaged, or of another training.
        """
        from safetensors import safe_open

        path = self.path / name
        arrays = read_arrays(path)
        with safe_open(path, "np") as handle:
            facts = handle.metadata() or {}
        try:
            values, order = json.loads(facts["checkpoint"]), json.loads(facts["order"])
            values["arrays"] = {key: arrays[key] for key in order}
        except (ValueError, KeyError) as error:
            raise RunError(f"{path}: is not a checkpoint: {error}") from None
        checkpoint = parse(Checkpoint, values, path)
        if checkpoint.training != self.training:
            raise RunError(f"{path}: belongs to another training")
        return checkpoint

    def _remove(self, names: list[str]) -> None:
        for name in names:
            (self.path / name).unlink(missing_ok=True)


class Interval:
    """When something that takes time is due again.

    Args:
        every: seconds (float) or steps (int) between two of them; None: never.
        overhead: the share of the time that it may take, where `every` is in seconds.
    """

    def __init__(self, every: float | int | None, overhead: float = OVERHEAD) -> None:
        self._every, self._overhead = every, overhead
        self._due = math.inf

    def is_due(self, step: int) -> bool:
        """Return whether it is time, after `step` steps of the epoch."""
        return time.perf_counter() >= self._due or (isinstance(self._every, int) and step % self._every == 0)

    def restart(self, took: float = 0.0) -> None:
        """Begin to wait again, after it was done in `took` seconds."""
        if isinstance(self._every, float):
            self._due = time.perf_counter() + max(self._every, took / self._overhead)


def _position(name: str) -> tuple[int, int]:
    match = _NAME.fullmatch(name)
    assert match is not None
    return int(match[1]), int(match[2] or 0)


def first_not_finite(arrays: Mapping[str, NDArray[Any]]) -> str | None:
    """Return the name of the first array that holds NaN or infinity; None if there is none."""
    import numpy as np

    return next((name for name, data in arrays.items() if data.dtype.kind == "f" and not np.isfinite(data).all()), None)
