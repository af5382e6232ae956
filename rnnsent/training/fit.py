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

from rnnsent.config import ScheduleConfig, TrainingConfig
from rnnsent.data.batching import Batches
from rnnsent.engine.gradients import forgotten, summed_and_measured
from rnnsent.engine.keras_data import keras_batches
from rnnsent.engine.kernel import flushed_denormals
from rnnsent.errors import ConfigError, DataError, Problem, RunError, count
from rnnsent.signals import HeldSignals
from rnnsent.training.callbacks import AveragedWeights, Recorder, StateKeeper
from rnnsent.training.checkpoint import Checkpoint, is_over
from rnnsent.training.keras_state import restore
from rnnsent.training.observers import EpochFacts, Observer


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
    callbacks: Sequence[keras.callbacks.Callback] = (),
    started: float | None = None,
    begin: Checkpoint | None = None,
) -> TrainingResult:
    """Train `model` and return its history; the model ends with the weights of its best epoch.

    With `begin`, the state that an observer was handed in an earlier training of the same model on the same batches,
    the weights, bit for bit, and the history are those of a training that was never stopped.

    Args:
        model: from `build_model`, with a head.
        train, validation: batches of two different splits.
        config: the `training` section.
        label_names: what class weights refer to.
        observers: told of every step and epoch.
        callbacks: called with all facts of an epoch in its logs.
        started: `time.perf_counter()` when the experiment began; None: now.
        begin: where to go on; None: at the beginning.

    Raises:
        TrainingError: if the loss is no longer a number.
        RunError: if `begin` is of another model, or after more steps than an epoch has.
        ConfigError: if class weights name labels that do not exist.
        KeyboardInterrupt, Interrupted: after Ctrl-C or SIGTERM, when the step in progress is over.
    """
    averaged = AveragedWeights() if config.ema is not None else None
    started = time.perf_counter() if started is None else started
    if begin is not None and begin.step > len(train):
        there = f"which has {count(len(train), 'step')}"
        raise RunError(f"the checkpoint is after {count(begin.step, 'step')} of epoch {begin.epoch + 1}, {there}")
    recorder = Recorder(train, config, observers, averaged, started, begin)
    counting = _callbacks(config)
    with (
        HeldSignals("stopping when this step is over; once more stops at once") as signals,
        flushed_denormals(),
        forgotten(),
    ):
        # With weights, where reviews without a label are not to count.
        metrics = "weighted_metrics" if config.without_labels else "metrics"
        model.compile(
            optimizer=optimizer_of(config, len(train)),
            loss="binary_crossentropy" if len(label_names) == 2 else "categorical_crossentropy",
            **{metrics: [_accuracy(len(label_names))]},
            jit_compile="auto",
        )
        model.optimizer.build(model.trainable_variables)  # else TensorFlow traces the first step twice
        if begin is not None:
            restore(model, begin, train.batch(train.order(0)[0]))
            if not _moves(config.schedule):  # the checkpoint has the rate of then, which may have been changed since
                model.optimizer.learning_rate = config.learning_rate
            elif config.schedule.kind == "plateau":  # as often lowered as it was then
                changed = config.learning_rate / begin.facts["learning_rate"]
                model.optimizer.learning_rate = float(model.optimizer.learning_rate) * changed
            curve = begin.curve()
            for observer in observers:
                observer.on_past(recorder.history, curve)
        keeper = StateKeeper(recorder, averaged, counting, signals, observers, config.checkpoint_interval, begin)
        if begin is None or not is_over(begin, config):
            model.fit(
                keras_batches(train, lambda: recorder.epoch),
                validation_data=keras_batches(validation),
                epochs=config.epochs,
                initial_epoch=recorder.epoch,
                class_weight=class_weights(config, train.split.labels, label_names),
                callbacks=[*([averaged] if averaged else []), *counting.values(), recorder, *callbacks, keeper],
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
        return {label: len(labels) / (len(counts) * int(number)) for label, number in enumerate(counts)}
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


def _moves(schedule: ScheduleConfig) -> bool:
    """Return whether the learning rate is another one from step to step, or from epoch to epoch."""
    return schedule.kind != "constant" or schedule.warmup_steps > 0


def optimizer_of(config: TrainingConfig, steps_per_epoch: int) -> Any:
    """Return the optimizer that `config` describes, with its schedule, clipping, average and scaling of the loss."""
    schedule = config.schedule
    rate: Any = config.learning_rate
    if _moves(schedule) and (schedule.kind != "plateau" or schedule.warmup_steps):
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
    optimizer = summed_and_measured(classes[config.optimizer])(**arguments)
    if config.precision == "mixed_float16":
        # Small gradients are 0 in float16. Keras does this by itself only where the whole model is of that precision.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def _callbacks(config: TrainingConfig) -> dict[str, keras.callbacks.Callback]:
    """Return the callbacks that remember earlier epochs, by name."""
    mode = "max" if config.monitor == "val_accuracy" else "min"
    callbacks: dict[str, keras.callbacks.Callback] = {}
    if config.schedule.kind == "plateau":
        callbacks["plateau"] = keras.callbacks.ReduceLROnPlateau(
            monitor=config.monitor,
            mode=mode,
            factor=config.schedule.factor,
            patience=config.schedule.patience,
            min_lr=config.learning_rate * config.schedule.final_fraction,
            min_delta=0.0,
        )
    if config.early_stopping is not None:
        callbacks["early_stopping"] = keras.callbacks.EarlyStopping(
            monitor=config.monitor,
            mode=mode,
            patience=config.early_stopping.patience,
            min_delta=config.early_stopping.min_delta,
        )
    return callbacks
