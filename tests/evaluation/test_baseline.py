"""The n-gram baseline, its n-grams against scikit-learn."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from rnnsent.data.dataset import Split
from rnnsent.evaluation import baseline
from rnnsent.evaluation.baseline import fit
from rnnsent.models import ngram_weights
from rnnsent.models.ngram_weights import Ngrams
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import BaselineEvaluation
from tests.conftest import rnnsent


def split_of(sequences: list[list[int]], labels: list[int] | None = None) -> Split:
    return Split.from_sequences(sequences, labels or [0] * len(sequences))


def test_matrix_of_ngrams_equals_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngram_weights, "CHUNK", 7)
    rng = np.random.default_rng(0)
    train, test = ([rng.integers(4, 30, rng.integers(0, 25)).tolist() for _ in range(60)] for _ in range(2))
    texts, others = ([" ".join(f"w{id_}" for id_ in sequence) for sequence in part] for part in (train, test))
    vectorizer = CountVectorizer(ngram_range=(1, 3), binary=True, min_df=2, token_pattern=r"\S+")
    expected = vectorizer.fit_transform(texts)
    ngrams = Ngrams(split_of(train))
    assert ngrams.size == expected.shape[1]
    for sequences, reference in ((train, expected), (test, vectorizer.transform(others))):
        matrix = ngrams.matrix(split_of(sequences))
        assert matrix.shape == reference.shape
        np.testing.assert_array_equal(np.sort(matrix.sum(axis=0)), np.sort(reference.sum(axis=0)))
        np.testing.assert_array_equal(matrix.sum(axis=1), reference.sum(axis=1))


def labeled(count: int, labels: int, seed: int, *, shuffled: bool = False) -> Split:
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, labels, count)
    sequences = [[1, *rng.integers(20, 60, 12).tolist(), 4 + int(label), 10 + int(label)] for label in drawn]
    return split_of(sequences, (rng.permutation(drawn) if shuffled else drawn).tolist())


@pytest.mark.parametrize("labels", [2, 3])
def test_baseline_learns_what_words_tell(labels: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "rnnsent"):
        fitted = fit(labeled(300, labels, 0), labeled(100, labels, 1), labels)
    test = labeled(200, labels, 2)
    probabilities = fitted.probabilities(test)
    predicted = probabilities.argmax(axis=1) if labels > 2 else probabilities > 0.5
    assert (predicted == test.labels).mean() > 0.98
    assert caplog.text.count("validation accuracy") == 4 and fitted.strength in (0.3, 1.0, 3.0, 10.0)
    if labels > 2:
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


def test_baseline_learns_nothing_from_random_labels() -> None:
    fitted = fit(labeled(400, 2, 0, shuffled=True), labeled(200, 2, 1, shuffled=True))
    test = labeled(1000, 2, 2, shuffled=True)
    assert abs(((fitted.probabilities(test) > 0.5) == test.labels).mean() - 0.5) < 0.06


@pytest.fixture
def run(finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    return Run(Path(shutil.copytree(finished_run, "run")))


def test_baseline_is_written_beside_the_run_and_eval_shows_it(run: Run) -> None:
    first = rnnsent("baseline", "run")
    assert first.exit_code == 0, first.stderr
    assert "rnnsent eval run --split test" in first.stdout
    assert all(len(line) <= 80 for line in first.stdout.splitlines())
    record = run.evaluation("test", BaselineEvaluation, "baseline")
    assert record is not None and (record.metrics["accuracy"].value or 0) > 0.9
    shown = rnnsent("eval", "run", "--full").stdout.splitlines()
    (head,) = (number for number, line in enumerate(shown) if line.split()[-1:] == ["baseline"])
    assert shown[head + 1].split()[-1] == f"{record.metrics['accuracy'].value:.4f}"
    assert rnnsent("baseline", "run").stdout.splitlines()[2].split()[-1] == "network"
    validation = json.loads(rnnsent("baseline", "run", "--split", "validation", "--json").stdout)
    assert validation["n"] == 24 and run.evaluation("test", BaselineEvaluation, "baseline") is not None
    run.verify()


def test_eval_evaluates_the_baseline_on_request(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_CACHE", "cache")
    assert json.loads(rnnsent("eval", "run", "--json").stdout)["baseline"] is None
    first = rnnsent("eval", "run", "--baseline", "--json")
    assert first.exit_code == 0 and "C 0.3, validation accuracy" in first.stderr
    assert json.loads(first.stdout)["baseline"]["accuracy"]["value"] > 0.9
    again = rnnsent("eval", "run", "--baseline")
    assert "C 0.3" not in again.stderr and "baseline" in again.stdout


def test_baseline_is_fitted_once_and_compared_in_pairs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_CACHE", "cache")
    warn = ngram_weights.logistic_regression

    def noisy(strength: float) -> object:
        warnings.warn("scikit-learn will change", FutureWarning, stacklevel=2)
        return warn(strength)

    monkeypatch.setattr(baseline, "logistic_regression", noisy)
    first = rnnsent("eval", "run", "--baseline")
    assert "C 0.3" in first.stderr and "will change" not in first.stderr + first.stdout
    shutil.copytree("run", "other", ignore=shutil.ignore_patterns("evaluations"))
    for arguments in (["eval", "other", "--baseline"], ["baseline", "run", "--split", "validation"]):
        assert "C 0.3" not in rnnsent(*arguments).stderr
    values = json.loads(rnnsent("eval", "run", "--json").stdout)
    pair, accuracy = values["baseline_comparison"], values["metrics"]["accuracy"]["value"]
    assert pair["difference"]["value"] == pytest.approx(accuracy - values["baseline"]["accuracy"]["value"])
    assert (pair["only_network"] - pair["only_baseline"]) / 120 == pytest.approx(pair["difference"]["value"])
    assert pair["verdict"][:30] in " ".join(first.stdout.split())
    assert pair["difference"]["low"] < pair["difference"]["value"] < pair["difference"]["high"]
    Path("run/evaluations/test-baseline-predictions.csv").unlink()  # as of a version without
    assert "--baseline tests if" in rnnsent("eval", "run").stdout


def test_baseline_without_scikit_learn_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    result = rnnsent("baseline", "--config", "lstm", "--data", "sample")
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.endswith("pip install 'rnnsent[baseline]'\n")


def test_baseline_needs_no_run() -> None:
    rows = [
        f"{'fine warm' if row % 2 else 'dull grey'} w{row % 7},{row},{'up' if row % 2 else 'down'}" for row in range(80)
    ]
    Path("t.csv").write_text("\n".join(["comment,number,mood", *rows]) + "\n")
    arguments = ("--config", "lstm", "--data", "t.csv", "--text-column", "comment", "--label-column", "mood")
    result = rnnsent("baseline", *arguments, "--split", "validation", "--json")
    assert result.exit_code == 0, result.stderr
    values = json.loads(result.stdout)
    assert values["run"] is None and values["metrics"]["accuracy"]["value"] == 1.0
    shown = rnnsent("baseline", *arguments).stdout
    assert shown.startswith("t.csv: test") and "rnnsent eval" not in shown
    assert rnnsent("baseline", "run", "--config", "lstm").exit_code == 2
    refused = rnnsent("baseline", "run", "--label-column", "mood")
    assert refused.exit_code == 2 and "--label-column only works with --config" in refused.stderr
    assert rnnsent("baseline", "--set", "data.maxlen=3").exit_code == 2
