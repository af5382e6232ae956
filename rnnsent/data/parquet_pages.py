"""How much there is to unpack in a Parquet file: what its footer says is a claim, the headers of its pages are not.

Read here and not by pyarrow, which says nothing of pages, and of whose footers some end the process
(`FileMetaData` and `PageHeader` of https://github.com/apache/parquet-format).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rnnsent.data.thrift import I32, I64, LIST, STRUCT, Struct, read_struct
from rnnsent.errors import DataError
from rnnsent.gzipped import FREE_BYTES, MAX_EXPANSION

MAX_FOOTER = 16 << 20
MAX_PAGE = 256 << 20  # bytes, unpacked; writers aim at one MiB
_DATA, _INDEX, _DICTIONARY, _DATA_2 = range(4)
_BY_DICTIONARY = ([2], [8])  # PLAIN_DICTIONARY, RLE_DICTIONARY
_BY_PREFIX = 7  # DELTA_BYTE_ARRAY


@dataclass(frozen=True)
class Chunk:
    """A column in one group of rows.

    Attributes:
        values: how many there are, in lists as well.
        pages: of each page of data its values, and how many bytes it unpacks to.
        dictionary: the bytes of all values that stand in a dictionary together; 0: there is none.
        prefixed: the bytes that any value can have which says only what it has not in common with the one before.
        begins_with_dictionary: whether the first values are from there.
    """

    values: int
    pages: tuple[tuple[int, int], ...]
    dictionary: int
    prefixed: int
    begins_with_dictionary: bool


def read_footer(path: Path) -> list[list[Struct]]:
    """Return the columns of each group of rows, as the footer describes them; empty where there is no footer.

    Raises:
        DataError: if it is too large, or none.
        OSError: if the file cannot be read.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(size - 8, 0))
        end = stream.read(8)
        length = int.from_bytes(end[:4], "little")
        if end[4:] != b"PAR1" or length > size - 8:
            return []
        if length > MAX_FOOTER:
            raise DataError(f"{path}: refused: its footer has {length:,} bytes, {MAX_FOOTER:,} are allowed")
        stream.seek(size - 8 - length)
        footer = io.BytesIO(stream.read(length))
    try:
        groups = [group[1, LIST] for group in read_struct(footer)[4, LIST]]
        if not all(isinstance(column, dict) for group in groups for column in group):
            raise TypeError("a column is none")
        return groups
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a Parquet file: its footer is damaged: {error}") from None


def chunk_of(stream: IO[bytes], column: Struct, where: str) -> Chunk:
    """Return what the headers say of a column in one group of rows.

    Args:
        stream: the file.
        column: from `read_footer`.
        where: file and column, for people.

    Raises:
        DataError: if a page is too large, or its header not one.
    """
    facts = column.get((3, STRUCT)) or {}
    number, start = (_sane(facts.get((field, I64)), where) for field in (5, 9))
    before = facts.get((11, I64)) or start
    stream.seek(min(start, _sane(before, where)))
    values, dictionary, pages, encodings = 0, 0, list[tuple[int, int]](), list[int]()
    while values < number:
        header = _header(stream, where)
        kind, unpacked, packed = (_sane(header.get((field, I32)), where) for field in (1, 2, 3))
        if unpacked > min(MAX_PAGE, FREE_BYTES + MAX_EXPANSION * packed):
            raise DataError(f"{where}: refused: it has a page of {packed:,} bytes that unpacks to {unpacked:,}")
        stream.seek(packed, 1)
        own = header.get(({_DATA: 5, _DICTIONARY: 7, _DATA_2: 8}.get(kind, 0), STRUCT)) or {}
        if kind == _DICTIONARY:
            dictionary = max(unpacked, packed, 1)
            if pages or _sane(own.get((1, I32)), where) > dictionary:
                raise DataError(f"{where}: refused: its dictionary claims values that it cannot hold")
        elif kind in (_DATA, _DATA_2):
            pages.append((_sane(own.get((1, I32)), where), max(unpacked, packed)))
            encodings.append(_sane(own.get((2 if kind == _DATA else 4, I32)), where))
            values += pages[-1][0]
    prefixed = max((size for (_, size), each in zip(pages, encodings, strict=True) if each == _BY_PREFIX), default=0)
    return Chunk(values, tuple(pages), dictionary, prefixed, encodings[:1] in _BY_DICTIONARY)


def _sane(value: int | None, where: str) -> int:
    if value is None or not 0 <= value < 1 << 62:
        raise DataError(f"{where}: damaged: a size or place is missing or cannot be")
    return value


def _header(stream: IO[bytes], where: str) -> Struct:
    try:
        return read_struct(stream)
    except ValueError as error:
        raise DataError(f"{where}: damaged: what should be the header of a page is none: {error}") from None
