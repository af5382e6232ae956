"""Predictions for the rows of files: one for each, whatever the file and its company."""

from __future__ import annotations

import csv
import datetime
import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pandas
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

import rnnsent as package
from rnnsent.data.tables import open_table
from rnnsent.inference.classifier import Classifier, Prediction
from tests.conftest import rnnsent, trained

CONFIG = """\
data: {source: texts, path: texts.csv, text_column: body, label_column: verdict, num_words: 300, maxlen: 12}
model: {embedding_dim: 8, recurrent: [{cell: lstm, units: 8}]}
training: {epochs: 1, learning_rate: 2e-2}
"""
TEXTS = [
    "plain words", "", "  ", 'with "quotes", commas; and\ttabs', "two\nlines", "café ☕ 😀", "w1 " * 30, "zzz", "NaN",
    "w1 w2 w3 w4",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bulk")
    rows = [f"{'w1 w2' if index % 2 else 'w3 w4'} w{index % 7},{'ja' if index % 2 else 'nein'}" for index in range(90)]
    (folder / "texts.csv").write_text("\n".join(["body,verdict", *rows]) + "\n")
    (folder / "c.yaml").write_text(CONFIG)
    return trained(folder / "c.yaml", cache)


def write(name: str, texts: list[str]) -> None:
    if name.endswith((".csv", ".tsv")):
        with Path(name).open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle, delimiter="\t" if name.endswith("tsv") else ",")
            writer.writerows([("id", "body"), *enumerate(texts)])
    elif name.endswith(".jsonl"):
        Path(name).write_text("".join(json.dumps({"n": 1, "body": text}) + "\n" for text in texts))
    elif name.endswith(".parquet"):
        parquet.write_table(arrow.table({"id": list(range(len(texts))), "body": texts}), name)
    else:
        Path(name).write_text("\n".join(texts))


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.parquet"])
def test_each_row_gets_the_answer_of_its_text(run: Path, name: str) -> None:
    write(name, TEXTS)
    expected = [json.loads(json.dumps(each.to_dict())) for each in package.load(run).predict(TEXTS)]
    if name in ("t.csv", "t.tsv"):
        expected[8] = expected[1]  # a cell that says NaN is empty
    expected = [{"row": number, **answer} for number, answer in enumerate(expected, start=1)]
    printed = rnnsent("predict", str(run), "--input", name, "--json")
    assert printed.exit_code == 0, printed.stderr
    assert [json.loads(line) for line in printed.stdout.splitlines()] == expected
    written = rnnsent("predict", str(run), "--input", name, "--output", "out.jsonl")
    assert written.exit_code == 0 and written.stdout == ""
    assert Path("out.jsonl").read_text() == printed.stdout
    assert sorted(path.name for path in Path().glob("out*")) == ["out.jsonl"]


def test_tables_of_answers_name_their_columns(run: Path) -> None:
    write("t.csv", TEXTS)
    for name, delimiter in (("out.csv", ","), ("out.tsv", "\t")):
        assert rnnsent("predict", str(run), "--input", "t.csv", "--output", name).exit_code == 0
        with Path(name).open(newline="") as handle:
            rows = list(csv.DictReader(handle, delimiter=delimiter))
        assert list(rows[0]) == [
            "row", "label", "probability", "probability of ja", "probability of nein", "unknown_share", "truncated",
            "blank",
        ]  # fmt: skip
        for row, answer in zip(rows, package.load(run).predict(TEXTS), strict=True):
            if row["label"] != "NaN" and answer.unknown_share < 1:
                assert row["label"] == answer.label
                assert float(row["probability of ja"]) == pytest.approx(answer.probabilities["ja"], abs=1e-6)
            assert row["truncated"] == str(answer.truncated).lower()
        assert [row["row"] for row in rows if row["blank"] == "true"] == ["2", "3", "9"]


