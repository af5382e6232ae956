"""Read the rows of table files one by one: CSV, TSV, JSON Lines, Parquet and plain lines, gzipped or not.

A new format is one function that yields rows and one entry of `FORMATS`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

from rnnsent.errors import DataError, count
from rnnsent.files import require_file

Column = str | int  # a name, or a number from 1 if the file has no header
Row = tuple[int, tuple[Any, ...]]  # line or row number in the file, from 1; the cells that were requested
Cells = Mapping[Any, Any]  # the cells of a row by column
BytesRead = Callable[[int, int], None]  # bytes so far, bytes in all

NAME_ENCODING = "name its encoding, data.encoding or --encoding, for example cp1252"
PEEK_BYTES = 1 << 16  # of a file, to find its encoding and delimiter
MAX_UNPACKED = 64 << 30  # bytes of a gzipped file
KEY_ROWS = 100  # rows whose keys are the columns of a format without a header
PARQUET_ROWS = 1024  # of a batch
PROGRESS_ROWS = 1000  # between two reports of progress


class Peekable(io.RawIOBase):
    """A stream that can be read once; `head` is its first line."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.head = b"" if stream.isatty() else stream.readline(PEEK_BYTES)
        self._rest = self.head

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the first line again, then the rest."""
        read: Any = getattr(self._stream, "read1", self._stream.read)
        content = self._rest[: len(buffer)] or read(len(buffer))
        self._rest = self._rest[len(content) :] if self._rest else b""
        buffer[: len(content)] = content
        return len(content)


@dataclass(frozen=True)
class Table:
    """A file of rows, opened again each time it is read."""

    path: Path  # "-" is stdin
    format: str  # a key of `FORMATS`
    encoding: str = ""  # of a text format
    delimiter: str = ""  # of CSV and TSV
    columns: tuple[str, ...] = ()  # names in order; empty without a header
    quotes: bool = True  # whether quotes around a cell of CSV or TSV are not part of it
    stdin: Peekable | None = field(default=None, repr=False, compare=False)  # read instead of the file

    @property
    def name(self) -> str:
        """The file as errors name it."""
        return display_name(self.path)

    def rows(
        self, columns: Sequence[Column], *, strict: bool = True, progress: BytesRead | None = None
    ) -> Iterator[Row]:
        """Yield the cells of `columns` of each row; a missing cell is None.

        Args:
            columns: names, or numbers from 1 if the file has no header.
            strict: skip blank lines, and refuse CSV rows with too few cells.
            progress: called with the bytes that were read.

        Raises:
            DataError: with file and line, if a row cannot be read.
        """
        with self._opened(self.stdin or open_bytes(self.path)) as (raw, stream):
            total = self.path.stat().st_size if progress and self.path.is_file() else 0
            packed = getattr(raw, "fileobj", raw)
            rows = FORMATS[self.format].rows(self, stream, columns, strict)
            for index, (number, cells) in enumerate(rows, start=1):
                if cells is not None or not strict:
                    yield number, tuple((cells or {}).get(column) for column in columns)
                if progress and index % PROGRESS_ROWS == 0:
                    progress(min(packed.tell(), total), total)
            if progress:
                progress(total, total)

    def with_columns(self) -> Table:
        """Return the table with the column names that the file has.

        Raises:
            DataError: if they cannot be read, or two are the same.
        """
        with self._opened(io.BytesIO(self.stdin.head) if self.stdin else open_bytes(self.path)) as (_, stream):
            columns = tuple(FORMATS[self.format].columns(self, stream))
        twice = next((name for name, number in Counter(columns).items() if name and number > 1), None)
        if twice is not None:
            raise DataError(f"{self.name}: two columns are called {twice!r}")
        return replace(self, columns=columns)

    @contextmanager
    def _opened(self, raw: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the file as bytes and as what its format reads; stdin stays open."""
        form = FORMATS[self.format]
        newline = "" if form.delimiters else "\n"
        stream = raw if form.binary else io.TextIOWrapper(raw, encoding=self.encoding, newline=newline)
        try:
            yield raw, stream
        except UnicodeDecodeError as error:
            raise DataError(f"{_invalid_byte(self, error)}; {NAME_ENCODING}") from None
        except UnicodeError as error:
            raise DataError(f"{self.name}: is not {self.encoding.upper()} text: {error}") from None
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{self.name}: cannot be read: {error}") from None
        finally:
            if raw is self.stdin and stream is not raw:
                stream.detach()
            else:
                stream.close()


def first_keys(table: Table, stream: Any) -> list[str]:
    """Return the column names of the first rows."""
    rows = islice(FORMATS[table.format].rows(table, stream, (), True), KEY_ROWS)
    return list(dict.fromkeys(name for _, cells in rows for name in cells or ()))


@dataclass(frozen=True)
class Format:
    """A table format."""

    suffixes: tuple[str, ...]
    # (table, stream, requested columns, strict) → number and cells of each row, None for a blank line
    rows: Callable[[Table, Any, Sequence[Column], bool], Iterator[tuple[int, Cells | None]]]
    columns: Callable[[Table, Any], Sequence[str]] = first_keys  # of stdin the stream holds only the first line
    delimiters: str = ""  # most likely first
    binary: bool = False  # whether the stream holds bytes instead of text


def display_name(path: Path) -> str:
    """Return a file name for messages."""
    return "stdin" if str(path) == "-" else str(path)


