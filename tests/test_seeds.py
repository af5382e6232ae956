"""`train --seeds`: runs of their own, their mean and spread."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev

import pytest

from rnnsent.commands.train import _without
from rnnsent.seeds import SeedRun, spreads, table
from tests.conftest import rnnsent


def test_runs_and_spread(tiny_imdb: Path, tiny_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    given = ["--config", str(tiny_config), "--epochs", "1", "--seed", "3", "--run-dir", "runs-of-it", "--quiet"]
    found = rnnsent("train", *given, "--seeds", "2", "--eval", "--json")
    assert found.exit_code == 0, found.stderr
    (line,) = found.stdout.splitlines()
    values = json.loads(line)
    assert [each["seed"] for each in values["runs"]] == [3, 4]
    for split in ("validation", "test"):
        accuracies = []
        for each in values["runs"]:
            recorded = json.loads(Path(each["run"], "metrics.json").read_text())
            assert recorded[split] == each[split]
            accuracies.append(recorded[split]["accuracy"]["value"])
        assert values[split]["accuracy"] == pytest.approx({"mean": mean(accuracies), "sd": stdev(accuracies)})
    assert [each["run"] for each in values["runs"]] == ["runs-of-it/seed-3", "runs-of-it/seed-4"]
    again = rnnsent("train", *given, "--seeds", "2")
    assert again.exit_code == 1 and "rnnsent train failed, see above" in again.stderr  # --run-dir is taken


def test_usage(tiny_config: Path) -> None:
    assert rnnsent("train", "--config", str(tiny_config), "--eval").exit_code == 2
    assert rnnsent("train", "--config", str(tiny_config), "--seeds", "1").exit_code == 2


def test_arguments_are_passed_on_but_for_some() -> None:
    given = ["--config", "x", "--seeds", "3", "--seed=4", "--set", "a=--seeds", "--json", "--run-dir", "d"]
    assert _without(given, {"--seeds": 1, "--seed": 1, "--run-dir": 1, "--json": 0}) == [
        "--config", "x", "--set", "a=--seeds",
    ]  # fmt: skip


def test_the_table_is_narrow_and_leaves_out_what_is_undefined() -> None:
    def of(accuracy: float, area: float | None) -> dict[str, dict[str, float | None]]:
        return {"accuracy": {"value": accuracy}, "roc_auc": {"value": area}}

    runs = [SeedRun(0, "a", of(0.9, 0.95)), SeedRun(1, "b", of(0.8, None))]
    assert spreads(runs, "validation") == {"accuracy": pytest.approx({"mean": 0.85, "sd": stdev([0.9, 0.8])})}
    lines = table(runs, "validation")
    assert "roc_auc" not in lines[0] and len(lines) == 5 and max(map(len, lines)) <= 80
