"""The few lines that people in notebooks write."""

from __future__ import annotations

import copy
import datetime
import html
import json
import pickle
import random
import shutil
import subprocess
import sys
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


def test_numbers_of_numpy_and_paths_are_settings() -> None:
    settings = {"data.num_words": np.int64(60), "data.split_seed": np.arange(3)[2], "model.dropout": np.float32(0.5)}
    run = rnnsent.train("gru", TINY | settings | {"data.labels": np.array(["bad", "good"])}, data=pairs())
    config = run.config
    assert (config.data.num_words, config.data.split_seed, config.model.dropout) == (60, 2, 0.5)
    with pytest.raises(ConfigError, match=r"training\.epochs: must be a whole number, not 2\.5"):
        rnnsent.train("gru", {"training.epochs": np.float64(2.5)}, data=pairs())
    with pytest.raises(ConfigError, match=r"model\.vectors\.path: no such file \(here: vectors\.txt\)"):
        rnnsent.train("gru", {"model.vectors.path": Path("vectors.txt")}, data=pairs())


def test_a_polars_data_frame_is_trained_on() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(dict(zip(("Review", "Stars"), zip(*pairs(), strict=True), strict=True)))
    run = rnnsent.train("gru", TINY, data=frame.with_columns(split=polars.lit(None)))
    assert (run.config.data.text_column, run.config.data.label_column) == ("Review", "Stars")
    assert rnnsent.evaluate(run).texts == 16


def shown(result: Any) -> str:
    """Return the page that a notebook shows for a result."""
    frame = result._repr_html_()
    assert frame.startswith('<iframe srcdoc="') and frame.count("<") == 2  # the style of the page stays inside
    return html.unescape(frame.split('"')[1])


def test_results_are_shown_as_the_commands_show_them() -> None:
    run = rnnsent.train("gru", TINY, data=pairs(), run_dir="run").path
    evaluation = rnnsent.evaluate(run)
    assert "Accuracy" in shown(evaluation) and "predicted: good" in shown(evaluation)
    full = command("eval", "run", "--full", "--worst", "0").stdout.splitlines()
    assert str(evaluation).splitlines()[1:] == [line for line in full[1:] if "baseline" not in line]
    shutil.copytree(run, "other")
    comparison = rnnsent.compare(run, "other", split="validation")
    assert comparison.comparisons[0].same and not comparison.comparisons[0].significant
    assert str(comparison) == command("compare", "run", "other", "--split", "validation").stdout.rstrip("\n")
    runs = ["run", "other"]
    assert shown(comparison) == rnnsent.report(*runs, split="validation").page
    for count in (1, 2):
        report = rnnsent.report(*runs[:count])
        report.write("report.html")
        assert command("report", *runs[:count], "-o", "page.html").exit_code == 0
        assert Path("report.html").read_text() == Path("page.html").read_text() == report.page == shown(report)
        assert repr(report) == str(report) == f"Report(title='{', '.join(runs[:count])}')"


def test_a_trace_is_shown_as_the_command_shows_it(sample_run: Path) -> None:
    trace = rnnsent.load(sample_run).trace('the film is <b> "good"')
    assert command("trace", str(sample_run), 'the film is <b> "good"', "--html", "trace.html").exit_code == 0
    assert shown(trace) == Path("trace.html").read_text()
    assert str(trace).startswith(f"{trace.label}\N{NO-BREAK SPACE}") and "contribution of each word" in str(trace)
    assert repr(trace).startswith("Trace(label=")


@pytest.mark.parametrize("runs", [("run",), (), ("no", "such")])
def test_what_is_no_pair_of_runs_is_refused(runs: tuple[str, ...]) -> None:
    with pytest.raises(TypeError if len(runs) < 2 else rnnsent.RunError, match=r"argument|no: no such run directory"):
        rnnsent.compare(*runs)


def test_a_report_is_not_written_into_a_file(sample_run: Path) -> None:
    Path("file").touch()
    with pytest.raises(rnnsent.RunError, match=r"file/report\.html: cannot be written"):
        rnnsent.report(sample_run).write("file/report.html")


ENSEMBLE = {
    "ensemble": [{}, {"ngrams": False, "recurrent": [{"cell": "lstm", "units": 3}]}],
    "model.ngrams": {"orders": 2, "folds": 2},
}


@pytest.mark.parametrize("settings", [{}, ENSEMBLE], ids=["network", "ensemble with n-grams"])
def test_a_classifier_pickles_and_needs_no_run(settings: dict[str, Any]) -> None:
    texts = [f"{word} {rest}" for word in ("dull", "fine", "odd") for rest, _ in pairs(24)]
    run = rnnsent.train("gru", TINY | settings, data=[(text, text.split()[0]) for text in texts])
    classifier = rnnsent.load(run)
    expected = classifier.predict(texts)
    shutil.rmtree(run.path)
    for other in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        assert other.predict(texts) == expected and other.config == classifier.config
        assert other.trace(texts[0]) == classifier.trace(texts[0])
    network = "ensemble of 2 networks (GRU, LSTM)" if settings else "Embedding(32) → GRU(4) → last state → softmax"
    assert repr(other).startswith(f"<Classifier: dull, fine, odd; {network}; 11 words; ")


def test_a_pickle_of_another_version_says_so(sample_run: Path) -> None:
    function, (parts,) = rnnsent.load(sample_run).__reduce__()
    with pytest.raises(ConfigError, match="not a config of this version of rnnsent"):
        function({**parts, "config": parts["config"] | {"modell": 1}})


def test_predictions_as_a_frame(sample_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas")
    classifier, texts = rnnsent.load(sample_run), ["the film is good", "", "zzz " * 50]
    Path("texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    assert command("predict", str(sample_run), "--input", "texts.jsonl", "--output", "answers.csv").exit_code == 0
    frame = classifier.predict_frame(iter(texts))
    pandas.testing.assert_frame_equal(frame, pandas.read_csv("answers.csv").drop(columns="row"), atol=1e-6)
    assert frame["truncated"].tolist() == [False, False, True] and frame["blank"].tolist() == [False, True, False]
    column = pandas.Series(texts, index=["c", "a", "b"], name="text")
    assert classifier.predict_frame(column).index.tolist() == ["c", "a", "b"]
    assert list(classifier.predict_frame([])) == list(frame)
    with pytest.raises(TypeError, match=r"texts\[1\]: must be a str, not float: nan"):
        classifier.predict_frame(column.replace("", None))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="predict_frame needs pandas: pip install pandas"):
        classifier.predict_frame(texts)


def test_dir_shows_the_api() -> None:
    assert {"train", "load", "evaluate", "compare", "report", "Vocabulary", "__version__"} <= set(dir(rnnsent))
    assert all(hasattr(rnnsent, name) for name in dir(rnnsent))
    kinds = [rnnsent.ConfigError, rnnsent.DataError, rnnsent.DeviceError, rnnsent.RunError, rnnsent.TrainingError]
    assert all(issubclass(kind, rnnsent.RnnsentError) for kind in kinds)


def test_the_package_is_imported_in_an_instant() -> None:
    script = (
        "import sys, rnnsent; dir(rnnsent); rnnsent.RnnsentError, rnnsent.Interrupted; "
        "print([name for name in ('numpy', 'keras', 'sklearn', 'pandas', 'pydantic') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"


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
