"""Looking at a file of texts: its format, encoding, delimiter and columns → a `Table` that reads it."""

from __future__ import annotations

import codecs
import csv
import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from rnnsent.data.parquet import column_names
from rnnsent.data.readers import DELIMITERS, Table, csv_reader, json_object, open_bytes, shown
from rnnsent.errors import DataError

SUFFIXES = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".txt": "lines", ".text": "lines",
}  # fmt: skip
PEEK_BYTES = 1 << 16

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def open_table(
    path: str | Path,
    format: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    *,
    header: bool = True,
    quotes: bool = True,
) -> Table:
    """Look at a file and say how it is to be read.

    Args:
        path: the file, also gzipped (`.csv.gz`); "-" is stdin.
        format: one of FORMATS; None goes by the name, and for stdin takes plain lines.
        encoding: None finds UTF-8, and UTF-16 and UTF-32 by their mark; anything else has to be named.
        delimiter: None finds it by the first lines.
        header: whether the first line of CSV and TSV names the columns.
        quotes: whether quotes around a cell of CSV and TSV are not part of it.

    Raises:
        DataError: if the file is missing, empty, not text, or of no known format.
    """
    path = Path(path)
    stdin: Any = _Ahead(sys.stdin.buffer) if str(path) == "-" else None
    if stdin is None:
        _require_file(path)
    format = format or ("lines" if stdin else format_of(path))
    if format is None:
        known = ", ".join(SUFFIXES)
        fact = f"{path}: its name does not say what it is; known are {known}"
        raise DataError(f"{fact}; or set data.format", fact=fact)
    if format == "parquet":
        if stdin is not None:
            raise DataError("stdin: Parquet cannot be read from stdin; name the file")
        return Table(path, format, "", "", column_names(path))
    head = _head(path) if stdin is None else stdin.head
    if not head and (stdin is None or format != "lines"):
        raise DataError(f"{shown(path)}: is empty")
    encoding = _encoding(path, head, encoding)
    table = Table(path, format, encoding, delimiter or "", (), quotes, stdin)
    if format in ("csv", "tsv"):
        first = _first_lines(table, head)
        delimiter = delimiter or ("\t" if format == "tsv" else _delimiter(first, quotes))
        names = _header(path, first, delimiter, quotes) if header else ()
        return replace(table, delimiter=delimiter, columns=names)
    if format == "jsonl":
        return replace(table, columns=_keys(path, _first_lines(table, head)))
    return table


def format_of(path: Path) -> str | None:
    """Return the format that the name of a file stands for, gzipped or not; None where it is unknown."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not a file of texts")
    if not path.exists():
        raise DataError(f"{path}: no such file")


def _head(path: Path) -> bytes:
    try:
        with open_bytes(path) as raw:
            return raw.read(PEEK_BYTES)
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


class _Ahead(io.RawIOBase):
    """A stream whose first line can be looked at before it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.head = b"" if stream.isatty() else stream.readline(PEEK_BYTES)
        self._rest = self.head

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read_some: Any = getattr(self._stream, "read1", self._stream.read)
        given = self._rest[: len(buffer)] or read_some(len(buffer))
        self._rest = self._rest[len(given) :] if self._rest else b""
        buffer[: len(given)] = given
        return len(given)


def _encoding(path: Path, head: bytes, asked: str | None) -> str:
    if asked is not None:
        try:
            io.TextIOWrapper(io.BytesIO(), encoding=asked)
        except (LookupError, ValueError):  # not one of text, such as zip, or none at all
            raise DataError(
                f"{shown(path)}: there is no encoding called {asked}; for example utf-8, cp1252, latin-1"
            ) from None
        return asked
    if head.startswith(b"PK\x03\x04"):
        raise DataError(f"{shown(path)}: is a zip archive, as Excel's files are; save the sheet as CSV")
    marked = next((name for mark, name in _BOMS if head.startswith(mark)), None)
    if marked is None and b"\0" in head:
        fact = f"{shown(path)}: is not text: byte {head.index(0)} is zero"
        raise DataError(f"{fact}; set data.encoding if it is UTF-16", fact=fact)
    return marked or "utf-8"


def _first_lines(table: Table, head: bytes) -> str:
    whole = len(head) < PEEK_BYTES
    try:
        text = codecs.getincrementaldecoder(table.encoding)("replace").decode(head, whole)
    except UnicodeError as error:  # of codecs that replace nothing, such as idna
        raise DataError(f"{table.path}: is not {table.encoding.upper()} text: {error}") from None
    return text if whole else text.rpartition("\n")[0] or text


def _delimiter(text: str, quotes: bool) -> str:
    """Return the delimiter that cuts the line of names into most cells, and most of the next lines into as many."""
    best, most = ",", 1
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in csv_reader(io.StringIO(text, newline=""), delimiter, quotes) if row]
        except csv.Error:  # a quote that is not closed in what is looked at
            rows = [row.split(delimiter) for row in text.splitlines() if row]
        rows = (rows[:-1] or rows)[:50]  # the last one may be cut
        width = len(rows[0]) if rows else 1
        agree = sum(len(row) == width for row in rows)
        if width > most and (agree > 0.7 * len(rows) or len(rows) < 4):
            best, most = delimiter, width
    return best


def _header(path: Path, text: str, delimiter: str, quotes: bool) -> tuple[str, ...]:
    try:
        rows = csv_reader(io.StringIO(text, newline=""), delimiter, quotes)
        names = [name.strip() for name in next((row for row in rows if row), [])]
    except csv.Error as error:
        raise DataError(f"{shown(path)}:1: not a line of names: {error}") from None
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{shown(path)}:1: two columns are called {twice!r}")
    return tuple(names)


def _keys(path: Path, text: str) -> tuple[str, ...]:
    keys: dict[str, None] = {}
    for number, line in enumerate(text.split("\n")[:100], start=1):
        if line.strip():
            keys |= dict.fromkeys(json_object(path, number, line))
    return tuple(keys)
