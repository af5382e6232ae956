"""Damages every file of a run in turn, in every way, and sees whether anybody is told a wrong answer.

    python -m tests.torture.damage [--rounds N] [--seed N] [--of finished|killed] [--only FILE]… FOLDER

Of a finished run every damage has to be refused by `eval` and `verify`, which name the file. One more way to read the
run is tried with each damage, all in turn: it has to refuse likewise, or, where it does not need the file, to answer as
of the whole run; which ways need which file is told.
Of a training that was killed, `train --resume` may refuse and name the file, or end with the same bits as an
undisturbed training: from the checkpoint before, or because the file is written anew. Where in the file the damage is,
chance says. Prints tables in Markdown; exits 1 where anything else happened.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from rnnsent.runs import MODEL_CARD
from tests.torture.trainings import Forked, arguments, compare, enter, import_all, parser, whole

Reader = Callable[[Path], tuple[int, str]]  # of a run: exit code, and all that is said
Damage = Callable[[bytes, random.Random], bytes | None]
REFUSED, OLDER, SAME = "detected and named", "older checkpoint used, same bits", "same bits"
OUTCOMES = (REFUSED, OLDER, SAME, "WRONG")
REPLACED = "another run's"
ASKED = ("a moving film with a splendid cast", "dreary, and too long by an hour")


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Return the content with one bit the other way round."""
    changed = bytearray(content)
    changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def torn(content: bytes, rng: random.Random) -> bytes:
    """Return the content with a page that never reached the disk, its last one or another."""
    start = rng.randrange(len(content))
    end = min(start + 4096, len(content))
    return content[:start] + bytes(end - start) + content[end:]


DAMAGES: dict[str, Damage] = {
    "bit flipped": flipped,
    "torn": torn,
    "truncated": lambda content, rng: content[: rng.randrange(len(content))],
    "emptied": lambda content, rng: b"",
    "longer": lambda content, rng: content + b"\0" * 100,
    "deleted": lambda content, rng: None,
}


def unfinished(run: Path) -> None:
    """Leave a training that was killed in its second epoch, after two checkpoints of it."""
    shutil.rmtree(run, ignore_errors=True)
    child = Forked(arguments("lstm", run), Path("unfinished.log"))
    while not (run / "checkpoints" / "epoch-0001-step-000002.npz").exists():
        time.sleep(0.0005)
        assert child.poll() is None, f"it was over too soon: {child.said()}"
    child.kill()
    for path in run.rglob(".*"):
        path.unlink()


def files(run: Path) -> list[str]:
    """Return the names of the files of a run that have to be as they were written: the card is for people to edit."""
    whole = (path for path in run.rglob("*") if path.is_file() and path.name != MODEL_CARD)
    return sorted(path.relative_to(run).as_posix() for path in whole)


