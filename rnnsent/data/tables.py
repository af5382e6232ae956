"""Tables of texts on disk: CSV, TSV, JSON Lines, Parquet, and plain lines, read row by row in constant memory."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from rnnsent.errors import DataError

Row = tuple[int, tuple[Any, ...]]  # where it ends in the file, a line or a row from 1; the cells that were asked for
BytesRead = Callable[[int, int], None]  # bytes so far, bytes in all

FORMATS = ("csv", "tsv", "jsonl", "parquet", "lines")
SUFFIXES = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".txt": "lines", ".text": "lines",
}  # fmt: skip
DELIMITERS = (",", "\t", ";", "|")
PARQUET_ROWS = 4096  # held in memory at a time
PEEK_BYTES = 1 << 16
MAX_CELL = 1 << 30  # characters; csv's own limit, 131,072, is less than a long review

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


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
    """

    path: Path
    format: str
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    quotes: bool = True
    _stdin: IO[bytes] | None = field(default=None, repr=False, compare=False)

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
            yield from _parquet_rows(self.path, [str(name) for name in wanted])
            return
        with _opened(self) as (raw, stream):
            count = _Counted(raw, progress)
            try:
                for row in _READERS[self.format](self, stream, wanted, strict):
                    count()
                    yield row
                count.finish()
            except UnicodeDecodeError as error:
                raise DataError(_not_text(self, error)) from None
            except (OSError, EOFError) as error:
                raise DataError(f"{self.path}: cannot be read: {error}") from None


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
        raise DataError(f"{path}: its name does not say what it is; known are {known}; or set data.format")
    if format == "parquet":
        if stdin is not None:
            raise DataError("-: Parquet cannot be read from stdin; name the file")
        return Table(path, format, "", "", tuple(_parquet(path).schema_arrow.names))
    head = _head(path) if stdin is None else stdin.head
    if not head and (stdin is None or format != "lines"):
        raise DataError(f"{path}: is empty")
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


def _raw(path: Path) -> IO[bytes]:
    try:
        opened: Any = gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # noqa: SIM115
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    found: IO[bytes] = opened
    return found


def _head(path: Path) -> bytes:
    try:
        with _raw(path) as raw:
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
            codecs.lookup(asked)
        except LookupError:
            raise DataError(
                f"{path}: there is no encoding called {asked}; for example utf-8, cp1252, latin-1"
            ) from None
        return asked
    if head.startswith(b"PK\x03\x04"):
        raise DataError(f"{path}: is a zip archive, as Excel's files are; save the sheet as CSV")
    marked = next((name for mark, name in _BOMS if head.startswith(mark)), None)
    if marked is None and b"\0" in head:
        raise DataError(f"{path}: is not text: byte {head.index(0)} is zero; set data.encoding if it is UTF-16")
    return marked or "utf-8"


