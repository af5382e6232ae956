"""The metrics of ordered labels and of several labels a text, against scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as sk

from rnnsent.config.sections import DataConfig
from rnnsent.evaluation.compare import compare
from rnnsent.evaluation.metrics import METRICS, Sample, metrics_of, score
from rnnsent.evaluation.predictions import Predictions, read_csv
from rnnsent.inference.calibration import best_thresholds, fit_calibration


def of_scale(labels: int = 5, texts: int = 300, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    real = rng.integers(0, labels, texts)
    z = -np.abs(np.arange(labels) - real[:, None] - rng.normal(size=(texts, 1))) + rng.normal(size=(texts, labels)) / 2
    return Predictions.of(real, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), "ordered")


@pytest.mark.parametrize("labels", [3, 5, 7])
def test_metrics_of_ordered_labels_equal_scikit_learn(labels: int) -> None:
    predictions = of_scale(labels)
    real, predicted = predictions.labels, predictions.predicted
    weights = np.random.default_rng(1).random(len(real))
    for sample, w in ((Sample(predictions), None), (Sample(predictions, weights), weights)):
        assert METRICS["mae"].function(sample) == pytest.approx(
            sk.mean_absolute_error(real, predicted, sample_weight=w)
        )
        near = np.average(np.abs(real - predicted) <= 1, weights=w)
        assert METRICS["off_by_one"].function(sample) == pytest.approx(near)
        kappa = sk.cohen_kappa_score(real, predicted, weights="quadratic", sample_weight=w)
        assert METRICS["quadratic_kappa"].function(sample) == pytest.approx(kappa)


def test_metrics_of_ordered_labels_have_intervals_and_are_compared() -> None:
    one, other = of_scale(seed=0), of_scale(seed=0)
    other.probabilities[:] = np.roll(other.probabilities, 1, axis=1)
    found = score(one, resamples=200).metrics
    for name in ("mae", "off_by_one", "quadratic_kappa"):
        estimate = found[name]
        assert estimate.low is not None and estimate.value is not None and estimate.high is not None
        assert estimate.low < estimate.value < estimate.high
    (comparison,) = compare([one, other], [], resamples=200)
    assert comparison.values["mae"][0] == found["mae"].value
    change = comparison.differences["quadratic_kappa"]
    assert change.high is not None and change.high < 0
    assert not {"mae", "off_by_one", "quadratic_kappa"} & metrics_of("classes").keys()


def test_quadratic_kappa_of_one_label_is_undefined() -> None:
    constant = Predictions.of([1, 1, 1], np.tile([0.1, 0.8, 0.1], (3, 1)), "ordered")
    found = score(constant, resamples=10).metrics
    assert found["quadratic_kappa"].value is None and found["mae"].value == 0


def of_sets(labels: int = 4, texts: int = 300, seed: int = 0) -> Predictions:
    """Return predictions of texts with 0 to `labels` labels; the last label is rare, the first has a low threshold."""
    rng = np.random.default_rng(seed)
    real = (rng.random((texts, labels)) < np.linspace(0.5, 0.05, labels)).astype(np.int64)
    probabilities = 1 / (1 + np.exp(-(rng.normal(size=real.shape) + 2 * real - 1.5)))
    return Predictions.of(real, probabilities.round(3), "multi", [0.3, *[0.5] * (labels - 1)])


@pytest.mark.parametrize("labels", [2, 4, 7])
def test_metrics_of_several_labels_equal_scikit_learn(labels: int) -> None:
    predictions = of_sets(labels)
    real, predicted, probabilities = predictions.labels, predictions.predicted, predictions.probabilities
    assert (predicted[:, 0] == (probabilities[:, 0] > 0.3)).all() and not real.any(axis=1).all()
    weights = np.random.default_rng(1).random(len(real))
    for w in (None, weights):
        sample, macro = Sample(predictions, w), {"average": "macro", "sample_weight": w}
        losses = [sk.log_loss(*pair, sample_weight=w) for pair in zip(real.T, probabilities.T, strict=True)]
        expected = {
            "accuracy": sk.accuracy_score(real, predicted, sample_weight=w),
            "micro_f1": sk.f1_score(real, predicted, average="micro", sample_weight=w),
            "precision": sk.precision_score(real, predicted, **macro),
            "recall": sk.recall_score(real, predicted, **macro),
            "f1": sk.f1_score(real, predicted, **macro),
            "coverage_error": sk.coverage_error(real, probabilities, sample_weight=w),
            "roc_auc": sk.roc_auc_score(real, probabilities, **macro),
            "pr_auc": sk.average_precision_score(real, probabilities, **macro),
            "log_loss": np.mean(losses),
            "brier": np.average(((real - probabilities) ** 2).mean(axis=1), weights=w),
        }
        assert expected.keys() | {"ece"} == metrics_of("multi").keys()
        assert {name: METRICS[name].function(sample) for name in expected} == pytest.approx(expected)


def test_labels_of_several_have_support_and_intervals() -> None:
    predictions = of_sets()
    found = score(predictions, resamples=200)
    expected = zip(*sk.precision_recall_fscore_support(predictions.labels, predictions.predicted), strict=True)
    for row, (precision, recall, f1, support) in zip(found.labels, expected, strict=True):
        assert [row.precision.value, row.recall.value, row.f1.value] == pytest.approx([precision, recall, f1])
        assert row.texts == support
    for name, estimate in found.metrics.items():
        ends = (estimate.low, estimate.value, estimate.high)
        assert name == "ece" or (None not in ends and sorted(ends) == list(ends) and ends[0] != ends[2])  # type: ignore[type-var]
    assert found.confusion == []


def test_intervals_of_several_labels_that_are_always_right_have_a_width() -> None:
    real = np.random.default_rng(0).integers(0, 2, (40, 3))
    found = score(Predictions.of(real, np.where(real, 0.9, 0.1)), resamples=200).metrics
    for name in ("accuracy", "micro_f1", "f1", "roc_auc"):
        estimate = found[name]
        assert estimate.value == estimate.high == 1 and estimate.low is not None and 0.8 < estimate.low < 1


def test_several_labels_are_written_and_read_without_loss(tmp_path: Path) -> None:
    predictions, names = of_sets(3), ("a", 'b "c", d', "e")
    for separator in (None, "; "):
        data = DataConfig(labels=names, label_separator=separator, label_column=None if separator else ("a", "b", "e"))
        (tmp_path / "p.csv").write_text(predictions.to_csv(data))
        read = read_csv(tmp_path / "p.csv", data)
        assert (read.labels == predictions.labels).all() and (read.predicted == predictions.predicted).all()
        assert read.probabilities == pytest.approx(predictions.probabilities, abs=1e-6)


def test_thresholds_have_the_best_f1_of_each_label() -> None:
    predictions = of_sets(3, 200)
    thresholds = best_thresholds(predictions.labels, predictions.probabilities)
    for real, probabilities, threshold in zip(
        predictions.labels.T, predictions.probabilities.T, thresholds, strict=True
    ):
        every = [sk.f1_score(real, probabilities > value) for value in np.unique(probabilities)[:-1]]
        assert sk.f1_score(real, probabilities > threshold) == pytest.approx(max(every))
    few = np.zeros((200, 2), np.int64)
    few[:9] = 1
    assert best_thresholds(few, predictions.probabilities[:, :2]) == (0.5, 0.5)


def test_calibration_of_several_labels_makes_the_log_loss_no_worse() -> None:
    predictions = of_sets(3, 400)
    odds = predictions.probabilities / (1 - predictions.probabilities)
    sharpened = 1 / (1 + odds**-4.0)
    result = fit_calibration(predictions.labels, sharpened)
    assert result.temperature > 1.5 and result.log_loss_after < result.log_loss_before
    assert sk.log_loss(predictions.labels.ravel(), result(sharpened).ravel()) == pytest.approx(result.log_loss_after)
