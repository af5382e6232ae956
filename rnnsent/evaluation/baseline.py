"""The linear baseline: logistic regression on n-grams weighted by naive Bayes.

Source: S. Wang and C. Manning, ACL 2012, with a logistic regression instead of their SVM. It reads texts with all their
words, whatever `num_words` and `maxlen` say.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.dataset import Split
from rnnsent.evaluation.metrics import score
from rnnsent.evaluation.predictions import Predictions
from rnnsent.models.ngram_weights import Ngrams, log_count_ratios, logistic_regression, require_scikit_learn, sides
from rnnsent.runs.schemas import BaselineEvaluation

if TYPE_CHECKING:
    from rnnsent.evaluation.run_data import RunData

logger = logging.getLogger(__name__)

STRENGTHS = (0.3, 1.0, 3.0, 10.0)  # scikit-learn's C; chosen by validation


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline: C, n-grams, a regression with its n-gram weights; of more than two labels one for each."""

    strength: float
    ngrams: Ngrams
    models: list[tuple[Any, NDArray[np.float32]]] = field(repr=False)

    def probabilities(self, texts: Split) -> NDArray[np.float64]:
        """Return the probability of label 1, (texts,); of more than two labels that of each, (texts, labels)."""
        return _probabilities(self.models, self.ngrams.matrix(texts))


def fit(train: Split, validation: Split, labels: int = 2) -> Baseline:
    """Fit the baseline on `train`, and choose the strength of its regularization on `validation`, before truncation.

    Raises:
        RnnsentError: if scikit-learn is not installed.
    """
    require_scikit_learn()
    ngrams = Ngrams(train)
    matrix, held_out = ngrams.matrix(train), ngrams.matrix(validation)
    targets = [train.labels == label for label in sides(labels)]
    weights = [log_count_ratios(matrix, target) for target in targets]
    products = [matrix.multiply(weight).tocsr() for weight in weights]
    candidates: list[tuple[float, Baseline]] = []
    for strength in STRENGTHS:
        regressions = [logistic_regression(strength).fit(*pair) for pair in zip(products, targets, strict=True)]
        models = list(zip(regressions, weights, strict=True))
        accuracy = float(Predictions.of(validation.labels, _probabilities(models, held_out)).right.mean())
        logger.info("baseline: C %g, validation accuracy %.2f%%", strength, 100 * accuracy)
        candidates.append((accuracy, Baseline(strength, ngrams, models)))
    return max(candidates, key=lambda pair: pair[0])[1]


def _probabilities(models: list[tuple[Any, NDArray[np.float32]]], matrix: Any) -> NDArray[np.float64]:
    columns = [model.predict_proba(matrix.multiply(weights).tocsr())[:, 1] for model, weights in models]
    scores: NDArray[np.float64] = np.stack(columns, axis=1)
    return scores[:, 0] if len(columns) == 1 else scores / scores.sum(axis=1, keepdims=True)


def evaluate_baseline(data: RunData, split: str) -> BaselineEvaluation:
    """Fit the baseline on the training texts of a run, or of a config, and evaluate it on one of the splits.

    Raises:
        DataError: if the split is empty.
        RnnsentError: if scikit-learn is not installed.
    """
    texts, start_time = data.texts(split), time.perf_counter()
    baseline = fit(data.texts("train"), data.texts("validation"), len(data.dataset.label_names))
    seconds = time.perf_counter() - start_time
    return BaselineEvaluation(
        **vars(data.origin(split)),
        seconds=round(seconds, 3),
        metrics=score(Predictions.of(texts.labels, baseline.probabilities(texts))).metrics,
        strength=baseline.strength,
        ngrams=baseline.ngrams.size,
    )
