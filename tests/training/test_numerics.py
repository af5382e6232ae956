"""Numbers that grow, overflow or stop being numbers, and reviews of no word or a hundred thousand."""

from __future__ import annotations

import csv
import logging
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from rnnsent.training.observers import Observer, StepFacts

from rnnsent import load
from rnnsent.config.loader import parse_config
from rnnsent.data import imdb
from rnnsent.data.batching import Batches
from rnnsent.data.dataset import split_dataset
from rnnsent.errors import RunError, TrainingError
from rnnsent.models.builder import build_model
from rnnsent.runs.directory import RunDirectory
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training.checkpoint import Checkpoint
from rnnsent.training.fit import TrainingResult, fit
from tests.conftest import TINY_CONFIG, rnnsent


class Watch(Observer):
    """Keeps the weights after each step."""

    def __init__(self) -> None:
        self.weights: list[list[np.ndarray]] = []
        self.model: Any = None

    def on_step(self, facts: StepFacts) -> None:
        self.weights.append(self.model.get_weights())


class AfterTwoSteps(Watch):
    """Does something to the model when two steps are over."""

    def __init__(self, act: Callable[[Any], None]) -> None:
        super().__init__()
        self._act = act

    def on_step(self, facts: StepFacts) -> None:
        super().on_step(facts)
        if len(self.weights) == 2:
            self._act(self.model)


def train(data: Path, *changes: str, watch: Watch | None = None) -> tuple[Watch, TrainingResult]:
    config = parse_config(TINY_CONFIG.replace("CELL", "gru"), "tiny", [("--set", change) for change in changes])
    parts = split_dataset(imdb.load(str(data)), config.data)
    watch = watch or Watch()
    watch.model = build_model(config, 60, seed=0, training=True)
    shuffled = Batches.from_config(parts.train, config, shuffle=True)
    validation = Batches.from_config(parts.validation, config, shuffle=False)
    return watch, fit(watch.model, shuffled, validation, config.training, observers=[watch])


@pytest.mark.parametrize("clip_norm", ["null", "0.01"])
def test_the_norm_is_that_of_all_gradients_before_they_are_clipped(tiny_imdb: Path, clip_norm: str) -> None:
    one = ("training.epochs=1", "training.batch_size=1000", f"training.clip_norm={clip_norm}", "training.optimizer=sgd")
    _, result = train(tiny_imdb, *one)
    config = parse_config(TINY_CONFIG.replace("CELL", "gru"), "tiny", [])
    model = build_model(config, 60, seed=0)
    inputs, targets = Batches.from_config(
        split_dataset(imdb.load(str(tiny_imdb)), config.data).train, config, shuffle=False
    ).batch(np.arange(96))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(keras.losses.binary_crossentropy(targets, model(inputs[0], training=True)))
    found = tape.gradient(loss, [weight.value for weight in model.trainable_variables])
    expected = math.sqrt(
        sum(float(np.square(np.asarray(tf.convert_to_tensor(each), np.float64)).sum()) for each in found)
    )
    facts = result.history[0]
    assert facts.gradient_norm == facts.largest_gradient_norm == pytest.approx(expected, rel=1e-4)


def test_each_epoch_has_a_norm_of_its_own(tiny_imdb: Path) -> None:
    _, whole = train(tiny_imdb, "training.epochs=2")
    _, first = train(tiny_imdb, "training.epochs=1")
    before, after = whole.history
    assert before.gradient_norm == first.history[0].gradient_norm
    assert 0 < before.gradient_norm < before.largest_gradient_norm
    assert after.gradient_norm < after.largest_gradient_norm and after != before


