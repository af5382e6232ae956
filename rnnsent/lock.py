"""One process at a time writes a run: a lock file in its folder, held by the operating system for the process."""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from pathlib import Path

from rnnsent.errors import RunError

LOCK = ".lock"  # of the process that writes the run; not part of it
BETWEEN_TRIES = 0.02  # seconds


class Lock:
    """Held by the one process that writes the run in `path`; it goes with `release`, with this object or the process.

    Args:
        path: of the run.
        wait: how many seconds another process may still need.

    Raises:
        RunError: if another process holds it, and goes on to.
    """

    def __init__(self, path: Path, wait: float = 0.0) -> None:
        until = time.monotonic() + wait
        while True:
            descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            held = _try_lock(descriptor)
            if held and _is(descriptor, path / LOCK):
                break
            os.close(descriptor)
            if not held and time.monotonic() >= until:
                raise RunError(f"{path}: another training is writing this run now; wait for it, or choose another")
            time.sleep(0.0 if held else BETWEEN_TRIES)
        self.release = weakref.finalize(self, os.close, descriptor)


def is_locked(path: Path) -> bool:
    """Return whether a process is writing the run in `path` now."""
    try:
        with (path / LOCK).open() as handle:
            return not _try_lock(handle.fileno())
    except OSError:
        return False


def _is(descriptor: int, path: Path) -> bool:
    """Return whether an open file is the one of that name: whoever had the lock before has removed the file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
