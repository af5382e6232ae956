"""The metrics against scikit-learn and SciPy, their intervals against what intervals promise."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from rnnsent.evaluation import metrics
from rnnsent.evaluation.intervals import PRIOR, Estimate, doubts, paired, proportion
from rnnsent.evaluation.measures import calibration_error
from rnnsent.evaluation.metrics import Evaluation, evaluate

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


@pytest.mark.parametrize(("lost", "won", "total"), [(5, 14, 100), (0, 0, 30), (3, 0, 3), (40, 38, 1000)])
def test_paired_is_the_normal_interval_of_the_gains_and_one_more_each_way(lost: int, won: int, total: int) -> None:
    """Bonett and Price (2012), section 3."""
    gains = np.repeat([-1, 1, 0], [lost + 1, won + 1, total - lost - won])
    low, high = norm.interval(0.95, gains.mean(), gains.std() / np.sqrt(len(gains)))
    found = paired(lost, won, total)
    assert found.value == (won - lost) / total
    assert (found.low, found.high) == pytest.approx((max(min(low, found.value), -1), min(high, 1)))


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


def test_bootstrap_is_that_of_the_same_reviews_and_half_a_review_more() -> None:
    """Weights drawn plainly, a gamma variable for each review with each label, and metrics by scikit-learn."""
    labels, probabilities = reviews(300)
    found = evaluate(labels, probabilities, resamples=1000)
    rng = np.random.default_rng(1)
    y, p = np.concatenate([labels, 1 - labels]), np.tile(probabilities, 2)
    samples: dict[str, list[float]] = {"f1": [], "log_loss": [], "roc_auc": [], "pr_auc": [], "brier": [], "mcc": []}
    for _ in range(400):
        w = np.concatenate([rng.gamma(1.0, size=300), rng.gamma(PRIOR / 300, size=300)])
        samples["f1"].append(sk.f1_score(y, p > 0.5, sample_weight=w))
        samples["log_loss"].append(sk.log_loss(y, p, sample_weight=w))
        samples["roc_auc"].append(sk.roc_auc_score(y, p, sample_weight=w))
        samples["pr_auc"].append(sk.average_precision_score(y, p, sample_weight=w))
        samples["brier"].append(sk.brier_score_loss(y, p, sample_weight=w))
        samples["mcc"].append(sk.matthews_corrcoef(y, p > 0.5, sample_weight=w))
    for name, values in samples.items():
        low, high = np.percentile(values, [2.5, 97.5])
        estimate = found.to_dict()[name]
        # An interval of 90 % would be off by a twelfth of the width at both ends.
        assert [estimate["low"], estimate["high"]] == pytest.approx([low, high], abs=(high - low) / 14), name


WORLDS = {"usual": (1.5, 1.0), "nearly perfect": (4.1, 1.3)}  # the distance of the labels, how much too sure


@pytest.mark.slow
@pytest.mark.parametrize(("n", "kind"), [(200, "usual"), (30, "usual"), (30, "nearly perfect")])
def test_intervals_cover_the_truth(n: int, kind: str) -> None:
    """Of 200 samples 190 intervals should hold the truth; fewer than 181 are so by chance with probability 0.0027."""
    distance, sharpened = WORLDS[kind]

    def drawn(n: int, seed: int) -> Data:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, n)
        return labels, 1 / (1 + np.exp(-sharpened * distance * rng.normal(distance * (labels - 0.5))))

    truth = evaluate(*drawn(400_000, 99), resamples=0)
    covered = dict.fromkeys(truth.to_dict(), 0)
    for seed in range(200):
        found = evaluate(*drawn(n, seed), resamples=200).to_dict()
        for name, true in truth.to_dict().items():
            low, high, value = found[name]["low"], found[name]["high"], true["value"]
            assert low is not None and high is not None and value is not None and low < high
            covered[name] += low <= value <= high
    assert all(count >= 181 for count in covered.values()), covered


def test_nobody_is_certain_of_what_few_reviews_do_not_show() -> None:
    right = evaluate([0, 1] * 20, [0.01, 0.99] * 20)
    for name, estimate in right.to_dict().items():
        low, value, high = estimate["low"], estimate["value"], estimate["high"]
        assert low is not None and value is not None and high is not None and low <= value <= high, name
        assert high - low > 0.03, name
    assert right.accuracy.high == right.f1.high == right.roc_auc.high == right.mcc.high == right.pr_auc.high == 1.0
    assert all(0 < (label.f1.low or 0) < 1 == label.f1.high for label in right.by_label)
    wrong = evaluate([0, 1] * 20, [0.99, 0.01] * 20)
    assert wrong.roc_auc.low == wrong.f1.low == 0.0 < (wrong.roc_auc.high or 0)


@pytest.mark.parametrize(("reviews", "rights"), [(1000, 0.98), (300, 0.8)])
def test_calibration_error_may_be_zero_where_probabilities_are_right(reviews: int, rights: float) -> None:
    """Bröcker and Smith: answers drawn by the probabilities; 2.5 % of such sets may look otherwise."""
    rng = np.random.default_rng(0)
    zero = 0
    for _ in range(200):
        confidence = np.clip(rng.normal(rights, 0.1, reviews), 0.5, 1)
        right = rng.random(reviews) < confidence
        zero += calibration_error(confidence, right.astype(np.int64), np.ones(reviews, np.int64)).low == 0
    assert 188 <= zero <= 200


def test_calibration_error_is_the_plain_one_where_chance_adds_nothing() -> None:
    """Ten thousand reviews in each of two groups, the one right in 70 % at 0.9, the other in 60 % at 0.6."""
    found = calibration_error(np.array([0.6, 0.9]), np.array([6_000, 7_000]), np.array([10_000, 10_000]))
    assert found.value == pytest.approx(0.1, abs=0.004)
    assert found.low is not None and found.high is not None and 0.09 < found.low < 0.1 < found.high < 0.11


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


def test_one_review_of_each_class_has_an_area() -> None:
    found = evaluate([0, 1], [0.2, 0.8], resamples=200)
    assert found.roc_auc.value == found.roc_auc.high == 1.0 and 0 < (found.roc_auc.low or 0) < 0.9


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


def test_intervals_of_few_reviews_are_doubted() -> None:
    assert doubts(30) is None
    assert (doubts(29) or "").startswith("29 reviews are few: from 30 on")
    assert (doubts(1) or "").startswith("1 review is few")
