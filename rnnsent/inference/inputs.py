"""The rows of a file that are to be answered about: which they are, their texts, and what is kept of them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rnnsent.config import DataConfig
from rnnsent.data.labels import cell_text
from rnnsent.data.readers import Column, Table
from rnnsent.data.tables import Columns, ReadOptions, choose_columns, format_of, kept_columns, open_table
from rnnsent.errors import DataError
from rnnsent.inference.classifier import Answer, Classifier


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file of texts is to be read, where it is not as its name and the run say.

    Attributes:
        format, encoding, delimiter: as for `open_table`.
        text_column: name, or number from 1 where the file has no line of names.
        keep: columns that are written beside the answers; "all" is every one.
    """

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    text_column: Column | None = None
    keep: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """What tells a row of the input from all others.

    Attributes:
        number: its place in the input, from 1; a line of names is no row, a blank line is one.
        kept: the cells that are written beside its answer, by the names of their columns there.
    """

    number: int
    kept: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Texts:
    """A table of texts.

    Attributes:
        table: as opened.
        column: of the texts.
        kept: the columns that are written beside the answers, by the names that they have there.
    """

    table: Table
    column: Column
    kept: dict[str, Column]

    def rows(self, skip: int = 0) -> Iterator[tuple[Row, str]]:
        """Yield each row but the first `skip`, and its text; an empty cell or line is an empty text."""
        wanted = [self.column, *self.kept.values()]
        numbered = enumerate(self.table.rows(wanted, strict=False), start=1)
        for number, (line, (cell, *kept)) in islice(numbered, skip, None):
            row = Row(number, dict(zip(self.kept, map(_plain, kept), strict=True)))
            if self.table.format == "lines":
                yield row, cell
                continue
            try:
                yield row, cell_text(cell) or ""
            except DataError as error:
                raise DataError(f"{self.table.name}:{line}: {error}") from None

    def answers(self, classifier: Classifier, skip: int = 0) -> Iterator[tuple[Row, Answer]]:
        """Yield the answer of each row but the first `skip`, in memory that does not grow with their number."""
        waiting: deque[Row] = deque()

        def texts() -> Iterator[str]:
            for row, text in self.rows(skip):
                waiting.append(row)
                yield text

        for answer in classifier.stream(texts()):
            yield waiting.popleft(), answer


def open_texts(source: str, data: DataConfig, how: Reading, taken: Collection[str]) -> Texts:
    """Return the texts of a file, by `how`, and where that is silent as a run was trained.

    Args:
        source: the file; - is stdin.
        data: of the config of the run.
        how: how it is to be read.
        taken: names of columns of the answers, which kept ones must not have.

    Raises:
        DataError: if the file cannot be read so.
    """
    column = how.text_column or data.text_column
    plain = "lines" if source != "-" and format_of(Path(source)) is None else None  # whatever it is called
    options = ReadOptions(
        how.format or plain,
        how.encoding or data.encoding,
        how.delimiter or data.delimiter,
        header=not isinstance(column, int),
        quotes=data.quotes,
    )
    table = open_table(source, options)
    text = choose_columns(table, Columns(column or ""), labeled=False).text
    return Texts(table, text, kept_columns(table, how.keep, taken))


def _plain(value: Any) -> Any:
    """Return a cell as JSON holds it; what JSON does not know, such as a date, as text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return value if value is None or isinstance(value, str | int) else str(value)
