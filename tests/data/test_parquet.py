"""Parquet that means harm: bombs of every kind are refused in bounded memory, and what is odd is named with its row."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from rnnsent.data import parquet as reading
from rnnsent.data import parquet_pages
from rnnsent.data.tables import open_table
from rnnsent.data.thrift import read_struct
from rnnsent.errors import DataError
from tests.conftest import REPOSITORY, Evil, rnnsent

MIB = 1 << 20
ADDRESS_SPACE = 3 << 30  # of which the libraries take half
MOST_MEMORY = 700 * MIB  # that the process may grow by; the first of these files would take hundreds of gigabytes


def written(text: Any, **how: Any) -> Path:
    column = text if isinstance(text, arrow.Array | arrow.ChunkedArray) else arrow.array(text)
    table = arrow.table({"text": column, "label": arrow.array(["a"] * len(column))})
    parquet.write_table(table, "t.parquet", **{"compression": "zstd", **how})
    return Path("t.parquet")


def repeated(value: Any, times: int) -> Any:
    """Return a column that has one value, in a dictionary, in each row."""
    return arrow.DictionaryArray.from_arrays(arrow.array([0] * times, arrow.int32()), arrow.array([value]))


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return arrow.array([value])


DICTIONARY = {"dictionary_pagesize_limit": 1 << 30, "store_schema": False}
PREFIXES = {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}}
FIXED = arrow.array([bytes(MIB)] * 300, arrow.binary(MIB))
SWELLS = "the file unpacks to more than 200 times its size"
BOMBS: dict[str, tuple[Callable[[], Path], str]] = {
    "dictionary": (lambda: written(repeated("x" * MIB, 1 << 18), **DICTIONARY), SWELLS),
    "dictionary by schema": (
        lambda: written(repeated("x" * MIB, 1 << 18), dictionary_pagesize_limit=1 << 30), SWELLS
    ),
    "large words": (lambda: written(repeated("x" * 20_000, 1 << 18), **DICTIONARY), SWELLS),
    "large cells": (lambda: written(repeated("x" * (40 * MIB), 4096), **DICTIONARY), SWELLS),
    "prefixes": (lambda: written(["x" * MIB + str(row % 2) for row in range(300)], **PREFIXES), SWELLS),
    "fixed": (lambda: written(FIXED, **DICTIONARY), SWELLS),
    "one cell": (
        lambda: written(["x" * (66 * MIB)], use_dictionary=False), "a page of .* that unpacks to 69,206,0"
    ),
    "a cell": (
        lambda: written(["x" * (65 * MIB)], use_dictionary=False, compression="none"),
        "row 1: text has 68,157,440 bytes, 67,108,864 are allowed"
    ),
    "lists": (lambda: written(arrow.array([["a"] * (1 << 21)])), "row 1: text has a list of .* bytes"),
    "lists of lists": (
        lambda: written(arrow.array([[["a"] * (1 << 20)] * 2])), "row 1: text has a list of .* bytes"
    ),
    "records": (
        lambda: written(arrow.array([[{"b": "x"}] * (1 << 20)])), "row 1: text has a list of .* bytes"
    ),
    "lists of large words": (
        lambda: written(
            arrow.ListArray.from_arrays(arrow.array([0, 1 << 16], arrow.int32()), repeated("x" * MIB, 1 << 16)),
            **DICTIONARY,
        ),
        "row 1: text has a list of 68,723,671,104 bytes"
    ),
    "list of nothing": (
        lambda: written(arrow.array([[None] * ((1 << 24) + 1)], arrow.list_(arrow.string()))),
        "text.list.element has 16,777,217 values in one group of rows"
    ),
    "deep": (lambda: written(nested(60)), "not a Parquet file: Parquet schema too deeply nested"),
}  # fmt: skip

READ = """
import resource, sys
import pyarrow.compute, pyarrow.parquet
from rnnsent.data.tables import open_table
from rnnsent.errors import DataError
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = 0
try:
    for rows, _ in open_table(sys.argv[2]).rows(["text", "label"]):
        pass
    said = "read"
except DataError as error:
    said = str(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10, rows, said)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_in_bounded_memory(kind: str) -> None:
    make, reason = BOMBS[kind]
    path = make()
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", READ, str(ADDRESS_SPACE), str(path)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    grown, rows, said = found.stdout.split(" ", 2)
    assert int(grown) < MOST_MEMORY and int(rows) < 70_000
    with pytest.raises(DataError, match=f"t.parquet: .*{reason}"):
        raise DataError(said)