def kept_by(run: Path, source: str, output: str, *keep: str) -> list[dict[str, Any]]:
    """Return the rows of a file of answers, each a mapping."""
    options = [option for name in keep for option in ("--keep", name)]
    written = rnnsent("predict", str(run), "--input", source, "--output", output, *options)
    assert written.exit_code == 0, written.stderr
    if output.endswith(".jsonl"):
        return [json.loads(line) for line in Path(output).read_text().splitlines()]
    with Path(output).open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_answers_can_be_joined_with_their_rows(run: Path) -> None:
    Path("t.csv").write_text('id,label,body,note\n7,nein,w1 w2,"a, ""b"""\n\n9,,w3 w4,NaN\n')
    rows = kept_by(run, "t.csv", "one.csv", "id")
    assert list(rows[0])[:4] == ["row", "id", "label", "probability"]
    assert [(row["row"], row["id"]) for row in rows] == [("1", "7"), ("2", "9")]
    said = [answer.label for answer in package.load(run).predict(["w1 w2", "w3 w4"])]
    assert [row["label"] for row in rows] == said  # not the column of the input
    rows = kept_by(run, "t.csv", "every.csv", "all")
    assert list(rows[0])[:6] == ["row", "id", "input label", "body", "note", "label"]
    assert [row["note"] for row in rows] == ['a, "b"', "NaN"]
    assert [row["input label"] for row in rows] == ["nein", ""]
    lines = kept_by(run, "t.csv", "some.jsonl", "note", "id")
    assert [(row["row"], row["note"], row["id"]) for row in lines] == [(1, 'a, "b"', "7"), (2, "NaN", "9")]


AWKWARD = [
    "a\rb",
    "a\nb",
    "a\r\nb",
    'say "hm"',
    "tab\tand, comma",
    " space ",
    "\u2028",
    '"',
    "\\",
    "= 1 + 1",
    "\ufeffmark",
]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_what_is_written_can_be_read_back_by_csv_pandas_and_rnnsent(run: Path, suffix: str) -> None:
    name = "no\rte, with a comma"
    Path("t.jsonl").write_text("".join(json.dumps({"body": "w1", name: cell}) + "\n" for cell in AWKWARD))
    written = rnnsent("predict", str(run), "--input", "t.jsonl", "--keep", name, "--output", f"o{suffix}")
    assert written.exit_code == 0, written.stderr
    delimiter = "\t" if suffix == ".tsv" else ","
    with Path(f"o{suffix}").open(encoding="utf-8", newline="") as file:
        assert [row[name] for row in csv.DictReader(file, delimiter=delimiter, strict=True)] == AWKWARD
    frame = pandas.read_csv(f"o{suffix}", sep=delimiter, dtype=str, keep_default_na=False)
    assert frame[name].tolist() == AWKWARD
    table = open_table(f"o{suffix}")
    assert [row for _, row in table.rows([name])] == [(cell,) for cell in AWKWARD]
    again = rnnsent("predict", str(run), "--input", f"o{suffix}", "--text-column", name, "--json")
    assert len(again.stdout.splitlines()) == len(AWKWARD)


def test_what_a_table_cannot_hold_is_replaced_and_said(run: Path) -> None:
    Path("t.jsonl").write_text('{"body": "w1", "note": "half \\ud83d"}\n{"body": "w2", "note": "nul \\u0000"}\n')
    assert [row["note"] for row in kept_by(run, "t.jsonl", "o.csv", "note")] == ["half \ufffd", "nul \ufffd"]


