"""What keeping the state of a training costs: the share of its time in which it stands still for that.

    python benchmarks/checkpoints.py [--share-of-reviews X] [CASE …]

Each case trains in a process of its own, on texts that are made up: what counts is the size of the state and how long a
step takes. From the end of the first step on, in which TensorFlow traces, to the last checkpoint, every second is
measured that training waits for the state to be gathered, held against infinity, hashed, written and synced, within
epochs and at their ends; and, apart from that, for what an epoch that was the best leaves: weights, model.keras,
history and curves. Exits 1 where checkpoints take more than `LIMIT` of the time, or where none was written within an
epoch although the case is about these. On a machine that does other work as well the figures mean little.
"""

from __future__ import annotations

import argparse
import csv
import functools
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

LIMIT = 0.02
WORDS = 40_000  # more than a config keeps, so that its table of words is full
REVIEW = (5.2, 0.65)  # logarithm of the number of words, mean and deviation: those of the IMDB reviews


@dataclass(frozen=True)
class Case:
    """A training that is measured: of which config, how often it keeps its state, on how many reviews."""

    config: str
    every: str
    reviews: int
    epochs: int
    within: bool  # whether it is about checkpoints within epochs


CASES = {
    "lstm, the default": Case("lstm", "60s", 25_000, 4, within=False),
    "lstm, every 5 s": Case("lstm", "5s", 150_000, 2, within=True),
    "best, the default": Case("best", "60s", 50_000, 2, within=True),
    "best, every 5 s": Case("best", "5s", 25_000, 1, within=True),
}


@dataclass
class Waits:
    """When training stood still, in seconds of `time.perf_counter`: beginning and end of each time."""

    began: float = 0.0  # the end of the first step
    within: list[tuple[float, float]] = field(default_factory=list)
    after: list[tuple[float, float]] = field(default_factory=list)
    best: list[tuple[float, float]] = field(default_factory=list)
    largest: int = 0  # bytes of a checkpoint

    @property
    def seconds(self) -> float:
        """How long training was looked at."""
        return max(end for _, end in self.within + self.after) - self.began

    def share(self, times: list[tuple[float, float]]) -> float:
        """Return which part of that these times are."""
        return sum(end - start for start, end in times) / self.seconds


def write_texts(path: Path, reviews: int) -> None:
    """Write reviews whose words are as frequent as those of real ones: the n-th most frequent in proportion to 1/n."""
    rng = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(WORDS)], dtype=object)
    frequency = np.cumsum(1 / np.arange(3, WORDS + 3))
    lengths = np.clip(rng.lognormal(*REVIEW, reviews), 10, 2500).astype(int)
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label"])
        for number, length in enumerate(lengths.tolist()):
            drawn = words[np.searchsorted(frequency, rng.random(length) * frequency[-1])]
            writer.writerow([" ".join([*drawn, f"word{number % WORDS}"]), ("negative", "positive")[number % 2]])


def write_vectors(path: Path, width: int) -> None:
    """Write a vector for each word; only a few of them differ."""
    rows = [" ".join(map(str, row)) for row in np.random.default_rng(0).integers(-9, 10, (64, width)) / 100]
    path.write_text("".join(f"word{word} {rows[word % len(rows)]}\n" for word in range(WORDS)))


@contextmanager
def watched(waits: Waits) -> Iterator[None]:
    """Note whenever training stands still for its state."""
    from rnnsent.training.callbacks import Recorder, StateKeeper

    def timed(function: Callable[..., None], times: Callable[..., list[tuple[float, float]]]) -> Callable[..., None]:
        @functools.wraps(function)
        def wrapper(self: Any, *arguments: Any) -> None:
            started = time.perf_counter()
            function(self, *arguments)
            times(*arguments).append((started, time.perf_counter()))

        return wrapper

    keep = timed(StateKeeper._keep, lambda epoch, step: waits.within if step else waits.after)
    tell = timed(Recorder.on_epoch_end, lambda epoch, logs=None: waits.best)
    with patch.object(StateKeeper, "_keep", keep), patch.object(Recorder, "on_epoch_end", tell):
        yield


