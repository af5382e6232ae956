"""The skeptic's baseline, its n-grams and its ratios, against plain Python and scikit-learn."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from rnnsent.data.dataset import Split
from rnnsent.evaluation.baseline import fit
from rnnsent.models import ngram_weights
from rnnsent.models.ngram_weights import Ngrams, ending_keys, log_count_ratios, ngram_sets
from tests.conftest import rnnsent

SEQUENCES = st.lists(st.lists(st.integers(0, 6), max_size=9), min_size=1, max_size=8)


def split_of(sequences: list[list[int]], labels: list[int] | None = None) -> Split:
    return Split.from_sequences(sequences, labels or [0] * len(sequences))


def plain(sequence: list[int], order: int) -> list[tuple[int, ...]]:
    return [tuple(sequence[at : at + order]) for at in range(len(sequence) - order + 1)]


@settings(derandomize=True, deadline=None)
@given(SEQUENCES, st.integers(1, 3))
def test_keys_tell_ngrams_apart_and_stay_inside_reviews(sequences: list[list[int]], order: int) -> None:
    keys = ending_keys(split_of(sequences), order)
    keys = keys[keys >= 0]
    expected = [gram for sequence in sequences for gram in plain(sequence, order)]
    assert len(set(zip(keys.tolist(), expected, strict=True))) == len(set(keys.tolist())) == len(set(expected))


@settings(derandomize=True, deadline=None)
@given(SEQUENCES, st.integers(1, 3))
def test_a_review_holds_an_ngram_once(sequences: list[list[int]], order: int) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(ngram_weights, "CHUNK", 3)
    sets = ngram_sets(split_of(sequences), order)
    patch.undo()
    held = Counter(index for _, reviews in sets for index in reviews.tolist())
    assert held == Counter({index: len(set(plain(s, order))) for index, s in enumerate(sequences) if plain(s, order)})


def test_the_matrix_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    train, test = ([rng.integers(4, 30, rng.integers(0, 25)).tolist() for _ in range(60)] for _ in range(2))
    texts, others = ([" ".join(f"w{id_}" for id_ in sequence) for sequence in part] for part in (train, test))
    vectorizer = CountVectorizer(ngram_range=(1, 3), binary=True, min_df=2, token_pattern=r"\S+")
    expected = vectorizer.fit_transform(texts)
    found = Ngrams(split_of(train))
    assert found.size == expected.shape[1]
    for sequences, reference in ((train, expected), (test, vectorizer.transform(others))):
        matrix = found.matrix(split_of(sequences))
        assert matrix.shape == reference.shape
        np.testing.assert_array_equal(np.sort(matrix.sum(axis=0)), np.sort(reference.sum(axis=0)))
        np.testing.assert_array_equal(matrix.sum(axis=1), reference.sum(axis=1))


def test_ratios_are_those_of_the_paper() -> None:
    from scipy import sparse

    matrix = sparse.csr_matrix(np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1]], np.float32))
    found = log_count_ratios(matrix, np.array([True, True, False]))
    p, q = [3.0, 2.0, 1.0], [1.0, 2.0, 2.0]
    expected = [math.log((a / sum(p)) / (b / sum(q))) for a, b in zip(p, q, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def labeled(count: int, labels: int, seed: int, *, shuffled: bool = False) -> Split:
    rng = np.random.default_rng(seed)
    found = rng.integers(0, labels, count)
    sequences = [[1, *rng.integers(20, 60, 12).tolist(), 4 + int(label), 10 + int(label)] for label in found]
    return split_of(sequences, (rng.permutation(found) if shuffled else found).tolist())


@pytest.mark.parametrize("labels", [2, 3])
def test_it_learns_what_words_tell(labels: int) -> None:
    told: list[str] = []
    fitted = fit(labeled(300, labels, 0), labeled(100, labels, 1), labels, told.append)
    test = labeled(200, labels, 2)
    found = fitted.probabilities(test)
    guesses = found.argmax(axis=1) if labels > 2 else found > 0.5
    assert (guesses == test.labels).mean() > 0.98
    assert len(told) == 4 and told[0].startswith("C 0.3: validation accuracy ")
    if labels > 2:
        np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_it_learns_nothing_from_labels_that_mean_nothing() -> None:
    fitted = fit(labeled(400, 2, 0, shuffled=True), labeled(200, 2, 1, shuffled=True))
    test = labeled(1000, 2, 2, shuffled=True)
    assert abs(((fitted.probabilities(test) > 0.5) == test.labels).mean() - 0.5) < 0.06


def test_the_command_writes_it_into_the_run_and_eval_shows_it(
    finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "run")
    first = rnnsent("baseline", "run")
    assert first.exit_code == 0, first.stderr
    assert "rnnsent eval run --split test" in first.stdout
    assert all(len(line) <= 80 for line in first.stdout.splitlines())
    recorded = json.loads(Path("run/metrics.json").read_text())["baseline"]
    assert recorded["test"]["accuracy"]["value"] > 0.9 and recorded["validation"] is None
    shown = rnnsent("eval", "run").stdout
    accuracy = recorded["test"]["accuracy"]["value"]
    assert "n-grams" in shown.splitlines()[2] and f"{accuracy:.4f}" in shown.splitlines()[3].split()[-1]
    again = json.loads(rnnsent("baseline", "run", "--split", "validation", "--json").stdout)
    assert again["n"] == 24
    recorded = json.loads(Path("run/metrics.json").read_text())["baseline"]
    assert recorded["validation"] == again["metrics"] and recorded["test"] is not None
    assert rnnsent("verify", "run", "--backend", "numpy").exit_code == 0


def test_eval_judges_it_too_where_it_is_asked_for(
    finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "run")
    assert "baseline" not in json.loads(rnnsent("eval", "run", "--json").stdout)
    first = rnnsent("eval", "run", "--baseline", "--json")
    assert first.exit_code == 0, first.stderr
    assert "C 0.3: validation accuracy" in first.stderr
    beside = json.loads(first.stdout)["baseline"]
    assert beside["accuracy"]["value"] > 0.9
    assert json.loads(Path("run/metrics.json").read_text())["baseline"]["test"] == beside
    again = rnnsent("eval", "run", "--baseline")
    assert "C 0.3" not in again.stderr and "n-grams" in again.stdout


def test_what_it_needs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnsent.models.ngram_weights.installed", lambda module: module != "sklearn")
    found = rnnsent("baseline", "--config", "lstm", "--data", "sample")
    assert found.exit_code == 1 and found.stdout == ""
    assert found.stderr.endswith("regression on n-grams needs scikit-learn: pip install 'rnnsent[baseline]'\n")


def test_it_needs_no_run() -> None:
    found = rnnsent("baseline", "--config", "lstm", "--data", "sample", "--split", "validation", "--json")
    assert found.exit_code == 0, found.stderr
    judged = json.loads(found.stdout)
    assert judged["run"] is None and 0.6 < judged["metrics"]["accuracy"]["value"] < 0.95
    shown = rnnsent("baseline", "--config", "lstm", "--data", "sample", "--split", "validation")
    assert shown.stdout.startswith("sample: validation") and "rnnsent eval" not in shown.stdout
    assert rnnsent("baseline", "run", "--config", "lstm").exit_code == 2
    named = rnnsent("baseline", "run", "--label-column", "mood")
    assert named.exit_code == 2 and "a run is as it is: --label-column needs --config" in named.stderr
    assert rnnsent("baseline", "--set", "data.maxlen=3").exit_code == 2


def test_it_takes_the_options_that_say_how_a_file_is_read() -> None:
    rows = [
        f"{'fine warm' if row % 2 else 'dull grey'} w{row % 7},{row},{'up' if row % 2 else 'down'}" for row in range(80)
    ]
    Path("t.csv").write_text("\n".join(["comment,number,mood", *rows]) + "\n")
    which = ("--text-column", "comment", "--label-column", "mood")
    found = rnnsent("baseline", "--config", "lstm", "--data", "t.csv", *which, "--json")
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout)["metrics"]["accuracy"]["value"] == 1.0
