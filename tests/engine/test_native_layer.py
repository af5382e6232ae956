"""Networks on the native kernel against the same networks in stock Keras: outputs, gradients, whole trainings."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Split
from rnnsent.models.builder import build_model
from rnnsent.models.weights import set_weights, weights_of
from rnnsent.training.fit import compile_model
from tests.conftest import needs_kernel
from tests.models.test_builder import config_of

pytestmark = needs_kernel

LENGTHS = [7, 1, 4, 7, 2]
STACKS = {
    "simple_rnn": "recurrent: [{cell: simple_rnn, units: 5}]",
    "lstm": "recurrent: [{cell: lstm, units: 5}]",
    "gru": "recurrent: [{cell: gru, units: 5}]",
    "bidirectional lstm": "recurrent: [{cell: lstm, units: 5, bidirectional: true}]",
    "bidirectional gru, max": "recurrent: [{cell: gru, units: 5, bidirectional: true}], pooling: max",
    "mixed stack": "recurrent: [{cell: lstm, units: 3}, {cell: gru, units: 4, bidirectional: true}, "
    "{cell: simple_rnn, units: 5}]",
    "mean_max": "recurrent: [{cell: lstm, units: 5}], pooling: mean_max",
    "mean": "recurrent: [{cell: gru, units: 5}], pooling: mean",
    "attention": "recurrent: [{cell: simple_rnn, units: 5}, {cell: lstm, units: 3}], pooling: attention",
    "dense": "recurrent: [{cell: gru, units: 5}], dense: [{units: 3}], dropout: 0.0",
}


def tokens(seed: int = 0) -> NDArray[np.int32]:
    """Right-padded ids of a batch with lengths from 1 to all."""
    ids = np.random.default_rng(seed).integers(1, 20, (len(LENGTHS), max(LENGTHS))).astype(np.int32)
    return np.where(np.arange(ids.shape[1]) < np.array(LENGTHS)[:, None], ids, 0).astype(np.int32)


def pair(text: str, native: list[bool] | None = None, padding: str = "post") -> tuple[keras.Model, keras.Model]:
    config = config_of(text, f"data.padding={padding}")
    native = [True] * len(config.model.recurrent) if native is None else native
    return build_model(config, 20, seed=1, native=native), build_model(config, 20, seed=1)


def gradients(model: keras.Model, ids: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(ids, training=True) - 0.3))
    names = weights_of(model)
    values = {weight.path: weight for weight in model.trainable_variables}
    found = tape.gradient(loss, [weight.value for weight in values.values()])
    dense = {path: tf.convert_to_tensor(value).numpy() for path, value in zip(values, found, strict=True)}
    return {name: next(dense[path] for path in dense if path.endswith(name)) for name in names if "seed" not in name}


@pytest.mark.parametrize("name", sorted(STACKS))
@pytest.mark.parametrize("padding", ["post", "notebook"])
def test_outputs_and_gradients_are_those_of_stock_keras(name: str, padding: str) -> None:
    native, stock = pair(STACKS[name], padding=padding)
    assert {key: value.shape for key, value in weights_of(native).items()} == {
        key: value.shape for key, value in weights_of(stock).items()
    }
    ids = tokens()
    np.testing.assert_allclose(native.predict(ids, verbose=0), stock.predict(ids, verbose=0), rtol=0, atol=1e-6)
    expected = gradients(stock, ids)
    for key, value in gradients(native, ids).items():
        np.testing.assert_allclose(value, expected[key], rtol=0, atol=1e-5 * max(1.0, np.abs(expected[key]).max()))


@pytest.mark.parametrize("name", ["simple_rnn", "lstm", "gru", "bidirectional lstm", "mixed stack", "mean"])
def test_left_padding_that_is_read_as_words(name: str) -> None:
    native, stock = pair(STACKS[name], padding="notebook")
    ids = np.stack([np.roll(row, len(row) - length) for row, length in zip(tokens(), LENGTHS, strict=True)])
    ids[1] = 0  # nothing but padding
    np.testing.assert_allclose(native.predict(ids, verbose=0), stock.predict(ids, verbose=0), rtol=0, atol=1e-6)
    expected = gradients(stock, ids)
    for key, value in gradients(native, ids).items():
        np.testing.assert_allclose(value, expected[key], rtol=0, atol=1e-5 * max(1.0, np.abs(expected[key]).max()))


@pytest.mark.parametrize(
    ("row", "message"), [([1, 0, 2], "the mask has a word after padding"), ([0, 0, 0], "lengths must lie within")]
)
def test_rows_that_are_not_right_padded_are_refused(row: list[int], message: str) -> None:
    native, _ = pair(STACKS["lstm"])
    with pytest.raises(ValueError, match=message):
        native(np.array([row], np.int32))


@pytest.mark.parametrize("native", [[True, False], [False, True]])
def test_native_and_stock_layers_stack(native: list[bool]) -> None:
    stack = "recurrent: [{cell: lstm, units: 3, bidirectional: true}, {cell: gru, units: 4}]"
    mixed, stock = pair(stack, native)
    found, expected = (model.predict(tokens(), verbose=0) for model in (mixed, stock))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def curve(engine: str, text: str, steps: int = 60) -> list[float]:
    """Return the loss of each step of a training on reviews that two words decide."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, steps * 8)
    reviews = [rng.integers(3, 20, rng.integers(1, 30), dtype=np.int32) for _ in labels]
    for review, label in zip(reviews, labels, strict=True):
        review[rng.integers(len(review))] = 1 + label
    split = Split.from_sequences(reviews, labels)
    config = config_of(text, "training.batch_size=8", "training.learning_rate=2e-3", "training.clip_norm=1.0")
    model = build_model(config, 20, seed=1, native=[engine == "native"] * len(config.model.recurrent))
    batches = Batches(split, 8, seed=0, multiple=30)  # of one length, so that Keras traces one step
    compile_model(model, config.training, 2, len(batches))
    return [float(model.train_on_batch(ids[0], targets)[0]) for ids, targets in batches.epoch(0)]


