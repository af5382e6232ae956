"""Metrics of several labels, against scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics as sklearn

from rnnsent.evaluation.multiclass import evaluate

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 500)
PROBABILITIES = RNG.dirichlet(np.ones(4), 500) * 0.7
PROBABILITIES[np.arange(500), LABELS] += 0.3


def test_values_are_those_of_scikit_learn() -> None:
    found = evaluate(LABELS, PROBABILITIES, resamples=50)
    guesses = PROBABILITIES.argmax(axis=1)
    precision, recall, f1, _ = sklearn.precision_recall_fscore_support(LABELS, guesses, average="macro")
    area = sklearn.roc_auc_score(LABELS, PROBABILITIES, multi_class="ovr")
    expected = {
        "accuracy": sklearn.accuracy_score(LABELS, guesses),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "roc_auc": area,
        "log_loss": sklearn.log_loss(LABELS, PROBABILITIES),
        "balanced_accuracy": sklearn.balanced_accuracy_score(LABELS, guesses),
        "mcc": sklearn.matthews_corrcoef(LABELS, guesses),
        "pr_auc": sklearn.average_precision_score(np.eye(4)[LABELS], PROBABILITIES, average="macro"),
        "brier": ((PROBABILITIES - np.eye(4)[LABELS]) ** 2).sum(axis=1).mean(),
    }
    for name, value in expected.items():
        assert getattr(found, name).value == pytest.approx(value, abs=1e-12), name
    assert found.confusion == sklearn.confusion_matrix(LABELS, guesses).tolist()
    by_label = sklearn.precision_recall_fscore_support(LABELS, guesses)
    for label, of_label in enumerate(found.by_label):
        values = [of_label.precision.value, of_label.recall.value, of_label.f1.value, of_label.reviews]
        assert values == pytest.approx([float(value[label]) for value in by_label])


def test_intervals_hold_the_value_and_narrow_with_more_reviews() -> None:
    few, many = evaluate(LABELS[:100], PROBABILITIES[:100]), evaluate(LABELS, PROBABILITIES)
    for name, estimate in few.to_dict().items():
        narrow = many.to_dict()[name]
        widths = []
        for each in (estimate, narrow):
            low, value, high = each["low"], each["value"], each["high"]
            assert low is not None and value is not None and high is not None and low < value < high
            widths.append(high - low)
        assert widths[1] < widths[0], name
    assert evaluate(LABELS, PROBABILITIES) == many


def test_a_label_that_nobody_predicts_or_has_is_left_out_of_the_averages() -> None:
    labels, probabilities = np.array([0, 1, 0]), np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.9, 0.05, 0.05]])
    found = evaluate(labels, probabilities, resamples=10)
    assert found.recall.value == pytest.approx((1 + 0) / 2)
    assert found.precision.value == pytest.approx(2 / 3)  # of label 0 alone
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = evaluate(np.array([2]), np.array([[0.1, 0.1, 0.8]]), resamples=10)
    assert one.roc_auc.value is None and one.accuracy.value == 1.0


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([], np.empty((0, 3)), "must be"),
        ([0], [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], "must be"),
        ([3], [[0.5, 0.5, 0.0]], "labels must lie in 0 … 2"),
        ([0], [[1.5, 0.5, 0.0]], "probabilities must lie"),
    ],
)
def test_what_does_not_fit_is_refused(labels: list[int], probabilities: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(labels, probabilities)
