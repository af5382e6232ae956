"""Compile and fit: one model, its batches, the facts of each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from rnnsent.batches import Batches
from rnnsent.config import ScheduleConfig, TrainingConfig
from rnnsent.engine.feed import keras_batches
from rnnsent.engine.gradients import summed_by_word
from rnnsent.engine.kernel import flushed_denormals
from rnnsent.errors import ConfigError, DataError, Problem, TrainingError
from rnnsent.interruption import HeldSignals
from rnnsent.observers import EpochFacts, Observer, StepFacts


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """All epochs that were run, and which was best by validation."""

    history: tuple[EpochFacts, ...]
    best: EpochFacts
    weights: list[NDArray[Any]]  # of the best epoch, in the order of model.get_weights()


def fit(
    model: keras.Model,
    train: Batches,
    validation: Batches,
    config: TrainingConfig,
    *,
    label_names: Sequence[str] = ("negative", "positive"),
    observers: Sequence[Observer] = (),
    started: float | None = None,
) -> TrainingResult:
    """Train `model` and return its history; the model ends with the weights of its best epoch.

    Args:
        model: from `build_model`, with a head.
        train, validation: batches of two different splits.
        config: the `training` section.
        label_names: what class weights refer to.
        observers: told of every step and epoch.
        started: `time.perf_counter()` when the experiment began; None: now.

    Raises:
        TrainingError: if the loss is no longer a number.
        ConfigError: if class weights name labels that do not exist.
        KeyboardInterrupt, Interrupted: after Ctrl-C or SIGTERM, when the step in progress is over.
    """
    steps = len(train)
    averaged = _AveragedWeights() if config.ema is not None else None
    recorder = _Recorder(train, config, observers, averaged, time.perf_counter() if started is None else started)
    with HeldSignals("stopping when this step is over; once more stops at once") as signals, flushed_denormals():
        model.compile(
            optimizer=_optimizer(config, steps),
            loss="binary_crossentropy" if len(label_names) == 2 else "categorical_crossentropy",
            metrics=[_accuracy(len(label_names))],
            jit_compile="auto",
        )
        model.fit(
            keras_batches(train, lambda: recorder.epoch),
            validation_data=keras_batches(validation),
            epochs=config.epochs,
            class_weight=class_weights(config, train.split.labels, label_names),
            callbacks=[*([averaged] if averaged else []), *_callbacks(config), recorder, _BetweenSteps(signals)],
            verbose=0,
            shuffle=False,  # the batches come in their own order
        )
    model.set_weights(recorder.best_weights)
    return TrainingResult(tuple(recorder.history), recorder.best, recorder.best_weights)


def _accuracy(labels: int) -> Any:
    """Return the share of reviews whose most probable label is that of the target, which may be soft."""
    if labels > 2:
        return keras.metrics.CategoricalAccuracy(name="accuracy")
    return keras.metrics.MeanMetricWrapper(_agreement, name="accuracy")


def _agreement(targets: Any, probabilities: Any) -> Any:
    return ops.cast(ops.equal(targets > 0.5, probabilities > 0.5), "float32")[:, 0]


def class_weights(
    config: TrainingConfig, labels: NDArray[np.int64], label_names: Sequence[str]
) -> dict[int, float] | None:
    """Return the weight of each label in the loss; balanced ones give all labels the same total."""
    weights = config.class_weights
    if weights is None:
        return None
    if weights == "balanced":
        counts = np.bincount(labels, minlength=len(label_names))
        if not counts.all():
            raise DataError(f"no training review is labeled {label_names[int(np.argmin(counts))]}")
        return {label: len(labels) / (len(counts) * int(count)) for label, count in enumerate(counts)}
    if set(weights) != set(label_names):
        rule = f"must name every label once: {', '.join(label_names)}"
        raise ConfigError([Problem("", "training.class_weights", rule, ", ".join(weights))])
    return {label: weights[name] for label, name in enumerate(label_names)}


class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A rate that rises linearly over the warm-up and then decays to a fraction of its peak at the last step."""

    def __init__(self, peak: float, schedule: ScheduleConfig, steps: int) -> None:
        self.peak, self.schedule, self.steps = peak, schedule, steps

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step, counted from 0."""
        warmup, final = self.schedule.warmup_steps, self.schedule.final_fraction
        step = ops.cast(step, "float32")
        done = ops.clip((step - warmup) / max(self.steps - warmup, 1), 0.0, 1.0)
        factor = {
            "constant": lambda: ops.ones_like(done),
            "linear": lambda: 1.0 - (1.0 - final) * done,
            "cosine": lambda: final + (1.0 - final) * 0.5 * (1.0 + ops.cos(math.pi * done)),
            "exponential": lambda: ops.exp(math.log(final) * done),
        }[self.schedule.kind]()
        return self.peak * factor * ops.clip((step + 1.0) / max(warmup, 1), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, as Keras wants of every schedule."""
        return {"peak": self.peak, "schedule": self.schedule.model_dump(), "steps": self.steps}


