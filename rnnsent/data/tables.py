"""Tables of texts: how a file is to be read, which columns hold text, label, split and group, and its records."""

from __future__ import annotations

import difflib
import json
import logging
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnsent.data.dialect import find_dialect, names_columns
from rnnsent.data.inputs import DEFAULTS, STDIN, ReadOptions, find_encoding, find_input
from rnnsent.data.labels import SPLITS, cell_label, cell_labels, cell_split, cell_text, cell_truth
from rnnsent.data.readers import FASTTEXT_LABEL, FORMATS, REPEATED_NAMES, Column, LeftOut, NestedName, Table, format_of
from rnnsent.data.records import Record, RecordSource
from rnnsent.errors import DataError, count

if TYPE_CHECKING:
    from rnnsent.data.download import Progress

logger = logging.getLogger(__name__)

NAMES = {
    "text": (
        "text", "review", "sentence", "content", "body", "comment", "tweet", "message", "review_text", "reviewtext",
        "document", "description",
    ),
    "label": (
        "label", "sentiment", "class", "category", "target", "polarity", "rating", "stars", "star_rating", "score",
    ),
    "split": ("split",),
}  # fmt: skip
KNOWN_NAMES = frozenset(chain(*NAMES.values(), ("id",)))
MAX_LABELS = 20  # of a column that may be proposed as that of the labels


def open_table(
    path: str | Path,
    options: ReadOptions = DEFAULTS,
    *,
    default: str | None = None,
    numbered: bool = False,
    streaming: bool = False,
) -> Table:
    """Find out how a file is to be read.

    Args:
        path: of a file, packed or not, or of a pipe; "-" is stdin, of plain lines unless `options` say otherwise.
        options: what is said of the file; its mark, or valid UTF-8, wins over an encoding.
        default: the format of a file of no known suffix.
        numbered: whether columns are asked for by number, so that there may be no line of names.
        streaming: whether a pipe of lines is read as it comes, and once, instead of copied.

    Raises:
        DataError: if the file is missing, empty, not text, or of no known format.
    """
    path = Path(path)
    if options.format not in (None, *FORMATS):
        raise DataError(f"{path}: unknown format {options.format}; use {', '.join(FORMATS)} (--format, data.format)")
    name = options.format or format_of(path) or default
    source = find_input(path, streaming=streaming and name is not None and FORMATS[name].by_line)
    head = source.head
    if options.format is None and (b"\n" + head).find(b"\n" + FASTTEXT_LABEL.encode()) >= 0:
        name = "fasttext"
    if options.format is None and head.startswith(b"PAR1"):
        name = "parquet"
    if name is None and path == STDIN:
        name = "jsonl" if head.lstrip().startswith(b"{") else "csv"
    if name is None:
        suffixes = ", ".join(suffix for form in FORMATS.values() for suffix in form.suffixes)
        raise DataError(f"{path}: unknown suffix; use {suffixes}, or say what it is with --format")
    if FORMATS[name].binary:
        return _with_names(Table(source, name))
    if not head and (source.pipe is None or name != "lines"):
        raise DataError(f"{source.name}: is empty")
    if name == "lines" and options.format is None and _looks_like_names(head):
        logger.warning("%s: is read as plain lines, but the first one looks like names of columns: --format", path)
    encoding = find_encoding(source, options.encoding)
    if encoding not in ("utf-8", "utf-8-sig") or (options.encoding or encoding).lower() not in ("utf-8", encoding):
        instead = f", not {options.encoding}" if options.encoding not in (None, encoding) else ""
        logger.info("%s: read as %s%s", source.name, encoding, instead)
    table = Table(source, name, encoding, skip_bad_rows=options.skip_bad_rows)
    if not FORMATS[name].delimiters:
        return _with_names(table)
    table = replace(table, dialect=find_dialect(source, encoding, FORMATS[name].delimiters, options))
    if not table.dialect.quotes and options.quotes is None:
        logger.warning("%s: its quotes are read as text, because they do not enclose cells (--quotes)", source.name)
    named = options.header
    if named is None:
        named = not numbered or names_columns(table.sample, KNOWN_NAMES)
    if not named:
        widths = Counter(map(len, table.sample))
        return replace(table, width=max(widths, key=widths.__getitem__, default=0))
    table = _with_names(table)
    if numbered and options.header is None:
        logger.warning("%s: its first line is read as names: %s (--no-header)", source.name, _listed(table))
    return table


