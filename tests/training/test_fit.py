from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from rnnsent.training.observers import EpochFacts, Observer, StepFacts

from rnnsent.cli.options import overrides
from rnnsent.config.loader import parse_config
from rnnsent.config.sections import Config
from rnnsent.data import imdb
from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Partition, Split, split_dataset
from rnnsent.errors import ConfigError, DataError, TrainingError
from rnnsent.inference.predictor import Predictor, by_model, load_predictor
from rnnsent.models.builder import build_model
from rnnsent.models.weights import weights_of
from rnnsent.training.checkpoint import Checkpoint
from rnnsent.training.fit import TrainingResult, WarmupDecay, class_weights, fit
from tests.conftest import TINY_CONFIG


@pytest.fixture
def parts(tiny_imdb: Path) -> Partition:
    return split_dataset(imdb.load(str(tiny_imdb)), config().data)


def config(*settings: str, cell: str = "gru") -> Config:
    return parse_config(TINY_CONFIG.replace("CELL", cell), "tiny", overrides(settings))


def train(parts: Partition, chosen: Config, observers: Any = ()) -> tuple[keras.Model, TrainingResult]:
    model = build_model(chosen, 60, seed=chosen.training.seed, training=True)
    train_batches = Batches.from_config(parts.train, chosen, shuffle=True)
    validation = Batches.from_config(parts.validation, chosen, shuffle=False)
    return model, fit(model, train_batches, validation, chosen.training, observers=observers)


