"""A language model in training: its steps, its epochs, and its state in the cache, from which it goes on exactly."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any, NoReturn

import keras
import numpy as np
from numpy.typing import NDArray

from rnnsent.config import LanguageModelConfig
from rnnsent.data.batching import Batches
from rnnsent.data.cache import Arrays, cache_root, cached_arrays, forget, stored_arrays, stored_facts
from rnnsent.engine.gradients import forget_norms, forgotten, norms_of
from rnnsent.engine.keras_data import keras_batches
from rnnsent.engine.kernel import flushed_denormals
from rnnsent.errors import Interrupted, RunError, TrainingError
from rnnsent.files import atomic_path
from rnnsent.runs.numerics import first_not_finite, shown_batch
from rnnsent.signals import HeldSignals
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training.callbacks import broken_by_step
from rnnsent.training.checkpoint import Checkpoint, Interval
from rnnsent.training.environment import Surroundings
from rnnsent.training.keras_state import capture, enter_epoch, restore

logger = logging.getLogger(__name__)

FORMAT = 1  # of the state within an epoch


class Progress:
    """What the cache keeps of a language model until it is complete: the state after the last epoch, and one since.

    The facts of a state are `loss`, that of the last whole epoch; `seconds`; `epochs`, what is known of each whole one;
    `made_with`, the surroundings that it was trained in, of which None are unknown.

    Args:
        key: of the complete model in the cache.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._within = cache_root() / f"{key}-within" / "state.npz"
        self._told = False  # that nothing can be written
        self.kept: Checkpoint | None = None

    def newest(self, epochs: int) -> Checkpoint | None:
        """Return the state that came furthest; damaged ones are named in the log.

        Args:
            epochs: how many there are to be.
        """
        self.kept = self._newest(epochs)
        return self.kept

    def _newest(self, epochs: int) -> Checkpoint | None:
        within = self._read_within()
        for epoch in range(epochs, 0, -1):
            if within is not None and within.epoch >= epoch:
                return within
            found = self._read_epoch(epoch)
            if found is not None:
                return found
        return within

    def keep(self, state: Checkpoint) -> None:
        """Keep a state within an epoch, all or nothing; where nothing can be written, the log says so."""
        facts = {"format": FORMAT, "key": self._key, "epoch": state.epoch, "step": state.step, **state.facts}
        try:
            with atomic_path(self._within) as temporary:
                checkpoints.save(temporary, facts, state.arrays)
        except OSError as error:
            if not self._told:
                logger.warning("the state of the language model is not kept: %s: %s", self._within, error.strerror)
            self._told = True
        else:
            self.kept = state

    def keep_epoch(self, state: Checkpoint) -> None:
        """Keep the state after an epoch, and forget those before."""
        making = {name: state.facts[name] for name in ("epochs", "made_with")}
        content = packed(state.arrays, state.facts["loss"], state.facts["seconds"])
        cached_arrays(self._epoch_key(state.epoch), lambda: content, lambda: making)
        if (cache_root() / self._epoch_key(state.epoch)).exists():
            self.kept = state
            forget(self._epoch_key(state.epoch - 1))
            forget(self._within.parent.name)

    def clear(self, epochs: int) -> None:
        """Forget all states: the model is complete."""
        for epoch in range(1, epochs + 1):
            forget(self._epoch_key(epoch))
        forget(self._within.parent.name)

    @property
    def place(self) -> str | None:
        """The last state that was kept, for people: its file or folder, and where it stands."""
        if self.kept is None:
            return None
        path = self._within if self.kept.step else cache_root() / self._epoch_key(self.kept.epoch)
        return f"{path}, {self.kept.place}"

    def _read_within(self) -> Checkpoint | None:
        if not self._within.exists():
            return None
        try:
            facts, arrays = checkpoints.load(self._within)
            epoch, step = facts.pop("epoch", None), facts.pop("step", None)
            own = facts.pop("format", None) == FORMAT and facts.pop("key", None) == self._key
            if not own or not all(isinstance(each, int) and each >= 0 for each in (epoch, step)):
                raise RunError(f"{self._within}: is not of this language model, or of another version of rnnsent")
        except RunError as error:
            logger.warning("%s; an older state is looked for", error)
            return None
        return Checkpoint(epoch, step, facts, arrays)

    def _read_epoch(self, epoch: int) -> Checkpoint | None:
        key = self._epoch_key(epoch)
        stored = stored_arrays(key)
        if stored is None:
            return None
        arrays, loss, seconds = unpacked(stored)
        wrong = first_not_finite(arrays)
        if wrong is not None:
            logger.warning("%s: %s holds NaN or infinity; an older state is looked for", cache_root() / key, wrong)
            return None
        return Checkpoint(epoch, 0, {"loss": loss, "seconds": seconds, **known(key)}, arrays)

    def _epoch_key(self, epoch: int) -> str:
        return f"{self._key}-after-{epoch}"


