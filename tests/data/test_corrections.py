"""`data.corrections`: labels that somebody corrected, in training, evaluation and facts."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas
import pytest

from rnnsent.config.sections import DataConfig
from rnnsent.data.corrections import text_ids
from rnnsent.data.dataset import Dataset
from rnnsent.data.sources import load_dataset
from rnnsent.errors import DataError
from rnnsent.runs.directory import Run
from tests.conftest import rnnsent

TEXTS = [f"text number {'abcdefghijklmnopqrstuvwxyz'[index % 26]}{index} of many" for index in range(60)]
LABELS = [("no", "yes")[index % 2] for index in range(60)]


@pytest.fixture(autouse=True)
def _table() -> None:
    write("texts.csv", [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)])


def write(path: str, rows: list[dict[str, Any]], encoding: str = "utf-8", delimiter: str = ",") -> None:
    with Path(path).open("w", newline="", encoding=encoding) as stream:
        table = csv.DictWriter(stream, list(dict.fromkeys(name for row in rows for name in row)), delimiter=delimiter)
        table.writeheader()
        table.writerows(rows)


def fix(index: int, correct: str, **more: str) -> dict[str, Any]:
    return {"row": index + 2, "correct_label": correct, "text": TEXTS[index], **more}


def load(**settings: Any) -> Dataset:
    values = {"source": "texts", "path": "texts.csv", "corrections": "fixes.csv", **settings}
    return load_dataset(DataConfig(**values))


def labels_of(dataset: Dataset) -> dict[int, str]:
    """Return the label of each row that is in a split."""
    rows = [row for index in dataset.indices.values() for row in index.tolist()]
    return {row: dataset.label_names[dataset.rows.labels[row]] for row in sorted(rows)}


def plain() -> Dataset:
    return load(corrections=None)


def facts(dataset: Dataset) -> Mapping[str, Any]:
    corrections: Mapping[str, Any] = dataset.provenance["corrections"]
    return {name: corrections[name] for name in ("corrected", "left out", "in test")}


def test_labels_are_corrected_rows_left_out_and_splits_stay() -> None:
    before = plain()
    test = int(before.indices["test"][0])
    train = [int(row) for row in before.indices["train"][:3]]
    other = {"no": "yes", "yes": "no"}
    write("fixes.csv", [
        fix(train[0], other[LABELS[train[0]]]), fix(train[1], "DROP"), fix(train[2], LABELS[train[2]]),
        fix(test, other[LABELS[test]]), fix(5, ""),
    ])  # fmt: skip
    dataset = load()
    expected = dict(labels_of(before))
    expected |= {train[0]: other[LABELS[train[0]]], test: other[LABELS[test]]}
    del expected[train[1]]
    assert labels_of(dataset) == expected and facts(dataset) == {"corrected": 2, "left out": 1, "in test": 1}
    for name, rows in before.indices.items():
        assert dataset.indices[name].tolist() == [row for row in rows.tolist() if row != train[1]]


def test_a_table_that_went_through_other_programs_is_read() -> None:
    (text_id,) = text_ids(plain(), [4])
    rows = [fix(4, "Yes", text_id=text_id) | {"text": "cut off by the progr"}, fix(8, " yes ", text_id="")]
    write("fixes.csv", rows, "utf-8-sig", ";")
    assert facts(load())["corrected"] == 2
    frame = pandas.read_csv("fixes.csv", sep=";")
    frame["row"] = frame["row"].astype(float)
    frame.to_csv("fixes.csv", index=False)
    assert facts(load())["corrected"] == 2
    write("texts.csv", [{"text": text, "label": index % 2} for index, text in enumerate(TEXTS)])
    pandas.DataFrame({"row": [6, 7], "text": [TEXTS[4], TEXTS[5]], "correct_label": [1, None]}).to_csv("fixes.csv")
    assert facts(load())["corrected"] == 1


def test_a_label_that_no_text_has_any_more_is_gone_also_in_a_run() -> None:
    rows = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]
    row = int(plain().indices["train"][0])
    rows[row]["label"] = "mabye"
    write("texts.csv", rows)
    write("fixes.csv", [fix(row, "no", label="mabye")])
    assert load().label_names == ("no", "yes")
    assert load(labels=("yes", "no")).label_names == ("yes", "no")
    write("fixes.csv", [fix(row + 1, "no", label="mabye")])
    with pytest.raises(DataError, match="texts labeled mabye are left"):
        load(labels=("no", "yes"))


def test_label_map_and_folders_and_several_tables() -> None:
    write("texts.csv", [{"text": text, "label": index % 5 + 1} for index, text in enumerate(TEXTS)])
    write("fixes.csv", [fix(0, "5"), fix(9, "bad")])
    assert facts(load(label_map={"1-2": "bad", "4-5": "good"}))["corrected"] == 2
    for index, text in enumerate(TEXTS):
        Path("folder", LABELS[index]).mkdir(parents=True, exist_ok=True)
        Path("folder", LABELS[index], f"{index}.txt").write_text(text)
    write("fixes.csv", [{"file": "no/8.txt", "row": "", "text": TEXTS[8], "correct_label": "yes"}])
    assert facts(load(path="folder"))["corrected"] == 1
    write("more.csv", [{"text": "another text", "label": "4"}, {"text": "and one more", "label": "5"}])
    write("fixes.csv", [{"file": "more.csv", "row": 3, "text": "and one more", "correct_label": "1"}])
    assert facts(load(more_paths=("more.csv",)))["corrected"] == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([fix(3, "ys")], r"fixes\.csv:2: correct_label ys is no label of the data; did you mean yes\? labels: no, yes"),
        ([fix(4, "yes"), fix(5, "maybe")], r"fixes\.csv:3: correct_label maybe .*drop leaves the row out"),
        ([fix(3, "no") | {"row": 99}], r"fixes\.csv:2: row 99 is no labeled text of the data"),
        ([fix(3, "no") | {"row": 1}], r"row 1 is no labeled text"),
        ([fix(3, "no") | {"row": "five"}], r"fixes\.csv:2: row must be the number of a row, not five"),
        ([fix(3, "no") | {"row": "-5"}], r"row must be the number of a row, not -5"),
        ([fix(4, "yes"), fix(3, "no") | {"row": 6}], r"fixes\.csv:3: row 6 has another text in the data"),
        ([fix(3, "no", text_id="t00") | {"text": "old"}], r"row 5 has another text in the data; rnnsent data suspects"),
        ([fix(3, "no"), fix(3, "drop")], r"fixes\.csv:3: row 5 is corrected twice: to drop, and to no in fixes\.csv:2"),
        ([{"row": 3, "label": "no", "text": "x"}], r"no table of corrections, it has no column correct_label"),
        ([{"row": 3, "correct_label": "no"}], r"no table of corrections, it has no column text_id"),
        ([{"text": TEXTS[3], "correct_label": "no"}], r"no table of corrections, it has no column row"),
    ],
)
def test_a_wrong_table_is_one_clear_message(rows: list[dict[str, Any]], message: str) -> None:
    write("fixes.csv", rows)
    result = rnnsent("data", "info", "texts.csv", "--corrections", "fixes.csv")
    assert result.exit_code == 1 and re.search(message, result.stderr) and result.stderr.count("\n") == 1, result.stderr


def test_a_missing_table_or_variable_is_named() -> None:
    for path, message in (
        ("none.csv", "none.csv: no such file"),
        ("$NOT_SET/a.csv", "(data.corrections)"),
        (".", "folder"),
    ):
        result = rnnsent("data", "info", "texts.csv", "--corrections", path)
        assert result.exit_code == 1 and message in result.stderr


def test_training_resume_and_evaluation_use_the_same_corrections() -> None:
    test, train = (int(plain().indices[name][0]) for name in ("test", "train"))
    write("fixes.csv", [fix(train, "drop")])
    small = ["--set", "model={embedding_dim: 4, recurrent: [{cell: gru, units: 4}]}", "--epochs", "1"]
    arguments = ["--data", "texts.csv", "--corrections", "fixes.csv", "--run-dir", "run"]
    result = rnnsent("train", "gru", *arguments, *small)
    assert (
        result.exit_code == 0 and "0 labels corrected, 1 row left out, none of them in test: fixes.csv" in result.stderr
    )
    run = Run(Path("run"))
    assert run.metrics.data.details["corrections"]["left out"] == 1
    assert run.config.data.corrections == str(Path("fixes.csv").resolve())
    assert rnnsent("train", "--resume", "run", "--epochs", "2").exit_code == 0
    own = json.loads(rnnsent("eval", "run", "--json").stdout)
    stored = Path("run/evaluations/test.json").read_bytes()
    write("others.csv", [fix(test, "drop")])
    result = rnnsent("eval", "run", "--corrections", "others.csv", "--json")
    assert json.loads(result.stdout)["n"] == own["n"] - 1 and "not written to run" in result.stderr
    assert Path("run/evaluations/test.json").read_bytes() == stored
    shutil.copy("fixes.csv", "copy.csv")
    assert "not written" not in rnnsent("eval", "run", "--corrections", "copy.csv").stderr
    write("fixes.csv", [fix(train, "drop"), fix(test, "yes")])
    assert "not the corrections that run was trained with" in rnnsent("eval", "run").stderr
    assert "its corrections data changed" in rnnsent("train", "--resume", "run", "--epochs", "3").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--predictions", "texts.csv", "--corrections", "fixes.csv"], "--corrections needs the texts of a run"),
        (["run", "--baseline", "--corrections", "fixes.csv"], "--baseline keeps the labels of the run"),
    ],
)
def test_eval_refuses_what_does_not_go_together(arguments: list[str], message: str) -> None:
    result = rnnsent("eval", *arguments)
    assert result.exit_code == 2 and message in result.stderr


def test_reviews_without_a_table_are_corrected_by_their_number(sample_run: Path) -> None:
    dataset = load_dataset(DataConfig(source="sample"))
    (text_id,) = text_ids(dataset, [10])
    other = dataset.label_names[1 - dataset.rows.labels[10]]
    write("fixes.csv", [{"row": 11, "correct_label": other, "text_id": text_id}])
    corrected = load_dataset(DataConfig(source="sample", corrections="fixes.csv"))
    assert corrected.label_names[corrected.rows.labels[10]] == other and facts(corrected)["corrected"] == 1
    shutil.copytree(sample_run, "run")
    assert "none of them in test" in rnnsent("eval", "run", "--corrections", "fixes.csv").stderr