def test_steps_that_overflow_are_skipped_and_training_goes_on(
    tiny_imdb: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heavy = "training.class_weights={negative: 300.0, positive: 300.0}"
    with caplog.at_level(logging.WARNING, "rnnsent"):
        watch, result = train(tiny_imdb, "training.precision=mixed_float16", "training.learning_rate=1e-3", heavy)
    first, *later = watch.weights
    config = parse_config(TINY_CONFIG.replace("CELL", "gru"), "tiny", [("--set", "training.precision=mixed_float16")])
    untrained = build_model(config, 60, seed=0, training=True).get_weights()
    assert all(np.array_equal(one, other) for one, other in zip(first, untrained, strict=True))
    assert not np.array_equal(later[-1][0], first[0])
    assert all(np.isfinite(weight).all() for weight in later[-1])
    assert "epoch 1: the gradients of " in caplog.text and " of 6 steps overflowed in float16" in caplog.text
    assert all(math.isfinite(facts.loss) and math.isfinite(facts.gradient_norm) for facts in result.history)
    assert result.history[-1].loss < result.history[0].loss


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_begins_as_full_precision_does(tiny_imdb: Path, precision: str) -> None:
    once = ("training.epochs=1", "training.batch_size=40")
    _, full = train(tiny_imdb, *once)
    _, mixed = train(tiny_imdb, *once, f"training.precision={precision}")
    assert mixed.history[0].gradient_norm == pytest.approx(full.history[0].gradient_norm, rel=0.1)
    assert mixed.history[0].loss == pytest.approx(full.history[0].loss, rel=0.01)


def test_weights_that_overflow_name_step_batch_and_the_last_good_checkpoint_which_goes_on(
    tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    text = TINY_CONFIG.replace("CELL", "gru").replace("optimizer: adam", "optimizer: sgd").replace("2e-2", "1e-5")
    heavy = "class_weights: {negative: 1000.0, positive: 1000.0}"
    Path("tiny.yaml").write_text(text.replace("clip_norm: 1.0", heavy).replace("epochs: 3", "epochs: 2"))
    assert rnnsent("train", "--config", "tiny.yaml", "--run-dir", "run", "--epochs", "1").exit_code == 0
    again = ["train", "--resume", "run", "--epochs", "2", "--allow-changes"]
    found = rnnsent(*again, "--set", "training.learning_rate=3e38", "--set", "training.checkpoint_every=1")
    assert found.exit_code == 1
    assert " in epoch 2, step 1 (a batch of 16 reviews: " in found.stderr
    assert "The last good state is run/checkpoints/epoch-0001.npz, after 1 epoch" in found.stderr
    gentle = rnnsent(*again, "--set", "training.learning_rate=1e-5", "--set", "training.checkpoint_every=60s")
    assert gentle.exit_code == 0, gentle.stderr
    assert rnnsent("train", "--config", "tiny.yaml", "--run-dir", "whole").exit_code == 0
    assert Path("run/weights.npz").read_bytes() == Path("whole/weights.npz").read_bytes()


def hundredfold(model: Any) -> None:
    model.layers[-1].kernel.assign(model.layers[-1].kernel * 100)


@pytest.mark.parametrize("clip_norm", ["null", "1.0"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_gradient_that_is_no_number_names_its_own_step_though_the_loss_is_one(
    tiny_imdb: Path, optimizer: str, clip_norm: str
) -> None:
    heavy = "training.class_weights={negative: 1.0e19, positive: 1.0e19}"  # squares of a hundred times that overflow
    tuned = (f"training.optimizer={optimizer}", f"training.clip_norm={clip_norm}", "training.learning_rate=1e-30")
    watch = AfterTwoSteps(hundredfold)
    with pytest.raises(TrainingError, match=r"norm of the gradient became inf in epoch 1, step 3 \(a batch of 16 "):
        train(tiny_imdb, heavy, *tuned, watch=watch)
    assert len(watch.weights) == 2


def test_what_to_change_is_all_that_makes_numbers_large(tiny_imdb: Path) -> None:
    heavy = "training.class_weights={negative: 1.0e19, positive: 1.0e19}"
    with pytest.raises(TrainingError, match=r"lower training.learning_rate .* or training.class_weights \(now \{'neg"):
        train(tiny_imdb, heavy, watch=AfterTwoSteps(hundredfold))


def test_a_weight_that_overflows_names_the_step_that_did_it_though_its_gradient_is_a_number(tiny_imdb: Path) -> None:
    watch = Watch()
    heavy = "training.class_weights={negative: 1000.0, positive: 1000.0}"
    tuned = ("training.optimizer=sgd", "training.clip_norm=null", "training.learning_rate=3e38")
    with pytest.raises(TrainingError, match=r" is no longer finite in epoch 1, step 1 \(a batch of 16 reviews: "):
        train(tiny_imdb, heavy, *tuned, watch=watch)
    assert not watch.weights


def test_a_loss_that_is_no_number_before_anything_was_kept(tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    Path("tiny.yaml").write_text(TINY_CONFIG.replace("CELL", "gru"))
    settings = ["training.optimizer=sgd", "training.learning_rate=3e38", "training.clip_norm=null"]
    found = rnnsent(
        "train", "--config", "tiny.yaml", "--run-dir", "run", *[part for each in settings for part in ("--set", each)]
    )
    assert found.exit_code == 1 and "No state of the training was kept before" in found.stderr
    assert not Path("run").exists()


def test_reviews_without_a_word_and_of_a_hundred_thousand_change_no_other_answer(finished_run: Path) -> None:
    classifier = load(finished_run)
    texts = ["word4 word5 word30", "", "word14 word15", "word20 " * 100_000, "?!"]
    together = classifier.predict(texts)
    assert [answer.truncated for answer in together] == [False, False, False, True, False]
    assert [answer.blank for answer in together] == [False, True, False, False, True]
    for text, answer in zip(texts, together, strict=True):
        assert 0 < answer.probability < 1
        assert classifier.predict([text]) == [answer]


def test_training_on_reviews_without_a_word_and_of_a_hundred_thousand() -> None:
    rng = np.random.default_rng(0)
    with Path("t.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label"])
        for row in range(60):
            words = rng.choice(["good", "fine"] if row % 2 else ["bad", "dull"], 4)
            writer.writerow([" ".join(words), "pos" if row % 2 else "neg"])
        writer.writerows([["", "pos"], ["...", "neg"], ["good " * 100_000, "pos"]])
    Path("t.yaml").write_text(
        "data: {source: texts, path: t.csv, maxlen: null}\n"
        "model: {embedding_dim: 4, recurrent: [{cell: gru, units: 4}]}\ntraining: {epochs: 2, batch_size: 16}\n"
    )
    found = rnnsent("train", "--config", "t.yaml", "--run-dir", "run")
    assert found.exit_code == 0, found.stderr
    with Path("run/history.csv").open() as handle:
        assert all(math.isfinite(float(value)) for row in csv.DictReader(handle) for value in row.values())


@pytest.mark.parametrize("number", [math.nan, -math.inf])
@pytest.mark.parametrize(
    "name", ["model/a", "optimizer/003/velocity", "optimizer/009/a_average", "best/a", "metrics/000"]
)
def test_a_forged_checkpoint_that_holds_no_number_is_refused_by_name(name: str, number: float, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    facts: dict[str, Any] = {
        "history": [],
        "best": None,
        "callbacks": {},
        "learning_rate": 1e-3,
        "seconds": 0.5,
        "elapsed": 1.0,
    }
    sound = {"model/a": np.ones((5, 3), np.float32), "random/0": np.arange(2, dtype=np.uint32)}
    checkpoints.write(run, Checkpoint(0, 1, facts, sound))
    spoilt = np.ones(4, np.float32)
    spoilt[2] = number
    checkpoints.write(run, Checkpoint(0, 2, facts, sound | {name: spoilt}))
    with pytest.raises(RunError, match=f"step-000002.npz: damaged: {name} holds a number that is NaN or infinite"):
        checkpoints.read(run, "checkpoints/epoch-0000-step-000002.npz")
    found = checkpoints.newest(run)
    assert found is not None and found.step == 1


def test_forged_weights_that_hold_no_number_are_refused_by_name(
    finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "run")
    with np.load("run/weights.npz") as stored:
        weights = dict(stored)
    name = "gru/gru_cell/bias"
    weights[name][0, 3] = np.nan
    np.savez("run/weights.npz", **weights)
    RunDirectory(Path("run")).finish()  # whoever forged them made the manifest anew
    for command in (["predict", "run", "word4"], ["eval", "run", "--split", "validation"], ["verify", "run"]):
        found = rnnsent(*command)
        assert found.exit_code == 1
        assert f"run/weights.npz: damaged: {name} holds a number that is NaN or infinite" in found.stderr
