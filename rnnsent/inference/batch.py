"""Predictions for the rows of a file: one row out for each row in, in order, in constant memory."""

from __future__ import annotations

import json
import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import tee
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from rnnsent.errors import DataError, RunError, count
from rnnsent.files import atomic_path, disk_errors, json_line, require_folder, table_writer
from rnnsent.inference.prediction_columns import (
    ABSTAINED,
    INPUT_PREFIX,
    LABEL,
    NONE,
    PROBABILITIES,
    ROW,
    prediction_columns,
)

if TYPE_CHECKING:
    from rnnsent.data.inputs import ReadOptions
    from rnnsent.data.readers import Column, Table
    from rnnsent.inference.classifier import Classifier, Prediction

ABSTAIN = "abstain"  # instead of a label, in a table

logger = logging.getLogger(__name__)

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")  # what UTF-8 has no form of, and what readers of tables refuse
DELIMITERS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*DELIMITERS, ".jsonl")
PROGRESS_ROWS = 1024  # between two reports of progress


class Row(NamedTuple):
    """A row of the input: its number from 1, its text, and the cells to write beside its prediction."""

    number: int
    text: str
    kept: dict[str, object]


@dataclass(frozen=True, slots=True)
class Texts:
    """A table of texts; `kept` maps the names of columns in the output to columns of the table."""

    table: Table
    column: Column
    kept: dict[str, Column]
    left_out: Counter[str] = field(default_factory=Counter)  # rows that are no texts, by the reason

    def __iter__(self) -> Iterator[Row]:
        """Yield each row; an empty cell is an empty text, as is an empty line of plain text."""
        from rnnsent.data.labels import cell_text
        from rnnsent.data.readers import BLANK, LeftOut

        columns, number = [self.column, *self.kept.values()], 0
        for line, row in self.table.rows(columns):
            number += row is not BLANK
            if isinstance(row, LeftOut):
                self.left_out[row] += 1
                continue
            cell, *values = row
            try:
                text = cell if self.table.format == "lines" else cell_text(cell, self.table.nulls)
            except DataError as error:
                raise DataError(f"{self.table.name}:{line}: {error}") from None
            yield Row(number, text or "", dict(zip(self.kept, map(_json_value, values), strict=True)))

    def predictions(
        self, classifier: Classifier, thresholds: Mapping[str, float] | None = None
    ) -> Iterator[tuple[Row, Prediction]]:
        """Yield each row with its prediction; thresholds as for `Classifier.predict`."""
        rows, read_ahead = tee(self)
        return zip(rows, classifier.stream((row.text for row in read_ahead), thresholds), strict=False)


def open_texts(
    source: str,
    classifier: Classifier,
    options: ReadOptions,
    text_column: Column | None = None,
    keep: Sequence[Column] = (),
) -> Texts:
    """Open a file of texts.

    Args:
        source: a file or pipe; "-" is stdin.
        classifier: whose run says the encoding, the column, and the format of a text file, if nothing else does.
        options: how to read the file.
        text_column: by name, or by number from 1.
        keep: columns to write beside the predictions; "all" is every one.

    Raises:
        DataError: if it cannot be read.
    """
    from rnnsent.data.readers import FORMATS, format_of
    from rnnsent.data.tables import Columns, choose_columns, open_table

    data = classifier.config.data
    plain = source != "-" and format_of(Path(source)) in (None, "lines")  # a name that does not say that it is a table
    options = replace(
        options,
        encoding=options.encoding or data.encoding,
        format=options.format or (data.format if plain and data.format in FORMATS else None),
    )
    numbered = isinstance(text_column or data.text_column, int)
    table = open_table(source, options, default="lines", numbered=numbered, streaming="all" not in keep)
    column = text_column or (data.text_column if table.columns or numbered else None)
    text = choose_columns(table, Columns(column or ""), labeled=False).text
    names = {ROW, PROBABILITIES, ABSTAINED, *prediction_columns(classifier.label_names)}
    return Texts(table, text, kept_columns(table, keep, names))


def kept_columns(table: Table, keep: Iterable[Column], taken: Collection[str]) -> dict[str, Column]:
    """Return columns of `table` to be written beside others, by their names in the output.

    Args:
        table: as opened.
        keep: columns; "all" is every one.
        taken: names of the others; a column of that name becomes `input NAME`.

    Raises:
        DataError: if one is not there.
    """
    from rnnsent.data.tables import find_column

    requested = list(keep)
    if requested and table.format == "lines":
        raise DataError(f"{table.name}: plain text has no columns that could be kept (--keep)")
    if "all" in requested and not table.columns:
        raise DataError(f"{table.name}: does not name its columns, so --keep takes their numbers, from 1, not all")
    chosen = [find_column(table, "--keep", column) for column in requested if column != "all"]
    columns: dict[str, Column] = {}
    for column in dict.fromkeys(table.columns if "all" in requested else chosen):
        name = column if isinstance(column, str) else f"column {column}"
        while name in taken or name in columns:
            name = f"{INPUT_PREFIX}{name}"
        columns[name] = column
    return columns


