"""One labeled text as it stands in a file, and the files that hold such records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnsent.data.download import Progress


@dataclass(frozen=True, slots=True)
class Record:
    """One text.

    Attributes:
        place: file and line, for messages.
        text, label: as written; None if there is none.
        split: "train", "validation" or "test" if the source says so.
        group: what must stay in one split, such as the film of a review.
        number: line or row of its table, from 1; 0 if it is a file of its own.
        rating: stars, if the source says so besides the label; else 0.
    """

    place: str
    text: str | None
    label: str | None
    split: str | None = None
    group: str | None = None
    number: int = 0
    rating: int = 0


@dataclass(frozen=True)
class RecordSource:
    """Files that hold records.

    Attributes:
        paths: the files that are read.
        description: how they are read: format, columns and the like, for people.
        records: yields every record, in an order that depends on the files alone.
        grouped: whether records have a group.
        group_name: a group → its name, known after all records were read.
    """

    paths: list[Path]
    description: dict[str, str]
    records: Callable[[Progress | None], Iterator[Record]]
    grouped: bool = False
    group_name: Callable[[str], str] = str
