"""One labeled text, and the tables that hold them; folders and archives of them are in `folders` and `aclimdb`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rnnsent.data.columns import LABEL_NAMES, TEXT_NAMES, Columns, choose_columns
from rnnsent.data.download import Progress
from rnnsent.data.labels import cell_label, cell_split, cell_text
from rnnsent.data.readers import Table
from rnnsent.errors import DataError


@dataclass(frozen=True, slots=True)
class Record:
    """One row as it stands in a file.

    Attributes:
        place: where, for people.
        text: None where there is none.
        label: as written, None where there is none.
        split: "train", "validation" or "test" where the source says so.
        group: what must not be torn apart by a split, such as the film of a review.
        number: which line or row of its table, from 1; 0 where it is a file by itself.
        rating: stars, where the source says so besides the label; else 0.
    """

    place: str
    text: str | None
    label: str | None
    split: str | None = None
    group: str | None = None
    number: int = 0
    rating: int = 0


class RecordSource(Protocol):
    """Where records come from, one after the other."""

    @property
    def grouped(self) -> bool:
        """Whether records have a group."""

    @property
    def paths(self) -> list[Path]:
        """The files that are read."""

    def describe(self) -> dict[str, str]:
        """Return how the files are read: format, columns and the like, for people."""

    def records(self, progress: Progress | None = None) -> Iterator[Record]:
        """Yield every record, in an order that depends on the files alone."""

    def group_name(self, group: str) -> str:
        """Return what a group of a record turned out to be, after all were read."""


@dataclass(frozen=True)
class TableSource:
    """One table, or two: one to train on and one to test.

    Attributes:
        tables: the first, and the one for testing if that is another file.
        columns: of each.
    """

    tables: tuple[Table, ...]
    columns: tuple[Columns, ...]

    @classmethod
    def of(cls, tables: tuple[Table, ...], asked: Columns) -> TableSource:
        """Choose the columns of each table; see `choose_columns`."""
        return cls(tables, tuple(choose_columns(table, asked) for table in tables))

    @property
    def grouped(self) -> bool:
        """Whether there is a column for it."""
        return self.columns[0].group is not None

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [table.path for table in self.tables]

    def describe(self) -> dict[str, str]:
        """Return format, encoding, delimiter and columns of the first table."""
        table, columns = self.tables[0], self.columns[0]
        facts = {"format": table.format, "encoding": table.encoding, "delimiter": repr(table.delimiter)[1:-1]}
        for name in ("text", "label", "split", "group"):
            facts[f"{name} column"] = str(getattr(columns, name) or "")
        return {name: value for name, value in facts.items() if value}

    def records(self, progress: Progress | None = None) -> Iterator[Record]:
        """Yield the rows of each table."""
        for index, (table, columns) in enumerate(zip(self.tables, self.columns, strict=True)):
            name = table.path.name
            told = (lambda done, total, name=name: progress(name, done, total)) if progress else None
            given = None if len(self.tables) == 1 else ("train", "test")[index]
            has_label, has_split, has_group = (
                column is not None for column in (columns.label, columns.split, columns.group)
            )
            for line, cells in table.rows(columns.used, progress=told):
                place = f"{table.path}:{line}"
                if not table.columns and line == 1:
                    _require_no_names(place, cells[:2])
                rest = iter(cells[1:])
                try:
                    yield Record(
                        place,
                        cell_text(cells[0]),
                        cell_label(next(rest)) if has_label else None,
                        cell_split(next(rest), place) if has_split else given,
                        cell_label(next(rest)) if has_group else None,
                        number=line,
                    )
                except DataError as error:
                    raise error if str(error).startswith(place) else DataError(f"{place}: {error}") from None

    def group_name(self, group: str) -> str:
        """Return the group itself."""
        return group


def _require_no_names(place: str, cells: tuple[Any, ...]) -> None:
    """Refuse a first row that is a line of names, of a table whose columns were given by number."""
    said = [str(cell).strip().lower() for cell in cells]
    if said[0] in TEXT_NAMES or said[-1] in LABEL_NAMES:
        fact = (
            f"{place}: is a line of names ({', '.join(map(str, cells))}), and columns that are given by number "
            "mean that there is none"
        )
        raise DataError(f"{fact}; give their names: --text-column, --label-column", fact=fact)
