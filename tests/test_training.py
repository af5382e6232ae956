from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rnnsent.batches import Batches
from rnnsent.config import Config
from rnnsent.configfile import parse_config
from rnnsent.data import imdb
from rnnsent.data.dataset import Partition, partition
from rnnsent.errors import ConfigError, TrainingError
from rnnsent.models import weights_of
from rnnsent.prediction import model_for, predict
from rnnsent.training import EpochFacts, StepFacts, TrainingResult, WarmupDecay, class_weights, fit
from tests.conftest import TINY_CONFIG


@pytest.fixture
def parts(tiny_imdb: Path) -> Partition:
    return partition(imdb.load(str(tiny_imdb)), config().data)


def config(*settings: str, cell: str = "gru") -> Config:
    return parse_config(TINY_CONFIG.replace("CELL", cell), "tiny", [("--set", setting) for setting in settings])


def train(parts: Partition, chosen: Config, observers: Any = ()) -> tuple[keras.Model, TrainingResult]:
    model = model_for(chosen, num_words=60, precision=chosen.training.precision, seed=chosen.training.seed)
    train_batches = Batches.from_config(parts.train, chosen, shuffle=True)
    validation = Batches.from_config(parts.validation, chosen, shuffle=False)
    return model, fit(model, train_batches, validation, chosen.training, observers=observers)


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_each_cell_learns_and_every_weight_moves(parts: Partition, cell: str) -> None:
    chosen = config("training.epochs=10", cell=cell)
    before = weights_of(model_for(chosen, num_words=60, seed=0))
    model, result = train(parts, chosen)
    assert result.history[-1].loss < 0.7 * result.history[0].loss
    assert ((predict(model, parts.test, chosen) > 0.5) == parts.test.labels).mean() > 0.9
    for name, value in weights_of(model).items():
        assert not np.array_equal(value, before[name]), name


def test_a_seed_decides_every_bit(parts: Partition) -> None:
    runs = [train(parts, config(f"training.seed={seed}", "model.dropout=0.3"))[0] for seed in (1, 1, 2)]
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
    schedule = config(f"training.schedule={{kind: {kind}, warmup_steps: 2, final_fraction: 0.1}}").training.schedule
    rate = WarmupDecay(1.0, schedule, steps=12)
    values = [float(keras.ops.convert_to_numpy(rate(step))) for step in (0, 1, 2, 7, 12)]
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_a_plateau_lowers_the_rate_and_early_stopping_stops(parts: Partition) -> None:
    # At so small a rate nothing improves: the rate halves after one epoch without gain, training stops after three.
    settings = ["training.learning_rate=1e-12", "training.epochs=9", "training.early_stopping={patience: 3}"]
    _, result = train(parts, config(*settings, "training.schedule={kind: plateau, patience: 1}"))
    assert [facts.epoch for facts in result.history] == [1, 2, 3, 4]
    assert result.history[-1].learning_rate < 0.6e-12
    assert result.best.epoch == 1


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "adamw", "nadam", "adagrad", "sgd"])
def test_every_optimizer_lowers_the_loss(parts: Partition, optimizer: str) -> None:
    rate = {"sgd": 0.5, "adagrad": 0.2}.get(optimizer, 0.02)
    settings = [f"training.optimizer={optimizer}", f"training.learning_rate={rate}", "training.weight_decay=1e-4"]
    _, result = train(parts, config(*settings))
    assert result.history[-1].loss < result.history[0].loss


def test_what_is_validated_is_the_moving_average(parts: Partition) -> None:
    raw: list[Any] = []

    class Watch:
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
    model = model_for(chosen, num_words=60, seed=0)
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
        chosen = config(f"training.class_weights={{negative: 1.0, positive: {weight}}}", "training.epochs=1")
        means.append(predict(train(parts, chosen)[0], parts.test, chosen).mean())
    assert means[0] < 0.4 < 0.6 < means[1]


def test_mixed_precision_keeps_float32_weights(parts: Partition) -> None:
    model, result = train(parts, config("training.precision=mixed_bfloat16"))
    assert result.history[-1].loss < result.history[0].loss
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_a_loss_that_is_no_number_stops_training(parts: Partition) -> None:
    broken = config("training.optimizer=sgd", "training.learning_rate=1e38", "training.clip_norm=null")
    with pytest.raises(
        TrainingError, match=r"the loss became (nan|inf) in epoch \d+, step \d+: lower training.learning"
    ):
        train(parts, broken)


def test_notebook_padding_trains_on_full_rows(parts: Partition) -> None:
    chosen = config("data.padding=notebook")
    batches = Batches.from_config(parts.train, chosen, shuffle=True)
    assert {ids.shape[1] for ids, _ in batches.epoch(0)} == {30}
    model, _ = train(parts, chosen)
    assert not model.get_layer("embedding").mask_zero
