"""Kills commands that read a finished run, write into it or beside it, and sees that nothing is lost or half there.

    python -m tests.torture.commands [--kills N] [--seed N] FOLDER [CASE…]

Each command runs undisturbed once, on a copy of a finished run. Then the copy is restored, and the command is killed by
SIGKILL, started again and killed again, a few times over: two thirds of the kills come just before one of its steps on
disk (a file is opened for writing, renamed or removed; chance says which), a third at any moment of its life. After
each kill the run has to agree with its manifest, every file that is there under its own name has to be whole, and
`predict` has to have no output or all of it. The command is then let through: all files and all that it says have to be
those of the undisturbed one, byte for byte, but for seconds. Prints a table in Markdown; exits 1 where that is not so.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnsent.errors import RnnsentError
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory, is_temporary
from tests.torture.sameness import timeless
from tests.torture.trainings import Forked, enter, parser, whole

RUN, OTHER, ANSWERS, STEPS = Path("run"), Path("other"), Path("answers.csv"), Path("steps")
TEXTS = Path("asked.txt")
MOST_IN_A_ROW = 4  # kills before the command is let through

JUDGED = ("--split", "validation")
# What is done, and what has to have been done before.
CASES: dict[str, tuple[list[str], list[list[str]]]] = {
    "eval": (["eval", "run", *JUDGED, "--json"], []),
    "eval, once more": (["eval", "run", *JUDGED, "--json"], [["eval", "run", *JUDGED]]),
    "baseline": (["baseline", "run", *JUDGED, "--json"], []),
    "report": (["report", "run", *JUDGED], [["eval", "run", *JUDGED]]),
    "compare": (["compare", "run", "other", *JUDGED, "--json"], [[command, each, *JUDGED] for command in ("eval",)
                                                                for each in ("run", "other")]),
    "predict": (["predict", "run", "--input", str(TEXTS), "--output", str(ANSWERS)], []),
}  # fmt: skip


@dataclass
class Case:
    """What became of one command: kills by the moment they came at, runs to the end, what was wrong."""

    name: str
    moments: Counter[str] = field(default_factory=Counter)
    endings: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Left:
    """What a command left: its files by name, and what it printed; both without seconds."""

    files: dict[str, Any]
    said: list[Any]


def import_commands() -> None:
    """Import what these commands import, and compute nothing: none of them needs Keras."""
    import matplotlib.pyplot  # noqa: F401
    import sklearn.linear_model  # noqa: F401


def killing(step: int | None) -> Callable[[], None]:
    """Return a prelude that counts the steps on disk in this folder, in the file `STEPS`, and dies before one of them.

    Args:
        step: from 0; None: none of them.
    """

    def prelude() -> None:
        here, counted = f"{Path.cwd()}/", os.open(STEPS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        passed = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal passed
            written = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if not written and event not in ("os.rename", "os.remove"):
                return
            if not isinstance(arguments[0], str | os.PathLike) or not os.path.abspath(arguments[0]).startswith(here):  # noqa: PTH100
                return
            if passed == step:
                os.kill(os.getpid(), signal.SIGKILL)
            passed += 1
            os.write(counted, b".")

        sys.addaudithook(hook)

    return prelude


def restore(case: Case) -> None:
    """Put the run back as it was before the command."""
    shutil.rmtree(RUN, ignore_errors=True)
    shutil.copytree(f"before {case.name}", RUN)
    for path in Path().glob(f"{ANSWERS}*"):
        path.unlink()


def left(said: str) -> Left:
    """Return what is there after a command."""
    names = [name for name in RunDirectory(RUN).names() if not is_temporary(name)]
    files: dict[str, Any] = {name: (RUN / name).read_bytes() for name in names}
    files[runs.METRICS] = timeless(json.loads(files[runs.METRICS]))
    files[runs.MANIFEST] = sorted(RunDirectory(RUN).manifest())  # of the hashes that of metrics.json is another
    files |= {path.name: path.read_bytes() for path in Path().glob(f"{ANSWERS}*")}
    return Left(files, [timeless(json.loads(line)) for line in said.splitlines() if line.startswith("{")])


def faults(expected: Left) -> Iterator[str]:
    """Yield what is wrong with what a killed command left."""
    try:
        RunDirectory(RUN).verify()
    except RnnsentError as error:
        yield str(error)
    if ANSWERS.exists() and ANSWERS.read_bytes() != expected.files[str(ANSWERS)]:
        yield f"{ANSWERS} is there and not whole"
    for name in RunDirectory(RUN).names():
        if name.endswith(".json") and not is_temporary(name):
            try:
                json.loads((RUN / name).read_bytes())
            except ValueError as error:
                yield f"{name} is half there: {error}"


def killed(case: Case, steps: int, seconds: float, rng: random.Random) -> bool:
    """Start the command and kill it; return whether it was still running."""
    arguments, _ = CASES[case.name]
    step = rng.randrange(steps) if steps and rng.random() < 2 / 3 else None
    child = Forked(arguments, Path("command.log"), killing(step))
    if step is None:
        time.sleep(rng.random() ** 2 * seconds)
        found = child.kill()
    else:  # one that goes on after a kill may have fewer steps, and come through
        found = child.wait() == -signal.SIGKILL
    if found:
        case.moments["at any moment" if step is None else "before a step on disk"] += 1
    elif child.wait():
        case.wrong.append(f"cannot be done again: {child.said().strip()[-300:]}")
    return found


def undisturbed(case: Case) -> tuple[Left, int, float]:
    """Run the command on an undisturbed run; return what it leaves, how many steps on disk it has, and its seconds."""
    arguments, before = CASES[case.name]
    shutil.rmtree(RUN, ignore_errors=True)
    shutil.copytree("made", RUN)
    for each in before:
        succeeded(each)
    shutil.rmtree(f"before {case.name}", ignore_errors=True)
    shutil.copytree(RUN, f"before {case.name}")
    restore(case)
    started = time.perf_counter()
    said = succeeded(arguments, killing(None))
    return left(said), STEPS.stat().st_size, time.perf_counter() - started


def succeeded(arguments: Sequence[str], prelude: Callable[[], None] = lambda: None) -> str:
    """Run a command that has to succeed; return what it says."""
    child = Forked(arguments, Path("command.log"), prelude)
    if child.wait():
        raise RuntimeError(f"rnnsent {' '.join(arguments)}:\n{child.said()}")
    return child.said()


def torture(case: Case, kills: int, rng: random.Random) -> None:
    """Kill a command so many times."""
    expected, steps, seconds = undisturbed(case)
    while case.moments.total() < kills:
        restore(case)
        for _ in range(min(rng.randint(1, MOST_IN_A_ROW), kills - case.moments.total())):
            if not killed(case, steps, seconds, rng):
                break
            case.wrong += faults(expected)
        arguments, _ = CASES[case.name]
        started = time.perf_counter()
        child = Forked(arguments, Path("command.log"))
        if child.wait() and not (case.name == "predict" and "exists already" in child.said()):
            case.wrong.append(f"cannot be done again: {child.said().strip()[-300:]}")
            continue
        seconds = min(seconds, time.perf_counter() - started)  # the first one may have found nothing in the cache
        found = left(child.said())
        case.wrong += faults(expected)
        names = sorted({*found.files, *expected.files})
        case.wrong += [f"{name} differs" for name in names if found.files.get(name) != expected.files.get(name)]
        if found.said and found.said != expected.said:
            case.wrong.append("what it says differs")
        case.endings += 1
        print(f"{case.name}: {case.moments.total()} kills, {case.endings} endings, {case.wrong}", file=sys.stderr)


def prepare() -> None:
    """Train two runs, unless they are there from before, and write texts."""
    for run, changes in ((Path("made"), ()), (OTHER, ("training.seed=1",))):
        if not (run / runs.MANIFEST).exists():
            whole("lstm", run, *changes)
    rng = random.Random(0)
    words = ("splendid", "dreary", "film", "moving", "the", "unheard-of")
    lines = [" ".join(rng.choices(words, k=rng.randrange(12))) for _ in range(5000)]
    TEXTS.write_text("".join(f"{line}\n" for line in lines))


def main() -> None:
    """Torture the commands, and print what became of them."""
    asked = parser(__doc__)
    asked.add_argument("--kills", type=int, default=20, help="of each case")
    asked.add_argument("cases", nargs="*", default=list(CASES))
    given = asked.parse_args()
    enter(given.folder)
    prepare()
    import_commands()
    rng = random.Random(given.seed)
    cases = [Case(name) for name in given.cases]
    try:
        for case in cases:
            torture(case, given.kills, rng)
    finally:
        tell(cases)
    sys.exit("\n".join(f"{case.name}: {each}" for case in cases for each in case.wrong) or 0)


def tell(cases: Sequence[Case]) -> None:
    """Print the table."""
    moments = ("before a step on disk", "at any moment")
    print(f"| command | {' | '.join(f'killed {each}' for each in moments)} | ran to its end after kills | wrong |")
    print("| :-- | --: | --: | --: | --: |")
    for case in cases:
        counts = [str(case.moments[each]) for each in moments]
        print(f"| {case.name} | {' | '.join(counts)} | {case.endings} | {len(case.wrong)} |")
    total = sum(case.moments.total() for case in cases)
    print(f"\n{total} kills; wrong: {sum(len(case.wrong) for case in cases)}")


if __name__ == "__main__":
    main()
