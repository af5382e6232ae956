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
SAMPLE_LINES = 500
FEW, MOST = 0.05, 0.9  # of the cells over several lines
MAX_REPEATED = 20  # values of a column that tell where a row begins or ends
_SPACED = re.compile(' +"')
_SEPARATOR = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)  # what Excel writes into the first line

Record = tuple[int, list[str] | csv.Error, list[str]]  # the last line of a row, its cells, its lines


@dataclass(frozen=True)
class Dialect:
    """How lines are cut into rows, and rows into cells."""

    delimiter: str = ","
    quotes: bool = True  # whether quotes around a cell are not part of it
    escape: str | None = None  # the character before a delimiter or quote that is part of a cell
    begin: int = 0  # lines before the first row
    spaces: bool = False  # whether spaces before a quote are not part of the cell

    def records(self, stream: Iterable[str]) -> Iterator[Record]:
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
                yield last, error, record[:1]
                lines = chain(record[1:], lines)

    def sample(self, stream: Iterable[str]) -> list[list[str]]:
        """Return the first rows of a file that can be read, except blank ones."""
        records = (cells for _, cells, _ in islice(self.records(stream), SAMPLE_ROWS))
        return [cells for cells in records if not isinstance(cells, csv.Error) and "".join(cells).strip()]

    def unwrapped(self, cells: list[str], width: int) -> list[str]:
        """Return the cells of a row that is quoted as a whole, as if it were one cell; others as they are."""
        if len(cells) == 1 < width and (self.delimiter != "," or '"' in cells[0]):  # else it is a text with a comma
            with suppress(csv.Error):
                inner: list[str] = next(self._reader(iter(cells)))
                return inner if len(inner) == width else cells
        return cells

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


def find_dialect(source: Input, encoding: str, delimiters: str, options: ReadOptions) -> Dialect:
    """Find out how a table is written, except for what `options` say; the first of `delimiters` is the most likely.

    Raises:
        DataError: if its quotes do not tell where rows end.
    """
    with source.text(encoding) as stream:
        lines = list(islice(stream, SAMPLE_LINES))
    separator = _SEPARATOR.fullmatch(lines[0]) if lines else None
    known = options.delimiter or (separator[1] if separator else None)
    dialect = Dialect(known or delimiters[0], options.quotes is not False, options.escape, 1 if separator else 0)
    if known is None:
        dialect = _with_delimiter(dialect, delimiters, lines)
    if options.quotes is None and _has_quotes(source):
        dialect = _with_quotes(source, encoding, dialect, skip_bad_rows=options.skip_bad_rows)
    return dialect


def _has_quotes(source: Input) -> bool:
    with source.reading() as raw:
        return any(b'"' in chunk for chunk in iter(lambda: raw.read(CHUNK), b""))


def _with_delimiter(dialect: Dialect, delimiters: str, lines: Sequence[str]) -> Dialect:
    """Return `dialect` with the delimiter that cuts the first line into most cells, and most others into as many.

    Of two that do so equally it is the one without a space after each.
    """
    best, most = dialect, (1, False)
    for delimiter in delimiters:
        other = replace(dialect, delimiter=delimiter)
        rows = other.sample(lines)
        width = len(rows[0]) if rows else 1
        agree = len(rows) if are_numbered(rows) else sum(len(row) == width for row in rows)
        rank = width, not all(cell.startswith(" ") for row in rows for cell in row[1:])
        if rank > most and width > 1 and (agree > 0.7 * len(rows) or len(rows) < 4):
            best, most = other, rank
    return best


