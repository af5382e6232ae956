"""Compile and fit, through small networks: what is learned, scheduled, averaged, weighted, clipped, refused."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score

from rnnsent.config.sections import Config
from rnnsent.data import imdb
from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Partition, split_dataset
from rnnsent.errors import ConfigError, DataError, TrainingError
from rnnsent.models.builder import build_model
from rnnsent.models.weights import weights_of
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import Epoch
from rnnsent.training.callbacks import BestWeightsCallback, EMACallback, FiniteCallback, HistoryCallback, Tracked
from rnnsent.training.checkpoint import CheckpointFolder
from rnnsent.training.fit import (
    FitData,
    MacroF1,
    WarmupDecay,
    class_weights,
    compile_model,
    counting_callbacks,
    fit,
    optimizer_for,
)
from tests.conftest import TINY_CONFIG, needs_kernel, parsed

NAMES = ("negative", "positive")
HEAVY = "training.class_weights={negative: 1.0e19, positive: 1.0e19}"
Fitted = tuple[list[Epoch], Tracked]
ONE_STEP = ("training.epochs=1", "training.batch_size=1000", "training.optimizer=sgd", "training.learning_rate=0.1")


class On(keras.callbacks.Callback):  # type: ignore[misc]
    """Calls `step` with the model after each step, and `epoch` with model and logs after each epoch."""

    def __init__(self, step: Any = lambda model: None, epoch: Any = lambda model, logs: None) -> None:
        super().__init__()
        self._step, self._epoch = step, epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._epoch(self.model, logs)


@pytest.fixture
def parts(tiny_imdb: Path) -> Partition:
    return split_dataset(imdb.load(str(tiny_imdb)), config().data)


def config(*settings: str, cell: str = "gru") -> Config:
    return parsed(TINY_CONFIG.replace("CELL", cell), *settings)


def small(precision: str = "float32") -> keras.Model:
    """A network that takes a second to train: what is tested with it happens in every network."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(60, 4, mask_zero=True, dtype=precision, name="embedding"),
            keras.layers.GlobalAveragePooling1D(dtype=precision, name="mean"),
            keras.layers.Dense(1, "sigmoid", dtype="float32", name="output"),
        ],
        name="rnnsent",
    )


def train(parts: Partition, chosen: Config, model: keras.Model, plain: keras.Model, *callbacks: Any) -> Fitted:
    """Fit a model as training does, with what it keeps in the current folder, of a `plain` one."""
    training = chosen.training
    batches = Batches.from_config(parts.train, chosen, shuffle=True)
    compile_model(model, training, 2, len(batches))
    history = HistoryCallback(None, batches, "", time.perf_counter(), None)
    tracked = Tracked(
        folder=CheckpointFolder(Path("checkpoints"), "t"),
        history=history,
        finite=FiniteCallback(batches, "lower it", None),
        best=BestWeightsCallback(Run(Path()), plain, training.monitor, history),
        ema=None if training.ema is None else EMACallback(),
        counting=counting_callbacks(training),
    )
    weights = class_weights(training, parts.train.labels, NAMES)
    validation = Batches.from_config(parts.validation, chosen, shuffle=False)
    fit(model, FitData(batches, validation, weights), training, tracked, callbacks)
    return history.history, tracked


def train_small(parts: Partition, *settings: str, on: On | None = None) -> tuple[keras.Model, list[Epoch], Tracked]:
    chosen = config(*settings)
    plain, model = small(), small(chosen.training.precision)
    return model, *train(parts, chosen, model, plain, *([] if on is None else [on]))