class Pretraining:
    """Trains a language model on from the newest state that the cache has of it.

    Args:
        model: whose loss is its output, see `Foretelling`.
        optimizer: whose steps it takes.
        batches: of an epoch.
        asked: `model.language_model` of the config.
        every: see `Interval`.
        key: of the complete model in the cache.
        here: the surroundings.
        tell: told after each epoch.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: Any,
        batches: Batches,
        asked: LanguageModelConfig,
        every: float | int | None,
        key: str,
        here: Surroundings | None,
        tell: Callable[[str], None],
    ) -> None:
        self._model, self._optimizer, self._batches, self._asked = model, optimizer, batches, asked
        self._every, self._here, self._tell = every, here, tell
        self.progress = Progress(key)

    def run(self) -> dict[str, Any]:
        """Train all epochs that are not over, and return the facts of the last state.

        Raises:
            TrainingError: if loss, gradient or a weight is no longer a number; names step, batch and last good state.
            Interrupted: after a signal, when the step in progress is over and its state kept.
        """
        with (
            HeldSignals("stopping when this step is over; once more stops at once") as signals,
            flushed_denormals(),
            forgotten(),
        ):
            self._model.compile(optimizer=self._optimizer, loss=_surprise, jit_compile="auto")
            self._model.optimizer.build(self._model.trainable_variables)  # else the first step is traced twice
            begin = self._begin()
            steps = _Steps(self, begin, signals, Interval(self._every))
            while steps.epoch < self._asked.epochs:
                self._train_epoch(steps)
                self._tell(
                    f"language model: epoch {steps.epoch} of {self._asked.epochs}, loss {steps.facts['loss']:.4f}, "
                    f"{steps.facts['seconds']:.0f} s"
                )
        return steps.facts

    def _begin(self) -> Checkpoint:
        found = self.progress.newest(self._asked.epochs)
        if found is None:
            return Checkpoint(0, 0, {"loss": math.nan, "seconds": 0.0, "epochs": [], "made_with": [self._here]}, {})
        restore(self._model, found, self._batches.batch(self._batches.order(0)[0]))
        makers = found.facts["made_with"]
        self._tell(f"language model: goes on {found.place}{made_elsewhere(makers, self._here)}")
        if self._here not in makers and found.epoch < self._asked.epochs:
            found.facts["made_with"] = [*makers, self._here]
        return found

    def _train_epoch(self, steps: _Steps) -> None:
        try:
            self._model.fit(
                keras_batches(self._batches, lambda: steps.epoch),
                epochs=steps.epoch + 1,
                initial_epoch=steps.epoch,
                callbacks=[steps],
                verbose=0,
                shuffle=False,  # the batches come in their own order
            )
        except (KeyboardInterrupt, Interrupted) as interruption:
            code = interruption.exit_code if isinstance(interruption, Interrupted) else 130
            kept = self.progress.kept
            if kept is None:
                raise Interrupted("stopped in the language model: nothing of it is kept", code) from None
            again = "the cache keeps its state: the same command, or any of the same network and texts, goes on there"
            raise Interrupted(f"stopped in the language model {kept.place}; {again}", code) from None
        self.progress.keep_epoch(steps.state(0))

    def require_sound(self, loss: float, epoch: int, step: int) -> None:
        """Require that a step left numbers; errors as `fail`."""
        rate = self._asked.learning_rate
        wrong = broken_by_step(self._model, rate) if math.isfinite(loss) else f"the loss became {loss}"
        if wrong is not None:
            self.fail(wrong, epoch, step)

    def require_numbers(self, arrays: Arrays, epoch: int, step: int) -> None:
        """Require a state from which training can go on: what an optimizer remembers can overflow alone."""
        name = first_not_finite(arrays)
        if name is not None:
            epoch, step = (epoch, step) if step else (epoch - 1, len(self._batches))
            self.fail(f"{name.removeprefix('model/')} is no longer finite", epoch, step)

    def fail(self, what: str, epoch: int, step: int) -> NoReturn:
        """Raise that something is no longer a number, and say what would be right."""
        batch = shown_batch(self._batches.order(epoch)[step - 1], "text")
        place = self.progress.place
        raise TrainingError(
            f"{what} in epoch {epoch + 1} of {self._asked.epochs} of the language model, step {step} ({batch}): lower "
            f"model.language_model.learning_rate (now {self._asked.learning_rate:g}).\n  "
            + ("No state of it was kept before" if place is None else f"The last good state is {place}")
        )


class _Steps(keras.callbacks.Callback):  # type: ignore[misc]
    """Looks at each step, keeps the state, and lets signals take effect between two steps."""

    def __init__(self, training: Pretraining, begin: Checkpoint, signals: HeldSignals, interval: Interval) -> None:
        super().__init__()
        self._training, self._begin, self._signals, self._interval = training, begin, signals, interval
        self.epoch, self.facts = begin.epoch, dict(begin.facts)
        interval.put_off(0.0)

    def state(self, step: int) -> Checkpoint:
        """Return the state after so many steps of the epoch; errors as `Pretraining.fail`."""
        arrays = capture(self.model, (), ())
        self._training.require_numbers(arrays, self.epoch, step)
        return Checkpoint(self.epoch, step, dict(self.facts), arrays)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Enter the epoch, or go on in it."""
        if self._skips(1):
            enter_epoch(self.model, self._begin)
        else:
            forget_norms(self.model.optimizer)
        self._before, self._started = self.facts["seconds"], time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Require that the step left numbers; keep the state if it is time; then let signals take effect."""
        step = batch + 1
        if not self._skips(step):
            self._training.require_sound(float(logs["loss"]), self.epoch, step)
            self._count_seconds()
            if self._signals.held or self._interval.is_over(step):
                self._keep(step)
        self._signals.deliver()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note what the epoch did."""
        self._count_seconds()
        norms = norms_of(self.model.optimizer)
        loss = float(logs["loss"])
        facts = {"epoch": epoch + 1, "loss": loss, "gradient_norm": norms.mean if norms.steps else None,
                 "largest_gradient_norm": norms.largest}  # fmt: skip
        self.facts |= {"loss": loss, "epochs": [*self.facts["epochs"], facts]}
        self.epoch = epoch + 1

    def _skips(self, step: int) -> bool:
        return self.epoch == self._begin.epoch and step <= self._begin.step

    def _count_seconds(self) -> None:
        self.facts["seconds"] = self._before + time.perf_counter() - self._started

    def _keep(self, step: int) -> None:
        started = time.perf_counter()
        self._training.progress.keep(self.state(step))
        self._interval.put_off(time.perf_counter() - started)


