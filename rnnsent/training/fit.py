"""Compile and fit: optimizer, schedule, loss, callbacks; the same for a network and for a language model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from rnnsent.config.sections import ScheduleConfig, Targets, TrainingConfig
from rnnsent.data.batching import Batches
from rnnsent.engine.gradients import gradient_scope, measured_optimizer
from rnnsent.engine.keras_data import keras_batches
from rnnsent.engine.kernel import flushed_denormals
from rnnsent.errors import ConfigError, DataError, Problem, RunError, count
from rnnsent.signals import DeferredSignals
from rnnsent.training.callbacks import CheckpointCallback, Tracked
from rnnsent.training.keras_state import restore

STOPPING = "stopping when this step is complete; once more stops at once"
RANKED_WEIGHT = 3.0  # of the ranked probability score beside the cross-entropy
OPTIMIZERS = {
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "nadam": keras.optimizers.Nadam,
    "adagrad": keras.optimizers.Adagrad,
    "sgd": keras.optimizers.SGD,
}


@dataclass(frozen=True)
class FitData:
    """What a model is fitted on."""

    # batches; None: no validation
    train: Batches
    validation: Batches | None = None
    class_weight: dict[int, float] | None = None  # {label: its weight in the loss}; None: equal


def fit(
    model: keras.Model,
    data: FitData,
    config: TrainingConfig,
    tracked: Tracked,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Train a compiled `model` to the end of its last epoch; it keeps the weights of the last step.

    If `tracked` begins at a checkpoint, weights and history are, bit for bit, those of a training that was never
    stopped.

    Args:
        model: compiled, its optimizer built.
        data: what it is fitted on.
        config: the `training` section.
        tracked: the callbacks whose state is in the checkpoints.
        callbacks: of the user.

    Raises:
        TrainingError: if loss, gradient or a weight is no longer finite.
        RunError: if the checkpoint is of another network.
        KeyboardInterrupt, Interrupted: after Ctrl-C or SIGTERM, when the step in progress is complete and checkpointed.
    """
    begin, train = tracked.history.begin, data.train
    if begin is not None and begin.step > len(train):
        raise RunError(f"the checkpoint is {begin.position}, and an epoch has {count(len(train), 'step')}")
    with DeferredSignals(STOPPING) as signals, flushed_denormals(), gradient_scope():
        if begin is not None:
            restore(model, begin, train.batch(train.order(0)[0]))
            if begin.is_last(config):
                return
        checkpoint_callback = CheckpointCallback(tracked, signals, config.checkpoint_interval, begin)
        model.fit(
            keras_batches(train, lambda: tracked.history.epoch),
            validation_data=None if data.validation is None else keras_batches(data.validation),
            epochs=config.epochs,
            initial_epoch=tracked.history.epoch,
            class_weight=data.class_weight,
            callbacks=[*tracked.before(), *callbacks, checkpoint_callback],
            verbose=0,
            shuffle=False,  # the batches come in their own order
        )


def compile_model(
    model: keras.Model, config: TrainingConfig, labels: int, steps_per_epoch: int, targets: Targets = "classes"
) -> None:
    """Give a network its loss, its metrics and its optimizer.

    Args:
        model: from `models.builder`, with a head.
        config: the `training` section.
        labels: how many.
        steps_per_epoch: for schedules that span all epochs.
        targets: what the labels are.
    """
    # Weighted, so that texts without a label do not count.
    metrics = "weighted_metrics" if config.without_labels else "metrics"
    model.compile(
        optimizer=optimizer_for(config, steps_per_epoch),
        loss=_loss(labels, targets),
        **{metrics: [_accuracy(labels, targets), MacroF1(labels, targets)]},
        jit_compile="auto",
    )
    model.optimizer.build(model.trainable_variables)  # else TensorFlow traces the first step twice


def _loss(labels: int, targets: Targets) -> Any:
    if targets == "ordered":
        return ordered_loss
    return "binary_crossentropy" if labels == 2 or targets == "multi" else "categorical_crossentropy"


def ordered_loss(targets: Any, probabilities: Any) -> Any:
    """Return the cross-entropy plus the ranked probability score: a near label costs less than a far one, (batch,).

    The score is the squared earth mover's distance: L. Hou, C. Yu and D. Samaras, "Squared earth mover's distance-based
    loss for training deep neural networks", 2016. Both parts are lowest for the true probabilities.
    """
    gaps = ops.cumsum(probabilities, axis=-1) - ops.cumsum(targets, axis=-1)
    ranked = ops.sum(ops.square(gaps), axis=-1)
    return keras.losses.categorical_crossentropy(targets, probabilities) + RANKED_WEIGHT * ranked


