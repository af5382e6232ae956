"""Predictions that any program made, read from a table: the real label of each row, and its probabilities."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.labels import cell_label, ordered
from rnnsent.data.opening import open_table
from rnnsent.data.tables import Table
from rnnsent.errors import DataError

LABELS = ("label", "labels", "target", "truth", "y_true", "gold", "class", "sentiment")
# Not "confidence", "score" or "prediction": these are as often the probability of the answer, or the answer itself.
PROBABILITIES = ("probability", "prob", "p", "y_score", "y_prob")
OF = "probability of "  # of several labels, each has a column of its own
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Predictions:
    """What a table says.

    Attributes:
        labels: int64 (rows,), the real ones.
        probabilities: float64 (rows,), of label 1; of three labels or more (rows, labels).
        label_names: what label 0, 1, … is called.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    label_names: tuple[str, ...]


def read_predictions(
    path: Path, *, label_column: str | None = None, probability_column: str | None = None, positive: str | None = None
) -> Predictions:
    """Read a CSV, TSV, JSON Lines or Parquet table.

    Args:
        path: the table; a run's own predictions-test.csv is one.
        label_column: of the real label; None looks for `LABELS`.
        probability_column: of the probability of `positive`; None looks for `PROBABILITIES`, or for columns called
            "probability of" each label.
        positive: which of two labels the probability is of; None: the last one, numbers by size, then by alphabet.

    Raises:
        DataError: naming file, line, and what would be right.
    """
    table = open_table(path)
    columns = [column for column in table.columns if column.lower().startswith(OF)]
    label = _column(table, label_column, LABELS, "the real label")
    if columns and probability_column is None:
        return _of_each(table, label, columns)
    probability = _column(table, probability_column, PROBABILITIES, "the probability")
    rows = list(_rows(table, label, [probability]))
    names = ordered({name for name, _ in rows})
    if len(names) != 2:
        raise DataError(
            f"{path}: column {label!r} holds {len(names)} labels ({', '.join(names[:5])}); with one column of "
            f"probabilities there must be two. Of several labels each needs a column {OF!r}NAME"
        )
    if positive is not None:
        if positive not in names:
            raise DataError(f"{path}: no row is labeled {positive}; labels: {', '.join(names)}")
        names = (*(name for name in names if name != positive), positive)
    labels = np.array([names.index(name) for name, _ in rows], np.int64)
    return Predictions(labels, np.array([value for _, (value,) in rows]), names)


def _of_each(table: Table, label: str, columns: Sequence[str]) -> Predictions:
    names = tuple(column[len(OF) :] for column in columns)
    labels, values = [], []
    for number, (name, found) in enumerate(_rows(table, label, columns), start=1):
        if name not in names:
            raise DataError(f"{table.path}: row {number}: labeled {name}, but no column is called {OF}{name}")
        if abs(sum(found) - 1) > SUM_TOLERANCE:
            raise DataError(f"{table.path}: row {number}: the probabilities add up to {sum(found):.4f}, not to 1")
        labels.append(names.index(name))
        values.append(found)
    several = np.array(values, np.float64)
    return Predictions(np.array(labels, np.int64), several if len(names) > 2 else several[:, 1], names)


def _rows(table: Table, label: str, columns: Sequence[str]) -> Any:
    """Yield the label of each row, and its probabilities as numbers."""
    empty = True
    for line, (name, *cells) in table.rows([label, *columns]):
        empty = False
        found = cell_label(name)
        if found is None:
            raise DataError(f"{table.path}:{line}: has no label")
        yield (
            found,
            [_number(cell, f"{table.path}:{line}", column) for cell, column in zip(cells, columns, strict=True)],
        )
    if empty:
        raise DataError(f"{table.path}: holds no rows")


def _number(cell: Any, where: str, column: str) -> float:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        value = float("nan")
    if not 0 <= value <= 1:
        raise DataError(f"{where}: {column} must be a number from 0 to 1, not {cell!r}")
    return value


def _column(table: Table, asked: str | None, known: Sequence[str], what: str) -> str:
    names = {column.lower(): column for column in table.columns}
    if asked is not None:
        if asked in table.columns:
            return asked
        close = difflib.get_close_matches(asked, table.columns, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise DataError(f"{table.path}: no column is called {asked}{hint} It has: {', '.join(table.columns)}")
    found = next((names[name] for name in known if name in names), None)
    if found is None:
        raise DataError(
            f"{table.path}: no column for {what}: none is called {', '.join(known[:4])}, …; it has: "
            f"{', '.join(table.columns) or 'no names'}"
        )
    return found
