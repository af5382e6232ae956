"""Kills trainings at random moments until they end all the same, and compares them with undisturbed ones.

    python -m tests.torture.kills [--kills N] [--seed N] FOLDER [CASE…]

Each case is trained undisturbed once, in a process of its own; then again and again the same training is started,
killed by SIGKILL and resumed, until it has ended and its share of the kills is used up. A fifth of the kills each is to
come at any moment of its life, before its first checkpoint, after it, as soon as a checkpoint is seen to be written,
and while the run is completed. All files of the run have to be those of the undisturbed one, see `sameness`. Prints
tables in Markdown; exits 1 where anything differs. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.sameness import compare
from tests.torture.trainings import CASES, Forked, arguments, cache, enter, remove, whole

PHASES = (
    "before there was a run", "before the first checkpoint", "in the writing of a checkpoint",
    "in the writing of another file", "between two writings", "while the run was completed",
)  # fmt: skip
BEFORE, FIRST, CHECKPOINT, FILE, BETWEEN, ENDING = PHASES


@dataclass
class Case:
    """What became of one case: kills that hit a training, by phase, and what differs in the end."""

    name: str
    phases: Counter[str] = field(default_factory=Counter)
    endings: int = 0
    differences: list[str] = field(default_factory=list)


@dataclass
class Life:
    """How long an undisturbed training takes, in seconds: to its first checkpoint, to its completion, and in all."""

    first: float
    trained: float
    length: float


def files(run: Path) -> set[Path]:
    """Return the files of a run and of a language model's training in the cache; some of them may go meanwhile."""
    folders = [run, *cache().glob("*language-model-*")]
    return {Path(folder, name) for each in folders for folder, _, names in os.walk(each) for name in names}


def checkpoints(run: Path) -> set[Path]:
    """Return the checkpoints of all networks, and of a language model."""
    return {path for path in files(run) if path.name.startswith("epoch-")}


def temporaries(run: Path) -> set[Path]:
    """Return the files that are being written, or were when somebody was killed."""
    return {path for path in files(run) if path.name.startswith(".") and path.name != ".lock"}


def is_checkpoint(temporary: Path) -> bool:
    """Return whether a file that is being written will be a checkpoint."""
    return temporary.name.startswith(".epoch-")


def is_ending(run: Path) -> bool:
    """Return whether the run is being completed: what is written first then is there."""
    return any((run / name).exists() for name in ("summary.json", "calibration.json"))


def phase(run: Path, torn: set[Path]) -> str:
    """Return what a training was doing when it was killed and left these half-written files."""
    if not (run / "config.json").exists():
        return BEFORE
    if any(map(is_checkpoint, torn)):
        return CHECKPOINT
    if is_ending(run):
        return ENDING
    return FILE if torn else BETWEEN if checkpoints(run) else FIRST


def until(child: Forked, condition: Callable[[], bool]) -> None:
    """Wait until something is so, or the training is over."""
    while child.poll() is None and not condition():
        time.sleep(0.0003)


def pause(child: Forked, seconds: float) -> None:
    """Wait so long, or until the training is over."""
    end = time.perf_counter() + seconds
    until(child, lambda: time.perf_counter() >= end)


def wait(child: Forked, run: Path, life: Life, rng: random.Random) -> None:
    """Wait for the moment of a kill."""
    aim = rng.choice(["life", "beginning", "training", "writing", "completion"])
    if aim in ("life", "beginning"):
        pause(child, rng.uniform(0.0, life.length if aim == "life" else life.first))
        return
    if aim == "completion":
        until(child, lambda: is_ending(run))
        pause(child, rng.uniform(0.0, life.length - life.trained))
        return
    before, torn = checkpoints(run), temporaries(run)
    until(child, lambda: bool(checkpoints(run) - before))
    # Rather early than late: a training that has come far will not be killed often.
    pause(child, rng.random() ** 2 * (life.trained - life.first))
    if aim == "writing":
        until(child, lambda: any(map(is_checkpoint, temporaries(run) - torn)))


def forked(name: str, run: Path) -> Forked:
    """Begin or continue a training of a case."""
    return Forked(arguments(name, run), run.with_suffix(".log"))


def killed(case: Case, run: Path, life: Life, rng: random.Random) -> bool:
    """Let a training begin or continue, and kill it; return whether it was still running."""
    before = temporaries(run)
    child = forked(case.name, run)
    wait(child, run, life, rng)
    if child.kill():
        case.phases[phase(run, temporaries(run) - before)] += 1
        return True
    child.finish()
    return False


def undisturbed(name: str, run: Path) -> Life:
    """Train a case in a fork; return how long it takes."""
    remove(run)
    started = time.perf_counter()
    child = forked(name, run)
    moments = []
    for condition in (lambda: bool(checkpoints(run)), lambda: is_ending(run)):
        until(child, condition)
        moments.append(time.perf_counter() - started)
    child.finish()
    return Life(moments[0], moments[1], time.perf_counter() - started)


def torture(case: Case, kills: int, rng: random.Random) -> None:
    """Kill a case `kills` times."""
    name = case.name
    expected, fork = Path(f"{name}-whole"), Path(f"{name}-fork")
    whole(name, expected)
    life = undisturbed(name, fork)
    case.differences += [f"{fork}, undisturbed: {each}" for each in compare(expected, fork)]
    while case.phases.total() < kills:
        run = Path(f"{name}-{case.endings}")
        remove(run)
        while case.phases.total() < kills and killed(case, run, life, rng):
            pass
        if not (run / "manifest.json").exists():
            forked(name, run).finish()
        case.endings += 1
        case.differences += [f"{run}: {each}" for each in compare(expected, run)]
        print(f"{name}: {case.phases.total()} kills, {case.differences}", file=sys.stderr, flush=True)


def main() -> None:
    """Torture the cases, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=200, help="in all")
    parser.add_argument("cases", nargs="*", default=list(CASES))
    asked = parser.parse_args()
    enter(asked.folder)
    rng = random.Random(asked.seed)
    cases = [Case(name) for name in asked.cases]
    try:
        for case in cases:
            torture(case, -(-asked.kills // len(cases)), rng)
    finally:  # half an hour's work is worth printing
        print("| case | kills survived | trainings that ended | not the same bits |\n| :-- | --: | --: | --: |")
        for case in cases:
            print(f"| {case.name} | {case.phases.total()} | {case.endings} | {len(case.differences)} |")
        print("\n| the kill came | kills |\n| :-- | --: |")
        for each in PHASES:
            print(f"| {each} | {sum(case.phases[each] for case in cases)} |")
    sys.exit("\n".join(each for case in cases for each in case.differences) or 0)


if __name__ == "__main__":
    main()
