"""Whether a training gives the same bits again: in another process, on one core, with other instruction sets.

    python benchmarks/determinism.py [kernel | trainings]

kernel: one batch through each cell of the native kernel, forward and backward, on other numbers of threads and with
other instructions; prints the largest differences of an output and of a gradient. A second.

trainings: trains one epoch on the sample reviews for each cell on the native kernel, and for an LSTM in stock Keras,
and prints the largest difference of a weight from that of the same training on all cores with the best instructions.
Minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnsent.engine import kernel
from rnnsent.engine.kernel import GATES, LEVELS, Inputs, Pass, Weights

Arrays = list[NDArray[np.float32]]

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


def layer(cell: str, reviews: int, words: int, units: int) -> tuple[Weights, Inputs]:
    """Make a recurrent layer as Keras would begin it, and a batch of word vectors, of lengths up to `words`."""
    rng = np.random.default_rng(0)

    def normal(*shape: int, size: float) -> NDArray[np.float32]:
        return (rng.normal(size=shape) * size).astype(np.float32)

    gates = GATES[cell] * units
    bias = np.zeros((2, gates) if cell == "gru" else gates, np.float32)
    weights = Weights(cell, normal(units, gates, size=units**-0.5), normal(units, gates, size=units**-0.5), bias)
    lengths = rng.integers(1, words + 1, reviews).astype(np.int32)
    return weights, Inputs(normal(reviews, words, units, size=1.0), lengths)


def passed(
    weights: Weights, inputs: Inputs, *, threads: int = 2, instructions: str | None = None
) -> tuple[Arrays, Arrays]:
    """Return the states of all steps, and the gradients of the weights where each last state counts alike."""
    forward = Pass(weights, inputs, sequence=True, threads=threads, instructions=instructions)
    assert forward.states.sequence is not None
    gradients = forward.backward(np.ones_like(forward.states.last))
    return [forward.states.last, forward.states.sequence], [gradients.kernel, gradients.recurrent, gradients.bias]


def furthest(one: Arrays, other: Arrays) -> str:
    """Return the largest difference, for people; 0 where all bits are the same."""
    largest = max(float(np.abs(mine - theirs).max()) for mine, theirs in zip(one, other, strict=True))
    return f"{largest:.0e}" if largest else "0"


def print_kernel(reviews: int, words: int, units: int) -> None:
    """Print what threads and instructions change in one batch."""
    levels = LEVELS[: LEVELS.index(kernel.level())][::-1]
    print(f"one batch of {reviews} reviews of up to {words} words, {units} units; {kernel.level()}, two threads\n")
    threads = table("outputs, 1 or 3 threads", "gradients, 1 or 3 threads", "largest gradient")
    instructions = table(*(f"{what}, {level}" for level in levels for what in ("outputs", "gradients")))
    for name, cell in CELLS.items():
        weights, inputs = layer(cell, reviews, words, units)
        outputs, gradients = passed(weights, inputs)
        (one_outputs, one_gradients), (three_outputs, three_gradients) = (
            passed(weights, inputs, threads=number) for number in (1, 3)
        )
        cells = [furthest([*outputs, *outputs], [*one_outputs, *three_outputs])]
        cells.append(furthest([*gradients, *gradients], [*one_gradients, *three_gradients]))
        threads.append([name, *cells, f"{max(float(np.abs(each).max()) for each in gradients):.3g}"])
        found = [passed(weights, inputs, instructions=level) for level in levels]
        pairs = [(furthest(outputs, there), furthest(gradients, back)) for there, back in found]
        instructions.append([name, *(cell for pair in pairs for cell in pair)])
    for rows in (threads, instructions):
        print("\n".join(f"| {' | '.join(row)} |" for row in rows), end="\n\n", flush=True)


def table(*head: str) -> list[list[str]]:
    """Return the first two rows of a table in Markdown."""
    return [["", *head], [":--", *["--:"] * len(head)]]


def print_trainings() -> None:
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


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["kernel", "trainings"], help="both, if left out")
    parser.add_argument("--reviews", type=int, default=128, help="of the batch that goes through the kernel")
    parser.add_argument("--words", type=int, default=200, help="of its longest review, at most")
    parser.add_argument("--units", type=int, default=32)
    asked = parser.parse_args()
    if not kernel.available():
        parser.error("the native kernel was not built")
    if asked.what != "trainings":
        print_kernel(asked.reviews, asked.words, asked.units)
    if asked.what != "kernel":
        print_trainings()


if __name__ == "__main__":
    main()
