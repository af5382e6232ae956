"""Damages the files of runs, one at a time, at random, and sees whether anybody is told a wrong answer.

    python -m tests.torture.damage FOLDER [--damages N] [--seed N]

Of a finished run every damage has to be refused by `eval` and `verify`, which name the file. Of a training that was
killed, `train --resume` may refuse and name the file, or end with the same bits as an undisturbed training: from the
checkpoint before, or because the file is written anew. Prints a table in Markdown; exits 1 where anything else
happened.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.conftest import rnnsent
from tests.torture.kills import command, compare, undisturbed

Damage = Callable[[bytes, random.Random], bytes | None]


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Return the content with one bit the other way round."""
    changed = bytearray(content)
    changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def zeroed(content: bytes, rng: random.Random) -> bytes:
    """Return the content with a page that was never written."""
    start = rng.randrange(len(content))
    end = min(start + 4096, len(content))
    return content[:start] + bytes(end - start) + content[end:]


DAMAGES: dict[str, Damage] = {
    "one bit flipped": flipped,
    "a page of zeros": zeroed,
    "truncated": lambda content, rng: content[: rng.randrange(len(content))],
    "emptied": lambda content, rng: b"",
    "longer": lambda content, rng: content + b"\0" * 100,
    "gone": lambda content, rng: None,
}


def unfinished(run: Path) -> None:
    """Leave a training that was killed in its second epoch."""
    with subprocess.Popen(command("lstm", run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as training:
        while not list(run.glob("checkpoints/epoch-0001-step-*.npz")):
            time.sleep(0.002)
            assert training.poll() is None, "it was over too soon"
        training.kill()


def damaged(whole: Path, copy: Path, rng: random.Random) -> tuple[str, str]:
    """Make `copy` a copy of a run in which one file is damaged; return which, and how."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(whole, copy)
    while True:
        name = rng.choice(sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()))
        kind = rng.choice(sorted(DAMAGES))
        content = (copy / name).read_bytes()
        if name.rpartition("/")[2].startswith(".") or not content:
            continue
        changed = DAMAGES[kind](content, rng)
        if changed is None:
            (copy / name).unlink()
        elif changed == content:
            continue
        else:
            (copy / name).write_bytes(changed)
        return name, kind


def of_finished(whole: Path, copy: Path, rng: random.Random) -> tuple[str, str, str]:
    """Return name, damage and outcome of a damage to a finished run."""
    name, kind = damaged(whole, copy, rng)
    for arguments in (["eval", str(copy), "--split", "validation"], ["verify", str(copy)]):
        found = rnnsent(*arguments)
        if found.exit_code == 0:
            return name, kind, f"WRONG: {arguments[0]} did not notice"
        if name not in found.output or "Traceback" in found.stderr or "fault of rnnsent" in found.stderr:
            return name, kind, f"WRONG: {arguments[0]}: {found.stderr.strip()[:300]}"
    return name, kind, "refused by name"


def of_unfinished(killed: Path, whole: Path, copy: Path, rng: random.Random) -> tuple[str, str, str]:
    """Return name, damage and outcome of a damage to a training that was killed."""
    name, kind = damaged(killed, copy, rng)
    found = rnnsent("train", "--resume", str(copy), "--quiet")
    if found.exit_code == 0:
        differences = compare(whole, copy)
        warned = "the checkpoint before was used" if name in found.stderr else "trained to the same bits"
        return name, kind, f"WRONG: {differences}" if differences else warned
    named = name in found.stderr and "fault of rnnsent" not in found.stderr
    if name == "origin.json" and "config." in found.stderr:
        named = True  # it differs from the config, and that is said
    return name, kind, "refused by name" if named else f"WRONG: {found.stderr.strip()[:300]}"


def main() -> None:
    """Damage, and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--damages", type=int, default=100, help="of each of the two runs")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    os.environ["RNNSENT_CACHE"] = str(given.folder / "cache")
    whole, killed, copy = (given.folder / name for name in ("whole", "killed", "copy"))
    for run in (whole, killed):
        shutil.rmtree(run, ignore_errors=True)
    undisturbed("lstm", whole)
    unfinished(killed)
    rng = random.Random(given.seed)
    counts: Counter[tuple[str, str]] = Counter()
    wrong: list[str] = []
    for run in ("finished", "killed"):
        for _ in range(given.damages):
            name, kind, outcome = (
                of_finished(whole, copy, rng) if run == "finished" else of_unfinished(killed, whole, copy, rng)
            )
            counts[run, outcome.partition(":")[0]] += 1
            if outcome.startswith("WRONG"):
                wrong.append(f"{run} run, {name} {kind}: {outcome}")
                print(wrong[-1], file=sys.stderr, flush=True)
    print("| run | what happened | of damages |\n| :-- | :-- | --: |")
    for (run, outcome), count in counts.items():
        print(f"| {run} | {outcome} | {count} |")
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
