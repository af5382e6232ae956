"""Weights & Biases: a run of the project `rnnsent`, offline in the run's `logs/` unless $WANDB_MODE says otherwise."""

from __future__ import annotations

import io
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnsent.runs import directory as runs
from rnnsent.training.loggers.tracker import Beginning, Ending, Network, Status, Tracker
from rnnsent.training.observers import EpochFacts, Observer

if TYPE_CHECKING:
    import keras

PROJECT = "rnnsent"
EXIT_CODES: dict[Status, int] = {"finished": 0, "stopped": 130, "failed": 1}


def tracker() -> Tracker:
    """Return the tracker."""
    return WeightsAndBiases()


class WeightsAndBiases(Tracker):
    """Writes a run of its own, so that one that a notebook has open stays as it is."""

    def __init__(self) -> None:
        self._told = 0  # epochs, of all networks

    def begin(self, beginning: Beginning) -> str:
        """Open a run with the config as its config."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        mode: Any = os.environ.get("WANDB_MODE") or "offline"
        logs = beginning.run.file(runs.LOGS)
        self.id = beginning.id or uuid.uuid4().hex[:8]
        logs.mkdir(parents=True, exist_ok=True)  # or it would choose another place
        self._folder = logs / "wandb"
        config = beginning.config.to_dict() | {"data_facts": dict(beginning.data)}
        with _nobody_at_the_keyboard():
            self._run = wandb.init(
                project=PROJECT,
                id=self.id,
                resume=None if mode == "offline" else "allow",  # offline the files begin anew
                name=beginning.run.path.resolve().name,
                dir=str(logs),
                mode=mode,
                reinit="create_new",
                config=config,
                settings=wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True),
            )
        if mode != "offline":
            self._run.config.update(config, allow_val_change=True)  # where it goes on, with what was changed
        self._had = self._run.step  # epochs of all networks; none of them offline
        if mode == "offline":
            return f"offline, wandb sync {self._folder / Path(self._run.dir).parent.name}"
        return f"{mode}, {self._run.url}"

    def follow(self, network: Network) -> Observer:
        """Return what writes the curves of a network."""
        return _Network(self, network)

    def log(self, values: Mapping[str, float]) -> None:
        """Write an epoch, which is a step; one that the run had before its training went on is left out."""
        self._told += 1
        if self._told > self._had:
            self._run.log(dict(values))

    def end(self, ending: Ending) -> None:
        """Write the final metrics, close the run, and wait until nobody writes into its folder any more."""
        import wandb

        self._run.summary.update({"status": ending.status, **ending.validation()})
        self._run.finish(exit_code=EXIT_CODES[ending.status])
        if wandb.run is None:  # else somebody else has a run open in this process
            wandb.teardown()
        _clear(self._folder)


class _Network(Observer):
    """Writes the epochs of one network."""

    def __init__(self, tracker: WeightsAndBiases, network: Network) -> None:
        self._tracker, self._network = tracker, network

    def on_epoch(self, facts: EpochFacts, best: bool, model: keras.Model) -> None:
        """Write what an epoch did."""
        self._tracker.log({"epoch": facts.epoch, **self._network.named(facts)})


@contextmanager
def _nobody_at_the_keyboard() -> Iterator[None]:
    """Let a library that would ask for a login raise instead."""
    before, sys.stdin = sys.stdin, io.StringIO()
    try:
        yield
    finally:
        sys.stdin = before


def _clear(folder: Path) -> None:
    """Remove links, which lead out of the run, and what wandb notes about itself; the rest is the run's."""
    for path in list(folder.rglob("*")):
        if path.is_symlink():
            path.unlink()
    for run in folder.glob("*run-*"):
        for name in ("logs", "tmp"):
            shutil.rmtree(run / name, ignore_errors=True)
