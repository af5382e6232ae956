"""Ordered labels, and several labels for one text, through all commands."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import rnnsent as package
from tests.conftest import rnnsent, trained

CONFIG = """\
data: {source: texts, path: table.csv, maxlen: 20}
model: {embedding_dim: 8, recurrent: [{cell: gru, units: 8}], pooling: mean}
training: {epochs: 4, batch_size: 16, optimizer: adam, learning_rate: 3e-2}
"""
STEPS = ("very bad", "bad", "okay", "good", "very good")


@pytest.fixture(scope="module")
def ordered_run(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on 300 texts whose words are near their label."""
    folder, rng, lines = tmp_path_factory.mktemp("ordered"), random.Random(0), ["text,label"]
    for row in range(300):
        near = [min(max(row % 5 + rng.choice([-1, 0, 0, 1]), 0), 4) for _ in range(6)]
        lines.append(" ".join(f"{'abcde'[place]}{rng.randint(0, 3)}" for place in near) + f",{STEPS[row % 5]}")
    (folder / "table.csv").write_text("\n".join(lines))
    (folder / "small.yaml").write_text(CONFIG)
    return trained(folder / "small.yaml", cache)


def evaluated(run: Path, *arguments: str) -> dict[str, Any]:
    result = rnnsent("eval", str(run), "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def test_ordered_labels_are_trained_and_evaluated_in_order(ordered_run: Path) -> None:
    config = json.loads((ordered_run / "config.json").read_text())["data"]
    assert config["ordered"] is True and tuple(config["labels"]) == STEPS
    values = evaluated(ordered_run)
    metrics, labels, confusion = values["metrics"], values["labels"], values["confusion"]
    assert tuple(labels) == STEPS
    steps = np.abs(np.subtract.outer(range(5), range(5)))
    assert metrics["mae"]["value"] == pytest.approx((np.array(confusion) * steps).sum() / np.sum(confusion))
    assert metrics["quadratic_kappa"]["value"] > 0.5 and metrics["off_by_one"]["value"] > metrics["accuracy"]["value"]
    screen = rnnsent("eval", str(ordered_run)).stdout
    assert "mae " in screen and "→ very bad  → bad  → okay  → good  → very good" in screen


def require_shown(run: Path, metric: str, title: str) -> None:
    """Require that baseline, report and comparison of a run have a metric."""
    assert json.loads(rnnsent("baseline", str(run), "--json").stdout)["metrics"][metric]["value"] > 0
    assert rnnsent("report", str(run), "--output", "r.html").exit_code == 0
    assert title in Path("r.html").read_text()
    compared = rnnsent("compare", str(run), str(run))
    assert compared.exit_code == 0 and metric in compared.stdout


def test_ordered_labels_have_a_baseline_a_report_and_a_comparison(ordered_run: Path) -> None:
    require_shown(ordered_run, "quadratic_kappa", "quadratic weighted kappa")


def test_model_of_ordered_labels_loads_in_plain_keras(ordered_run: Path) -> None:
    classifier = package.load(ordered_run, calibrated=False)
    (prediction,) = classifier.predict(["a1 a2 b1 c3"])
    ids = classifier.encode("a1 a2 b1 c3").ids[None]
    plain = keras.models.load_model(ordered_run / "model.keras")(ids)
    assert np.asarray(plain)[0] == pytest.approx(list(prediction.probabilities.values()), abs=1e-5)


NAMES = ("toxic", "insult", "joy")
TEXTS = [
    (" ".join(f"{word} the{row % 7} film" for word in words), labels)
    for row in range(60)
    for words, labels in [
        (["awful"], ["toxic"]), (["moron", "stupid"], ["toxic", "insult"]), (["love"], ["joy"]), (["so"], []),
        (["great", "clown"], ["insult", "joy"]),
    ]
]  # fmt: skip


def several(path: Path, *, columns: bool) -> None:
    """Write `TEXTS` as a table, with a column of 0 and 1 for each label or with one of joined labels."""
    lines = [f"text,{','.join(NAMES)},never,number" if columns else "text,label"]
    for row, (text, labels) in enumerate(TEXTS):
        truths = ",".join(str(int(name in labels)) for name in NAMES)
        lines.append(f"{text},{truths},0,{row}" if columns else f"{text},{'|'.join(labels)}")
    path.write_text("\n".join(lines))


@pytest.fixture(scope="module")
def several_run(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on texts with 0, 1 or 2 labels, which their words say; it has n-grams and a linear part."""
    folder = tmp_path_factory.mktemp("several")
    several(folder / "table.csv", columns=False)
    model = "model: {ngrams: {orders: 1}, linear: {characters: null}, "
    (folder / "small.yaml").write_text(CONFIG.replace("model: {", model))
    return trained(folder / "small.yaml", cache, "--label-separator", "|")


def test_several_labels_are_trained_and_evaluated(several_run: Path) -> None:
    values = evaluated(several_run, "--baseline")
    assert tuple(values["labels"]) == ("insult", "joy", "toxic") and values["confusion"] == []
    assert values["metrics"]["accuracy"]["value"] > 0.9 and values["metrics"]["micro_f1"]["value"] > 0.9
    assert {part["name"] for part in values["parts"]} == {"network", "linear part"}
    assert values["baseline"]["micro_f1"]["value"] > 0.9
    screen, full = rnnsent("eval", str(several_run)).stdout, rnnsent("eval", str(several_run), "--full").stdout
    assert "all labels of a text are right in" in screen and "coverage_error" in full
    assert len(json.loads((several_run / "calibration.json").read_text())["thresholds"]) == 3


def test_several_labels_are_predicted_as_one_cell(several_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\nmoron stupid film\nso film\n")
    result = rnnsent("predict", str(several_run), "--input", "in.csv", "--output", "out.csv")
    assert result.exit_code == 0, result.stderr
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["label"] for row in rows] == ["insult|toxic", ""]
    line = rnnsent("predict", str(several_run), "so film").stdout
    assert line.startswith("(none)\t")
    values = json.loads(rnnsent("predict", str(several_run), "--json", "moron stupid film").stdout)
    insult, joy, toxic = values["probabilities"].values()
    assert values["label"] == "insult|toxic" and values["probability"] == pytest.approx(insult * toxic * (1 - joy))


@pytest.mark.parametrize("command", [("eval",), ("predict", "a text")])
@pytest.mark.parametrize("option", ["--threshold", "--precision"])
def test_thresholds_of_several_labels_cannot_be_given(several_run: Path, command: tuple[str, ...], option: str) -> None:
    result = rnnsent(command[0], str(several_run), *command[1:], option, "joy=0.4")
    assert result.exit_code == 1
    assert "thresholds of joy: texts have several labels; those in calibration.json decide" in result.stderr
    table = evaluated(several_run)["thresholds"]["joy"]
    assert [row["threshold"] for row in table][5] == 0.5 and table[5]["precision"]["value"] > 0.9


def test_several_labels_are_traced_one_at_a_time(several_run: Path) -> None:
    shown = json.loads(rnnsent("trace", str(several_run), "stupid moron film", "--label", "insult", "--json").stdout)
    assert shown["label"] == "insult" and shown["predicted"] and shown["notes"][0] == "predicted: insult|toxic"
    assert shown["strongest"]["for"][0]["word"] == "moron"
    other = json.loads(rnnsent("trace", str(several_run), "stupid moron film", "--label", "joy", "--json").stdout)
    assert not other["predicted"] and other["summary"] == "not joy after any word"
    refused = rnnsent("trace", str(several_run), "film", "--label", "Joy")
    assert refused.exit_code == 2 and "--label Joy: no such label; use insult, joy, toxic" in refused.stderr


def test_several_labels_have_a_baseline_a_report_and_a_comparison(several_run: Path) -> None:
    require_shown(several_run, "micro_f1", "A text may have several labels")
    assert rnnsent("robustness", str(several_run)).exit_code == 0


def test_data_info_counts_several_labels(tmp_path: Path) -> None:
    several(tmp_path / "t.csv", columns=True)
    result = rnnsent("data", "info", "t.csv", "--label-column", "toxic, INSULT,joy", "--json")
    facts = json.loads(result.stdout)["splits"]
    assert [sum(split["labels"][name] for split in facts.values()) for name in NAMES] == [120, 120, 120]
    assert sum(split["labels_per_text"]["0"] for split in facts.values()) == 60
    shown = rnnsent("data", "info", "t.csv", "--label-column", "toxic,insult,joy").stdout
    assert "labels a text" in shown and "texts with 2" in shown


def test_models_of_two_labels_agree_in_all_backends_and_plain_keras(tmp_path: Path) -> None:
    rows = [(text, [name for name in labels if name != "joy"]) for text, labels in TEXTS]
    settings = {"data.label_separator": "|", "training.epochs": 1, "model.embedding_dim": 8}
    run = package.train("gru", settings, data=rows, run_dir="run", verbose=False)
    found = []
    for backend in ("native", "numpy", "keras"):
        classifier = package.load(run, backend=backend, calibrated=False)
        found.append(list(classifier.predict(["awful moron"])[0].probabilities.values()))
    plain = keras.models.load_model("run/model.keras")(classifier.encode("awful moron").ids[None])
    for probabilities in (*found, np.asarray(plain)[0]):
        assert len(probabilities) == 2 and list(probabilities) == pytest.approx(found[0], abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--label-column", "toxic,insults"], "no column 'insults' (--label-column); did you mean insult?"),
        (["--label-column", "joy,toxic,joy"], 'data.label_column: must name each once (here: "joy")'),
        (["--label-column", "toxic,text"], "column 'text' cannot be both text and label"),
        (["--label-column", "toxic,number"], "t.csv:4: a column of one of several labels must hold 0 or 1, not '2'"),
        (["--label-column", "toxic,never"], "no training text is labeled never: a network cannot learn that"),
        (["--label-column", "toxic,joy", "--label-separator", ";"], "must be null if label_column is a list"),
        (["--label-column", "toxic", "--label-separator", ";"], "no text has two labels: is ';' what separates them"),
        (["--label-column", "toxic", "--label-separator", ""], "should have at least 1 character"),
        (["--label-separator", "|", "--set", "data.unlabeled=true"], "an empty cell is a text without any"),
        (["--label-separator", "|", "--set", "data.ordered=true"], "must be null if a text has several labels"),
        (["--label-separator", "|", "--set", "training.class_weights=balanced"], "class_weights: must be null if a"),
        (["--label-column", "toxic,joy", "--set", "training.teacher=self"], "teacher: must be null if a text has"),
    ],
)
def test_bad_settings_of_several_labels_are_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    several(tmp_path / "t.csv", columns=True)
    result = rnnsent("train", "--config", "gru", "--data", "t.csv", *arguments)
    assert result.exit_code == 1 and message in result.stderr and result.stderr.count("Error") == 1