@pytest.mark.parametrize(
    "text",
    [
        "recurrent: [{cell: lstm, units: 8}]",
        "recurrent: [{cell: gru, units: 8, dropout: 0.5}], dropout: 0.3",
        "recurrent: [{cell: simple_rnn, units: 8, bidirectional: true, dropout: 0.2}, {cell: lstm, units: 4}]",
    ],
)
def test_training_follows_the_curve_of_stock_keras(text: str) -> None:
    native, stock = curve("native", text), curve("stock", text)
    assert len(native) == 60
    np.testing.assert_allclose(native, stock, rtol=0, atol=1e-4)
    assert np.mean(native[-20:]) < np.mean(native[:20])


def test_weights_go_from_one_network_to_the_other() -> None:
    native, stock = pair(STACKS["mixed stack"])
    other = build_model(config_of(STACKS["mixed stack"]), 20, seed=2)
    set_weights(native, weights_of(other))
    np.testing.assert_allclose(native.predict(tokens(), verbose=0), other.predict(tokens(), verbose=0), atol=1e-6)
    assert np.abs(native.predict(tokens(), verbose=0) - stock.predict(tokens(), verbose=0)).max() > 1e-3


def test_a_new_length_traces_nothing_anew() -> None:
    native, _ = pair(STACKS["lstm"])
    traced = 0

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)])  # type: ignore[untyped-decorator]
    def run(ids: Any) -> Any:
        nonlocal traced
        traced += 1
        return native(ids, training=False)

    for length in (7, 3, 5):
        assert run(tf.constant(tokens()[:, :length])).shape == (5, 1)
    assert traced == 1


def test_a_gradient_of_inference_is_refused() -> None:
    native, _ = pair(STACKS["lstm"])
    with tf.GradientTape() as tape:
        out = tf.reduce_sum(native(tokens(), training=False))
    with pytest.raises(Exception, match="called with training=False"):
        tape.gradient(out, native.trainable_variables[0].value)
