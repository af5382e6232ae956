"""Whether a training gives the same bits again: in another process, on one core, with other instruction sets.

    python benchmarks/determinism.py [kernel | trainings | killed]

kernel: one batch through each cell of the native kernel, forward and backward, on other numbers of threads and with
other instructions; prints the largest differences of an output and of a gradient. A second.

trainings: trains one epoch on the sample reviews for each cell on the native kernel, and for an LSTM in stock Keras,
and prints the largest difference of a weight from that of the same training on all cores with the best instructions.
Minutes.

killed: trains two epochs on the sample reviews, on whatever device and backend rnnsent finds (`KERAS_BACKEND=jax`, a
GPU): undisturbed, undisturbed again, and killed three times and resumed; prints the largest differences of a weight.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import cells
from rnnsent.engine import kernel
from rnnsent.engine.kernel import LEVELS, Inputs, Options, Pass, Weights

Arrays = list[NDArray[np.float32]]

CELLS = {"SimpleRNN": "simple_rnn", "LSTM": "lstm", "GRU": "gru"}
SETTINGS = [
    "data.source=sample",
    "data.fallback=null",
    "data.maxlen=60",
    "training.epochs=1",
    "training.calibrate=false",
]
KILLS = 3
# The command line on a kernel that believes in no better instructions than these.
ON_LEVEL = """
import sys
from rnnsent.config import cells
from rnnsent.engine import kernel
level = int(sys.argv.pop(1))
kernel._library().rnnsent_best = lambda: level
from rnnsent.cli.main import cli
cli(sys.argv[1:])
"""


def arguments(run: Path, settings: list[str]) -> list[str]:
    """Return those of `rnnsent` that train a run with these settings."""
    given = [part for setting in [*SETTINGS, *settings] for part in ("--set", setting)]
    return ["train", "--config", "lstm", "--run-dir", str(run), "--quiet", *given]


def train(run: Path, settings: list[str], *, level: int | None = None, cores: int | None = None) -> None:
    """Train in a process of its own, on so many cores, with the kernel's instructions of a level."""
    start = ["-m", "rnnsent"] if level is None else ["-c", ON_LEVEL, str(level)]
    before = os.sched_getaffinity(0)
    if cores is not None:
        os.sched_setaffinity(0, set(sorted(before)[:cores]))  # what is started inherits it
    try:
        subprocess.run([sys.executable, *start, *arguments(run, settings)], check=True, capture_output=True)
    finally:
        os.sched_setaffinity(0, before)


def train_killed(run: Path, settings: list[str]) -> None:
    """Train, and be killed as soon as each process has kept a state, `KILLS` times over; then to the end.

    Raises:
        RuntimeError: if the training was over before it could be killed as often.
    """
    command = arguments(run, settings)
    for _ in range(KILLS):
        before = set(run.glob("checkpoints/*.npz"))
        with subprocess.Popen([sys.executable, "-m", "rnnsent", *command], stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and set(run.glob("checkpoints/*.npz")) <= before:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError(f"{run}: exit code {process.returncode} before it was killed")
        command = ["train", "--resume", str(run), "--quiet"]
    subprocess.run([sys.executable, "-m", "rnnsent", *command], check=True, capture_output=True)


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

    kind = cells.CELLS[cell]
    gates = kind.gates * units
    bias = np.zeros((2, gates) if kind.biases == 2 else gates, np.float32)
    weights = Weights(kind, normal(units, gates, size=units**-0.5), normal(units, gates, size=units**-0.5), bias)
    lengths = rng.integers(1, words + 1, reviews).astype(np.int32)
    return weights, Inputs(normal(reviews, words, units, size=1.0), lengths)


def passed(
    weights: Weights, inputs: Inputs, *, threads: int = 2, instructions: str | None = None
) -> tuple[Arrays, Arrays]:
    """Return the states of all steps, and the gradients of the weights where each last state counts alike."""
    forward = Pass(weights, inputs, Options(sequence=True, threads=threads, instructions=instructions))
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


def print_killed() -> None:
    """Train undisturbed, again, and with kills; compare, print."""
    print("| | again | killed |\n| :-- | --: | --: |", flush=True)
    rows = [(name, [f"model.recurrent=[{{cell: {cell}, dropout: 0.2}}]"]) for name, cell in CELLS.items()]
    rows.append(("LSTM, layers of Keras alone", [rows[1][1][0], "training.engine=stock"]))
    for name, settings in rows:
        with tempfile.TemporaryDirectory() as folder:
            first, again, killed = (Path(folder, name) for name in ("first", "again", "killed"))
            settings = [*settings, "training.epochs=2", "training.checkpoint_every=5", "training.batch_size=32"]
            train(first, settings)
            train(again, settings)
            train_killed(killed, settings)
            print(f"| {name} | {difference(first, again)} | {difference(first, killed)} |", flush=True)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["kernel", "trainings", "killed"], help="all, if left out")
    parser.add_argument("--reviews", type=int, default=128, help="of the batch that goes through the kernel")
    parser.add_argument("--words", type=int, default=200, help="of its longest review, at most")
    parser.add_argument("--units", type=int, default=32)
    asked = parser.parse_args()
    if asked.what != "killed" and not kernel.available():
        parser.error("the native kernel was not built")
    if asked.what in {None, "kernel"}:
        print_kernel(asked.reviews, asked.words, asked.units)
    if asked.what in {None, "trainings"}:
        print_trainings()
    if asked.what in {None, "killed"}:
        print_killed()


if __name__ == "__main__":
    main()
