"""One labeled text as it stands in a file, and the files that hold such records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnsent.data.download import Progress


@dataclass(frozen=True, slots=True)
class Record:
    """One text with its label or labels."""

    place: str  # file and line, for messages
    text: str | None
    label: str | tuple[str, ...] | None  # several labels, or none, in a tuple
    split: str | None = None  # "train", "validation" or "test" if the source says so
    group: str | None = None  # texts of one group stay in one split, such as the reviews of a film
    number: int = 0  # line or row of its table, from 1; 0 for a file of its own
    rating: int = 0  # stars, if the source has them besides the label
    left_out: str = ""  # why it has no text or no label, if that is known
    # where a person finds it
    file: str = ""  # of its own, by its path in the folder or archive
    table: int = 0  # which of several tables
    row: int = 0  # of its table as a spreadsheet numbers it, line of names included; 0 for a file of its own


@dataclass(frozen=True)
class RecordSource:
    """Files that hold records."""

    paths: list[Path]
    description: dict[str, str]  # how they are read: format, columns and the like
    records: Callable[[Progress | None], Iterator[Record]]  # in an order that depends on the files alone
    grouped: bool = False  # whether records have a group
    reading: str = ""  # how each file is read, if these are tables, whose names do not count
    names: tuple[str, ...] = ()  # of the tables
    labels: tuple[str, ...] = ()  # those that records may have, if that is known before they are read
    group_name: Callable[[str], str] = str  # of a group, after all records were read