def test_many_columns_and_groups_are_read() -> None:
    columns = {f"c{number}": ["a", "b"] for number in range(3000)} | {"text": ["x", "y"], "label": ["1", "2"]}
    parquet.write_table(arrow.table(columns), "t.parquet", row_group_size=1)
    assert list(open_table("t.parquet").rows(["text", "label"])) == [(1, ("x", "1")), (2, ("y", "2"))]


def test_a_footer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_pages, "MAX_FOOTER", 100)
    with pytest.raises(DataError, match=r"t\.parquet: refused: its footer has \d+ bytes, 100 are allowed"):
        open_table(written(["a"]))


def changed(old: bytes, new: bytes) -> Path:
    path = written(["some text"] * 9, compression="none")
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    return path


# The header of the dictionary page of `text`: type 2, 13 bytes, 13 packed, and 1 value in plain encoding.
HEADER = b"\x15\x04\x15\x1a\x15\x1a\x4c\x15\x02"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"\x15\x04\x15\xfe\xff\xff\xff\x0f\x15\x1a\x4c\x15\x02", "a page of 13 bytes that unpacks to 2,147,483,647"),
        (b"\x15\x04\x15\x1a\x15\x1a\x4c\x15\xfe\xff\xff\xff\x0f", "its dictionary claims values that it cannot hold"),
        (b"\x15\x04\x15\x1b\x15\x1a\x4c\x15\x02", "damaged: a size or place is missing"),
        (b"\x15\x04\x15\x1a\x16\x1a\x4c\x15\x02", "damaged: a size or place is missing"),
        (b"\x1f\x04\x15\x1a\x15\x1a\x4c\x15\x02", "what should be the header of a page is none: there is no type 15"),
        (b"\x15\x04\x15\x1a\x15" + b"\xff" * 12, "what should be the header of a page is none: it holds an endless"),
    ],
    ids=["size", "values", "negative", "other type", "no type", "endless"],
)
def test_a_header_that_lies_is_refused(header: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=f"t.parquet: text: .*{reason}"):
        list(open_table(changed(HEADER, header)).rows(["text"]))


@pytest.mark.parametrize(
    "content",
    [
        b"\x05\x84\x80\x08\x02\x00",  # field 65538, which is the second one in 16 bits
        b"\x15\x82\x80\x80\x80\x20\x00",  # 2³² + 1, which is 1 in 32 bits
        b"\x14\x82\x80\x08\x00",  # 65537, which is 1 in 16 bits
        b"\x16" + b"\xff" * 9 + b"\x7f\x00",
    ],
)
def test_numbers_that_others_would_cut_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="does not fit its type"):
        read_struct(io.BytesIO(content))


def test_a_long_text_among_endless_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(repeated("x" * (20 * MIB), 5000), **DICTIONARY)
    monkeypatch.setattr(reading, "MAX_BATCHES", 1000)
    with pytest.raises(DataError, match=r"t\.parquet: text: refused: 5,000 values in a group of rows, and one of 20"):
        list(open_table(path).rows(["text"]))


@pytest.mark.parametrize("encoding", ["DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_lengths_that_are_not_there_are_not_made_room_for(encoding: str, version: str) -> None:
    """Arrow takes four bytes for each of them: 1 GB here, for a file of 60 kB."""
    how = {"use_dictionary": False, "compression": "none", "data_page_version": version}
    path = written([str(row % 7) for row in range(9000)], column_encoding={"text": encoding, "label": "PLAIN"}, **how)
    content = path.read_bytes()
    at = content.index(b"\x80\x01\x04\xa8\x46")  # 128 values a block, in 4 parts, 9000 in all
    many = b"\x80\x80\x80\x80\x02\x04\x80\x80\x80\x80\x01" + bytes(6)
    path.write_bytes(content[:at] + many + content[at + len(many) :])
    with pytest.raises(DataError, match=r"t\.parquet: text: damaged: .* it claims 268,435,456 values, and 9,000"):
        list(open_table(path).rows(["text"]))


@pytest.mark.parametrize("use_dictionary", [True, False])
def test_the_row_that_is_not_text_is_named(use_dictionary: bool) -> None:
    cells = arrow.array([b"a", b"b", b"caf\xe9", b"d"]).view(arrow.string())
    path = written(cells, use_dictionary=use_dictionary)
    seen = []
    with pytest.raises(DataError, match=r"t\.parquet: row 3: is not UTF-8 text \(byte 0xe9\)"):
        for number, _ in open_table(path).rows(["text"]):
            seen.append(number)
    assert seen == [1, 2]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (arrow.array([2**62]).cast(arrow.timestamp("us")), "row 1: cannot be read: date value out of range"),
        (arrow.array([0]).cast(arrow.timestamp("us", "Mars/Olympus")), "row 1: cannot be read"),
        (arrow.array([b"abc"]), "a cell must hold text or a number, not bytes"),
        (arrow.array([["a"]]), "a cell must hold text or a number, not list"),
        (arrow.array([{"a": 1}]), "a cell must hold text or a number, not dict"),
    ],
    ids=["date", "zone", "bytes", "list", "record"],
)
def test_what_is_no_text_is_refused_with_its_row(cells: Any, reason: str) -> None:
    written(cells)
    result = rnnsent("data", "info", "t.parquet")
    assert result.exit_code == 1 and "Traceback" not in result.stderr
    assert "t.parquet" in result.stderr and reason in result.stderr


