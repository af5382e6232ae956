"""Keras callbacks around the steps of a training: moving average, history, best weights, checkpoints.

In the order in which `fit` lists them: EMACallback, Keras' own, HistoryCallback, BestWeightsCallback, those of the
user, CheckpointCallback.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from rnnsent.data.batching import Batches
from rnnsent.engine.gradients import inner_optimizer, is_finite, norms_of, reset_norms
from rnnsent.errors import TrainingError, count
from rnnsent.evaluation import plots
from rnnsent.models.weights import set_weights, weights_of
from rnnsent.runs.directory import CURVES, HISTORY, MODEL, WEIGHTS, Run, arrays_bytes
from rnnsent.runs.schemas import Epoch, to_dict
from rnnsent.signals import DeferredSignals
from rnnsent.training.checkpoint import Checkpoint, CheckpointFolder, Interval, first_not_finite
from rnnsent.training.keras_state import best_weights, capture, enter_epoch, metric_values, synchronize

logger = logging.getLogger(__name__)

PLOT_OVERHEAD = 0.005  # share of the time that drawing the curves may take

COUNTERS = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter")  # of Keras' callbacks


class EMACallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Puts the moving average into the model for validation and saving.

    Keras' own SwapEMAWeights swaps by adding and subtracting, which changes the last bits of the weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self._trained: list[NDArray[Any]] | None = None

    def on_test_begin(self, logs: Any = None) -> None:
        averages = inner_optimizer(self.model.optimizer)._model_variables_moving_average
        weights = self.model.trainable_variables
        self._trained = [np.array(ops.convert_to_numpy(weight)) for weight in weights]
        for weight, average in zip(weights, averages, strict=True):
            # A copy: JAX gives the weights' memory away in each step, and the average must not go with it.
            weight.assign(np.array(ops.convert_to_numpy(average)))

    def restore_trained(self) -> None:
        """Put the trained weights back."""
        if self._trained is not None:
            for weight, value in zip(self.model.trainable_variables, self._trained, strict=True):
                weight.assign(value)
            self._trained = None


class StepCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Base of callbacks that look at single steps: knows the epoch, and which steps a checkpoint covers.

    Args:
        begin: where training is resumed.
    """

    def __init__(self, begin: Checkpoint | None) -> None:
        super().__init__()
        self.begin, self.epoch = begin, 0 if begin is None else begin.epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def is_covered(self, step: int) -> bool:
        """Return whether a step of this epoch, from 1, was trained before the checkpoint."""
        return self.begin is not None and self.begin.covers(self.epoch, step)