def as_line(prediction: Prediction, abstain_below: float | None = None) -> str:
    """Return a prediction as a line: label, probability, and in brackets its warnings."""
    warnings = prediction.warnings()
    end = f"\t({', '.join(warnings)})" if warnings else ""
    return f"{_label(prediction, abstain_below) or NONE}\t{prediction.probability:.4f}{end}"


def as_json(prediction: Prediction, abstain_below: float | None = None, row: Row | None = None) -> str:
    """Return a prediction as a JSON object on one line, after number and kept cells of its row.

    With `abstain_below` it says whether it was abstained from; the label is then null.
    """
    values = ({} if row is None else {ROW: row.number, **row.kept}) | prediction.to_dict()
    if abstain_below is not None:
        abstained = _abstains(prediction, abstain_below)
        values |= {LABEL: None if abstained else prediction.label, ABSTAINED: abstained}
    return json_line(values)


def require_output(output: Path, source: str, replace: bool) -> None:
    """Require that predictions can be written to a file.

    Raises:
        RunError: if its suffix is unknown, it is the input, or it exists and may not be replaced.
    """
    if output.suffix.lower() not in SUFFIXES:
        raise RunError(f"{output}: unknown output format; use .csv, .tsv or .jsonl")
    require_folder(output)
    if output.exists() and Path(source).exists() and output.samefile(source):
        raise RunError(f"{output}: is the input itself; choose another --output")
    if output.exists() and not replace:
        raise RunError(f"{output}: exists already; --force replaces it")


def write_predictions(
    texts: Texts,
    classifier: Classifier,
    output: Path,
    abstain_below: float | None = None,
    progress: Callable[[int], None] = lambda rows: None,
    thresholds: Mapping[str, float] | None = None,
) -> tuple[int, int]:
    """Write a prediction for each row to a .csv, .tsv or .jsonl file, which appears when it is complete.

    Returns:
        How many rows there are, and how many of their texts have no words.

    Raises:
        DataError: if a row cannot be read.
        RunError: if `output` cannot be written.
    """
    rows = blank = 0
    # JSON can hold half a character, which UTF-8 cannot.
    with (
        disk_errors(output),
        _only_writer(output),
        atomic_path(output) as path,
        path.open("w", encoding="utf-8", errors="replace", newline="") as stream,
    ):
        changed: Counter[str] = Counter()
        write = _writer(stream, output.suffix.lower(), classifier, list(texts.kept), abstain_below, changed)
        for row, prediction in texts.predictions(classifier, thresholds):
            write(row, prediction)
            rows, blank = rows + 1, blank + prediction.blank
            if rows % PROGRESS_ROWS == 0:
                progress(rows)
    if changed:
        number = count(changed.total(), "cell")
        logger.warning("%s: what a table cannot hold was replaced by \ufffd in %s; .jsonl keeps it", output, number)
    return rows, blank


@contextmanager
def _only_writer(output: Path) -> Iterator[None]:
    """Hold the right to write a file.

    Raises:
        RunError: if another process is writing it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(output.with_name(f".{output.name}.lock"), blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(f"{output}: another rnnsent is writing it now; choose another --output") from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _writer(
    stream: IO[str],
    suffix: str,
    classifier: Classifier,
    kept: Iterable[str],
    abstain_below: float | None,
    changed: Counter[str],
) -> Callable[[Row, Prediction], Any]:
    """Return a function that writes a row, and counts in `changed` which cells it had to change; write the header."""
    if suffix == ".jsonl":
        return lambda row, prediction: stream.write(as_json(prediction, abstain_below, row) + "\n")
    table = table_writer(stream, DELIMITERS[suffix])
    table.writerow([ROW, *kept, *prediction_columns(classifier.label_names)])

    def cell_of(cell: object) -> str | None:
        if cell is None:
            return None
        text = cell if isinstance(cell, str) else json.dumps(cell)
        plain = _UNWRITABLE.sub("\ufffd", text)
        if plain != text:
            changed["cell"] += 1
        return plain

    def write(row: Row, prediction: Prediction) -> None:
        values = (prediction.probability, *prediction.probabilities.values(), prediction.unknown_share)
        table.writerow(
            [
                row.number,
                *map(cell_of, row.kept.values()),
                _label(prediction, abstain_below),
                *(f"{value:.6f}" for value in values),
                *(str(flag).lower() for flag in (prediction.truncated, prediction.blank)),
            ]
        )

    return write


def _label(prediction: Prediction, abstain_below: float | None) -> str:
    return ABSTAIN if abstain_below is not None and _abstains(prediction, abstain_below) else prediction.label


def _abstains(prediction: Prediction, abstain_below: float) -> bool:
    return prediction.blank or prediction.probability < abstain_below


def _json_value(cell: Any) -> Any:
    """Return a cell as JSON can hold it: others, such as dates, as text."""
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, list):
        return [_json_value(value) for value in cell]
    if isinstance(cell, dict):
        return {str(name): _json_value(value) for name, value in cell.items()}
    return cell if isinstance(cell, str | int | None) else str(cell)
