"""Corrected labels: a table of suspects in which somebody filled in `correct_label`, applied to a data set."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rnnsent.config.sections import DataConfig
from rnnsent.data import splitting
from rnnsent.data.dataset import Dataset, Places
from rnnsent.data.labels import LabelMap, cell_label, label_key, ordered
from rnnsent.data.readers import LeftOut, Table
from rnnsent.data.splitting import DROPPED, SPLITS, TEST, UNLABELED, Ints
from rnnsent.data.tokenizer import TOKENIZERS, text_hash
from rnnsent.errors import DataError
from rnnsent.files import sha256

logger = logging.getLogger(__name__)

DROP = "drop"  # instead of a label: leave the row out
AGAIN = "rnnsent data suspects writes a new table if the data changed"


@dataclass(frozen=True, slots=True)
class Correction:
    """A row with a correct label, or `DROP`; its fields are columns of the table, except the first."""

    place: str  # in the table, for messages
    file: str
    row: int  # as `Record.row`
    label: str  # that the data have
    correct_label: str
    text_id: str  # empty: the text itself tells
    text: str

    @property
    def what(self) -> str:
        """Which text is meant."""
        return " of ".join(filter(None, (f"row {self.row}" if self.row else "", self.file)))


COLUMNS = ("file", "row", "label", "correct_label", "text_id", "text")


@dataclass(frozen=True)
class Corrections:
    """What a table of suspects says of a data set."""

    path: Path
    rows: list[Correction]

    @classmethod
    def read(cls, table: Table) -> Corrections:
        """Read a table of suspects; rows without a correct label say nothing.

        Raises:
            DataError: if it lacks a column, or a row number is none.
        """
        columns = [name for name in COLUMNS if name in table.columns]
        missing = [name for name in ("row", "correct_label", "text_id") if name not in columns]
        if missing not in ([], ["text_id"]) or (missing and "text" not in columns):
            raise DataError(
                f"{table.name}: no table of corrections, it has no column {missing[0]}; rnnsent data suspects writes "
                f"one with the columns {', '.join(COLUMNS)}"
            )
        rows = []
        for line, row in table.rows(columns):
            cells = {} if isinstance(row, LeftOut) else dict(zip(columns, row, strict=True))
            if (correct := cell_label(cells.get("correct_label"))) is None:
                continue
            file, number, label, text_id = (cell_label(cells.get(name)) or "" for name in (*COLUMNS[:3], "text_id"))
            if not (number or "0").isdecimal():
                raise DataError(f"{table.name}:{line}: row must be the number of a row, not {number}")
            text = str(cells.get("text") or "")
            rows.append(Correction(f"{table.name}:{line}", file, int(number or 0), label, correct, text_id, text))
        if not rows:
            logger.warning("%s: no row has a correct_label, so nothing is corrected", table.name)
        return cls(table.source.path, rows)

    def uncorrected(self, config: DataConfig) -> DataConfig:
        """Return the config that reads the data as they are, with labels that no text has after correction."""
        if config.labels is None:
            return config
        others = {row.label for row in self.rows if row.label} - set(config.labels)
        labels = (*config.labels, *sorted(others))
        return replace(config, labels=ordered(labels) if config.labels == ordered(config.labels) else labels)

    def apply(self, dataset: Dataset, config: DataConfig) -> Dataset:
        """Return the data set with corrected labels; splits stay as they were drawn, without the rows left out.

        Raises:
            DataError: naming the first row that is not in the data, has another text there, or an unknown label.
        """
        if dataset.targets == "multi":
            raise DataError(f"{config.corrections}: corrections are for texts with one label each, not several")
        labels, splits = dataset.rows.labels.copy(), splits_of(dataset)
        counts = {"corrected": 0, "left out": 0, "in test": 0}
        for row, correction in self._by_row(dataset).items():
            label = _label(correction, dataset.label_names, config)
            if splits[row] == DROPPED or label == labels[row]:
                continue
            counts["left out" if label is None else "corrected"] += 1
            counts["in test"] += int(splits[row] == TEST)
            if label is None:
                splits[row] = DROPPED
            else:
                labels[row] = label
        labels, names = _remaining(labels, splits, dataset.label_names, config)
        facts = dataset.provenance | {"corrections": {"file": str(self.path), "sha256": sha256(self.path), **counts}}
        if dataset.hashes is not None:
            labeled = (splits != DROPPED) & (splits != UNLABELED)
            facts["contradicting"] = splitting.contradictions(dataset.hashes[labeled], labels[labeled])
            facts["also in training"] = splitting.in_training(dataset.hashes, splits)
        indices = {name: rows[splits[rows] != DROPPED] for name, rows in dataset.indices.items()}
        corrected = replace(dataset.rows, labels=labels)
        return replace(dataset, rows=corrected, indices=indices, label_names=names, provenance=facts)

    def _by_row(self, dataset: Dataset) -> dict[int, Correction]:
        """Return the corrections by row of the data set."""
        places = places_of(dataset)
        numbers = {file: number for number, file in enumerate(places.files)}
        keys = (places.file_numbers.astype(np.int64) << 32) | places.sheet_rows
        order = np.argsort(keys, kind="stable")
        by_row: dict[int, Correction] = {}
        files = [0 if len(numbers) == 1 else numbers.get(each.file, -1) for each in self.rows]
        wanted = np.array([file << 32 | each.row for file, each in zip(files, self.rows, strict=True)], np.int64)
        index = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)].tolist()
        for row, key, correction in zip(index, wanted.tolist(), self.rows, strict=True):
            if keys[row] != key or dataset.rows.labels[row] < 0:
                raise DataError(f"{correction.place}: {correction.what} is no labeled text of the data; {AGAIN}")
            if not _is_same_text(correction, dataset, row):
                raise DataError(f"{correction.place}: {correction.what} has another text in the data; {AGAIN}")
            other = by_row.setdefault(row, correction)
            if label_key(other.correct_label) != label_key(correction.correct_label):
                raise DataError(
                    f"{correction.place}: {correction.what} is corrected twice: to {correction.correct_label}, and to "
                    f"{other.correct_label} in {other.place}; keep one of them"
                )
        return by_row


def _remaining(labels: Ints, splits: Ints, names: tuple[str, ...], config: DataConfig) -> tuple[Ints, tuple[str, ...]]:
    """Return labels and names without those that no text has any more."""
    present = [names[label] for label in np.unique(labels[(splits != DROPPED) & (labels >= 0)])]
    kept = config.labels or (tuple(present) if config.source == "texts" else names)
    if other := next((name for name in present if name not in kept), None):
        raise DataError(f"texts labeled {other} are left, which is none of data.labels: {', '.join(kept)}")
    numbers = np.array([*(kept.index(name) if name in kept else 0 for name in names), -1], np.int64)
    return numbers[labels], kept


def splits_of(dataset: Dataset) -> Ints:
    """Return the split of each row as `splitting.assign` does."""
    splits = np.full(len(dataset.rows), DROPPED)
    for name, rows in dataset.indices.items():
        splits[rows] = SPLITS.get(name, UNLABELED)
    return splits


def places_of(dataset: Dataset) -> Places:
    """Return where a person finds each text; without files by its number in the source, from 1."""
    size = len(dataset.rows)
    return dataset.places or Places((dataset.source,), np.zeros(size, np.int64), np.arange(1, size + 1))


def text_ids(dataset: Dataset, rows: Sequence[int]) -> list[str]:
    """Return what tells the texts at `rows` from others; texts of the same words have the same."""
    index = np.asarray(rows, np.int64)
    hashes = dataset.rows.take(index).fingerprints() if dataset.hashes is None else dataset.hashes[index]
    return [_text_id(number) for number in hashes.tolist()]


def _text_id(number: int) -> str:
    return f"t{number:016x}"  # a letter first: a spreadsheet would round a number


def _is_same_text(correction: Correction, dataset: Dataset, row: int) -> bool:
    words = TOKENIZERS[dataset.vocabulary.tokenizer](correction.text)
    return text_ids(dataset, [row])[0] in (correction.text_id, _text_id(text_hash(correction.text, words)))


def _label(correction: Correction, names: Sequence[str], config: DataConfig) -> int | None:
    """Return the number of the correct label, None for `DROP`."""
    spelled = correction.correct_label
    mapped = None if config.label_map is None else LabelMap(config.label_map)(spelled)
    alike = [name for name in names if label_key(name) == label_key(spelled)]
    name = next((name for name in (spelled, *(alike if len(alike) == 1 else ()), mapped) if name in names), None)
    if name is not None:
        return names.index(name)
    if label_key(spelled) == DROP:
        return None
    close = difflib.get_close_matches(spelled, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise DataError(
        f"{correction.place}: correct_label {spelled} is no label of the data; {hint}labels: {', '.join(names[:20])}; "
        f"{DROP} leaves the row out"
    )
