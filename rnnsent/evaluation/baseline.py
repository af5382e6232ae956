"""The linear baseline: logistic regression on n-grams weighted by naive Bayes.

Source: S. Wang and C. Manning, ACL 2012, with a logistic regression instead of their SVM. It reads texts with all their
words, whatever `num_words` and `maxlen` say.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.cache import Arrays, cached_arrays
from rnnsent.data.dataset import Split
from rnnsent.errors import RunError
from rnnsent.evaluation.intervals import discordant, mcnemar, paired_difference
from rnnsent.evaluation.metrics import score
from rnnsent.evaluation.predictions import Predictions, read_csv
from rnnsent.inference.calibration import best_thresholds
from rnnsent.models.linear import CLIP
from rnnsent.models.ngram_weights import Ngrams, log_count_ratios, logistic_regression, require_scikit_learn
from rnnsent.runs.directory import Run, evaluation_name
from rnnsent.runs.schemas import BaselineEvaluation, Estimate

if TYPE_CHECKING:
    from rnnsent.evaluation.run_data import RunData

logger = logging.getLogger(__name__)

STRENGTHS = (0.3, 1.0, 3.0, 10.0)  # scikit-learn's C; chosen by validation
PREDICTIONS = "baseline-predictions"  # kind of the file beside a run that holds the predictions
ALPHA = 0.05


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline: C, n-grams, a regression with its n-gram weights, or one for each label."""

    strength: float
    ngrams: Ngrams
    models: list[tuple[Any, NDArray[np.float32]]] = field(repr=False)
    independent: bool = False  # whether a text may have several labels

    def probabilities(self, texts: Split) -> NDArray[np.float64]:
        """Return the probability of label 1, (texts,); with more regressions that of each label, (texts, labels)."""
        return self.of_matrix(self.ngrams.matrix(texts))

    def of_matrix(self, matrix: Any) -> NDArray[np.float64]:
        """Return the same for the n-grams of texts."""
        columns = [
            np.full(matrix.shape[0], CLIP)
            if model is None
            else model.predict_proba(matrix.multiply(weights).tocsr())[:, 1]
            for model, weights in self.models
        ]
        scores: NDArray[np.float64] = np.stack(columns, axis=1)
        if len(columns) == 1:
            return scores[:, 0]
        return scores if self.independent else scores / scores.sum(axis=1, keepdims=True)


def fit(train: Split, validation: Split, labels: int = 2, strengths: Sequence[float] = STRENGTHS) -> Baseline:
    """Fit the baseline on `train`, and choose one of `strengths` on `validation`, before truncation.

    Raises:
        RnnsentError: if scikit-learn is not installed.
    """
    require_scikit_learn()
    ngrams = Ngrams(train)
    matrix, held_out = ngrams.matrix(train), ngrams.matrix(validation)
    targets = train.members(labels)
    weights = [log_count_ratios(matrix, target) for target in targets]
    products = [matrix.multiply(weight).tocsr() for weight in weights]
    candidates: list[tuple[float, Baseline]] = []
    for strength in strengths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of scikit-learn, about what it will do in other versions
            regressions = [  # None if a fold lacks a rare label
                logistic_regression(strength).fit(*pair) if pair[1].any() else None
                for pair in zip(products, targets, strict=True)
            ]
        models = list(zip(regressions, weights, strict=True))
        baseline = Baseline(strength, ngrams, models, train.labels.ndim == 2)
        accuracy = float(Predictions.of(validation.labels, baseline.of_matrix(held_out)).right.mean())
        if len(strengths) > 1:
            logger.info("baseline: C %g, validation accuracy %.2f%%", strength, 100 * accuracy)
        candidates.append((accuracy, baseline))
    return max(candidates, key=lambda pair: pair[0])[1]


def _cross_validated(texts: Split, folds: NDArray[np.int64], labels: int) -> tuple[Baseline, NDArray[np.float64]]:
    """Return the baseline fitted on all texts, and what one that was fitted on the other folds says of each text."""
    strengths: Sequence[float] = STRENGTHS
    sides = len(texts.members(labels))
    predicted = np.empty((len(texts), sides) if sides > 1 else len(texts))
    for fold in np.unique(folds):
        rows, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        baseline = fit(texts.take(others), texts.take(rows), labels, strengths)
        predicted[rows] = baseline.probabilities(texts.take(rows))
        strengths = (baseline.strength,)
    return fit(texts, texts.take(slice(0, 1)), labels, strengths), predicted


