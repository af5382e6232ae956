"""Robustness: accuracies on texts unlike those of training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rnnsent.data.dataset import Split
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.engine import kernel
from rnnsent.evaluation.robustness import challenge_set, measure, with_typos
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import CalibrationInfo, RobustnessEvaluation
from tests.conftest import rnnsent


@pytest.fixture(autouse=True)
def run(finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "run")


def test_robustness_agrees_with_eval_and_adds_up() -> None:
    result = rnnsent("robustness", "run", "--json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)["rows"]
    evaluated = json.loads(rnnsent("eval", "run", "--json").stdout)
    assert rows[0]["accuracy"] == evaluated["metrics"]["accuracy"]
    lengths = [row for row in rows if row["group"] == "length"]
    assert lengths == [row for row in evaluated["slices"] if row["group"] == "length"] and len(lengths) == 4
    assert [row["name"] for row in rows if row["group"] == "challenge set"] == [
        "negations", "contrasts", "not about films",
    ]  # fmt: skip
    record = Run(Path("run")).evaluation("test", RobustnessEvaluation, "robustness")
    assert record is not None and [row.name for row in record.rows] == [row["name"] for row in rows]
    shown = rnnsent("robustness", "run").stdout
    assert max(map(len, shown.splitlines())) <= 80
    for row in (rows[0], rows[-1]):
        assert f"{row['accuracy']['value']:.4f}" in next(
            line for line in shown.splitlines() if f"  {row['name']} " in line
        )


def test_validation_texts_are_scored_without_what_was_fitted_on_them() -> None:
    run = Run(Path("run"))
    run.write_record("calibration.json", CalibrationInfo(threshold=0.999, texts=200))
    run.finish()
    rows = {}
    for split in ("validation", "test"):
        first = json.loads(rnnsent("robustness", "run", "--json", "--split", split).stdout)["rows"][0]
        evaluated = json.loads(rnnsent("eval", "run", "--json", "--split", split).stdout)
        assert first["accuracy"] == evaluated["metrics"]["accuracy"]
        rows[split] = first["accuracy"]["value"]
    assert rows["validation"] > rows["test"] + 0.1
    assert rnnsent("report", "run", "--split", "validation").exit_code == 0
    assert "Correct, of median confidence: positive" in Path("run/report.html").read_text(encoding="utf-8")


def test_backends_agree_on_robustness() -> None:
    by = {}
    for backend in ["numpy", "keras", *(["native"] if kernel.available() else [])]:
        result = rnnsent("robustness", "run", "--json", "--split", "validation", "--backend", backend)
        assert result.exit_code == 0 and f"backend: {backend} (" in result.stderr
        by[backend] = json.loads(result.stdout)["rows"]
    for one, *others in zip(*by.values(), strict=True):
        assert {row["texts"] for row in others} == {one["texts"]}
        for row in others:  # a probability of one half may fall to either side
            assert row["accuracy"]["value"] == pytest.approx(one["accuracy"]["value"], abs=1.5 / one["texts"])
    refused = rnnsent("robustness", "run", "--backend", "numpy", "--device", "gpu")
    assert refused.exit_code == 1 and "backend: must be keras on gpu" in refused.stderr


class Counting:
    """A classifier that finds a text positive if a word stands in it."""

    label_names = ("bad", "good")

    def __init__(self, words: tuple[str, ...]) -> None:
        self.vocabulary = Vocabulary(words, None, "unknown")
        self.id = self.vocabulary.id_of(words[0])

    def right(self, split: Split) -> np.ndarray:
        return np.array([(self.id in split.sequence(at)) == label for at, label in enumerate(split.labels.tolist())])


def test_typos_cost_what_they_hide() -> None:
    network = Counting(("excellent", "filler"))
    texts = [["filler", "excellent"], ["filler", "filler"]] * 2000
    split = Split.from_words(network.vocabulary, texts, np.array([1, 0] * 2000))
    rows = {row.name: row.accuracy.value or 0 for row in measure(network, split)}  # type: ignore[arg-type]
    assert rows["all texts"] == 1.0
    for share in (0.01, 0.05, 0.10):  # half of the reviews have the word; an error in it is always one
        assert 1 - rows[f"in {share:.0%} of the words"] == pytest.approx(share / 2, abs=0.01)
    assert "negations" not in rows  # its labels are others


def test_typos_are_of_four_kinds_and_as_many_as_requested() -> None:
    words = ["wonderful", "a", "film"] * 3000
    found = with_typos(words, 0.3, np.random.default_rng(0))
    changed = [(one, other) for one, other in zip(words, found, strict=True) if one != other]
    assert len(changed) / 6000 == pytest.approx(0.29, abs=0.03)  # now and then a letter is replaced by itself
    assert all(one != "a" for one, _ in changed)
    lengths = {len(other) - len(one) for one, other in changed}
    assert lengths == {-1, 0, 1}
    swapped = [other for one, other in changed if len(one) == len(other) and sorted(one) == sorted(other)]
    replaced = [other for one, other in changed if len(one) == len(other) and sorted(one) != sorted(other)]
    assert swapped and replaced
    assert with_typos(words, 0.0, np.random.default_rng(0)) == words


def test_challenges_are_balanced_and_all_different() -> None:
    for texts in challenge_set().values():
        assert len({text for text, _ in texts}) == len(texts) >= 48
        assert sum(positive for _, positive in texts) * 2 == len(texts)
