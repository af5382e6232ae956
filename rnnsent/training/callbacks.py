"""What happens around the steps of a training: averaged weights, the record of its epochs, its state and signals."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from rnnsent.config import TrainingConfig
from rnnsent.data.batching import Batches
from rnnsent.engine.gradients import forget_norms, is_sound, measured, norms_of
from rnnsent.errors import TrainingError, count
from rnnsent.models.weights import weights_of
from rnnsent.runs.numerics import first_not_finite, shown_batch
from rnnsent.signals import HeldSignals
from rnnsent.training.checkpoint import COUNTERS, Checkpoint, Curve, Interval
from rnnsent.training.keras_state import best_weights, capture, enter_epoch, synchronize
from rnnsent.training.observers import EpochFacts, Observer, StepFacts

logger = logging.getLogger(__name__)

# A norm that is a number is less than 2e19, as its square is one. Up to this rate no update from such a gradient
# overflows, with a momentum of 0.9 either, and it need not be looked at every weight after every step.
OVERFLOWING_RATE = 1e15


class AveragedWeights(keras.callbacks.Callback):  # type: ignore[misc]
    """Puts the moving average into the model for validation and saving, and the trained weights back after.

    Keras' own SwapEMAWeights swaps by adding and subtracting, which changes the last bits of the weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self._trained: list[NDArray[Any]] | None = None

    def on_test_begin(self, logs: Any = None) -> None:
        """Put the average in."""
        optimizer = measured(self.model.optimizer)
        weights = self.model.trainable_variables
        self._trained = [np.array(ops.convert_to_numpy(weight)) for weight in weights]
        for weight, average in zip(weights, optimizer._model_variables_moving_average, strict=True):
            # A copy: JAX gives the weights' memory away in each step, and the average must not go with it.
            weight.assign(np.array(ops.convert_to_numpy(average)))

    def put_back(self) -> None:
        """Put the trained weights back."""
        if self._trained is not None:
            for weight, trained in zip(self.model.trainable_variables, self._trained, strict=True):
                weight.assign(trained)
            self._trained = None


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Measures epochs, remembers the best weights, tells the observers.

    Args:
        train: the batches of an epoch.
        config: the `training` section.
        observers: told of every step and epoch.
        averaged: puts the trained weights back, where an average is validated.
        started: `time.perf_counter()` when the experiment began.
        begin: where training goes on from, if it was stopped before.
    """

    def __init__(
        self,
        train: Batches,
        config: TrainingConfig,
        observers: Sequence[Observer],
        averaged: AveragedWeights | None,
        started: float,
        begin: Checkpoint | None = None,
    ) -> None:
        super().__init__()
        self._train, self._config, self._observers, self._averaged = train, config, observers, averaged
        self._experiment_started, self._begin = started, begin
        self.epoch = 0
        self.history: list[EpochFacts] = []
        self.curve = Curve(() if begin is None else begin.curve())
        self._best: EpochFacts | None = None
        self.best_weights: list[NDArray[Any]] = []
        if begin is not None:
            self.epoch = begin.epoch
            self.history = [EpochFacts(**facts) for facts in begin.facts["history"]]
            if begin.facts["best"] is not None:
                self._best = self.history[begin.facts["best"] - 1]
                self.best_weights = list(best_weights(begin).values())

    @property
    def best(self) -> EpochFacts:
        """The best epoch so far, the earlier one where two are equal."""
        if self._best is None:
            raise TrainingError("not one epoch was trained")
        return self._best

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint has to remember of this."""
        return {
            "history": [facts.to_dict() for facts in self.history],
            "best": None if self._best is None else self._best.epoch,
            "learning_rate": self._config.learning_rate,
            "seconds": self._trained_in,
            "elapsed": time.perf_counter() - self._experiment_started,
        }

    @property
    def steps(self) -> int:
        """How many batches the epoch has."""
        return len(self._sizes)

    def skips(self, step: int) -> bool:
        """Return whether a step of this epoch, from 1, was trained before the stop."""
        return self._begin is not None and self.epoch == self._begin.epoch and step <= self._begin.step

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note when it began."""
        index = self._train.order(epoch)
        self._sizes = np.cumsum([len(batch) for batch in index])
        self._tokens = np.cumsum([int(self._train.split.lengths[batch].sum()) for batch in index])
        self.epoch, self._trained_in = epoch, 0.0
        if not self.skips(1):
            forget_norms(self.model.optimizer)
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tell of a step."""
        if self.skips(batch + 1):
            assert self._begin is not None
            self._trained_in = self._begin.facts["seconds"]
            self._started = time.perf_counter() - self._trained_in
            return
        loss = float(logs["loss"])
        self._require_finite(loss, "loss", batch + 1)
        wrong = broken_by_step(self.model, self._config.learning_rate)
        if wrong is not None:
            self._fail(wrong, batch + 1)
        self._trained_in = time.perf_counter() - self._started
        facts = StepFacts(
            self.epoch + 1,
            batch + 1,
            len(self._sizes),
            int(self._sizes[batch]),
            int(self._tokens[batch]),
            self._trained_in,
            loss,
            float(logs["accuracy"]),
        )
        if facts.point is not None:
            self.curve.append(facts.point)
        for observer in self._observers:
            observer.on_step(facts)

    def on_test_begin(self, logs: Any = None) -> None:
        """Note the learning rate of the epoch."""
        # At the end of the epoch a plateau may have lowered it already, for the next one.
        self._learning_rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Tell of an epoch."""
        self._require_finite(float(logs["val_loss"]), "validation loss", len(self._sizes))
        norms = norms_of(self.model.optimizer)
        self._tell_of_overflow(norms.steps)
        facts = EpochFacts(
            epoch=epoch + 1,
            seconds=self._trained_in,
            loss=float(logs["loss"]),
            accuracy=float(logs["accuracy"]),
            val_loss=float(logs["val_loss"]),
            val_accuracy=float(logs["val_accuracy"]),
            learning_rate=self._learning_rate,
            tokens_per_second=int(self._tokens[-1]) / self._trained_in,
            elapsed=time.perf_counter() - self._experiment_started,
            gradient_norm=norms.mean,
            largest_gradient_norm=norms.largest,
        )
        self.history.append(facts)
        best = self._best is None or self._score(facts) > self._score(self._best)
        if best:
            self._best, self.best_weights = facts, self.model.get_weights()
        for observer in self._observers:
            observer.on_epoch(facts, best, self.model)
        if self._averaged is not None:
            self._averaged.put_back()

    def _tell_of_overflow(self, taken: int) -> None:
        """Say how many steps were skipped, because their gradient was no longer a number in mixed precision."""
        if taken < self.steps:
            scale = float(ops.convert_to_numpy(self.model.optimizer.dynamic_scale))
            logger.warning(
                "epoch %d: the gradients of %d of %s overflowed in float16; these steps were skipped, and the loss is "
                "now multiplied by %g",
                self.epoch + 1,
                self.steps - taken,
                count(self.steps, "step"),
                scale,
            )

    def require_numbers(self, arrays: Mapping[str, NDArray[Any]], step: int) -> None:
        """Refuse a state that is no longer numbers: training could never go on from it.

        What an optimizer remembers may be infinite while all weights are numbers still; they would never change again.

        Raises:
            TrainingError: naming the first of them.
        """
        name = first_not_finite(arrays)
        if name is not None:
            self._fail(f"{name.removeprefix('model/')} is no longer finite", step or self.steps)

    def _require_finite(self, loss: float, name: str, step: int) -> None:
        if not math.isfinite(loss):
            self._fail(f"the {name} became {loss}", step)

    def _fail(self, what: str, step: int) -> NoReturn:
        shown = shown_batch(self._train.order(self.epoch)[step - 1])
        raise TrainingError(f"{what} in epoch {self.epoch + 1}, step {step} ({shown}): {enlarging(self._config)}")

    def _score(self, facts: EpochFacts) -> float:
        return facts.val_accuracy if self._config.monitor == "val_accuracy" else -facts.val_loss


def enlarging(config: TrainingConfig) -> str:
    """Return what to change where numbers have grown too large: all that this training multiplies them by."""
    advice = f"lower training.learning_rate (now {config.learning_rate:g})"
    if config.class_weights is not None:
        advice += f" or training.class_weights (now {config.class_weights})"
    if config.adversarial is not None:
        advice += f" or training.adversarial.weight (now {config.adversarial.weight:g})"
    return f"{advice}, or set training.clip_norm (now {config.clip_norm})"


def broken_by_step(model: keras.Model, learning_rate: float) -> str | None:
    """Return what is no longer a number after a step, its gradient or a weight that it left; None if all still are.

    The step's own loss, which was computed before, may be one; that of the next step will not be.

    Args:
        model: in training.
        learning_rate: the highest of the training.
    """
    synchronize(model)
    norms = norms_of(model.optimizer)
    if not is_sound(norms):
        return f"the norm of the gradient became {norms.largest}"
    name = first_not_finite(weights_of(model)) if learning_rate > OVERFLOWING_RATE else None
    return None if name is None else f"{name} is no longer finite"


class StateKeeper(keras.callbacks.Callback):  # type: ignore[misc]
    """Hands the state of training to the observers, and lets Ctrl-C and SIGTERM take effect when a step is over.

    Comes after all the others, whose counters it remembers.

    Args:
        recorder: knows where training is.
        averaged: puts the trained weights back, where an average is validated.
        counting: callbacks that remember earlier epochs, by name.
        signals: held until a step is over.
        observers: told of every state.
        every: seconds or steps between two states within an epoch; None: only after epochs.
        begin: where training goes on from, if it was stopped before.
    """

    def __init__(
        self,
        recorder: Recorder,
        averaged: AveragedWeights | None,
        counting: Mapping[str, keras.callbacks.Callback],
        signals: HeldSignals,
        observers: Sequence[Observer],
        every: float | int | None,
        begin: Checkpoint | None,
    ) -> None:
        super().__init__()
        self._recorder, self._averaged, self._counting, self._signals = recorder, averaged, counting, signals
        self._observers, self._interval, self._begin = observers, Interval(every), begin
        self._metrics: list[NDArray[Any]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Let the other callbacks remember what they knew."""
        for name, counters in {} if self._begin is None else self._begin.facts["callbacks"].items():
            if name in self._counting:
                vars(self._counting[name]).update(counters)
        self._interval.put_off(0.0)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Enter the epoch where training was stopped."""
        if self._begin is not None and self._begin.step and epoch == self._begin.epoch:
            enter_epoch(self.model, self._begin)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Keep the state, if it is time; then let signals take effect."""
        step = batch + 1
        if not self._recorder.skips(step) and (self._signals.held or self._interval.is_over(step)):
            self._keep(self._recorder.epoch, step)
        self._signals.deliver()

    def on_test_begin(self, logs: Any = None) -> None:
        """Note what the metrics had summed up, before validation begins to use them."""
        self._metrics = [np.array(ops.convert_to_numpy(each)) for each in self.model.metrics_variables]

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Let signals take effect; the state that is kept is the one before validation."""
        if self._signals.held:
            if self._averaged is not None:
                self._averaged.put_back()
            self._keep(self._recorder.epoch, self._recorder.steps)
        self._signals.deliver()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the state that the next epoch begins with."""
        self._metrics = []
        self._keep(epoch + 1, 0)

    def _keep(self, epoch: int, step: int) -> None:
        started = time.perf_counter()
        facts = self._recorder.facts() | {
            "callbacks": {name: counters(callback) for name, callback in self._counting.items()}
        }
        arrays = capture(self.model, self._recorder.best_weights, self._metrics) | self._recorder.curve.arrays()
        self._recorder.require_numbers(arrays, step)
        for observer in self._observers:
            observer.on_state(Checkpoint(epoch, step, facts, arrays))
        self._interval.put_off(time.perf_counter() - started)


def counters(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Return what a callback remembers of earlier epochs: its numbers that change."""
    found = {name: getattr(callback, name, None) for name in COUNTERS}
    return {
        name: value if isinstance(value, int) else float(value) for name, value in found.items() if value is not None
    }
