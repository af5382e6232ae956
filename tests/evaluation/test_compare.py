"""Comparisons of predictions against SciPy, scikit-learn and statsmodels; `rnnsent compare`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from scipy.stats import binomtest, bootstrap, norm
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from rnnsent.evaluation.compare import compare, compared_metrics, differing, paired_warning
from rnnsent.evaluation.intervals import holm, mcnemar, paired_difference
from rnnsent.evaluation.metrics import METRICS, Sample
from rnnsent.evaluation.predictions import Predictions
from rnnsent.evaluation.slices import Slice
from tests.conftest import rnnsent
from tests.reporting.written import write_run

N = 400


def predicted(seed: int, strength: float, labels: Any, size: int = 2) -> Predictions:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(len(labels), size)) + strength * np.eye(size)[labels]
    return Predictions.of(labels, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))


def of_label(labels: Any, probability: float, wrong: Any = slice(0)) -> Predictions:
    """Return predictions that give the real label one probability, except at `wrong`, where the other label has it."""
    said = np.array(labels)
    said[wrong] = 1 - said[wrong]
    return Predictions.of(labels, np.where(np.eye(2)[said] == 1, probability, 1 - probability))


@pytest.mark.parametrize("size", [2, 3])
def test_weighted_metrics_equal_scikit_learn(size: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, size, N)
    predictions, w = predicted(1, 1.0, labels, size), rng.integers(1, 4, N)
    sample = Sample(predictions, w.astype(float))
    guess, q, one_hot = predictions.predicted, predictions.probabilities, np.eye(size)[labels]
    macro = {"average": "binary" if size == 2 else "macro", "sample_weight": w}
    real, scores = (labels, q[:, 1]) if size == 2 else (one_hot, q)
    expected = {
        "accuracy": sk.accuracy_score(labels, guess, sample_weight=w),
        "precision": sk.precision_score(labels, guess, **macro),
        "recall": sk.recall_score(labels, guess, **macro),
        "f1": sk.f1_score(labels, guess, **macro),
        "roc_auc": sk.roc_auc_score(real, scores, sample_weight=w),
        "log_loss": sk.log_loss(labels, q, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, guess, sample_weight=w),
        "mcc": sk.matthews_corrcoef(labels, guess, sample_weight=w),
        "pr_auc": sk.average_precision_score(real, scores, sample_weight=w),
        "brier": np.average(((q - one_hot) ** 2).sum(axis=1) / (2 if size == 2 else 1), weights=w),
    }
    assert {name: METRICS[name].function(sample) for name in compared_metrics()} == pytest.approx(expected, abs=1e-9)


def test_a_pair_equals_statsmodels_and_scipy() -> None:
    labels = np.random.default_rng(0).integers(0, 2, N)
    one, two = predicted(1, 0.8, labels), predicted(2, 1.6, labels)
    (found,) = compare([one, two], [])
    table = [[int((one.right & two.right).sum()), found.only_first], [found.only_other, 0]]
    assert found.p_value == pytest.approx(reference_mcnemar(table, exact=True).pvalue)
    gain = two.right.astype(float) - one.right
    assert found.differences["accuracy"].value == pytest.approx(gain.mean())
    assert found.significant and found.values["accuracy"] == (one.right.mean(), two.right.mean())
    losses = np.log(one.of_real) - np.log(two.of_real)
    for name, gains in (("accuracy", gain), ("log_loss", losses)):
        interval = bootstrap((gains,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0))
        low, high = interval.confidence_interval
        difference = found.differences[name]
        # The prior widens them a little.
        assert [difference.low, difference.high] == pytest.approx([low, high], abs=(high - low) / 10)
    (same,) = compare([one, one], [])
    assert (same.p_value, same.significant, same.flips, same.same) == (1.0, False, [], True)
    assert all(each.low == each.high == 0 for each in same.differences.values())


def test_two_that_agree_on_few_texts_need_not_agree_on_all() -> None:
    labels = np.tile([0, 1], 20)
    half = Slice("g", "the first half", np.arange(40) < 20)
    (found,) = compare([of_label(labels, 0.99), of_label(labels, 0.9)], [half])
    assert found.only_first == found.only_other == 0 and not found.significant
    for estimate in (found.differences["accuracy"], found.differences["mcc"], found.slices[0].difference):
        assert estimate.low is not None and estimate.high is not None
        assert estimate.low < -0.02 and estimate.high > 0.02 and estimate.value == 0


@pytest.mark.parametrize(("lost", "won", "total"), [(5, 14, 100), (0, 0, 30), (3, 0, 3), (40, 38, 1000)])
def test_paired_difference_has_the_normal_interval_with_one_more_text_each_way(lost: int, won: int, total: int) -> None:
    """Bonett and Price (2012), section 3."""
    gains = np.repeat([-1, 1, 0], [lost + 1, won + 1, total - lost - won])
    low, high = norm.interval(0.95, gains.mean(), gains.std() / np.sqrt(len(gains)))
    found = paired_difference(lost, won, total)
    assert found.value == (won - lost) / total
    assert (found.low, found.high) == pytest.approx((max(min(low, found.value), -1), min(high, 1)))


@pytest.mark.slow
def test_paired_intervals_cover_the_truth() -> None:
    """Of 200 samples 190 intervals should contain the true difference; fewer than 181 do with probability 0.0027.

    Percentiles of the bootstrap are a little short on few texts (benchmarks/coverage.py --pairs): 174.
    """
    labels = np.random.default_rng(7).integers(0, 2, 400_000)
    one, two = (Sample(predicted(seed, strength, labels)) for seed, strength in ((8, 1.0), (9, 1.5)))
    truth = {name: METRICS[name].function(two) - METRICS[name].function(one) for name in compared_metrics()}
    rng = np.random.default_rng(5)
    held = dict.fromkeys(truth, 0)
    for seed in range(200):
        labels = rng.integers(0, 2, 150)
        pair = [predicted(2 * seed + 10, 1.0, labels), predicted(2 * seed + 11, 1.5, labels)]
        (found,) = compare(pair, [], resamples=200, seed=seed)
        for name, difference in found.differences.items():
            assert difference.low is not None and difference.high is not None
            held[name] += difference.low <= truth[name] <= difference.high
    assert held["accuracy"] >= 181 and min(held.values()) >= 174, held


@pytest.mark.parametrize("seed", range(3))
def test_holm_equals_statsmodels(seed: int) -> None:
    p_values = (np.random.default_rng(seed).random(6) ** 3).tolist()
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1])


def test_a_pair_does_not_depend_on_which_others_are_compared() -> None:
    labels = np.random.default_rng(0).integers(0, 2, 60)
    first, second, third = (predicted(seed, 1.0, labels) for seed in (1, 2, 3))
    (alone,), (_, beside) = compare([first, third], []), compare([first, second, third], [])
    assert alone.differences == beside.differences


def test_slices_and_flips() -> None:
    labels = np.zeros(200, np.int64)
    early = np.arange(200) < 50
    worse = np.where(early[:, None], [0.2, 0.8], [0.8, 0.2])
    worse[7] = [0.01, 0.99]
    slices = [Slice("g", "early", early), Slice("g", "late", ~early)]
    (found,) = compare([of_label(labels, 0.9), Predictions.of(labels, worse)], slices)
    first, late = found.slices
    assert (first.name, first.first, first.other, first.difference.value) == ("early", 1.0, 0.0, -1.0)
    assert first.significant and not late.significant and late.p_value == 1.0
    assert found.flips[0].index == 7 and not found.flips[0].better and found.flips[0].other == pytest.approx(0.01)
    assert found.only_first == 50 and len(found.flips) == 20


def test_few_discordant_texts_of_a_label_are_warned_of() -> None:
    labels = np.tile([0, 1], 100)
    wrong = np.concatenate([np.arange(0, 40, 2), np.arange(1, 19, 2)])  # 20 of label 0, 9 of label 1
    (found,) = compare([of_label(labels, 0.9), of_label(labels, 0.9, wrong)], [], resamples=10)
    assert found.discordant == [20, 9]
    warning = paired_warning(dict(zip(("bad", "good"), found.discordant, strict=True)))
    assert "(9 of good): with fewer than 10 of a label" in warning
    assert not paired_warning({"bad": 10, "good": 10})


@pytest.mark.parametrize(("one", "other"), [(0, 0), (1, 0), (5, 5), (3, 12), (40, 90), (700, 800)])
def test_mcnemar_is_the_binomial_test(one: int, other: int) -> None:
    expected = binomtest(one, one + other).pvalue if one + other else 1.0
    assert mcnemar(one, other) == pytest.approx(expected, rel=1e-9)


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
    trained = rnnsent("train", "--config", str(tiny_config), "--run-dir", "two", "--epochs", "2", "--seed", "5")
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
    assert values["runs"][1]["costs"]["epochs"] == 2 and not pair["same"]
    again = rnnsent("compare", *two_runs, "--json")
    assert again.stdout == result.stdout and "evaluating" not in again.stderr

    shown = rnnsent("compare", *two_runs)
    assert shown.exit_code == 0 and all(len(row) <= 80 for row in shown.stdout.splitlines())
    words = " ".join(shown.stdout.split())
    assert "McNemar's exact test" in words and "config.training.epochs: 1 → 2" in words
    assert "all intervals but that of accuracy may be too narrow" in words
    same = rnnsent("compare", "one", "one").stdout
    assert "All probabilities are equal" in same and "McNemar" not in same and "too narrow" not in same
    three = rnnsent("compare", *two_runs, "one").stdout
    assert three.count("Other seeds") == 1 and "corrected for the number of runs (Holm)" in " ".join(three.split())
    assert rnnsent("compare", "one").exit_code == 2


def test_other_texts_are_refused() -> None:
    write_run(Path("one"))
    for changes, reason in (
        ({"sha256": "1" * 64, "texts_sha256": "2" * 64}, "other files: "),
        ({"labels": ("bad", "good")}, "other labels: negative, positive and bad, good"),
        ({"texts_sha256": "2" * 64}, "other splits of one file (data.split_seed"),
    ):
        write_run(Path("two"), **changes)
        result = rnnsent("compare", "one", "two")
        assert result.exit_code == 1, result.stderr
        assert f"one and two cannot be compared, their test texts differ: {reason}" in result.stderr
        shutil.rmtree("two")
