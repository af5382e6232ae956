"""What can happen to a file of a run, and runs to which it happened."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from rnnsent.runs.directory import MODEL_CARD

Damage = Callable[[bytes, random.Random], bytes | None]
REPLACED = "another run's"


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
KINDS = (*DAMAGES, REPLACED)


def files(run: Path) -> list[str]:
    """Return the names of the files of a run that have to be as they were written: the card is for people to edit."""
    whole = (path for path in run.rglob("*") if path.is_file() and path.name != MODEL_CARD)
    return sorted(path.relative_to(run).as_posix() for path in whole)


def damaged(run: Path, copy: Path, name: str, kind: str, other: Path, rng: random.Random) -> bool:
    """Make `copy` a copy of a run with one file damaged, or that of the run `other`; return whether that changed it."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(run, copy)
    content = (copy / name).read_bytes()
    changed = _of_another(other, name) if kind == REPLACED else DAMAGES[kind](content, rng) if content else content
    if changed == content:
        return False
    if changed is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(changed)
    return True


def _of_another(run: Path, name: str) -> bytes:
    """Return what a file of this name holds in another run; of checkpoints and logs, whose names are times, any."""
    found = run / name
    if not found.exists():
        found = sorted(found.parent.glob(f"*{found.suffix}"))[-1]
    return found.read_bytes()