@pytest.mark.parametrize("name", ["o.csv", "o.tsv", "o.jsonl"])
def test_a_second_writer_of_one_file_is_refused_at_once(run: Path, name: str) -> None:
    os.mkfifo("pipe")
    command = [sys.executable, "-m", "rnnsent", "predict", str(run), "--input", "t.csv", "--output", name]
    with (
        subprocess.Popen(
            [*command[:6], "pipe", "--output", name, "--format", "lines"], stderr=subprocess.PIPE, text=True
        ) as first,
        Path("pipe").open("w") as pipe,
    ):
        pipe.write("w1\n")
        pipe.flush()
        write("t.csv", TEXTS)
        while not Path(f".{name}.lock").exists():
            time.sleep(0.05)
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.returncode == 1 and f"{name}: another rnnsent is writing it now" in second.stderr
        pipe.write("w2\n")
        pipe.close()
        assert first.wait(30) == 0
    assert len(Path(name).read_text().splitlines()) == (2 if name == "o.jsonl" else 3)
    assert not Path(f".{name}.lock").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("new.csv", "body\ncafé w1\n".encode()),
        ("mark.csv", "body\ncafé w1\n".encode("utf-8-sig")),
        ("old.csv", "body\ncafé w1\n".encode("cp1252")),
        ("semi.csv", "id;body\n1;café w1\n".encode()),
        ("tab.tsv", "id\tbody\n1\tcafé w1\n".encode()),
        ("stray.tsv", 'id\tbody\n1\t"café w1\n'.encode()),
        ("wide.csv", "body\ncafé w1\n".encode("utf-16")),
    ],
)
def test_a_file_is_read_as_it_is_whatever_was_trained_on(
    name: str, content: bytes, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cp1252")
    rows = [
        f"{'café w1' if index % 2 else 'thé w3'} w{index % 7},{'ja' if index % 2 else 'nein'}" for index in range(90)
    ]
    (folder / "texts.csv").write_text("\n".join(["body,verdict", *rows]) + "\n", encoding="cp1252")
    changes = "data: {encoding: cp1252, quotes: true, delimiter: ',', "
    (folder / "c.yaml").write_text(CONFIG.replace("data: {", changes))
    run = trained(folder / "c.yaml", cache)
    Path(name).write_bytes(content)
    result = rnnsent("predict", str(run), "--input", name, "--json")
    assert result.exit_code == 0, result.stderr
    expected = package.load(run).predict(['"café w1' if name == "stray.tsv" else "café w1"])[0]
    (answer,) = map(json.loads, result.stdout.splitlines())
    assert answer["probability"] == pytest.approx(expected.probability) and answer["unknown_share"] == 0
    assert f"{name}: read as" in result.stderr


def test_kept_cells_of_other_types_stay_what_they_are(run: Path) -> None:
    day = datetime.date(2026, 1, 2)
    cells = {"n": [1, None], "x": [0.5, float("nan")], "day": [day, day], "parts": [["a"], []], "body": ["w1", "w3"]}
    parquet.write_table(arrow.table(cells), "t.parquet")
    lines = kept_by(run, "t.parquet", "out.jsonl", "n", "x", "day", "parts")
    assert [[row[name] for name in ("n", "x", "day", "parts")] for row in lines] == [
        [1, 0.5, "2026-01-02", ["a"]],
        [None, None, "2026-01-02", []],
    ]
    rows = kept_by(run, "t.parquet", "out.csv", "n", "x", "day", "parts")
    assert [rows[0][name] for name in ("n", "x", "day", "parts")] == ["1", "0.5", "2026-01-02", '["a"]']


def test_a_column_to_keep_must_be_there(run: Path) -> None:
    Path("t.csv").write_text("id,body\n7,w1\n")
    Path("t.txt").write_text("w1\n")
    Path("n.csv").write_text("7,w1\n")
    for arguments, code, message in (
        (["--input", "t.csv", "--json", "--keep", "idd"], 1, "t.csv: no column 'idd' (--keep); did you mean id?"),
        (["--input", "t.txt", "--json", "--keep", "id"], 1, "t.txt: plain text has no columns"),
        (["--input", "n.csv", "--text-column", "2", "--json", "--keep", "all"], 1, "so --keep takes their numbers"),
        (["--input", "t.csv", "--keep", "id"], 2, "--keep only works with --json or --output"),
        (["--input", "t.csv", "--output", "o.csv", "--json"], 2, "--json only works without --output"),
        (["w1", "--json", "--keep", "id"], 2, "--output and --keep only work with --input FILE"),
    ):
        found = rnnsent("predict", str(run), *arguments)
        assert found.exit_code == code and message in found.stderr, found.stderr
    found = rnnsent("predict", str(run), "--input", "n.csv", "--text-column", "2", "--json", "--keep", "1")
    assert json.loads(found.stdout)["column 1"] == "7"


def test_columns_of_another_name_are_asked_for(run: Path) -> None:
    Path("t.csv").write_text("text,note\nw1 w2,x\n")
    refused = rnnsent("predict", str(run), "--input", "t.csv")
    assert refused.exit_code == 1 and "no column 'body'" in refused.stderr and "text, note" in refused.stderr
    assert rnnsent("predict", str(run), "--input", "t.csv", "--text-column", "text").stdout.startswith("ja\t")
    Path("u.dat").write_text("9;w1 w2\n8;w3 w4\n", encoding="utf-16")
    arguments = ["--format", "csv", "--text-column", "2", "--delimiter", ";"]
    assert len(rnnsent("predict", str(run), "--input", "u.dat", *arguments).stdout.splitlines()) == 2


def test_company_and_line_ends_change_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"w{index % 5} w{index % 3} w{index % 11}" for index in range(60)]
    alone = [answer.to_dict() for answer in package.load(run).predict(texts)]
    expected = [json.dumps({"row": number, **answer}) for number, answer in enumerate(alone, start=1)]
    monkeypatch.setattr("rnnsent.inference.classifier.CHUNK", 7)
    for end in ("", "\n"):
        Path("t.txt").write_text("\n".join(texts) + end)
        assert rnnsent("predict", str(run), "--input", "t.txt", "--json").stdout.splitlines() == expected
    classifier = package.load(run)
    assert [classifier.predict([text])[0].to_dict() for text in texts] == alone


