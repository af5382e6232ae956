"""Gzipped files, unpacked while they are read, and refused where they swell as no text does."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import IO, Any, cast

from rnnsent.errors import DataError

MAX_EXPANSION = 200  # texts shrink to a fifth, the same row again and again to a hundredth; gzip can do a thousandth
FREE_BYTES = 64 << 20  # that any file may unpack to


class _Unpacked(io.RawIOBase):
    """The bytes inside a gzipped file; `packed` is the file itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.packed = path.open("rb")
        self._stream = gzip.GzipFile(fileobj=self.packed)
        self._unpacked = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            count = self._stream.readinto(buffer)
        except zlib.error as error:
            raise gzip.BadGzipFile(str(error)) from None
        self._unpacked += count
        if self._unpacked > FREE_BYTES + MAX_EXPANSION * self.packed.tell():
            raise DataError(
                f"{self._path}: refused: it unpacks to more than {MAX_EXPANSION} times its size; unpack it yourself if "
                "that is meant"
            )
        return count

    def close(self) -> None:
        self._stream.close()
        self.packed.close()
        super().close()


class _Reader(io.BufferedReader):
    """A buffer that still knows the packed file, for whoever shows how far the reading has come."""

    @property
    def fileobj(self) -> IO[bytes]:
        return cast(_Unpacked, self.raw).packed


def open_gzip(path: Path) -> IO[bytes]:
    """Open a gzipped file for reading; `fileobj` of what is returned is the packed file.

    Reading raises DataError where the file swells like a bomb, gzip.BadGzipFile or EOFError where it is damaged.

    Raises:
        OSError: if it cannot be opened.
    """
    return _Reader(_Unpacked(path), 1 << 16)
