"""How the cost of a training step grows with units, batch, length and layers: rnnsent beside stock Keras."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORDS = 10_000
MEDIAN_LENGTH, SPREAD = 180, 0.65  # of a log-normal that is near the lengths of the IMDB reviews
STEPS, WARMUP = 5, 2


@dataclass(frozen=True, slots=True)
class Setting:
    """One network and batch; `maxlen` cuts reviews whose lengths are those of IMDB."""

    units: int = 32
    batch: int = 128
    maxlen: int = 500
    layers: int = 1

    def __str__(self) -> str:
        return f"{self.units} units, batch {self.batch}, maxlen {self.maxlen}, {self.layers} layers"


VARIED: dict[str, tuple[int, ...]] = {
    "units": (32, 64, 128, 256),
    "batch": (32, 128, 512),
    "maxlen": (100, 250, 500, 1000),
    "layers": (1, 2, 3, 4),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of a step, medians."""

    setting: Setting
    stock_ms: float
    rnnsent_ms: float


def growth(
    cell: str, tell: Callable[[str], None], varied: dict[str, tuple[int, ...]] = VARIED
) -> dict[str, list[Cost]]:
    """Measure a step of each setting, one dimension varied at a time, by name of the dimension."""
    from rnnsent.engine.device import start

    start("cpu")
    known: dict[Setting, Cost] = {}
    for name, values in varied.items():
        for value in values:
            setting = replace(Setting(), **{name: value})
            if setting not in known:
                known[setting] = _cost(cell, setting)
                tell(f"{cell}, {setting}: {known[setting].stock_ms:.0f} ms, {known[setting].rnnsent_ms:.1f} ms")
    return {name: [known[replace(Setting(), **{name: value})] for value in values] for name, values in varied.items()}


def _cost(cell: str, setting: Setting) -> Cost:
    rng = np.random.default_rng(0)
    lengths = np.minimum(rng.lognormal(np.log(MEDIAN_LENGTH), SPREAD, setting.batch).astype(int) + 5, setting.maxlen)
    # The bucketed batches of rnnsent hold reviews of like length; on average over batches that is the same work.
    words = rng.zipf(1.3, (setting.batch, setting.maxlen)) % (WORDS - 4) + 4
    right = np.where(np.arange(setting.maxlen) < lengths[:, None], words, 0).astype(np.int32)
    left = np.stack([np.roll(row, setting.maxlen - length) for row, length in zip(right, lengths, strict=True)])
    labels = rng.integers(0, 2, (setting.batch, 1)).astype(np.float32)
    stock, native = _model(cell, setting, masked=False), _model(cell, setting, masked=True)
    trimmed = np.ascontiguousarray(right[:, : lengths.max()])
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(WARMUP + STEPS):  # in turns
        taken[0].append(_milliseconds(stock, left, labels))
        taken[1].append(_milliseconds(native, trimmed, labels))
    return Cost(setting, median(taken[0][WARMUP:]), median(taken[1][WARMUP:]))


def _model(cell: str, setting: Setting, *, masked: bool) -> Any:
    from rnnsent.config import ModelConfig
    from rnnsent.models import build_model

    layers = [{"cell": cell, "units": setting.units}] * setting.layers
    config = ModelConfig.model_validate({"recurrent": layers})
    native = [masked] * setting.layers
    model = build_model(config, num_words=WORDS, masked=masked, right_padded=masked, seed=0, native=native)
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def _milliseconds(model: Any, ids: NDArray[np.int32], labels: NDArray[np.float32]) -> float:
    started = time.perf_counter()
    model.train_on_batch(ids, labels)
    return 1000 * (time.perf_counter() - started)