def test_a_stopped_call_leaves_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("t.csv", ["w1 w2"] * 50)
    stream = Classifier.stream

    def stopped(self: Classifier, texts: Iterable[str], *thresholds: Any) -> Iterator[Prediction]:
        yield from islice(stream(self, texts, *thresholds), 20)
        raise KeyboardInterrupt

    monkeypatch.setattr(Classifier, "stream", stopped)
    before = sorted(Path().iterdir())
    result = rnnsent("predict", str(run), "--input", "t.csv", "--output", "out.csv")
    assert result.exit_code == 130 and "Traceback" not in result.stderr
    assert sorted(Path().iterdir()) == before


def test_nothing_is_replaced_without_being_asked(run: Path) -> None:
    write("t.csv", ["w1", "w2"])
    Path("old.csv").write_text("precious")
    for output, message in (
        ("t.csv", "t.csv: is the input itself"),
        ("old.csv", "old.csv: exists already; --force replaces it"),
        ("new.xlsx", "new.xlsx: unknown output format; use .csv, .tsv or .jsonl"),
        ("/dev/null", "/dev/null: unknown output format"),
    ):
        result = rnnsent("predict", str(run), "--input", "t.csv", "--output", output)
        assert result.exit_code == 1 and message in result.stderr
    assert Path("old.csv").read_text() == "precious"
    assert rnnsent("predict", str(run), "--input", "t.csv", "--output", "t.csv", "--force").exit_code == 1
    assert rnnsent("predict", str(run), "--input", "t.csv", "--output", "old.csv", "--force").exit_code == 0
    assert len(Path("old.csv").read_text().splitlines()) == 3


def test_stdin_may_come_in_pieces(run: Path) -> None:
    arguments = [sys.executable, "-m", "rnnsent", "predict", str(run), "--input", "-", "--format", "csv"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        for piece in ("id,bo", "dy\n1,w1 ", "w2\n2,w3\n"):
            running.stdin.write(piece)
            running.stdin.flush()
            time.sleep(0.1)
        answers, _ = running.communicate()
    assert running.returncode == 0 and len(answers.splitlines()) == 2


def test_a_full_disk_says_so_and_leaves_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write("t.csv", ["w1"] * 2000)
    monkeypatch.setattr(os, "fsync", no_space)
    result = rnnsent("predict", str(run), "--input", "t.csv", "--output", "out.csv")
    assert result.exit_code == 1 and "Traceback" not in result.stderr
    assert "out.csv: the disk is full" in result.stderr
    assert not list(Path().glob("*out*"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", b"fine\n\xff\xfe\xfd\n", "t.txt:2: is not UTF-8 text"),
        ("t.csv", b"", "t.csv: is empty"),
        ("t.csv", bytes(range(200)) * 5, "t.csv:2: is not UTF-8 text (byte 0x80)"),
        ("t.jsonl", b'{"body": "w1"}\n{"body"\n', "t.jsonl:2: not a JSON object"),
    ],
)
def test_rows_that_cannot_be_read_stop_with_their_place(run: Path, name: str, content: bytes, message: str) -> None:
    Path(name).write_bytes(content)
    for extra in ([], ["--output", "out.csv"]):
        result = rnnsent("predict", str(run), "--input", name, *extra)
        assert result.exit_code == 1 and message in result.stderr and "Traceback" not in result.stderr


def test_texts_without_known_words_say_so(run: Path) -> None:
    lines = rnnsent("predict", str(run), "qqq xxx", "", "w1 " * 40).stdout.splitlines()
    assert [line.split("\t")[2] for line in lines] == ["(100% unknown words)", "(no words)", "(truncated)"]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet"])
def test_a_file_without_texts_is_said_to_have_none(run: Path, name: str) -> None:
    write(name, [])
    result = rnnsent("predict", str(run), "--input", name)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"{name}: has no texts\n")


