"""Predictions of any program, read from a table: the real label of each row, and probabilities or a predicted label."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnsent.config.sections import Targets
from rnnsent.data.labels import LabelMap, cell_label, cell_text, label_key, ordered
from rnnsent.data.readers import BLANK, LeftOut, Table
from rnnsent.data.scales import scale
from rnnsent.data.tables import choose_columns
from rnnsent.errors import DataError, count
from rnnsent.evaluation.predictions import Predictions
from rnnsent.inference.prediction_columns import (
    ABSTAINED,
    INPUT_PREFIX,
    LABEL,
    PROBABILITIES,
    PROBABILITY,
    ROW,
    WARNINGS,
)
from rnnsent.inference.prediction_columns import PROBABILITY_OF as OF

LABEL_NAMES = ("label", "labels", "target", "truth", "y_true", "gold", "class", "sentiment")
# Not "confidence" or "score": these are as often the probability of the predicted label.
PROBABILITY_NAMES = ("probability", "prob", "p", "y_score", "y_prob")
PREDICTED_NAMES = ("predicted", "prediction", "predictions", "pred", "y_pred", "predicted_label", "answer")
SUM_TOLERANCE = 1e-3

Row = tuple[int, str, list[Any]]  # line, real label, other cells


@dataclass(frozen=True)
class ExternalPredictions:
    """A table of predictions, of 0 and 1 if `labels_only` are known; lines (in Parquet, rows) are numbered from 1."""

    table: Table
    predictions: Predictions
    label_names: tuple[str, ...]
    lines: list[int]
    labels_only: bool
    note: str = ""  # which rows were left out, and which labels are read as another

    def place(self, index: int) -> str:
        """Return where a row is, such as "answers.csv, line 7"."""
        unit = "row" if self.table.format == "parquet" else "line"
        return f"{Path(self.table.name).name}, {unit} {self.lines[index]}"


def read_predictions(
    table: Table,
    *,
    label_column: str | None = None,
    probability_column: str | None = None,
    predicted_column: str | None = None,
    positive: str | None = None,
    label_map: Mapping[str, str] | None = None,
) -> ExternalPredictions:
    """Read a table of predictions.

    Args:
        table: as opened, also one that `eval` or `predict` wrote.
        label_column: of the real label. [default: one of LABEL_NAMES; what `predict` wrote needs a name]
        probability_column: of the probability of `positive`. [default: "probability of LABEL" for each label, one of
            PROBABILITY_NAMES, or the labels themselves]
        predicted_column: of the predicted label, without probabilities. [default: one of PREDICTED_NAMES]
        positive: which of two labels is label 1. [default: the one that the column is named after, or the last]
        label_map: what the real labels become, see `LabelMap`; rows of others are left out.

    Raises:
        DataError: naming file, line, and what would be right.
    """
    reader = _Reader(table, None if label_map is None else LabelMap(label_map), positive)
    reader.label = reader.real_label(label_column)
    if predicted_column is not None:
        if probability_column is not None:
            raise reader.error("--predicted-column and --probability-column exclude each other")
        return reader.from_labels(reader.find(predicted_column, (), ""), requested=True)
    reader.require_fixed_label(probability_column)
    columns = reader.label_columns() if probability_column is None else {}
    if len(columns) > 1:
        return reader.from_columns(columns)
    predicted = reader.known(name for name in PREDICTED_NAMES if name != reader.label)
    if predicted and probability_column is None and not columns and not reader.known(PROBABILITY_NAMES):
        return reader.from_labels(predicted, requested=False)
    names = [name.lower() for name in columns] or PROBABILITY_NAMES
    ways = "--probability-column, or --predicted-column of labels"
    column = reader.find(probability_column, names, f"the probability ({ways})")
    return reader.from_column(column, column[len(OF) :] if column.lower().startswith(OF) else columns.get(column))


class _Reader:
    """A table with real labels; the object `probabilities` in JSON Lines is read as columns `probability of LABEL`."""

    def __init__(self, table: Table, label_map: LabelMap | None, positive: str | None) -> None:
        self.table, self.label_map, self.positive, self.label = table, label_map, positive, ""
        self.names: dict[str, str] = {}  # of labels, by their `label_key`, if columns say how they are spelled
        self.left_out: dict[int, str] = {}  # {line: why}
        self.joined: set[str] = set()  # labels that are read as another
        self.named = set() if label_map is None else label_map.labels  # labels, also if spelled as an empty cell
        first: Any = {}
        if table.format == "jsonl":
            cells = (row[0] for _, row in table.rows([PROBABILITIES]) if not isinstance(row, LeftOut))
            first = next((cell for cell in cells if isinstance(cell, dict)), {})
        self.nested = [f"{OF}{name}" for name in first if f"{OF}{name}" not in table.columns]
        self.columns = (*table.columns, *self.nested)
        # Whether `rnnsent predict` wrote the table, of which some columns may have been removed.
        per_label = PROBABILITIES in self.columns or any(name.startswith(OF) for name in self.columns)
        self.from_predict = {LABEL, PROBABILITY} <= set(self.columns) and (
            WARNINGS[0] in self.columns or (ROW in self.columns and per_label)
        )

    def error(self, message: str, line: int | None = None) -> DataError:
        """Return an error about the table, or about a line of it."""
        return DataError(f"{self.table.name}{'' if line is None else f':{line}'}: {message}")

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield line, real label and cells of each row whose label the map does not leave out."""
        empty = True
        stored = [PROBABILITIES if column in self.nested else column for column in columns]
        for line, row in self.table.rows([self.label, *stored]):
            if isinstance(row, LeftOut):
                if row != BLANK:
                    self.left_out[line] = row
                continue
            label, *cells = row
            try:
                name = cell_label(label, self.table.nulls - self.named)
            except DataError as error:
                raise self.error(str(error), line) from None
            label_name = None if name is None else self.renamed(name)
            if label_name is None:
                self.left_out[line] = "without a label" if name is None else f"labeled {name}, not in --label-map"
            else:
                empty = False
                spelled, label_name = label_name, self.names.setdefault(label_key(label_name), label_name)
                self.joined |= {f"{spelled} as {label_name}"} if spelled != label_name else set()
                yield line, label_name, [self._cell(*pair) for pair in zip(columns, cells, strict=True)]
        if empty:
            why = next(iter(self.left_out.values()), None)
            raise self.error("holds no rows" if why is None else f"no row is left: {why}")

    def renamed(self, name: str) -> str | None:
        """Return what the label map makes of a label, None where it drops it; its own names stay."""
        if self.label_map is None:
            return name
        return self.label_map(name) or (name if name in self.label_map.names else None)

    def _cell(self, column: str, cell: Any) -> Any:
        probabilities = cell if isinstance(cell, dict) else {}
        return probabilities.get(column[len(OF) :]) if column in self.nested else cell

    def probabilities(self, columns: Sequence[str]) -> Iterator[tuple[int, str, list[float]]]:
        """Yield the same with numbers from 0 to 1."""
        for line, name, cells in self.rows(columns):
            values = []
            for column, cell in zip(columns, cells, strict=True):
                try:
                    value = float(cell)
                except (TypeError, ValueError):
                    value = float("nan")
                if not 0 <= value <= 1:
                    raise self.error(f"{column} must be a number from 0 to 1, not {cell!r}", line)
                values.append(value)
            yield line, name, values

    def known(self, names: Iterable[str]) -> str | None:
        """Return the first column that has one of these names, in any case."""
        by_name = {column.lower(): column for column in self.columns}
        return next((by_name[name] for name in names if name in by_name), None)

    def find(self, requested: str | None, names: Sequence[str], what: str) -> str:
        """Return the requested column, or else one that has one of the known names."""
        column_list = ", ".join(self.columns) or "no names"
        if requested is None:
            column = self.known(names)
            if column is None:
                raise self.error(f"no column for {what}: {', '.join(names[:4])}, …; it has: {column_list}")
            return column
        if requested not in self.columns:
            close = difflib.get_close_matches(requested, self.columns, n=1)
            hint = f"did you mean {close[0]}? It has" if close else "it has"
            raise self.error(f"no column is called {requested}; {hint}: {column_list}")
        return requested

    def real_label(self, requested: str | None) -> str:
        """Return the column of the real label; in a table of `predict` `label` is the predicted one."""
        if not self.from_predict:
            return self.find(requested, LABEL_NAMES, "the real label (--label-column)")
        if requested == LABEL and f"{INPUT_PREFIX}{LABEL}" in self.columns:
            return f"{INPUT_PREFIX}{LABEL}"
        if requested is not None and requested != LABEL:
            return self.find(requested, (), "")
        output_columns = {ROW, LABEL, PROBABILITY, PROBABILITIES, ABSTAINED, *WARNINGS}
        candidates = [name for name in self.columns if name not in output_columns and not name.startswith(OF)]
        hint = f"of {', '.join(candidates)}" if candidates else "which predict --keep NAME adds"
        raise self.error(
            f"predictions of rnnsent predict, in which {LABEL} is the predicted label; name the column of the real one "
            f"with --label-column, {hint}"
        )

    def require_fixed_label(self, requested: str | None) -> None:
        """Require that the column `probability` is not that of the predicted label, as `predict` writes it."""
        column = next((name for name in self.columns if name.startswith(OF)), None)
        has_both = {LABEL, PROBABILITY} <= {name.lower() for name in self.columns} and self.label.lower() != LABEL
        reads_probability = column is None if requested is None else requested == PROBABILITY and self.from_predict
        if not has_both or not reads_probability:
            return
        hint = f"use --probability-column '{column}'" if column else f"use --predicted-column {LABEL}"
        alternative = f", or --probability-column {PROBABILITY} if it is of the same label in every row"
        suffix = "" if self.from_predict else alternative
        raise self.error(f"{PROBABILITY} is that of the predicted label; {hint}{suffix}")

    def label_columns(self) -> dict[str, str]:
        """Return the columns of probabilities that are named after labels, each with its label."""
        named = {column: column[len(OF) :] for column in self.columns if column.lower().startswith(OF)}
        if named or self.known(PROBABILITY_NAMES):
            return named
        labels = {name for _, name, _ in self.rows([])}
        columns = {column: column for column in self.columns if column != self.label and column in labels}
        return columns if len(columns) == len(labels) or (len(columns), len(labels)) == (1, 2) else {}

    def from_column(self, column: str, of: str | None) -> ExternalPredictions:
        """Read the probability of one of two labels: `of`, if the column is named after it."""
        rows = list(self.probabilities([column]))
        names = ordered({name for _, name, _ in rows})
        of = column if of is None and column in names else of
        if of is not None and self.positive not in (None, of):
            raise self.error(f"column '{column}' is of {of}, so the positive label cannot be {self.positive}")
        if len(names) != 2:
            raise self.error(
                f"column '{self.label}' holds {count(len(names), 'label')} ({', '.join(names[:5])}); with one column "
                f"of probabilities there must be two. Of more labels each needs a column '{OF}LABEL'"
            )
        return self._result(self._with_last(names, self.positive or of), rows)

    def from_labels(self, column: str, *, requested: bool) -> ExternalPredictions:
        """Read predicted labels; unless the column was `requested`, they must be among the real ones."""
        rows = [(line, name, self.predicted_label(cell)) for line, name, (cell,) in self.rows([column])]
        real = {name for _, name, _ in rows}
        for line, _, predicted in rows:
            if predicted is None:
                raise self.error(f"has no {column}", line)
            if predicted not in real and not requested:
                raise self.error(
                    f"no column for the probability, and {column} says {predicted}, which is no real label; use "
                    f"--probability-column {column} for probabilities, --predicted-column for labels",
                    line,
                )
        said = {str(predicted) for _, _, predicted in rows}
        if not real & said:
            raise self.error(
                f"{column} says {', '.join(ordered(said)[:3])}, and {self.label} {', '.join(ordered(real)[:3])}: they "
                "have no label in common; --label-map gives them the same names"
            )
        names = ordered(real | said)
        if len(names) < 2:
            raise self.error(f"holds {count(len(names), 'label')}; two or more are needed")
        names = self._with_last(names, self.positive)
        one_hot = [(line, name, [float(label == predicted) for label in names]) for line, name, predicted in rows]
        return self._result(names, one_hot, labels_only=True)

    def predicted_label(self, cell: Any) -> str | None:
        """Return the predicted label, as the real ones are spelled."""
        name = cell_label(cell)
        name = None if name is None else self.renamed(name) or name
        return None if name is None else self.names.get(label_key(name), name)

    def from_columns(self, columns: Mapping[str, str]) -> ExternalPredictions:
        """Read the probabilities of two labels or more, each in a column that is named after it."""
        names = tuple(columns.values())
        if len(set(names)) < len(names):
            raise self.error(f"two columns are of one label: {', '.join(columns)}")
        ordered_names = self._with_last(names, self.positive)
        self.names, self.named = {label_key(name): name for name in names}, {*self.named, *names}
        rows = list(self.probabilities(list(columns)))
        for line, name, values in rows:
            if name not in names:
                raise self.error(
                    f"labeled {name}, but no column is called '{OF}{name}'; if {name} stands for one of "
                    f"{', '.join(names)}: --label-map '{name}: …'",
                    line,
                )
            if abs(sum(values) - 1) > SUM_TOLERANCE:
                raise self.error(f"the probabilities add up to {sum(values):.4f}, not to 1", line)
        order = [names.index(name) for name in ordered_names]
        return self._result(ordered_names, [(line, name, [row[at] for at in order]) for line, name, row in rows])

    def _with_last(self, names: tuple[str, ...], last: str | None) -> tuple[str, ...]:
        """Return the names with `last`, the positive label, at the end."""
        if last is None:
            return names
        if len(names) > 2:
            raise self.error(f"a positive label is one of two; there are {len(names)} labels: {', '.join(names)}")
        if last not in names:
            raise self.error(f"no row or column is labeled {last}; labels: {', '.join(names)}")
        return (*(name for name in names if name != last), last)

    def _result(
        self, names: tuple[str, ...], rows: Sequence[tuple[int, str, list[float]]], *, labels_only: bool = False
    ) -> ExternalPredictions:
        """Return the contents of rows whose probabilities are of each of `names`, or of the last of two alone."""
        numbers = {name: number for number, name in enumerate(names)}
        values = np.array([row[2] for row in rows], np.float64)
        targets: Targets = "ordered" if scale(names) == names else "classes"
        predictions = Predictions.of(
            [numbers[row[1]] for row in rows], values if len(names) > 2 else values[:, -1], targets
        )
        reasons = ", ".join(f"{why}: {number:,}" for why, number in Counter(self.left_out.values()).most_common(5))
        left_out = [f"{count(len(self.left_out), 'row')} left out: {reasons}"] if reasons else []
        joined = [f"read as one label: {', '.join(sorted(self.joined)[:5])}"] if self.joined else []
        note = "; ".join([*left_out, *joined])
        return ExternalPredictions(self.table, predictions, names, [row[0] for row in rows], labels_only, note)


def read_texts(table: Table, text_column: str | int | None) -> list[str] | None:
    """Return the texts of a table of predictions: in `text_column` or one with a usual name; None if there is none."""
    column = text_column
    if column not in table.columns:
        try:
            column = choose_columns(table, labeled=False).text
        except DataError:
            return None
    assert column is not None
    rows = (row for _, row in table.rows([column]))
    return [cell_text(row[0], table.nulls) or "" for row in rows if not isinstance(row, LeftOut)]
