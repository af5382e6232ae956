"""Predictions that any program made, read from a table: the real label of each row, and its probabilities."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.labels import cell_label, ordered
from rnnsent.data.opening import open_table
from rnnsent.data.tables import Table
from rnnsent.errors import DataError, count

LABELS = ("label", "labels", "target", "truth", "y_true", "gold", "class", "sentiment")
# Not "confidence", "score" or "prediction": these are as often the probability of the answer, or the answer itself.
PROBABILITIES = ("probability", "prob", "p", "y_score", "y_prob")
OF = "probability of "  # of several labels, each has a column of its own
SUM_TOLERANCE = 1e-3

_Row = tuple[int, str, list[float]]  # line, label, probabilities


@dataclass(frozen=True)
class Predictions:
    """What a table says.

    Attributes:
        labels: int64 (rows,), the real ones.
        probabilities: float64 (rows,), of label 1; of three labels or more (rows, labels).
        label_names: what label 0, 1, … is called.
        numbers: int64 (rows,), the line of each row in its file, from 1; of Parquet its row.
        unit: "line" or "row".
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    label_names: tuple[str, ...]
    numbers: NDArray[np.int64]
    unit: str


def read_predictions(
    path: Path, *, label_column: str | None = None, probability_column: str | None = None, positive: str | None = None
) -> Predictions:
    """Read a CSV, TSV, JSON Lines or Parquet table.

    Args:
        path: the table; a run's own predictions-test.csv is one.
        label_column: of the real label; None looks for `LABELS`.
        probability_column: of the probability of `positive`; None looks for columns called "probability of" each
            label, then for `PROBABILITIES`.
        positive: which of two labels is label 1, and so the one that a single column of probabilities is of. None: the
            one that the column is called after, or that of the last of two; else the last label, numbers by size, then
            by alphabet.

    Raises:
        DataError: naming file, line, and what would be right.
    """
    table = open_table(path)
    columns = [column for column in table.columns if column.lower().startswith(OF)]
    label = _column(table, label_column, LABELS, "the real label")
    if len(columns) > 1 and probability_column is None:
        return _of_each(table, label, columns, positive)
    known = columns or PROBABILITIES
    column = _column(table, probability_column, [name.lower() for name in known], "the probability")
    return _of_one(table, label, column, positive)


def _of_one(table: Table, label: str, column: str, positive: str | None) -> Predictions:
    """Read the probability of one of two labels."""
    said = column[len(OF) :] if column.lower().startswith(OF) else None
    if said is not None and positive not in (None, said):
        raise DataError(f"{table.path}: column '{column}' is of {said}, so the positive label cannot be {positive}")
    rows = list(_rows(table, label, [column]))
    names = ordered({name for _, name, _ in rows})
    if len(names) != 2:
        raise DataError(
            f"{table.path}: column '{label}' holds {count(len(names), 'label')} ({', '.join(names[:5])}); with one "
            f"column of probabilities there must be two. Of several labels each needs a column '{OF}LABEL'"
        )
    last = positive or said or names[-1]
    if last not in names:
        raise DataError(f"{table.path}: no row is labeled {last}; labels: {', '.join(names)}")
    return _predictions(table, (*(name for name in names if name != last), last), rows)


def _of_each(table: Table, label: str, columns: Sequence[str], positive: str | None) -> Predictions:
    """Read the probabilities of two labels or more, each in a column that is called after it."""
    names = tuple(column[len(OF) :] for column in columns)
    if len(set(names)) < len(names):
        raise DataError(f"{table.path}: two columns are of one label: {', '.join(columns)}")
    if positive is not None and len(names) > 2:
        raise DataError(f"{table.path}: a positive label is one of two; here are columns of {len(names)} labels")
    if positive is not None and positive not in names:
        raise DataError(f"{table.path}: no column is called '{OF}{positive}'; labels: {', '.join(names)}")
    rows = []
    for line, name, found in _rows(table, label, columns):
        if name not in names:
            raise DataError(f"{table.path}:{line}: labeled {name}, but no column is called '{OF}{name}'")
        if abs(sum(found) - 1) > SUM_TOLERANCE:
            raise DataError(f"{table.path}:{line}: the probabilities add up to {sum(found):.4f}, not to 1")
        rows.append((line, name, found))
    if positive is not None and positive != names[-1]:
        return _predictions(table, names[::-1], [(line, name, found[::-1]) for line, name, found in rows])
    return _predictions(table, names, rows)


def _predictions(table: Table, names: tuple[str, ...], rows: Sequence[_Row]) -> Predictions:
    """Return what rows say, whose probabilities are of each of `names`, or of the last of two alone."""
    place = {name: number for number, name in enumerate(names)}
    values = np.array([found for _, _, found in rows], np.float64)
    return Predictions(
        np.array([place[name] for _, name, _ in rows], np.int64),
        values if len(names) > 2 else values[:, -1],
        names,
        np.array([line for line, _, _ in rows], np.int64),
        "row" if table.format == "parquet" else "line",
    )


def _rows(table: Table, label: str, columns: Sequence[str]) -> Iterator[_Row]:
    """Yield the line of each row, its label, and its probabilities as numbers."""
    empty = True
    for line, (name, *cells) in table.rows([label, *columns]):
        empty = False
        found = cell_label(name)
        if found is None:
            raise DataError(f"{table.path}:{line}: has no label")
        where = f"{table.path}:{line}"
        yield line, found, [_number(cell, where, column) for cell, column in zip(cells, columns, strict=True)]
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
        hint = f"did you mean {close[0]}? It has" if close else "it has"
        raise DataError(f"{table.path}: no column is called {asked}; {hint}: {', '.join(table.columns)}")
    found = next((names[name] for name in known if name in names), None)
    if found is None:
        raise DataError(
            f"{table.path}: no column for {what}: none is called {', '.join(known[:4])}, …; it has: "
            f"{', '.join(table.columns) or 'no names'}"
        )
    return found
