"""An epoch of the notebook's models on the real reviews: its own code in stock Keras, and rnnsent, in turns.

    RNNSENT_DATA=… python benchmarks/epoch.py [REPEATS]

Prints a table in Markdown: medians of REPEATS (3) runs of each, and the ratio to stock Keras. Every network has been
run once before it is timed, so that nothing is compiled inside. Prediction is of the 25,000 test reviews.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

from rnnsent.batches import Batches
from rnnsent.config import Config
from rnnsent.configfile import load_config
from rnnsent.data.dataset import partition
from rnnsent.data.sources import load_dataset
from rnnsent.engine import kernel
from rnnsent.engine.feed import keras_batches
from rnnsent.models import model_for, weights_of
from rnnsent.prediction import load_predictor

CELLS = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
FORMS = {"rnnsent, the notebook's form": "notebook", "rnnsent, masked and bucketed": "post"}
Timed = Callable[[], None]


def padded(split: Any) -> np.ndarray[Any, Any]:
    """Return the (reviews, 500) matrix of the notebook."""
    batches = Batches(split, len(split), bucketing=False, side="pre", fixed_length=500)
    return next(iter(batches.epoch(0)))[0]


def compiled(model: keras.Model) -> keras.Model:
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def contestants(cell: str, parts: Any) -> dict[str, tuple[Timed, Timed]]:
    """Return, by name, what trains one epoch and what predicts the test reviews."""
    stock = compiled(keras.Sequential([layers.Embedding(10_000, 32), CELLS[cell](32), layers.Dense(1, "sigmoid")]))
    train, test, labels = padded(parts.train), padded(parts.test), parts.train.labels.astype(np.float32)[:, None]
    runs: dict[str, tuple[Timed, Timed]] = {
        "stock Keras": (
            lambda: stock.fit(train, labels, batch_size=128, verbose=0),
            lambda: stock.predict(test, batch_size=128, verbose=0),
        )
    }
    for name, padding in FORMS.items():
        config = load_config(
            f"notebook/{cell}", [("--set", f"data.padding={padding}"), ("--set", "training.batch_size=128")]
        )
        runs[name] = rnnsent_runs(config, parts)
    return runs


def rnnsent_runs(config: Config, parts: Any) -> tuple[Timed, Timed]:
    model = compiled(model_for(config, num_words=10_000, native=[True]))
    batches = Batches.from_config(parts.train, config, shuffle=True)
    return (
        lambda: model.fit(keras_batches(batches), verbose=0, shuffle=False),
        lambda: load_predictor(config, weights_of(model))(parts.test),
    )


def seconds(run: Timed) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    config = load_config("notebook/lstm")
    parts = partition(load_dataset(config.data), config.data)
    print(f"Kernel: {kernel.level()}, {kernel.default_threads()} threads; {repeats} repeats in turns.\n")
    print("| cell | what | s/epoch | times | s/prediction of 25,000 | times |\n|---|---|---|---|---|---|")
    for cell in CELLS:
        runs = contestants(cell, parts)
        times: dict[tuple[str, int], list[float]] = {}
        for repeat in range(repeats + 1):
            for name, pair in runs.items():
                for which, run in enumerate(pair):
                    taken = seconds(run)
                    if repeat:  # the first round compiles
                        times.setdefault((name, which), []).append(taken)
        medians = {key: statistics.median(values) for key, values in times.items()}
        for name in runs:
            epoch, prediction = medians[name, 0], medians[name, 1]
            ratios = (medians["stock Keras", 0] / epoch, medians["stock Keras", 1] / prediction)
            print(
                f"| {cell} | {name} | {epoch:.2f} | {ratios[0]:.1f} | {prediction:.2f} | {ratios[1]:.1f} |", flush=True
            )


if __name__ == "__main__":
    main()
