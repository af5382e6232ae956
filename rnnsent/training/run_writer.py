"""Keeps a run on disk while it is trained: history, checkpoints, the best model, the curves."""

from __future__ import annotations

import time
from collections.abc import Mapping

import keras
import numpy as np

from rnnsent.errors import Interrupted
from rnnsent.evaluation import plots
from rnnsent.models.weights import set_weights, weights_of
from rnnsent.runs import artifacts
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory
from rnnsent.signals import HeldSignals
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training.checkpoint import Checkpoint, Interval
from rnnsent.training.keras_state import best_weights
from rnnsent.training.observers import EpochFacts, Observer

CURVES_SHARE = 0.005  # of the time, at most, is spent on drawing while training goes on


class Keeper(Observer):
    """An observer of training that writes what it sees into the run directory, after each epoch.

    The curves are drawn after the first epoch, at the end, and in between as often as `CURVES_SHARE` allows.

    Args:
        run: where to write.
        plain: the same network as the one in training, uncompiled and in float32; it becomes `model.keras`.
        title: above the curves.
    """

    def __init__(self, run: RunDirectory, plain: keras.Model, title: str) -> None:
        self.run, self.title = run, title
        self.best_model = plain
        self.history: list[EpochFacts] = []
        self.best_epoch: int | None = None
        self.state: str | None = None  # where training could go on, for people
        self._drawing, self._drawn = Interval(0.0, CURVES_SHARE), 0  # epochs
        self._drawing.put_off(0.0)

    def on_epoch(self, facts: EpochFacts, best: bool, model: keras.Model) -> None:
        """Write best model and history, and the curves if it is time; each file all or nothing."""
        with HeldSignals():
            self.history.append(facts)
            if best:
                self._write_best(weights_of(model))
                self.best_epoch = facts.epoch
            self._write_history()
            if self._drawing.is_over(facts.epoch):
                self.draw()

    def draw(self) -> None:
        """Write the curves, unless they show all epochs already."""
        if self._drawn == len(self.history):
            return
        started = time.perf_counter()
        with HeldSignals():
            self.run.write(runs.CURVES, plots.curves(self.history, self.title, self.best_epoch))
        self._drawn = len(self.history)
        self._drawing.put_off(time.perf_counter() - started)

    def on_state(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint."""
        with HeldSignals():
            checkpoints.write(self.run, checkpoint)
            self.state = checkpoint.place

    def go_on(self, begin: Checkpoint) -> None:
        """Take up a training that was stopped: write anew what was written until `begin`."""
        with HeldSignals():
            self.state = begin.place
            self.history = [EpochFacts(**facts) for facts in begin.facts["history"]]
            self.best_epoch = begin.facts["best"]
            if self.best_epoch is not None:
                self._write_best(best_weights(begin))
                self._write_history()
                self.draw()

    @property
    def best_facts(self) -> dict[str, float]:
        """Validation accuracy and loss of the best epoch."""
        assert self.best_epoch is not None
        best = self.history[self.best_epoch - 1]
        return {"val_accuracy": best.val_accuracy, "val_loss": best.val_loss}

    def last_state(self) -> str:
        """Say which checkpoint is the last that is good, when training cannot go on."""
        there = checkpoints.names(self.run)
        if self.state is None or not there:
            return "No state of the training was kept before"
        return f"The last good state is {self.run.file(there[-1])}, {self.state}"

    def close_early(self, interruption: BaseException, *, alone: bool = True) -> Interrupted:
        """Return the message for a training that was stopped from outside.

        Args:
            interruption: what stopped it.
            alone: whether no other network was trained before this one.

        Raises:
            Interrupted: at once, if there is not one epoch to be kept.
        """
        code = interruption.exit_code if isinstance(interruption, Interrupted) else 130
        state = "before the first step" if self.state is None else self.state
        if self.best_epoch is None and not alone:
            return Interrupted(f"stopped {state}; the run holds the networks that were trained before", code)
        if self.best_epoch is None:
            raise Interrupted(f"stopped {state}", code)
        return Interrupted(f"stopped {state}; {self.run} holds the best epoch, {self.best_epoch}", code)

    def _write_history(self) -> None:
        rows = [",".join(self.history[0].to_dict()), *(_row(epoch) for epoch in self.history)]
        self.run.write(runs.HISTORY, "\n".join(rows) + "\n")

    def _write_best(self, weights: Mapping[str, np.ndarray]) -> None:
        set_weights(self.best_model, weights)
        self.run.write(runs.WEIGHTS, artifacts.npz(weights))
        with self.run.writing(runs.MODEL) as temporary:
            self.best_model.save(temporary)


def _row(facts: EpochFacts) -> str:
    return ",".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in facts.to_dict().values())
