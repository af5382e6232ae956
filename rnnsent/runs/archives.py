"""Archives of plain numbers, as `np.savez` writes them, read so that no file costs more memory than it has bytes.

`np.load` believes what a file says of itself: a member of some kilobytes that unpacks to 100 GB, a header whose shape
has 10¹² numbers. rnnsent stores its arrays as they are, so nothing in its archives may be compressed, and what the
headers say has to be what is there. Headers are matched, not evaluated.
"""

from __future__ import annotations

import math
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.files import plain_size

MAX_BYTES = 8 << 30  # of an archive: far more than weights and state of any network here

# What zipfile raises for damaged bytes besides ValueError and OSError.
ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, NotImplementedError, RuntimeError, OverflowError,
)  # fmt: skip

_MAGIC = b"\x93NUMPY"
_HEADER = re.compile(rb"\{'descr': '([<>|=][biuf][1248])', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\), \}")
_MAX_HEADER = 1 << 10
_MAX_DIMENSIONS = 8


def read(source: Path | IO[bytes]) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz by name.

    Args:
        source: a file, or what can be read and sought like one.

    Raises:
        ValueError: if it is no archive of plain numbers, or says more of itself than it holds.
        OSError: if it cannot be read.
    """
    try:
        size = _size(source)
        if size > MAX_BYTES:
            raise ValueError(f"it has {size:,} bytes, {MAX_BYTES:,} are allowed")
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            _require_stored(members, size)
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except ZIP_ERRORS as error:
        raise ValueError(str(error) or type(error).__name__) from None


def _size(source: Path | IO[bytes]) -> int:
    if isinstance(source, Path):
        return plain_size(source)
    size = source.seek(0, 2)
    source.seek(0)
    return size


def _require_stored(members: list[zipfile.ZipInfo], size: int) -> None:
    names = [member.filename for member in members]
    for member in members:
        if not member.filename.endswith(".npy") or not member.filename.isprintable():
            raise ValueError(f"its member {member.filename[:80]!r} is not an array")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise ValueError(f"its member {member.filename} is packed, which rnnsent never does")
    if len(set(names)) < len(names):
        raise ValueError("two of its members have the same name")
    claimed = sum(member.file_size for member in members)
    if claimed > size:
        raise ValueError(f"its members claim {claimed:,} bytes of its {size:,}")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as stream:
        dtype, fortran, shape, head = _read_header(stream, member.filename)
        expected = math.prod(shape) * dtype.itemsize
        if head + expected != member.file_size:
            claim = f"{shape} of {dtype.str} is {expected:,} bytes, and {member.file_size - head:,} are there"
            raise ValueError(f"the header of {member.filename} is not true: {claim}")
        content = bytearray(stream.read())  # to its end, where its checksum is
    if len(content) != expected:
        raise ValueError(f"{member.filename} ends too early")
    order: Any = "F" if fortran else "C"
    return np.ndarray(shape, dtype, content, order=order)


def _read_header(stream: IO[bytes], name: str) -> tuple[np.dtype[Any], bool, tuple[int, ...], int]:
    """Return type, order and shape of an array, and how many bytes say so."""
    start = stream.read(8)
    width = 2 if start[6:7] == b"\1" else 4
    if not start.startswith(_MAGIC) or len(start) < 8:
        raise ValueError(f"{name} is not an array")
    length = int.from_bytes(stream.read(width), "little")
    text = stream.read(length) if length <= _MAX_HEADER else b""
    found = _HEADER.fullmatch(text.rstrip())
    if found is None or len(text) != length:
        raise ValueError(f"{name} is not an array of plain numbers")
    try:
        dtype = np.dtype(found[1].decode())
        shape = tuple(int(part) for part in found[3].split(b",") if part.strip())
    except (TypeError, ValueError):
        raise ValueError(f"{name} is not an array of plain numbers") from None
    if len(shape) > _MAX_DIMENSIONS or max(shape, default=0) > MAX_BYTES:
        raise ValueError(f"the shape of {name} is not one of weights")
    return dtype, found[2] == b"True", shape, 8 + width + length
