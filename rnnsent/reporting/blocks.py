"""What a page is made of, apart from what it looks like; all text is plain and gets escaped when it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Paragraph:
    """A sentence or several; `kind` is "", "lead" (larger) or "note" (smaller); `command` is what to type, after it."""

    text: str
    kind: str = ""
    command: str = ""
    block: str = field(default="paragraph", init=False)


@dataclass(frozen=True)
class Figure:
    """A number in large: what it is, and below it, in small, what belongs to it."""

    name: str
    value: str
    below: str = ""


@dataclass(frozen=True)
class Headline:
    """Numbers in large, side by side."""

    figures: Sequence[Figure]
    block: str = field(default="headline", init=False)


@dataclass(frozen=True)
class Cell:
    """A cell of a table that is shaded: `share` 0 … 1 of the deepest, `good` or not."""

    text: str
    share: float = 0.0
    good: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of cells, the first of which names the row; all but `words` columns from the left are numbers.

    Attributes:
        caption: what is in it.
        head: of each column.
        rows: cells, text or `Cell`.
        words: how many columns are words, and flush left.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    words: int = 1
    block: str = field(default="table", init=False)


@dataclass(frozen=True)
class Chart:
    """A picture: its title, what is to be seen in words, and the SVG, which is HTML already."""

    title: str
    says: str
    svg: str
    block: str = field(default="chart", init=False)


@dataclass(frozen=True)
class Charts:
    """Pictures, side by side where there is room."""

    charts: Sequence[Chart]
    block: str = field(default="charts", init=False)


@dataclass(frozen=True)
class Code:
    """A command or a file, as it is."""

    text: str
    block: str = field(default="code", init=False)


@dataclass(frozen=True)
class Shaded:
    """A text whose words are shaded: what it is about, a sentence, the words as HTML already, and another sentence."""

    title: str
    says: str
    words: str
    below: str = ""
    block: str = field(default="shaded", init=False)


@dataclass(frozen=True)
class Legend:
    """What the shades of words mean."""

    block: str = field(default="legend", init=False)


@dataclass(frozen=True)
class Folded:
    """Blocks that are opened when they are wanted; printed they are open."""

    summary: str
    blocks: Sequence[Block]
    block: str = field(default="folded", init=False)


Block = Paragraph | Headline | Table | Chart | Charts | Code | Shaded | Legend | Folded


@dataclass(frozen=True)
class Section:
    """A heading and what is below it; `name` is where a link leads."""

    name: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    subtitle: str
    notes: Sequence[str]
    sections: Sequence[Section]
