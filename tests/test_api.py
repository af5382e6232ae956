"""The few lines that people in notebooks write."""

from __future__ import annotations

import datetime
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import rnnsent
from rnnsent.config.loader import load_config
from rnnsent.errors import ConfigError, DataError
from tests.conftest import rnnsent as command

SETTINGS = {"data.source": "sample", "data.num_words": 300, "data.maxlen": 40, "training.epochs": 1}


def test_train_load_predict_trace_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    steps: list[int] = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(batch))
    run = rnnsent.train("gru", SETTINGS, run_dir="run", callbacks=[callback])
    assert run.metrics.epochs == 1 and run.finished and steps
    assert capsys.readouterr().out == ""
    classifier = rnnsent.load(run)
    answer = classifier.predict(["the film is good"])[0]
    assert answer.label in classifier.label_names
    trace = classifier.trace("the film is good")
    assert trace.label == answer.label and json.dumps(trace.to_dict())
    with pytest.raises(TypeError, match=r"put one into a list"):
        classifier.predict("one text")
    evaluation = rnnsent.evaluate("run")
    assert evaluation.texts == 2000 and evaluation == run.evaluation("test", type(evaluation))


def test_config_can_be_made_in_python() -> None:
    config = load_config("gru", SETTINGS)
    run = rnnsent.train(config, verbose=False)
    assert run.path.parent == Path("runs") and run.config == config
    with pytest.raises(TypeError, match="a Config has its own"):
        rnnsent.train(config, {"training.epochs": 2})


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigError, match=r"training\.epoch: unknown key"):
        rnnsent.train("gru", {"training.epoch": 2})
    with pytest.raises(ConfigError, match=r"must be true to train"):
        rnnsent.train("gru", {"model.head": False})


TINY = {"data.num_words": 60, "data.maxlen": 10, "training.epochs": 1, "model.recurrent": [{"cell": "gru", "units": 4}]}


def pairs(number: int = 80) -> list[tuple[Any, Any]]:
    """Return texts and labels that two words decide."""
    words = random.Random(1)
    texts = [("fine" if row % 2 else "dull", " ".join(words.choices("abcdefgh", k=4))) for row in range(number)]
    return [(f"{word} {rest}", "good" if word == "fine" else "bad") for word, rest in texts]


class Frame:
    """What training asks of a pandas DataFrame; the names of its columns may be numbers."""

    def __init__(self, columns: dict[Any, Any]) -> None:
        self.columns, self.cells = list(columns), list(columns.values())

    def itertuples(self, index: bool = True, name: str | None = "Pandas") -> Iterator[tuple[Any, ...]]:
        assert not index and name is None
        return zip(*self.cells, strict=True)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.columns)


def test_a_list_of_pairs_is_trained_on_and_evaluated_later() -> None:
    run = rnnsent.train("gru", TINY, data=pairs(), run_dir="run")
    assert run.metrics.data.name == "data.jsonl" and "data.jsonl" in run.manifest()
    evaluation = rnnsent.evaluate(run)
    shutil.move("run", "moved")
    again = command("eval", "moved", "--json")
    assert again.exit_code == 0 and json.loads(again.stdout)["n"] == evaluation.texts
    resumed = command("train", "--resume", "moved", "--epochs", "2", "--quiet")
    assert resumed.exit_code == 0, resumed.stderr
    over = command("train", "--config", "moved/config.yaml", "--run-dir", "moved", "--force", "--quiet")
    assert over.exit_code == 0, over.stderr
    Path("moved/data.jsonl").write_text("{}")
    assert "data.jsonl was changed" in command("eval", "moved").stderr


def test_columns_of_a_table_in_memory_are_found_as_those_of_a_file() -> None:
    texts, labels = zip(*pairs(), strict=True)
    splits = ["train"] * 50 + ["dev"] * 15 + ["test"] * 15
    frame = Frame(
        {"id": [b"x"] * 80, "Review": texts, "Stars": np.where(np.array(labels) == "good", 5.0, 1), 3: splits}
    )
    run = rnnsent.train("gru", TINY | {"data.split_column": 4, "data.format": "csv"}, data=frame, run_dir="run")
    assert (run.config.data.text_column, run.config.data.label_column, run.config.data.labels) == (
        "Review",
        "Stars",
        ("1", "5"),
    )
    assert run.metrics.data.counts["validation"].keys() == {"1", "5"} and rnnsent.evaluate(run).texts == 15
    assert json.loads(Path("run/data.jsonl").read_text().splitlines()[0]).keys() == {"Review", "Stars", "3"}


