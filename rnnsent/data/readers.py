"""Tables of texts on disk: CSV, TSV, JSON Lines, Parquet, and plain lines, read row by row in constant memory.

`opening` finds out how a file is to be read.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rnnsent.data.gzip_reader import open_gzip
from rnnsent.data.parquet import parquet_rows
from rnnsent.errors import DataError, count

Row = tuple[int, tuple[Any, ...]]  # where it ends in the file, a line or a row from 1; the cells that were asked for
BytesRead = Callable[[int, int], None]  # bytes so far, bytes in all

FORMATS = ("csv", "tsv", "jsonl", "parquet", "lines")
DELIMITERS = (",", "\t", ";", "|")
NAME_ENCODING = "name its encoding, data.encoding or --encoding, for example cp1252"
MAX_CELL = 1 << 26  # characters, of a line as well; csv's own limit, 131,072, is less than a long review


@dataclass(frozen=True)
class Table:
    """A file of rows, opened anew each time it is read.

    Attributes:
        path: the file; "-" is stdin, which can be read once.
        format: one of FORMATS.
        encoding: of a text file, "" for Parquet.
        delimiter: of CSV and TSV.
        columns: names in order; empty where the file has no line of names.
        quotes: whether quotes around a cell of CSV or TSV are not part of it.
        stdin: what is read instead of a file.
    """

    path: Path
    format: str
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    quotes: bool = True
    stdin: IO[bytes] | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The file, for people."""
        return shown(self.path)

    def rows(
        self, wanted: Sequence[str | int], *, strict: bool = True, progress: BytesRead | None = None
    ) -> Iterator[Row]:
        """Yield the cells of the `wanted` columns of each row; a cell that is not there is None.

        Args:
            wanted: names, or numbers from 1 where the file has no line of names.
            strict: a CSV row with fewer cells than the line of names is an error, as one with more always is, and
                blank lines are passed over; otherwise a blank line is a row without cells.
            progress: told how far the reading has come.

        Raises:
            DataError: with file and line, if a row cannot be read.
        """
        if self.format == "parquet":
            yield from parquet_rows(self.path, [str(name) for name in wanted])
            return
        with _opened(self) as (raw, stream):
            count = _Counted(raw, progress)
            try:
                for row in _READERS[self.format](self, stream, wanted, strict):
                    count()
                    yield row
                count.finish()
            except UnicodeDecodeError as error:
                fact = _not_text(self, error)
                raise DataError(f"{fact}; {NAME_ENCODING}", fact=fact) from None
            except UnicodeError as error:
                raise DataError(f"{self.name}: is not {self.encoding.upper()} text: {error}") from None
            except (OSError, EOFError) as error:
                raise DataError(f"{self.name}: cannot be read: {error}") from None


