"""Accuracy by coverage, reliability and McNemar's test, against SciPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve

from rnnsent.evaluation import plots
from rnnsent.evaluation.coverage import coverage
from rnnsent.evaluation.intervals import proportion
from rnnsent.evaluation.measures import mcnemar


@pytest.mark.parametrize(("one", "other"), [(0, 0), (1, 0), (5, 5), (3, 12), (40, 90), (700, 800)])
def test_mcnemar_is_the_binomial_test(one: int, other: int) -> None:
    expected = binomtest(one, one + other).pvalue if one + other else 1.0
    assert mcnemar(one, other) == pytest.approx(expected, rel=1e-9)


def test_coverage_gives_the_surest_answers_first() -> None:
    rng = np.random.default_rng(3)
    confidence = np.round(rng.uniform(0.5, 1, 200), 2)
    right = rng.random(200) < confidence
    rows = coverage(right, confidence, (1.0, 0.9, 0.5, 0.001))
    for row, share in zip(rows, (1.0, 0.9, 0.5, 0.001), strict=True):
        answered = confidence >= row.least
        assert row.reviews == answered.sum() >= share * 200 > (confidence > row.least).sum()
        assert row.accuracy == proportion(int(right[answered].sum()), int(answered.sum()))
        assert row.share == row.reviews / 200


def test_reliability_is_drawn_from_the_bins_of_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    confidence = rng.uniform(0.5, 1, 3000)
    right = rng.random(3000) < confidence
    points = plots.reliability_points(confidence, right)
    shares, said = calibration_curve(right, confidence, n_bins=15, strategy="quantile")
    np.testing.assert_allclose([point[0] for point in points], said, atol=2e-3)
    np.testing.assert_allclose([point[1] for point in points], shares, atol=0.02)
    assert plots.reliability(confidence, right, "a title").startswith(b"\x89PNG")
    assert plots.coverage(confidence, right, "a title").startswith(b"\x89PNG")
