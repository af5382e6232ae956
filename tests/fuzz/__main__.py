"""Feeds every reader with damaged and forged files, and sees whether anything but a message for people comes out.

    python -m tests.fuzz [--inputs N] [--seed N] [--keep FOLDER] [READER …]

Half of the inputs are valid files whose bytes were changed, half have a structure that nobody would write. Prints a
table in Markdown; exits 1 where a reader raised anything but an RnnsentError, crashed, took more than MOST_SECONDS of
processor time, or MOST_BYTES of memory. What failed is kept in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rnnsent.errors import RnnsentError
from tests.fuzz.mutation import changed_bytes, odd_values, spliced
from tests.fuzz.readers import READERS, Reader

MOST_SECONDS = 10.0
MOST_BYTES = 300 << 20  # that the process may grow by at one input
ADDRESS_SPACE = 8 << 30
PROGRAM = (sys.executable, "-m", "tests.fuzz")


@dataclass
class Found:
    """What came out of one reader."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[str, bytes] = field(default_factory=dict)  # what was raised → the first input that did
    slowest: float = 0.0

    def failed(self, how: str, content: bytes) -> None:
        """Count a failure."""
        self.counts["failures"] += 1
        self.failures.setdefault(how, content)


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


def fuzz(
    name: str, number: int, seed: int, folder: Path, *, begin: int = 0, tell: Callable[[int, Found], None] | None = None
) -> Found:
    """Feed one reader with `number` inputs, but for the first `begin`; `tell` what was found before each."""
    reader, found, rng = READERS[name], Found(), random.Random(f"{seed} {name}")
    odd = odd_values(seed)
    path = folder / reader.file
    for place in range(number):
        content = inputs(reader, odd, rng)
        if place < begin:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        if tell is not None:
            tell(place, found)
        started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        failure = ""
        try:
            reader.read(path)
            found.counts["accepted"] += 1
        except RnnsentError as error:
            found.counts["refused"] += 1
            failure = "" if str(error).strip() else "a refusal without a word"
        except Exception as error:  # which is what is looked for
            failure = f"{type(error).__name__}: {str(error)[:100]}"
        seconds = time.process_time() - started
        found.slowest = max(found.slowest, seconds)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
        if not failure and (seconds > MOST_SECONDS or grown > MOST_BYTES):
            failure = f"took {seconds:.1f} s and {grown >> 20} MB"
        if failure:
            found.failed(failure, content)
    return found


def watched(name: str, number: int, seed: int, folder: Path, program: Sequence[str] = PROGRAM) -> Found:
    """Do the same in a process of its own, which C code may end at any input: that is a failure, and the rest follows.

    Args:
        name, number, seed: of the reader, of inputs, of chance.
        folder: for the files, and for what the process tells.
        program: the fuzzer.

    Raises:
        RuntimeError: if it ends before the first input, or by itself with an error.
    """
    whole, begin, told = Found(), 0, folder / "told"
    while begin < number:
        told.unlink(missing_ok=True)
        place = ["--from", str(begin), "--inside", str(folder)]
        code = subprocess.run([*program, name, "--inputs", str(number), "--seed", str(seed), *place]).returncode
        if code > 0 or not told.exists():
            raise RuntimeError(f"{name}: the fuzzer ended with {code}")
        at, counts, slowest, failures = json.loads(told.read_text())
        whole.counts.update(counts)
        whole.slowest = max(whole.slowest, slowest)
        whole.failures = {how: bytes.fromhex(content) for how, content in failures.items()} | whole.failures
        begin = number if not code else at + 1
        if code:
            how = f"killed by {signal.Signals(-code).name}"
            whole.failed(how, (folder / "files" / READERS[name].file).read_bytes())
    return whole


def _inside(name: str, number: int, seed: int, begin: int, folder: Path) -> None:
    """Feed one reader in this process, and keep telling the one that watches."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    warnings.simplefilter("ignore")  # NumPy's, of overflows in what is refused afterwards

    def tell(place: int, found: Found) -> None:
        failures = {how: content.hex() for how, content in found.failures.items()}
        (folder / "told").write_text(json.dumps([place, found.counts, found.slowest, failures]))

    tell(number, fuzz(name, number, seed, folder / "files", begin=begin, tell=tell))


def main() -> int:
    """Run the fuzzing that the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("readers", nargs="*", metavar="READER", choices=[[], *READERS], help=", ".join(READERS))
    parser.add_argument("--inputs", type=int, default=100_000, help="of all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="where inputs that failed are kept")
    parser.add_argument("--from", type=int, dest="begin", help=argparse.SUPPRESS)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside is not None:
        _inside(asked.readers[0], asked.inputs, asked.seed, asked.begin, asked.inside)
        return 0
    chosen = asked.readers or list(READERS)
    failures: list[str] = []
    print("| reader | inputs | refused | accepted | failures | slowest |\n|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as place:
        for name in chosen:
            number = asked.inputs // len(chosen)
            found = watched(name, number, asked.seed, Path(place))
            counts = " | ".join(f"{found.counts[kind]:,}" for kind in ("refused", "accepted", "failures"))
            print(f"| {name} | {number:,} | {counts} | {found.slowest:.2f} s |", flush=True)
            for number, (failure, content) in enumerate(found.failures.items()):
                failures.append(f"{name}: {failure}")
                if asked.keep:
                    asked.keep.mkdir(parents=True, exist_ok=True)
                    (asked.keep / f"{name}-{number}").write_bytes(content)
    print("\n".join(failures), file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
