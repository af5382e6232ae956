"""Atomic writes, hashes, JSON."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from rnnsent.errors import RunError, utf8


def require_folder(target: Path) -> None:
    """Require that the folder of an output file exists: the name may be mistyped.

    Raises:
        RunError: if it does not.
    """
    if not target.parent.is_dir():
        raise RunError(f"{target}: there is no folder {target.parent}")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; what was written there replaces `target` when the block succeeds.

    The data reach the disk before the rename does, so a crash at any moment leaves the old file or the new one.
    The temporary keeps the suffix of `target`: some writers choose their format by it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.chmod(0o666 & ~umask())
        temporary.replace(target)
        _sync(target.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def write_atomic(target: Path, content: bytes | str) -> None:
    """Write `content` to `target`, all or nothing; text is UTF-8 with line feeds as they are, see `errors.utf8`."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(utf8(content).encode() if isinstance(content, str) else content)


class _LineFeeds:
    """Ends rows by a line feed alone. The csv module quotes only cells with a character of its line end."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, row: str) -> None:
        """Write a row that ends in CR LF."""
        self._stream.write(f"{row[:-2]}\n")


def table_writer(stream: IO[str], delimiter: str = ",") -> Any:
    """Return a csv writer whose rows every reader takes for what they are, also if a cell holds a line end."""
    return csv.writer(_LineFeeds(stream), delimiter=delimiter, lineterminator="\r\n")


def require_file(path: Path) -> None:
    """Require that a path is no pipe and no device, whose end nobody knows; a folder says so itself when it is read.

    Raises:
        OSError: if it is one, or is not there.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))


def read_json(path: Path) -> Any:
    """Return the contents of a JSON file in UTF-8.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not JSON.
    """
    require_file(path)
    return json.loads(path.read_bytes())


def json_line(value: Any) -> str:
    """Return a value as JSON on one line; characters that a terminal would obey are escaped."""
    line = json.dumps(value, ensure_ascii=False)
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)


def home() -> Path:
    """Return the user's home folder; in a container without one, a folder of this user's among the temporary files."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"rnnsent-{os.getuid()}"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: if it cannot be read.
    """
    require_file(path)
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _sync(directory: Path) -> None:
    """Make the renames inside a folder durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def umask() -> int:
    """Return the permissions that new files lack."""
    # Reading the mask means setting it; mkstemp ignores it, and a run should be as readable as any other file.
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a disk into a RunError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(f"{path}: the disk is full; what was written before is intact") from None
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from None
