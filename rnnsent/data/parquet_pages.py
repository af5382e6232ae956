"""How much there is to unpack in a Parquet file: what its footer says is a claim, the headers of its pages are not.

Read here and not by pyarrow, which says nothing of pages, and of whose footers some end the process
(`FileMetaData` and `PageHeader` of https://github.com/apache/parquet-format).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rnnsent.data.gzip_reader import FREE_BYTES, MAX_EXPANSION
from rnnsent.data.parquet_delta import BY_LENGTH, BY_PREFIX, require_true_counts, unpacked
from rnnsent.data.thrift import FALSE, I32, I64, LIST, STRUCT, Struct, read_struct
from rnnsent.errors import DataError

MAX_FOOTER = 16 << 20
MAX_PAGE = 256 << 20  # bytes, unpacked; writers aim at one MiB
_DATA, _INDEX, _DICTIONARY, _DATA_2 = range(4)
# Groups of rows → columns → codec, values, where data and dictionary begin.
_OF_COLUMN = {(3, STRUCT): dict.fromkeys([(4, I32), (5, I64), (9, I64), (11, I64)])}
_OF_FOOTER = {(4, LIST): {(1, LIST): _OF_COLUMN}}
_BY_DICTIONARY = ([2], [8])  # PLAIN_DICTIONARY, RLE_DICTIONARY


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


def require_small_footer(path: Path) -> None:
    """Require that a file may be opened: pyarrow takes as much memory as a footer asks for.

    Raises:
        DataError: if its footer is too large.
        OSError: if it cannot be read.
    """
    _footer(path)


def read_footer(path: Path) -> list[list[Struct]]:
    """Return the columns of each group of rows, as the footer describes them.

    Raises:
        DataError: if it is too large, or none.
        OSError: if the file cannot be read.
    """
    start, length = _footer(path)
    with path.open("rb") as stream:
        stream.seek(start)
        footer = io.BytesIO(stream.read(length))
    try:
        groups = [group[1, LIST] for group in read_struct(footer, _OF_FOOTER)[4, LIST]]
        if not all(isinstance(column, dict) for group in groups for column in group):
            raise TypeError("a column is none")
        return groups
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a Parquet file: its footer is damaged: {error}") from None


def _footer(path: Path) -> tuple[int, int]:
    """Return where the footer begins and how many bytes it has; none where the file does not end as one with it."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(size - 8, 0))
        end = stream.read(8)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != b"PAR1" or length > size - 8:
        return 0, 0
    if length > MAX_FOOTER:
        raise DataError(f"{path}: refused: its footer has {length:,} bytes, {MAX_FOOTER:,} are allowed")
    return size - 8 - length, length


def chunk_of(stream: IO[bytes], column: Struct, where: str, levels: int) -> Chunk:
    """Return what the headers say of a column in one group of rows.

    Args:
        stream: the file.
        column: from `read_footer`.
        where: file and column, for people.
        levels: how many lists of levels stand in each page, of missing values and of repeated ones.

    Raises:
        DataError: if a page is too large, or its header not one.
    """
    facts = column.get((3, STRUCT)) or {}
    number, start = (_sane(facts.get((field, I64)), where) for field in (5, 9))
    before = facts.get((11, I64)) or start
    stream.seek(min(start, _sane(before, where)))
    values, dictionary, pages, encodings = 0, 0, list[tuple[int, int]](), list[int]()
    while values < number:
        page = _page(stream, where)
        if page.kind == _DICTIONARY:
            dictionary = max(page.size, 1)
            if pages or page.values > dictionary:
                raise DataError(f"{where}: refused: its dictionary claims values that it cannot hold")
        elif page.kind in (_DATA, _DATA_2):
            if page.encoding in (BY_LENGTH, BY_PREFIX):
                stream.seek(-page.packed, 1)
                _require_true_counts(page, stream.read(page.packed), _sane(facts.get((4, I32)), where), levels, where)
            pages.append((page.values, page.size))
            encodings.append(page.encoding)
            values += page.values
    prefixed = max((size for (_, size), each in zip(pages, encodings, strict=True) if each == BY_PREFIX), default=0)
    return Chunk(values, tuple(pages), dictionary, prefixed, encodings[:1] in _BY_DICTIONARY)


@dataclass(frozen=True)
class _Page:
    kind: int
    unpacked: int  # bytes, as are the next
    packed: int
    values: int
    encoding: int
    levels: int = 0  # bytes before the values that are never packed, of a page of the second version
    plain: bool = False  # whether the values are not packed either, though those of other pages are

    @property
    def size(self) -> int:
        return max(self.unpacked, self.packed)


def _page(stream: IO[bytes], where: str) -> _Page:
    """Return what the next header says; the stream stands behind its page afterwards."""
    try:
        header = read_struct(stream)
    except ValueError as error:
        raise DataError(f"{where}: damaged: what should be the header of a page is none: {error}") from None
    kind, size, packed = (_sane(header.get((field, I32)), where) for field in (1, 2, 3))
    if size > min(MAX_PAGE, FREE_BYTES + MAX_EXPANSION * packed):
        raise DataError(f"{where}: refused: it has a page of {packed:,} bytes that unpacks to {size:,}")
    stream.seek(packed, 1)
    field, encoding = {_DATA: (5, 2), _DICTIONARY: (7, 2), _DATA_2: (8, 4)}.get(kind, (0, 0))
    if not field:
        return _Page(kind, size, packed, 0, 0)
    own = header.get((field, STRUCT)) or {}
    values, by = (_sane(own.get((each, I32)), where) for each in (1, encoding))
    if kind != _DATA_2:
        return _Page(kind, size, packed, values, by)
    levels = sum(_sane(own.get((each, I32)), where) for each in (5, 6))
    return _Page(kind, size, packed, values, by, levels, (7, FALSE) in own)


def _require_true_counts(page: _Page, content: bytes, codec: int, levels: int, where: str) -> None:
    try:
        whole = unpacked(content[page.levels :], 0 if page.plain else codec, max(page.unpacked - page.levels, 0))
        if whole:  # else no text in it is there
            require_true_counts(whole, 0 if page.kind == _DATA_2 else levels, page.encoding, page.values)
    except (ValueError, OSError) as error:
        raise DataError(f"{where}: damaged: a page of it is not what its header says: {error}") from None


def _sane(value: int | None, where: str) -> int:
    if value is None or not 0 <= value < 1 << 62:
        raise DataError(f"{where}: damaged: a size or place is missing or cannot be")
    return value
