"""Splits as row indices, and data sets in formats that are added."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnsent.config.sections import DataConfig
from rnnsent.data.dataset import Partition, split_dataset
from rnnsent.data.readers import FORMATS, Format
from rnnsent.data.sources import load_dataset
from rnnsent.errors import DataError


def texts(path: str = "t.csv", rows: int = 60, **settings: Any) -> DataConfig:
    lines = [f"text {row} is {('good', 'bad')[row % 2]},{('a', 'b')[row % 2]}" for row in range(rows)]
    Path(path).write_text("\n".join(["text,label", *lines, "nobody knows,"]))
    return DataConfig(source="texts", path=path, vocabulary="training", **settings)


def test_indices_give_the_same_partition_again(tiny_imdb: Path) -> None:
    for config in (texts(unlabeled=True), DataConfig(path=str(tiny_imdb), maxlen=7, num_words=20)):
        dataset = load_dataset(config)
        first = split_dataset(dataset, config)
        again = Partition.from_indices(dataset, first.indices, config)
        assert set(first.indices) == {"train", "validation", "test"} | ({"unlabeled"} if config.unlabeled else set())
        for name, rows in first.indices.items():
            assert rows.dtype == np.int64
            one, other = getattr(first, name), getattr(again, name)
            np.testing.assert_array_equal(one.flat(), other.flat())
            np.testing.assert_array_equal(one.labels, other.labels)
        together = np.concatenate(list(first.indices.values()))
        np.testing.assert_array_equal(np.sort(together), np.arange(len(dataset.rows)))


def test_indices_are_rows_of_the_file() -> None:
    config = texts()
    dataset = load_dataset(config)
    assert dataset.lines is not None
    for name, rows in split_dataset(dataset, config).indices.items():
        for row, line in zip(rows, dataset.lines[rows], strict=True):
            assert dataset.vocabulary.decode(dataset.rows.sequence(row)).startswith("text"), name
            assert line == row + 2


def test_indices_of_a_larger_data_set_are_refused() -> None:
    config = texts()
    indices = split_dataset(load_dataset(config), config).indices
    smaller = texts(rows=30)
    with pytest.raises(DataError, match="the split has row 59, but the data set 30 rows"):
        Partition.from_indices(load_dataset(smaller), indices, smaller)


def test_a_format_is_one_function_and_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(table: Any, stream: Any, columns: Any) -> Iterator[tuple[int, dict[str, str]]]:
        for number, line in enumerate(stream, start=1):
            label, _, text = line.strip().partition(": ")
            yield number, {"text": text, "label": label}

    monkeypatch.setitem(FORMATS, "dialog", Format((".dialog",), rows))
    Path("t.dialog").write_text("".join(f"{('yes', 'no')[row % 2]}: text {row}\n" for row in range(40)))
    dataset = load_dataset(DataConfig(source="texts", path="t.dialog", vocabulary="training"))
    assert dataset.label_names == ("no", "yes") and len(dataset.rows) == 40
    assert dataset.provenance["format"] == "dialog" and dataset.provenance["text column"] == "text"
