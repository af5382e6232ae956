"""Where a training step of rnnsent goes: its parts, each timed alone on the same batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from benchmarks.steps import step_times
from rnnsent.cli.options import overrides
from rnnsent.config.cells import CELLS
from rnnsent.config.loader import load_config
from rnnsent.data.batching import Batch, Batches
from rnnsent.data.dataset import split_dataset
from rnnsent.data.sources import load_dataset
from rnnsent.engine.kernel import Inputs, Options, Pass, Weights, flushed_denormals

STEPS, WARMUP = 40, 5
BATCH = 128


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Milliseconds of a step, medians over batches. The parts are measured one by one, so they need not add up.

    Attributes:
        cell: which.
        step: a whole step of `fit`.
        parts: batches made (in training they come from the background), the kernel forward with the embedding folded
            in, the kernel backward, the head with its gradient, the optimizer.
    """

    cell: str
    step: float
    parts: dict[str, float]

    @property
    def rest(self) -> float:
        """What is left of a step: what Keras and TensorFlow do around the parts."""
        return self.step - sum(value for name, value in self.parts.items() if name != "input")


def breakdown(cell: str, source: str) -> Breakdown:
    """Measure the parts of a step of Embedding(10000, 32) → cell(32) → Dense(1) at batch 128, batched by length."""
    from rnnsent.engine.device import start

    start("cpu")
    settings = ["data.padding=post", "data.fallback=null", f"data.source={source}", f"training.batch_size={BATCH}"]
    config = load_config(f"notebook/{cell}", overrides(settings))
    parts = split_dataset(load_dataset(config.data), config.data)
    batches = Batches.from_config(parts.train, config, shuffle=True)
    order = batches.order(0)[: STEPS + WARMUP]
    made = [batches.batch(index) for index in order]
    from rnnsent.models.builder import build_model
    from rnnsent.models.weights import weights_of

    model = build_model(config, 10_000, seed=0, native=[True])
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
    from rnnsent.engine.keras_data import keras_batches

    with flushed_denormals():  # as in a training
        forward, backward = _kernel(cell, weights_of(model), made)
        timed = {
            "input": _median(order, batches.batch),
            "cell forward, embedding included": forward,
            "cell backward, embedding included": backward,
            "head and loss": _median(made, _head()),
            "optimizer": _median(made, _optimizer(model)),
        }
        steps = step_times(model, keras_batches(batches).take(len(made)))
    return Breakdown(cell, median(steps[WARMUP:]), timed)


def _kernel(cell: str, weights: dict[str, Any], made: Sequence[Batch]) -> tuple[float, float]:
    names = [f"{cell}/{cell}_cell/{name}" for name in ("kernel", "recurrent_kernel", "bias")]
    one, two, bias = (weights[name] for name in names)
    layer = Weights(CELLS[cell], one, two, bias, weights["embedding/embeddings"])
    times: tuple[list[float], list[float]] = ([], [])
    workspace = None
    for (ids, *_), _ in made:
        lengths = np.count_nonzero(ids, axis=1).astype(np.int32)
        started = time.perf_counter()
        running = Pass(layer, Inputs(ids, lengths), Options(workspace=workspace))
        between = time.perf_counter()
        running.backward(running.states.last)
        times[0].append(between - started)
        times[1].append(time.perf_counter() - between)
        workspace = running.workspace
    forward, backward = (1000 * median(each[WARMUP:]) for each in times)
    return forward, backward


def _head() -> Callable[[Batch], Any]:
    import keras
    import tensorflow as tf

    head = keras.layers.Dense(1, "sigmoid")
    head.build((None, 32))
    states = tf.random.normal((BATCH, 32))

    @tf.function  # type: ignore[untyped-decorator]
    def run(labels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(states)
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(labels, head(states[: tf.shape(labels)[0]])))
        return tape.gradient(loss, [states, *(weight.value for weight in head.trainable_variables)])

    return lambda batch: run(batch[1])


def _optimizer(model: Any) -> Callable[[Batch], Any]:
    import tensorflow as tf

    gradients = [tf.zeros(weight.shape) for weight in model.trainable_variables]

    @tf.function  # type: ignore[untyped-decorator]
    def run() -> None:
        model.optimizer.apply(gradients, model.trainable_variables)

    model.optimizer.build(model.trainable_variables)
    return lambda batch: run()


def _median(items: Sequence[Any], work: Callable[[Any], Any]) -> float:
    times = []
    for item in items:
        started = time.perf_counter()
        work(item)
        times.append(1000 * (time.perf_counter() - started))
    return median(times[WARMUP:])