class _Gzip(gzip.GzipFile):
    """A gzipped file, read up to MAX_UNPACKED bytes; `fileobj` is the packed file."""

    def read(self, size: int | None = -1) -> bytes:
        return self._limited(super().read(size))

    def read1(self, size: int = -1) -> bytes:
        return self._limited(super().read1(size))

    def _limited(self, content: bytes) -> bytes:
        if self.tell() > MAX_UNPACKED:
            raise DataError(f"{self.name}: unpacks to more than {MAX_UNPACKED:,} bytes; unpack it first")
        return content


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacked if it is gzipped.

    Raises:
        DataError: if it cannot be opened.
    """
    try:
        require_file(path)
        return _Gzip(path) if path.name.lower().endswith((".gz", ".tgz")) else path.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _invalid_byte(table: Table, error: UnicodeDecodeError) -> str:
    """Return a message with the line that is not text: the decoder only knows the place in its own buffer."""
    line = ""
    if table.encoding in ("utf-8", "utf-8-sig") and table.stdin is None:
        with open_bytes(table.path) as raw:
            for number, content in enumerate(raw, start=1):
                try:
                    content.decode("utf-8")
                except UnicodeDecodeError as first:
                    line, error = f":{number}", first
                    break
    return f"{table.name}{line}: is not {table.encoding.upper()} text (byte 0x{error.object[error.start]:02x})"


def csv_reader(lines: Any, delimiter: str, quotes: bool) -> Any:
    """Return the csv reader for a table with or without quotes."""
    csv.field_size_limit(sys.maxsize)  # the limit of 131,072 characters is less than a long review
    if not quotes:
        return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    # Strict: a quote that is never closed is an error, not a cell of a thousand lines.
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _csv_rows(table: Table, stream: Any, columns: Sequence[Column], strict: bool) -> Iterator[tuple[int, Cells | None]]:
    reader = csv_reader(stream, table.delimiter, table.quotes)
    places = {column: table.columns.index(column) if isinstance(column, str) else column - 1 for column in columns}
    width, header, begin = len(table.columns), bool(table.columns), 1
    try:
        for cells in reader:
            begin = reader.line_num + 1
            if header:
                header = not cells
            elif not cells:
                yield reader.line_num, None
            else:
                width = width or len(cells)
                if len(cells) > width or (strict and len(cells) < width):
                    raise DataError(
                        f"{table.name}:{reader.line_num}: has {len(cells)} cells, the first line has {width}; is a "
                        "text not in quotes, or a quote not closed?"
                    )
                if not table.columns and max(places.values()) >= len(cells):
                    raise DataError(
                        f"{table.name}:{reader.line_num}: has {count(len(cells), 'cell')}, so there is no column "
                        f"{max(places.values()) + 1}; the delimiter is taken to be {table.delimiter!r}"
                    )
                yield reader.line_num, {column: cells[at] for column, at in places.items() if at < len(cells)}
    except csv.Error as error:
        raise DataError(
            f"{table.name}:{begin}: not a CSV row: {error}; if quotes are text in this file: data.quotes: false, or "
            "--no-quotes"
        ) from None


def _csv_columns(table: Table, stream: Any) -> list[str]:
    reader = csv_reader(stream, table.delimiter, table.quotes)
    try:
        return [name.strip() for name in next((cells for cells in reader if cells), [])]
    except csv.Error as error:
        raise DataError(f"{table.name}:1: not a header: {error}") from None


def _json_rows(
    table: Table, stream: Any, columns: Sequence[Column], strict: bool
) -> Iterator[tuple[int, Cells | None]]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            yield number, None
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            array = number == 1 and line.lstrip()[:1] == "["
            reason = "a list, not JSON Lines (one object a line)" if array else error
            raise DataError(f"{table.name}:{number}: not a JSON object: {reason}") from None
        if not isinstance(value, dict):
            raise DataError(f"{table.name}:{number}: must be a JSON object, one a line, not {line.strip()[:40]}")
        yield number, value


def _parquet_file(table: Table, stream: Any) -> Any:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(f"{table.name}: Parquet needs pyarrow: pip install 'rnnsent[parquet]'") from None
    try:
        return parquet.ParquetFile(stream)
    except Exception as error:  # pyarrow has no base for all that it raises
        raise DataError(f"{table.name}: not a Parquet file: {error}") from None


def _parquet_rows(table: Table, stream: Any, columns: Sequence[Column], strict: bool) -> Iterator[tuple[int, Cells]]:
    file, number = _parquet_file(table, stream), 0
    try:
        for batch in file.iter_batches(PARQUET_ROWS, columns=[str(column) for column in columns]):
            for cells in batch.to_pylist():
                number += 1
                yield number, cells
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{table.name}: after row {number}: cannot be read: {reason.splitlines()[0]}") from None


def _parquet_columns(table: Table, stream: Any) -> list[str]:
    return list(_parquet_file(table, stream).schema_arrow.names)


def _line_rows(table: Table, stream: Any, columns: Sequence[Column], strict: bool) -> Iterator[tuple[int, Cells]]:
    for number, line in enumerate(stream, start=1):
        yield number, {1: line.rstrip("\r\n")}


FORMATS = {
    "csv": Format((".csv",), _csv_rows, _csv_columns, delimiters=",\t;|"),
    "tsv": Format((".tsv", ".tab"), _csv_rows, _csv_columns, delimiters="\t"),
    "jsonl": Format((".jsonl", ".ndjson", ".json"), _json_rows),
    "parquet": Format((".parquet",), _parquet_rows, _parquet_columns, binary=True),
    "lines": Format((".txt", ".text"), _line_rows, lambda table, stream: ()),
}
