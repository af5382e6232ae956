"""Tables of texts: how a file is to be read, which columns hold text, label, split and group, and its records."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import sys
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnsent.data.labels import cell_label, cell_split, cell_text
from rnnsent.data.readers import FORMATS, PEEK_BYTES, Column, Peekable, Table, csv_reader, display_name, open_bytes
from rnnsent.data.records import Record, RecordSource
from rnnsent.errors import DataError

if TYPE_CHECKING:
    from rnnsent.data.download import Progress

TEXT_NAMES = (
    "text", "review", "sentence", "content", "body", "comment", "tweet", "message", "review_text", "reviewtext",
    "document", "description",
)  # fmt: skip
LABEL_NAMES = (
    "label", "sentiment", "class", "category", "target", "polarity", "rating", "stars", "star_rating", "score",
)  # fmt: skip
SPLIT_NAMES = ("split",)
INPUT_PREFIX = "input "  # before the name of a kept column that has that of another
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a file; None goes by its name and first bytes."""

    format: str | None = None  # a key of `FORMATS`
    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True  # whether the first line of CSV and TSV names the columns
    quotes: bool = True  # whether quotes around a cell of CSV and TSV are not part of it


DEFAULTS = ReadOptions()


def open_table(path: str | Path, options: ReadOptions = DEFAULTS) -> Table:
    """Find out how a file is to be read.

    Args:
        path: the file, also gzipped (`.csv.gz`); "-" is stdin, of plain lines unless `options` say otherwise.
        options: what is known.

    Raises:
        DataError: if the file is missing, empty, not text, or of no known format.
    """
    path = Path(path)
    stdin = Peekable(sys.stdin.buffer) if str(path) == "-" else None
    if stdin is None and (path.is_dir() or not path.exists()):
        raise DataError(f"{path}: {'is a folder, not a file of texts' if path.is_dir() else 'no such file'}")
    name = options.format or ("lines" if stdin else format_of(path))
    if name is None:
        suffixes = ", ".join(suffix for form in FORMATS.values() for suffix in form.suffixes)
        raise DataError(f"{path}: unknown suffix; use {suffixes}, or set data.format")
    if FORMATS[name].binary:
        if stdin is not None:
            raise DataError(f"stdin: {name} cannot be read from stdin; name the file")
        return Table(path, name).with_columns()
    head = _head(path) if stdin is None else stdin.head
    if not head and (stdin is None or name != "lines"):
        raise DataError(f"{display_name(path)}: is empty")
    encoding = _encoding(path, head, options.encoding)
    table = Table(path, name, encoding, options.delimiter or "", (), options.quotes, stdin)
    if FORMATS[name].delimiters and not table.delimiter:
        table = replace(table, delimiter=_delimiter(table, head))
    return table.with_columns() if options.header else table


