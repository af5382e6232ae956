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
from dataclasses import dataclass, replace
from itertools import islice
from typing import IO

from rnnsent.data.inputs import CHUNK, Input, ReadOptions
from rnnsent.errors import DataError, count

logger = logging.getLogger(__name__)

SAMPLE_ROWS = 50
MAX_VALUES = 1000  # of a column, that are remembered
MAX_DOUBTS = 100  # cells over several lines, that are remembered
_SEPARATOR = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)  # what Excel writes into the first line


@dataclass(frozen=True)
class Dialect:
    """How lines are cut into rows, and rows into cells."""

    delimiter: str = ","
    quotes: bool = True  # whether quotes around a cell are not part of it
    escape: str | None = None  # the character before a delimiter or quote that is part of a cell
    begin: int = 0  # lines before the first row

    def rows(self, stream: IO[str], record: list[str] | None = None) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of the last line and the cells of each row.

        Args:
            stream: from the first line on.
            record: gets the lines of each row, for whoever empties it after each.

        Raises:
            csv.Error: of the line where a row begins that cannot be read, and the reason.
        """
        for _ in range(self.begin):
            stream.readline()
        csv.field_size_limit(sys.maxsize)  # the limit of 131,072 characters is less than a long review
        # Strict: a quote that is never closed is an error, not a cell of a thousand lines.
        lines: Iterable[str] = stream if record is None else _remembered(stream, record)
        if self.escape is not None:  # the csv module would drop it before any character, as of \\N
            escape = re.escape(self.escape)
            plain = re.compile(f'{escape}{escape}|({escape})(?![{re.escape(self.delimiter)}"\\r\\n])')
            lines = (plain.sub(lambda match: match[0] * (2 if match[1] else 1), line) for line in lines)
        reader = csv.reader(
            lines,
            delimiter=self.delimiter,
            escapechar=self.escape,
            doublequote=self.escape is None,
            quoting=csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE,
            strict=True,
        )
        last = 0
        try:
            for cells in reader:
                last = reader.line_num
                yield self.begin + last, cells
        except csv.Error as error:
            raise csv.Error(self.begin + last + 1, str(error)) from None


PLAIN = Dialect()


def _remembered(stream: IO[str], record: list[str]) -> Iterator[str]:
    for line in stream:
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
    if options.quotes is None and _holds(source, b'"') and _quotes_are_text(source, encoding, dialect):
        dialect = replace(dialect, quotes=False)
    return dialect


def _holds(source: Input, byte: bytes) -> bool:
    with source.reading() as raw:
        return any(byte in chunk for chunk in iter(lambda: raw.read(CHUNK), b""))


def _delimiter(source: Input, encoding: str, delimiters: str, dialect: Dialect) -> str:
    """Return the delimiter that cuts the first line into most cells, and most of the next lines into as many."""
    best, most = delimiters[0], 1
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
        agree = sum(len(row) == width for row in rows)
        if width > most and (agree > 0.7 * len(rows) or len(rows) < 4):
            best, most = delimiter, width
    return best


def _quotes_are_text(source: Input, encoding: str, dialect: Dialect) -> bool:
    """Return whether quotes are part of the text: they do not enclose cells, and all lines are rows without them.

    Raises:
        DataError: if they do not enclose cells and lines are no rows either, or if they may swallow rows: a cell over
            several lines holds lines that have as many cells as a row, and a value that rows have in the same place.
    """
    width, lines_alike = 0, True  # whether every line has as many cells as the first, quotes being text
    values: list[set[str]] = []
    doubts: list[tuple[int, list[list[str]]]] = []
    record: list[str] = []
    broken: csv.Error | None = None
    escapes = False  # whether backslashes stand before quotes
    with source.text(encoding) as stream:
        rows = dialect.rows(stream, record)
        while True:
            try:
                line, cells = next(rows)
            except StopIteration:
                break
            except csv.Error as error:
                broken, cells = error, []
                record += stream
            cut = [part.rstrip("\r\n").split(dialect.delimiter) for part in record if part.strip()]
            escapes = escapes or any('\\"' in part for part in record)
            record.clear()
            width = width or len(cells)
            values = values or [set() for _ in cells]
            lines_alike = lines_alike and all(len(each) == width for each in cut)
            if broken is not None:
                break
            alike = [each for each in cut if len(each) == width]
            if len(cut) > 1 and len(doubts) < MAX_DOUBTS and 2 * len(alike) >= len(cut) and len(alike) > 1:
                doubts.append((line, alike))
            elif len(cut) == 1 and len(cells) == width:
                for seen, cell in zip(values, cells, strict=True):
                    if len(seen) < MAX_VALUES:
                        seen.add(cell)
    if broken is not None:
        if lines_alike and width > 1:
            return True
        line, reason = broken.args
        way = "if \\ stands before quotes in texts: --escape '\\'" if escapes else "is a quote not closed?"
        raise DataError(f"{source.name}:{line}: not a CSV row: {reason}; {way}")
    for line, lines in doubts:
        if any(all(row[place].strip('"') in values[place] - {""} for row in lines) for place in range(width)):
            raise DataError(
                f"{source.name}:{line}: a quoted cell ends here after {len(lines)} lines that are like rows of their "
                "own; if the quotes are part of the texts: --no-quotes; if the cell is right: --quotes"
            )
    if doubts:
        logger.warning(
            "%s: %s with lines that could be rows, as the one up to line %d; if quotes are text: --no-quotes",
            source.name, count(len(doubts), "quoted cell"), doubts[0][0],
        )  # fmt: skip
    return False


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
