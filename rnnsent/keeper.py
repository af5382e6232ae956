"""Keeps a run on disk while it is trained: history, checkpoints, the best model, the curves."""

from __future__ import annotations

import io

import keras
import numpy as np
from keras import ops

from rnnsent import plots, runs
from rnnsent.errors import Interrupted, count
from rnnsent.interruption import HeldSignals
from rnnsent.models import set_weights, weights_of
from rnnsent.observers import EpochFacts, Observer
from rnnsent.runs import RunDirectory

KEPT_CHECKPOINTS = 2


class Keeper(Observer):
    """An observer of training that writes what it sees into the run directory, after each epoch.

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

    def on_epoch(self, facts: EpochFacts, best: bool, model: keras.Model) -> None:
        """Write best model, history and curves; each file all or nothing, and all of one epoch."""
        with HeldSignals():
            self.history.append(facts)
            if best:
                self._write_best(model)
                self.best_epoch = facts.epoch
            rows = [",".join(facts.to_dict()), *(_row(epoch) for epoch in self.history)]
            self.run.write(runs.HISTORY, "\n".join(rows) + "\n")
            self.run.write(runs.CURVES, plots.curves(self.history, self.title, self.best_epoch))

    def on_state(self, epoch: int, model: keras.Model) -> None:
        """Write the checkpoint: the weights as trained, not their average, and all that the optimizer remembers."""
        with HeldSignals():
            self._write_checkpoint(epoch, model)

    @property
    def best_facts(self) -> dict[str, float]:
        """Validation accuracy and loss of the best epoch."""
        assert self.best_epoch is not None
        best = self.history[self.best_epoch - 1]
        return {"val_accuracy": best.val_accuracy, "val_loss": best.val_loss}

    def close_early(self, interruption: BaseException, *, alone: bool = True) -> Interrupted:
        """Return the message for a training that was stopped from outside.

        Args:
            interruption: what stopped it.
            alone: whether no other network was trained before this one.

        Raises:
            Interrupted: at once, if there is not one epoch to be kept.
        """
        code = interruption.exit_code if isinstance(interruption, Interrupted) else 130
        if self.best_epoch is None and not alone:
            return Interrupted("stopped; the run holds the networks that were trained before", code)
        if self.best_epoch is None:
            raise Interrupted("stopped before the first epoch was over; there was nothing to keep", code)
        return Interrupted(
            f"stopped after {count(len(self.history), 'whole epoch')}; {self.run} holds the best, epoch "
            f"{self.best_epoch}",
            code,
        )

    def _write_checkpoint(self, epoch: int, model: keras.Model) -> None:
        arrays = {f"model/{name}": value for name, value in weights_of(model).items()}
        for variable in model.optimizer.variables:
            arrays[f"optimizer/{variable.path}"] = ops.convert_to_numpy(variable)
        self.run.write(runs.checkpoint(epoch), _npz(arrays))
        if epoch > KEPT_CHECKPOINTS:
            self.run.file(runs.checkpoint(epoch - KEPT_CHECKPOINTS)).unlink(missing_ok=True)

    def _write_best(self, model: keras.Model) -> None:
        weights = weights_of(model)
        set_weights(self.best_model, weights)
        self.run.write(runs.WEIGHTS, _npz(weights))
        with self.run.writing(runs.MODEL) as temporary:
            self.best_model.save(temporary)


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _row(facts: EpochFacts) -> str:
    return ",".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in facts.to_dict().values())