def format_of(path: Path) -> str | None:
    """Return the format of a file by its suffix, gzipped or not; None if it is unknown."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    return next((name for name, form in FORMATS.items() if suffix in form.suffixes), None)


def _head(path: Path) -> bytes:
    try:
        with open_bytes(path) as raw:
            return raw.read(PEEK_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


def _encoding(path: Path, head: bytes, requested: str | None) -> str:
    name = display_name(path)
    if requested is not None:
        try:
            io.TextIOWrapper(io.BytesIO(), encoding=requested)
        except (LookupError, ValueError):  # not one of text, such as zip, or none at all
            raise DataError(f"{name}: unknown encoding {requested}; for example utf-8, cp1252, latin-1") from None
        return requested
    if head.startswith(b"PK\x03\x04"):
        raise DataError(f"{name}: is a zip archive, as Excel's files are; save the sheet as CSV")
    encoding = next((name for mark, name in _BOMS if head.startswith(mark)), None)
    if encoding is None and b"\0" in head:
        raise DataError(f"{name}: is not text: byte {head.index(0)} is zero; set data.encoding if it is UTF-16")
    return encoding or "utf-8"


def _delimiter(table: Table, head: bytes) -> str:
    """Return the delimiter that cuts the first line into most cells, and most of the next lines into as many."""
    try:
        text = codecs.getincrementaldecoder(table.encoding)("replace").decode(head)
    except UnicodeError as error:  # of codecs that replace nothing, such as idna
        raise DataError(f"{table.name}: is not {table.encoding.upper()} text: {error}") from None
    delimiters = FORMATS[table.format].delimiters
    best, most = delimiters[0], 1
    for delimiter in delimiters:
        try:
            rows = [row for row in csv_reader(io.StringIO(text, newline=""), delimiter, table.quotes) if row]
        except csv.Error:  # a quote that is not closed in these bytes
            rows = [row.split(delimiter) for row in text.splitlines() if row]
        rows = (rows[:-1] or rows)[:50]  # the last one may be cut
        width = len(rows[0]) if rows else 1
        agree = sum(len(row) == width for row in rows)
        if width > most and (agree > 0.7 * len(rows) or len(rows) < 4):
            best, most = delimiter, width
    return best


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
            raise DataError(f"{table.name}: plain text has no labels; use CSV, TSV, JSONL or Parquet")
        return Columns(1)
    candidates: dict[str, list[str]] = {}

    def by_name(key: str, column: Column | None, names: Sequence[str]) -> Column | None:
        if column:
            return find_column(table, key, column)
        by_lower = {name.strip().lower(): name for name in table.columns}
        known = [by_lower[name] for name in names if name in by_lower]
        if len(known) != 1:
            candidates[key] = known
        return known[0] if len(known) == 1 else None

    text = by_name("text_column", requested.text, TEXT_NAMES)
    label = by_name("label_column", requested.label, LABEL_NAMES) if labeled else None
    if candidates:
        raise DataError(f"{table.name}: {_question(table, candidates)}")
    assert text is not None
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
        if table.columns:
            raise DataError(f"{table.name}: data.{key}: the file names its columns: {_listed(table)}; give a name")
        return column
    if column in table.columns:
        return column
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
        raise DataError(f"{table.name}: has no header, so --keep takes column numbers, from 1, instead of all")
    # 7 is a name if columns have names
    chosen = [find_column(table, "keep", str(each) if table.columns else each) for each in requested if each != "all"]
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
    question = f"{which} Its columns: {_listed(table)}"
    if other := _other_delimiter(table):
        return question + other
    options = " ".join(f"--{key.replace('_', '-')} NAME" for key in candidates)
    return f"{question}. Add {options} (in a config or by --set: {', '.join(f'data.{key}' for key in candidates)})"


def _other_delimiter(table: Table) -> str:
    """Return a hint for a table of one column: another character may separate its cells."""
    if len(table.columns) != 1 or not FORMATS[table.format].delimiters:
        return ""
    return f"; the delimiter is taken to be {table.delimiter!r} (--delimiter, data.delimiter)"


def _listed(table: Table) -> str:
    names = [name if name.isprintable() and len(name) <= 30 else f"{name[:30]!r}…" for name in table.columns[:20]]
    return ", ".join(names) + (", …" if len(table.columns) > 20 else "") if names else "(none)"


def table_source(tables: Sequence[Table], requested: Columns) -> RecordSource:
    """Return the records of one table, or of two: one to train on and one to test.

    Raises:
        DataError: see `choose_columns`.
    """
    columns = [choose_columns(table, requested) for table in tables]
    table = tables[0]
    facts = {"format": table.format, "encoding": table.encoding, "delimiter": repr(table.delimiter)[1:-1]}
    facts |= {f"{name} column": str(column or "") for name, column in asdict(columns[0]).items()}
    return RecordSource(
        [table.path for table in tables],
        {name: value for name, value in facts.items() if value},
        partial(_records, tables, columns),
        grouped=columns[0].group is not None,
    )


def _records(tables: Sequence[Table], columns: Sequence[Columns], progress: Progress | None) -> Iterator[Record]:
    splits = (None,) if len(tables) == 1 else ("train", "test")
    for table, chosen, split in zip(tables, columns, splits, strict=True):
        report = partial(progress, table.path.name) if progress else None
        keys = list(dict.fromkeys(column for column in astuple(chosen) if column))
        for line, row in table.rows(keys, progress=report):
            place = f"{table.path}:{line}"
            cells: dict[Column | None, Any] = dict(zip(keys, row, strict=True))
            try:
                yield Record(
                    place,
                    cell_text(cells[chosen.text]),
                    cell_label(cells[chosen.label]),
                    cell_split(cells[chosen.split]) if chosen.split else split,
                    cell_label(cells[chosen.group]) if chosen.group else None,
                    number=line,
                )
            except DataError as error:
                raise DataError(f"{place}: {error}") from None
