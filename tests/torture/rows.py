"""Kills a training on a file of a million texts at random moments, and compares it with an undisturbed one.

    python -m tests.torture.rows [--rows N] [--kills N] [--seed N] FOLDER

Each start is a process of its own, as a user's would be: none of them holds what another has read. The kills come at
any moment of the first three quarters of the life of an undisturbed training, reading of the file included. In the end
all bits have to be those of the undisturbed one, and no process may have taken more than `LIMIT` times its memory.
Prints tables in Markdown; exits 1 where that is not so.
"""

from __future__ import annotations

import csv
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.kills import PHASES, phase, temporaries
from tests.torture.sameness import compare
from tests.torture.trainings import enter, parser

LIMIT = 1.2
TEXTS = Path("rows.csv")
SETTINGS = [
    "data.source=texts",
    f"data.path={TEXTS}",
    "data.fallback=null",
    "data.maxlen=16",
    "model.embedding_dim=4",
    "model.recurrent=[{cell: gru, units: 4}]",
    "training.epochs=2",
    "training.batch_size=2048",
    "training.checkpoint_every=20",
    "training.early_stopping=null",
]


@dataclass
class Life:
    """What became of the processes of one training."""

    seconds: float = 0.0
    phases: Counter[str] = field(default_factory=Counter)  # of kills


def write_rows(path: Path, rows: int) -> None:
    """Write short texts whose label two words decide."""
    rng = random.Random(0)
    words = [f"word{number}" for number in range(5000)]
    deciding = {"bad": ("dreary", "hollow", "dull"), "good": ("splendid", "moving", "warm")}
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label"])
        for row in range(rows):
            label = ("bad", "good")[row * 7919 % 13 % 2]
            text = rng.choices(words, k=rng.randrange(3, 10)) + rng.choices(deciding[label], k=2)
            writer.writerow([" ".join(text), label])


def arguments(run: Path) -> list[str]:
    """Return the arguments that train on the rows, or go on."""
    if (run / "config.yaml").exists():
        return ["train", "--resume", str(run), "--quiet"]
    found = ["train", "--config", "gru", "--run-dir", str(run), "--quiet"]
    return found + [part for setting in SETTINGS for part in ("--set", setting)]


def lived(run: Path, life: Life, seconds: float | None) -> bool:
    """Train in a process of its own, and kill it after so many seconds; return whether it came to its end."""
    before, started = temporaries(run), time.perf_counter()
    with Path("rows.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "rnnsent", *arguments(run)], stdout=log, stderr=log)
        if seconds is not None:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                life.phases[phase(run, temporaries(run) - before)] += 1
        code = process.wait()
    life.seconds += time.perf_counter() - started
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{run} cannot be trained:\n{Path('rows.log').read_text()[-2000:]}")
    return code == 0


def peak_memory_mb() -> float:
    """Return the largest resident size that a training has had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6


def tell(rows: int, lives: Sequence[tuple[str, Life, float, str]]) -> None:
    """Print the tables, of each training its name, its life, the peak memory until its end, and what differs."""
    print("| rows | training | kills | minutes | peak memory of a process, MB | differs |")
    print("| --: | :-- | --: | --: | --: | :-- |")
    for name, life, peak, differs in lives:
        cells = [f"{rows:,}", name, f"{life.phases.total()}", f"{life.seconds / 60:.1f}", f"{peak:,.0f}"]
        print(f"| {' | '.join(cells)} | {differs or 'nothing'} |")
    print("\n| the kill came | kills |\n| :-- | --: |")
    for each in PHASES:
        print(f"| {each} | {sum(life.phases[each] for _, life, _, _ in lives)} |")


def main() -> None:
    """Torture, and print what became of it."""
    asked = parser(__doc__)
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--kills", type=int, default=5)
    given = asked.parse_args()
    enter(given.folder)
    write_rows(TEXTS, given.rows)
    rng = random.Random(given.seed)
    undisturbed, killed = Path("rows-whole"), Path("rows-killed")
    for folder in (undisturbed, killed, Path("cache")):
        shutil.rmtree(folder, ignore_errors=True)
    alone, often = Life(), Life()
    lived(undisturbed, alone, None)
    memory = peak_memory_mb()
    shutil.rmtree("cache")  # each of the two reads the file itself
    ended = False
    while not ended:
        left = often.phases.total() < given.kills
        ended = lived(killed, often, rng.uniform(0, 0.75 * alone.seconds) if left else None)
        print(f"killed {dict(often.phases)}", file=sys.stderr, flush=True)
    wrong = compare(undisturbed, killed)
    if peak_memory_mb() > LIMIT * memory:
        wrong.append(f"going on took {peak_memory_mb():,.0f} MB, a whole training {memory:,.0f} MB")
    tell(given.rows, [("undisturbed", alone, memory, "–"), ("killed", often, peak_memory_mb(), "; ".join(wrong))])
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