def small(seed: int = 0, precision: str = "float32") -> keras.Model:
    """A network that takes a second to train: what is tested with it happens in every network."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(60, 4, mask_zero=True, dtype=precision),
            keras.layers.GlobalAveragePooling1D(dtype=precision),
            keras.layers.Dense(1, "sigmoid", dtype="float32"),
        ],
        name="rnnsent",
    )


def train_small(parts: Partition, *settings: str, observers: Any = ()) -> tuple[keras.Model, TrainingResult]:
    chosen = config(*settings)
    model = small(precision=chosen.training.precision)
    train_batches = Batches.from_config(parts.train, chosen, shuffle=True)
    validation = Batches.from_config(parts.validation, chosen, shuffle=False)
    return model, fit(model, train_batches, validation, chosen.training, observers=observers)


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_each_cell_learns_and_every_weight_moves(parts: Partition, cell: str) -> None:
    chosen = config("training.epochs=15", "training.learning_rate=1e-2", cell=cell)
    before = weights_of(build_model(chosen, 60, seed=0))
    model, result = train(parts, chosen)
    assert result.history[-1].loss < 0.7 * result.history[0].loss
    assert ((load_predictor(chosen, weights_of(model))(parts.test) > 0.5) == parts.test.labels).mean() > 0.9
    for name, value in weights_of(model).items():
        assert not np.array_equal(value, before[name]), name


def test_a_seed_decides_every_bit(parts: Partition) -> None:
    dropping = ("model.dropout=0.3", "training.epochs=2")
    runs = [train(parts, config(f"training.seed={seed}", *dropping, cell="simple_rnn"))[0] for seed in (1, 1, 2)]
    first, again, other = (weights_of(model) for model in runs)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert any(not np.array_equal(first[name], other[name]) for name in first)


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


def test_a_plateau_lowers_the_rate_and_early_stopping_stops(parts: Partition) -> None:
    # At so small a rate nothing improves: the rate halves after one epoch without gain, training stops after three.
    settings = ["training.learning_rate=1e-12", "training.epochs=9", "training.early_stopping={patience: 3}"]
    _, result = train_small(parts, *settings, "training.schedule={kind: plateau, patience: 1}")
    assert [facts.epoch for facts in result.history] == [1, 2, 3, 4]
    assert result.history[-1].learning_rate < 0.6e-12
    assert result.best.epoch == 1


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "adamw", "nadam", "adagrad", "sgd"])
def test_every_optimizer_lowers_the_loss(parts: Partition, optimizer: str) -> None:
    rate = {"sgd": 0.5, "adagrad": 0.2}.get(optimizer, 0.02)
    settings = [f"training.optimizer={optimizer}", f"training.learning_rate={rate}", "training.weight_decay=1e-4"]
    _, result = train_small(parts, *settings)
    assert result.history[-1].loss < result.history[0].loss


def test_what_is_validated_is_the_moving_average(parts: Partition) -> None:
    raw: list[Any] = []

    class Watch(Observer):
        def on_step(self, facts: StepFacts) -> None:
            raw.append([np.array(weight) for weight in model.trainable_variables])

        def on_epoch(self, facts: EpochFacts, best: bool, trained: keras.Model) -> None:
            # Keras starts its average at the first step's weights and then keeps 90 % at each step.
            average = raw[0]
            for step in raw[1:]:
                average = [0.9 * old + 0.1 * new for old, new in zip(average, step, strict=True)]
            for mine, theirs in zip(average, trained.trainable_variables, strict=True):
                np.testing.assert_allclose(np.array(theirs), mine, rtol=1e-4, atol=1e-5)
            checked.append(facts.epoch)

    checked: list[int] = []
    chosen = config("training.ema=0.9")
    model = small()
    batches = Batches.from_config(parts.train, chosen, shuffle=True)
    fit(
        model,
        batches,
        Batches.from_config(parts.validation, chosen, shuffle=False),
        chosen.training,
        observers=[Watch()],
    )
    assert checked == [1, 2, 3]


def test_class_weights() -> None:
    labels = np.array([0, 0, 0, 1])
    names = ("negative", "positive")
    assert class_weights(config().training, labels, names) is None
    balanced = class_weights(config("training.class_weights=balanced").training, labels, names)
    assert balanced == {0: pytest.approx(4 / 6), 1: 2.0}
    named = config("training.class_weights={positive: 3.0, negative: 1.0}").training
    assert class_weights(named, labels, names) == {0: 1.0, 1: 3.0}
    with pytest.raises(ConfigError, match="must name every label once: negative, positive"):
        class_weights(config("training.class_weights={good: 1.0}").training, labels, names)


def test_class_weights_move_the_predictions(parts: Partition) -> None:
    means = []
    for weight in (0.05, 20.0):
        weights = f"training.class_weights={{negative: 1.0, positive: {weight}}}"
        model, _ = train_small(parts, weights, "training.epochs=6")
        means.append(Predictor("keras", "asked for", config(), by_model(model))(parts.test).mean())
    assert means[0] < 0.4 < 0.6 < means[1]


def test_mixed_precision_keeps_float32_weights(parts: Partition) -> None:
    model, result = train(parts, config("training.precision=mixed_bfloat16"))
    assert result.history[-1].loss < result.history[0].loss
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_a_loss_that_is_no_number_stops_training(parts: Partition) -> None:
    broken = config("training.optimizer=sgd", "training.learning_rate=1e38", "training.clip_norm=null")
    with pytest.raises(
        TrainingError, match=r"the loss became (nan|inf) in epoch \d+, step \d+ \(a batch of 16 reviews: .*\): lower"
    ):
        train(parts, broken)


def test_notebook_padding_trains_on_full_rows(parts: Partition) -> None:
    chosen = config("data.padding=notebook")
    batches = Batches.from_config(parts.train, chosen, shuffle=True)
    assert {ids.shape[1] for (ids, *_), _ in batches.epoch(0)} == {30}
    model, _ = train(parts, chosen)
    assert not model.get_layer("embedding").mask_zero


def moved(model: keras.Model) -> list[Any]:
    return [new - old for new, old in zip(model.get_weights(), small().get_weights(), strict=True)]


ONE_STEP = ("training.epochs=1", "training.batch_size=1000", "training.optimizer=sgd", "training.learning_rate=0.1")


def test_gradients_are_clipped_to_their_global_norm(parts: Partition) -> None:
    # Words repeat: their gradients count as one, summed.
    words = np.random.default_rng(0).integers(4, 12, (8, 7))
    train_split = Split.from_sequences(list(words), [0, 1] * 4)
    free, clipped = (
        moved(train_small(replace(parts, train=train_split), *ONE_STEP, f"training.clip_norm={norm}")[0])
        for norm in ("null", "1e-3")
    )
    norms = [np.sqrt(sum(np.square(step).sum() for step in steps)) for steps in (free, clipped)]
    # The first step of Nesterov momentum 0.9 is 1.9 times the rate times the gradient.
    assert norms[1] == pytest.approx(1.9 * 0.1 * 1e-3, rel=1e-3) and norms[0] > 10 * norms[1]
    for step, whole in zip(clipped, free, strict=True):
        np.testing.assert_allclose(step, whole * (norms[1] / norms[0]), rtol=0, atol=1e-6)


def test_weight_decay_takes_its_share_of_every_weight(parts: Partition) -> None:
    plain, _ = train_small(parts, *ONE_STEP)
    decayed, _ = train_small(parts, *ONE_STEP, "training.weight_decay=0.5")
    for without, with_, start in zip(plain.get_weights(), decayed.get_weights(), small().get_weights(), strict=True):
        np.testing.assert_allclose(without - with_, 0.1 * 0.5 * start, rtol=0, atol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_adamw_decays_as_the_config_says(parts: Partition, decay: float) -> None:
    settings = ("training.epochs=1", "training.optimizer=adamw", f"training.weight_decay={decay}")
    model, _ = train_small(parts, *settings)
    assert model.optimizer.weight_decay == decay


def test_float16_scales_the_loss(parts: Partition) -> None:
    model, result = train_small(parts, "training.precision=mixed_float16", "training.ema=0.5")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert result.history[-1].loss < result.history[0].loss


def test_history_tells_the_rate_that_an_epoch_was_trained_with(parts: Partition) -> None:
    settings = ("training.learning_rate=1e-12", "training.epochs=4")
    _, result = train_small(parts, *settings, "training.schedule={kind: plateau, patience: 1, factor: 0.5}")
    # The second epoch brings nothing and is still trained at the old rate.
    rates = [facts.learning_rate for facts in result.history]
    assert rates == pytest.approx([1e-12, 1e-12, 0.5e-12, 0.25e-12], rel=1e-5, abs=0)


def test_a_schedule_runs_over_all_epochs(parts: Partition) -> None:
    settings = ("training.learning_rate=0.01", "training.epochs=3", "training.batch_size=16")
    schedule = "training.schedule={kind: linear, final_fraction: 0.1, warmup_steps: 3}"
    _, result = train_small(parts, *settings, schedule)
    # 96 reviews make 6 steps an epoch; after the warm-up the decay goes from step 3 to step 18.
    expected = [0.01 * (1 - 0.9 * (step - 3) / 15) for step in (6, 12, 18)]
    assert [facts.learning_rate for facts in result.history] == pytest.approx(expected)


def test_the_state_after_an_epoch_is_what_the_next_begins_with(parts: Partition) -> None:
    states: list[Any] = []
    averages: list[Any] = []
    begun: list[Any] = []

    class Watch(Observer):
        def on_step(self, facts: StepFacts) -> None:
            begun.append([np.array(weight) for weight in model.trainable_variables])

        def on_epoch(self, facts: EpochFacts, best: bool, trained: keras.Model) -> None:
            averages.append(trained.get_weights())

        def on_state(self, checkpoint: Checkpoint) -> None:
            assert (checkpoint.epoch, checkpoint.step) == (len(averages), 0)
            states.append(list(checkpoint.under("model").values()))

    chosen = config("training.ema=0.9", "training.epochs=2")
    model = build_model(chosen, 60, seed=0)
    steps = len(Batches.from_config(parts.train, chosen, shuffle=True))
    fit(
        model,
        Batches.from_config(parts.train, chosen, shuffle=True),
        Batches.from_config(parts.validation, chosen, shuffle=False),
        chosen.training,
        observers=[Watch()],
    )
    for epoch, state in enumerate(states):
        for mine, theirs, average in zip(begun[steps * (epoch + 1) - 1], state, averages[epoch], strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert not np.array_equal(average, theirs)


def test_observers_are_told_of_every_step_and_epoch_in_order(parts: Partition) -> None:
    told: list[Any] = []

    class Watch(Observer):
        def on_step(self, facts: StepFacts) -> None:
            told.append(facts)

        def on_epoch(self, facts: EpochFacts, best: bool, model: keras.Model) -> None:
            told.append(facts)

    settings = ("training.epochs=2", "training.batch_size=40")
    batches = Batches.from_config(parts.train, config(*settings), shuffle=True)
    _, result = train_small(parts, *settings, observers=[Watch()])
    sizes = [np.cumsum([len(batch) for batch in batches.order(epoch)]) for epoch in (0, 1)]
    steps = [(facts.epoch, facts.step, facts.steps, facts.reviews) for facts in told if isinstance(facts, StepFacts)]
    assert steps == [(epoch, step, 3, sizes[epoch - 1][step - 1]) for epoch in (1, 2) for step in (1, 2, 3)]
    assert [told[3], told[7]] == list(result.history)
    assert [facts.tokens for facts in (told[2], told[6])] == [int(parts.train.lengths.sum())] * 2
    assert told[2].seconds == result.history[0].seconds
    assert result.history[0].loss == pytest.approx(told[2].loss)
    assert list(result.history[0].to_dict()) == [
        "epoch", "seconds", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "tokens_per_second",
        "elapsed", "gradient_norm", "largest_gradient_norm",
    ]  # fmt: skip


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_loss"])
def test_the_model_ends_with_the_weights_of_its_best_epoch(parts: Partition, monitor: str) -> None:
    seen: dict[int, Any] = {}

    class Watch(Observer):
        def on_epoch(self, facts: EpochFacts, best: bool, model: keras.Model) -> None:
            seen[facts.epoch] = model.get_weights()

    # At this rate accuracy and loss go up and down.
    settings = ("training.learning_rate=3", "training.epochs=6", f"training.monitor={monitor}")
    model, result = train_small(parts, *settings, observers=[Watch()])
    if monitor == "val_accuracy":
        best = max(result.history, key=lambda facts: facts.val_accuracy)
    else:
        best = min(result.history, key=lambda facts: facts.val_loss)
    assert result.best == best and best.epoch < 6
    for found, expected in zip(model.get_weights(), seen[best.epoch], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_gains_below_min_delta_do_not_count(parts: Partition) -> None:
    settings = ("training.epochs=6", "training.monitor=val_loss")
    _, all_count = train_small(parts, *settings, "training.early_stopping={patience: 1}")
    _, none_counts = train_small(parts, *settings, "training.early_stopping={patience: 1, min_delta: 9}")
    assert (len(all_count.history), len(none_counts.history)) == (6, 2)


def test_weights_that_the_last_step_spoiled_are_not_kept(parts: Partition) -> None:
    # One step an epoch: its loss is that of the weights before it.
    settings = ("training.epochs=1", "training.batch_size=1000", "training.optimizer=sgd")
    with pytest.raises(
        TrainingError, match=r"the validation loss became nan in epoch 1, step 1 \(a batch of 96 reviews: .*\): lower"
    ):
        train_small(parts, *settings, "training.learning_rate=3e38", "training.clip_norm=null")


def test_balanced_weights_need_every_label() -> None:
    with pytest.raises(DataError, match="no training review is labeled positive"):
        class_weights(
            config("training.class_weights=balanced").training, np.zeros(3, np.int64), ("negative", "positive")
        )


def test_a_signal_takes_effect_when_its_step_is_over(parts: Partition) -> None:
    told: list[int] = []

    class Watch(Observer):
        def on_step(self, facts: StepFacts) -> None:
            if facts.step == 2:
                signal.raise_signal(signal.SIGINT)
            told.append(facts.step)

    with pytest.raises(KeyboardInterrupt):
        train_small(parts, observers=[Watch()])
    assert told == [1, 2]
