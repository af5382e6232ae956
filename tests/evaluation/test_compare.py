"""`rnnsent compare`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rnnsent.evaluation.compare import differing
from tests.conftest import rnnsent


def test_differing_keys() -> None:
    one = {"a": 1, "b": {"c": [1, 2], "d": [{"e": 1}]}, "only": None}
    two = {"a": 1, "b": {"c": [1, 3], "d": [{"e": 2}, {"e": 3}]}}
    assert differing(one, two) == {"b.c": ([1, 2], [1, 3]), "b.d.0.e": (1, 2), "b.d.1.e": (None, 3)}


@pytest.fixture
def two_runs(
    finished_run: Path, tiny_imdb: Path, tiny_config: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "one")
    trained = rnnsent("train", "--config", str(tiny_config), "--run-dir", "two", "--epochs", "3", "--seed", "5")
    assert trained.exit_code == 0, trained.stderr
    return "one", "two"


def test_runs_are_compared_and_evaluated_if_they_were_not(two_runs: tuple[str, str]) -> None:
    assert rnnsent("eval", "one").exit_code == 0
    result = rnnsent("compare", *two_runs, "--json")
    assert result.exit_code == 0, result.stderr
    assert "two: not evaluated on the test texts yet; evaluating it now" in result.stderr
    assert "one: not evaluated" not in result.stderr
    (line,) = result.stdout.splitlines()
    values = json.loads(line)
    (pair,) = values["comparisons"]
    evaluations = [json.loads(Path(run, "evaluations/test.json").read_text()) for run in two_runs]
    accuracies = [evaluation["metrics"]["accuracy"]["value"] for evaluation in evaluations]
    assert [pair["metrics"]["accuracy"][key] for key in ("first", "other")] == pytest.approx(accuracies)
    assert pair["differences"]["config.training.seed"] == [0, 5]
    assert values["runs"][1]["costs"]["epochs"] == 3 and not pair["same"]
    again = rnnsent("compare", *two_runs, "--json")
    assert again.stdout == result.stdout and "evaluating" not in again.stderr


def test_the_report_says_if_runs_differ(two_runs: tuple[str, str]) -> None:
    shown = rnnsent("compare", *two_runs)
    assert shown.exit_code == 0 and all(len(row) <= 80 for row in shown.stdout.splitlines())
    words = " ".join(shown.stdout.split())
    assert "McNemar's exact test" in words and "config.training.epochs: 1 → 3" in words
    assert "all intervals but that of accuracy may be too narrow" in words
    same = rnnsent("compare", "one", "one").stdout
    assert "All probabilities are equal" in same and "McNemar" not in same and "too narrow" not in same
    three = rnnsent("compare", *two_runs, "one").stdout
    assert three.count("Other seeds") == 1 and "corrected for the number of runs (Holm)" in " ".join(three.split())
    assert rnnsent("compare", "one").exit_code == 2


def test_other_texts_are_refused(two_runs: tuple[str, str], sample_run: Path) -> None:
    shutil.copytree(sample_run, "sample")
    result = rnnsent("compare", "one", "sample")
    assert result.exit_code == 1 and "cannot be compared, their test texts differ: other files" in result.stderr


def test_other_splits_of_one_file_are_refused() -> None:
    # Sorted by label: whatever is drawn, the labels of the test texts are the same ones in the same order.
    rows = [f"{word} film number {n},{word}" for word in ("bad", "good") for n in range(40)]
    Path("sorted.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    for seed in (1, 2):
        arguments = ["train", "--config", "gru", "--data", "sorted.csv", "--epochs", "1", "--run-dir", f"drawn-{seed}"]
        trained = rnnsent(*arguments, "--set", f"data.split_seed={seed}")
        assert trained.exit_code == 0, trained.stderr
    for split in ("test", "validation"):
        result = rnnsent("compare", "drawn-1", "drawn-2", "--split", split)
        assert result.exit_code == 1 and "other splits of one file (data.split_seed" in result.stderr