def test_texts_without_words_are_counted_and_marked(run: Path) -> None:
    write("t.csv", ["w1", "", " ... "] * 10)
    said = "20 texts without words: predictions for them say nothing"
    for arguments in (["--output", "out.csv"], ["--json"], []):
        found = rnnsent("predict", str(run), "--input", "t.csv", *arguments)
        assert found.exit_code == 0 and said in found.stderr
    marked = [row["blank"] for row in csv.DictReader(Path("out.csv").read_text().splitlines())]
    assert marked == ["false", "true", "true"] * 10
    alone = rnnsent("predict", str(run), " \t", "--json")
    assert json.loads(alone.stdout)["blank"] is True and "1 text without words: predictions" in alone.stderr
    assert "without words" not in rnnsent("predict", str(run), "w1").stderr


def test_no_answer_to_a_text_without_words_is_sure_enough(run: Path) -> None:
    lines = rnnsent("predict", str(run), "", "w1 w2", "--abstain-below", "0.5000001").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["abstain", "ja"]
    found = json.loads(rnnsent("predict", str(run), "", "--abstain-below", "0.5000001", "--json").stdout)
    assert (found["label"], found["abstained"], found["blank"]) == (None, True, True)


def test_eval_says_which_rows_tell_it_nothing() -> None:
    rows = [f"{'w1 w2' if index % 2 else 'w3 w4'},{'ja' if index % 2 else 'nein'}" for index in range(40)]
    held = ["...,ja,test", ",ja,test", "w1,ja,test", "w3,nein,test"]
    Path("texts.csv").write_text("\n".join(["body,verdict,split", *(f"{row},train" for row in rows), *held]) + "\n")
    Path("c.yaml").write_text(CONFIG)
    assert rnnsent("train", "--config", "c.yaml", "--run-dir", "of-blanks").exit_code == 0
    found = rnnsent("eval", "of-blanks")
    assert found.exit_code == 0, found.stderr
    assert "data: 1 row left out: without a text" in found.stderr
    assert "1 text without words: evaluated as an empty text" in found.stderr
    assert "test, 3 texts of texts.csv" in found.stdout and "review" not in found.stdout + found.stderr
    assert "without" not in rnnsent("eval", "of-blanks", "--quiet").stderr


def test_a_reader_that_leaves_early_is_no_error(run: Path) -> None:
    Path("t.txt").write_text("w1 w2\n" * 100_000)
    shell = f"{sys.executable} -m rnnsent predict {run} --input t.txt | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    answer, code = done.stdout.splitlines()
    assert answer.startswith("ja\t") and code == "141" and done.stderr == ""  # as of programs that the system stops
    assert done.stderr == ""


def test_a_file_without_the_column_is_refused(run: Path) -> None:
    Path("t.jsonl").write_text('{"other": "w2"}\n')
    found = rnnsent("predict", str(run), "--input", "t.jsonl")
    assert found.exit_code == 1 and "t.jsonl: no column 'body'" in found.stderr
    Path("t.csv").write_text("w1 w2\n\nw3\n")
    found = rnnsent("predict", str(run), "--input", "t.csv", "--text-column", "2")
    assert found.exit_code == 1 and "t.csv: there is no column 2 (--text-column): most rows have 1 cell" in found.stderr
    Path("t.csv").write_text("id;body\n1;w1\n")
    found = rnnsent("predict", str(run), "--input", "t.csv", "--delimiter", ",")
    assert found.exit_code == 1 and "the delimiter is taken to be ','" in found.stderr


@pytest.mark.parametrize("name", ["new.txt", "new.data", "new"])
def test_a_file_whose_name_says_nothing_is_read_in_the_format_of_the_run(name: str) -> None:
    rows = [f"id{n}\t{('dull poor', 'fine warm')[n % 2]} film {n}\t{('bad', 'good')[n % 2]}" for n in range(80)]
    Path("old.txt").write_text("\n".join(rows) + "\n")
    columns = ["--format", "tsv", "--no-header", "--text-column", "2", "--label-column", "3"]
    result = rnnsent("train", "linear", "--data", "old.txt", *columns, "--run-dir", "run")
    assert result.exit_code == 0, result.stderr
    Path(name).write_text("bad good dull\tfine warm film\nfine\tdull poor film\n")
    result = rnnsent("predict", "run", "--input", name)
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["good", "bad"]
