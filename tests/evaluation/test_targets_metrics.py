"""The metrics of ordered labels and of several labels a text, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk

from rnnsent.evaluation.compare import compare
from rnnsent.evaluation.metrics import METRICS, Sample, metrics_of, score
from rnnsent.evaluation.predictions import Predictions


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