@needs_kernel
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_native_loss_curve_is_that_of_stock_keras_and_every_weight_moves(parts: Partition, cell: str) -> None:
    chosen = config("training.epochs=12", "training.learning_rate=1e-2", cell=cell)
    curves = []
    for native in (True, False):
        plain, model = build_model(chosen, 60), build_model(chosen, 60, seed=0, native=[native])
        before = weights_of(model)
        history, _ = train(parts, chosen, model, plain)
        assert history[-1].loss < 0.7 * history[0].loss and history[-1].val_accuracy > 0.8
        assert all(not np.array_equal(value, before[name]) for name, value in weights_of(model).items())
        curves.append([(epoch.loss, epoch.val_loss, epoch.gradient_norm) for epoch in history])
    # Later on the last bits, which may differ, have grown.
    np.testing.assert_allclose(curves[0][:6], curves[1][:6], rtol=1e-3)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # peak 1, warm-up of 2 steps, 12 steps in all, down to 0.1; at steps 0, 1, 2, 7 and 12
        ("constant", [0.5, 1, 1, 1, 1]),
        ("linear", [0.5, 1, 1, 0.55, 0.1]),
        ("cosine", [0.5, 1, 1, 0.55, 0.1]),
        ("exponential", [0.5, 1, 1, 10**-0.5, 0.1]),
    ],
)
def test_schedules(kind: str, expected: list[float]) -> None:
    final = "" if kind == "constant" else ", final_fraction: 0.1"
    schedule = config(f"training.schedule={{kind: {kind}, warmup_steps: 2{final}}}").training.schedule
    rate = WarmupDecay(1.0, schedule, steps=12)
    values = [float(keras.ops.convert_to_numpy(rate(step))) for step in (0, 1, 2, 7, 12)]
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_schedule_spans_all_epochs(parts: Partition) -> None:
    schedule = "training.schedule={kind: linear, final_fraction: 0.1, warmup_steps: 3}"
    _, history, _ = train_small(parts, "training.learning_rate=0.01", schedule)
    # 96 reviews make 6 steps an epoch; after the warm-up the decay goes from step 3 to step 18.
    expected = [0.01 * (1 - 0.9 * (step - 3) / 15) for step in (6, 12, 18)]
    assert [epoch.learning_rate for epoch in history] == pytest.approx(expected)


def test_plateau_lowers_the_rate_and_early_stopping_stops(parts: Partition) -> None:
    # At so small a rate nothing improves: the rate halves after each epoch without gain, training stops after three.
    settings = ("training.learning_rate=1e-12", "training.epochs=9", "training.early_stopping={patience: 3}")
    _, history, tracked = train_small(parts, *settings, "training.schedule={kind: plateau, patience: 1, factor: 0.5}")
    # The second epoch brings nothing and is still trained at the old rate.
    rates = [epoch.learning_rate for epoch in history]
    assert rates == pytest.approx([1e-12, 1e-12, 0.5e-12, 0.25e-12], rel=1e-5, abs=0)
    assert tracked.best is not None and tracked.best.best_epoch == 1


def test_gains_below_min_delta_do_not_count(parts: Partition) -> None:
    settings = ("training.epochs=4", "training.monitor=val_loss")
    _, all_count, _ = train_small(parts, *settings, "training.early_stopping={patience: 1}")
    _, none_counts, _ = train_small(parts, *settings, "training.early_stopping={patience: 1, min_delta: 9}")
    assert (len(all_count), len(none_counts)) == (4, 2)


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "adamw", "nadam", "adagrad", "sgd"])
def test_every_optimizer_lowers_the_loss(parts: Partition, optimizer: str) -> None:
    rate = {"sgd": 0.5, "adagrad": 0.2}.get(optimizer, 0.02)
    settings = (f"training.optimizer={optimizer}", f"training.learning_rate={rate}", "training.weight_decay=1e-4")
    model, history, _ = train_small(parts, *settings)
    assert history[-1].loss < history[0].loss and model.optimizer.weight_decay == 1e-4


