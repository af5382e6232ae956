"""Tables on disk: what is found by looking at them, row for row what they hold, and what is wrong with them."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnsent.data.inputs import ReadOptions
from rnnsent.data.readers import FORMATS
from rnnsent.data.tables import Columns, choose_columns, open_table
from rnnsent.errors import DataError
from tests.conftest import Evil, rnnsent


def rows(path: Path, wanted: Sequence[str | int], **options: Any) -> list[Any]:
    table = open_table(path, ReadOptions(**options), numbered=isinstance(wanted[0], int))
    return [cells for _, cells in table.rows(wanted)]


def pyarrow_zstd(content: bytes) -> bytes:
    sink = arrow.BufferOutputStream()
    with arrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


def written(name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = Path(name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", FORMATS["csv"].delimiters)
def test_encoding_and_delimiter_are_found(encoding: str, delimiter: str) -> None:
    lines = [["text", "label"], ["caf\u00e9, fine; good | \u2028so\tso", "yes"], ['a "quote"\nover two lines', "no"]]
    with Path("t.csv").open("w", encoding=encoding, newline="") as handle:
        csv.writer(handle, delimiter=delimiter).writerows(lines)
    table = open_table("t.csv")
    assert (table.dialect.delimiter, table.columns) == (delimiter, ("text", "label"))
    assert [list(cells) for _, cells in table.rows(["text", "label"])] == lines[1:]


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
def test_every_format_gives_back_what_was_written(cells: list[tuple[str, str]]) -> None:
    with Path("t.csv").open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, quoting=csv.QUOTE_ALL).writerows([("text", "label"), *cells])
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in cells]
    Path("t.jsonl").write_text("\n".join(lines), encoding="utf-8", newline="")
    columns = {"text": [text for text, _ in cells], "label": [label for _, label in cells]}
    parquet.write_table(arrow.table(columns), "t.parquet")
    for name in ("t.csv", "t.jsonl", "t.parquet"):
        assert rows(Path(name), ["text", "label"]) == cells, name
        assert rows(Path(name), ["label"]) == [(label,) for _, label in cells], name


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", pyarrow_zstd), (".gz", bytes)],
    ids=["gzip", "bzip2", "xz", "zstd", "not packed at all"],
)
def test_a_packed_table_is_read_as_it_is(suffix: str, pack: Any) -> None:
    Path(f"t.csv{suffix}").write_bytes(pack(b"text,label\na,b\n"))
    assert rows(Path(f"t.csv{suffix}"), ["label", "text"]) == [("b", "a")]


def test_columns_are_numbers_where_no_line_names_them() -> None:
    path = written("t.csv", "0,first,a\n4,second,b\n")
    assert rows(path, [3, 1], header=False) == [("a", "0"), ("b", "4")]


def test_plain_lines_end_at_line_feeds_only() -> None:
    path = written("t.txt", "\ufeffa\x85b\u2028c\r\n\nlast")
    assert rows(path, [1]) == [("a\x85b\u2028c",), ("",), ("last",)]


def test_blank_and_short_rows_are_told_from_others() -> None:
    path = written("t.csv", "text,label\na,b\n\n  \nonly\nc,d,\n")
    assert rows(path, ["text", "label"]) == [("a", "b"), "blank lines", "blank lines", ("only", None), ("c", "d")]
    path = written("t.csv", "text,label\na,b\nc,d,e\n")
    with pytest.raises(DataError, match=r"t\.csv:3: has 3 cells, the first line has 2.*--skip-bad-rows"):
        rows(path, ["text"])  # a cell too many is a text cut in two
    assert rows(path, ["text"], skip_bad_rows=True) == [("a",), "with too many cells"]
    path = written("t.jsonl", '{"text": "a"}\n\n{"label": 1}\n')
    assert rows(path, ["text"]) == [("a",), "blank lines", (None,)]


def test_a_cell_of_a_megabyte_is_read() -> None:
    text = "word " * 200_000
    assert rows(written("t.csv", f"text,label\n{text},a\n"), ["text"]) == [(text,)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "t.csv: is empty"),
        ("t.jsonl", b"", "t.jsonl: is empty"),
        ("t.parquet", b"", "t.parquet: not a Parquet file"),
        ("t.parquet", b"PAR1" + bytes(range(200)), "t.parquet: not a Parquet file"),
        ("t.csv", bytes(range(256)) * 9, "t.csv:2: is not UTF-8 text (byte 0x80); --encoding NAME names"),
        ("t.csv", b"text,label\na,b\ncaf\xe9,c\n", "t.csv:3: is not UTF-8 text (byte 0xe9); perhaps it is"),
        (
            "t.csv",
            "text,label\ncafé,b\n".encode("utf-16-le"),
            "t.csv:2: is not UTF-8 text (byte 0xe9); perhaps it is utf-16-le",
        ),
        ("t.csv", b"text,label\n" + b"a,b\n" * 9000 + b"\xff,c\n", "t.csv:9002: is not UTF-8 text (byte 0xff)"),
        ("t.csv", b"text,label\na,b,c\n", "t.csv:2: has 3 cells, the first line has 2"),
        (
            "t.csv",
            b'text,label\n"a,b,c\nc,d\n',
            "t.csv:2: not a CSV row: unexpected end of data; is a quote not closed",
        ),
        ("t.csv", b'text,label\nx,y\n"a" b,c,d\n', "t.csv:3: not a CSV row: ',' expected after '\"'; is a quote not"),
        ("t.csv", b"PK\x03\x04rest", "t.csv: is a zip archive, as Excel's .xlsx is: save the sheet as CSV"),
        ("t.csv", b"text,label\na\0b,c\n", "t.csv:2: is not UTF-8 text (a byte is zero); if it is a fault, tr"),
        ("t.csv", "text,label\ncafé à,b\né".encode() + b"\xe9,c\n", "t.csv:3: is not UTF-8 text (byte 0xe9); most"),
        (
            "t.csv",
            "text,label\nнет,нет\nда,да\n".encode("utf-16-be"),
            "t.csv:1: is not UTF-8 text (a byte is zero); perhaps it is utf-16-be",
        ),
        ("t.csv", b"<!DOCTYPE html>", "t.csv: is a web page"),
        ("t.jsonl", b'{"text": 1}\n{"text": \n', "t.jsonl:2: not a JSON object"),
        ("t.jsonl", b'{"text": 1}\n[1]\n', "t.jsonl:2: not a JSON object: [1]"),
        ("t.json", b'[\n{"text": 1}\n]\n', "t.json: a JSON list"),
        ("t.csv.gz", gzip.compress(b"text,label\n" * 99, mtime=0)[:-9], "t.csv.gz: cannot be read: Compressed"),
        ("t.xlsx", b"PK\x03\x04", "t.xlsx: is a zip archive, as Excel's .xlsx is: save the sheet as CSV"),
        ("t.data", b"text", "t.data: unknown suffix; use .csv"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(name: str, content: bytes, message: str) -> None:
    path = written(name, content)
    with pytest.raises(DataError) as raised:
        table = open_table(path)
        list(table.rows([column for column in table.columns if column in ("text", "label")] or [1]))
    assert str(raised.value).startswith(message)


def test_quotes_can_be_text() -> None:
    path = written("t.tsv", 'text\tlabel\n"begins and never ends\ta\nshe said "so"\tb\n')
    assert rows(path, ["text", "label"], quotes=False) == [('"begins and never ends', "a"), ('she said "so"', "b")]


def test_a_delimiter_is_found_though_a_row_is_odd() -> None:
    path = written("t.csv", "id;text;label\n1;a;b\n2;c; and d;e\n3;f;g\n4;h;i\n")
    with pytest.raises(DataError, match=r"t\.csv:3: has 4 cells, the first line has 3"):
        rows(path, ["text"])


def test_two_columns_that_could_be_meant_are_asked_about() -> None:
    table = open_table(written("t.csv", "review,text,sentiment,label\na,b,c,d\n"))
    with pytest.raises(DataError, match=r"the text: review or text\?.*the label: sentiment or label\?.*Its columns"):
        choose_columns(table)
    assert choose_columns(table, Columns("text", "label")).label == "label"


def test_an_encoding_can_be_named_and_must_exist() -> None:
    path = written("t.csv", "text,label\ncafé,b\n", "cp1252")
    assert rows(path, ["text"], encoding="cp1252") == [("café",)]
    with pytest.raises(DataError, match="unknown encoding cp1253x"):
        open_table(path, ReadOptions(encoding="cp1253x"))


@pytest.mark.parametrize(
    ("header", "text", "label", "split"),
    [
        ("review,sentiment", "review", "sentiment", None),
        ("id,Text,Label,split", "Text", "Label", "split"),
        ("stars,content,date", "content", "stars", None),
    ],
)
def test_columns_are_found_by_their_names(header: str, text: str, label: str, split: str | None) -> None:
    cells = ",".join("x" for _ in header.split(","))
    found = choose_columns(open_table(written("t.csv", f"{header}\n{cells}\n")))
    assert (found.text, found.label, found.split, found.group) == (text, label, split, None)


def test_columns_are_found_in_any_case_where_that_is_clear() -> None:
    table = open_table(written("t.csv", "Message Text,Kind,kind\na,b,c\n"))
    assert choose_columns(table, Columns("message text", "kind")).text == "Message Text"
    assert choose_columns(table, Columns("message text", "Kind")).label == "Kind"
    with pytest.raises(DataError, match="no column 'KIND'"):
        choose_columns(table, Columns("message text", "KIND"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Columns("revew", "y"), r"no column 'revew' \(--text-column\); did you mean review\? its columns: review"),
        (
            Columns(""),
            r"label: no usual name\. Its columns: review, verdict\. Add --label-column NAME \(in a config or by --set",
        ),
        (Columns(1, 3), r"there is no column 3 \(--label-column\): review, verdict"),
    ],
)
def test_columns_that_are_not_there_or_not_clear(asked: Columns, message: str) -> None:
    with pytest.raises(DataError, match=message):
        choose_columns(open_table(written("t.csv", "review,verdict\na,b\n")), asked)


def write_parquet(text: Any, **how: Any) -> Path:
    column = text if isinstance(text, arrow.Array) else arrow.array(text)
    parquet.write_table(arrow.table({"text": column, "label": ["a"] * len(column)}), "t.parquet", **how)
    return Path("t.parquet")


@pytest.mark.parametrize(
    "how",
    [
        {"row_group_size": 7},
        {"data_page_version": "2.0", "compression": "snappy"},
        {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}, "compression": "gzip"},
        {"store_schema": False, "write_statistics": False, "compression": "brotli"},
    ],
)
def test_parquet_is_read_however_it_was_written(how: dict[str, Any]) -> None:
    texts = [None if row % 11 == 5 else f"text {row % 400} " * (row % 50) for row in range(3000)]
    table = open_table(write_parquet(texts, **how))
    assert list(table.rows(["text", "label"])) == [(row, (text, "a")) for row, text in enumerate(texts, start=1)]


@pytest.mark.parametrize("kind", [arrow.large_string(), arrow.string_view(), arrow.dictionary(arrow.int32(), "string")])
def test_parquet_texts_of_other_types_are_read(kind: Any) -> None:
    texts = [f"word{row % 300} " * 20 for row in range(3000)]
    assert rows(write_parquet(arrow.array(texts).cast(kind)), ["text"]) == [(text,) for text in texts]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (arrow.array([b"abc"]), "a cell must hold text or a number, not bytes"),
        (arrow.array([["a"]]), "a cell must hold text or a number, not list"),
        (arrow.array([{"a": 1}]), "a cell must hold text or a number, not dict"),
    ],
    ids=["bytes", "list", "record"],
)
def test_parquet_cells_that_are_no_text_are_refused_with_their_row(cells: Any, reason: str) -> None:
    write_parquet(cells)
    result = rnnsent("data", "info", "t.parquet")
    assert result.exit_code == 1 and "Traceback" not in result.stderr
    assert "t.parquet" in result.stderr and reason in result.stderr


def test_parquet_types_that_would_be_unpickled_are_not() -> None:
    """CVE-2023-47248: `pyarrow<14.0.1` unpickled these."""
    extension = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickle.dumps(Evil())}
    schema = arrow.schema([arrow.field("text", arrow.string(), metadata=extension), ("label", arrow.string())])
    parquet.write_table(arrow.table({"text": ["a"], "label": ["b"]}, schema=schema), "t.parquet")
    assert rows(Path("t.parquet"), ["text", "label"]) == [("a", "b")]
    assert not Path("owned").exists()


def test_parquet_columns_of_one_name_are_refused() -> None:
    table = arrow.Table.from_arrays([arrow.array(["a"]), arrow.array(["b"])], ["text", "text"])
    parquet.write_table(table, "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet: two columns are called 'text'"):
        open_table("t.parquet")
