"""One training at a time writes a run: a lock file in its folder, held by the operating system for the process."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

from rnnsent.errors import RunError

LOCK = ".lock"  # of the training that writes the run; not part of it


class Lock:
    """Held by the one process that writes the run in `path`; it goes with `release`, with this object or the process.

    Raises:
        RunError: if another process holds it.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        self.release = weakref.finalize(self, os.close, descriptor)
        if not _try_lock(descriptor):
            raise RunError(f"{path}: another training is writing this run now; wait for it, or choose another")


def is_locked(path: Path) -> bool:
    """Return whether a process is writing the run in `path` now."""
    try:
        with (path / LOCK).open() as handle:
            return not _try_lock(handle.fileno())
    except OSError:
        return False


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
