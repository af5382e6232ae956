"""A run without a network: logistic regression on n-grams, as the config `linear` and `baseline --run-dir` train it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import rnnsent as package
from tests.conftest import rnnsent
from tests.models.test_linear import table


def said(*arguments: str) -> str:
    result = rnnsent(*arguments)
    assert result.exit_code == 0, result.stderr
    return str(result.stdout)


def values(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(*arguments, "--json").splitlines()[-1])
    return found


@pytest.mark.parametrize("labels", [("bad", "good"), ("bad", "good", "plain")])
def test_every_command_knows_a_run_without_a_network(labels: tuple[str, ...]) -> None:
    metrics = values("train", "linear", "--data", table("t.csv", labels), "--run-dir", "run")
    assert metrics["epochs"] == 0 and metrics["best_epoch"] is None and metrics["parameters"] == 0
    assert metrics["linear"]["weight"] == 1 and metrics["parts"] == []
    assert not Path("run/weights.safetensors").exists() and not Path("run/model.keras").exists()
    test = values("eval", "run")
    assert test["metrics"]["accuracy"]["value"] > 0.9
    validation = values("eval", "run", "--split", "validation")
    assert validation["metrics"]["accuracy"] == metrics["validation"]["accuracy"]
    assert json.loads(said("predict", "run", "w1 splendid w2", "--json"))["label"] == "good"
    assert "splendid" in said("trace", "run", "w1 splendid w2")
    assert "logistic regression on n-grams" in said("summary", "run")
    said("report", "run", "--card")
    assert "logistic regression" in Path("run/model_card.md").read_text()
    assert rnnsent("verify", "run").exit_code == 0
    said("report", "run")
    assert "logistic regression" in Path("run/report.html").read_text()
    model = package.load("run")
    assert pickle.loads(pickle.dumps(model)).predict(["dismal w1"]) == model.predict(["dismal w1"])
    assert rnnsent("train", "--resume", "run").exit_code == 0


def test_a_baseline_is_kept_as_a_run_of_its_own() -> None:
    settings = ["--set", "model.embedding_dim=4", "--set", "model.recurrent.0.units=4"]
    folds = [
        "--set",
        "training.cross_validation=true",
        "--set",
        "data.validation_split=0",
        "--set",
        "ensemble=[{}, {}]",
    ]
    path = table("t.csv")
    Path(path).write_text(Path(path).read_text().replace("validation", "train"))
    said("train", "gru", "--data", path, "--epochs", "1", "--run-dir", "run", *settings, *folds)
    assert "validation accuracy" in said("baseline", "run", "--run-dir", "of-run")
    assert "validation accuracy" in said("baseline", "--data", path, "--run-dir", "of-data")
    assert "validation accuracy" in said("baseline", "--config", "gru", "--data", path, "--run-dir", "of-config")
    texts = ["w1 lovely w2", "horrid w1", "w3"]
    answers = [package.load(run).predict(texts) for run in ("of-run", "of-data", "of-config")]
    assert answers[0] == answers[1] == answers[2] and [answer.label for answer in answers[0][:2]] == ["good", "bad"]
    assert rnnsent("baseline", "run", "--run-dir", "of-run").exit_code == 1  # it is there already


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.linear=null", "model.recurrent: must have at least 1 layer, or model.linear must be set"),
        ("model.ngrams={}", "model.ngrams: has no effect under recurrent: [], which is no network"),
        ("ensemble=[{}, {dropout: 0.1}]", "ensemble: has no effect under recurrent: [], which is no network"),
        ("training.adversarial={}", "training.adversarial: has no effect under recurrent: [], which is no network"),
    ],
)
def test_settings_of_a_network_are_refused(setting: str, message: str) -> None:
    result = rnnsent("train", "linear", "--data", table("t.csv"), "--set", setting)
    assert result.exit_code == 1 and message in result.stderr


def test_eval_names_the_file_of_the_test_texts() -> None:
    rows = [f"w{n % 9} {('dismal', 'superb')[n % 2]} w{n},{n % 2}" for n in range(90)]
    for name, part in (("old.csv", rows[:60]), ("new.csv", rows[60:])):
        Path(name).write_text("\n".join(["text,label", *part]) + "\n")
    said("train", "linear", "--data", "old.csv", "--test", "new.csv", "--run-dir", "run")
    assert "run: test, 30 texts of new.csv" in said("eval", "run")
    assert values("eval", "run")["source"] == "new.csv"
    assert values("eval", "run", "--split", "validation")["source"] == "old.csv"
