"""Labeled texts of the user's: from any file to the very run, and every way in which they can be unfit."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import random
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from rnnsent.config.loader import load_config
from rnnsent.config.sections import DataConfig
from rnnsent.data.dataset import Dataset, Split, split_dataset
from rnnsent.data.encoding import CHUNK
from rnnsent.data.sources import load_dataset
from rnnsent.data.tokenizer import START, UNKNOWN
from rnnsent.errors import DataError
from rnnsent.training.features import data_info, log_data, resolve
from tests.conftest import rnnsent

SMALL = """\
model: {embedding_dim: 8, recurrent: [{cell: gru, units: 8}]}
training: {epochs: 3, batch_size: 16, learning_rate: 2e-2}
"""
WORDS = {"good": ["splendid", "moving"], "bad": ["dreary", "hollow"], "mixed": ["uneven", "passable"]}


def reviews(count: int, labels: tuple[str, ...] = ("good", "bad"), seed: int = 0) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    rows = []
    for index in range(count):
        label = labels[index % len(labels)]
        words = [f"w{rng.randrange(40)}" for _ in range(rng.randrange(4, 20))] + WORDS[label] * 2
        rng.shuffle(words)
        rows.append((" ".join(words), label))
    return rows


def write_csv(path: str, rows: list[tuple[str, str]], header: str = "text,label") -> Path:
    lines = [header, *(f"{text},{label}" for text, label in rows)]
    Path(path).write_text("\n".join(lines) + "\n")
    return Path(path)


def load(path: str | Path, **settings: Any) -> Dataset:
    pairs = {"source": "texts", "path": str(path), **settings}
    Path("small.yaml").write_text(SMALL)
    given = {f"data.{key}": value for key, value in pairs.items()}
    return load_dataset(load_config("small.yaml", given).data)


def warnings_of(dataset: Dataset, caplog: pytest.LogCaptureFixture) -> list[str]:
    config = load_config("small.yaml")
    caplog.clear()
    with caplog.at_level(logging.INFO):
        log_data(dataset, split_dataset(dataset, config.data), config)
    return [line for line in caplog.messages if line.startswith("data: ")][1:]


def texts_of_test(dataset: Dataset) -> Split:
    return dataset.rows.take(dataset.indices["test"])


def counts(dataset: Dataset) -> list[int]:
    assert dataset.validation is not None
    return [len(dataset.train), len(dataset.validation), len(texts_of_test(dataset))]


def decoded(dataset: Dataset) -> list[str]:
    split = dataset.train
    return [dataset.vocabulary.decode(split.sequence(index)) for index in range(len(split))]


def _jsonl(rows: list[tuple[str, str]]) -> Path:
    Path("t.jsonl").write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    return Path("t.jsonl")


def _parquet(rows: list[tuple[str, str]]) -> Path:
    columns = {"label": [label for _, label in rows], "text": [text for text, _ in rows]}
    parquet.write_table(arrow.table(columns), "t.parquet")
    return Path("t.parquet")


def _folder(rows: list[tuple[str, str]]) -> Path:
    for index, (text, label) in enumerate(rows):
        path = Path("folder") / label / f"{index:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Path("folder")


@pytest.mark.parametrize("write", [_jsonl, _parquet, _folder])
def test_all_formats_give_the_same_texts(write: Callable[[list[tuple[str, str]]], Path]) -> None:
    rows = reviews(200)
    expected, dataset = load(write_csv("t.csv", rows)), load(write(rows))
    assert dataset.vocabulary.words == expected.vocabulary.words and counts(dataset) == counts(expected)
    assert dataset.label_names == ("bad", "good") and len(dataset.provenance["sha256"]) == 64


def test_three_labels_from_training_to_prediction() -> None:
    write_csv("t.csv", reviews(900, ("good", "bad", "mixed")))
    Path("small.yaml").write_text(SMALL)
    planned = json.loads(rnnsent("summary", "--config", "small.yaml", "--data", "t.csv", "--json").stdout)
    trained = rnnsent("train", "--config", "small.yaml", "--data", "t.csv", "--run-dir", "run", "--json")
    assert trained.exit_code == 0, trained.stderr
    assert json.loads(trained.stdout)["validation"]["accuracy"]["value"] > 0.9
    summary = json.loads(rnnsent("summary", "run", "--json").stdout)
    assert summary["layers"] == planned["layers"] and summary["layers"][-1]["output_shape"] == [None, 3]
    evaluated = json.loads(rnnsent("eval", "run", "--json").stdout)
    assert evaluated["n"] == 180 and evaluated["metrics"]["accuracy"]["value"] > 0.9
    (row, *_) = csv.DictReader(Path("run/evaluations/test-predictions.csv").read_text().splitlines())
    assert Path("t.csv").read_text().splitlines()[int(row["line"]) - 1].endswith(row["label"])
    probabilities = [float(row[f"probability of {label}"]) for label in ("bad", "good", "mixed")]
    assert sum(probabilities) == pytest.approx(1.0, abs=1e-5)
    answer = json.loads(rnnsent("predict", "run", "uneven but passable", "--json").stdout)
    assert answer["label"] == "mixed" and list(answer["probabilities"]) == ["bad", "good", "mixed"]
    assert rnnsent("verify", "run", "--backend", "native").exit_code == 0


def test_the_vocabulary_is_counted_on_the_training_texts_alone() -> None:
    rows = [(f"shared only{index} common", label) for index, (_, label) in enumerate(reviews(50))]
    dataset = load(write_csv("t.csv", rows))
    assert counts(dataset) == [32, 8, 10]
    words = set(dataset.vocabulary.words)
    assert {"shared", "common"} <= words and len(words) == 2 + 32
    assert dataset.vocabulary.words[:2] == ("common", "shared")  # equally frequent: by alphabet
    for split, unknown in ((dataset.train, 0), (dataset.validation, 1), (texts_of_test(dataset), 1)):
        assert split is not None
        for index in range(len(split)):
            ids = split.sequence(index)
            assert ids[0] == START and np.count_nonzero(ids == UNKNOWN) == unknown


def test_texts_survive_the_cache_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnsent.data.encoding.CHUNK", 50)  # many chunks
    assert CHUNK > 50
    rows = reviews(200, seed=5)
    path = write_csv("t.csv", rows)
    dataset = load(path, test_split=0.0, validation_split=0.01)
    assert counts(dataset) == [198, 2, 0]
    assert set(decoded(dataset)) <= {text for text, _ in rows}
    again = load(path, test_split=0.0, validation_split=0.01)
    assert decoded(again) == decoded(dataset)
    assert again.provenance == dataset.provenance


def test_splits_can_be_given_by_a_column_or_a_second_file() -> None:
    rows = reviews(60)
    parts = ["train", "train", "test", "dev"]
    write_csv("t.csv", [(text, f"{label},{parts[index // 2 % 4]}") for index, (text, label) in enumerate(rows)],
              "text,label,split")  # fmt: skip
    assert counts(load("t.csv")) == [32, 14, 14]
    write_csv("train.csv", rows)
    write_csv("test.csv", rows[:20])
    dataset = load("train.csv", test_path="test.csv")
    assert counts(dataset) == [48, 12, 20]
    assert dataset.provenance["splits"]["test"] == "given"


def test_several_files_are_all_named() -> None:
    for name in ("a.csv", "b, c.csv"):
        write_csv(name, reviews(60))
    dataset = load("a.csv", more_paths=["b, c.csv"])
    assert len(dataset.rows) == 120 and dataset.provenance["file"] == "a.csv, b, c.csv"
    settings = {"data.source": "texts", "data.path": "a.csv", "data.more_paths": ["b, c.csv"]}
    config = resolve(load_config("small.yaml", settings), dataset)
    info = data_info(dataset, split_dataset(dataset, config.data), config, "texts")
    assert info.file == f"{Path('a.csv').resolve()}, {Path('b, c.csv').resolve()}"
    assert info.name == "a.csv, b, c.csv"


def test_rows_of_a_group_stay_together() -> None:
    rows = [(text, f"{label},film{index % 20}") for index, (text, label) in enumerate(reviews(400))]
    write_csv("t.csv", rows, "text,label,film")
    dataset = load("t.csv", group_column="film")
    film_of = {text: label.split(",")[1] for text, label in rows}
    trained_on = {film_of[text] for text in decoded(dataset)}
    assert len(trained_on) * 20 == len(dataset.train)


def test_a_row_without_a_group_stands_by_itself() -> None:
    rows = [
        (text, f"{label},{f'film{index % 20}' if index % 7 else ''}")
        for index, (text, label) in enumerate(reviews(400))
    ]
    write_csv("t.csv", rows, "text,label,film")
    dataset = load("t.csv", group_column="film")
    assert sum(counts(dataset)) == 400
    groups = dataset.provenance["groups"]
    assert groups.pop("rows without one") == 58
    assert sum(groups.values()) == 20 + 58 and set(groups) == {"train", "validation", "test"}


def test_rows_without_a_label_move_no_other_to_another_split(caplog: pytest.LogCaptureFixture) -> None:
    rows = [(text, f"{label},film{index % 40}") for index, (text, label) in enumerate(reviews(400))]
    write_csv("t.csv", rows, "text,label,film")
    alone = load("t.csv", group_column="film")
    between = [row for index, row in enumerate(rows) for row in ((f"more {index}", f",film{39 - index % 50}"), row)]
    write_csv("t.csv", between, "text,label,film")
    beside = load("t.csv", group_column="film", unlabeled=True)
    assert beside.unlabeled is not None and len(beside.unlabeled) == 400
    assert beside.validation is not None and alone.validation is not None
    assert alone.lines is not None and beside.lines is not None
    for name in ("validation", "test"):
        # Each row follows one without a label; the names of the columns are in line 1.
        lines, others = alone.lines[alone.indices[name]], beside.lines[beside.indices[name]]
        np.testing.assert_array_equal(2 * lines - 1, others)
    shared = beside.provenance["unlabeled of their groups"]
    assert set(shared) == {"validation", "test"} and 0 < sum(shared.values()) < 400
    expected = f"data: {shared['test']} texts without a label share a group with test texts"
    assert expected in warnings_of(beside, caplog)


def test_numbers_may_be_written_with_a_point() -> None:
    write_csv("t.csv", [(text, "1.0" if label == "good" else "10") for text, label in reviews(60)])
    dataset = load("t.csv", label_map={"1": "low", "10.0": "high"})
    assert dataset.label_names == ("high", "low") and sum(counts(dataset)) == 60


def test_texts_without_words_are_the_same_only_to_the_letter() -> None:
    rows = [("!" * (index + 1), label) for index, (_, label) in enumerate(reviews(40))]
    dataset = load(write_csv("t.csv", rows), drop_duplicates=True)
    assert sum(counts(dataset)) == 40 and dataset.provenance["contradicting"] == 0


def test_texts_of_a_split_that_are_in_training_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    known = reviews(40)
    rows = [(text, f"{label},train") for text, label in known]
    rows += [(known[index][0], f"{known[index][1]},test") for index in (3, 5, 8)]
    rows += [(known[0][0], f"{known[0][1]},validation")]
    rows += [(f"{text} once more", f"{label},test") for text, label in known[:20]]
    write_csv("t.csv", rows, header="text,label,split")
    dataset = load("t.csv")
    assert dataset.provenance["also in training"] == {"validation": 1, "test": 3}
    assert load("t.csv", drop_duplicates=True).provenance["also in training"] == {}
    expected = "data: 3 of 23 test texts are in training too; --drop-duplicates removes them"
    assert expected in warnings_of(dataset, caplog)


def test_cells_that_hold_no_text_are_refused() -> None:
    _jsonl(reviews(20))
    with Path("t.jsonl").open("a") as handle:
        handle.write('{"text": {"a": "b"}, "label": "good"}\n')
    with pytest.raises(DataError, match=r"t\.jsonl:21: a cell must hold text or a number, not dict"):
        load("t.jsonl")


@pytest.mark.parametrize("setting", [{"text_column": "text"}, {"group_column": "film"}, {"format": "csv"}])
def test_what_is_for_tables_has_no_place_with_folders(setting: dict[str, Any]) -> None:
    _folder(reviews(20))
    with pytest.raises(DataError, match=r"folder: data\..* is for tables, and this is a folder"):
        load("folder", **setting)


def test_stars_become_labels_and_what_lies_between_is_dropped_and_counted() -> None:
    write_csv("t.csv", [(text, str(index % 10 + 1)) for index, (text, _) in enumerate(reviews(200))])
    dataset = load("t.csv", label_map={"1-4": "negative", "7-10": "positive"})
    assert dataset.label_names == ("negative", "positive")
    assert sum(counts(dataset)) == 160
    assert dataset.provenance["dropped"] == {"labeled 5": 20, "labeled 6": 20}
    shown = rnnsent("data", "info", "t.csv", "--config", "small.yaml", "--label-map", "1-4: negative, 7-10: positive")
    assert shown.exit_code == 0 and "dropped: labeled 5 20, labeled 6 20" in shown.stdout


def test_empty_cells_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    rows = [*reviews(40), ("", "good"), ("NaN", "bad"), ("fine words", ""), ("more words", "nan")]
    dataset = load(write_csv("t.csv", rows))
    read = "labeled nan, read as no label"
    assert dataset.provenance["dropped"] == {"without a text": 2, "without a label": 1, read: 1}
    few = "data: 6 validation texts: few to choose an epoch by (data.validation_split)"
    assert warnings_of(dataset, caplog) == [
        f"data: 4 rows left out: without a text: 2, without a label: 1, {read}: 1",
        few,
    ]
    assert warnings_of(load(write_csv("t.csv", rows[:-2])), caplog) == ["data: 2 rows left out: without a text", few]
    assert warnings_of(load(write_csv("t.csv", rows[:-3])), caplog) == ["data: 1 row left out: without a text", few]
    many = load(write_csv("t.csv", reviews(700)))
    assert not [line for line in warnings_of(many, caplog) if "few to choose" in line]
    columns = {"text": [*(text for text, _ in reviews(40)), None, "x"], "label": [0.0, 1.0] * 20 + [1.0, float("nan")]}
    parquet.write_table(arrow.table(columns), "t.parquet")
    dataset = load("t.parquet")
    assert dataset.label_names == ("0", "1")
    assert dataset.provenance["dropped"] == {"without a text": 1, "without a label": 1}


def test_duplicates_are_reported_and_can_be_dropped() -> None:
    rows = reviews(100)
    write_csv("t.csv", [*rows, *rows[:30], (rows[0][0], "bad")])
    Path("small.yaml").write_text(SMALL)
    facts = json.loads(rnnsent("data", "info", "t.csv", "--config", "small.yaml", "--json").stdout)
    within = sum(split["duplicates"] for split in facts["splits"].values())
    assert within + facts["duplicates_between"] + facts["validation_duplicates"] == 31
    assert facts["provenance"]["contradicting"] == 3
    dataset = load("t.csv", drop_duplicates=True)
    assert sum(counts(dataset)) == 100 and dataset.provenance["dropped"] == {"repeated": 31}


def test_a_path_may_hold_a_variable_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("there").mkdir()
    write_csv("there/t.csv", reviews(60))
    write_csv("a$b.csv", reviews(60))
    monkeypatch.setenv("HERE", str(Path("there").resolve()))
    assert load("$HERE/t.csv").provenance["file"] == str(Path("there").resolve() / "t.csv")
    assert len(load("a$b.csv").train) == len(load("$HERE/t.csv").train)
    with pytest.raises(DataError, match=r"\$NOWHERE/t\.csv: a variable of the environment is not set"):
        load("$NOWHERE/t.csv")


def test_a_text_of_a_megabyte_trains() -> None:
    rows = [*reviews(40), ("long " * 200_000, "good")]
    dataset = load(write_csv("t.csv", rows))
    longest = max(int(split.lengths.max()) for split in (dataset.train, texts_of_test(dataset)) if len(split))
    assert sum(counts(dataset)) == 41 and longest in (200_001, 24)


ACLIMDB = [f"aclImdb/{split}/{side}/{index}_{7 + index % 4 if side == 'pos' else 1 + index % 4}.txt"
           for split in ("train", "test") for side in ("pos", "neg") for index in range(30)]  # fmt: skip


def write_aclimdb(path: str = "aclImdb_v1.tar.gz") -> Path:
    with tarfile.open(path, "w:gz") as archive:

        def add(name: str, text: str) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))

        for number, name in enumerate(ACLIMDB):
            side = "good" if "/pos/" in name else "bad"
            add(name, f"review {number} is {WORDS[side][0]}<br /><br />{WORDS[side][1]}")
        add("aclImdb/train/unsup/0_0.txt", "nobody knows")
        for split in ("train", "test"):
            for side in ("pos", "neg"):
                add(f"aclImdb/{split}/urls_{side}.txt",
                    "".join(f"http://films/{index // 10}/usercomments\n" for index in range(30)))  # fmt: skip
    return Path(path)


def test_aclimdb_is_the_same_as_archive_and_as_folder() -> None:
    archive = load(write_aclimdb())
    assert counts(archive)[2] == 60 and archive.label_names == ("negative", "positive")
    # A film has 10 positive and 10 negative reviews of train: validation takes whole ones.
    assert counts(archive)[1] == 20
    with tarfile.open("aclImdb_v1.tar.gz") as tar:
        tar.extractall("out", filter="data")
    folder = load("out/aclImdb")
    assert sorted(decoded(folder)) == sorted(decoded(archive))
    assert folder.vocabulary.words == archive.vocabulary.words
    assert "br" not in folder.vocabulary.words
    for path in ("aclImdb_v1.tar.gz", "out/aclImdb"):
        more = load(path, unlabeled=True)
        assert more.unlabeled is not None and len(more.unlabeled) == 1
        assert more.vocabulary.decode(more.unlabeled.sequence(0)) == "nobody knows"
        assert counts(more) == counts(archive) and more.provenance["groups"] == archive.provenance["groups"]
    stars = load("aclImdb_v1.tar.gz", label_column="rating", label_map={"1-2": "awful", "9-10": "great"})
    assert stars.label_names == ("awful", "great")


def test_a_broken_archive_is_said_to_be_one() -> None:
    whole = write_aclimdb().read_bytes()
    for cut in (len(whole) // 3, len(whole) // 2, len(whole) - 4):
        Path("half.tar.gz").write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"half\.tar\.gz: not a whole tar\.gz archive"):
            load("half.tar.gz")


ROWS = reviews(20)


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (ROWS, {"path": "nowhere.txt"}, "nowhere.txt: no such file or folder (--data PATH; in a config data.path)"),
        (ROWS, {"path": "tt.csv"}, "tt.csv: no such file or folder; did you mean t.csv? (--data PATH; "),
        (ROWS, {"path": "t.cvs"}, "t.cvs: no such file or folder; did you mean t.csv? (--data PATH; "),
        (ROWS, {"label_column": "lable"}, "no column 'lable' (--label-column); did you mean label? its columns:"),
        ([], {}, "t.csv: holds no labeled text"),
        ([("x", "good")] * 9, {}, "t.csv: nothing to learn: the labels of the training texts are: good"),
        ([("x", str(index)) for index in range(1100)], {}, "t.csv:1002: more than 1,000 labels"),
        (ROWS, {"labels": ["good", "mixed"]}, "t.csv:3: the label 'bad' is none of data.labels: good, mixed"),
        (ROWS, {"labels": ["bad", "good", "mixed"]}, "t.csv: data.labels names mixed, but no text is labeled so"),
        (ROWS, {"label_map": {"9-1": "good"}}, "holds no labeled text: 10 rows labeled good"),
        (ROWS, {"label_map": {"1-4": "low", "4-5": "high"}}, "range 4-5 and another one name the same label"),
        (ROWS, {"label_map": {"godo": "fine", "bad": "poor"}}, "no text is labeled godo; did you mean good? labels:"),
        (ROWS, {"label_map": {"bad": "poor"}},
         "texts are: poor; two or more are needed; data.label_map drops what it does not name: rows 10 labeled good"),
        (ROWS, {"label_map": {"great": "good"}}, "t.csv: holds no labeled text: 10 rows labeled good, 10"),
        (ROWS[:2], {}, "leave none to validate"),
        ([*ROWS, ("x", "bad,y")], {}, "t.csv:22: has 3 cells, the first line has 2"),
    ],
)  # fmt: skip
def test_unfit_texts_are_refused_with_the_reason(
    rows: list[tuple[str, str]], settings: dict[str, Any], message: str
) -> None:
    write_csv("t.csv", rows)
    with pytest.raises(DataError) as raised:
        load(settings.pop("path", "t.csv"), **settings)
    assert message in str(raised.value)


def test_a_label_that_only_the_test_split_has_is_refused() -> None:
    write_csv("train.csv", ROWS)
    write_csv("test.csv", [*ROWS, ("x", "odd")])
    with pytest.raises(DataError, match="no training text is labeled odd, but test texts are"):
        load("train.csv", test_path="test.csv")


@pytest.mark.parametrize(("content", "message"), [(b"", "t.csv: is empty"), (os.urandom(4096) + b"\0", "is not")])
def test_the_command_says_what_is_wrong_and_leaves_no_run(content: bytes, message: str) -> None:
    Path("t.csv").write_bytes(content)
    result = rnnsent("train", "--config", "gru", "--data", "t.csv", "--run-dir", "run")
    assert result.exit_code == 1 and message in result.stderr and "Traceback" not in result.stderr
    assert not Path("run").exists()


PLAIN = "good,a\nbad,b\n" * 8


@pytest.mark.parametrize(
    ("rows", "changes", "said"),
    [
        ("x,y\n" + PLAIN, {"text_column": 1, "label_column": 2, "header": False}, "first line alone is labeled y"),
        (
            "good;a\nbad;b\n" * 8,
            {"text_column": 1, "label_column": 2, "delimiter": ","},
            "no column 2 (--label-column): most rows",
        ),
        ("text;label\ngood;a\n", {"delimiter": ","}, "the delimiter is taken to be ',' (--delimiter"),
        ("text,label\ngood,a\n", {"text_column": "text", "label_column": "text"}, "cannot be both text and label"),
        (
            "text,label,id\n" + "".join(f"good,a,{n}\n" for n in range(12)),
            {"text_column": "text", "label_column": "id"},
            "12 labels in 12 rows (0, 1, 2, …): is this the column of labels?",
        ),
    ],
    ids=["names", "numbers", "delimiter", "same", "ids"],
)
def test_a_wrong_column_is_noticed(rows: str, changes: dict[str, Any], said: str) -> None:
    Path("data.csv").write_text(rows)
    with pytest.raises(DataError, match=re.escape(said)):
        load_dataset(DataConfig(source="texts", path="data.csv", vocabulary="training", **changes))
