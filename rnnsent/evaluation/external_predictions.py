"""Predictions that any program made, read from a table: the real label of each row, and probabilities or an answer."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.labels import LabelMap, cell_label, ordered
from rnnsent.data.readers import BytesRead, Row, Table
from rnnsent.data.tables import open_table
from rnnsent.errors import DataError, count
from rnnsent.evaluation.prediction_tables import are_answers, real_label, require_fixed, unfolded
from rnnsent.inference.batch import PROBABILITY_OF as OF

LABELS = ("label", "labels", "target", "truth", "y_true", "gold", "class", "sentiment")
# Not "confidence", "score" or "prediction": these are as often the probability of the answer, or the answer itself.
PROBABILITIES = ("probability", "prob", "p", "y_score", "y_prob")
# What else stands before a label in the name of the column of its probability; "": nothing.
BEFORE = ("probability_", "proba_", "prob_", "p_", "")
PREDICTED = ("predicted", "prediction", "predictions", "pred", "y_pred", "predicted_label", "answer")
OF_LABELS = ("accuracy", "precision", "recall", "f1", "balanced_accuracy", "mcc")  # metrics that need no probabilities
SUM_TOLERANCE = 1e-3

_Row = tuple[int, str, list[float]]  # line, label, probabilities


@dataclass(frozen=True)
class Predictions:
    """What a table says.

    Attributes:
        labels: int64 (rows,), the real ones.
        probabilities: float64 (rows,), of label 1; of three labels or more (rows, labels). 1 for the predicted label
            and 0 for the others where labels alone are known.
        label_names: what label 0, 1, … is called.
        numbers: int64 (rows,), the line of each row in its file, from 1; of Parquet its row.
        unit: "line" or "row".
        hard: whether predicted labels alone are known: then `OF_LABELS` mean something, and no other metric.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    label_names: tuple[str, ...]
    numbers: NDArray[np.int64]
    unit: str
    hard: bool = False


def read_predictions(
    path: Path,
    *,
    label_column: str | None = None,
    probability_column: str | None = None,
    predicted_column: str | None = None,
    positive: str | None = None,
    label_map: Mapping[str, str] | None = None,
) -> Predictions:
    """Read a CSV, TSV, JSON Lines or Parquet table.

    Args:
        path: the table; a run's own predictions-test.csv is one, and what `predict` wrote with a column of real labels.
        label_column: of the real label; None looks for `LABELS`, but in answers of `predict`, where it must be named.
        probability_column: of the probability of `positive`; None looks for columns called "probability of" each
            label, then for `PROBABILITIES`, then for columns called after the labels, with `BEFORE` or without.
        predicted_column: of the predicted label, of which then nothing else is read; None looks for `PREDICTED` where
            there are no probabilities.
        positive: which of two labels is label 1, and so the one that a single column of probabilities is of. None: the
            one that the column is called after, or that of the last of two; else the last label, numbers by size, then
            by alphabet.
        label_map: what each real label becomes, see `LabelMap`; rows whose label it does not name are left out.

    Raises:
        DataError: naming file, line, and what would be right.
    """
    table = unfolded(open_table(path))
    named = real_label(table, label_column) if are_answers(table.columns) else label_column
    label = _column(table, named, LABELS, "the real label", "--label-column")
    if label_map is not None:
        settings = {field.name: getattr(table, field.name) for field in fields(Table)}
        table = _Relabeled(**settings, inner=table, label=label, label_map=LabelMap(label_map))
    if predicted_column is not None:
        if probability_column is not None:
            raise DataError(f"{table.path}: either predicted labels or probabilities are judged, not both columns")
        predicted = _column(table, predicted_column, (), "the predicted label")
        return _of_labels(table, label, predicted, positive, asked=True)
    require_fixed(table, label, probability_column)
    columns = _of_each_label(table, label) if probability_column is None else {}
    if len(columns) > 1:
        return _of_each(table, label, columns, positive)
    answered = next((name for name in table.columns if name.lower() in PREDICTED and name != label), None)
    if answered is not None and probability_column is None and not columns and not _probability(table):
        return _of_labels(table, label, answered, positive, asked=False)
    known = [name.lower() for name in columns] or PROBABILITIES
    why = "--probability-column; of predicted labels without one: --predicted-column"
    column = _column(table, probability_column, known, "the probability", why)
    said = column[len(OF) :] if column.lower().startswith(OF) else columns.get(column)
    return _of_one(table, label, column, said, positive)


@dataclass(frozen=True, kw_only=True)
class _Relabeled(Table):
    """A table in which labels have other names; rows whose label has none are not there.

    Attributes:
        inner: as it is in the file.
        label: the column of the labels.
        label_map: what they become.
    """

    inner: Table
    label: str
    label_map: LabelMap

    def rows(
        self, wanted: Sequence[str | int], *, strict: bool = True, progress: BytesRead | None = None
    ) -> Iterator[Row]:
        """Yield the cells; see `Table`."""
        at = list(wanted).index(self.label)
        for line, cells in self.inner.rows(wanted, strict=strict, progress=progress):
            name = cell_label(cells[at])
            other = None if name is None else self.label_map(name)
            if name is None or other is not None:
                yield line, (*cells[:at], other, *cells[at + 1 :])


def _probability(table: Table) -> bool:
    """Return whether a column is called as one of probabilities."""
    return any(name.lower() in PROBABILITIES for name in table.columns)


