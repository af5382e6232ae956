"""One process at a time writes a run: a lock file in its folder, held by the operating system for the process."""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from pathlib import Path

from rnnsent.errors import RunError
from rnnsent.files import linked_folder

LOCK = ".lock"  # of the process that writes the run; not part of it
BETWEEN_TRIES = 0.02  # seconds


class Lock:
    """Held by the one process that writes the run in `path`; it goes with `release`, with this object or the process.

    Args:
        path: of the run.
        wait: how many seconds another process may still need.

    Raises:
        RunError: if another process holds it, and goes on to; or the lock is a link, which is never followed.
    """

    def __init__(self, path: Path, wait: float = 0.0) -> None:
        until = time.monotonic() + wait
        while True:
            descriptor = _opened(path / LOCK)
            held = _try_lock(descriptor)
            if held and _is(descriptor, path / LOCK):
                break
            os.close(descriptor)
            if not held and time.monotonic() >= until:
                raise RunError(f"{path}: another training is writing this run now; wait for it, or choose another")
            time.sleep(0.0 if held else BETWEEN_TRIES)
        self.release = weakref.finalize(self, os.close, descriptor)


def require_no_link(path: Path) -> Path:
    """Return `path`, a run inside a folder that may be a stranger's, if it is there and not elsewhere.

    Raises:
        RunError: if it is a link.
    """
    if path.is_symlink():
        raise RunError(f"{path}: is a link, and would be written elsewhere; name the run {path.resolve()} itself")
    return path


def require_own_folders(path: Path) -> None:
    """Require that whatever is written into the run at `path` stays in it.

    Raises:
        RunError: if a folder in it is a link.
    """
    link = linked_folder(path)
    if link is not None:
        raise RunError(
            f"{link}: is a link, through which files of the run would be written elsewhere; put a folder in its place"
        )


def is_locked(path: Path) -> bool:
    """Return whether a process is writing the run in `path` now."""
    try:
        descriptor = os.open(path / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _opened(lock: Path) -> int:
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError:
        # Not removed: of two processes that did so, the second would remove the lock of the first.
        if lock.is_symlink():
            raise RunError(f"{lock}: is a link, and a lock is none; remove it") from None
        raise


def _is(descriptor: int, path: Path) -> bool:
    """Return whether an open file is the one of that name: whoever had the lock before has removed the file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