def test_a_pandas_data_frame_with_empty_cells(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rnnsent")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(pairs(), columns=["text", "label"]).astype({"label": "category"})
    frame.loc[[3, 10], "label"] = None
    frame.loc[20, "text"] = float("nan")
    frame["split"] = pandas.array([pandas.NA] * 79 + ["test"], dtype="string")
    run = rnnsent.train("gru", TINY, data=frame[::-1])
    assert rnnsent.evaluate(run).texts == 1
    assert "3 rows left out: without a label: 2, without a text: 1" in caplog.text


def test_rows_without_a_label_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "rnnsent")
    missing = [None, float("nan"), np.float32("nan"), np.datetime64("NaT"), " "]
    run = rnnsent.train("gru", TINY, data=iter([*pairs(), *[("good text", label) for label in missing]]))
    assert run.config.data.labels == ("bad", "good")
    assert "5 rows left out: without a label" in caplog.text


@pytest.mark.parametrize(
    ("place", "row", "message"),
    [
        (3, (b"good", "good"), r"data\[3\], text: must be text or a number, not bytes: b'good'"),
        (0, (["good", "film"], "good"), r"data\[0\], text: must be text or a number, not list"),
        (7, ("good", np.array([0, 1])), r"data\[7\], label: must be text or a number, not ndarray"),
        (5, ("good", {"a": 1}), r"data\[5\], label: must be text or a number, not dict"),
        (79, "good", r"data\[79\]: must be a pair \(text, label\), not 'good'"),
        (1, ("good", "good", "train"), r"data\[1\]: must be a pair \(text, label\), not \('good', 'good', "),
        (2, ["good"], r"data\[2\]: must be a pair"),
        (17, ("good", "fair"), r"^data\[17\]: the label 'fair' is none of data.labels: bad, good"),
    ],
)
def test_a_wrong_row_is_named_by_its_index(place: int, row: Any, message: str) -> None:
    data: list[Any] = pairs()
    data[place] = row
    with pytest.raises(DataError, match=message):
        rnnsent.train("gru", TINY | {"data.labels": ["bad", "good"]}, data=data, run_dir="run")
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], r"^data: is empty"),
        ([("a", 1)] * 4, r"^data: "),
        (Frame({"a": ["x"], "label": [1]}), r"^data: Which column is the text: no usual name. Its columns: a, label"),
        (Frame({"text": ["x"], "label": [1], "class": [1]}), r"^data: Which column is the label: label or class\?"),
        (([text for text, _ in pairs()], [1] * 80), r"list\(zip\(texts, labels\)\)"),
        (pairs() + [(f"text {number}", f"label {number}") for number in range(300)], r"^data: 302 labels in 380 rows"),
    ],
)
def test_a_wrong_table_in_memory_is_refused(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        rnnsent.train("gru", TINY, data=data)


def test_two_columns_of_one_name_are_refused() -> None:
    frame = Frame({"text": ["x"], "label": [1], "more": [2]})
    frame.columns[2] = "text"
    with pytest.raises(DataError, match=r"data: two columns are called 'text'"):
        rnnsent.train("gru", TINY, data=frame)


@pytest.mark.parametrize("data", [7, b"reviews.csv", {"text": ["a"], "label": ["b"]}, datetime.date(2026, 1, 1)])
def test_what_is_no_table_is_refused(data: Any) -> None:
    with pytest.raises(TypeError, match="data must be a path, a pandas DataFrame or a list of"):
        rnnsent.train("gru", TINY, data=data)


def test_dir_shows_the_api() -> None:
    assert {"train", "load", "evaluate", "Vocabulary", "__version__"} <= set(dir(rnnsent))
    assert all(hasattr(rnnsent, name) for name in dir(rnnsent))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", None], r"texts\[1\]: must be a str, not NoneType: None"),
        ([float("nan")], r"texts\[0\]: must be a str, not float: nan"),
        (["a"] * 1500 + [b"x"], r"texts\[1500\]: must be a str, not bytes: b'x'"),
        (iter(["a", "b", 3]), r"texts\[2\]: must be a str, not int: 3"),
        ([["a", "b"]], r"texts\[0\]: must be a str, not list"),
        ("a text", r"not str; put one into a list"),
        (b"a text", r"not bytes; put one into a list"),
        (None, r"not NoneType; put one into a list"),
        ({"text": ["a"]}, r"name a column: predict\(data\['text'\]\)"),
        (Frame({"text": ["a"]}), r"takes texts, not Frame; name a column"),
    ],
)
def test_what_is_no_text_is_named(sample_run: Path, texts: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        rnnsent.load(sample_run).predict(texts)
