"""Which column of a table is what: by the config, or by its name where that is clear."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from rnnsent.data.readers import DELIMITERS, Table
from rnnsent.errors import DataError

Column = str | int  # a name, or a number from 1 where the file has no line of names

TEXT_NAMES = (
    "text", "review", "sentence", "content", "body", "comment", "tweet", "message", "review_text", "reviewtext",
    "document", "description",
)  # fmt: skip
LABEL_NAMES = (
    "label", "sentiment", "class", "category", "target", "polarity", "rating", "stars", "star_rating", "score",
)  # fmt: skip
SPLIT_NAMES = ("split",)
TAKEN = "input "  # before the name of a kept column that has that of another
LOOKED_AT = 200  # rows, where names do not say which column is what


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of text, label, split and group; None where there is none."""

    text: Column
    label: Column | None = None
    split: Column | None = None
    group: Column | None = None

    @property
    def used(self) -> list[Column]:
        """Those that there are, in this order."""
        return [column for column in (self.text, self.label, self.split, self.group) if column is not None]


def choose_columns(table: Table, asked: Columns | None = None, *, labeled: bool = True) -> Columns:
    """Return the columns of `table` to read.

    Args:
        table: as opened.
        asked: those that the config names; the text column is "" where it names none.
        labeled: whether labels are needed; otherwise only the text is looked for.

    Raises:
        DataError: if a column is not there, or it is not clear which one is meant.
    """
    asked = asked or Columns("")
    if table.format == "lines":
        if labeled:
            raise DataError(f"{table.name}: plain text has no labels; use CSV, TSV, JSONL or Parquet")
        return Columns(1)
    unclear: dict[str, list[str]] = {}
    text = _column(table, "text_column", asked.text or None, TEXT_NAMES, unclear)
    label = _column(table, "label_column", asked.label, LABEL_NAMES, unclear) if labeled else None
    if unclear:
        raise DataError(
            f"{table.name}: {_unclear(table, unclear, [text, label])}",
            fact=f"{table.name}: {_which(table, unclear)}",
        )
    assert text is not None
    if not labeled:
        return Columns(text)
    if text == label:
        fact = f"{table.name}: column {text!r} cannot be both text and label"
        raise DataError(f"{fact} (--text-column, --label-column)", fact=fact)
    return Columns(
        text,
        label,
        _column(table, "split_column", asked.split, SPLIT_NAMES),
        _column(table, "group_column", asked.group, ()),
    )


def kept_columns(table: Table, keep: Iterable[Column], taken: Collection[str]) -> dict[str, Column]:
    """Return columns of `table` to be written beside others, by the names that they get.

    Args:
        table: as opened.
        keep: columns; "all" stands for every one of the table.
        taken: names of the others; a column that is called so becomes `input NAME`.

    Raises:
        DataError: if one is not there.
    """
    asked = list(keep)
    if asked and table.format == "lines":
        raise DataError(f"{table.name}: plain text has no columns that could be kept (--keep)")
    if "all" in asked and not table.columns:
        raise DataError(f"{table.name}: names no columns, so --keep takes their numbers, from 1, instead of all")
    named_so = [str(each) if table.columns else each for each in asked]  # 7 is a name where columns have names
    found = dict.fromkeys(table.columns if "all" in asked else (_column(table, "keep", each, ()) for each in named_so))
    named: dict[str, Column] = {}
    for column in found:
        assert column is not None
        name = column if isinstance(column, str) else f"column {column}"
        while name in taken or name in named:
            name = f"{TAKEN}{name}"
        named[name] = column
    return named