def settings(case: Case, texts: Path) -> list[str]:
    """Return what differs from the config that is measured: the texts, their vectors, and that it does not stop early.

    Without n-grams, which are no part of the state, a step takes a little less: that is on the strict side.
    """
    found = ["data.source=texts", f"data.path={texts}", "data.fallback=null", "data.validation_split=0.05"]
    found += [f"training.epochs={case.epochs}", "training.early_stopping=null", "training.calibrate=false"]
    found += [f"training.checkpoint_every={case.every}", "training.device=cpu"]
    if case.config == "best":
        vectors = texts.with_name("vectors.txt")
        write_vectors(vectors, 300)
        found += ["model.ngrams=null", f"model.vectors={{path: '{vectors}', trainable: false}}"]
    return found


def measured(case: Case, folder: str) -> Waits:
    """Train a case in this process."""
    os.environ |= {"RNNSENT_CACHE": str(Path(folder, "cache")), "TF_CPP_MIN_LOG_LEVEL": "3"}
    from rnnsent.training.observers import Observer, StepFacts

    from rnnsent.cli.options import overrides
    from rnnsent.config.loader import load_config
    from rnnsent.training import experiment
    from rnnsent.training.checkpoint import Checkpoint

    waits, run = Waits(), Path(folder, "run")

    class Watch(Observer):
        """Notes the first step, and the size of checkpoints."""

        def on_step(self, facts: StepFacts) -> None:
            """Begin to measure."""
            waits.began = waits.began or time.perf_counter()

        def on_state(self, checkpoint: Checkpoint) -> None:
            """Look at the file, if it is there by now."""
            path = run / checkpoint.name
            waits.largest = max(waits.largest, path.stat().st_size if path.exists() else 0)

    texts = Path(folder, "texts.csv")
    write_texts(texts, case.reviews)
    config = load_config(case.config, overrides(settings(case, texts)), to_train=True)
    with watched(waits):
        experiment.train(config, "cost", run_dir=run, observers=[Watch()])
    return waits


def row(name: str, waits: Waits) -> str:
    """Return a row of the table."""
    cells = [f"{waits.seconds:.0f} s", f"{waits.largest / 1e6:.1f} MB"]
    for times in (waits.within, waits.after, waits.best):
        mean = sum(end - start for start, end in times) / max(len(times), 1)
        cells.append(f"{len(times)} × {1000 * mean:.0f} ms, {waits.share(times):.2%}")
    return f"| {name} | {' | '.join(cells)} | {waits.share(waits.within + waits.after):.2%} |"


def faults(name: str, case: Case, waits: Waits) -> Iterator[str]:
    """Yield what is not as promised."""
    share = waits.share(waits.within + waits.after)
    if share > LIMIT:
        yield f"{name}: checkpoints take {share:.2%} of the time, which is more than {LIMIT:.0%}"
    if case.within and not waits.within:
        yield f"{name}: no checkpoint was written within an epoch; take more reviews"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", choices=[[], *CASES], help=", ".join(map(repr, CASES)))
    parser.add_argument("--share-of-reviews", type=float, default=1.0, help="below 1 to try it, which proves nothing")
    given = parser.parse_args()
    wrong: list[str] = []
    head = ["case", "time", "largest checkpoint", "within epochs", "after epochs", "best weights, history"]
    print(f"| {' | '.join(head)} | checkpoints in all |\n|{' :-- |' * 6} --: |", flush=True)
    for name in given.cases or CASES:
        case = CASES[name]
        case = Case(case.config, case.every, int(case.reviews * given.share_of_reviews), case.epochs, case.within)
        with (
            tempfile.TemporaryDirectory() as folder,
            ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
        ):
            waits = pool.submit(measured, case, folder).result()
        print(row(name, waits), flush=True)
        wrong += faults(name, case, waits)
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
