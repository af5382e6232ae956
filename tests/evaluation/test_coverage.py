"""Accuracy by coverage, reliability and McNemar's test, against SciPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve

from rnnsent.evaluation import plots
from rnnsent.evaluation.coverage import coverage
from rnnsent.evaluation.intervals import proportion
from rnnsent.evaluation.predictions import Predictions
from rnnsent.evaluation.significance import mcnemar


@pytest.mark.parametrize(("one", "other"), [(0, 0), (1, 0), (5, 5), (3, 12), (40, 90), (700, 800)])
def test_mcnemar_is_the_binomial_test(one: int, other: int) -> None:
    expected = binomtest(one, one + other).pvalue if one + other else 1.0
    assert mcnemar(one, other) == pytest.approx(expected, rel=1e-9)


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
    points = plots.reliability_points(predictions.confidence, predictions.right)
    accuracy, confidence = calibration_curve(predictions.right, predictions.confidence, n_bins=15, strategy="uniform")
    np.testing.assert_allclose([point[0] for point in points], confidence)
    np.testing.assert_allclose([point[1] for point in points], accuracy)
    for draw in (plots.reliability, plots.coverage_curve):
        assert draw(predictions, "a title").startswith(b"\x89PNG")
