"""Data larger than memory: synthetic reviews in memory-mapped files, an epoch over them, and the memory it takes."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.processes import measured_apart
from rnnsent.config.loader import load_config
from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Split
from rnnsent.errors import RnnsentError

SIZES = (25_000, 100_000, 1_000_000)
CHUNK = 10_000  # reviews written at a time


@dataclass(frozen=True, slots=True)
class Scale:
    """An epoch over `reviews` synthetic reviews.

    Attributes:
        reviews, tokens: how many.
        seconds: the training part of the epoch.
        own_mb: the most memory of the process' own, in MB (10⁶ bytes); pages of the mapped files are not its own, the
            system takes them back when it needs them.
    """

    reviews: int
    tokens: int
    seconds: float
    own_mb: float


def epoch_over(reviews: int) -> Scale:
    """Train one epoch of the notebook's LSTM, batched by length, on synthetic reviews from a temporary folder."""
    from rnnsent.engine.device import start

    start("cpu")
    import keras

    from benchmarks.training import fit_model
    from rnnsent.models.builder import build_model

    config = load_config("notebook/lstm", {"data.padding": "post", "training.epochs": 1})
    with tempfile.TemporaryDirectory(prefix="rnnsent-bench-") as folder:
        split = _written(Path(folder), reviews).cut(config.data.num_words, config.data.maxlen)
        train, validation = split.take(slice(None, -1000)), split.take(slice(-1000, None))
        model = build_model(config, 10_000, seed=0, native=[True])
        seen: list[float] = []

        def on_epoch_end(epoch: int, logs: dict[str, float]) -> None:
            seen.append(logs["seconds"])

        with _Memory() as memory:
            fit_model(
                model,
                Batches.from_config(train, config, shuffle=True),
                Batches.from_config(validation, config, shuffle=False),
                config.training,
                keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end),
            )
        return Scale(len(train), int(train.lengths.sum()), seen[0], memory.peak_mb)


def _written(folder: Path, reviews: int) -> Split:
    rng = np.random.default_rng(0)
    lengths = (rng.lognormal(np.log(180), 0.65, reviews)).astype(np.int64) + 5
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = np.lib.format.open_memmap(folder / "tokens.npy", "w+", np.int32, (int(offsets[-1]),))
    for start in range(0, reviews, CHUNK):
        low, high = offsets[start], offsets[min(start + CHUNK, reviews)]
        tokens[low:high] = rng.zipf(1.3, high - low) % 9_996 + 4
    tokens.flush()
    labels = rng.integers(0, 2, reviews)
    return Split.from_offsets(np.load(folder / "tokens.npy", mmap_mode="r", allow_pickle=False), offsets, labels)


class _Memory:
    """The most anonymous memory of this process while the block runs, looked at ten times a second."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            self.peak_mb = max(self.peak_mb, own_memory_mb())
            time.sleep(0.1)


def own_memory_mb() -> float:
    """Return the anonymous memory of this process in MB (Linux)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("RssAnon"))
    except (OSError, StopIteration):
        raise RnnsentError("this system does not say how much memory is a process' own; Linux does") from None


def over_sizes(sizes: tuple[int, ...], tell: Callable[[str], None]) -> list[Scale]:
    """Measure each size in a process of its own, so that none inherits the memory of another."""
    from dataclasses import asdict

    found = []
    for size in sizes:
        found.append(Scale(**measured_apart("benchmarks.scale", size, f"{size:,} reviews")))
        tell(f"{size:,} reviews: {asdict(found[-1])}")
    return found


if __name__ == "__main__":
    import json
    import sys
    from dataclasses import asdict

    print(json.dumps(asdict(epoch_over(int(sys.argv[1])))))
