"""Valid Parquet files in the ways in which they are written, and ones of odd types."""

from __future__ import annotations

import datetime
import decimal
import io
import random
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as parquet

from tests.fuzz.seeds import ROWS

WRITERS: list[dict[str, Any]] = [
    {"compression": "none"},
    {"compression": "none", "use_dictionary": False},
    {"compression": "snappy", "row_group_size": 1},
    {"compression": "zstd", "data_page_version": "2.0"},
    {"compression": "gzip", "write_statistics": False, "store_schema": False},
    {"compression": "brotli", "write_page_index": True},
    {"compression": "lz4", "data_page_size": 1, "write_batch_size": 1},
    {"compression": "none", "use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}},
    {"compression": "none", "use_dictionary": False, "column_encoding": {"text": "DELTA_LENGTH_BYTE_ARRAY"}},
    {"compression": "none", "write_page_checksum": True, "dictionary_pagesize_limit": 1},
]
TEXTS = [row["text"] for row in ROWS]
COLUMNS: list[Any] = [
    arrow.array(TEXTS),
    arrow.array([*TEXTS[:2], None]),
    arrow.array(TEXTS, arrow.large_string()),
    arrow.array(TEXTS).dictionary_encode(),
    arrow.array([text.encode() for text in TEXTS]),
    arrow.array([b"\xff\xfe", b"a\xc3", b"\xed\xa0\x80"]).view(arrow.string()),
    arrow.array([b"abc"] * 3, arrow.binary(3)),
    arrow.array([1, None, -(2**63)]),
    arrow.array([1.5, float("nan"), float("-inf")]),
    arrow.array([True, None, False]),
    arrow.nulls(3),
    arrow.array([decimal.Decimal("1.5"), None, decimal.Decimal("-999.9")]),
    arrow.array([datetime.date(2026, 1, 2)] * 3),
    arrow.array([2**62, 0, -(2**62)]).cast(arrow.timestamp("us")),
    arrow.array([0, 1, 2]).cast(arrow.timestamp("ns", "Mars/Olympus")),
    arrow.array([0, 1, 2]).cast(arrow.time64("us")),
    arrow.array([2**62, 1, None]).cast(arrow.duration("us")),
    arrow.array([["a", None], [], None]),
    arrow.array([[["a"], []], [], None]),
    arrow.array([{"a": "x", "b": [1]}, None, {"a": None, "b": None}]),
    arrow.array([[("k", "v")], [], None], arrow.map_(arrow.string(), arrow.string())),
]


def _written(columns: dict[str, Any], how: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(columns), buffer, **how)
    return buffer.getvalue()


def whole() -> list[bytes]:
    """Return the rows of other tables, written by each of `WRITERS`, and again and again."""
    labels, splits = [str(row["label"]) for row in ROWS], [row["split"] for row in ROWS]
    columns = {"text": arrow.array(TEXTS), "label": arrow.array(labels), "split": arrow.array(splits)}
    repeated = {name: arrow.concat_arrays([column] * 50) for name, column in columns.items()}
    return [_written(each, how) for each in (columns, repeated) for how in WRITERS]


def forged(odd: list[Any], rng: random.Random) -> bytes:
    """Return a table whose columns have odd types, values or names, written in one of the ways."""
    how = {name: value for name, value in rng.choice(WRITERS).items() if name != "column_encoding"}
    names = ["text", "label", "split", rng.choice(["text", "a.b", "text.list", "\0", "\x1b[2J", str(rng.choice(odd))])]
    arrays = [rng.choice(COLUMNS) if rng.random() < 0.6 else COLUMNS[0] for _ in names]
    if rng.random() < 0.2:
        arrays = [array.take(arrow.array([0] * 3000, arrow.int32())) for array in arrays]
    fields = [(name.encode("utf-8", "replace"), each.type) for name, each in zip(names, arrays, strict=True)]
    buffer = io.BytesIO()
    parquet.write_table(arrow.Table.from_arrays(arrays, schema=arrow.schema(fields)), buffer, **how)
    return buffer.getvalue()