def test_moving_average_is_validated_and_kept_and_training_continues_without_it(parts: Partition) -> None:
    steps: list[Any] = []
    checked: list[float] = []

    def step(model: keras.Model) -> None:
        steps.append([np.array(weight) for weight in model.trainable_variables])

    def epoch(model: keras.Model, logs: Any) -> None:
        # Keras starts its average at the first step's weights and then keeps half of it at each step.
        average = steps[0]
        for later in steps[1:]:
            average = [0.5 * old + 0.5 * new for old, new in zip(average, later, strict=True)]
        for mine, theirs in zip(average, model.trainable_variables, strict=True):
            np.testing.assert_allclose(np.array(theirs), mine, rtol=1e-4, atol=1e-5)
        checked.append(logs["val_loss"])

    _, history, tracked = train_small(parts, "training.ema=0.5", on=On(step, epoch))
    assert checked == [epoch.val_loss for epoch in history] and len(checked) == 3
    newest = tracked.folder.newest()
    assert newest is not None
    for mine, theirs in zip(steps[-1], newest.under("model").values(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_moving_average_covers_an_epoch_at_most() -> None:
    momenta = [optimizer_for(config("training.ema=0.99").training, steps).ema_momentum for steps in (1, 2, 99, 200)]
    assert momenta == pytest.approx([0, 1 / 2, 98 / 99, 0.99])


def test_class_weights(parts: Partition) -> None:
    labels = np.array([0, 0, 0, 1])
    balanced = config("training.class_weights=balanced").training
    assert class_weights(balanced, labels, NAMES) == {0: pytest.approx(4 / 6), 1: 2.0}
    with pytest.raises(DataError, match="no training review is labeled positive"):
        class_weights(balanced, np.zeros(3, np.int64), NAMES)
    with pytest.raises(ConfigError, match="must name every label once: negative, positive"):
        class_weights(config("training.class_weights={good: 1.0}").training, labels, NAMES)
    means = []
    for weight in (0.05, 20.0):
        weights = f"training.class_weights={{positive: {weight}, negative: 1.0}}"
        model, *_ = train_small(parts, weights, "training.epochs=6")
        means.append(model.predict(parts.test.tokens[None, :2000], verbose=0).mean())
    assert means[0] < 0.4 < 0.6 < means[1]


def test_gradient_norm_is_that_of_the_loss_before_clipping(parts: Partition) -> None:
    _, (epoch,), _ = train_small(parts, *ONE_STEP, "training.clip_norm=0.01")
    inputs, targets = Batches.from_config(parts.train, config(), shuffle=False).batch(np.arange(96))
    model = small()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(keras.losses.binary_crossentropy(targets, model(inputs[0], training=True)))
    found = tape.gradient(loss, [weight.value for weight in model.trainable_variables])
    dense = [np.asarray(tf.convert_to_tensor(each), np.float64) for each in found]
    expected = math.sqrt(sum(float(np.square(each).sum()) for each in dense))
    assert epoch.gradient_norm == epoch.largest_gradient_norm == pytest.approx(expected, rel=1e-4)


def test_gradients_are_clipped_to_their_global_norm_and_weights_decay(parts: Partition) -> None:
    start = small().get_weights()

    def moved(*settings: str) -> list[Any]:
        model, *_ = train_small(parts, *ONE_STEP, *settings)
        return [new - old for new, old in zip(model.get_weights(), start, strict=True)]

    free, clipped, decayed = (
        moved(f"training.clip_norm={norm}", f"training.weight_decay={decay}")
        for norm, decay in (("null", 0.0), ("1e-3", 0.0), ("null", 0.5))
    )
    norms = [np.sqrt(sum(np.square(step).sum() for step in steps)) for steps in (free, clipped)]
    # The first step of Nesterov momentum 0.9 is 1.9 times the rate times the gradient.
    assert norms[1] == pytest.approx(1.9 * 0.1 * 1e-3, rel=1e-3) and norms[0] > 10 * norms[1]
    for step, whole, less, weight in zip(clipped, free, decayed, start, strict=True):
        np.testing.assert_allclose(step, whole * (norms[1] / norms[0]), rtol=0, atol=1e-6)
        np.testing.assert_allclose(whole - less, 0.1 * 0.5 * weight, rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_begins_as_full_precision_does(parts: Partition, precision: str) -> None:
    once = ("training.epochs=1", "training.batch_size=40")
    _, (full,), _ = train_small(parts, *once)
    model, (mixed,), _ = train_small(parts, *once, f"training.precision={precision}", "training.ema=0.5")
    assert mixed.gradient_norm == pytest.approx(full.gradient_norm, rel=0.1)
    assert mixed.loss == pytest.approx(full.loss, rel=0.01)
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_steps_that_overflow_are_skipped_and_training_continues(
    parts: Partition, caplog: pytest.LogCaptureFixture
) -> None:
    heavy = "training.class_weights={negative: 300.0, positive: 300.0}"
    with caplog.at_level(logging.WARNING, "rnnsent"):
        _, history, _ = train_small(parts, "training.precision=mixed_float16", "training.learning_rate=1e-3", heavy)
    assert "epoch 1: the gradients of " in caplog.text and " overflowed in float16" in caplog.text
    assert all(math.isfinite(epoch.loss) and math.isfinite(epoch.gradient_norm) for epoch in history)
    assert history[-1].loss < history[0].loss


def spoil_after(steps: int) -> Callable[[keras.Model], None]:
    def step(model: keras.Model) -> None:
        nonlocal steps
        steps -= 1
        if not steps:
            model.layers[-1].kernel.assign(model.layers[-1].kernel * 100)

    return step


FAR = ("training.optimizer=sgd", "training.clip_norm=null", "training.learning_rate=1e6", HEAVY)
NOT_FINITE = [
    ((HEAVY, "training.learning_rate=1e-30"), 2, r"the norm of the gradient became inf in epoch 1, step 3"),
    ((HEAVY, "training.learning_rate=1e-30", "training.clip_norm=1.0"), 2, r"gradient became inf in epoch 1, step 3"),
    (FAR, 0, r"the loss became (nan|inf) in epoch 1, step 2"),
    ((*ONE_STEP, *FAR), 0, r"the validation loss became nan in epoch 1, step 1 \(a batch of 96 texts"),
]


@pytest.mark.parametrize(("settings", "spoiled", "message"), NOT_FINITE)
def test_numbers_that_are_not_finite_name_step_and_batch(
    parts: Partition, settings: tuple[str, ...], spoiled: int, message: str
) -> None:
    with pytest.raises(TrainingError, match=rf"({message}).*\(a batch of \d\d texts: .*\): lower it|{message}"):
        train_small(parts, *settings, on=On(spoil_after(spoiled)))


def test_logs_of_steps_and_epochs_are_complete(parts: Partition) -> None:
    steps: list[dict[str, Any]] = []
    epochs: list[dict[str, Any]] = []

    class Logs(On):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            steps.append(dict(logs))

    settings = ("training.epochs=2", "training.batch_size=40")
    watch = Logs(epoch=lambda model, logs: epochs.append(dict(logs)))
    _, history, tracked = train_small(parts, *settings, on=watch)
    orders = [tracked.history.train.order(epoch) for epoch in (0, 1)]
    assert [each["texts"] for each in steps] == [n for order in orders for n in np.cumsum([len(b) for b in order])]
    assert [each["tokens"] for each in steps[2::3]] == [int(parts.train.lengths.sum())] * 2
    assert history[0].loss == pytest.approx(steps[2]["loss"]) and history[0].seconds == steps[2]["seconds"]
    for logs, epoch in zip(epochs, history, strict=True):
        assert {"epoch": epoch.epoch, **logs} == pytest.approx({**vars(epoch), "f1": logs["f1"]})


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_loss", "val_f1"])
def test_weights_of_the_best_epoch_are_kept(parts: Partition, monitor: str) -> None:
    seen: list[Any] = []
    # At this rate accuracy and loss go up and down.
    settings = ("training.learning_rate=3", "training.epochs=6", f"training.monitor={monitor}")
    watch = On(epoch=lambda model, logs: seen.append(weights_of(model)))
    _, history, tracked = train_small(parts, *settings, on=watch)
    sign = -1 if monitor == "val_loss" else 1
    best = max(history, key=lambda epoch: sign * getattr(epoch, monitor))
    assert tracked.best is not None and tracked.best.best == best and best.epoch < 6
    kept = Run(Path()).weights()
    for name, expected in seen[best.epoch - 1].items():
        np.testing.assert_array_equal(kept[name], expected)


@pytest.mark.parametrize("labels", [2, 3, 5])
def test_macro_f1_is_that_of_scikit_learn(labels: int) -> None:
    rng = np.random.default_rng(labels)
    real, probabilities = rng.integers(0, labels, 200), rng.dirichlet(np.ones(labels), 200).astype(np.float32)
    targets = np.eye(labels, dtype=np.float32)[real]
    weights = rng.integers(0, 2, 200)  # texts without a label have no weight
    for weight in (None, weights):
        metric = MacroF1(labels)
        for rows in np.array_split(np.arange(200), 7):
            second = slice(1, None) if labels == 2 else slice(None)
            given = None if weight is None else weight[rows]
            metric.update_state(targets[rows][:, second], probabilities[rows][:, second], given)
        expected = f1_score(real, probabilities.argmax(axis=1), average="macro", sample_weight=weight)
        assert float(metric.result()) == pytest.approx(expected, abs=1e-6)
    several = (rng.random((200, labels)) < 0.3).astype(np.float32)
    metric = MacroF1(labels, "multi")
    metric.update_state(several, probabilities)
    expected = f1_score(several, probabilities > 0.5, average="macro", zero_division=0)
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)
    metric = MacroF1(labels)
    metric.update_state(targets[:0, : 1 if labels == 2 else labels], targets[:0, : 1 if labels == 2 else labels])
    assert float(metric.result()) == 0


@pytest.mark.parametrize("settings", [(), ("training.ema=0.5",), ("training.class_weights=balanced",)])
def test_val_f1_is_that_of_the_validated_weights(parts: Partition, settings: tuple[str, ...]) -> None:
    chosen, expected = config(*settings), []
    validation = Batches.from_config(parts.validation, chosen, shuffle=False)

    def epoch(model: keras.Model, logs: Any) -> None:
        pairs = [(targets, model.predict_on_batch(inputs[0])) for inputs, targets in validation.epoch(0)]
        real, predicted = (np.concatenate([np.ravel(part) for part in column]) for column in zip(*pairs, strict=True))
        expected.append(f1_score(real > 0.5, predicted > 0.5, average="macro"))

    _, history, _ = train_small(parts, *settings, on=On(epoch=epoch))
    assert [epoch.val_f1 for epoch in history] == pytest.approx(expected, abs=1e-6)


def test_early_stopping_and_plateau_watch_f1(parts: Partition) -> None:
    callbacks = counting_callbacks(
        config(
            "training.monitor=val_f1", "training.schedule={kind: plateau}", "training.early_stopping={patience: 1}"
        ).training
    )
    assert {(each.monitor, each.mode) for each in callbacks.values()} == {("val_f1", "max")}


def test_signal_takes_effect_when_its_step_is_complete(parts: Partition) -> None:
    steps: list[int] = []

    def step(model: keras.Model) -> None:
        steps.append(1)
        if len(steps) == 2:
            signal.raise_signal(signal.SIGINT)
            steps.append(1)

    with pytest.raises(KeyboardInterrupt):
        train_small(parts, on=On(step))
    assert len(steps) == 3
    assert [path.name for path in Path("checkpoints").iterdir()] == ["epoch-0000-step-000002.safetensors"]
