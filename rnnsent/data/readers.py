"""The rows of table files: CSV, TSV, JSON Lines, Parquet, fastText's lines and plain lines.

A new format is one function that yields rows and one entry of `FORMATS`.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from rnnsent.data.dialect import PLAIN, SAMPLE_ROWS, Dialect, are_numbered, is_blank
from rnnsent.data.inputs import Input, decoded_lines
from rnnsent.errors import DataError, count

logger = logging.getLogger(__name__)

Column = str | int  # a name, or a number from 1 if the file does not name its columns
Cells = Mapping[Any, Any]  # the cells of a row by column
BytesRead = Callable[[int, int], None]  # bytes so far, bytes in all

BATCH_ROWS = 1024  # of Parquet
PROGRESS_ROWS = 1000  # between two reports of progress
TOTALS = frozenset((
    "total", "totals", "grand total", "sum", "summe", "gesamt", "gesamtsumme", "gesamtergebnis", "insgesamt", "suma",
    "totale", "total general", "totaal", "razem", "итого", "合计", "合計",
))  # fmt: skip
# How tables write that a cell is empty, as pandas reads them; \N is MySQL's.
NULLS = frozenset((
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null", "\\N",
))  # fmt: skip


class NestedName(str):
    """The name of a column of lists or objects, which holds neither texts nor labels."""


class LeftOut(str):
    """Why a row is left out."""


BLANK = LeftOut("blank lines")
REPEATED_NAMES = LeftOut("repeat the line of names")
TOTAL = LeftOut("give a total")
NO_ROW = LeftOut("with quotes that do not enclose cells")
TOO_MANY = LeftOut("with too many cells")
NOT_JSON = LeftOut("not a JSON object")
A_LIST = "a JSON list, not JSON Lines; jq -c '.[]' < FILE writes one object a line"

Row = tuple[int, tuple[Any, ...] | LeftOut]  # line or row number in the file, from 1; the cells that were requested


@dataclass(frozen=True)
class Table:
    """A file of rows, and how it is read."""

    source: Input
    format: str  # a key of `FORMATS`
    encoding: str = ""  # of a text format
    dialect: Dialect = PLAIN  # of CSV and TSV
    columns: tuple[str, ...] = ()  # names in order; empty if the file does not name them
    width: int = 0  # cells of a row of CSV or TSV
    skip_bad_rows: bool = False

    @property
    def name(self) -> str:
        """The file as messages name it."""
        return self.source.name

    @property
    def nulls(self) -> frozenset[str]:
        """The spellings of an empty cell; a typed format has none, it says so itself."""
        return frozenset() if FORMATS[self.format].typed else NULLS

    def rows(self, columns: Sequence[Column], progress: BytesRead | None = None) -> Iterator[Row]:
        """Yield the cells of `columns` of each row, or why it is left out; a missing cell is None.

        Args:
            columns: names, or numbers from 1 if the file does not name them.
            progress: called with the bytes that were read.

        Raises:
            DataError: with file and line, if a row cannot be read.
        """
        with self.opened() as (raw, stream):
            packed = getattr(raw, "fileobj", raw)
            total = self.source.path.stat().st_size if progress else 0
            for index, (number, cells) in enumerate(FORMATS[self.format].rows(self, stream, columns), start=1):
                yield number, cells if isinstance(cells, LeftOut) else tuple(cells.get(each) for each in columns)
                if progress and index % PROGRESS_ROWS == 0:
                    progress(min(packed.tell(), total), total)
            if progress:
                progress(total, total)

    @contextmanager
    def opened(self) -> Iterator[tuple[Any, Any]]:
        """Yield the file as bytes and as what its format reads."""
        form = FORMATS[self.format]
        with self.source.reading() as raw:
            if form.binary:
                yield raw, raw
            elif self.source.stream is not None and not self.encoding.startswith(("utf-16", "utf-32")):
                yield raw, decoded_lines(io.BufferedReader(self.source.stream), self.source.name, self.encoding)
            else:
                with self.source.text(self.encoding, raw) as stream:
                    yield raw, stream

    def refused(self, number: int, reason: str, why: LeftOut) -> LeftOut:
        """Return why a bad row is left out.

        Raises:
            DataError: for the `reason`, unless bad rows are to be left out.
        """
        if not self.skip_bad_rows:
            raise DataError(f"{self.name}:{number}: {reason}; --skip-bad-rows leaves such rows out")
        return why


@dataclass(frozen=True)
class Format:
    """A table format."""

    suffixes: tuple[str, ...]
    # (table, stream, requested columns) → number and cells of each row, or why it is left out
    rows: Callable[[Table, Any, Sequence[Column]], Iterator[tuple[int, Cells | LeftOut]]]
    columns: Callable[[Table, Any], Sequence[str]] = lambda table, stream: _keys(table, stream)
    delimiters: str = ""  # most likely first
    binary: bool = False  # whether the stream holds bytes instead of text
    typed: bool = False  # whether it has an empty cell of its own
    by_line: bool = False  # whether each line is of use before the next one is there


def _csv_rows(table: Table, stream: IO[str], columns: Sequence[Column]) -> Iterator[tuple[int, Cells | LeftOut]]:
    places = {column: table.columns.index(column) if isinstance(column, str) else column - 1 for column in columns}
    width, named = table.width, not table.columns
    held: list[tuple[int, Cells | LeftOut]] = []  # until it is known that a row follows: only the last is a total
    short: list[int] = []  # lines of rows that lack cells
    for number, cells, _ in table.dialect.records(stream):
        if isinstance(cells, csv.Error):
            yield number, table.refused(number, f"not a CSV row: {cells.args[1]}; is a quote not closed?", NO_ROW)
            continue
        if not named:
            named = bool("".join(cells).strip())
            continue
        blank = not cells or (width != 1 and is_blank(cells))
        if not blank:
            yield from held
            held = []
            short += [number] if len(cells) < width else []
        row = number, BLANK if blank else _csv_cells(table, number, cells, places, width)
        if held or (width > 1 and _is_total(cells)):
            held.append(row)
        else:
            yield row
    if held:
        yield held[0][0], TOTAL
        yield from held[1:]
    if short:
        logger.warning(
            "%s: %s with fewer cells than the first line, as in line %d; is a text broken over lines?",
            table.name, count(len(short), "row"), short[0],
        )  # fmt: skip


def _is_total(cells: Sequence[str]) -> bool:
    """Return whether a row is called a total and holds nothing but numbers besides."""
    name, *numbers = [cell for cell in cells if cell.strip()] or [""]
    plain = [cell.strip().replace(",", "").replace(".", "") for cell in numbers]
    return name.strip(": ").lower() in TOTALS and bool(plain) and all(map(str.isdecimal, plain))


def _repeats_names(cells: Sequence[str], columns: Sequence[str]) -> bool:
    """Return whether a row is the line of names again, in any case, or the first ones of several."""
    given = [cell.strip("\ufeff ") or unnamed(place) for place, cell in enumerate(cells, start=1)]
    if len(columns) < 2 or len(cells) < 2:
        return given == list(columns)
    return list(map(str.lower, given)) == [name.lower() for name in columns[: len(cells)]]


def _csv_cells(
    table: Table, number: int, cells: list[str], places: Mapping[Column, int], width: int
) -> Cells | LeftOut:
    if _repeats_names(cells, table.columns):
        return REPEATED_NAMES
    if inner := table.dialect.unwrapped(cells, width):
        if '"' not in cells[0] and table.dialect.delimiter == ",":  # it may be a text with a comma
            reason = f"has one cell in quotes, the first line has {width}; is the row quoted as a whole?"
            return table.refused(number, reason, NO_ROW)
        cells = inner
    if any(cell.strip() for cell in cells[width:]):
        hint = "is a text not in quotes?"
        if any(cell.endswith("\\") for cell in cells):
            hint = "if \\ stands before delimiters in it: --escape '\\'"
        elif any(cell.strip().startswith("'") for cell in cells):
            hint = "if its texts are in '…': quotes of a table are \""
        reason = (
            f"has {len(cells)} cells, {'the first line has' if table.columns else 'most rows have'} {width}; {hint}"
        )
        return table.refused(number, reason, TOO_MANY)
    last = max(places.values(), default=0)
    if not table.columns and last >= max(len(cells), width):
        number_of_cells = count(len(cells), "cell")
        raise DataError(
            f"{table.name}:{number}: has {number_of_cells}, so there is no column {last + 1}; the delimiter is taken "
            f"to be {table.dialect.delimiter!r}"
        )
    return {column: cells[place] for column, place in places.items() if place < len(cells)}


def unnamed(place: int) -> str:
    """Return the name of a column without one, by its place from 1."""
    return f"column {place}"


def _csv_columns(table: Table, stream: IO[str]) -> list[str]:
    rows: list[list[str]] = []
    for _, cells, _ in islice(table.dialect.records(stream), SAMPLE_ROWS):
        if isinstance(cells, csv.Error):
            if not rows:
                raise cells
            break
        rows += [cells] if "".join(cells).strip() else []
    names = [name.strip("\ufeff ") for name in rows[0]] if rows else []
    names = ["", *names] if are_numbered(rows) else names
    return [name or unnamed(place) for place, name in enumerate(names, start=1)]


def _json_rows(table: Table, stream: IO[str], columns: Sequence[Column]) -> Iterator[tuple[int, Cells | LeftOut]]:
    for number, line in enumerate(stream, start=1):
        if not line.strip("\ufeff \t\r\n"):
            yield number, BLANK
            continue
        try:
            value = json.loads(line.strip("\ufeff, \t\r\n"))  # some end in commas, as in a list
        except (ValueError, RecursionError) as error:
            if number == 1 and line.lstrip()[:1] == "[":
                raise DataError(f"{table.name}: {A_LIST}") from None
            yield number, table.refused(number, f"not a JSON object: {error}", NOT_JSON)
            continue
        if isinstance(value, list) and number == 1:
            raise DataError(f"{table.name}: {A_LIST}")
        if isinstance(value, dict):
            yield number, value
        else:
            reason = f"must be a JSON object, one a line, not {line.strip()[:40]}"
            yield number, table.refused(number, reason, NOT_JSON)


def _keys(table: Table, stream: IO[str]) -> list[str]:
    """Return the columns of all rows; the names of those that only hold lists and objects are `NestedName`."""
    nested: dict[str, bool] = {}
    for _, cells in FORMATS[table.format].rows(table, stream, ()):
        for name, cell in () if isinstance(cells, LeftOut) else cells.items():
            nested[name] = nested.get(name, True) and isinstance(cell, list | dict)
    return [NestedName(name) if is_nested else name for name, is_nested in nested.items()]


def _parquet(table: Table, stream: Any) -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{table.name}: Parquet needs pyarrow: pip install 'rnnsent[parquet]'") from None
    try:
        return parquet.ParquetFile(stream)
    except Exception as error:  # pyarrow has no base for all that it raises
        raise DataError(f"{table.name}: not a Parquet file: {error}") from None


def _parquet_rows(table: Table, stream: Any, columns: Sequence[Column]) -> Iterator[tuple[int, Cells]]:
    file, number = _parquet(table, stream), 0
    try:
        for batch in file.iter_batches(BATCH_ROWS, columns=[str(column) for column in columns]):
            for cells in batch.to_pylist():
                number += 1
                yield number, cells
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{table.name}: after row {number}: cannot be read: {reason.splitlines()[0]}") from None


def _parquet_columns(table: Table, stream: Any) -> list[str]:
    return list(_parquet(table, stream).schema_arrow.names)


def _line_rows(table: Table, stream: IO[str], columns: Sequence[Column]) -> Iterator[tuple[int, Cells]]:
    for number, line in enumerate(stream, start=1):
        yield number, {1: line.rstrip("\r\n")}


FASTTEXT_LABEL = "__label__"


def _fasttext_rows(table: Table, stream: IO[str], columns: Sequence[Column]) -> Iterator[tuple[int, Cells | LeftOut]]:
    for number, line in enumerate(stream, start=1):
        words = line.split()
        labels = [word for word in words if word.startswith(FASTTEXT_LABEL)]
        if len(labels) > 1:
            raise DataError(f"{table.name}:{number}: has {len(labels)} labels ({', '.join(labels)}); one is needed")
        if not words:
            yield number, BLANK
        else:
            text = " ".join(word for word in words if word not in labels)
            yield number, {"text": text, "label": labels[0].removeprefix(FASTTEXT_LABEL) if labels else None}


FORMATS = {
    "csv": Format((".csv",), _csv_rows, _csv_columns, delimiters=",\t;|"),
    "tsv": Format((".tsv", ".tab"), _csv_rows, _csv_columns, delimiters="\t"),
    "jsonl": Format((".jsonl", ".ndjson", ".json"), _json_rows, typed=True, by_line=True),
    "parquet": Format((".parquet",), _parquet_rows, _parquet_columns, binary=True, typed=True),
    "fasttext": Format((".ft",), _fasttext_rows, lambda table, stream: ("text", "label")),
    "lines": Format((".txt", ".text"), _line_rows, lambda table, stream: (), typed=True, by_line=True),
}


def format_of(path: Path) -> str | None:
    """Return the format of a file by its suffix, packed or not; None if it is unknown."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in (".gz", ".bz2", ".xz", ".zst"):
        suffixes.pop()
    last = suffixes[-1] if suffixes else ""
    return next((name for name, form in FORMATS.items() if last in form.suffixes), None)