def test_two_columns_of_one_name_are_refused() -> None:
    table = arrow.Table.from_arrays([arrow.array(["a"]), arrow.array(["b"])], ["text", "text"])
    parquet.write_table(table, "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet: two columns are called 'text'"):
        open_table("t.parquet")


def test_a_type_that_would_be_unpickled_is_not() -> None:
    """CVE-2023-47248: what `pyarrow<14.0.1` unpickled on reading."""
    pickled = pickle.dumps(Evil())
    extension = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickled}
    schema = arrow.schema([arrow.field("text", arrow.string(), metadata=extension), ("label", arrow.string())])
    parquet.write_table(arrow.table({"text": ["a"], "label": ["b"]}, schema=schema), "t.parquet")
    assert list(open_table("t.parquet").rows(["text", "label"])) == [(1, ("a", "b"))]
    assert not Path("owned").exists()


@pytest.mark.parametrize(
    "how",
    [
        {"use_dictionary": False, "data_page_size": 1},
        {"row_group_size": 7},
        {"data_page_version": "2.0", "compression": "snappy"},
        {"compression": "none", "dictionary_pagesize_limit": 1},
        {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY", "label": "PLAIN"}},
        {"use_dictionary": False, "column_encoding": {"text": "DELTA_LENGTH_BYTE_ARRAY", "label": "PLAIN"}},
        {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}, "data_page_version": "2.0"},
        {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}, "compression": "lz4"},
        {"use_dictionary": False, "column_encoding": {"text": "DELTA_LENGTH_BYTE_ARRAY"}, "compression": "snappy"},
        {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}, "compression": "none"},
        {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}, "compression": "gzip"},
        {"store_schema": False, "write_statistics": False, "compression": "brotli"},
    ],
)
def test_good_files_are_read_however_they_were_written(how: dict[str, Any]) -> None:
    texts = [None if row % 11 == 5 or 2000 < row < 6000 else f"text {row % 400} " * (row % 50) for row in range(9000)]
    found = list(open_table(written(texts, **how)).rows(["text", "label"]))
    assert found == [(row, (text, "a")) for row, text in enumerate(texts, start=1)]


def test_large_texts_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows and bytes than a batch has, some of which stand in a dictionary."""
    monkeypatch.setattr(reading, "BATCH_BYTES", 1 << 16)
    monkeypatch.setattr(reading, "AT_ONCE", 1 << 15)
    texts = [str(row % 300) * (row % 2000) for row in range(9000)]
    for how in ({}, {"data_page_size": 1000}, {"use_dictionary": False}):
        found = [cells for _, cells in open_table(written(texts, **how)).rows(["text"])]
        assert found == [(text,) for text in texts]


@pytest.mark.parametrize("kind", [arrow.large_string(), arrow.string_view(), arrow.dictionary(arrow.int32(), "string")])
def test_texts_of_other_types_are_read(kind: Any) -> None:
    texts = [f"word{row % 3000} " * 20 for row in range(9000)]
    found = [cells for _, cells in open_table(written(arrow.array(texts).cast(kind))).rows(["text"])]
    assert found == [(text,) for text in texts]


def test_texts_of_a_type_of_their_own_are_read() -> None:
    texts = [f'"word{row % 3000}"' + " " * 20 for row in range(9000)]
    column = arrow.ExtensionArray.from_storage(arrow.json_(arrow.string()), arrow.array(texts))
    found = [cells for _, cells in open_table(written(column)).rows(["text"])]
    assert found == [(text,) for text in texts]


def test_a_large_cell_of_a_type_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_CELL", 100)
    column = arrow.ExtensionArray.from_storage(arrow.json_(arrow.string()), arrow.array(['"a"', f'"{"x" * 101}"']))
    with pytest.raises(DataError, match=r"t\.parquet: row 2: text has 103 bytes, 100 are allowed"):
        list(open_table(written(column)).rows(["text"]))