def damaged(run: Path, copy: Path, name: str, kind: str, other: Path, rng: random.Random) -> bool:
    """Make `copy` a copy of a run with one file damaged; return whether that changed it."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run, copy)
    content = (copy / name).read_bytes()
    if kind == REPLACED:
        found = other / name
        if not found.exists():  # checkpoints: any of the other training's
            found = sorted(found.parent.glob(f"*{found.suffix}"))[-1]
        changed: bytes | None = found.read_bytes()
    else:
        changed = DAMAGES[kind](content, rng) if content else content
    if changed == content:
        return False
    if changed is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(changed)
    return True


def rnnsent(*arguments: str) -> tuple[int, str]:
    """Return exit code and all that a command says."""
    child = Forked(arguments, Path("command.log"))
    return child.wait(), child.said()


def clean(said: str) -> bool:
    """Return whether something is said for people, and not as a fault of the program."""
    return "Traceback" not in said and "fault of rnnsent" not in said


def predicts(run: Path) -> tuple[int, str]:
    """Return exit code and answers of the library."""

    def prelude() -> None:
        import rnnsent
        from rnnsent.errors import RnnsentError

        try:
            print(rnnsent.load(run).predict(list(ASKED)))
        except RnnsentError as error:
            print(f"Error: {error}")
            raise SystemExit(1) from None
        raise SystemExit(0)

    child = Forked([], Path("command.log"), prelude)
    return child.wait(), child.said()


def reports(run: Path) -> tuple[int, str]:
    """Return exit code of `report`, what it says, and its page."""
    page = Path("page.html")
    page.unlink(missing_ok=True)
    code, said = rnnsent("report", str(run), "--split", "validation", "--output", str(page))
    return code, said + (page.read_text() if page.exists() else "")


def readers(whole: Path) -> dict[str, Reader]:
    """Return all ways to read a run besides `eval` and `verify`; `whole` is a run that it can be compared with."""
    judged = ("--split", "validation", "--json")
    return {
        "predict": lambda run: rnnsent("predict", str(run), *ASKED, "--json"),
        "trace": lambda run: rnnsent("trace", str(run), ASKED[0], "--json"),
        "compare": lambda run: rnnsent("compare", str(whole), str(run), *judged),
        "compare, the other way round": lambda run: rnnsent("compare", str(run), str(whole), *judged),
        "report": reports,
        "robustness": lambda run: rnnsent("robustness", str(run), *judged),
        "baseline": lambda run: rnnsent("baseline", str(run), *judged),
        "summary": lambda run: rnnsent("summary", str(run)),
        "rnnsent.load": predicts,
    }


def answers(run: Path, copy: Path) -> dict[str, str]:
    """Return what each way to read a run says of an undamaged copy."""
    found = {}
    for name, read in readers(run).items():
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        code, found[name] = read(copy)
        assert code == 0, f"{name}: {found[name]}"
    return found


Needed = dict[tuple[str, str], Counter[str]]  # file and way to read → how often it was refused, or did not matter


def misread(code: int, said: str, name: str, expected: str) -> str | None:
    """Return what is wrong with what a command makes of a damaged run."""
    if code == 0:
        return None if said == expected else f"did not notice, and answers otherwise: {said.strip()[:300]}"
    return None if code == 1 and name in said and clean(said) else f"exit code {code}: {said.strip()[:300]}"


def of_finished(copy: Path, name: str, expected: Path, said: dict[str, str], needed: Needed, rng: random.Random) -> str:
    """Return what became of a damage to a finished run, of which `said` holds what each reader said before."""
    del rng
    for command in (["eval", str(copy), "--split", "validation"], ["verify", str(copy)]):
        code, words = rnnsent(*command)
        if not code:
            return f"WRONG: {command[0]} did not notice"
        if name not in words or not clean(words):
            return f"WRONG: {command[0]}: {words.strip()[:300]}"
    before = sum(counts.total() for (file, _), counts in needed.items() if file == name)
    reader = sorted(said)[
        (len(name) + before) % len(said)
    ]  # each file meets each way in as many damages as there are ways
    code, words = readers(expected)[reader](copy)
    needed.setdefault((name, reader), Counter())["refused" if code else "does not matter"] += 1
    wrong = misread(code, words, name, said[reader])
    return REFUSED if wrong is None else f"WRONG: {reader}: {wrong}"


def of_killed(copy: Path, name: str, expected: Path, said: dict[str, str], needed: Needed, rng: random.Random) -> str:
    """Return what became of a damage to a training that was killed."""
    del said, needed, rng
    code, words = rnnsent("train", "--resume", str(copy), "--quiet")
    if not code:
        differences = compare(expected, copy)
        if differences:
            return f"WRONG: {differences}"
        return OLDER if name in words else SAME
    named = name in words or (
        name == "origin.json" and "config." in words
    )  # it differs from the config, and that is said
    return REFUSED if named and clean(words) else f"WRONG: {words.strip()[:300]}"


def main() -> None:
    """Damage, and print what happened."""
    asked = parser(__doc__)
    asked.add_argument("--rounds", type=int, default=1, help="how often each file is damaged in each way")
    asked.add_argument("--of", choices=["finished", "killed"], help="damage this run alone")
    asked.add_argument("--only", action="append", help="damage this file, and others named so")
    given = asked.parse_args()
    enter(given.folder)
    import_all()
    runs = {each: Path(each) for each in ("finished", "killed", "other", "other-killed", "copy")}
    whole("lstm", runs["finished"])
    whole("lstm", runs["other"], "training.seed=1")
    for each in ("finished", "other"):
        code, words = rnnsent("eval", each, "--split", "validation")  # compare and report need its predictions
        assert code == 0, words
    said = answers(runs["finished"], runs["copy"])
    if given.of != "finished":
        unfinished(runs["killed"])
        unfinished(runs["other-killed"])  # of the very same config: only its identity tells its checkpoints apart
    rng = random.Random(given.seed)
    wrong: list[str] = []
    needed: Needed = {}
    for title, judge, other in (("finished", of_finished, "other"), ("killed", of_killed, "other-killed")):
        if given.of not in (None, title):
            continue
        counts: Counter[tuple[str, str]] = Counter()
        chosen = [name for name in files(runs[title]) if given.only is None or name in given.only]
        for name in chosen:
            for kind in [*DAMAGES, REPLACED] * given.rounds:
                if not damaged(runs[title], runs["copy"], name, kind, runs[other], rng):
                    continue
                outcome = judge(runs["copy"], name, runs["finished"], said, needed, rng)
                counts[name, outcome.partition(":")[0]] += 1
                if outcome.startswith("WRONG"):
                    wrong.append(f"{title} run, {name} {kind}: {outcome}")
                    print(wrong[-1], file=sys.stderr, flush=True)
            print(f"{title}: {name}", file=sys.stderr, flush=True)
        print(f"| file of a {title} run | damages | {' | '.join(OUTCOMES)} |\n| :-- |{' --: |' * (len(OUTCOMES) + 1)}")
        for name in chosen:
            row = [counts[name, outcome] for outcome in OUTCOMES]
            print(f"| `{name}` | {sum(row)} | {' | '.join(map(str, row))} |")
        print(flush=True)
    tell_needed(needed)
    sys.exit("\n".join(wrong) or 0)


def tell_needed(needed: Needed) -> None:
    """Print which ways to read a finished run refused a damaged file, and which gave the answers of the whole run."""
    print("| file | refused by | does not matter to |\n| :-- | :-- | :-- |")
    for name in sorted({file for file, _ in needed}):
        ways = {reader: counts for (file, reader), counts in sorted(needed.items()) if file == name}
        told = [
            "; ".join(way for way, counts in ways.items() if counts[each]) for each in ("refused", "does not matter")
        ]
        print(f"| `{name}` | {' | '.join(told)} |")


if __name__ == "__main__":
    main()
