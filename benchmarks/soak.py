"""Memory of one process that predicts and trains for a long time: 1,000 predictions, 50 times train and eval.

    python benchmarks/soak.py [--predictions N] [--cycles N] [--plot docs/soak.png]

Prints both slopes, draws the resident memory, and exits 1 where it is not flat: where a line through the second half of
the measurements rises by more than `PREDICTION_LIMIT` or `CYCLE_LIMIT`. The reviews come with the package.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PREDICTION_LIMIT = 0.1  # MB a hundred predictions
CYCLE_LIMIT = 1.0  # MB a cycle
LENGTHS = (0, 1, 5, 20, 100, 500, 3000, 20_000)  # words
COUNTS = (1, 1, 2, 8, 64, 300)  # texts
SETTINGS = {
    "data.source": "sample",
    "data.fallback": None,
    "data.maxlen": 60,
    "model.embedding_dim": 8,
    "model.recurrent": [{"cell": "gru", "units": 8}],
    "training.epochs": 1,
    "training.batch_size": 256,
}


def memory() -> float:
    """Return the resident memory of this process, in MB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def texts(rng: random.Random) -> list[str]:
    """Return some texts of all lengths; few are very long."""
    lengths = rng.choices(LENGTHS, weights=range(len(LENGTHS), 0, -1), k=rng.choice(COUNTS))
    return [" ".join(rng.choices(("good", "bad", "film", "unheard-of", "the"), k=length)) for length in lengths]


def cycles(run: Path, number: int) -> Iterator[float]:
    """Train and eval in this process again and again; yield the memory after each."""
    from rnnsent.config.loader import load_config
    from rnnsent.evaluation.evaluate import evaluate
    from rnnsent.training import experiment

    config = load_config("gru", SETTINGS, to_train=True)
    for _ in range(number):
        trained = experiment.train(config, experiment.Request("soak"), run_dir=run, force=True)
        evaluate(trained, "validation").write()
        yield memory()


def predictions(run: Path, number: int) -> Iterator[float]:
    """Answer about texts again and again; yield the memory after each time."""
    import rnnsent

    classifier = rnnsent.load(run)
    rng = random.Random(0)
    for _ in range(number):
        classifier.predict(texts(rng))
        yield memory()


def slope(found: NDArray[np.float64]) -> float:
    """Return by how much the second half rises from one measurement to the next."""
    rest = found[len(found) // 2 :]
    return float(np.polyfit(np.arange(len(rest)), rest, 1)[0])


def plot(path: Path, trainings: NDArray[np.float64], answers: NDArray[np.float64]) -> None:
    """Draw both."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), dpi=100, layout="constrained")
    panels: list[tuple[Any, NDArray[np.float64], str]] = [
        (axes[0], trainings, "trainings, each with an eval"),
        (axes[1], answers, "predictions of 1 to 300 texts"),
    ]
    for axis, values, label in panels:
        axis.plot(np.arange(1, len(values) + 1), values, color="#1f77b4")
        axis.set(xlabel=f"{label} (number)", ylabel="resident memory (MB)", ylim=(0, 1.15 * values.max()))
        axis.grid(alpha=0.3)
    figure.savefig(path)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=int, default=1000)
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--plot", type=lambda name: Path(name).resolve(), default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        trainings = np.array(list(cycles(Path("run"), given.cycles)))
        answers = np.array(list(predictions(Path("run"), given.predictions)))
    cycle, hundred = slope(trainings), 100 * slope(answers)
    print("| | number | first (MB) | last (MB) | slope of the second half |\n| :-- | --: | --: | --: | --: |")
    print(f"| train and eval | {len(trainings)} | {trainings[0]:.0f} | {trainings[-1]:.0f} | {cycle:+.3f} MB each |")
    print(f"| predict | {len(answers)} | {answers[0]:.0f} | {answers[-1]:.0f} | {hundred:+.3f} MB a hundred |")
    if given.plot is not None:
        plot(given.plot, trainings, answers)
    if cycle > CYCLE_LIMIT or hundred > PREDICTION_LIMIT:
        sys.exit(f"memory is not flat: more than {CYCLE_LIMIT} MB a cycle or {PREDICTION_LIMIT} MB a 100 predictions")


if __name__ == "__main__":
    main()
