"""Rows in memory, such as those of a pandas DataFrame, as a file of JSON Lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnnsent.config.sections import DataConfig
from rnnsent.data.inputs import Input
from rnnsent.data.labels import cell_text
from rnnsent.data.readers import Table
from rnnsent.data.tables import Columns, choose_columns
from rnnsent.errors import DataError

NAME = "data"  # of the rows in messages: that of the argument of `rnnsent.train`
PANDAS_NULLS = ("NAType", "NaTType")  # the classes of pandas.NA and pandas.NaT


@dataclass(frozen=True)
class Rows:
    """A table in memory."""

    columns: tuple[str, ...]
    rows: Iterable[tuple[Any, ...]]  # a cell for each column

    def write(self, path: Path, config: DataConfig) -> DataConfig:
        """Write the columns that `config` means as JSON Lines, and return the config that reads them.

        Raises:
            DataError: if a column is missing or ambiguous, or a cell is neither text nor a number.
        """
        requested = {key: getattr(config, f"{key}_column") for key in ("text", "label", "split", "group")}
        table = Table(Input(NAME, path), "jsonl", columns=self.columns)
        requested_columns = Columns(**requested | {"text": requested["text"] or ""}, separator=config.label_separator)
        columns = choose_columns(table, requested_columns)
        places = {str(name): self.columns.index(str(name)) for name in columns.all}
        twice = next((name for name in places if self.columns.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"{NAME}: two columns are called {twice!r}")
        joined = columns.label if config.label_separator is not None else None
        with path.open("w", encoding="utf-8") as stream:
            for index, row in enumerate(self.rows):
                cells = {
                    name: _cell(row[place], f"{NAME}[{index}], {name}", labels=name == joined)
                    for name, place in places.items()
                }
                stream.write(json.dumps(cells) + "\n")
        named = {f"{key}_column": getattr(columns, key) for key, column in requested.items() if column is not None}
        return replace(config, format=None, **named)


def find_rows(data: Any) -> Rows:
    """Return the rows of a DataFrame of pandas or polars, or of pairs (text, label).

    Raises:
        TypeError: if it is neither.
    """
    if hasattr(data, "columns") and hasattr(data, "itertuples"):
        return Rows(tuple(map(str, data.columns)), data.itertuples(index=False, name=None))
    if hasattr(data, "columns") and hasattr(data, "iter_rows"):
        return Rows(tuple(data.columns), data.iter_rows())
    if isinstance(data, Iterable) and not isinstance(data, bytes | Mapping) and not hasattr(data, "columns"):
        return Rows(("text", "label"), _pairs(data))
    raise TypeError(f"data must be a path, a pandas DataFrame or a list of (text, label), not {type(data).__name__}")


def _pairs(rows: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    for index, row in enumerate(rows):
        if not isinstance(row, tuple | list) or len(row) != 2:
            raise DataError(
                f"{NAME}[{index}]: must be a pair (text, label), not {row!r:.40}; list(zip(texts, labels)) makes pairs"
            )
        yield tuple(row)


def _cell(value: Any, place: str, *, labels: bool = False) -> str | list[str | None] | None:
    """Return a cell as a table with types has it: None if it is empty; with `labels` it may be a list of them."""
    if labels and isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return [cell_text(name) for name in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, np.generic):
        value = value.item()
    if type(value).__name__ in PANDAS_NULLS:
        return None
    if isinstance(value, Iterable) and not isinstance(value, str):
        raise DataError(f"{place}: must be text or a number, not {type(value).__name__}: {value!r:.40}")
    return cell_text(value)


@contextmanager
def row_errors(path: Path) -> Iterator[None]:
    """Let errors name a row by its index, not by the line of the file that `Rows.write` wrote."""
    try:
        yield
    except DataError as error:
        place = re.compile(rf"{re.escape(str(path))}(?::(\d+))?")
        message = place.sub(lambda match: f"{NAME}[{int(match[1]) - 1}]" if match[1] else NAME, str(error))
        if message == str(error):
            raise
        raise DataError(message) from None
