"""Cross-validation: every network of an ensemble is validated on a fold of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnsent as package
from tests.conftest import rnnsent

NETWORKS = "[{}, {}, {recurrent: [{cell: lstm, units: 4}]}]"
SETTINGS = (
    "--set", "training.cross_validation=true", "--set", "data.validation_split=0", "--set", f"ensemble={NETWORKS}",
    "--set", "model.embedding_dim=8", "--set", "model.recurrent.0.units=4", "--set", "model.linear={}",
    "--set", "model.ngrams={orders: 2}",
)  # fmt: skip


def table(name: str, *, random: bool = False, groups: int = 0, number: int = 240) -> str:
    rng = np.random.default_rng(0)
    lines = ["text,label,split,film"]
    for n in range(number):
        label = int(rng.integers(2)) if random else n % 2
        word = f"word{n}" if random else ("superb", "dismal")[label]
        split = "test" if n % 6 == 5 else "train"
        film = f"film {rng.integers(groups)}" if groups else ""
        lines.append(f"w{n % 9} {word} w{rng.integers(30)} w{n % 7},{'bad' if label else 'good'},{split},{film}")
    Path(name).write_text("\n".join(lines) + "\n")
    return name


def trained(path: str, *arguments: str, epochs: str = "2") -> dict[str, Any]:
    result = rnnsent("train", "gru", "--data", path, "--epochs", epochs, "--run-dir", "run", *SETTINGS, *arguments)
    assert result.exit_code == 0, result.stderr
    metrics: dict[str, Any] = json.loads(Path("run/metrics.json").read_text())
    return metrics


def evaluated(*arguments: str) -> dict[str, Any]:
    result = rnnsent(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def test_all_texts_train_and_all_are_validated() -> None:
    metrics = trained(table("t.csv"))
    with np.load("run/split.npz") as split:
        arrays = dict(split)
    assert len(arrays["train"]) == 200 and np.array_equal(arrays["train"], arrays["validation"])
    assert sorted(np.bincount(arrays["folds"])) == [66, 67, 67]
    assert metrics["validation_texts"] == 200
    assert metrics["data"]["counts"]["validation"] == {"bad": 80, "good": 120}
    shown = evaluated("eval", "run", "--split", "validation")
    assert shown["n"] == 200
    assert shown["metrics"]["accuracy"] == metrics["validation"]["accuracy"]
    assert evaluated("eval", "run")["n"] == 40


def test_random_labels_are_not_found_again_by_anything_that_validates() -> None:
    """Every text has a word of its own, so whatever trained on a text knows its label."""
    trained(table("t.csv", random=True), "--set", "training.learning_rate=0.05", epochs="8")
    validation = package.evaluate("run", split="validation")
    for estimate in (validation.metrics["accuracy"], *(part.accuracy for part in validation.parts)):
        assert 0.35 < (estimate.value or 0) < 0.65
    baseline = evaluated("baseline", "run", "--split", "validation")
    assert 0.35 < baseline["metrics"]["accuracy"]["value"] < 0.65
    rows = [line.split(",") for line in Path("t.csv").read_text().splitlines()[1:] if ",train," in line]
    answers = package.load("run").predict([row[0] for row in rows])
    known = np.mean([answer.label == row[1] for answer, row in zip(answers, rows, strict=True)])
    assert known > 0.7  # while the model itself was fitted on all of them


def test_groups_and_equal_texts_stay_in_one_fold() -> None:
    path = Path(table("t.csv", random=True, groups=20))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, *[line for line in lines[1:] if ",train," in line][:40]]) + "\n")
    trained(str(path), "--group-column", "film", epochs="1")
    with np.load("run/split.npz") as split:
        folds, rows = split["folds"], split["train"]
    lines = path.read_text().splitlines()[1:]
    for key in (0, 3):
        of_key: dict[str, set[int]] = {}
        for row, fold in zip(rows.tolist(), folds.tolist(), strict=True):
            of_key.setdefault(lines[row].split(",")[key], set()).add(fold)
        assert {len(found) for found in of_key.values()} == {1}


def test_an_interrupted_ensemble_goes_on_with_the_same_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    trained(table("t.csv"))
    result = rnnsent("train", "gru", "--data", "t.csv", "--epochs", "1", "--run-dir", "other", *SETTINGS)
    assert result.exit_code == 0, result.stderr
    assert rnnsent("train", "--resume", "other", "--epochs", "2").exit_code == 0
    for name in ("held_out.safetensors", "linear.safetensors", "members/3/weights.safetensors"):
        assert Path("run", name).read_bytes() == Path("other", name).read_bytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["ensemble=null"], "training.cross_validation: needs an ensemble of at least 2 networks"),
        (["data.validation_split=0.1"], "data.validation_split: must be 0 under training.cross_validation: true"),
        (["training.cross_validation=false"], "data.validation_split: must be greater than 0, except under"),
        (["training.teacher=baseline", "data.unlabeled=true"], "training.cross_validation: must be false under a t"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_said(settings: list[str], message: str) -> None:
    changes = [argument for setting in settings for argument in ("--set", setting)]
    result = rnnsent("train", "gru", "--data", table("t.csv"), "--run-dir", "run", *SETTINGS, *changes)
    assert result.exit_code == 1 and message in result.stderr and not Path("run").exists()


def test_a_table_with_validation_texts_of_its_own_is_refused() -> None:
    path = Path(table("t.csv"))
    path.write_text(path.read_text().replace("train", "validation", 30))
    result = rnnsent("train", "gru", "--data", "t.csv", "--run-dir", "run", *SETTINGS)
    assert result.exit_code == 1 and "30 rows are for validation: with training.cross_validation each" in result.stderr


@pytest.mark.parametrize("labels", [("good", "bad"), ("good", "bad", "fair")])
def test_a_label_of_one_text_is_trained_without_it_in_its_fold(labels: tuple[str, ...]) -> None:
    rows = [f"w{n % 9} {labels[n % len(labels)]}like w{n % 7} number{n},{labels[n % len(labels)]}" for n in range(90)]
    Path("t.csv").write_text("\n".join(["text,label", *rows, "odd one,unsure"]) + "\n")
    trained("t.csv", "--set", "data.test_split=0", "--set", "training.cross_validation=true", epochs="1")
    answer = package.load("run").predict(["w1 goodlike w2"])[0]
    assert answer.label == "good" and 0 < answer.probabilities["unsure"] < 0.2
    assert evaluated("baseline", "run", "--split", "validation")["n"] == 91
