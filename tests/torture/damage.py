"""Damages every file of a run in turn, in every way, and sees whether anybody is told a wrong answer.

    python -m tests.torture.damage [--rounds N] [--ways N] [--seed N] [--of RUN]… [--only PATTERN]… FOLDER

Two trainings, each finished and killed, give four runs: a network by itself, and an ensemble with all that a run can
have, killed in its second network. Of a finished run every damage has to be refused by `eval` and `verify`, which name
the file. One more way to read the run is tried with each damage, all in turn: it has to refuse likewise, or, where it
does not need the file, to answer as of the whole run; which ways need which file is told.
Of a training that was killed, `train --resume` may refuse and name the file, or end with the same bits as an
undisturbed training: from the checkpoint before, or because the file is written anew. Where in the file the damage is,
chance says. Prints tables in Markdown; exits 1 where anything else happened.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from tests.torture.damages import KINDS, damaged, files
from tests.torture.readers import answers, readers, rnnsent
from tests.torture.sameness import compare
from tests.torture.trainings import Forked, arguments, enter, import_all, parser, whole

REFUSED, OLDER, SAME, WRONG = "detected and named", "older checkpoint used, same bits", "same bits", "WRONG"
OUTCOMES = (REFUSED, OLDER, SAME, WRONG)
COPY = Path("copy")

Needed = dict[tuple[str, str], Counter[str]]  # file and way to read → how often it was refused, or did not matter


@dataclass(frozen=True)
class Runs:
    """What is damaged.

    Attributes:
        damaged: the run, as it was before.
        other: whose files replace its own.
        expected: a finished run of the same training.
        said: what each way to read says of it; nothing of a killed one.
        needed: is filled.
    """

    damaged: Path
    other: Path
    expected: Path
    said: dict[str, str] = field(default_factory=dict)
    needed: Needed = field(default_factory=dict)


@cache
def trained(case: str, *changes: str) -> Path:
    """Train a case to its end, once."""
    run = Path("-".join([case, "trained", *changes]))
    whole(case, run, *changes)
    return run


def finished(case: str) -> Runs:
    """Judge two runs of a case, with two seeds, and ask all ways to read one what it says."""
    runs = Runs(Path(f"{case}-finished"), Path(f"{case}-other"), Path(f"{case}-finished"))
    for run, source in ((runs.damaged, trained(case)), (runs.other, trained(case, "training.seed=1"))):
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(source, run)
        code, words = rnnsent("eval", str(run), "--split", "validation")  # compare and report need its predictions
        assert code == 0, words
    runs.said.update(answers(runs.expected, COPY))
    return runs


def killed(case: str, part: str) -> Runs:
    """Train a case to its end, and two more until the network in the folder `part` of the run is half trained."""
    runs = Runs(Path(f"{case}-killed"), Path(f"{case}-other-killed"), trained(case))
    for each in (runs.damaged, runs.other):  # of the very same config: only its identity tells its checkpoints apart
        unfinished(case, each, part)
    return runs


def unfinished(case: str, run: Path, part: str) -> None:
    """Leave a training that was killed in the second epoch of a network, after two checkpoints of it."""
    shutil.rmtree(run, ignore_errors=True)
    child = Forked(arguments(case, run), Path("unfinished.log"))
    while not (run / part / "checkpoints" / "epoch-0001-step-000002.npz").exists():
        time.sleep(0.0005)
        assert child.poll() is None, f"it was over too soon: {child.said()}"
    child.kill()
    for path in run.rglob(".*"):
        path.unlink()


def clean(said: str) -> bool:
    """Return whether something is said for people, and not as a fault of the program."""
    return "Traceback" not in said and "fault of rnnsent" not in said


def misread(code: int, said: str, name: str, expected: str) -> str | None:
    """Return what is wrong with what a command makes of a damaged run."""
    if code == 0:
        return None if said == expected else f"did not notice, and answers otherwise: {said.strip()[:300]}"
    return None if code == 1 and name in said and clean(said) else f"exit code {code}: {said.strip()[:300]}"


def of_finished(name: str, runs: Runs) -> str:
    """Return what became of a damage to a file of a finished run."""
    for command in (["eval", str(COPY), "--split", "validation"], ["verify", str(COPY)]):
        code, words = rnnsent(*command)
        if not code:
            return f"{WRONG}: {command[0]} did not notice"
        if name not in words or not clean(words):
            return f"{WRONG}: {command[0]}: {words.strip()[:300]}"
    before = sum(counts.total() for (file, _), counts in runs.needed.items() if file == name)
    # Each file meets each way in as many damages as there are ways.
    reader = sorted(runs.said)[(len(name) + before) % len(runs.said)]
    code, words = readers(runs.expected)[reader](COPY)
    runs.needed.setdefault((name, reader), Counter())["refused" if code else "does not matter"] += 1
    wrong = misread(code, words, name, runs.said[reader])
    return REFUSED if wrong is None else f"{WRONG}: {reader}: {wrong}"


def of_killed(name: str, runs: Runs) -> str:
    """Return what became of a damage to a file of a training that was killed."""
    code, words = rnnsent("train", "--resume", str(COPY), "--quiet")
    if not code:
        differences = compare(runs.expected, COPY)
        if differences:
            return f"{WRONG}: {differences}"
        return OLDER if name in words and "checkpoints/" in name else SAME
    # What differs from the config is said of the config.
    named = name in words or (name == "origin.json" and "config." in words)
    return REFUSED if named and clean(words) else f"{WRONG}: {words.strip()[:300]}"


@dataclass(frozen=True)
class Torture:
    """How a run is made, what becomes of a damage to a file of it, and in how many ways each is damaged; 0: in all."""

    make: Callable[[], Runs]
    outcome: Callable[[str, Runs], str]
    ways: int = 0


TORTURES = {
    "finished": Torture(lambda: finished("lstm"), of_finished),
    "killed": Torture(lambda: killed("lstm", ""), of_killed),
    "finished-everything": Torture(lambda: finished("everything"), of_finished),
    "killed-everything": Torture(lambda: killed("everything", "members/2"), of_killed, ways=2),
}


def tortured(title: str, given: Namespace, runs: Runs) -> Iterator[tuple[str, str, str]]:
    """Damage each file in each way; yield its name, the damage, and what became of it."""
    torture = TORTURES[title]
    for name in chosen(runs.damaged, given.only):
        rng = random.Random(f"{given.seed} {title} {name}")  # the same damages, whichever others there are
        for _ in range(given.rounds):
            for kind in rng.sample(KINDS, given.ways or torture.ways or len(KINDS)):
                if damaged(runs.damaged, COPY, name, kind, runs.other, rng):
                    yield name, kind, torture.outcome(name, runs)
        print(f"{title}: {name}", file=sys.stderr, flush=True)


def chosen(run: Path, patterns: list[str] | None) -> list[str]:
    """Return the files of a run that are to be damaged."""
    return [name for name in files(run) if any(fnmatchcase(name, each) for each in patterns or ["*"])]


def main() -> None:
    """Damage, and print what happened."""
    asked = parser(__doc__)
    asked.add_argument("--rounds", type=int, default=1, help="how often each file is damaged in each way")
    ways = range(1, len(KINDS) + 1)
    asked.add_argument("--ways", type=int, choices=ways, help="in how many ways, chosen by chance; else in all, of a "
                       "killed run with everything in two")  # fmt: skip
    asked.add_argument("--of", action="append", choices=TORTURES, help="damage this run alone")
    asked.add_argument("--only", action="append", metavar="PATTERN", help="damage these files alone")
    given = asked.parse_args()
    enter(given.folder)
    import_all()
    wrong: list[str] = []
    for title in given.of or TORTURES:
        runs = TORTURES[title].make()
        counts: Counter[tuple[str, str]] = Counter()
        for name, kind, outcome in tortured(title, given, runs):
            counts[name, outcome.partition(":")[0]] += 1
            if outcome.startswith(WRONG):
                wrong.append(f"{title} run, {name} {kind}: {outcome}")
                print(wrong[-1], file=sys.stderr, flush=True)
        tell(title, chosen(runs.damaged, given.only), counts)
        if runs.said:
            tell_needed(runs.needed)
    sys.exit("\n".join(wrong) or 0)


def tell(title: str, names: list[str], counts: Counter[tuple[str, str]]) -> None:
    """Print what became of the damages to each file of a run."""
    print(f"| file of the {title} run | damages | {' | '.join(OUTCOMES)} |")
    print(f"| :-- |{' --: |' * (len(OUTCOMES) + 1)}")
    for name in names:
        row = [counts[name, outcome] for outcome in OUTCOMES]
        print(f"| `{name}` | {sum(row)} | {' | '.join(map(str, row))} |")
    print(flush=True)


def tell_needed(needed: Needed) -> None:
    """Print which ways to read a finished run refused a damaged file, and which gave the answers of the whole run."""
    print("| file | refused by | does not matter to |\n| :-- | :-- | :-- |")
    for name in sorted({file for file, _ in needed}):
        ways = {reader: counts for (file, reader), counts in sorted(needed.items()) if file == name}
        told = [
            "; ".join(way for way, counts in ways.items() if counts[each]) for each in ("refused", "does not matter")
        ]
        print(f"| `{name}` | {' | '.join(told)} |")
    print(flush=True)


if __name__ == "__main__":
    main()