def shown(path: Path) -> str:
    """Return a file for people."""
    return "stdin" if str(path) == "-" else str(path)


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, gzipped or not.

    Raises:
        DataError: if it cannot be.
    """
    try:
        return open_gzip(path) if path.suffix.lower() == ".gz" else path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _not_text(table: Table, error: UnicodeDecodeError) -> str:
    """Say in which line the file stops being text; the decoder only knows its own buffer."""
    where = ""
    if table.encoding in ("utf-8", "utf-8-sig") and table.stdin is None:
        with open_bytes(table.path) as raw:
            for number, line in enumerate(raw, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError as found:
                    where, error = f":{number}", found
                    break
    given = error.object[error.start]
    return f"{table.name}{where}: is not {table.encoding.upper()} text (byte 0x{given:02x})"


@contextmanager
def _opened(table: Table) -> Iterator[tuple[IO[bytes], io.TextIOWrapper]]:
    """Yield the file as bytes and as text; stdin stays open."""
    raw = table.stdin or open_bytes(table.path)
    text = io.TextIOWrapper(raw, encoding=table.encoding, newline="" if table.format in ("csv", "tsv") else "\n")
    try:
        yield raw, text
    finally:
        if table.stdin is not None:
            text.detach()
        else:
            text.close()


def _bounded(table: Table, stream: io.TextIOWrapper) -> Iterator[str]:
    """Yield the lines of a file; one that does not end is not read into memory."""
    while line := stream.readline(MAX_CELL + 1):
        if len(line) > MAX_CELL:
            raise DataError(f"{table.path}: has a line of more than {MAX_CELL:,} characters")
        yield line


class _Counted:
    """Reports the position in the file now and then."""

    EVERY = 1000

    def __init__(self, raw: Any, progress: BytesRead | None) -> None:
        self._raw = getattr(raw, "fileobj", raw) or raw  # of the gzip file, the compressed bytes
        self._progress, self._rows, self._total = progress, 0, 0
        if progress is not None:
            name = getattr(self._raw, "name", None)
            self._total = Path(name).stat().st_size if isinstance(name, str) and Path(name).is_file() else 0

    def finish(self) -> None:
        if self._progress is not None:
            self._progress(self._total, self._total)

    def __call__(self) -> None:
        self._rows += 1
        if self._progress is not None and self._rows % self.EVERY == 0:
            self._progress(min(self._raw.tell(), self._total), self._total)


def csv_reader(stream: Any, delimiter: str, quotes: bool) -> Any:
    """Return the reader of the standard library that takes the rows of CSV as this package does."""
    csv.field_size_limit(MAX_CELL)
    if not quotes:
        return csv.reader(stream, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    # Strict: a quote that is never closed is an error, not a cell of a thousand lines.
    return csv.reader(stream, delimiter=delimiter, strict=True)


def json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    """Return what a line of JSON Lines holds.

    Raises:
        DataError: if that is not one object.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        what = "a list, not JSON Lines (one object a line)" if number == 1 and line.lstrip()[:1] == "[" else str(error)
        raise DataError(f"{shown(path)}:{number}: not a JSON object: {what}") from None
    if not isinstance(value, dict):
        raise DataError(f"{shown(path)}:{number}: must be a JSON object, one a line, not {line.strip()[:40]}")
    return value


def _csv_rows(table: Table, stream: io.TextIOWrapper, wanted: Sequence[str | int], strict: bool) -> Iterator[Row]:
    reader = csv_reader(_bounded(table, stream), table.delimiter, table.quotes)
    width = len(table.columns)
    indices = [table.columns.index(name) if isinstance(name, str) else name - 1 for name in wanted]
    named = not width
    begin = 1
    try:
        for cells in reader:
            if not named:
                named = bool(cells)
            elif cells or not strict:
                width = width or len(cells)
                if len(cells) > width or (strict and len(cells) < width):
                    raise DataError(_odd_row(table, reader.line_num, len(cells), width))
                if cells and not table.columns and max(indices) >= len(cells):
                    raise DataError(
                        f"{table.name}:{reader.line_num}: has {count(len(cells), 'cell')}, so there is no column "
                        f"{max(indices) + 1}; the delimiter is taken to be {table.delimiter!r}"
                    )
                yield reader.line_num, tuple(cells[index] if index < len(cells) else None for index in indices)
            begin = reader.line_num + 1
    except csv.Error as error:
        fact = f"{table.name}:{begin}: not a CSV row: {error}"
        raise DataError(
            f"{fact}; if quotes are text in this file: data.quotes: false, or --no-quotes", fact=fact
        ) from None


def _odd_row(table: Table, line: int, cells: int, width: int) -> str:
    return (
        f"{table.name}:{line}: has {cells} cells, the first line has {width}; is a text not in quotes, or a quote not "
        "closed?"
    )


def _jsonl_rows(table: Table, stream: io.TextIOWrapper, wanted: Sequence[str | int], strict: bool) -> Iterator[Row]:
    for number, line in enumerate(_bounded(table, stream), start=1):
        if line.strip():
            value = json_object(table.path, number, line)
            yield number, tuple(value.get(str(name)) for name in wanted)
        elif not strict:
            yield number, (None,) * len(wanted)


def _lines(table: Table, stream: io.TextIOWrapper, wanted: Sequence[str | int], strict: bool) -> Iterator[Row]:
    for number, line in enumerate(_bounded(table, stream), start=1):
        yield number, (line.rstrip("\r\n"),)


_READERS: dict[str, Callable[[Table, io.TextIOWrapper, Sequence[str | int], bool], Iterator[Row]]] = {
    "csv": _csv_rows,
    "tsv": _csv_rows,
    "jsonl": _jsonl_rows,
    "lines": _lines,
}