def _not_text(table: Table, error: UnicodeDecodeError) -> str:
    """Say in which line the file stops being text; the decoder only knows its own buffer."""
    where = ""
    if table.encoding in ("utf-8", "utf-8-sig") and table._stdin is None:
        with _raw(table.path) as raw:
            for number, line in enumerate(raw, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError as found:
                    where, error = f":{number}", found
                    break
    given = error.object[error.start]
    return (
        f"{table.path}{where}: is not {table.encoding.upper()} text (byte 0x{given:02x}); name its encoding, "
        "data.encoding or --encoding, for example cp1252"
    )


class _opened:  # noqa: N801  # a context manager
    """The file as bytes and as text; stdin stays open."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __enter__(self) -> tuple[IO[bytes], io.TextIOWrapper]:
        table = self._table
        self._raw = table._stdin or _raw(table.path)
        newline = "" if table.format in ("csv", "tsv") else "\n"
        self._text = io.TextIOWrapper(self._raw, encoding=table.encoding, newline=newline)
        return self._raw, self._text

    def __exit__(self, *error: object) -> None:
        if self._table._stdin is not None:
            self._text.detach()
        else:
            self._text.close()


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


def _first_lines(table: Table, head: bytes) -> str:
    whole = len(head) < PEEK_BYTES
    text = codecs.getincrementaldecoder(table.encoding)("replace").decode(head, whole)
    return text if whole else text.rpartition("\n")[0] or text


def _delimiter(text: str, quotes: bool) -> str:
    """Return the delimiter that cuts the line of names into most cells, and most of the next lines into as many."""
    best, most = ",", 1
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in _csv(io.StringIO(text, newline=""), delimiter, quotes) if row]
        except csv.Error:  # a quote that is not closed in what is looked at
            rows = [row.split(delimiter) for row in text.splitlines() if row]
        rows = (rows[:-1] or rows)[:50]  # the last one may be cut
        width = len(rows[0]) if rows else 1
        agree = sum(len(row) == width for row in rows)
        if width > most and (agree > 0.7 * len(rows) or len(rows) < 4):
            best, most = delimiter, width
    return best


def _csv(stream: Any, delimiter: str, quotes: bool) -> Any:
    csv.field_size_limit(MAX_CELL)
    if not quotes:
        return csv.reader(stream, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    # Strict: a quote that is never closed is an error, not a cell of a thousand lines.
    return csv.reader(stream, delimiter=delimiter, strict=True)


def _header(path: Path, text: str, delimiter: str, quotes: bool) -> tuple[str, ...]:
    try:
        rows = _csv(io.StringIO(text, newline=""), delimiter, quotes)
        names = [name.strip() for name in next((row for row in rows if row), [])]
    except csv.Error as error:
        raise DataError(f"{path}:1: not a line of names: {error}") from None
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}:1: two columns are called {twice!r}")
    return tuple(names)


def _keys(path: Path, text: str) -> tuple[str, ...]:
    keys: dict[str, None] = {}
    for number, line in enumerate(text.split("\n")[:100], start=1):
        if line.strip():
            keys |= dict.fromkeys(_object(path, number, line))
    return tuple(keys)


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        what = "a list, not JSON Lines (one object a line)" if number == 1 and line.lstrip()[:1] == "[" else str(error)
        raise DataError(f"{path}:{number}: not a JSON object: {what}") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}:{number}: must be a JSON object, one a line, not {line.strip()[:40]}")
    return value


def _csv_rows(table: Table, stream: io.TextIOWrapper, wanted: Sequence[str | int], strict: bool) -> Iterator[Row]:
    reader = _csv(stream, table.delimiter, table.quotes)
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
                yield reader.line_num, tuple(cells[index] if index < len(cells) else None for index in indices)
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{table.path}:{begin}: not a CSV row: {error}; if quotes are text in this file: data.quotes: false, or "
            "--no-quotes"
        ) from None


def _odd_row(table: Table, line: int, cells: int, width: int) -> str:
    return (
        f"{table.path}:{line}: has {cells} cells, the first line has {width}; is a text not in quotes, or a quote not "
        "closed?"
    )


def _jsonl_rows(table: Table, stream: io.TextIOWrapper, wanted: Sequence[str | int], strict: bool) -> Iterator[Row]:
    for number, line in enumerate(stream, start=1):
        if line.strip():
            value = _object(table.path, number, line)
            yield number, tuple(value.get(str(name)) for name in wanted)
        elif not strict:
            yield number, (None,) * len(wanted)


def _lines(table: Table, stream: io.TextIOWrapper, wanted: Sequence[str | int], strict: bool) -> Iterator[Row]:
    for number, line in enumerate(stream, start=1):
        yield number, (line.rstrip("\r\n"),)


_READERS: dict[str, Callable[[Table, io.TextIOWrapper, Sequence[str | int], bool], Iterator[Row]]] = {
    "csv": _csv_rows,
    "tsv": _csv_rows,
    "jsonl": _jsonl_rows,
    "lines": _lines,
}


def _parquet(path: Path) -> Any:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(f"{path}: Parquet needs pyarrow: pip install 'rnnsent[parquet]'") from None
    try:
        return parquet.ParquetFile(path)
    except (OSError, arrow.ArrowException) as error:
        raise DataError(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from None


def _parquet_rows(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    import pyarrow as arrow

    number = 0
    try:
        for batch in _parquet(path).iter_batches(PARQUET_ROWS, columns=list(dict.fromkeys(wanted))):
            columns = [batch.column(name).to_pylist() for name in wanted]
            for cells in zip(*columns, strict=True):
                number += 1
                yield number, cells
    except (OSError, arrow.ArrowException) as error:
        raise DataError(f"{path}: row {number + 1}: cannot be read: {error}") from None