@dataclass(frozen=True)
class BaselineComparison:
    """A network and the baseline on the same texts."""

    difference: Estimate  # accuracy of the network minus that of the baseline, with its paired interval
    p_value: float  # of McNemar's exact test
    # texts that one of the two alone has right
    only_network: int
    only_baseline: int

    @property
    def significant(self) -> bool:
        """Whether the accuracies differ."""
        return self.p_value < ALPHA


@dataclass(frozen=True)
class EvaluatedBaseline:
    """The baseline on a split: what evaluations/SPLIT-baseline.json says, and its predictions."""

    record: BaselineEvaluation
    predictions: Predictions

    def write(self, run: Run) -> None:
        """Write record and predictions into evaluations/."""
        content = self.predictions.to_csv(run.config.data)
        run.write(evaluation_name(self.record.split, PREDICTIONS, ".csv"), content)
        run.write_evaluation("baseline", self.record)

    def compared(self, network: Predictions) -> BaselineComparison:
        """Return the comparison with the predictions of a network for the same texts."""
        only_baseline, only_network = discordant(self.predictions.right, network.right)
        difference = paired_difference(only_baseline, only_network, len(network))
        return BaselineComparison(difference, mcnemar(only_network, only_baseline), only_network, only_baseline)


def read_baseline(run: Run, split: str) -> EvaluatedBaseline | None:
    """Return the baseline that was evaluated beside this very run; None if there is none with its predictions."""
    record = run.evaluation(split, BaselineEvaluation, "baseline")
    if record is None:
        return None
    try:
        path = run.file(evaluation_name(split, PREDICTIONS, ".csv"))
        return EvaluatedBaseline(record, read_csv(path, run.config.data))
    except RunError:
        return None


def evaluate_baseline(data: RunData, split: str) -> EvaluatedBaseline:
    """Evaluate the baseline on a split of a run, or of a config; it is fitted once for each data set and its splits.

    Raises:
        DataError: if the split is empty.
        RnnsentError: if scikit-learn is not installed.
    """
    texts, labels = data.texts(split), len(data.dataset.label_names)
    splits = {name: data.texts(name) for name in ("train", "validation", "test") if len(data.indices.get(name, ()))}
    key = hashlib.sha256(repr((STRENGTHS, labels, list(splits))).encode())
    for part in splits.values():
        for array in (part.flat(), part.lengths, part.labels, *(() if data.folds is None else (data.folds,))):
            key.update(np.ascontiguousarray(array).data)

    def build() -> Arrays:
        start_time = time.perf_counter()
        train, predicted = data.texts("train"), {}
        if data.folds is None:
            baseline = fit(train, data.texts("validation"), labels)
            predicted["validation"] = baseline.probabilities(data.texts("validation"))
        else:
            baseline, predicted["validation"] = _cross_validated(train, data.folds, labels)
        if "test" in splits:
            predicted["test"] = baseline.probabilities(splits["test"])
        facts = {
            "seconds": round(time.perf_counter() - start_time, 3),
            "strength": baseline.strength,
            "ngrams": baseline.ngrams.size,
        }
        content = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        return {"facts": content, **predicted}

    arrays = cached_arrays(f"baseline-2-{key.hexdigest()[:32]}", build)
    # In float32, as the file beside a run has them.
    thresholds: tuple[float, ...] = ()
    if data.dataset.targets == "multi" and split == "test":  # as those of a network
        thresholds = best_thresholds(data.texts("validation").labels, np.asarray(arrays["validation"], np.float32))
    probabilities = np.asarray(arrays[split], np.float32)
    predictions = Predictions.of(texts.labels, probabilities, data.dataset.targets, thresholds)
    facts, metrics = json.loads(bytes(arrays["facts"])), score(predictions).metrics
    return EvaluatedBaseline(BaselineEvaluation(**vars(data.origin(split)), metrics=metrics, **facts), predictions)
