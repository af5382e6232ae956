"""The Keras callback of a trial: reports validation to Optuna, stops what is worse than the median or out of time."""

from __future__ import annotations

import time
from typing import Any

import keras
import optuna


class PruningCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends a training by TrialPruned.

    Args:
        trial: Optuna's.
        monitor: name of the validation metric.
        deadline: in seconds of `time.monotonic()`.
    """

    def __init__(self, trial: optuna.Trial, monitor: str, deadline: float) -> None:
        super().__init__()
        self._trial, self._monitor, self._deadline = trial, monitor, deadline

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stop when the time is up."""
        if time.monotonic() > self._deadline:
            raise optuna.TrialPruned

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Report the epoch, and ask the pruner unless it was the last one."""
        self._trial.report(float(logs[self._monitor]), epoch + 1)
        is_last = self.model.stop_training or epoch + 1 == self.params["epochs"]
        if not is_last and self._trial.should_prune():
            raise optuna.TrialPruned
