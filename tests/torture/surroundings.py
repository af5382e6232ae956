"""Takes from trainings what they need, disk, permissions, the clock, their data, and sees that nothing is lost.

    python -m tests.torture.surroundings [--seed N] FOLDER [PART…]

Whatever happens, there has to be one message and exit code 1, and when the cause is gone the training has to go on and
end with the bits of an undisturbed one. As root the disk is a file system in memory that is too small, and the folder
one that is mounted read-only; otherwise files may not grow beyond a limit, and the folder is closed to its owner. The
clock that jumps is that of the whole process, C code included (`clock.c`; libfaketime cannot let `time.sleep` alone).
Prints a table in Markdown; exits 1 where anything else happened.
"""

from __future__ import annotations

import math
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.torture.sameness import compare
from tests.torture.trainings import TEXTS, Forked, arguments, enter, import_all, parser, whole

Row = tuple[str, str, str, list[str]]  # what happened, exit code, what was said, what is wrong
ROOT = os.geteuid() == 0


def going(name: str, run: Path, prelude: Callable[[], None] = lambda: None) -> Forked:
    """Start a case, or let it go on."""
    return Forked(arguments(name, run), Path("training.log"), prelude)


def until_checkpoint(child: Forked, run: Path) -> None:
    """Wait until a training has left a checkpoint."""
    while not list(run.rglob("checkpoints/epoch-*.npz")):
        time.sleep(0.001)
        assert child.poll() is None, child.said()


def stopped(name: str, run: Path) -> None:
    """Leave a training that was killed."""
    child = going(name, run)
    until_checkpoint(child, run)
    time.sleep(0.3)
    assert child.kill(), "it was over too soon"


def refused(child: Forked, text: str) -> tuple[str, str, list[str]]:
    """Return exit code and message of a training that has to fail, and what is wrong with them."""
    code, said = child.wait(), child.said()
    lines = [line for line in said.splitlines() if line.startswith("Error:")]
    wrong = [] if code == 1 else [f"exit code {code}: {said[-500:]}"]
    wrong += [] if len(lines) == 1 and text in said else [f"not one message with {text!r}: {said[-500:]}"]
    wrong += ["a traceback"] if "Traceback" in said or "fault of rnnsent" in said else []
    return str(code), lines[0] if lines else "", wrong


def ended(name: str, run: Path) -> list[str]:
    """Let a training go on, and return what differs in the end from an undisturbed one."""
    child = going(name, run)
    return compare(Path(f"{name}-whole"), run) if child.wait() == 0 else [f"cannot go on: {child.said()[-500:]}"]


