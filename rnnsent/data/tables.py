"""Tables of texts: how a file is to be read, which columns hold text, label, split and group, and its records."""

from __future__ import annotations

import csv
import difflib
import io
import json
import logging
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnsent.data.dialect import PLAIN, SAMPLE_ROWS, find_dialect, is_blank, names_columns
from rnnsent.data.inputs import DEFAULTS, ReadOptions, find_encoding, find_input, require_texts
from rnnsent.data.labels import SPLITS, cell_label, cell_split, cell_text
from rnnsent.data.readers import FASTTEXT_LABEL, FORMATS, REPEATED_NAMES, Column, LeftOut, NestedName, Table, format_of
from rnnsent.data.records import Record, RecordSource
from rnnsent.errors import DataError

if TYPE_CHECKING:
    from rnnsent.data.download import Progress

logger = logging.getLogger(__name__)

TEXT_NAMES = (
    "text", "review", "sentence", "content", "body", "comment", "tweet", "message", "review_text", "reviewtext",
    "document", "description",
)  # fmt: skip
LABEL_NAMES = (
    "label", "sentiment", "class", "category", "target", "polarity", "rating", "stars", "star_rating", "score",
)  # fmt: skip
SPLIT_NAMES = ("split",)
INPUT_PREFIX = "input "  # before the name of a kept column that has that of another
KNOWN_NAMES = frozenset((*TEXT_NAMES, *LABEL_NAMES, *SPLIT_NAMES, "id"))
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
        options: what is said of the file; what it says itself, by a mark or as valid UTF-8, wins over an encoding.
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
    head = require_texts(source)
    if options.format is None:
        labeled = FASTTEXT_LABEL.encode() in head.partition(b"\n")[0] or b"\n" + FASTTEXT_LABEL.encode() in head
        name = "fasttext" if labeled else name
    if options.format is None and head.startswith(b"PAR1"):
        name = "parquet"
        if source.stream is not None:
            raise DataError(f"{source.name}: is Parquet; say so with --format parquet")
    if name is None and str(path) == "-":
        name = "jsonl" if head.lstrip()[:1] == b"{" else "csv"
    if name == "lines" and options.format is None and _looks_like_names(head):
        logger.warning("%s: is read as plain lines, but the first one looks like names of columns: --format", path)
    if name is None:
        suffixes = ", ".join(suffix for form in FORMATS.values() for suffix in form.suffixes)
        raise DataError(f"{path}: unknown suffix; use {suffixes}, or say what it is with --format")
    if FORMATS[name].binary:
        return _with_names(Table(source, name))
    if not head and (source.stream is None or name != "lines"):
        raise DataError(f"{source.name}: is empty")
    encoding = find_encoding(source, options.encoding)
    if encoding not in ("utf-8", "utf-8-sig") or (options.encoding or encoding).lower() not in ("utf-8", encoding):
        instead = f", not {options.encoding}" if options.encoding not in (None, encoding) else ""
        logger.info("%s: read as %s%s", source.name, encoding, instead)
    table = Table(source, name, encoding, skip_bad_rows=options.skip_bad_rows)
    if not FORMATS[name].delimiters:
        return _with_names(table)
    dialect = find_dialect(source, encoding, FORMATS[name].delimiters, options)
    if not dialect.quotes and options.quotes is None:
        logger.warning("%s: its quotes are read as text, because they do not enclose cells (--quotes)", source.name)
    table = replace(table, dialect=dialect)
    named = options.header
    if named is None:
        named = not numbered or names_columns(_sample(table), KNOWN_NAMES)
    if not named:
        widths = Counter(map(len, _sample(table)))
        return replace(table, width=widths.most_common(1)[0][0] if widths else 0)
    table = _with_names(table)
    if numbered and options.header is None:
        logger.warning("%s: its first line is read as names: %s (--no-header)", source.name, _listed(table))
    return table


def _looks_like_names(head: bytes) -> bool:
    cells = re.split("[,;|\t]", head.partition(b"\n")[0].decode("utf-8", "replace").lower())
    return len(cells) > 1 and any(cell.strip('\r" ') in KNOWN_NAMES for cell in cells)


