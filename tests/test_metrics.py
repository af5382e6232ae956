"""The metrics against scikit-learn and SciPy, their intervals against what intervals promise."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from scipy.stats import binomtest

from rnnsent import metrics
from rnnsent.intervals import Estimate, doubts, proportion
from rnnsent.metrics import Evaluation, evaluate

Data = tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.float64]]]


def reviews(n: int = 400, seed: int = 0, decimals: int = 16) -> Data:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    logits = rng.normal(size=n) + 1.5 * labels - 0.9
    return labels, np.round(1 / (1 + np.exp(-logits)), decimals)


@pytest.mark.parametrize("threshold", [0.5, 0.3])
@pytest.mark.parametrize("decimals", [16, 2, 1, 0], ids=["distinct", "ties", "many-ties", "two-values"])
@pytest.mark.parametrize("seed", [0, 1])
def test_values_equal_scikit_learn(seed: int, decimals: int, threshold: float) -> None:
    labels, probabilities = reviews(seed=seed, decimals=decimals)
    found = evaluate(labels, probabilities, threshold=threshold, resamples=0)
    predicted = probabilities > threshold
    expected = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "precision": sk.precision_score(labels, predicted),
        "recall": sk.recall_score(labels, predicted),
        "f1": sk.f1_score(labels, predicted),
        "roc_auc": sk.roc_auc_score(labels, probabilities),
        "log_loss": sk.log_loss(labels, np.clip(probabilities, 1e-7, 1 - 1e-7)),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "mcc": sk.matthews_corrcoef(labels, predicted),
        "pr_auc": sk.average_precision_score(labels, probabilities),
        "brier": sk.brier_score_loss(labels, probabilities),
    }
    values = {name: estimate["value"] for name, estimate in found.to_dict().items()}
    del values["ece"]  # which has tests of its own
    assert values == pytest.approx(expected)
    for label, of_label in enumerate(found.by_label):
        by_label = sk.precision_recall_fscore_support(labels, predicted, labels=[label])
        estimates = (of_label.precision, of_label.recall, of_label.f1)
        assert [estimate.value for estimate in estimates] == pytest.approx([float(value[0]) for value in by_label[:3]])
        assert of_label.reviews == by_label[3][0]
    assert found.confusion == sk.confusion_matrix(labels, predicted).tolist()
    assert found.confusion == metrics.confusion_matrix(labels, probabilities, threshold)
    assert metrics.roc_auc(labels, probabilities) == pytest.approx(expected["roc_auc"])
    assert metrics.log_loss(labels, probabilities) == pytest.approx(expected["log_loss"])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0])), min_size=1, max_size=12))
def test_roc_auc_counts_the_pairs_in_order(rows: list[tuple[bool, float]]) -> None:
    positives = [p for label, p in rows if label]
    negatives = [p for label, p in rows if not label]
    pairs = [(p > q) + (p == q) / 2 for p in positives for q in negatives]
    found = metrics.roc_auc(*zip(*rows, strict=True))
    assert found == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)


@pytest.mark.parametrize(("successes", "total"), [(0, 10), (10, 10), (1, 1), (7, 10), (88, 100), (22900, 25000)])
def test_proportion_equals_scipy(successes: int, total: int) -> None:
    found = proportion(successes, total)
    expected = binomtest(successes, total).proportion_ci(method="wilson")
    assert found.value == successes / total
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_proportion_equals_the_literature() -> None:
    """81 of 263: Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3."""
    found = proportion(81, 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    zero = proportion(0, 20)  # the same table
    assert (zero.low, zero.high) == pytest.approx((0, 0.1611), abs=5e-5)


def test_proportion_of_nothing_is_undefined_and_nonsense_is_refused() -> None:
    assert proportion(0, 0) == Estimate(None, None, None)
    with pytest.raises(ValueError, match=r"successes must lie in 0\.\.3"):
        proportion(4, 3)


def test_probability_at_the_threshold_is_class_0_as_in_keras() -> None:
    assert evaluate([0, 1], [0.5, 0.5], resamples=0).confusion == [[1, 0], [1, 0]]
    assert metrics.confusion_matrix([1], np.array([0.3], np.float32), 0.3) == [[0, 0], [1, 0]]


def test_bootstrap_depends_on_the_seed_and_not_on_the_order() -> None:
    labels, probabilities = reviews(decimals=2)
    first = evaluate(labels, probabilities, seed=3, resamples=50)
    order = np.random.default_rng(0).permutation(len(labels))
    assert first == evaluate(labels, probabilities, seed=3, resamples=50)
    assert first == evaluate(labels[order], probabilities[order], seed=3, resamples=50)
    other = evaluate(labels, probabilities, seed=4, resamples=50)
    assert other.roc_auc.value == first.roc_auc.value
    assert other.roc_auc != first.roc_auc
    assert other.accuracy == first.accuracy


def test_bootstrap_equals_a_plain_one_in_width() -> None:
    labels, probabilities = reviews(300)
    found = evaluate(labels, probabilities, resamples=1000)
    rng = np.random.default_rng(1)
    plain: dict[str, list[float]] = {"f1": [], "log_loss": [], "roc_auc": []}
    for _ in range(400):
        rows = rng.integers(0, 300, 300)
        y, p = labels[rows], probabilities[rows]
        plain["f1"].append(sk.f1_score(y, p > 0.5))
        plain["log_loss"].append(float(-np.log(np.where(y == 1, p, 1 - p)).mean()))
        plain["roc_auc"].append(sk.roc_auc_score(y, p))
    for name, samples in plain.items():
        low, high = np.percentile(samples, [2.5, 97.5])
        estimate = found.to_dict()[name]
        if name == "roc_auc":  # of the logits
            center, spread = special.logit(estimate["value"]), 1.96 * np.std(special.logit(samples))
            low, high = special.expit([center - spread, center + spread])
        # An interval of 90 % would be off by a twelfth of the width at both ends; the logits of areas scatter more.
        assert [estimate["low"], estimate["high"]] == pytest.approx(
            [low, high], abs=(high - low) / (10 if name == "roc_auc" else 14)
        ), name


def test_intervals_cover_the_truth() -> None:
    """Of 100 samples of 200 reviews, 95 intervals should hold the true area; 88 to 100 is chance."""
    truth = evaluate(*reviews(400_000, seed=99), resamples=0)
    covered = dict.fromkeys(truth.to_dict(), 0)
    for seed in range(100):
        found = evaluate(*reviews(200, seed=seed), resamples=200).to_dict()
        for name, true in truth.to_dict().items():
            low, high, value = found[name]["low"], found[name]["high"], true["value"]
            assert low is not None and high is not None and value is not None
            covered[name] += low <= value <= high
    assert all(88 <= count <= 100 for count in covered.values()), covered


def test_undefined_is_none_and_safe_in_json() -> None:
    silent = evaluate([1, 0], [0.1, 0.2], resamples=20)  # nothing predicted positive
    assert silent.precision == Estimate(None, None, None)
    assert (silent.recall.value, silent.f1.value) == (0.0, 0.0)
    negative = evaluate([0, 0, 0], [0.1, 0.2, 0.3], resamples=20)  # one class, none predicted of the other
    assert [negative.recall, negative.f1, negative.roc_auc] == [Estimate(None)] * 3
    assert negative.accuracy.value == 1.0
    assert metrics.roc_auc([1, 1], [0.5, 0.6]) is None
    text = json.dumps({**negative.to_dict(), "confusion": negative.confusion}, allow_nan=False)
    assert json.loads(text)["roc_auc"] == {"value": None, "low": None, "high": None}


def test_resamples_without_both_classes_are_left_out() -> None:
    found = evaluate([0, 1], [0.2, 0.8], resamples=200)
    assert found.roc_auc == Estimate(1.0, 1.0, 1.0)


def test_certain_mistakes_cost_a_finite_loss() -> None:
    assert metrics.log_loss([1, 0], [0.0, 1.0]) == pytest.approx(-np.log(1e-7))
    assert metrics.log_loss([1, 0], np.array([1, 0], np.float32)) == pytest.approx(1e-7, rel=1e-3)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [0.5], r"must be \(n,\) both, not \(2,\) and \(1,\)"),
        ([[0], [1]], [[0.5], [0.5]], r"must be \(n,\) both"),
        ([], [], "nothing to evaluate"),
        ([0, 2], [0.5, 0.5], "labels must be 0 or 1; row 1 is 2"),
        ([0.0, float("nan")], [0.5, 0.5], "labels must be 0 or 1; row 1 is nan"),
        ([0, 1], [0.5, float("nan")], r"probabilities must lie in \[0, 1\]; row 1 is nan"),
        ([0, 1], [1.5, 0.5], r"probabilities must lie in \[0, 1\]; row 0 is 1.5"),
        ([0, 1], [-0.1, 0.5], r"probabilities must lie in \[0, 1\]; row 0 is -0.1"),
    ],
)
def test_bad_input_is_refused(labels: Any, probabilities: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(labels, probabilities)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_bad_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        evaluate([0, 1], [0.2, 0.8], threshold=threshold)


def test_booleans_integers_and_floats_are_one() -> None:
    def of(labels: Any, probabilities: Any) -> Evaluation:
        return evaluate(labels, probabilities, resamples=10)

    assert of([True, False], [1, 0]) == of([1.0, 0.0], [1.0, 0.0]) == of([1, 0], np.array([1, 0], np.float16))


@pytest.mark.parametrize(
    ("reviews", "mistakes", "said"),
    [(200, 20, None), (199, 50, "199 reviews are few"), (25_000, 19, "19 mistakes are few")],
)
def test_intervals_of_few_reviews_are_doubted(reviews: int, mistakes: int, said: str | None) -> None:
    found = doubts(reviews, mistakes)
    assert found is None if said is None else (found or "").startswith(said)
