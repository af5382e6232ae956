"""Kills trainings at random moments until they end all the same, and compares them with undisturbed ones.

    python -m tests.torture.kills [--kills N] [--seed N] FOLDER [CASE…]

Each case is trained undisturbed once, in a process of its own; then again and again the same training is started,
killed by SIGKILL and resumed, until it has ended and the kills are used up. A fifth of the kills each is to come at any
moment of its life, before its first checkpoint, after it, as soon as a checkpoint is seen to be written, and while the
run is completed. All files of the run have to be those of the undisturbed one, see `sameness`. Prints tables in
Markdown; exits 1 where anything differs. What the reviews are made of is in the package: nothing is downloaded.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.sameness import compare
from tests.torture.trainings import (
    CASES,
    EARLY,
    Forked,
    arguments,
    cache,
    enter,
    import_all,
    parser,
    remove,
    stopped_early,
    whole,
)  # fmt: skip

BEFORE, FIRST, CHECKPOINT = "before there was a run", "before the first checkpoint", "in the writing of a checkpoint"
FILE, BETWEEN, ENDING = "in the writing of another file", "between two writings", "while the run was completed"
FORETELLING = "between two writings of a language model's state"
PHASES = (BEFORE, FIRST, FORETELLING, CHECKPOINT, FILE, BETWEEN, ENDING)


@dataclass
class Case:
    """What became of one case: kills that hit a training, by phase, and what differs in the end."""

    name: str
    phases: Counter[str] = field(default_factory=Counter)
    endings: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """How many kills hit a training."""
        return self.phases.total()


@dataclass
class Life:
    """How long an undisturbed training takes, in seconds: to its first checkpoint, to its completion, and in all."""

    first: float
    trained: float
    length: float


def files(run: Path) -> set[Path]:
    """Return the files of a run; it may remove some of them at the same time."""
    return {Path(folder, name) for folder, _, names in os.walk(run) for name in names}


def temporaries(run: Path) -> set[Path]:
    """Return the files that are being written, or were when somebody was killed; of a language model, in the cache."""
    own = {path for path in files(run) if path.name.startswith(".") and path.name != ".lock"}
    return own | {*cache().glob(".language-model-*"), *cache().glob("language-model-*/.*")}


def checkpoints(run: Path) -> set[Path]:
    """Return the checkpoints of all networks of a run."""
    return {path for path in files(run) if path.parent.name == "checkpoints" and path.match("epoch-*.npz")}


def foretelling() -> set[tuple[Path, int]]:
    """Return the states of a language model in training, and when each was written."""
    return written([*cache().glob("language-model-*-within/state.npz"), *cache().glob("language-model-*-after-*")])


def written(paths: Iterable[Path]) -> set[tuple[Path, int]]:
    """Return those of the files that are there, and when each was written."""
    found = set()
    for path in paths:
        with suppress(FileNotFoundError):  # it may go meanwhile
            found.add((path, path.stat().st_mtime_ns))
    return found


def completion(run: Path) -> set[tuple[Path, int]]:
    """Return what is written first when training is over."""
    return written([run / "calibration.json", run / "metrics.json"])


def is_state(temporary: Path) -> bool:
    """Return whether a file that is being written is the state of a training."""
    return temporary.parent.name == "checkpoints" or cache() in temporary.parents


def phase(run: Path, torn: set[Path], *, ending: bool = False) -> str:
    """Return what a training was doing when it was killed and left these half-written files.

    Args:
        run: of the training.
        torn: half-written files, which it left.
        ending: whether it had begun to complete the run.
    """
    if ending:
        return ENDING
    if any(map(is_state, torn)):
        return CHECKPOINT
    if torn:
        return FILE
    if not (run / "config.yaml").exists():
        return BEFORE
    if foretelling():
        return FORETELLING
    return BETWEEN if checkpoints(run) else FIRST


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
        ended = completion(run)
        until(child, lambda: bool(completion(run) - ended))
        pause(child, rng.uniform(0.0, life.length - life.trained))
        return
    before, torn, foretold = checkpoints(run), temporaries(run), foretelling()
    until(child, lambda: bool(checkpoints(run) - before or foretelling() - foretold))
    # Rather early than late: a training that has come far will not be killed often.
    pause(child, rng.random() ** 2 * (life.trained - life.first))
    if aim == "writing":
        until(child, lambda: any(map(is_state, temporaries(run) - torn)))


def killed(case: Case, run: Path, life: Life, rng: random.Random) -> bool:
    """Let a training begin or go on, and kill it; return whether it was still running."""
    before, ended = temporaries(run), completion(run)
    child = Forked(arguments(case.name, run), run.with_suffix(".log"))
    wait(child, run, life, rng)
    if child.kill():
        torn, ending = temporaries(run) - before, bool(completion(run) - ended)
        case.phases[phase(run, torn, ending=ending)] += 1
        return True
    if child.wait():
        raise RuntimeError(f"{case.name}: {run} cannot go on:\n{child.said()}")
    return False


def undisturbed(name: str, run: Path) -> Life:
    """Train a case in a fork; return how long it takes."""
    remove(run)
    started = time.perf_counter()
    child = Forked(arguments(name, run), run.with_suffix(".log"))
    until(child, lambda: bool(checkpoints(run)))
    first = time.perf_counter() - started
    until(child, lambda: bool(completion(run)))
    trained = time.perf_counter() - started
    if child.wait():
        raise RuntimeError(f"{name}: cannot be trained:\n{child.said()}")
    return Life(first, trained, time.perf_counter() - started)


def torture(case: Case, kills: int, rng: random.Random) -> None:
    """Kill a case so many times."""
    name = case.name
    expected, fork = Path(f"{name}-whole"), Path(f"{name}-fork")
    whole(name, expected)
    if name == EARLY and not stopped_early(expected):
        raise RuntimeError(f"{name}: all epochs were trained")
    life = undisturbed(name, fork)
    case.differences += [f"{fork}, undisturbed: {each}" for each in compare(expected, fork)]
    while case.kills < kills:
        run = Path(f"{name}-{case.endings}")
        remove(run)
        while case.kills < kills and killed(case, run, life, rng):
            pass
        if not (run / "manifest.json").exists():
            child = Forked(arguments(name, run), run.with_suffix(".log"))
            if child.wait():
                raise RuntimeError(f"{name}: {run} cannot go on:\n{child.said()}")
        case.endings += 1
        case.differences += [f"{run}: {each}" for each in compare(expected, run)]
        print(f"{name}: {case.kills} kills, {case.endings} endings, {case.differences}", file=sys.stderr, flush=True)


def main() -> None:
    """Torture the cases, and print what became of them."""
    asked = parser(__doc__)
    asked.add_argument("--kills", type=int, default=16, help="of each case")
    asked.add_argument("cases", nargs="*", default=list(CASES))
    given = asked.parse_args()
    enter(given.folder)
    import_all()
    rng = random.Random(given.seed)
    cases = [Case(name) for name in given.cases]
    try:
        for case in cases:
            torture(case, given.kills, rng)
    finally:  # half an hour's work is worth telling
        tell(cases)
    sys.exit("\n".join(each for case in cases for each in case.differences) or 0)


def tell(cases: Sequence[Case]) -> None:
    """Print the tables."""
    print("| case | kills survived | trainings that ended | not the same bits |\n| :-- | --: | --: | --: |")
    for case in cases:
        print(f"| {case.name} | {case.kills} | {case.endings} | {len(case.differences)} |")
    found: Counter[str] = sum((case.phases for case in cases), Counter())
    print(
        f"| all | {found.total()} | {sum(case.endings for case in cases)} | "
        f"{sum(len(case.differences) for case in cases)} |\n"
    )
    print("| the kill came | kills |\n| :-- | --: |")
    for each in PHASES:
        print(f"| {each} | {found[each]} |")


if __name__ == "__main__":
    main()