def _accuracy(labels: int, kind: Targets) -> Any:
    """Return the share of texts whose most probable label is that of the target, which may be soft.

    Of several labels a text all have to be right.
    """
    if labels > 2 and kind != "multi":
        return keras.metrics.CategoricalAccuracy(name="accuracy")
    return keras.metrics.MeanMetricWrapper(_agreement, name="accuracy")


def _agreement(targets: Any, probabilities: Any) -> Any:
    return ops.cast(ops.all(ops.equal(targets > 0.5, probabilities > 0.5), axis=-1), "float32")


class MacroF1(keras.metrics.Metric):  # type: ignore[misc]
    """The mean F1 of the labels, those left out that no text has and none is predicted as; see `metrics.METRICS`."""

    def __init__(self, labels: int, targets: Targets = "classes") -> None:
        super().__init__(name="f1")
        self._labels, self._targets = labels, targets
        # of each label: texts of it that are predicted as it; texts of it plus texts predicted as it
        self._counts = self.add_variable(shape=(2, labels), initializer="zeros", name="counts")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count the texts of a batch, (batch, outputs); those of weight 0 are left out."""
        real, predicted = self._labels_of(y_true), self._labels_of(y_pred)
        if sample_weight is not None:
            kept = ops.reshape(ops.cast(sample_weight > 0, "float32"), (-1, 1))
            real, predicted = real * kept, predicted * kept
        counts = [ops.sum(real * predicted, axis=0), ops.sum(real + predicted, axis=0)]
        self._counts.assign_add(ops.stack(counts))

    def result(self) -> Any:
        """Return the mean F1 so far."""
        hits, totals = self._counts[0], self._counts[1]
        defined = ops.sum(ops.cast(totals > 0, "float32"))
        return ops.sum(2.0 * hits / ops.maximum(totals, 1.0)) / ops.maximum(defined, 1.0)

    def _labels_of(self, outputs: Any) -> Any:
        """Return the labels of each text, 1 in their columns; by one half if there are two, or several a text."""
        if self._targets == "multi":
            return ops.cast(outputs > 0.5, "float32")
        if self._labels == 2:
            second = ops.cast(ops.reshape(outputs, (-1, 1)) > 0.5, "float32")
            return ops.concatenate([1.0 - second, second], axis=1)
        return ops.one_hot(ops.argmax(outputs, axis=-1), self._labels)


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
        progress = ops.clip((step - warmup) / max(self.steps - warmup, 1), 0.0, 1.0)
        factor = {
            "constant": lambda: ops.ones_like(progress),
            "linear": lambda: 1.0 - (1.0 - final) * progress,
            "cosine": lambda: final + (1.0 - final) * 0.5 * (1.0 + ops.cos(math.pi * progress)),
            "exponential": lambda: ops.exp(math.log(final) * progress),
        }[self.schedule.kind]()
        return self.peak * factor * ops.clip((step + 1.0) / max(warmup, 1), 0.0, 1.0)

    def get_config(self) -> dict[str, object]:
        """Return the arguments, as Keras wants of every schedule."""
        return {"peak": self.peak, "schedule": dataclasses.asdict(self.schedule), "steps": self.steps}


def _moves(schedule: ScheduleConfig) -> bool:
    """Return whether the learning rate is another one from step to step, or from epoch to epoch."""
    return schedule.kind != "constant" or schedule.warmup_steps > 0


def optimizer_for(config: TrainingConfig, steps_per_epoch: int) -> Any:
    """Return the optimizer that `config` describes, with its schedule, clipping, average and scaling of the loss."""
    schedule = config.schedule
    rate: Any = config.learning_rate
    if _moves(schedule) and (schedule.kind != "plateau" or schedule.warmup_steps):
        rate = WarmupDecay(rate, schedule, steps_per_epoch * config.epochs)
    arguments: dict[str, Any] = {"learning_rate": rate, "global_clipnorm": config.clip_norm}
    if config.weight_decay or config.optimizer == "adamw":  # whose own default is not 0
        arguments["weight_decay"] = config.weight_decay
    if config.ema is not None:
        # An average of more steps than an epoch has would hold the initial weights of a small table for long.
        arguments |= {"use_ema": True, "ema_momentum": min(config.ema, 1 - 1 / steps_per_epoch)}
    if config.optimizer == "sgd":
        arguments |= {"momentum": 0.9, "nesterov": True}
    optimizer = measured_optimizer(OPTIMIZERS[config.optimizer])(**arguments)
    if config.precision == "mixed_float16":
        # Small gradients are 0 in float16. Keras does this by itself only where the whole model is of that precision.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def counting_callbacks(config: TrainingConfig) -> dict[str, keras.callbacks.Callback]:
    """Return the callbacks that remember earlier epochs, by name."""
    mode = "min" if config.monitor == "val_loss" else "max"
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
