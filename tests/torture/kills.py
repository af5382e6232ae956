"""Kills trainings at random moments until they end all the same, and compares them with undisturbed ones.

    python -m tests.torture.kills [--kills N] [--seed N] FOLDER [CASE…]

Each case is trained undisturbed once; then again and again the same training is started, killed by SIGKILL at a random
moment between its start and its end, and resumed, until it has ended and the kills are used up. The final weights have
to be the same bits, the history the same but for the time, and the log without an epoch twice. Prints a table in
Markdown; exits 1 where anything differs. What the sample reviews are made of is in the package: nothing is downloaded.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TINY = ["data.source=sample", "data.fallback=null", "data.maxlen=40", "model.embedding_dim=8"]
QUICK = ["training.epochs=3", "training.batch_size=256", "training.checkpoint_every=1", "training.calibrate=false"]

CASES = {
    "simple_rnn": ("simple_rnn", ["model.recurrent=[{cell: simple_rnn, units: 8}]"]),
    "lstm": ("lstm", ["model.recurrent=[{cell: lstm, units: 8, dropout: 0.3}]"]),
    "gru": ("gru", ["model.recurrent=[{cell: gru, units: 8, bidirectional: true}]", "training.clip_norm=1.0"]),
    "stock": ("gru", ["model.recurrent=[{cell: gru, units: 4}]", "training.engine=stock", "model.dropout=0.4"]),
    "plateau": (
        "lstm",
        [
            "model.recurrent=[{cell: lstm, units: 8}]",
            "training.schedule={kind: plateau, patience: 1}",
            "training.ema=null",
        ],
    ),
    "ensemble": (
        "gru",
        [
            "model.recurrent=[{cell: gru, units: 8}]",
            "ensemble=[{}, {recurrent: [{cell: lstm, units: 8}]}]",
            "training.epochs=2",
        ],
    ),
}


@dataclass
class Case:
    """What became of one case: kills that hit a training, and what differs in the end."""

    name: str
    kills: int = 0
    endings: int = 0
    differences: list[str] = field(default_factory=list)


def command(name: str, run: Path) -> list[str]:
    """Return the command that trains a case, or lets it go on."""
    config, settings = CASES[name]
    begun = (run / "config.yaml").exists()
    arguments = ["--resume", str(run)] if begun else ["--config", config, "--run-dir", str(run)]
    if not begun:
        arguments += [part for setting in [*TINY, *QUICK, *settings] for part in ("--set", setting)]
    return [sys.executable, "-m", "rnnsent", "train", *arguments, "--quiet"]


def undisturbed(name: str, run: Path) -> float:
    """Train to the end; return how many seconds it took."""
    started = time.perf_counter()
    subprocess.run(command(name, run), check=True, capture_output=True)
    return time.perf_counter() - started


def killed(name: str, run: Path, after: float) -> bool:
    """Train, and kill it `after` seconds; return whether it was still running."""
    with subprocess.Popen(command(name, run), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as training:
        try:
            _, errors = training.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            training.send_signal(signal.SIGKILL)
            training.communicate()
            return True
    if training.returncode:
        raise RuntimeError(f"{name}: {run} cannot go on:\n{errors.decode()}")
    return False


def files(run: Path) -> list[Path]:
    """Return the files of a run that have to be the same bits."""
    return sorted(path.relative_to(run) for path in run.rglob("weights.npz"))


def history(run: Path) -> Iterator[tuple[str, ...]]:
    """Yield what was written of each epoch, without the time it took."""
    for path in sorted(run.rglob("history.csv")):
        with path.open(newline="") as handle:
            for row in csv.DictReader(handle):
                yield tuple(v for k, v in row.items() if k not in ("seconds", "tokens_per_second", "elapsed"))


def compare(whole: Path, run: Path) -> list[str]:
    """Return what differs between two runs that should be one."""
    found = [f"{path} differs" for path in files(whole) if (whole / path).read_bytes() != (run / path).read_bytes()]
    found += [] if files(whole) == files(run) else ["other networks"]
    return found + ([] if list(history(whole)) == list(history(run)) else ["history.csv differs"])


def torture(name: str, folder: Path, kills: int, rng: random.Random) -> Case:
    """Kill a case so many times."""
    case = Case(name)
    whole = folder / f"{name}-whole"
    shutil.rmtree(whole, ignore_errors=True)
    length = undisturbed(name, whole)
    # Importing TensorFlow takes most of such a training; half of all kills come when the training itself runs.
    while case.kills < kills:
        run = folder / f"{name}-{case.endings}"
        shutil.rmtree(run, ignore_errors=True)
        while killed(name, run, rng.uniform(rng.choice([0.0, 0.6]) * length, length)):
            case.kills += 1
            if case.kills >= kills:
                break
        if (run / "manifest.json").exists() or not killed(name, run, 600.0):
            case.endings += 1
            case.differences += [f"{run}: {each}" for each in compare(whole, run)]
        print(f"{name}: {case.kills} kills, {case.endings} endings, {case.differences}", file=sys.stderr, flush=True)
    return case


def main() -> None:
    """Torture the cases, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=40, help="of each case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("cases", nargs="*", default=list(CASES))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    os.environ["RNNSENT_CACHE"] = str(given.folder / "cache")
    rng = random.Random(given.seed)
    cases = [torture(name, given.folder, given.kills, rng) for name in given.cases]
    print("| case | kills | trainings that ended | not the same bits |\n| :-- | --: | --: | --: |")
    for case in cases:
        print(f"| {case.name} | {case.kills} | {case.endings} | {len(case.differences)} |")
    sys.exit("\n".join(each for case in cases for each in case.differences) or 0)


if __name__ == "__main__":
    main()
