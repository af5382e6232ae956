"""Feeds every reader with damaged and forged files, and sees whether anything but a message for people comes out.

    python -m tests.fuzz [--inputs N] [--seed N] [READER …]

Half of the inputs are valid files whose bytes were changed, half have a structure that nobody would write. Prints a
table in Markdown; exits 1 where a reader raised anything but an RnnsentError, or took more than MOST_SECONDS of
processor time.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rnnsent.errors import RnnsentError
from tests.fuzz.mutation import changed_bytes, odd_values, spliced
from tests.fuzz.readers import READERS, Reader

MOST_SECONDS = 10.0


@dataclass
class Found:
    """What came out of one reader."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[str, bytes] = field(default_factory=dict)  # what was raised → the first input that did


def inputs(reader: Reader, odd: list[object], rng: random.Random) -> bytes:
    """Return the next file for a reader."""
    kind = rng.random()
    if kind < 0.4:
        return changed_bytes(rng.choice(reader.whole), rng)
    try:
        forged = reader.forge(odd, rng)
    except RecursionError:  # too deep for whoever writes it
        return changed_bytes(rng.choice(reader.whole), rng)
    if kind < 0.5:
        return spliced(rng.choice(reader.whole), forged, rng)
    return forged if kind < 0.9 else changed_bytes(forged, rng)


def fuzz(name: str, number: int, seed: int, folder: Path) -> Found:
    """Feed one reader with `number` inputs."""
    reader, found, rng = READERS[name], Found(), random.Random(f"{seed} {name}")
    odd = odd_values(seed)
    for _ in range(number):
        content = inputs(reader, odd, rng)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        path = folder / reader.file
        path.write_bytes(content)
        started, failure = time.process_time(), ""
        try:
            reader.read(path)
            found.counts["accepted"] += 1
        except RnnsentError as error:
            found.counts["refused"] += 1
            failure = "" if str(error).strip() else "a refusal without a word"
        except Exception as error:  # which is what is looked for
            failure = f"{type(error).__name__}: {str(error)[:100]}"
        if time.process_time() - started > MOST_SECONDS:
            failure = f"took more than {MOST_SECONDS} s"
        if failure:
            found.counts["failures"] += 1
            found.failures.setdefault(failure, content)
    return found


def main() -> int:
    """Run the fuzzing that the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("readers", nargs="*", metavar="READER", choices=[[], *READERS], help=", ".join(READERS))
    parser.add_argument("--inputs", type=int, default=100_000, help="of all readers together")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # NumPy's, of overflows in what is refused afterwards
    failures: list[str] = []
    print("| reader | inputs | refused | accepted | failures |\n|---|---:|---:|---:|---:|")
    chosen = asked.readers or list(READERS)
    with tempfile.TemporaryDirectory() as place:
        for name in chosen:
            number = asked.inputs // len(chosen)
            found = fuzz(name, number, asked.seed, Path(place, "files"))
            counts = " | ".join(f"{found.counts[kind]:,}" for kind in ("refused", "accepted", "failures"))
            print(f"| {name} | {number:,} | {counts} |", flush=True)
            failures += [f"{name}: {failure}: {content[:200]!r}" for failure, content in found.failures.items()]
    print("\n".join(failures), file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
