"""How a CSV or TSV file is written: its delimiter, whether quotes are part of the text, whether a line names columns.

All of this is looked for in each file by itself. Python's csv module cuts the rows; its sniffer is not used, because
commas and quotes inside of texts mislead it.
"""

from __future__ import annotations

import csv
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from rnnsent.data.inputs import CHUNK, Input, ReadOptions
from rnnsent.errors import DataError, count

logger = logging.getLogger(__name__)

SAMPLE_ROWS = 50
MAX_VALUES = 1000  # of a column, that are remembered
FEW, MOST = 0.05, 0.9  # of the cells over several lines
MAX_REPEATED = 20  # values of a column that tell where a row begins or ends
_SEPARATOR = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)  # what Excel writes into the first line


@dataclass(frozen=True)
class Dialect:
    """How lines are cut into rows, and rows into cells."""

    delimiter: str = ","
    quotes: bool = True  # whether quotes around a cell are not part of it
    escape: str | None = None  # the character before a delimiter or quote that is part of a cell
    begin: int = 0  # lines before the first row
    spaces: bool = False  # whether spaces before a quote are not part of the cell

    def rows(self, stream: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of the last line and the cells of each row of a file.

        Raises:
            csv.Error: of the line where a row begins that cannot be read, and the reason.
        """
        for line, cells, _ in self.records(stream):
            if isinstance(cells, csv.Error):
                raise cells
            yield line, cells

    def records(self, stream: Iterable[str]) -> Iterator[tuple[int, list[str] | csv.Error, list[str]]]:
        """Yield the number of the last line, the cells and the lines of each row of a file.

        Instead of the cells it yields the error of a line that begins no row, and goes on with the next line.
        """
        csv.field_size_limit(sys.maxsize)  # the limit of 131,072 characters is less than a long review
        last = self.begin
        lines: Iterator[str] = islice(stream, self.begin, None)
        while True:
            before, record = last, list[str]()
            reader = self._reader(_remembered(lines, record))
            try:
                for cells in reader:
                    last = before + reader.line_num
                    yield last, cells, record
                    record.clear()
                return
            except csv.Error as error:
                if len(record) == 1 and "\r" in record[0].rstrip("\r\n"):  # a line break in a cell without quotes
                    lines = chain([record[0].rstrip("\r\n").replace("\r", " ")], lines)
                    continue
                last += 1
                yield last, csv.Error(last, str(error)), record[:1]
                lines = chain(record[1:], lines)

    def unwrapped(self, cells: list[str], width: int) -> list[str] | None:
        """Return the cells of a row that is quoted as a whole, as if it were one cell; None if it is not."""
        if len(cells) != 1 or width < 2 or self.delimiter not in cells[0]:
            return None
        inner: list[str] = next(self._reader(iter(cells)))
        return inner if len(inner) == width else None

    def _reader(self, lines: Iterator[str]) -> Any:
        if self.escape is not None:  # the csv module would drop it before any character, as of \\N
            escape = re.escape(self.escape)
            plain = re.compile(f'{escape}{escape}|({escape})(?![{re.escape(self.delimiter)}"\\r\\n])')
            lines = (plain.sub(lambda match: match[0] * (2 if match[1] else 1), line) for line in lines)
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            escapechar=self.escape,
            doublequote=self.escape is None,
            quoting=csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE,
            skipinitialspace=self.spaces,
            strict=True,  # a quote that is never closed is an error, not a cell of a thousand lines
        )


PLAIN = Dialect()


def _remembered(lines: Iterable[str], record: list[str]) -> Iterator[str]:
    for line in lines:
        record.append(line)
        yield line


def is_blank(cells: Sequence[str]) -> bool:
    """Return whether a row is that of a blank line."""
    return len(cells) <= 1 and not "".join(cells).strip()


def find_dialect(source: Input, encoding: str, delimiters: str, options: ReadOptions) -> Dialect:
    """Find out how a table is written, except for what `options` say.

    Args:
        source: of the table.
        encoding: of its text.
        delimiters: that are possible, the most likely first.
        options: what is said of it.

    Raises:
        DataError: if its quotes do not tell where rows end.
    """
    with source.text(encoding) as stream:
        separator = _SEPARATOR.fullmatch(stream.readline())
    known = options.delimiter or (separator[1] if separator else None)
    quotes = options.quotes is not False
    dialect = Dialect(known or delimiters[0], quotes, options.escape, 1 if separator else 0)
    if known is None:
        dialect = replace(dialect, delimiter=_delimiter(source, encoding, delimiters, dialect))
    if options.quotes is None and _holds(source, b'"'):
        dialect = _with_quotes(source, encoding, dialect, skip_bad_rows=options.skip_bad_rows)
    return dialect


def _holds(source: Input, byte: bytes) -> bool:
    with source.reading() as raw:
        return any(byte in chunk for chunk in iter(lambda: raw.read(CHUNK), b""))


def _delimiter(source: Input, encoding: str, delimiters: str, dialect: Dialect) -> str:
    """Return the delimiter that cuts the first line into most cells, and most of the next lines into as many.

    Of two that do so equally it is the one without a space after each.
    """
    best, most = delimiters[0], (1, False)
    for delimiter in delimiters:
        rows: list[list[str]] = []
        try:
            with source.text(encoding) as stream:
                for _, cells in islice(replace(dialect, delimiter=delimiter).rows(stream), SAMPLE_ROWS):
                    rows += [] if is_blank(cells) else [cells]
        except csv.Error:  # a quote that is not closed
            with source.text(encoding) as stream:
                rows = [line.split(delimiter) for line in islice(stream, SAMPLE_ROWS) if line.strip()]
        width = len(rows[0]) if rows else 1
        agree = len(rows) if are_numbered(rows) else sum(len(row) == width for row in rows)
        rank = width, not all(cell.startswith(" ") for row in rows for cell in row[1:])
        if rank > most and width > 1 and (agree > 0.7 * len(rows) or len(rows) < 4):
            best, most = delimiter, rank
    return best


class _Quotes:
    """What the quotes of a table are, from what its rows look like."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.rows = self.enclosed = self.errors = 0  # rows of one line; rows in which quotes enclose a cell
        self.broken: csv.Error | None = None  # the first
        self.width, self.lines_alike = 0, True  # cells of the first row; whether every line has as many without quotes
        self.escapes = self.spaces = False  # whether backslashes stand before quotes, and spaces before quoted cells
        self.swallowed: tuple[int, int] | None = None  # the first cell that holds rows: its last line, and how many
        self.doubts: list[int] = []  # the last lines of cells that may hold rows
        self.several = 0  # rows over several lines
        self._values: list[set[str]] = []  # of each column
        self._several: list[tuple[int, list[list[str]]]] = []  # last line of rows over several lines, and the lines

    @property
    def are_text(self) -> bool:
        """Whether they are part of the texts: they enclose few cells, and all lines are rows without them."""
        return self.errors > self.enclosed and self.lines_alike and self.width > 1

    def add(self, line: int, cells: list[str] | csv.Error, record: Sequence[str]) -> None:
        """Look at a row; see `Dialect.records`."""
        cut = [part.rstrip("\r\n").split(self.dialect.delimiter) for part in record if part.strip()]
        if isinstance(cells, csv.Error):
            self.broken, self.errors, cells = self.broken or cells, self.errors + 1, []
        self.width = self.width or len(cells or cut[0])
        self._values = self._values or [set() for _ in range(self.width)]
        self.lines_alike = self.lines_alike and all(len(each) == self.width for each in cut)
        if any('"' in part for part in record):
            self.escapes = self.escapes or any('\\"' in part for part in record)
            self.spaces = self.spaces or any(cell[:1] == " " and cell.lstrip(" ")[:1] == '"' for cell in cells)
            self.enclosed += bool(cells) and any(cell.startswith('"') for cell in cut[0])
        if len(cut) > 1:
            self._several.append((line, cut))
            self.several += 1
        elif len(cut) == 1 and len(cells) == self.width:
            self.rows += 1
            for seen, cell in zip(self._values, cells, strict=True):
                if len(seen) < MAX_VALUES:
                    seen.add(cell)
        if self._several and self.rows > SAMPLE_ROWS:
            self.judge()

    def judge(self) -> None:
        """Compare cells over several lines with the values that the columns have."""
        width = self.width
        few = [(place, values) for place, values in enumerate(self._values) if 2 * len(values) <= self.rows]
        few = [(place, values - {""}) for place, values in few if len(values) <= MAX_REPEATED]
        for line, cut in self._several:
            alike = [each for each in cut if len(each) == width]
            if 2 * len(alike) >= len(cut) and len(alike) > 1:
                values = enumerate(self._values)
                known = any(all(each[place].strip('"') in seen - {""} for each in alike) for place, seen in values)
                if known and len(alike) > 2:
                    self.swallowed = self.swallowed or (line, len(alike))
                if known or self.lines_alike or self.dialect.delimiter == "\t":  # commas are frequent in texts
                    self.doubts.append(line)
            elif any(
                any(place < len(each) - 1 and each[place].strip('"') in values for each in cut[1:])
                or any(width - place < len(each) and each[place - width].strip('"') in values for each in cut[:-1])
                for place, values in few
            ):
                self.doubts.append(line)
        self._several.clear()


def _with_quotes(source: Input, encoding: str, dialect: Dialect, *, skip_bad_rows: bool) -> Dialect:
    """Return `dialect` with what its quotes are: part of the text, or around cells, where spaces may precede them.

    Raises:
        DataError: if they do not enclose cells and lines are no rows either, or if a cell holds lines that have as
            many cells as a row, and a value that rows have in the same place.
    """
    quotes = _Quotes(dialect)
    with source.text(encoding) as stream:
        for row in dialect.records(stream):
            quotes.add(*row)
    quotes.judge()
    others = [replace(dialect, spaces=True)] if quotes.spaces and not dialect.spaces else []
    if quotes.escapes and quotes.broken is not None and dialect.escape is None:
        others.append(replace(dialect, escape="\\"))
    for other in others:
        with suppress(DataError):
            found = _with_quotes(source, encoding, other, skip_bad_rows=False)
            if found.quotes:
                return found
    if quotes.are_text:
        return replace(dialect, quotes=False)
    if quotes.broken is not None and not skip_bad_rows:
        line, reason = quotes.broken.args
        way = "is a quote not closed?" + (" (--no-quotes if quotes are part of texts)" if quotes.lines_alike else "")
        way = "if \\ stands before quotes in texts: --escape '\\';" if quotes.escapes else way
        raise DataError(f"{source.name}:{line}: not a CSV row: {reason}; {way} --skip-bad-rows leaves such rows out")
    # Where only some of many texts look like rows, they are what they look like: letters with a comma here and there.
    doubted = len(quotes.doubts) / max(quotes.several, 1)
    if quotes.swallowed is not None and doubted > MOST:
        line, number = quotes.swallowed
        raise DataError(
            f"{source.name}:{line}: a quoted cell ends here after {number} lines that are like rows of their own; "
            "if the quotes are part of the texts: --no-quotes; if the cell is right: --quotes"
        )
    if quotes.doubts and not FEW < doubted < MOST:
        logger.warning(
            "%s: %s with lines that could be rows, as the one up to line %d; if all is right: --quotes",
            source.name, count(len(quotes.doubts), "quoted cell"), quotes.doubts[0],
        )  # fmt: skip
    return dialect


def are_numbered(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether rows begin with their numbers, for which the line of names, the first, has no cell, as R does."""
    others = enumerate(rows[1:], start=1)
    return len(rows) > 1 and all(len(row) == len(rows[0]) + 1 and row[0] == str(number) for number, row in others)


def names_columns(rows: Sequence[Sequence[str]], known: frozenset[str]) -> bool:
    """Return whether the first row names the columns.

    It does if one of its cells is a known name, or if in a column whose values repeat its cell is not among the others.

    Args:
        rows: the first ones.
        known: names in lower case.
    """
    if not rows:
        return False
    first, others = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    if any(cell.strip().lower() in known for cell in first):
        return True
    columns = [[row[place].strip() for row in others] for place in range(len(first))]
    return any(
        2 * len(set(column)) <= len(column) > 2 and name.strip() not in column
        for name, column in zip(first, columns, strict=True)
    )