def mount(*arguments: str) -> None:
    """Mount a file system."""
    subprocess.run(["mount", *arguments], check=True)


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[None]:
    """Make `folder` a file system in memory of so many KiB."""
    folder.mkdir(exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def full_disks(rng: random.Random) -> Iterator[Row]:
    """Train on disks of many sizes, all too small."""
    needed = sum(path.stat().st_size for path in Path("lstm-whole").rglob("*") if path.is_file()) // 1024
    for _ in range(8):
        size = rng.randrange(40, needed)
        if not ROOT:
            yield limited(size)
            continue
        with mounted(Path("disk"), size):
            run = Path("disk/run")
            code, said, wrong = refused(going("lstm", run), "the disk is full")
            mount("-o", f"remount,size={100 * needed}k", "disk")
            yield f"a disk of {size} KiB is full", code, said, wrong + ended("lstm", run)


def limited(size: int) -> Row:
    """Train where no file may grow beyond a size."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size * 128, size * 128))

    run = Path("limited")
    shutil.rmtree(run, ignore_errors=True)
    code, said, wrong = refused(going("lstm", run, limit), "cannot be written")
    return f"files may not grow beyond {size // 8} KiB", code, said, wrong + ended("lstm", run)


def read_only(rng: random.Random) -> Iterator[Row]:
    """Let a training go on in a folder that may only be read."""
    del rng
    run = Path("read-only")
    shutil.rmtree(run, ignore_errors=True)
    stopped("gru", run)
    if ROOT:
        mount("--bind", str(run), str(run))
        mount("-o", "remount,ro,bind", str(run))
    else:
        run.chmod(0o555)
    code, said, wrong = refused(going("gru", run), "cannot be written")
    if ROOT:
        subprocess.run(["umount", str(run)], check=True)
    else:
        run.chmod(0o755)
    yield "the run may only be read", code, said, wrong + ended("gru", run)


def two_processes(rng: random.Random) -> Iterator[Row]:
    """Start a second training in the folder of one that is at work."""
    del rng
    run = Path("twice")
    shutil.rmtree(run, ignore_errors=True)
    first = going("gru", run)
    until_checkpoint(first, run)
    second = Forked(["train", "--resume", str(run), "--quiet"], Path("second.log"))
    code, said, wrong = refused(second, "another training is writing this run now")
    if first.wait():
        wrong.append(f"the first one failed: {first.said()[-500:]}")
    yield "a second training in the same folder", code, said, wrong + compare(Path("gru-whole"), run)


def clocks(rng: random.Random) -> Iterator[Row]:
    """Let the clock jump, back and forth over decades, while trainings run, and the times of files with it."""
    run, jumps = Path("clock"), 0
    shutil.rmtree(run, ignore_errors=True)
    for _ in range(3):
        before = set(run.rglob("checkpoints/epoch-*.npz"))
        with jumping(["-m", "rnnsent", *arguments("plateau", run)]) as (process, jump):
            until = math.inf  # a while after the first checkpoint of its own
            while process.poll() is None and time.monotonic() < until:
                jump(rng.randrange(-(10**9), 0))
                jumps += 1
                if until == math.inf and set(run.rglob("checkpoints/epoch-*.npz")) - before:
                    until = time.monotonic() + rng.uniform(0.0, 0.5)
                time.sleep(0.01)
        for path in run.rglob("*"):
            moment = rng.uniform(1e9, 4e9)
            os.utime(path, (moment, moment))
    wrong = ["it was over too soon"] if (run / "manifest.json").exists() else []
    yield f"the clock jumps, {jumps:,} times, and the times of files do", "0", "", wrong + ended("plateau", run)


@contextmanager
def jumping(command: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[int], None]]]:
    """Start Python with a wall clock of its own, and kill it at the end; yield it, and what sets that clock.

    The clock is set to so many seconds ahead of ours. It should never really be: the kernel, which wakes those who wait
    until a time of day, knows nothing of it.
    """
    library, ahead = Path("clock.so").resolve(), Path("clock.txt").resolve()
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)

    def jump(seconds: int) -> None:
        with ahead.open("r+b" if ahead.exists() else "wb") as handle:
            handle.write(struct.pack("=q", seconds))

    jump(-(10**9))
    environment = os.environ | {"LD_PRELOAD": str(library), "WALL_CLOCK": str(ahead)}
    asked = [sys.executable, "-c", "import time; print(time.time())"]
    told = float(subprocess.run(asked, env=environment, check=True, capture_output=True).stdout)
    assert abs(told + 10**9 - time.time()) < 60, f"the clock cannot be set here: {told}"
    with Path("training.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log, env=environment)
    try:
        yield process, jump
    finally:
        process.kill()
        process.wait()


def changed_data(rng: random.Random) -> Iterator[Row]:
    """Change one word of the data between a stop and going on."""
    run, texts = Path("changed"), Path(TEXTS)
    shutil.rmtree(run, ignore_errors=True)
    stopped("teacher", run)
    before = texts.read_text()
    lines = before.splitlines()
    place = rng.randrange(1, len(lines))
    lines[place] = f"another{lines[place]}"
    texts.write_text("\n".join(lines) + "\n")
    code, said, wrong = refused(going("teacher", run), "other reviews than those the training began with")
    texts.write_text(before)
    yield "one word of the data was changed", code, said, wrong + ended("teacher", run)


PARTS: dict[str, tuple[Callable[[random.Random], Iterator[Row]], str]] = {
    "full-disks": (full_disks, "lstm"),
    "read-only": (read_only, "gru"),
    "two-processes": (two_processes, "gru"),
    "clocks": (clocks, "plateau"),
    "changed-data": (changed_data, "teacher"),
}  # each with the case that it trains


def main() -> None:
    """Torture, and print what happened."""
    asked = parser(__doc__)
    asked.add_argument("parts", nargs="*", metavar="PART", choices=[[], *PARTS], help=", ".join(PARTS))
    given = asked.parse_args()
    enter(given.folder)
    import_all()
    parts = [PARTS[name] for name in given.parts or PARTS]
    for name in dict.fromkeys(name for _, name in parts):
        whole(name, Path(f"{name}-whole"))
    rng = random.Random(given.seed)
    wrong: list[str] = []
    print("| what happened | exit code | what the user sees | nothing lost |\n| :-- | --: | :-- | :-- |", flush=True)
    for part, _ in parts:
        for happened, code, said, faults in part(rng):
            print(f"| {happened} | {code} | {said} | {'no' if faults else 'yes'} |", flush=True)
            wrong += [f"{happened}: {each}" for each in faults]
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