def _of_each_label(table: Table, label: str) -> dict[str, str]:
    """Return the columns that are called after labels, each with its label."""
    named = {column: column[len(OF) :] for column in table.columns if column.lower().startswith(OF)}
    if named or _probability(table) or table.stdin is not None:  # which cannot be read twice
        return named
    seen = {name for name in (cell_label(cell) for _, (cell,) in table.rows([label])) if name is not None}
    for before in BEFORE:
        found = {
            column: column[len(before) :]
            for column in table.columns
            if column != label and column.lower().startswith(before) and (before or column in seen)
        }
        if len(found) > 1 and seen <= set(found.values()):
            return found
        one = {column: name for column, name in found.items() if name in seen}
        if len(one) == 1 and len(seen) == 2:
            return one
    return {}


def _of_one(table: Table, label: str, column: str, said: str | None, positive: str | None) -> Predictions:
    """Read the probability of one of two labels, `said` where the column is called after it."""
    rows = list(_rows(table, label, [column]))
    names = ordered({name for _, name, _ in rows})
    said = column if said is None and column in names else said
    if said is not None and positive not in (None, said):
        raise DataError(f"{table.path}: column '{column}' is of {said}, so the positive label cannot be {positive}")
    if len(names) != 2:
        raise DataError(
            f"{table.path}: column '{label}' holds {count(len(names), 'label')} ({', '.join(names[:5])}); with one "
            f"column of probabilities there must be two. Of several labels each needs a column '{OF}LABEL'"
        )
    last = positive or said or names[-1]
    if last not in names:
        raise DataError(f"{table.path}: no row is labeled {last}; labels: {', '.join(names)}")
    return _predictions(table, (*(name for name in names if name != last), last), rows)


def _of_labels(table: Table, label: str, column: str, positive: str | None, *, asked: bool) -> Predictions:
    """Read predicted labels; where the column was not `asked` for, they must be such as rows are labeled with."""
    found: list[tuple[int, str, str]] = []
    for line, (name, said) in table.rows([label, column]):
        real, predicted = cell_label(name), cell_label(said)
        if real is None or predicted is None:
            raise DataError(f"{table.path}:{line}: has no {'label' if real is None else column}")
        found.append((line, real, predicted))
    real_ones = {real for _, real, _ in found}
    strange = next(((line, said) for line, _, said in found if said not in real_ones), None)
    if strange is not None and not asked:
        raise DataError(
            f"{table.path}:{strange[0]}: no column for the probability, and {column} says {strange[1]}, which no "
            f"row is labeled; --probability-column {column} if these are probabilities, --predicted-column if labels"
        )
    names = ordered(real_ones | {said for _, _, said in found})
    if len(names) < 2:
        raise DataError(f"{table.path}: holds {count(len(names), 'label')}; two or more are needed to judge answers")
    if positive is not None and (len(names) > 2 or positive not in names):
        raise DataError(f"{table.path}: the positive label is one of two; labels: {', '.join(names)}")
    if positive is not None:
        names = (*(name for name in names if name != positive), positive)
    rows = [(line, real, [float(name == said) for name in names]) for line, real, said in found]
    return _predictions(table, names, rows, hard=True)


def _of_each(table: Table, label: str, columns: Mapping[str, str], positive: str | None) -> Predictions:
    """Read the probabilities of two labels or more, each in a column that is called after it."""
    names = tuple(columns.values())
    if len(set(names)) < len(names):
        raise DataError(f"{table.path}: two columns are of one label: {', '.join(columns)}")
    if positive is not None and len(names) > 2:
        raise DataError(f"{table.path}: a positive label is one of two; here are columns of {len(names)} labels")
    if positive is not None and positive not in names:
        raise DataError(f"{table.path}: no column is called '{OF}{positive}'; labels: {', '.join(names)}")
    rows = []
    for line, name, found in _rows(table, label, list(columns)):
        if name not in names:
            raise DataError(
                f"{table.path}:{line}: labeled {name}, but no column is called '{OF}{name}'; where {name} stands for "
                f"one of {', '.join(names)}: --label-map '{name}: …'"
            )
        if abs(sum(found) - 1) > SUM_TOLERANCE:
            raise DataError(f"{table.path}:{line}: the probabilities add up to {sum(found):.4f}, not to 1")
        rows.append((line, name, found))
    if positive is not None and positive != names[-1]:
        return _predictions(table, names[::-1], [(line, name, found[::-1]) for line, name, found in rows])
    return _predictions(table, names, rows)


def _predictions(table: Table, names: tuple[str, ...], rows: Sequence[_Row], *, hard: bool = False) -> Predictions:
    """Return what rows say, whose probabilities are of each of `names`, or of the last of two alone."""
    place = {name: number for number, name in enumerate(names)}
    values = np.array([found for _, _, found in rows], np.float64)
    return Predictions(
        np.array([place[name] for _, name, _ in rows], np.int64),
        values if len(names) > 2 else values[:, -1],
        names,
        np.array([line for line, _, _ in rows], np.int64),
        "row" if table.format == "parquet" else "line",
        hard,
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


def _column(table: Table, asked: str | None, known: Sequence[str], what: str, option: str = "") -> str:
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
            f"{', '.join(table.columns) or 'no names'}; which one it is says {option}"
        )
    return found