def _looks_like_names(head: bytes) -> bool:
    cells = re.split("[,;|\t]", head.partition(b"\n")[0].decode("utf-8", "replace").lower())
    return len(cells) > 1 and any(cell.strip('\r" ') in KNOWN_NAMES for cell in cells)


def _with_names(table: Table) -> Table:
    """Return the table with the column names that the file has, or those of the first line of a pipe."""
    source, columns = table.source, FORMATS[table.format].columns
    if source.pipe is not None:
        names = columns(table, [source.first.decode(table.encoding, "replace")])
    else:
        with table.opened() as stream:
            names = columns(table, stream)
    return replace(table, columns=tuple(names), width=len(names))


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of text, label, split and group; None if there is none."""

    text: Column
    label: Column | tuple[Column, ...] | None = None  # several: each of 0 and 1, for one of several labels
    split: Column | None = None
    group: Column | None = None
    separator: str | None = None  # of several labels in one cell

    @property
    def labels(self) -> tuple[Column, ...]:
        """The columns of the label or labels."""
        return self.label if isinstance(self.label, tuple) else () if self.label is None else (self.label,)

    @property
    def all(self) -> list[Column]:
        """Every column, each once."""
        return list(dict.fromkeys(column for column in (self.text, *self.labels, self.split, self.group) if column))

    def label_of(self, cells: Mapping[Column | None, Any], nulls: Collection[str]) -> str | tuple[str, ...] | None:
        """Return the label, or labels, of a row whose cells are given by column; errors as `cell_truth`."""
        if isinstance(self.label, tuple):
            truths = [cell_truth(cells[column], nulls) for column in self.label]
            names = tuple(_name(column) for column, truth in zip(self.label, truths, strict=True) if truth)
            return None if all(truth is None for truth in truths) else names
        if self.separator is not None:
            return cell_labels(cells[self.label], self.separator, nulls)
        return cell_label(cells[self.label], nulls)


def _name(column: Column) -> str:
    return column if isinstance(column, str) else f"column {column}"


def choose_columns(table: Table, requested: Columns | None = None, *, labeled: bool = True) -> Columns:
    """Return the columns of `table` to read: those that are requested, else those with a known name.

    Args:
        table: as opened.
        requested: None in it, or the text "": to be found by name.
        labeled: whether labels are needed; otherwise only the text is looked for.

    Raises:
        DataError: if a column is not there, or it is not clear which one is meant.
    """
    if table.format == "lines":
        if labeled:
            tabs = b"\t" in table.source.head.partition(b"\n")[0]
            other = "its lines hold tabs: --format tsv" if tabs else "use CSV, TSV, JSONL, Parquet or __label__ lines"
            raise DataError(f"{table.name}: plain text has no labels; {other}")
        return Columns(1)
    columns: dict[str, Any] = {"separator": requested and requested.separator}
    unclear: dict[str, list[str]] = {}
    for role in ("text", "label", "split", "group") if labeled else ("text",):
        column: Column | tuple[Column, ...] | None = getattr(requested, role, None)
        known = [name for name in dict.fromkeys(table.columns) if name.strip().lower() in NAMES.get(role, ())]
        if isinstance(column, tuple):
            columns[role] = tuple(find_column(table, f"--{role}-column", each) for each in column)
        elif column:
            columns[role] = find_column(table, f"--{role}-column", column)
        elif len(known) == 1:
            columns[role] = known[0]
        elif role in ("text", "label"):
            unclear[role] = known
    if unclear:
        raise DataError(f"{table.name}: {_question(table, unclear)}")
    chosen = Columns(**columns)
    if chosen.text in chosen.labels:
        raise DataError(
            f"{table.name}: column {chosen.text!r} cannot be both text and label (--text-column, --label-column)"
        )
    if nested := [
        name for name in _nested(table) if name == chosen.text or (name in chosen.labels and not chosen.separator)
    ]:
        hint = f"jq -c '.{nested[0]}=.{nested[0]}[0]' < FILE takes the first of a list"
        if len(table.columns) == len(_nested(table)):  # as pandas writes a table by default
            hint = "pandas' to_json(FILE, orient='records', lines=True) writes one row a line"
        raise DataError(f"{table.name}: {nested[0]!r} holds lists or objects, not texts or labels; {hint}")
    return chosen


def find_column(table: Table, option: str, column: Column) -> Column:
    """Return a column of `table` that is requested by an option, its name in any case; DataError if it is not there."""
    if isinstance(column, int) and str(column) not in table.columns:
        if column > table.width > 0:
            cells = f"most rows have {count(table.width, 'cell')}; the delimiter is {table.dialect.delimiter!r}"
            listed = _listed(table) if table.columns else cells
            raise DataError(f"{table.name}: there is no column {column} ({option}): {listed}")
        return table.columns[column - 1] if table.columns else column
    column = str(column)
    if column in table.columns or (FORMATS[table.format].typed and table.source.pipe is not None):
        return column  # of a pipe only the first line is known
    in_any_case = [name for name in table.columns if name.strip().lower() == column.strip().lower()]
    if len(in_any_case) == 1:
        return in_any_case[0]
    close = difflib.get_close_matches(column, table.columns, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    hint += f"its columns: {_listed(table)}{_other_delimiter(table)}"
    raise DataError(f"{table.name}: no column {column!r} ({option}); {hint}")


def _question(table: Table, unclear: Mapping[str, Sequence[str]]) -> str:
    """Return which columns have to be named, and how; `unclear` maps "text" or "label" to the columns in question."""
    known = {role: f"{' or '.join(names)}?" if names else "no usual name." for role, names in unclear.items()}
    which = " ".join(f"Which column is the {role}: {names}" for role, names in known.items())
    if hint := _other_delimiter(table):
        return f"{which} Its columns: {_listed(table)}{hint}"
    if (proposal := _numbers(table)) and not any(unclear.values()):
        return f"{which} Its first line is like the others, so it may not name the columns: {proposal}"
    options = " ".join(f"--{role}-column NAME" for role in unclear)
    keys = ", ".join(f"data.{role}_column" for role in unclear)
    return f"{which} Its columns: {_listed(table)}. Add {options} (in a config or by --set: {keys})"


def _numbers(table: Table) -> str:
    """Return the options that read a CSV whose first line names no columns; empty if it does, or they are not clear."""
    rows = [row for row in table.sample if len(row) == len(table.columns)]
    if len(rows) < 3 or names_columns(rows, KNOWN_NAMES):
        return ""
    columns = list(zip(*rows, strict=True))
    labels = [n for n, cells in enumerate(columns) if 1 < len(set(cells)) <= min(MAX_LABELS, len(cells) / 2)]
    text = max(range(len(columns)), key=lambda n: sum(map(len, columns[n])))
    if len(labels) != 1 or text in labels:
        return ""
    return f"--no-header --text-column {text + 1} --label-column {labels[0] + 1}"


def _other_delimiter(table: Table) -> str:
    """Return a hint for a CSV of one column: another character may separate its cells."""
    if len(table.columns) != 1 or not FORMATS[table.format].delimiters:
        return ""
    widths = Counter(map(len, table.sample[1:])).most_common(1)
    plain = "if the first line is a text: --no-header --text-column 1"
    if widths and widths[0][0] > 1:
        return f". Most rows have {widths[0][0]} cells: remove the lines before the names; {plain}"
    return f"; the delimiter is taken to be {table.dialect.delimiter!r} (--delimiter, data.delimiter); {plain}"


def _nested(table: Table) -> list[NestedName]:
    return [name for name in table.columns if isinstance(name, NestedName)]


def _listed(table: Table) -> str:
    nested = _nested(table)
    columns = [name for name in table.columns if name not in nested]
    names = [name if name.isprintable() and len(name) <= 30 else f"{name[:30]!r}…" for name in columns[:20]]
    listed = ", ".join(names + ["…"] * (len(columns) > 20)) or "none that holds texts"
    return listed + (f" (lists or objects: {', '.join(nested[:5])})" if nested else "")


Part = tuple[Table, Columns, str | None]  # a table of a data set, its columns, and the split of its rows, if it has one


def table_source(
    tables: Sequence[Table], requested: Columns, test: Table | None = None, labels: Collection[str] = ()
) -> RecordSource:
    """Return the records of tables that are read as one, to train on if there is one to `test` on.

    Args:
        tables: of the texts.
        requested: the columns of each, see `choose_columns`.
        test: None if its texts are among the others.
        labels: that are labels even if they are spelled as an empty cell is, such as "None".
    """
    split = None if test is None else "train"
    parts: list[Part] = [(table, choose_columns(table, requested), split) for table in tables]
    parts += [] if test is None else [(test, choose_columns(test, requested), "test")]
    table, columns, _ = parts[0]
    if columns.split is None and test is None and (name := _unused_split(table)):
        logger.warning("%s: column %s looks like a split: --split-column %s", table.name, name, name)
    facts = {"format": table.format, "encoding": table.encoding}
    if FORMATS[table.format].delimiters:
        facts["delimiter"] = repr(table.dialect.delimiter)[1:-1]
        facts |= {} if table.dialect.quotes else {"quotes": "text"}
    roles = {"text": [columns.text], "label": columns.labels, "split": [columns.split], "group": [columns.group]}
    facts |= {f"{name} column": ", ".join(str(each or "") for each in role) for name, role in roles.items()}
    how = [
        [table.format, table.encoding, astuple(table.dialect), table.columns, astuple(columns), split]
        for table, columns, split in parts
    ]
    return RecordSource(
        [table.source.path for table, *_ in parts],
        {name: value for name, value in facts.items() if value},
        partial(_records, parts, len(tables) > 1, frozenset(labels)),
        grouped=columns.group is not None,
        reading=json.dumps(how),
        names=tuple(table.name for table, *_ in parts),
        labels=tuple(map(_name, columns.labels)) if isinstance(columns.label, tuple) else (),
    )


def _unused_split(table: Table) -> str | None:
    """Return a column of a CSV that says train, test or the like in each row of the sample; None if there is none."""
    rows = [row for row in table.sample if len(row) == len(table.columns)][1:]
    columns = {name: {row[place].strip().lower() for row in rows} for place, name in enumerate(table.columns)}
    return next((name for name, values in columns.items() if len(values) > 1 and values <= SPLITS.keys()), None)


def _records(
    parts: Sequence[Part], several: bool, labels: frozenset[str], progress: Progress | None
) -> Iterator[Record]:
    for number, (table, columns, of_all) in enumerate(parts):
        first = 2 if table.columns and FORMATS[table.format].delimiters else 1  # after the line of names
        report = partial(progress, Path(table.name).name) if progress else None
        keys = columns.all
        nulls = table.nulls - labels
        for sheet_row, (line, row) in enumerate(table.rows(keys, report), start=first):
            place = f"{table.name}:{line}"
            if isinstance(row, LeftOut):
                yield Record(place, None, None, left_out=row)
                continue
            cells: dict[Column | None, Any] = dict(zip(keys, row, strict=True))
            try:
                text, label = cell_text(cells[columns.text], table.nulls), columns.label_of(cells, nulls)
                split = cell_split(cells[columns.split], table.nulls) if columns.split else None
                group = cell_label(cells[columns.group], table.nulls) if columns.group else None
            except DataError as error:
                raise DataError(f"{place}: {error}") from None
            if text is not None and (text, label) == (columns.text, columns.label):
                yield Record(place, None, None, left_out=REPEATED_NAMES)
                continue
            spelled = cells[columns.labels[0]] if label is None else None
            why = f"labeled {spelled.strip()}, read as no label" if isinstance(spelled, str) and spelled.strip() else ""
            if of_all == "train" and split == "test":
                raise DataError(f"{place}: a row for the test, and --test names a table of its own; use one of them")
            split, in_file = "test" if of_all == "test" else split or of_all, 0 if several else line
            yield Record(place, text, label, split, group, in_file, left_out=why, table=number, row=sheet_row)
