"""What a skeptic would use instead of a network: logistic regression on n-grams weighted by naive Bayes.

Source: S. Wang and C. Manning, ACL 2012, with a logistic regression in the place of their SVM. It reads whole reviews
with all their words: neither `num_words` nor `maxlen` holds it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.split import Split
from rnnsent.inference.predictor import most_probable
from rnnsent.models.ngram_weights import Ngrams, log_count_ratios, logistic_regression, require_scikit_learn, sides

STRENGTHS = (0.3, 1.0, 3.0, 10.0)  # of the regularization, as scikit-learn's C; validation chooses


@dataclass(frozen=True)
class Baseline:
    """A fitted one.

    Attributes:
        strength: the C that validation chose.
        columns: how many n-grams it weighs.
        seconds: that fitting took, with all strengths.
        labels: how many labels it tells apart.
    """

    strength: float
    columns: int
    seconds: float
    labels: int
    _ngrams: Ngrams
    _ratios: list[NDArray[np.float32]]
    _models: list[Any]

    def probabilities(self, split: Split) -> NDArray[np.float64]:
        """Return the probability of label 1 for each review, (reviews,); of three labels or more that of each."""
        return _probabilities(self._models, self._ratios, self._ngrams.matrix(split))


def fit(train: Split, validation: Split, labels: int = 2, tell: Callable[[str], None] = lambda line: None) -> Baseline:
    """Fit the baseline on `train`, and choose the strength of its regularization on `validation`.

    Args:
        train, validation: reviews as they were loaded, uncut.
        labels: how many there are.
        tell: told of each strength that is tried.

    Raises:
        RnnsentError: if scikit-learn is not installed.
    """
    require_scikit_learn()
    started = time.perf_counter()
    ngrams = Ngrams(train)
    matrix, held_out = ngrams.matrix(train), ngrams.matrix(validation)
    told_apart = sides(labels)
    ratios = [log_count_ratios(matrix, train.labels == label) for label in told_apart]
    weighted = [matrix.multiply(ratio).tocsr() for ratio in ratios]
    best: tuple[float, float, list[Any]] | None = None
    for strength in STRENGTHS:
        models = [
            logistic_regression(strength).fit(each, train.labels == label)
            for each, label in zip(weighted, told_apart, strict=True)
        ]
        accuracy = float((most_probable(_probabilities(models, ratios, held_out)) == validation.labels).mean())
        tell(f"C {strength:g}: validation accuracy {accuracy:.2%}")
        if best is None or accuracy > best[0]:
            best = accuracy, strength, models
    assert best is not None
    return Baseline(best[1], ngrams.size, time.perf_counter() - started, labels, ngrams, ratios, best[2])


def _probabilities(models: list[Any], ratios: list[NDArray[np.float32]], matrix: Any) -> NDArray[np.float64]:
    columns = [
        model.predict_proba(matrix.multiply(ratio).tocsr())[:, 1] for model, ratio in zip(models, ratios, strict=True)
    ]
    if len(columns) == 1:
        found: NDArray[np.float64] = columns[0]
        return found
    stacked = np.stack(columns, axis=1)
    whole: NDArray[np.float64] = stacked / stacked.sum(axis=1, keepdims=True)
    return whole
