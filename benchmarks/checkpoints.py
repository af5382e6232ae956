"""What checkpoints cost: the LSTM on the real reviews, with the default's checkpoints and with none inside an epoch.

    RNNSENT_DATA=… python benchmarks/checkpoints.py [--rounds N] [--epochs N] [--config NAME] [--every 60s]

Both in turns, each training in a process of its own; the seconds are those of whole epochs as a user waits for them,
with validation and checkpoints (`elapsed` of history.csv, from the first epoch's end to the last's). Exits 1 where
checkpoints cost more than `LIMIT`. On a machine that does other work as well the figures mean little.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

LIMIT = 0.02


def seconds(folder: Path, config: str, epochs: int, every: str) -> float:
    """Train, and return the seconds of an epoch but the first, in which TensorFlow traces."""
    run = folder / "run"
    command = [
        sys.executable,
        "-m",
        "rnnsent",
        "train",
        "--config",
        config,
        "--run-dir",
        str(run),
        "--force",
        "--quiet",
    ]
    command += ["--epochs", str(epochs), "--set", f"training.checkpoint_every={every}"]
    command += ["--set", "training.early_stopping=null", "--no-fallback"]
    subprocess.run(command, check=True, capture_output=True)
    with (run / "history.csv").open(newline="") as handle:
        ends = [float(row["elapsed"]) for row in csv.DictReader(handle)]
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--config", default="lstm")
    parser.add_argument("--every", default="60s", help="as training.checkpoint_every")
    given = parser.parse_args()
    found: dict[str, list[float]] = {given.every: [], "null": []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(given.rounds):
            for every in found if turn % 2 == 0 else reversed(found):
                found[every].append(seconds(Path(folder), given.config, given.epochs, every))
                print(f"{every}: {found[every][-1]:.2f} s an epoch", file=sys.stderr, flush=True)
    each, none = median(found[given.every]), median(found["null"])
    print("| checkpoints | seconds an epoch, median | of all |\n| :-- | --: | :-- |")
    for every, values in found.items():
        print(f"| {every} | {median(values):.2f} | {', '.join(f'{value:.2f}' for value in values)} |")
    print(f"\ncost: {each / none - 1:+.2%}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if each / none - 1 > LIMIT:
        sys.exit(f"checkpoints cost more than {LIMIT:.0%}")


if __name__ == "__main__":
    main()
