"""`data suspects`: which labels are suspicious, and the table that says so."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas
import pytest

import rnnsent as package
from rnnsent.errors import DataError, RnnsentError
from rnnsent.evaluation.suspects import DUPLICATE, UNLIKELY
from tests.conftest import rnnsent

WORDS = {"good": ("fine", "lovely", "superb", "great"), "bad": ("awful", "dull", "poor", "boring")}
FILLER = ("film", "plot", "actor", "scene", "the", "a", "story", "end", "music", "hour", "cast", "script")
CROSS_VALIDATED = """\
data: {source: texts, path: texts.csv, validation_split: 0.0}
model: {embedding_dim: 8, linear: {}, recurrent: [{cell: gru, units: 8}]}
training: {epochs: 4, batch_size: 16, learning_rate: 2e-2, cross_validation: true}
ensemble: [{}, {}]
"""
Row = tuple[str, str]  # text and label


def reviews(size: int, seed: int = 0) -> list[Row]:
    """Return texts that their words decide, half of each label."""
    generator = random.Random(seed)
    labels = [("bad", "good")[index % 2] for index in range(size)]
    return [(" ".join(generator.choices(WORDS[label] + FILLER, k=14)), label) for label in labels]


def write(path: str, rows: Sequence[tuple[str, ...]], *names: str) -> Path:
    with Path(path).open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([names or ("text", "label"), *rows])
    return Path(path)


def flipped(rows: list[Row], *indices: int) -> list[Row]:
    """Return the rows with clear texts of the wrong label at `indices`."""
    other = {"good": "bad", "bad": "good"}
    clear = {index: " ".join((*WORDS[rows[index][1]] * 2, f"hour{index}", rows[index][0])) for index in indices}
    return [
        (clear[index], other[label]) if index in clear else (text, label) for index, (text, label) in enumerate(rows)
    ]


def table(path: str = "suspects.csv") -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


def run_suspects(*arguments: str) -> str:
    result = rnnsent("data", "suspects", *arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_wrong_labels_come_first_with_the_rows_of_a_spreadsheet() -> None:
    rows = flipped(reviews(300), 7, 50, 201)
    rows[3] = (rows[3][0].replace(" ", "\n", 2), rows[3][1])  # lines and rows differ from here on
    screen = run_suspects(str(write("texts.csv", rows)))
    first = table()[:3]
    assert {row["row"] for row in first} == {"9", "52", "203"} and {row["reason"] for row in first} == {UNLIKELY}
    for row in first:
        assert (row["text"], row["label"]) == rows[int(row["row"]) - 2] and row["suggested_label"] != row["label"]
    likely = [float(row["probability"]) for row in table() if row["reason"] == UNLIKELY]
    assert likely == sorted(likely) and {row["correct_label"] for row in table()} == {""}
    assert "estimated share of wrong labels" in screen and "bad → good" in screen and len(screen.splitlines()) <= 24
    assert "rnnsent train --data texts.csv --corrections suspects.csv" in screen


def test_all_rows_of_a_text_with_several_labels_are_listed() -> None:
    rows = reviews(120)
    text = rows[4][0]
    rows += [(text.upper(), "good"), (f"<b>{text}</b>", "bad"), (text.replace(" ", "  "), "bad")]
    run_suspects(str(write("texts.csv", rows)))
    group = [row for row in table() if row["reason"] == DUPLICATE]
    assert [row["row"] for row in group] == ["6", "122", "123", "124"]
    assert len({row["text_id"] for row in group}) == 1 and {row["group"] for row in group} == {"1"}
    assert {row["suggested_label"] for row in group} == {"bad"}


def test_table_opens_in_pandas_and_in_rnnsent_and_says_its_encoding() -> None:
    rows = [(f'{text}, "très" = 1', label) for text, label in flipped(reviews(200), 11, 12)]
    run_suspects(str(write("texts.csv", rows)))
    frame = pandas.read_csv("suspects.csv")
    assert list(frame.columns[:6]) == ["file", "row", "split", "label", "suggested_label", "correct_label"]
    assert set(frame["row"]) >= {13, 14} and "très" in frame["text"][0]
    assert Path("suspects.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    run = rnnsent("data", "info", "texts.csv", "--corrections", "suspects.csv")
    assert run.exit_code == 0 and "nothing is corrected" in run.stderr


@pytest.mark.parametrize("extension", ["tsv", "jsonl"])
def test_rows_of_other_formats(extension: str) -> None:
    rows = flipped(reviews(200), 30)
    if extension == "jsonl":
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    else:
        lines = ["text\tlabel", *("\t".join(row) for row in rows)]
    Path(f"texts.{extension}").write_text("\n".join(lines))
    run_suspects(f"texts.{extension}", "--limit", "1")
    assert [row["row"] for row in table()] == ["31" if extension == "jsonl" else "32"]


def test_texts_in_folders_are_named_by_their_files() -> None:
    for index, (text, label) in enumerate(flipped(reviews(160), 21)):
        folder = Path("texts", label)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index}.txt").write_text(text)
    run_suspects("texts", "--limit", "1")
    (row,) = table()
    assert (row["file"], row["row"], row["suggested_label"]) == ("bad/21.txt", "", "good")


def test_rows_of_several_tables_are_named_by_table_and_row() -> None:
    rows = flipped(reviews(240), 130)
    Path("other").mkdir()
    write("a.csv", rows[:100])
    write("other/a.csv", rows[100:])
    run_suspects("a.csv", "other/a.csv", "--limit", "1")
    assert (table()[0]["file"], table()[0]["row"]) == ("other/a.csv", "32")


def test_rare_labels_are_not_checked_and_groups_stay_in_a_fold() -> None:
    rows = [*reviews(160), ("a lone text", "mixed")]
    films = [(*row, str(index // 4)) for index, row in enumerate(rows)]
    write("texts.csv", films, "text", "label", "film")
    values = json.loads(run_suspects("texts.csv", "--group-column", "film", "--json"))
    assert values["not_checked"] == {"labeled mixed, too rare": 1} and values["checked"] == 160


def test_a_run_checks_only_what_it_was_not_trained_on(sample_run: Path) -> None:
    shutil.copytree(sample_run, "run")
    values = json.loads(run_suspects("--run", "run", "--json"))
    trained = values["not_checked"]["seen by run in training"]
    assert values["checked"] + trained == 8000 and trained >= 4800
    assert {row["split"] for row in table()} <= {"train", "test"} and {row["file"] for row in table()} == {"sample"}
    write("texts.csv", [("a good film", "positive"), ("an awful film", "negative"), ("so so", "mixed")] * 4)
    values = json.loads(run_suspects("texts.csv", "--run", "run", "--json", "--force"))
    assert values["not_checked"] == {"labeled mixed, which run does not know": 4} and values["checked"] == 8


def test_a_cross_validated_run_checks_each_text_out_of_fold() -> None:
    write("texts.csv", [*flipped(reviews(200), 20, 31), (reviews(1, 9)[0][0], "good")])
    Path("small.yaml").write_text(CROSS_VALIDATED)
    result = rnnsent("train", "small.yaml", "--data", "texts.csv", "--run-dir", "run", "--quiet")
    assert result.exit_code == 0, result.stderr
    values = json.loads(run_suspects("--run", "run", "--json"))
    assert values["checked"] == 201 and values["not_checked"] == {}
    assert {"22", "33"} & {row["row"] for row in table()[:3]}
    values = json.loads(run_suspects("texts.csv", "--run", "run", "--json", "--force"))
    assert values["checked"] <= 41 and values["not_checked"].keys() == {"seen by run in training"}


@pytest.mark.parametrize("size", [4, 7, 12])
def test_few_texts_and_texts_without_words_are_checked(size: int) -> None:
    write("texts.csv", [*reviews(size), ("!", "good"), ("?", "bad"), ("!", "bad")])
    values = json.loads(run_suspects("texts.csv", "--json"))
    assert values["checked"] == size + 3 and values["rows"] >= 2
    assert {row["row"] for row in table() if row["group"]} == {str(size + 2), str(size + 4)}


def test_suspects_in_python() -> None:
    write("texts.csv", flipped(reviews(200), 40))
    found = package.suspects("texts.csv")
    assert found.rows[0].row == 42 and found.pairs()[("good", "bad")] >= 1 and 0 < found.share < 0.1
    assert found.write("one.csv", limit=1) == 1
    with pytest.raises(TypeError, match="data is needed"):
        package.suspects()
    with pytest.raises(TypeError, match="data must be a path or a list of paths, not DataFrame"):
        package.suspects(pandas.read_csv("texts.csv"))
    with pytest.raises(DataError, match="no such file"):
        package.suspects("none.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["texts.csv", "--output", "suspects.xlsx"], r"suspects\.xlsx: unknown output format; use \.csv"),
        (["texts.csv", "--output", "none/suspects.csv"], "none"),
        (["texts.csv", "--output", "texts.csv"], r"texts\.csv: exists already, perhaps with your corrections"),
        (["texts.csv", "--limit", "0"], "0 is not in the range"),
        (["texts.csv", "--run", "nothing"], "nothing: no such run"),
        (["--run", "nothing", "--text-column", "text"], "options for a table need SOURCE"),
        (["few.csv"], r"few\.csv: no label can be checked: labeled bad, too rare: 1"),
        (["-"], "-: a pipe can be read once"),
    ],
)
def test_bad_input_is_one_clear_message(arguments: list[str], message: str) -> None:
    write("texts.csv", reviews(20))
    Path("few.csv").write_text("text,label,split\nx,good,train\ny,bad,train\nz,good,dev\n")
    extra = ["--set", "data.test_split=0"] if arguments == ["few.csv"] else []
    result = rnnsent("data", "suspects", *arguments, *extra)
    assert result.exit_code in (1, 2) and re.search(message, result.stderr), result.stderr


def test_without_cleanlab_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnsent.evaluation.suspects.installed", lambda module: module != "cleanlab")
    write("texts.csv", reviews(20))
    with pytest.raises(RnnsentError, match=re.escape("needs cleanlab: pip install 'rnnsent[suspects]'")):
        package.suspects("texts.csv")
