"""Whether a training gives the same bits again: in another process, on one core, with other instruction sets.

    python benchmarks/determinism.py

Trains one epoch on the sample reviews for each cell on the native kernel, and for an LSTM in stock Keras, and prints
the largest difference of a weight from that of the same training on all cores with the best instructions.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from rnnsent.engine import kernel

CELLS = {"SimpleRNN": "simple_rnn", "LSTM": "lstm", "GRU": "gru"}
SETTINGS = [
    "data.source=sample",
    "data.fallback=null",
    "data.maxlen=60",
    "training.epochs=1",
    "training.calibrate=false",
]
# The command line on a kernel that believes in no better instructions than these.
ON_LEVEL = """
import sys
from rnnsent.engine import kernel
level = int(sys.argv.pop(1))
kernel._library().rnnsent_best = lambda: level
from rnnsent.cli import cli
cli(sys.argv[1:])
"""


def train(run: Path, settings: list[str], *, level: int | None = None, cores: int | None = None) -> None:
    """Train in a process of its own, on so many cores, with the kernel's instructions of a level."""
    arguments = ["train", "--config", "lstm", "--run-dir", str(run), "--quiet"]
    arguments += [part for setting in [*SETTINGS, *settings] for part in ("--set", setting)]
    start = ["-m", "rnnsent"] if level is None else ["-c", ON_LEVEL, str(level)]
    before = os.sched_getaffinity(0)
    if cores is not None:
        os.sched_setaffinity(0, set(sorted(before)[:cores]))  # what is started inherits it
    try:
        subprocess.run([sys.executable, *start, *arguments], check=True, capture_output=True)
    finally:
        os.sched_setaffinity(0, before)


def difference(one: Path, other: Path) -> str:
    """Return the largest difference of a weight, for people."""
    if (one / "weights.npz").read_bytes() == (other / "weights.npz").read_bytes():
        return "same bits"
    with np.load(one / "weights.npz") as mine, np.load(other / "weights.npz") as theirs:
        largest = max(float(np.abs(mine[name] - theirs[name]).max()) for name in mine.files)
    return f"{largest:.1e}"


def main() -> None:
    """Train, compare, print."""
    best = kernel.LEVELS.index(kernel.level())
    variants: dict[str, Callable[[Path, list[str]], None]] = {
        "again": train,
        "one core": partial(train, cores=1),
        "one core, again": partial(train, cores=1),
    }
    for level in range(best - 1, -1, -1):
        variants[kernel.LEVELS[level]] = partial(train, level=level)
    print(f"{len(os.sched_getaffinity(0))} cores, {kernel.level()}\n")
    print(f"| | {' | '.join(variants)} |\n| :-- |{' --: |' * len(variants)}", flush=True)
    rows = [(f"{name}, native", [f"model.recurrent=[{{cell: {cell}}}]"]) for name, cell in CELLS.items()]
    rows.append(("LSTM, stock Keras", ["model.recurrent=[{cell: lstm}]", "training.engine=stock"]))
    for name, settings in rows:
        with tempfile.TemporaryDirectory() as folder:
            train(Path(folder, "first"), settings)
            cells = []
            for variant, run in variants.items():
                path = Path(folder, variant.replace(" ", "-"))
                run(path, settings)
                against = "one-core" if variant == "one core, again" else "first"
                cells.append(difference(Path(folder, against), path))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