def _optimizer(config: TrainingConfig, steps_per_epoch: int) -> Any:
    schedule = config.schedule
    rate: Any = config.learning_rate
    if schedule.kind not in ("constant", "plateau") or schedule.warmup_steps:
        rate = WarmupDecay(rate, schedule, steps_per_epoch * config.epochs)
    arguments: dict[str, Any] = {"learning_rate": rate, "global_clipnorm": config.clip_norm}
    if config.weight_decay or config.optimizer == "adamw":  # whose own default is not 0
        arguments["weight_decay"] = config.weight_decay
    if config.ema is not None:
        arguments |= {"use_ema": True, "ema_momentum": config.ema}
    if config.optimizer == "sgd":
        arguments |= {"momentum": 0.9, "nesterov": True}
    classes: dict[str, type] = {
        "rmsprop": keras.optimizers.RMSprop,
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "nadam": keras.optimizers.Nadam,
        "adagrad": keras.optimizers.Adagrad,
        "sgd": keras.optimizers.SGD,
    }
    base = classes[config.optimizer]
    if config.clip_norm is not None:
        base = summed_by_word(base)
    optimizer = base(**arguments)
    if config.precision == "mixed_float16":
        # Small gradients are 0 in float16. Keras does this by itself only where the whole model is of that precision.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def _callbacks(config: TrainingConfig) -> list[keras.callbacks.Callback]:
    mode = "max" if config.monitor == "val_accuracy" else "min"
    callbacks: list[keras.callbacks.Callback] = []
    if config.schedule.kind == "plateau":
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor=config.monitor,
                mode=mode,
                factor=config.schedule.factor,
                patience=config.schedule.patience,
                min_lr=config.learning_rate * config.schedule.final_fraction,
                min_delta=0.0,
            )
        )
    if config.early_stopping is not None:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor=config.monitor,
                mode=mode,
                patience=config.early_stopping.patience,
                min_delta=config.early_stopping.min_delta,
            )
        )
    return callbacks


class _AveragedWeights(keras.callbacks.Callback):  # type: ignore[misc]
    """Puts the moving average into the model for validation and saving, and the trained weights back after.

    Keras' own SwapEMAWeights swaps by adding and subtracting, which changes the last bits of the weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self._trained: list[NDArray[Any]] | None = None

    def on_test_begin(self, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # mixed precision wraps it
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


class _BetweenSteps(keras.callbacks.Callback):  # type: ignore[misc]
    """Lets Ctrl-C and SIGTERM take effect when a step is over."""

    def __init__(self, signals: HeldSignals) -> None:
        super().__init__()
        self._signals = signals

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._signals.deliver()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._signals.deliver()


class _Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Measures epochs, remembers the best weights, tells the observers."""

    def __init__(
        self,
        train: Batches,
        config: TrainingConfig,
        observers: Sequence[Observer],
        averaged: _AveragedWeights | None,
        started: float,
    ) -> None:
        super().__init__()
        self.history: list[EpochFacts] = []
        self._train, self._config, self._observers, self._averaged = train, config, observers, averaged
        self._experiment_started = started
        self.epoch = 0
        self._best: EpochFacts | None = None
        self.best_weights: list[NDArray[Any]] = []

    @property
    def best(self) -> EpochFacts:
        """The best epoch so far, the earlier one where two are equal."""
        if self._best is None:
            raise TrainingError("not one epoch was trained")
        return self._best

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        index = self._train.order(epoch)
        self._sizes = np.cumsum([len(batch) for batch in index])
        self._tokens = np.cumsum([int(self._train.split.lengths[batch].sum()) for batch in index])
        self.epoch, self._trained_in = epoch, 0.0
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = float(logs["loss"])
        self._require_finite(loss, "loss", batch + 1)
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
        for observer in self._observers:
            observer.on_step(facts)

    def on_test_begin(self, logs: Any = None) -> None:
        # At the end of the epoch a plateau may have lowered it already, for the next one.
        self._learning_rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # The last step of an epoch can spoil the weights when its own loss was still a number.
        self._require_finite(float(logs["val_loss"]), "validation loss", len(self._sizes))
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
        )
        self.history.append(facts)
        best = self._best is None or self._score(facts) > self._score(self._best)
        if best:
            self._best, self.best_weights = facts, self.model.get_weights()
        for observer in self._observers:
            observer.on_epoch(facts, best, self.model)
        if self._averaged is not None:
            self._averaged.put_back()
        for observer in self._observers:
            observer.on_state(facts.epoch, self.model)

    def _require_finite(self, loss: float, name: str, step: int) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"the {name} became {loss} in epoch {self.epoch + 1}, step {step}: lower training.learning_rate "
                f"(now {self._config.learning_rate:g}) or set training.clip_norm (now {self._config.clip_norm})"
            )

    def _score(self, facts: EpochFacts) -> float:
        return facts.val_accuracy if self._config.monitor == "val_accuracy" else -facts.val_loss
