"""How long the steps of Keras' `fit` take, one by one."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

from rnnsent.engine.kernel import flushed_denormals


def step_times(model: Any, *data: Any, **options: Any) -> list[float]:
    """Train one epoch and return the milliseconds from the end of each step to the end of the next.

    Args:
        model: compiled.
        data, options: for `fit`.
    """
    import keras

    ends: list[float] = []

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            float(logs["loss"])  # as whoever shows progress does
            ends.append(time.perf_counter())

    with flushed_denormals():  # as in a training
        model.fit(*data, epochs=1, verbose=0, shuffle=False, callbacks=[Clock()], **options)
    return [1000 * (after - before) for before, after in pairwise(ends)]