def packed(arrays: Arrays, loss: float, seconds: float) -> Arrays:
    """Return what the cache keeps: names without slashes, as they become names of files."""
    named = {name.replace("/", "~"): array for name, array in arrays.items()}
    return {"_loss": np.array([loss]), "_seconds": np.array([seconds]), **named}


def unpacked(stored: Arrays) -> tuple[dict[str, NDArray[Any]], float, float]:
    """Return arrays, loss and seconds of what `packed` made."""
    arrays = {name.replace("~", "/"): np.array(array) for name, array in stored.items()}
    return arrays, float(arrays.pop("_loss")[0]), float(arrays.pop("_seconds")[0])


def known(key: str) -> dict[str, Any]:
    """Return what is known of the making of an entry of the cache; older versions kept nothing of it."""
    return stored_facts(key) or {"epochs": [], "made_with": [None]}


def made_elsewhere(makers: list[Surroundings | None], here: Surroundings | None) -> str:
    """Return ", made with tensorflow 2.19.0 (here 2.21.0)" where others than these made it; of unknown ones nothing."""
    if here is None:
        return ""
    told = []
    for maker in makers:
        for name, value in (maker or {}).items():
            line = f"{name} {value} (here {here.get(name, 'none')})"
            if here.get(name) != value and line not in told:
                told.append(line)
    return f", made with {', '.join(told)}" if told else ""


def _surprise(targets: Any, surprise: Any) -> Any:
    """Return what the model gives: it is the loss itself."""
    return surprise
