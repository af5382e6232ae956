"""Adversarial training: what it moves, how far, and that it does what its formula says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from rnnsent.cli.options import overrides
from rnnsent.config.loader import load_config, parse_config
from rnnsent.config.sections import AdversarialConfig
from rnnsent.engine.adversarial import Perturbation
from rnnsent.errors import ConfigError
from rnnsent.models.builder import build_model
from rnnsent.models.weights import weights_of
from tests.conftest import TINY_CONFIG, rnnsent

IDS = np.array([[1, 7, 9, 4, 0, 0], [1, 5, 5, 8, 30, 11]], np.int32)
LABELS = np.array([[1.0], [0.0]], np.float32)


def build(adversarial: AdversarialConfig | None, *, native: bool = False, cell: str = "gru") -> keras.Model:
    config = parse_config(TINY_CONFIG.replace("CELL", cell), "tiny")
    config = replace(config, training=replace(config.training, adversarial=adversarial))
    model = build_model(config, 60, seed=3, native=[native], training=True)
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss="binary_crossentropy", run_eagerly=True)
    return model


def moved(model: keras.Model) -> dict[str, np.ndarray]:
    """Return what one step of plain gradient descent at rate 1 takes from each weight: the gradient."""
    before = weights_of(model)
    model.train_on_batch(IDS, LABELS)
    return {name: before[name] - value for name, value in weights_of(model).items()}


def test_the_gradient_is_that_of_both_losses() -> None:
    import tensorflow as tf

    size, weight = 0.1, 0.5
    found = moved(build(AdversarialConfig(size=size, weight=weight)))
    plain = build(None)
    embedding, recurrent, head = map(plain.get_layer, ("embedding", "gru", "output"))
    loss = keras.losses.BinaryCrossentropy()
    mask = IDS != 0
    # By hand: the direction from the gradient by the vectors, its length, and the gradients of the sum.
    vectors = embedding(IDS)
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        value = loss(LABELS, head(recurrent(vectors, mask=mask)))
    slope = tape.gradient(value, vectors).numpy()
    length = np.sqrt((vectors.numpy() ** 2 * mask[..., None]).sum(axis=(1, 2), keepdims=True))
    offset = size * length * slope / np.sqrt((slope**2).sum(axis=(1, 2), keepdims=True))
    with tf.GradientTape() as tape:
        vectors = embedding(IDS)
        total = loss(LABELS, head(recurrent(vectors, mask=mask)))
        total += weight * loss(LABELS, head(recurrent(vectors + offset, mask=mask)))
    gradients = tape.gradient(total, plain.trainable_weights)
    for variable, gradient in zip(plain.trainable_weights, gradients, strict=True):
        name = variable.path.removeprefix("rnnsent/")
        np.testing.assert_allclose(found[name], tf.convert_to_tensor(gradient).numpy(), atol=1e-6, err_msg=name)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("kind", ["adversarial", "virtual"])
def test_padding_changes_nothing(kind: str, native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a review moved further for it; where a virtual adversary begins to look is the same for both."""
    start = np.random.default_rng(0).normal(size=(1, 40, 8)).astype(np.float32)
    monkeypatch.setattr(keras.random, "normal", lambda shape, seed: start[:, : int(shape[1])])
    found = []
    for padding in (0, 36):
        model = build(AdversarialConfig(kind=kind, size=0.3), native=native)  # type: ignore[arg-type]
        before = weights_of(model)
        ids = np.pad(IDS[:1, :4], ((0, 0), (0, padding)))
        model.train_on_batch(ids, LABELS[:1])
        found.append({name: before[name] - value for name, value in weights_of(model).items()})
    assert max(np.abs(value).max() for value in found[0].values()) > 1e-3
    for name in found[0]:
        np.testing.assert_allclose(found[0][name], found[1][name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("kind", ["adversarial", "virtual"])
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_the_native_kernel_gives_the_same_gradients(kind: str, cell: str) -> None:
    config = AdversarialConfig(kind=kind)  # type: ignore[arg-type]
    found = []
    for native in (True, False):
        model = build(config, native=native, cell=cell)
        keras.utils.set_random_seed(5)  # where a virtual adversary begins to look
        found.append(moved(model))
    for name in found[0]:
        np.testing.assert_allclose(found[0][name], found[1][name], atol=2e-5, err_msg=name)


def test_a_virtual_adversary_asks_for_no_labels() -> None:
    """Its part of the gradient is the same whatever the labels are."""
    parts = []
    for labels in (LABELS, 1 - LABELS):
        differences = []
        for config in (AdversarialConfig(kind="virtual", size=0.3), None):
            model = build(config)
            keras.utils.set_random_seed(5)
            before = weights_of(model)
            model.train_on_batch(IDS, labels)
            differences.append({name: before[name] - value for name, value in weights_of(model).items()})
        parts.append({name: differences[0][name] - differences[1][name] for name in differences[0]})
    assert max(np.abs(value).max() for value in parts[0].values()) > 1e-4
    for name in parts[0]:
        np.testing.assert_allclose(parts[0][name], parts[1][name], atol=1e-6, err_msg=name)


def test_a_review_without_a_label_counts_for_the_virtual_adversary_alone() -> None:
    """What the labels teach is then what the other review alone would; what the adversary does stays."""
    virtual = AdversarialConfig(kind="virtual", size=0.3, unlabeled=True)
    parts = []
    for config, labels in ((virtual, LABELS), (None, LABELS), (virtual, np.array([[1.0], [np.nan]], np.float32))):
        model = build(config)
        keras.utils.set_random_seed(5)
        before = weights_of(model)
        model.train_on_batch(IDS, labels)
        parts.append({name: before[name] - value for name, value in weights_of(model).items()})
    plain = build(None)
    before = weights_of(plain)
    plain.train_on_batch(IDS[:1], LABELS[:1])
    for name, after in weights_of(plain).items():
        adversary = parts[0][name] - parts[1][name]
        np.testing.assert_allclose(parts[2][name] - adversary, before[name] - after, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("sure", [False, True])
def test_a_virtual_adversary_does_what_its_formula_says(sure: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand, in float64 and by differences: also where the network is so sure that its gradients nearly vanish."""
    import tensorflow as tf

    size, weight = 0.3, 0.7
    drawn = np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32)
    monkeypatch.setattr(keras.random, "normal", lambda shape, seed: drawn)
    model, plain = build(AdversarialConfig(kind="virtual", size=size, weight=weight)), build(None)
    if sure:
        weights = model.get_weights()
        weights[-1] += 12  # of the output: 1 - 6e-6
        model.set_weights(weights)
        plain.set_weights(weights)
    embedding, recurrent, head = map(plain.get_layer, ("embedding", "gru", "output"))
    mask = IDS != 0

    def lengths(vectors: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=(1, 2), keepdims=True))
        return found

    def said(vectors: tf.Tensor) -> tf.Tensor:
        return head(recurrent(vectors, mask=mask))

    loss = keras.losses.BinaryCrossentropy()
    vectors = embedding(IDS)
    clean = said(vectors)
    words = vectors.numpy() * mask[..., None]
    start = drawn * mask[..., None]
    start = tf.constant((start * 1e-2 * lengths(words) / lengths(start)).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(start)
        value = loss(clean, said(vectors + start))
    slope = tape.gradient(value, start).numpy().astype(np.float64) * mask[..., None]
    offset = (slope * size * lengths(words) / lengths(slope)).astype(np.float32)
    np.testing.assert_allclose(lengths(offset), size * lengths(words), rtol=1e-5)
    with tf.GradientTape() as tape:
        vectors = embedding(IDS)
        total = loss(LABELS, said(vectors)) + weight * loss(clean, said(vectors + offset))
    gradients = tape.gradient(total, plain.trainable_weights)
    found = moved(model)
    for variable, gradient in zip(plain.trainable_weights, gradients, strict=True):
        name = variable.path.removeprefix("rnnsent/")
        np.testing.assert_allclose(found[name], tf.convert_to_tensor(gradient).numpy(), atol=1e-6, err_msg=name)


def test_accuracy_and_loss_are_those_of_the_labels_that_are_known() -> None:
    targets = np.array([[1.0], [np.nan], [0.0], [np.nan]], np.float32)
    ids = np.concatenate([IDS, IDS[::-1]])
    model = build(AdversarialConfig(kind="virtual", size=0.3, unlabeled=True))
    model.compile(
        optimizer=keras.optimizers.SGD(0.0), loss="binary_crossentropy", weighted_metrics=["accuracy"], run_eagerly=True
    )
    loss, accuracy = model.train_on_batch(ids, targets)
    plain = build(None)
    plain.compile(optimizer=keras.optimizers.SGD(0.0), loss="binary_crossentropy", metrics=["accuracy"])
    plain.set_weights(model.get_weights())
    wanted = plain.evaluate(ids[[0, 2]], targets[[0, 2]], verbose=0)
    np.testing.assert_allclose([loss, accuracy], wanted, atol=1e-6)
    # Nor does a batch count in which no label is known.
    batches = [(ids, targets), (ids, np.full_like(targets, np.nan))]
    found = model.fit(((each for each in batches)), epochs=1, verbose=0, shuffle=False, steps_per_epoch=2).history
    np.testing.assert_allclose([found["loss"][0], found["accuracy"][0]], wanted, atol=1e-6)


STEPS = """
import sys, keras, numpy as np
from rnnsent.config.sections import AdversarialConfig
from tests.engine.test_adversarial import IDS, LABELS, build
given, drawn = dict(np.load("given.npz")), np.load("drawn.npy")
keras.random.normal = lambda shape, seed: keras.ops.convert_to_tensor(drawn)
for kind in ("adversarial", "virtual"):
    model = build(AdversarialConfig(kind=kind, size=0.3, unlabeled=kind == "virtual"))
    model.set_weights([given[str(place)] for place in range(len(given))])
    model.train_on_batch(IDS, np.where([[True], [kind == "adversarial"]], LABELS, np.nan).astype("float32"))
    np.savez(f"{keras.backend.backend()}-{kind}.npz", **{str(n): w for n, w in enumerate(model.get_weights())})
model.optimizer.learning_rate = 0.0
half = np.where([[True], [False]], LABELS, np.nan).astype("float32")
none = np.full_like(LABELS, np.nan)
print("loss", model.evaluate(IDS[:1], LABELS[:1], verbose=0))
batches = (each for each in [(IDS, half), (IDS, none)])
print("loss", model.fit(batches, verbose=0, shuffle=False, steps_per_epoch=2).history["loss"][0])
"""


def test_jax_takes_the_steps_that_tensorflow_takes() -> None:
    """Of both kinds, and of a review without a label; a process has one backend."""
    begin = build(None).get_weights()
    np.savez("given.npz", **{str(place): weight for place, weight in enumerate(begin)})
    np.save("drawn.npy", np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32))
    root = str(Path(__file__).parent.parent.parent)
    for backend in ("tensorflow", "jax"):
        environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": root}
        done = subprocess.run([sys.executable, "-c", STEPS], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        alone, fitted = (float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("loss"))
        assert fitted == pytest.approx(alone, abs=1e-6)  # of the one review of which a label is known
    for kind in ("adversarial", "virtual"):
        by_tensorflow, by_jax = (np.load(f"{backend}-{kind}.npz") for backend in ("tensorflow", "jax"))
        for place, weight in enumerate(begin):
            assert np.abs(by_jax[str(place)] - weight).max() > 1e-3
            np.testing.assert_allclose(by_jax[str(place)], by_tensorflow[str(place)], atol=2e-6)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        (["training.adversarial={unlabeled: true}"], "training.adversarial.unlabeled: needs kind: virtual"),
        (
            ["training.adversarial={kind: virtual, unlabeled: true}", "data.unlabeled=false"],
            "training.adversarial.unlabeled: needs source: texts and data.unlabeled: true",
        ),
        (
            ["training.adversarial={kind: virtual, unlabeled: true}", "training.teacher=baseline"],
            "training.teacher: must be null under adversarial.unlabeled",
        ),
        (
            ["training.adversarial={kind: virtual, unlabeled: true}", "training.class_weights=balanced"],
            "training.class_weights: must be null under adversarial.unlabeled",
        ),
    ],
)
def test_what_cannot_go_with_texts_without_a_label(changes: list[str], rule: str) -> None:
    unlabeled = ["data.source=texts", "data.path=t.csv", "data.unlabeled=true"]
    with pytest.raises(ConfigError, match=re.escape(rule)):
        load_config("gru", overrides([*unlabeled, *changes]), to_train=True)


def test_prediction_is_not_moved() -> None:
    model, plain = build(AdversarialConfig(size=0.5)), build(None)
    model.train_on_batch(IDS, LABELS)
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(model.predict(IDS, verbose=0), plain.predict(IDS, verbose=0), atol=1e-6)
    assert any(isinstance(layer, Perturbation) for layer in model.layers)


def test_a_training_with_it_leaves_a_run_like_any_other(tiny_config: Path, tiny_imdb: Path) -> None:
    found = rnnsent(
        "train", "--config", str(tiny_config), "--data", str(tiny_imdb), "--run-dir", "run", "--json",
        "--set", "training.adversarial={kind: virtual}", "--set", "model.ngrams={orders: 2}",
    )  # fmt: skip
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout)["validation"]["accuracy"]["value"] > 0.8
    assert rnnsent("verify", "run", "--backend", "native").exit_code == 0
