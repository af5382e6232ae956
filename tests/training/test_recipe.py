"""`train --data FILE`: the recipe that is chosen for a table, and why."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import rnnsent as package
from rnnsent.training.recipe import TableFacts, choose
from tests.conftest import rnnsent


def facts(**changes: object) -> TableFacts:
    values = {"texts": 5000, "words": 100_000, "long": 43, "labels": {"bad": 2500, "good": 2500}, "unlabeled": 0}
    return TableFacts(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        (facts(), "data.validation_split", 0.2),
        (facts(texts=8000), "data.validation_split", 0.125),
        (facts(texts=400), "data.validation_split", 0.2),
        (facts(texts=90_000), "data.validation_split", 0.1),
        (facts(), "data.maxlen", 50),
        (facts(long=3), "data.maxlen", 20),
        (facts(long=2500), "data.maxlen", 600),
        (facts(), "model.vectors.word2vec.epochs", 40),
        (facts(words=1_000_000), "model.vectors.word2vec.epochs", 6),
        (facts(words=50_000_000), "model.vectors.word2vec.epochs", 3),
        (facts(words=50_000_000), "ensemble", None),
        (facts(unlabeled=600), "data.unlabeled", True),
    ],
)
def test_each_rule_looks_at_the_table(table: TableFacts, key: str, value: object) -> None:
    changes, reasons = choose(table)
    assert changes[key] == value and len(reasons) <= 5 and all(len(reason) <= 76 for reason in reasons)


def test_several_networks_are_cross_validated_unless_a_column_or_the_user_says_otherwise() -> None:
    changes, reasons = choose(facts(), 5)
    assert changes["training.cross_validation"] and changes["data.validation_split"] == 0
    assert "one of 5 folds" in reasons[1]
    for other, _ in (
        choose(facts(validated=True), 5),
        choose(facts(), 5, folds=False),
        choose(facts(words=50_000_000), 5),
        choose(facts()),
    ):
        assert "training.cross_validation" not in other and other["data.validation_split"] > 0


def test_what_does_not_hold_changes_nothing() -> None:
    changes, reasons = choose(facts(unlabeled=100))
    assert "training.cross_validation" not in changes and "data.unlabeled" not in changes and len(reasons) == 2


def test_without_libraries_the_recipe_goes_on_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnsent.training.recipe.installed", lambda name: False)
    changes, reasons = choose(facts())
    assert changes["model.linear"] is None and changes["model.vectors"] is None
    assert "pip install 'rnnsent[recipes]'" in reasons[-1]


def table(path: str, number: int = 150) -> str:
    rng = np.random.default_rng(3)
    words = ["fine", "lovely", "poor", "dull"]
    lines = [
        f"{' '.join(f'w{word}' for word in rng.integers(0, 30, 8))} {words[n % 4]},{n % 4 // 2}" for n in range(number)
    ]
    Path(path).write_text("\n".join(["text,label", *lines]) + "\n")
    return path


FAST = ("--set", "training.epochs=1", "--set", "ensemble=null", "--set", "model.vectors=null", "--set",
        "model.embedding_dim=8", "--set", "model.recurrent.0.units=4")  # fmt: skip


def test_a_table_alone_is_enough() -> None:
    result = rnnsent("train", "--data", table("reviews.csv"), *FAST, "--run-dir", "run")
    assert result.exit_code == 0, result.stderr
    assert "recipe: 120 labeled texts, 2 labels" in result.stderr
    config = json.loads(Path("run/config.json").read_text())
    assert config["data"]["maxlen"] == 20 and config["data"]["validation_split"] == 0.2
    assert config["model"]["linear"]["characters"] == [2, 5] and config["ensemble"] is None  # --set wins
    again = rnnsent("train", "--config", "run/config.yaml", "--run-dir", "again")
    assert again.exit_code == 0, again.stderr
    weights = [Path(name, "weights.safetensors").read_bytes() for name in ("run", "again")]
    assert weights[0] == weights[1]


def test_runs_are_named_after_the_table_and_settings_win() -> None:
    table("hotel-reviews.v2.csv")
    result = rnnsent("train", "--data", "hotel-reviews.v2.csv", *FAST, "--set", "data.maxlen=7")
    assert result.exit_code == 0, result.stderr
    [run] = [path for path in Path("runs").iterdir() if path.name.startswith("hotel-reviews")]
    assert json.loads((run / "config.json").read_text())["data"]["maxlen"] == 7


@pytest.mark.parametrize("arguments", [[], ["--epochs", "3"], ["--run-dir", "run"]])
def test_without_a_table_a_config_is_asked_for(arguments: list[str]) -> None:
    result = rnnsent("train", *arguments)
    assert result.exit_code == 2 and "--data alone which table" in result.stderr


def test_python_chooses_the_recipe_too() -> None:
    rows = [tuple(line.split(",")) for line in Path(table("t.csv")).read_text().splitlines()[1:]]
    settings = {
        "training.epochs": 1, "ensemble": None, "model.vectors": None, "model.embedding_dim": 8,
        "model.recurrent.0.units": 4,
    }  # fmt: skip
    run = package.train(data=rows, settings=settings, run_dir="run", verbose=False)
    assert run.config.data.maxlen == 20 and run.config.model.linear is not None and run.metrics.linear is not None
    with pytest.raises(TypeError, match="a config, an initial_run or data"):
        package.train()