def _sample(table: Table) -> list[list[str]]:
    """Return the first rows of a CSV, with the line of names."""
    try:
        with table.opened() as (_, stream):
            rows = (cells for _, cells in table.dialect.rows(stream) if not is_blank(cells))
            return list(islice(rows, SAMPLE_ROWS))
    except csv.Error:
        return []  # reading it says where


def _with_names(table: Table) -> Table:
    """Return the table with the column names that the file has.

    Raises:
        DataError: if they cannot be read, or two are the same.
    """
    first = io.StringIO(table.source.head().decode(table.encoding, "replace")) if table.source.stream else None
    try:
        with table.opened() if first is None else nullcontext((None, first)) as (_, stream):
            columns = tuple(FORMATS[table.format].columns(table, stream))
    except csv.Error as error:
        line, reason = error.args
        raise DataError(f"{table.name}:{line}: not a line of names: {reason}") from None
    if not columns and FORMATS[table.format].delimiters:
        raise DataError(f"{table.name}: holds nothing but blank lines")
    names: list[str] = []
    for name in columns:
        number = columns[: len(names) + 1].count(name)
        free = FORMATS[table.format].delimiters and f"{name} {number}" not in columns
        names.append(f"{name} {number}" if number > 1 and free else name)
    twice = next((name for name, number in Counter(names).items() if number > 1), None)
    if twice is not None:
        raise DataError(f"{table.name}: two columns are called {twice!r}")
    if renamed := next((pair for pair in zip(columns, names, strict=True) if pair[0] != pair[1]), None):
        logger.warning("%s: two columns are called %r; the second is %r here", table.name, *renamed)
    return replace(table, columns=tuple(names), width=len(names))


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of text, label, split and group; None if there is none."""

    text: Column
    label: Column | None = None
    split: Column | None = None
    group: Column | None = None


def choose_columns(table: Table, requested: Columns | None = None, *, labeled: bool = True) -> Columns:
    """Return the columns of `table` to read: those that are requested, else those with a known name.

    Args:
        table: as opened.
        requested: None in it, or the text "": to be found by name.
        labeled: whether labels are needed; otherwise only the text is looked for.

    Raises:
        DataError: if a column is not there, or it is not clear which one is meant.
    """
    requested = requested or Columns("")
    if table.format == "lines":
        if labeled:
            tabs = b"\t" in table.source.head().partition(b"\n")[0]
            other = "its lines hold tabs: --format tsv" if tabs else "use CSV, TSV, JSONL, Parquet or __label__ lines"
            raise DataError(f"{table.name}: plain text has no labels; {other}")
        return Columns(1)
    candidates: dict[str, list[str]] = {}

    def by_name(key: str, column: Column | None, names: Sequence[str]) -> Column | None:
        if column:
            return find_column(table, key, column)
        known = list(dict.fromkeys(column for column in table.columns if column.strip().lower() in names))
        if len(known) != 1:
            candidates[key] = known
        return known[0] if len(known) == 1 else None

    text = by_name("text_column", requested.text, TEXT_NAMES)
    label = by_name("label_column", requested.label, LABEL_NAMES) if labeled else None
    if candidates:
        raise DataError(f"{table.name}: {_question(table, candidates)}")
    assert text is not None
    nested = next(
        (column for column in table.columns if column in (text, label) and isinstance(column, NestedName)), None
    )
    if nested is not None:
        raise DataError(
            f"{table.name}: {nested!r} holds lists or objects, not texts or labels; pandas' "
            "to_json(FILE, orient='records', lines=True) writes one row a line"
        )
    if not labeled:
        return Columns(text)
    if text == label:
        raise DataError(f"{table.name}: column {text!r} cannot be both text and label (--text-column, --label-column)")
    group = find_column(table, "group_column", requested.group) if requested.group else None
    return Columns(text, label, by_name("split_column", requested.split, SPLIT_NAMES), group)


def find_column(table: Table, key: str, column: Column) -> Column:
    """Return a column of `table` that is requested by the option `key`, its name in any case.

    Raises:
        DataError: if it is not there.
    """
    if isinstance(column, int):
        if not table.columns:
            return column
        if column > len(table.columns):
            raise DataError(f"{table.name}: there is no column {column} (--{key.replace('_', '-')}): {_listed(table)}")
        return table.columns[column - 1]
    if column in table.columns:
        return column
    if column not in table.columns and FORMATS[table.format].typed and table.source.stream is not None:
        return column  # of a stream only the first line is known
    in_any_case = [name for name in table.columns if name.strip().lower() == column.strip().lower()]
    if len(in_any_case) == 1:
        return in_any_case[0]
    close = difflib.get_close_matches(column, table.columns, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise DataError(
        f"{table.name}: no column {column!r} (--{key.replace('_', '-')}); {hint}its columns: {_listed(table)}"
        f"{_other_delimiter(table)}"
    )


def kept_columns(table: Table, keep: Iterable[Column], taken: Collection[str]) -> dict[str, Column]:
    """Return columns of `table` to be written beside others, by their names in the output.

    Args:
        table: as opened.
        keep: columns; "all" is every one.
        taken: names of the others; a column of that name becomes `input NAME`.

    Raises:
        DataError: if one is not there.
    """
    requested = list(keep)
    if requested and table.format == "lines":
        raise DataError(f"{table.name}: plain text has no columns that could be kept (--keep)")
    if "all" in requested and not table.columns:
        raise DataError(f"{table.name}: does not name its columns, so --keep takes their numbers, from 1, not all")
    chosen = [
        find_column(table, "keep", str(column) if str(column) in table.columns else column)
        for column in requested
        if column != "all"
    ]
    columns: dict[str, Column] = {}
    for column in dict.fromkeys(table.columns if "all" in requested else chosen):
        name = column if isinstance(column, str) else f"column {column}"
        while name in taken or name in columns:
            name = f"{INPUT_PREFIX}{name}"
        columns[name] = column
    return columns


def _question(table: Table, candidates: Mapping[str, Sequence[str]]) -> str:
    """Return which columns have to be named, and how; `candidates` maps "text_column" or "label_column" to columns."""
    known = {key: f"{' or '.join(names)}?" if names else "no usual name." for key, names in candidates.items()}
    which = " ".join(f"Which column is the {key.partition('_')[0]}: {names}" for key, names in known.items())
    if len(table.columns) == 1 and FORMATS[table.format].delimiters:
        return f"{which} Its columns: {_listed(table)}{_other_delimiter(table)}"
    if (proposal := _numbers(table)) and not any(candidates.values()):
        return f"{which} Its first line is like the others, so it may not name the columns: {proposal}"
    options = " ".join(f"--{key.replace('_', '-')} NAME" for key in candidates)
    keys = ", ".join(f"data.{key}" for key in candidates)
    return f"{which} Its columns: {_listed(table)}. Add {options} (in a config or by --set: {keys})"


def _numbers(table: Table) -> str:
    """Return the options that read a CSV whose first line names no columns; empty if it does, or they are not clear."""
    rows = _sample(table) if FORMATS[table.format].delimiters else []
    rows = [row for row in rows if len(row) == len(table.columns)]
    if len(rows) < 3 or names_columns(rows, KNOWN_NAMES):
        return ""
    columns = list(zip(*rows, strict=True))
    labels = [n for n, cells in enumerate(columns) if 1 < len(set(cells)) <= min(MAX_LABELS, len(cells) / 2)]
    text = max(range(len(columns)), key=lambda n: sum(map(len, columns[n])))
    if len(labels) != 1 or text in labels:
        return ""
    return f"--no-header --text-column {text + 1} --label-column {labels[0] + 1}"


def _other_delimiter(table: Table) -> str:
    """Return a hint for a table of one column: another character may separate its cells."""
    if len(table.columns) != 1 or not FORMATS[table.format].delimiters:
        return ""
    if table.dialect.delimiter in table.columns[0]:
        return "; the line of names is quoted as a whole: remove the quotes around it"
    widths = Counter(map(len, _sample(table)[1:])).most_common(1)
    if widths and widths[0][0] > 1:
        return f". Most rows have {widths[0][0]} cells: remove the lines before the names"
    return f"; the delimiter is taken to be {table.dialect.delimiter!r} (--delimiter, data.delimiter)"


def _listed(table: Table) -> str:
    columns = [name for name in table.columns if not isinstance(name, NestedName)]
    names = [name if name.isprintable() and len(name) <= 30 else f"{name[:30]!r}…" for name in columns[:20]]
    nested = [name for name in table.columns if isinstance(name, NestedName)]
    objects = f" (lists or objects: {', '.join(nested[:5])})" if nested else ""
    if not names:
        return f"none that holds texts{objects}"
    return ", ".join(names) + (", …" if len(columns) > 20 else "") + objects


@dataclass(frozen=True)
class Part:
    """A table of a data set, its columns, and the split of all its rows if it has one."""

    table: Table
    columns: Columns
    split: str | None = None


def table_source(
    tables: Sequence[Table], requested: Columns, test: Table | None = None, labels: Collection[str] = ()
) -> RecordSource:
    """Return the records of tables that are read as one, and of one to test on.

    Args:
        tables: of the texts; if there is one to `test` on, these are to train on.
        requested: the columns of each.
        test: None if its texts are among the others.
        labels: that are labels even if they are spelled as an empty cell is, such as "None".

    Raises:
        DataError: see `choose_columns`.
    """
    parts = [Part(table, choose_columns(table, requested), None if test is None else "train") for table in tables]
    if test is not None:
        parts.append(Part(test, choose_columns(test, requested), "test"))
    table, columns = parts[0].table, parts[0].columns
    if columns.split is None and test is None and (name := _unused_split(table)):
        logger.warning("%s: column %s looks like a split: --split-column %s", table.name, name, name)
    facts = {"format": table.format, "encoding": table.encoding}
    if FORMATS[table.format].delimiters:
        facts["delimiter"] = repr(table.dialect.delimiter)[1:-1]
        facts |= {} if table.dialect.quotes else {"quotes": "text"}
    facts |= {f"{name} column": str(column or "") for name, column in asdict(columns).items()}
    how = [[each.format, each.encoding, astuple(each.dialect), each.columns] for each in (part.table for part in parts)]
    roles = [[astuple(part.columns), part.split] for part in parts]
    return RecordSource(
        [part.table.source.path for part in parts],
        {name: value for name, value in facts.items() if value},
        partial(_records, parts, len(tables) > 1, frozenset(labels)),
        grouped=columns.group is not None,
        reading=json.dumps([how, roles]),
    )


def _unused_split(table: Table) -> str | None:
    """Return a column of a CSV that says train, test or the like in each row of the sample; None if there is none."""
    rows = [row for row in _sample(table) if len(row) == len(table.columns)][1:] if table.dialect is not PLAIN else []
    columns = {name: {row[place].strip().lower() for row in rows} for place, name in enumerate(table.columns)}
    return next((name for name, values in columns.items() if len(values) > 1 and values <= SPLITS.keys()), None)


def _records(
    parts: Sequence[Part], several: bool, labels: frozenset[str], progress: Progress | None
) -> Iterator[Record]:
    for part in parts:
        table, columns = part.table, part.columns
        report = partial(progress, Path(table.name).name) if progress else None
        keys = list(dict.fromkeys(column for column in astuple(columns) if column))
        nulls = table.nulls - labels
        for line, row in table.rows(keys, report):
            place = f"{table.name}:{line}"
            if isinstance(row, LeftOut):
                yield Record(place, None, None, left_out=row)
                continue
            cells: dict[Column | None, Any] = dict(zip(keys, row, strict=True))
            try:
                text, label = cell_text(cells[columns.text], table.nulls), cell_label(cells[columns.label], nulls)
                split = cell_split(cells[columns.split], table.nulls) if columns.split else None
                group = cell_label(cells[columns.group], table.nulls) if columns.group else None
            except DataError as error:
                raise DataError(f"{place}: {error}") from None
            if text is not None and (text, label) == (columns.text, columns.label):
                yield Record(place, None, None, left_out=REPEATED_NAMES)
                continue
            spelled = cells[columns.label] if label is None else None
            why = f"labeled {spelled.strip()}, read as no label" if isinstance(spelled, str) and spelled.strip() else ""
            if part.split == "train" and split == "test":
                raise DataError(f"{place}: a row for the test, and --test names a table of its own; use one of them")
            split = "test" if part.split == "test" else split or part.split
            yield Record(place, text, label, split, group, number=0 if several else line, left_out=why)