class _Quotes:
    """What the quotes of a table are, from what its rows look like."""

    def __init__(self, delimiter: str, records: Iterable[Record]) -> None:
        self.delimiter, self.width = delimiter, 0
        lines = fitting = 0  # those that are as wide as the first, without quotes
        self.broken: tuple[int, str] | None = None  # the first line that begins no row, and why
        self.enclosed = self.errors = self.several = 0  # rows with quoted cells, lines of no row, rows of lines
        self.escapes = self.spaces = False  # whether backslashes stand before quotes, and spaces before quoted cells
        self.swallowed: tuple[int, int] | None = None  # the first cell that holds rows: its last line, and how many
        self.doubts: list[int] = []  # the last lines of cells that may hold rows
        values: list[set[str]] = []  # of each column, as long as they are few
        waiting: list[tuple[int, list[list[str]]]] = []  # rows over several lines: the last line, and the cut lines
        short_rows = 0
        for line, cells, record in records:
            cut = [part.rstrip("\r\n").split(delimiter) for part in record if part.strip()]
            if isinstance(cells, csv.Error):
                self.broken, self.errors, cells = self.broken or (line, str(cells)), self.errors + 1, []
            if not self.width:
                self.width = len(cells or cut[0])
                values = [set() for _ in range(self.width)]
            lines, fitting = lines + len(cut), fitting + sum(len(each) == self.width for each in cut)
            self.rows_by_line = fitting >= MOST * lines  # whether lines are rows without quotes
            if any('"' in part for part in record):
                self.escapes = self.escapes or any('\\"' in part for part in record)
                plain = {piece for each in cut for piece in each}  # a quoted cell is none of them
                self.spaces = self.spaces or any(cell in plain and _SPACED.match(cell) for cell in cells)
                self.enclosed += bool(cells) and any(cell.startswith('"') for cell in cut[0])
            if len(cut) > 1:
                waiting.append((line, cut))
            elif len(cut) == 1 and len(cells) == self.width:
                short_rows += 1
                for seen, cell in zip(values, cells, strict=True):
                    if len(seen) <= MAX_REPEATED:
                        seen.add(cell)
            if waiting and short_rows > SAMPLE_ROWS:
                self._judge(waiting, values)
        self._judge(waiting, values)

    def _judge(self, waiting: list[tuple[int, list[list[str]]]], values: list[set[str]]) -> None:
        """Look for rows in cells over several lines: lines that have what other rows have in the same place."""
        width = self.width
        few = [(place, seen - {""}) for place, seen in enumerate(values) if len(seen) <= MAX_REPEATED]
        for line, cut in waiting:
            alike = [each for each in cut if len(each) == width]
            alike = alike if 2 * len(alike) >= len(cut) else []
            opened = next((place for place, cell in enumerate(cut[0]) if cell.count('"') % 2), 0)
            after = cut[0][opened:]  # what stands before is of the row itself
            if len(alike) > 2 and any(all(each[place].strip('"') in seen for each in alike) for place, seen in few):
                self.swallowed = self.swallowed or (line, len(alike))
            if (len(alike) > 1 and (self.rows_by_line or self.delimiter == "\t")) or any(
                any(place < len(each) - 1 and each[place].strip('"') in seen for each in cut[1:])
                or any(
                    width - place < len(each) and each[place - width].strip('"') in seen for each in [after, *cut[1:-1]]
                )
                for place, seen in few
            ):
                self.doubts.append(line)
        self.several += len(waiting)
        waiting.clear()


def _with_quotes(source: Input, encoding: str, dialect: Dialect, *, skip_bad_rows: bool) -> Dialect:
    """Return `dialect` with what its quotes are: part of the text, or around cells, where spaces may precede them."""
    with source.text(encoding) as stream:
        quotes = _Quotes(dialect.delimiter, dialect.records(stream))
    others = [replace(dialect, spaces=True)] if quotes.spaces and not dialect.spaces else []
    others += [replace(dialect, escape="\\")] if quotes.broken and quotes.escapes and dialect.escape is None else []
    for other in others:
        with suppress(DataError):
            found = _with_quotes(source, encoding, other, skip_bad_rows=False)
            if found.quotes:
                return found
    if quotes.errors > quotes.enclosed and quotes.rows_by_line and quotes.width > 1:
        return replace(dialect, quotes=False)  # they enclose few cells
    if quotes.broken is not None and not skip_bad_rows:
        line, reason = quotes.broken
        way = "is a quote not closed?" + (" (--no-quotes if quotes are part of texts)" if quotes.rows_by_line else "")
        raise DataError(f"{source.name}:{line}: not a CSV row: {reason}; {way} --skip-bad-rows leaves such rows out")
    # If only some of many texts look like rows, they are what they look like: letters with a comma here and there.
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
    """Return whether the first row names the columns: has a name that is `known`, in lower case, or in a column whose
    values repeat another one.
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
