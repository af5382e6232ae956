"""The rows of table files: CSV, TSV, JSON Lines, Parquet, fastText's lines and plain lines.

A new format is one function that yields rows and one entry of `FORMATS`.
"""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import IO, Any

from rnnsent.data.dialect import PLAIN, Dialect, are_numbered
from rnnsent.data.inputs import Input
from rnnsent.errors import DataError, count

logger = logging.getLogger(__name__)

Column = str | int  # a name, or a number from 1 if the file does not name its columns
Cells = Mapping[Any, Any]  # the cells of a row by column
BytesRead = Callable[[int, int], None]  # bytes so far, bytes in all

BATCH_ROWS = 1024  # of Parquet
PACKED = (".gz", ".bz2", ".xz", ".zst")
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

    @cached_property
    def sample(self) -> list[list[str]]:
        """The first rows of CSV or TSV, that of the names among them; those of other formats are not needed."""
        if not FORMATS[self.format].delimiters:
            return []
        with self.opened() as stream:
            return self.dialect.sample(stream)

    def opened(self) -> AbstractContextManager[Any]:
        """Open the file, as bytes or as text, as its format reads it."""
        return self.source.reading() if FORMATS[self.format].binary else self.source.text(self.encoding)

    def rows(self, columns: Sequence[Column], progress: BytesRead | None = None) -> Iterator[Row]:
        """Yield the cells of `columns` of each row, or why it is left out; a missing cell is None.

        Args:
            columns: names, or numbers from 1 if the file does not name them.
            progress: called with the bytes that were read; not of a pipe.
        """
        with self.opened() as stream:
            raw = getattr(stream, "buffer", stream)
            packed = getattr(raw, "fileobj", raw)
            total = self.source.path.stat().st_size if progress else 0
            for index, (number, cells) in enumerate(FORMATS[self.format].rows(self, stream, columns), start=1):
                yield number, cells if isinstance(cells, LeftOut) else tuple(cells.get(each) for each in columns)
                if progress and index % PROGRESS_ROWS == 0:
                    progress(min(packed.tell(), total), total)
            if progress:
                progress(total, total)

    def refused(self, number: int, reason: str, why: LeftOut) -> LeftOut:
        """Return why a bad row is left out; DataError for the `reason`, unless bad rows are to be left out."""
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
    total: tuple[int, Cells | LeftOut] | None = None  # held until it is known that a row follows: only the last is one
    short: list[int] = []  # lines of rows that lack cells
    for number, cells, _ in table.dialect.records(stream):
        if isinstance(cells, csv.Error):
            yield number, table.refused(number, f"not a CSV row: {cells}; is a quote not closed?", NO_ROW)
        elif not named:
            named = bool("".join(cells).strip())
        elif not cells or (len(cells) == 1 < width and not cells[0].strip()):
            yield number, BLANK
        else:
            if total is not None:
                yield total
            row, total = (number, _csv_cells(table, number, cells, places)), None
            short += [number] if len(cells) < width else []
            if width > 1 and _is_total(cells):
                total = row
            else:
                yield row
    if total is not None:
        yield total[0], TOTAL
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


def _csv_cells(table: Table, number: int, cells: list[str], places: Mapping[Column, int]) -> Cells | LeftOut:
    width = table.width
    if table.columns and _repeats_names(cells, table.columns):
        return REPEATED_NAMES
    cells = table.dialect.unwrapped(cells, width)
    if any(cell.strip() for cell in cells[width:]):
        hint = "is a text not in quotes?"
        if any(cell.endswith("\\") for cell in cells):
            hint = "if \\ stands before delimiters in it: --escape '\\'"
        first = "the first line has" if table.columns else "most rows have"
        return table.refused(number, f"has {len(cells)} cells, {first} {width}; {hint}", TOO_MANY)
    return {column: cells[place] for column, place in places.items() if place < len(cells)}


def _repeats_names(cells: Sequence[str], columns: Sequence[str]) -> bool:
    """Return whether a row is the line of names again, in any case, or the first ones of several."""
    given = _csv_names(cells)
    if min(len(given), len(columns)) < 2:
        return given == list(columns)
    return list(map(str.lower, given)) == [name.lower() for name in columns[: len(given)]]


def _csv_names(cells: Sequence[str]) -> list[str]:
    """Return the names of columns; one without is called by its number."""
    return [name.strip("\ufeff ") or f"column {place}" for place, name in enumerate(cells, start=1)]


def _csv_columns(table: Table, stream: IO[str]) -> list[str]:
    if not table.sample:
        raise DataError(f"{table.name}: holds no row")
    columns = _csv_names(["", *table.sample[0]] if are_numbered(table.sample) else table.sample[0])
    names: list[str] = []
    for name in columns:
        number = names.count(name) + 1
        while name in names:
            number, name = number + 1, f"{columns[len(names)]} {number}"
        names.append(name)
    if renamed := next((pair for pair in zip(columns, names, strict=True) if pair[0] != pair[1]), None):
        logger.warning("%s: two columns are called %r; the second is %r here", table.name, *renamed)
    return names


def _json_rows(table: Table, stream: IO[str], columns: Sequence[Column]) -> Iterator[tuple[int, Cells | LeftOut]]:
    for number, text in enumerate(stream, start=1):
        line = text.strip("\ufeff \t\r\n")
        if not line:
            yield number, BLANK
        elif number == 1 and line.startswith("["):
            raise DataError(f"{table.name}: a JSON list, not JSON Lines; jq -c '.[]' < FILE writes one object a line")
        else:
            try:
                value, reason = json.loads(line), f"not a JSON object: {line[:40]}"
            except (ValueError, RecursionError) as error:
                value, reason = None, f"not a JSON object: {error}"
            yield number, value if isinstance(value, dict) else table.refused(number, reason, NOT_JSON)


def _keys(table: Table, stream: IO[str]) -> list[str]:
    """Return the columns of all rows; the names of those that only hold lists and objects are `NestedName`."""
    nested: dict[str, bool] = {}
    for _, cells in FORMATS[table.format].rows(table, stream, ()):
        for name, cell in () if isinstance(cells, LeftOut) else cells.items():
            nested[name] = nested.get(name, True) and isinstance(cell, list | dict)
    return [NestedName(name) if is_nested else name for name, is_nested in nested.items()]


@contextmanager
def _parquet(table: Table, stream: Any) -> Iterator[Any]:
    try:
        from pyarrow import parquet

        yield parquet.ParquetFile(stream)
    except ImportError:
        raise DataError(f"{table.name}: Parquet needs pyarrow: pip install 'rnnsent[parquet]'") from None
    except Exception as error:  # pyarrow has no base for all that it raises
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{table.name}: not a Parquet file, or a damaged one: {reason}") from None


def _parquet_rows(table: Table, stream: Any, columns: Sequence[Column]) -> Iterator[tuple[int, Cells]]:
    with _parquet(table, stream) as file:
        batches = file.iter_batches(BATCH_ROWS, columns=[str(column) for column in columns])
        yield from enumerate(chain.from_iterable(batch.to_pylist() for batch in batches), start=1)


def _parquet_columns(table: Table, stream: Any) -> list[str]:
    with _parquet(table, stream) as file:
        names = list(file.schema_arrow.names)
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"{table.name}: two columns are called {twice!r}")
    return names


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
        if any("," in label for label in labels):
            raise DataError(f"{table.name}:{number}: {labels[0]}: a comma in a label; a space ends labels of fastText")
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
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED]
    return next((name for name, form in FORMATS.items() if suffixes and suffixes[-1] in form.suffixes), None)
