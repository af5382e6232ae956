"""Files that are either there in full or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rnnsent.errors import RunError


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
        sync_directory(target.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def write_atomic(target: Path, content: bytes | str) -> None:
    """Write `content` to `target`, all or nothing; text is UTF-8 with line feeds as they are."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def plain_size(path: Path) -> int:
    """Return the bytes of a file that is to be read whole.

    Raises:
        OSError: if it is a pipe or a device, whose size says nothing of what can be read from it.
    """
    status = path.stat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # which says so itself when it is opened
        raise OSError(errno.EINVAL, "it is no file, but a pipe or a device", str(path))
    return status.st_size


def read_plain(path: Path, limit: int) -> bytes:
    """Return the bytes of a file that is to be read whole.

    Args:
        path: the file.
        limit: of its size in bytes.

    Raises:
        OSError: if it is larger, is a pipe or a device, or cannot be read.
    """
    plain_size(path)
    with path.open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size  # of what was opened: another may have taken its place meanwhile
        if size > limit:
            raise OSError(errno.EFBIG, f"it has {size:,} bytes, {limit:,} are allowed", str(path))
        return handle.read(size)  # there are files in /proc that have no bytes and never end


def linked_folder(root: Path) -> Path | None:
    """Return a link inside `root` through which files would be written elsewhere; None where there is none.

    A link to a file is none: what is written all or nothing takes its place. One that leads nowhere stands for a folder
    where its name has no suffix. `root` may be a link itself.
    """
    for folder, folders, files in os.walk(root):
        dangling = (name for name in files if "." not in name and not Path(folder, name).exists())
        for path in (Path(folder, name) for name in (*folders, *dangling)):
            if path.is_symlink():
                return path
    return None


def home() -> Path:
    """Return the user's home folder; in a container without one, a folder of this user's among the temporary files."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"rnnsent-{os.getuid()}"


def sync_directory(directory: Path) -> None:
    """Make the renames inside `directory` durable, where the file system can (POSIX)."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: if it cannot be read, or has no end.
    """
    plain_size(path)
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


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
