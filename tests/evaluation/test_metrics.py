"""The metrics against scikit-learn and SciPy, their intervals against what intervals promise."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve

from rnnsent.evaluation.intervals import PRIOR, proportion
from rnnsent.evaluation.metrics import METRICS, Scores, coverage, reliability_points, score
from rnnsent.evaluation.predictions import Predictions
from rnnsent.runs.schemas import Estimate

Data = tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.float64]]]


def two_labels(n: int = 400, seed: int = 0, decimals: int = 16) -> Data:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    logits = rng.normal(size=n) + 1.5 * labels - 0.9
    return labels, np.round(1 / (1 + np.exp(-logits)), decimals)


def four_labels(n: int = 500) -> Data:
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 4, n), rng.dirichlet(np.ones(4), n) * 0.7
    probabilities[np.arange(n), labels] += 0.3
    return labels, probabilities


def scored(labels: Any, probabilities: Any, **options: Any) -> Scores:
    return score(Predictions.of(labels, probabilities), **options)


def values(scores: Scores) -> dict[str, float | None]:
    return {name: estimate.value for name, estimate in scores.metrics.items() if name != "ece"}


def ends(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None and estimate.high is not None
    return estimate.low, estimate.high


def require_labels_of_scikit_learn(scores: Scores, labels: Any, predicted: Any) -> None:
    assert scores.confusion == sk.confusion_matrix(labels, predicted).tolist()
    expected = zip(*sk.precision_recall_fscore_support(labels, predicted), strict=True)
    for found, (precision, recall, f1, support) in zip(scores.labels, expected, strict=True):
        assert [found.precision.value, found.recall.value, found.f1.value] == pytest.approx([precision, recall, f1])
        assert found.texts == support


@pytest.mark.parametrize("decimals", [16, 2, 1, 0], ids=["distinct", "ties", "many-ties", "two-values"])
@pytest.mark.parametrize("seed", [0, 1])
def test_metrics_of_two_labels_equal_scikit_learn(seed: int, decimals: int) -> None:
    labels, probabilities = two_labels(seed=seed, decimals=decimals)
    found = scored(labels, probabilities, resamples=0)
    predicted = probabilities > 0.5
    assert values(found) == pytest.approx(
        {
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
    )
    require_labels_of_scikit_learn(found, labels, predicted)


def test_metrics_of_four_labels_equal_scikit_learn() -> None:
    labels, probabilities = four_labels()
    found, predicted = scored(labels, probabilities, resamples=0), probabilities.argmax(axis=1)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(labels, predicted, average="macro")
    assert values(found) == pytest.approx(
        {
            "accuracy": sk.accuracy_score(labels, predicted),
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "roc_auc": sk.roc_auc_score(labels, probabilities, multi_class="ovr"),
            "log_loss": sk.log_loss(labels, probabilities),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
            "mcc": sk.matthews_corrcoef(labels, predicted),
            "pr_auc": sk.average_precision_score(np.eye(4)[labels], probabilities, average="macro"),
            "brier": ((probabilities - np.eye(4)[labels]) ** 2).sum(axis=1).mean(),
        },
        abs=1e-12,
    )
    require_labels_of_scikit_learn(found, labels, predicted)


def calibration_error(confidence: Any, right: Any) -> float:
    """The expected calibration error as it is written down: bin by bin, each open on the left (Guo et al. 2017)."""
    total = 0.0
    for low, high in zip(np.arange(15) / 15, np.arange(1, 16) / 15, strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return total


@pytest.mark.parametrize("data", [two_labels(3000), four_labels(3000)], ids=["two", "four"])
def test_ece_is_that_of_15_equal_width_bins(data: Data) -> None:
    predictions = Predictions.of(*data)
    found = score(predictions, resamples=0).metrics["ece"]
    assert found.value == pytest.approx(calibration_error(predictions.confidence, predictions.right)) and found.value
    assert found.low is found.high is None
    # 300 texts at 0.9, of which 70 % are right, and 100 at 0.6, of which 60 % are.
    labels = np.concatenate([np.arange(300) < 210, np.arange(100) < 60]).astype(int)
    by_hand = scored(labels, np.repeat([0.9, 0.6], [300, 100]), resamples=0)
    assert by_hand.metrics["ece"].value == pytest.approx(0.75 * 0.2)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0])), min_size=1, max_size=12))
def test_roc_auc_counts_the_pairs_in_order(rows: list[tuple[bool, float]]) -> None:
    positives = [p for label, p in rows if label]
    negatives = [p for label, p in rows if not label]
    pairs = [(p > q) + (p == q) / 2 for p in positives for q in negatives]
    found = scored(*zip(*rows, strict=True), resamples=0).metrics["roc_auc"].value
    assert found == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)


@pytest.mark.parametrize(("successes", "total"), [(0, 10), (10, 10), (1, 1), (7, 10), (88, 100), (22900, 25000)])
def test_proportion_equals_scipy(successes: int, total: int) -> None:
    found = proportion(successes, total)
    expected = binomtest(successes, total).proportion_ci(method="wilson")
    assert found.value == successes / total
    assert ends(found) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_proportion_equals_the_literature() -> None:
    """81 of 263: Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3."""
    assert ends(proportion(81, 263)) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert ends(proportion(0, 20)) == pytest.approx((0, 0.1611), abs=5e-5)  # the same table


def test_proportion_of_nothing_is_undefined() -> None:
    assert proportion(0, 0) == Estimate(None, None, None)
    with pytest.raises(ValueError, match=r"successes must lie in 0\.\.3"):
        proportion(4, 3)


def test_probability_of_one_half_is_label_0_as_in_keras() -> None:
    assert scored([0, 1], np.array([0.5, 0.5], np.float32), resamples=0).confusion == [[1, 0], [1, 0]]


@pytest.mark.parametrize("data", [two_labels(decimals=2), four_labels(200)], ids=["two", "four"])
def test_intervals_depend_on_the_seed_and_not_on_the_order(data: Data) -> None:
    labels, probabilities = data
    first = scored(labels, probabilities, seed=3, resamples=50)
    order = np.random.default_rng(0).permutation(len(labels))
    assert first == scored(labels[order], probabilities[order], seed=3, resamples=50)
    other = scored(labels, probabilities, seed=4, resamples=50)
    assert other.metrics["roc_auc"].value == first.metrics["roc_auc"].value
    assert other.metrics["roc_auc"] != first.metrics["roc_auc"]
    assert other.metrics["accuracy"] == first.metrics["accuracy"]


def test_bootstrap_is_that_of_the_texts_and_half_a_text_more() -> None:
    """Weights drawn plainly, a gamma variable for each text with each label, and metrics by scikit-learn."""
    labels, probabilities = two_labels(300)
    found = scored(labels, probabilities).metrics
    rng = np.random.default_rng(1)
    y, p = np.concatenate([labels, 1 - labels]), np.tile(probabilities, 2)
    samples: dict[str, list[float]] = {"f1": [], "log_loss": [], "roc_auc": [], "pr_auc": []}
    for _ in range(400):
        w = np.concatenate([rng.gamma(1.0, size=300), rng.gamma(PRIOR / 300, size=300)])
        samples["f1"].append(sk.f1_score(y, p > 0.5, sample_weight=w))
        samples["log_loss"].append(sk.log_loss(y, p, sample_weight=w))
        samples["roc_auc"].append(sk.roc_auc_score(y, p, sample_weight=w))
        samples["pr_auc"].append(sk.average_precision_score(y, p, sample_weight=w))
    for name, drawn in samples.items():
        low, high = np.percentile(drawn, [2.5, 97.5])
        # An interval of 90 % would be off by a twelfth of the width at both ends.
        assert ends(found[name]) == pytest.approx((low, high), abs=(high - low) / 14), name


WORLDS = {"usual": (1.5, 1.0), "nearly perfect": (4.1, 1.3)}  # the distance of the labels, how overconfident


@pytest.mark.slow
@pytest.mark.parametrize(("n", "kind"), [(200, "usual"), (30, "usual"), (30, "nearly perfect")])
def test_intervals_cover_the_truth(n: int, kind: str) -> None:
    """Of 200 samples 190 intervals should contain the truth; fewer than 181 do so by chance with probability 0.0027."""
    distance, sharpened = WORLDS[kind]

    def drawn(n: int, seed: int) -> Data:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, n)
        return labels, 1 / (1 + np.exp(-sharpened * distance * rng.normal(distance * (labels - 0.5))))

    truth = values(scored(*drawn(400_000, 99), resamples=0))
    covered = dict.fromkeys(truth, 0)
    for seed in range(200):
        found = scored(*drawn(n, seed), resamples=200).metrics
        for name, value in truth.items():
            low, high = ends(found[name])
            assert value is not None and low < high
            covered[name] += low <= value <= high
    assert all(count >= 181 for count in covered.values()), covered


def test_intervals_of_few_texts_without_an_error_have_a_width() -> None:
    right = scored([0, 1] * 20, [0.01, 0.99] * 20)
    for name, estimate in right.metrics.items():
        if METRICS[name].interval:
            low, high = ends(estimate)
            assert estimate.value is not None and low <= estimate.value <= high and high - low > 0.03, name
    assert all(right.metrics[name].high == 1.0 for name in ("accuracy", "f1", "roc_auc", "mcc", "pr_auc"))
    assert all(0 < (label.f1.low or 0) < 1 == label.f1.high for label in right.labels)
    wrong = scored([0, 1] * 20, [0.99, 0.01] * 20).metrics
    assert wrong["roc_auc"].low == wrong["f1"].low == 0.0 < (wrong["roc_auc"].high or 0)


def test_intervals_of_four_labels_narrow_with_more_texts() -> None:
    few, many = scored(*four_labels(100)).metrics, scored(*four_labels(500)).metrics
    for name in values(scored(*four_labels(100), resamples=0)):
        spans = []
        for estimate in (few[name], many[name]):
            low, high = ends(estimate)
            assert estimate.value is not None and low < estimate.value < high
            spans.append(high - low)
        assert spans[1] < spans[0], name


def test_undefined_metrics_are_none() -> None:
    silent = scored([1, 0], [0.1, 0.2], resamples=20)  # nothing predicted positive
    assert silent.metrics["precision"] == Estimate(None)
    assert (silent.metrics["recall"].value, silent.metrics["f1"].value) == (0.0, 0.0)
    negative = scored([0, 0, 0], [0.1, 0.2, 0.3], resamples=20)  # one label, and the other never predicted
    assert [negative.metrics[name] for name in ("recall", "f1", "roc_auc", "pr_auc", "mcc")] == [Estimate(None)] * 5
    assert negative.metrics["accuracy"].value == 1.0


def test_labels_without_a_figure_are_left_out_of_the_averages() -> None:
    found = scored([0, 1, 0], [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.9, 0.05, 0.05]], resamples=10).metrics
    assert found["recall"].value == pytest.approx((1 + 0) / 2)
    assert found["precision"].value == pytest.approx(2 / 3)  # of label 0 alone
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = scored([2], [[0.1, 0.1, 0.8]], resamples=10).metrics
    assert one["roc_auc"].value is None and one["accuracy"].value == 1.0


def test_confident_errors_cost_a_finite_loss() -> None:
    assert scored([1, 0], [0.0, 1.0], resamples=0).metrics["log_loss"].value == pytest.approx(-np.log(1e-7))


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [([0, 1], [0.5]), ([[0], [1]], [[0.5], [0.5]]), ([], []), ([0, 2], [0.5, 0.5]), ([0, 1], [1.5, float("nan")])],
)
def test_bad_predictions_are_refused(labels: Any, probabilities: Any) -> None:
    with pytest.raises(ValueError, match=r"^labels must be .*probabilities "):
        Predictions.of(labels, probabilities)


def test_coverage_keeps_the_most_confident_predictions() -> None:
    rng = np.random.default_rng(3)
    confidence = np.round(rng.uniform(0.5, 1, 200), 2)
    right = rng.random(200) < confidence
    rows = coverage(right, confidence, (1.0, 0.9, 0.5, 0.001))
    for row, share in zip(rows, (1.0, 0.9, 0.5, 0.001), strict=True):
        kept = confidence >= row.threshold
        assert row.texts == kept.sum() >= share * 200 > (confidence > row.threshold).sum()
        assert row.accuracy == proportion(int(right[kept].sum()), int(kept.sum()))
        assert row.share == row.texts / 200


def test_reliability_points_equal_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    labels, probabilities = rng.integers(0, 2, 3000), rng.uniform(0, 1, 3000)
    predictions = Predictions.of(labels, probabilities)
    points = reliability_points(predictions.confidence, predictions.right)
    accuracy, confidence = calibration_curve(predictions.right, predictions.confidence, n_bins=15, strategy="uniform")
    np.testing.assert_allclose([point[0] for point in points], confidence)
    np.testing.assert_allclose([point[1] for point in points], accuracy)