def _column(
    table: Table, key: str, asked: Column | None, names: tuple[str, ...], unclear: dict[str, list[str]] | None = None
) -> Column | None:
    """Return a column; where it is not clear, those that could be meant are added to `unclear`, if it is needed."""
    option = f"--{key.replace('_', '-')}"
    if isinstance(asked, int):
        if table.columns:
            raise DataError(f"{table.name}: data.{key}: the file names its columns: {_shown(table)}; give a name")
        return asked
    if asked is not None:
        if asked in table.columns:
            return asked
        in_any_case = [name for name in table.columns if name.strip().lower() == asked.strip().lower()]
        if len(in_any_case) == 1:
            return in_any_case[0]
        close = difflib.get_close_matches(asked, table.columns, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        there = f"{hint}its columns: {_shown(table)}"
        raise DataError(
            f"{table.name}: no column {asked!r} ({option}); {there}{_other_delimiter(table)}",
            fact=f"{table.name}: no column {asked!r}; {there}",
        )
    by_name = {name.strip().lower(): name for name in table.columns}
    found = [by_name[name] for name in names if name in by_name]
    if unclear is None or len(found) == 1:
        return found[0] if found else None
    unclear[key] = found
    return None


def _unclear(table: Table, unclear: Mapping[str, Sequence[str]], known: Collection[Column | None]) -> str:
    """Return what has to be said of a table whose columns are not clear, and how.

    Args:
        table: as opened.
        unclear: what is not known, such as "text_column", and the columns that are called so.
        known: the columns that are something else.
    """
    told = _which(table, unclear)
    if other := _other_delimiter(table):
        return told + other
    likely = _likely(table, unclear, known)
    options = " ".join(f"--{key.replace('_', '-')} {shlex.quote(likely.get(key, 'NAME'))}" for key in unclear)
    sure = "" if len(likely) < len(unclear) else ", if that is what is meant"
    return f"{told}. Add {options}{sure} (in a config or by --set: {', '.join(f'data.{key}' for key in unclear)})"


def _which(table: Table, unclear: Mapping[str, Sequence[str]]) -> str:
    """Return the questions that a table leaves open, and its columns."""
    called = {key: f"{' or '.join(found)}?" if found else "none is called so." for key, found in unclear.items()}
    which = " ".join(f"Which column is the {key.partition('_')[0]}: {names}" for key, names in called.items())
    return f"{which} Its columns: {_shown(table)}"


def _likely(table: Table, unclear: Mapping[str, Sequence[str]], known: Collection[Column | None]) -> dict[str, str]:
    """Return which columns look like what is not known, by the first rows: texts are long, labels come again."""
    if table.stdin is not None:  # cannot be read twice
        return {}
    names = [name for name in table.columns if name and name not in known]
    try:
        rows = [cells for _, cells in islice(table.rows(names, strict=False), LOOKED_AT)]
    except DataError:
        return {}
    cells = {name: [str(row[at]) for row in rows if row[at] is not None] for at, name in enumerate(names)}
    found: dict[str, str] = {}
    if "text_column" in unclear:
        texts = [name for name in unclear["text_column"] or names if cells[name]]
        if texts:
            found["text_column"] = max(texts, key=lambda name: sum(map(len, cells[name])) / len(cells[name]))
    if "label_column" in unclear:
        others = [name for name in unclear["label_column"] or names if name != found.get("text_column")]
        again = [name for name in others if 2 <= len(set(cells[name])) <= len(cells[name]) / 2]
        if again or len(others) == 1:
            found["label_column"] = min(again, key=lambda name: len(set(cells[name]))) if again else others[0]
    return found


def _other_delimiter(table: Table) -> str:
    """Return what is likely wrong with a table of one column: that another character separates its cells."""
    if len(table.columns) != 1 or table.format not in ("csv", "tsv"):
        return ""
    likely = max(DELIMITERS, key=table.columns[0].count)
    if likely == table.delimiter or likely not in table.columns[0]:
        return f"; the delimiter is taken to be {table.delimiter!r}"
    return (
        f"; the file seems to be separated by {likely!r}, and is read as if by {table.delimiter!r} (--delimiter, "
        "data.delimiter)"
    )


def _shown(table: Table) -> str:
    names = [name if name.isprintable() and len(name) <= 30 else f"{name[:30]!r}…" for name in table.columns[:20]]
    return ", ".join(names) + (", …" if len(table.columns) > 20 else "") if names else "(none)"
