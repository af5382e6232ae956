"""The surest mistakes, where they stand, and what is said after a training and a judgment."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnsent.cli.commands.train import hints
from rnnsent.config import DataConfig
from rnnsent.config.loader import parse_config
from rnnsent.data.dataset import split_dataset
from rnnsent.data.sources import load_dataset
from rnnsent.evaluation.error_analysis import Places, surest_mistakes
from tests.conftest import SAMPLE_CONFIG, rnnsent


def test_mistakes_are_named_by_file_and_line() -> None:
    rows = [f"{word}{' film' * n},{word}" for n in range(20) for word in ("bad", "good")]
    Path("films.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    config = parse_config(SAMPLE_CONFIG, "small", {"data.source": "texts", "data.path": "films.csv"})
    dataset = load_dataset(config.data)
    parts = split_dataset(dataset, config.data)
    probabilities = np.where(parts.test.labels == 1, 0.1, 0.2).astype(np.float32)  # all are taken for "bad"
    found = surest_mistakes(parts.test, probabilities, parts, Places.of(dataset, config, "test"))
    assert len(found) == int((parts.test.labels == 1).sum()) > 0
    for mistake in found:
        assert (mistake.label, mistake.predicted) == ("good", "bad") and mistake.probability == pytest.approx(0.9)
        file, _, line = mistake.place.partition(", line ")
        assert file == "films.csv"
        text = Path("films.csv").read_text().splitlines()[int(line) - 1]
        assert mistake.text == text.partition(",")[0]


def test_reviews_without_a_file_have_no_place() -> None:
    config = parse_config(SAMPLE_CONFIG, "small")
    dataset = load_dataset(DataConfig(source="sample"))
    assert Places.of(dataset, config, "test")[0] == ""


@pytest.mark.parametrize(
    ("accuracy", "best", "said"),
    [
        (0.75, 3, "always answering no would be right in 75.00%"),
        (0.8, 3, "the last epoch was the best"),
        (0.8, 2, ""),
        (1.0, 3, ""),
    ],
)
def test_what_is_said_after_training(accuracy: float, best: int, said: str) -> None:
    metrics: dict[str, Any] = {
        "validation": {"accuracy": {"value": accuracy}},
        "data": {"counts": {"validation": {"yes": 25, "no": 75}}},
        "best_epoch": best,
        "epochs": 3,
    }
    found = list(hints(metrics, 3))
    assert len(found) == bool(said) and said in "".join(found)


def test_an_ensemble_that_is_worse_than_one_of_its_networks_is_told_of() -> None:
    metrics: dict[str, Any] = {
        "validation": {"accuracy": {"value": 0.9}},
        "data": {},
        "best_epoch": None,
        "epochs": 6,
        "networks": [{"val_accuracy": 0.89}, {"val_accuracy": 0.91}],
    }
    assert list(hints(metrics, 3)) == ["network 2 alone has 91.00% on validation, more than all together"]
    metrics["validation"]["accuracy"]["value"] = 0.91 - 1e-8
    assert list(hints(metrics, 3)) == []
    metrics["data"] = {"counts": {"validation": {"yes": 60, "no": 40}}}
    metrics["networks"][0]["val_accuracy"] = 0.6
    assert list(hints(metrics, 3)) == ["network 1 has learned nothing: always answering yes would be right in 60.00%"]


def test_eval_can_be_quiet_and_says_that_a_report_is_old(sample_run: Path) -> None:
    shutil.copytree(sample_run, "run")
    Path("run/report.html").write_text("an old one")
    quiet = rnnsent("eval", "run", "--quiet")
    assert quiet.exit_code == 0 and quiet.stderr == "", quiet.stderr
    loud = rnnsent("eval", "run")
    assert "run/report.html is older than these figures; anew: rnnsent report run" in loud.stderr
    assert loud.stdout.splitlines()[0] == quiet.stdout.splitlines()[0]


def test_eval_as_json_holds_what_it_shows(sample_run: Path) -> None:
    shutil.copytree(sample_run, "run")
    found = json.loads(rnnsent("eval", "run", "--json", "--worst", "2").stdout)
    kept = json.loads(Path("run/metrics.json").read_text())["evaluations"]["test"]
    assert set(found) == {
        "run", "split", "n", "metrics", "labels", "confusion", "slices", "coverage", "mistakes",
    }  # fmt: skip
    assert found["labels"] == kept["by_label"]
    for key in ("confusion", "slices", "coverage"):
        assert found[key] == kept[key] and found[key], key
    wrong = found["n"] - sum(found["confusion"][k][k] for k in range(2))
    assert len(found["mistakes"]) == min(2, wrong)
    for mistake in found["mistakes"]:
        assert mistake["label"] != mistake["predicted"] and mistake["probability"] >= 0.5 and mistake["text"]
    shown = rnnsent("eval", "run").stdout.splitlines()
    for name, figures in found["labels"].items():
        row = next(n for n, line in enumerate(shown) if line.split()[:2] == [name, f"{figures['reviews']:,}"])
        each = [figures[key] for key in ("precision", "recall", "f1")]
        assert shown[row].split()[2:] == [f"{one['value']:.4f}" for one in each]
        assert " ".join(shown[row + 1].split()) == " ".join(f"{one['low']:.3f} … {one['high']:.3f}" for one in each)
    assert all(len(line) <= 80 for line in shown[1:])