class FiniteCallback(StepCallback):
    """Stops a training whose loss, gradient or weights are NaN or infinite, and says what to change.

    Args:
        train: the batches, to name the one that did it.
        advice: what to change.
        begin: see StepCallback.
    """

    def __init__(self, train: Batches, advice: str, begin: Checkpoint | None) -> None:
        super().__init__(begin)
        self._train, self._advice = train, advice

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch)
        if not self.is_covered(1):
            reset_norms(self.model.optimizer)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look at loss and gradient: the highest learning rate, 1e6, times a finite gradient leaves finite weights."""
        step = batch + 1
        if self.is_covered(step):
            return
        self.require(math.isfinite(float(logs["loss"])), f"the loss became {float(logs['loss'])}", step)
        synchronize(self.model)
        norms = norms_of(self.model.optimizer)
        self.require(is_finite(norms), f"the norm of the gradient became {norms.largest}", step)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        loss = float(logs.get("val_loss", 0.0))
        self.require(math.isfinite(loss), f"the validation loss became {loss}", len(self._train))
        overflows = len(self._train) - norms_of(self.model.optimizer).steps
        if overflows:
            scale = float(ops.convert_to_numpy(self.model.optimizer.dynamic_scale))
            logger.warning(
                "epoch %d: the gradients of %s overflowed in float16 and were skipped; the loss scale is now %g",
                epoch + 1, count(overflows, "step"), scale,
            )  # fmt: skip

    def require_arrays(self, arrays: Mapping[str, NDArray[Any]], step: int) -> None:
        """Refuse a state from which training could never continue: what an optimizer remembers can overflow alone."""
        name = first_not_finite(arrays)
        self.require(name is None, f"{(name or '').removeprefix('model/')} is no longer finite", step)

    def require(self, condition: bool, what: str, step: int) -> None:
        """Raise a TrainingError that names the step and its batch, unless `condition` holds."""
        if condition:
            return
        index = self._train.order(self.epoch)[step - 1]
        numbers = ", ".join(map(str, index[:5].tolist())) + (", …" if len(index) > 5 else "")
        place = f"epoch {self.epoch + 1}, step {step} (a batch of {count(len(index), 'text')}: {numbers})"
        raise TrainingError(f"{what} in {place}: {self._advice}")


class HistoryCallback(StepCallback):
    """Measures steps and epochs, completes their logs for the callbacks after it, writes history.csv and the curves.

    The logs of a step get `texts`, `tokens` and `seconds` of the epoch so far; those of an epoch all columns of
    history.csv. The curves are drawn after the first epoch, at the end, and in between as `PLOT_OVERHEAD` allows.

    Args:
        run: where to write; None: nowhere.
        train: the batches of an epoch.
        title: above the curves.
        started: `time.perf_counter()` when the experiment began.
        begin: see StepCallback.
    """

    def __init__(self, run: Run | None, train: Batches, title: str, started: float, begin: Checkpoint | None) -> None:
        super().__init__(begin)
        self._run, self.train, self._title, self.started = run, train, title, started
        self.history: list[Epoch] = [] if begin is None else list(begin.history)
        self.seconds = 0.0
        self._interval, self._drawn, self._drawable = Interval(0.0, PLOT_OVERHEAD), 0, True
        self._learning_rate = math.nan
        self._interval.restart()

    @property
    def steps(self) -> int:
        """How many batches an epoch has."""
        return len(self.train)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch)
        index = self.train.order(epoch)
        self._texts = np.cumsum([len(batch) for batch in index])
        self._tokens = np.cumsum([int(self.train.split.lengths[batch].sum()) for batch in index])
        self._began, self.seconds = time.perf_counter(), 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.is_covered(batch + 1):
            assert self.begin is not None
            self._began = time.perf_counter() - self.begin.seconds
        self.seconds = time.perf_counter() - self._began
        logs |= {"texts": int(self._texts[batch]), "tokens": int(self._tokens[batch]), "seconds": self.seconds}

    def on_test_begin(self, logs: Any = None) -> None:
        """Note the learning rate: at the end of the epoch a plateau may have lowered it for the next one."""
        self._learning_rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        norms = norms_of(self.model.optimizer)
        logs |= {
            "seconds": self.seconds,
            "learning_rate": self._learning_rate,
            "tokens_per_second": int(self._tokens[-1]) / self.seconds,
            "elapsed": time.perf_counter() - self.started,
            "gradient_norm": norms.mean,
            "largest_gradient_norm": norms.largest,
        }
        names = [name for name in Epoch.__dataclass_fields__ if name != "epoch"]
        self.history.append(Epoch(epoch=epoch + 1, **{name: float(logs.get(name, math.nan)) for name in names}))
        self.write()

    def write(self) -> None:
        """Write history.csv, and the curves if it is time."""
        if self._run is None:
            return
        with DeferredSignals():
            rows = [",".join(Epoch.__dataclass_fields__), *map(_row, self.history)]
            self._run.write(HISTORY, "\n".join(rows) + "\n")
        if self._interval.is_due(1):
            self.draw()

    def draw(self, best_epoch: int | None = None) -> None:
        """Draw the curves, unless they show all epochs already, or could not be drawn."""
        if self._run is None or not self._drawable or (self._drawn == len(self.history) and best_epoch is None):
            return
        start_time = time.perf_counter()
        with DeferredSignals():
            draw = partial(plots.curves, self.history, self._title, best_epoch)
            self._drawable = plots.write_plot(self._run, CURVES, draw)
        self._drawn = len(self.history)
        self._interval.restart(time.perf_counter() - start_time)


class BestWeightsCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the weights of the best epoch, the earlier one of two that are equal: weights.safetensors, model.keras.

    Args:
        run: where to write.
        plain: the same network in stock Keras, uncompiled and in float32; it becomes model.keras.
        monitor: as in the config.
        history: comes before this one, and knows where training is resumed.
    """

    def __init__(self, run: Run, plain: keras.Model, monitor: str, history: HistoryCallback) -> None:
        super().__init__()
        begin = history.begin
        self._run, self.plain, self._monitor, self._history = run, plain, monitor, history
        self.best_epoch = None if begin is None else begin.best_epoch
        self.weights: list[NDArray[Any]] = []
        if begin is not None and begin.best_epoch is not None:
            weights = best_weights(begin)
            self.weights = list(weights.values())
            self._write(weights)

    @property
    def best(self) -> Epoch | None:
        """The best epoch so far."""
        return None if self.best_epoch is None else self._history.history[self.best_epoch - 1]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        result = self._history.history[-1]
        better = self.best is None or self._score(result) > self._score(self.best)
        logger.info("%s", epoch_line(result, self.params["epochs"], better, f1=self._monitor == "val_f1"))
        if better:
            self.best_epoch, self.weights = result.epoch, self.model.get_weights()
            self._write(weights_of(self.model))

    def _score(self, epoch: Epoch) -> float:
        value = float(getattr(epoch, self._monitor))
        return -value if self._monitor == "val_loss" else value

    def _write(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        set_weights(self.plain, weights)
        with DeferredSignals():
            self._run.write(WEIGHTS, arrays_bytes(weights))
            with self._run.writing(MODEL) as temporary:
                self.plain.save(temporary)


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """The callbacks whose state a checkpoint holds."""

    folder: CheckpointFolder  # where checkpoints go
    # always there
    history: HistoryCallback
    finite: FiniteCallback
    best: BestWeightsCallback | None = None  # unless there is no validation
    ema: EMACallback | None = None  # where a moving average is validated
    # EarlyStopping and ReduceLROnPlateau, by name
    counting: Mapping[str, keras.callbacks.Callback] = field(default_factory=dict)

    def before(self) -> list[keras.callbacks.Callback]:
        """Return the callbacks in the order in which they come before those of the user."""
        first = [] if self.ema is None else [self.ema]
        last = [] if self.best is None else [self.best]
        return [*first, *self.counting.values(), self.finite, self.history, *last]

    def counters(self) -> dict[str, dict[str, float]]:
        """Return what Keras' callbacks remember of earlier epochs."""
        rows = {name: {key: getattr(counter, key, None) for key in COUNTERS} for name, counter in self.counting.items()}
        return {
            name: {key: value if isinstance(value, int) else float(value) for key, value in counts.items()
                   if value is not None}
            for name, counts in rows.items()
        }  # fmt: skip


class CheckpointCallback(StepCallback):
    """Writes checkpoints, and lets Ctrl-C and SIGTERM take effect when a step is complete. Comes last.

    Args:
        tracked: the folder of the checkpoints, and the callbacks whose state they hold.
        signals: held until a step is complete.
        every: seconds (float) or steps (int) between two checkpoints within an epoch; None: only after epochs.
        begin: see StepCallback.
    """

    def __init__(
        self,
        tracked: Tracked,
        signals: DeferredSignals,
        every: float | int | None,
        begin: Checkpoint | None,
    ) -> None:
        super().__init__(begin)
        self._tracked, self._signals, self._interval = tracked, signals, Interval(every)
        self._metrics: list[NDArray[Any]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        for name, counters in {} if self.begin is None else self.begin.counters.items():
            if name in self._tracked.counting:
                vars(self._tracked.counting[name]).update(counters)
        self._interval.restart()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch)
        if self.begin is not None and self.is_covered(1):
            enter_epoch(self.model, self.begin)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        step = batch + 1
        if not self.is_covered(step) and (self._signals.held or self._interval.is_due(step)):
            self._write(self.epoch, step)
        self._signals.deliver()

    def on_test_begin(self, logs: Any = None) -> None:
        """Note what the metrics had summed up, before validation begins to use them."""
        self._metrics = metric_values(self.model)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Let signals take effect; the checkpoint is of the moment before validation."""
        if self._signals.held:
            self._restore_trained()
            self._write(self.epoch, self._tracked.history.steps)
        self._signals.deliver()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._restore_trained()
        self._metrics = []
        self._write(epoch + 1, 0)

    def _restore_trained(self) -> None:
        if self._tracked.ema is not None:
            self._tracked.ema.restore_trained()

    def _write(self, epoch: int, step: int) -> None:
        start_time = time.perf_counter()
        history, best = self._tracked.history, self._tracked.best
        arrays = capture(self.model, () if best is None else best.weights, self._metrics)
        self._tracked.finite.require_arrays(arrays, step or history.steps)
        checkpoint = Checkpoint(
            training=self._tracked.folder.training,
            epoch=epoch,
            step=step,
            history=list(history.history),
            best_epoch=None if best is None else best.best_epoch,
            counters=self._tracked.counters(),
            seconds=history.seconds,
            elapsed=time.perf_counter() - history.started,
            arrays=arrays,
        )
        with DeferredSignals():
            self._tracked.folder.write(checkpoint)
        self._interval.restart(time.perf_counter() - start_time)


def epoch_line(epoch: Epoch, epochs: int, best: bool, *, f1: bool = False) -> str:
    """Return one epoch in at most 80 columns, with F1 or accuracy; a star marks the best one so far."""
    score = f"val_f1 {epoch.val_f1:.4f}" if f1 else f"val_acc {epoch.val_accuracy:.4f}"
    return (
        f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs} {epoch.seconds:6.1f} s  "
        f"loss {_six(epoch.loss)} acc {epoch.accuracy:.4f}  "
        f"val_loss {_six(epoch.val_loss)} {score}{' *' if best else ''}"
    )


def _six(loss: float) -> str:
    """Write a loss in six characters."""
    return f"{loss:.4f}" if loss < 9.99995 else f"{loss:#.5g}"


def _row(epoch: Epoch) -> str:
    values = to_dict(epoch).values()
    return ",".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in values)
