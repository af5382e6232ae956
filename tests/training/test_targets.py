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
    folder, rng = tmp_path_factory.mktemp("ordered"), random.Random(0)
    with (folder / "table.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for row in range(300):
            near = [min(max(row % 5 + rng.choice([-1, 0, 0, 1]), 0), 4) for _ in range(6)]
            writer.writerow([" ".join(f"{'abcde'[place]}{rng.randint(0, 3)}" for place in near), STEPS[row % 5]])
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


def test_ordered_labels_have_a_baseline_a_report_and_a_comparison(ordered_run: Path, tmp_path: Path) -> None:
    baseline = rnnsent("baseline", str(ordered_run), "--json")
    assert json.loads(baseline.stdout)["metrics"]["mae"]["value"] < 2
    assert rnnsent("report", str(ordered_run), "--output", str(tmp_path / "r.html")).exit_code == 0
    assert "quadratic weighted kappa" in (tmp_path / "r.html").read_text()
    compared = rnnsent("compare", str(ordered_run), str(ordered_run))
    assert compared.exit_code == 0 and "quadratic_kappa" in compared.stdout


def test_model_of_ordered_labels_loads_in_plain_keras(ordered_run: Path) -> None:
    classifier = package.load(ordered_run, calibrated=False)
    (prediction,) = classifier.predict(["a1 a2 b1 c3"])
    ids = classifier.encode("a1 a2 b1 c3").ids[None]
    plain = keras.models.load_model(ordered_run / "model.keras")(ids)
    assert np.asarray(plain)[0] == pytest.approx(list(prediction.probabilities.values()), abs=1e-5)
