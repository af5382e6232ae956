"""One labeled text as it stands in a source, and what every source of them can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnsent.data.download import Progress


@dataclass(frozen=True, slots=True)
class Record:
    """One text.

    Attributes:
        place: file and line, for messages.
        text: None if there is none.
        label: as written, None if there is none.
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


class RecordSource(ABC):
    """Files that hold records."""

    @property
    def grouped(self) -> bool:
        """Whether records have a group."""
        return False

    @property
    @abstractmethod
    def paths(self) -> list[Path]:
        """The files that are read."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Return how the files are read: format, columns and the like, for people."""

    @abstractmethod
    def records(self, progress: Progress | None = None) -> Iterator[Record]:
        """Yield every record, in an order that depends on the files alone."""

    def group_name(self, group: str) -> str:
        """Return the name of a group of a record, known after all were read."""
        return group
