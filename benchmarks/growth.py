"""How the cost of a training step grows with units, batch, length and layers: rnnsent beside stock Keras."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import numpy as np

from benchmarks.processes import measured_apart
from benchmarks.steps import step_times

WORDS = 10_000
MEDIAN_LENGTH, SPREAD = 180, 0.65  # of a log-normal that is near the lengths of the IMDB reviews
STEPS, WARMUP = 9, 3  # rnnsent takes so many times more, which are still less time
MORE = 5


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
    """Milliseconds of a step, the median of a process each; of processes that took turns, the first with the first."""

    setting: Setting
    stock: tuple[float, ...]
    rnnsent: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """How many times as long stock Keras took, in each turn, the least first."""
        return sorted(stock / ours for stock, ours in zip(self.stock, self.rnnsent, strict=True))


def growth(
    cell: str, tell: Callable[[str], None], varied: dict[str, tuple[int, ...]] = VARIED, rounds: int = 3
) -> dict[str, list[Cost]]:
    """Measure a step of each setting, one dimension varied at a time, by name of the dimension.

    Stock Keras and rnnsent take turns, each in processes of their own: they want other numbers of threads. A round goes
    over all settings before the next begins, so that a slow quarter of an hour does not fall on one of them alone.
    """
    settings = list(
        dict.fromkeys(replace(Setting(), **{name: each}) for name, values in varied.items() for each in values)
    )
    times: dict[Setting, list[tuple[float, float]]] = {setting: [] for setting in settings}
    for number in range(1, rounds + 1):
        for setting, found in times.items():
            stock, ours = _in_process(cell, setting, False), _in_process(cell, setting, True)
            found.append((stock, ours))
            tell(f"round {number}: {cell}, {setting}: {stock:.0f} ms, {ours:.1f} ms")
    costs = {setting: Cost(setting, *zip(*found, strict=True)) for setting, found in times.items()}
    return {name: [costs[replace(Setting(), **{name: value})] for value in values] for name, values in varied.items()}


def _in_process(cell: str, setting: Setting, native: bool) -> float:
    return float(measured_apart("benchmarks.growth", [cell, asdict(setting), native], f"{cell}, {setting}"))


def cost(cell: str, setting: Setting, native: bool) -> float:
    """Return the milliseconds of a step of `fit`, the median, for stock Keras or for rnnsent."""
    from rnnsent.engine.device import start

    start("cpu")
    rng = np.random.default_rng(0)
    lengths = np.minimum(rng.lognormal(np.log(MEDIAN_LENGTH), SPREAD, setting.batch).astype(int) + 5, setting.maxlen)
    # The bucketed batches of rnnsent hold reviews of like length; on average over batches that is the same work.
    words = rng.zipf(1.3, (setting.batch, setting.maxlen)) % (WORDS - 4) + 4
    ids = np.where(np.arange(setting.maxlen) < lengths[:, None], words, 0).astype(np.int32)
    if native:
        ids = ids[:, : lengths.max()]
    else:
        ids = np.stack([np.roll(row, setting.maxlen - length) for row, length in zip(ids, lengths, strict=True)])
    labels = rng.integers(0, 2, (setting.batch, 1)).astype(np.float32)
    repeats = (WARMUP + STEPS * (MORE if native else 1) + 1, 1)
    model = _model(cell, setting, masked=native)
    times = step_times(model, np.tile(ids, repeats), np.tile(labels, repeats), batch_size=setting.batch)
    return median(times[WARMUP:])


def _model(cell: str, setting: Setting, *, masked: bool) -> Any:
    from rnnsent.config.loader import parse_config
    from rnnsent.models.builder import build_model

    layers = [{"cell": cell, "units": setting.units}] * setting.layers
    padding = "post" if masked else "notebook"
    config = parse_config(json.dumps({"data": {"padding": padding}, "model": {"recurrent": layers}}), "growth")
    model = build_model(config, WORDS, native=[masked] * setting.layers, seed=0)
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    _cell, _setting, _native = json.loads(sys.argv[1])
    print(cost(_cell, Setting(**_setting), _native))
