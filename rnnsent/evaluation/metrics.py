"""The metrics of a classifier of two labels or more, each with its 95 % interval, in plain NumPy.

`METRICS` lists them: to add one, write a function of a `Sample` and enter it there. Evaluations, comparisons, JSON
files and reports then have it.

Of two labels, precision, recall, F1 and both areas are those of label 1. Of more they are macro averages: of each label
against all others, every label counting the same, labels for which one is undefined left out. Ordered labels have three
metrics more, for which a near label is better than a far one. A metric whose definition divides by zero is NaN here and
None in an `Estimate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnnsent.config.sections import Targets
from rnnsent.evaluation.intervals import discordant, paired_difference, percentiles, prior_texts, proportion
from rnnsent.evaluation.predictions import Costs, Floats, Ints, Predictions, Ranking
from rnnsent.inference.thresholds import counts_at
from rnnsent.runs.schemas import Coverage, Estimate, LabelMetrics, Metrics, PartAccuracy, ThresholdRow

BINS = 15  # of the calibration error
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.5)
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

Prior = tuple[Ints, Ints, Floats]
NO_PRIOR: Prior = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


class Sample:
    """Predictions and how much each text counts: what metrics are functions of.

    Attributes:
        predictions: of texts.
        weights: (texts,), how much a text counts with its own label.
        texts, labels, others: (places,), which texts count with which other label as well, and how much; of several
            labels a text that one is changed.
        several: whether texts may have several labels.
    """

    def __init__(self, predictions: Predictions, weights: Floats | None = None, prior: Prior = NO_PRIOR) -> None:
        self.predictions = predictions
        self.weights = np.ones(len(predictions)) if weights is None else weights
        self.texts, self.labels, self.others = prior
        self.several = predictions.targets == "multi"

    @classmethod
    def drawn(cls, predictions: Predictions, weights: Floats, rng: np.random.Generator) -> Sample:
        """Return one sample of the Bayesian bootstrap, see `intervals.prior_texts`."""
        texts, others = prior_texts(len(weights), rng)
        if predictions.targets == "multi":
            return cls(predictions, weights, (texts, rng.integers(0, predictions.size, len(texts)), others))
        labels = (predictions.labels[texts] + rng.integers(1, predictions.size, len(texts))) % predictions.size
        return cls(predictions, weights, (texts, labels, others))

    @cached_property
    def confusion(self) -> Floats:
        """The confusion matrix, (labels, labels): rows are the real labels, columns the predicted ones."""
        predictions, size = self.predictions, self.predictions.size
        cells = predictions.labels * size + predictions.predicted
        matrix = np.bincount(cells, weights=self.weights, minlength=size * size)
        np.add.at(matrix, self.labels * size + predictions.predicted[self.texts], self.others)
        return np.asarray(matrix, np.float64).reshape(size, size)

    @cached_property
    def counts(self) -> Floats:
        """How many texts have each label and are predicted to, have it, are predicted to: (3, labels)."""
        if not self.several:
            return np.stack([np.diag(self.confusion), self.confusion.sum(axis=1), self.confusion.sum(axis=0)])
        predicted = self.predictions.predicted
        (real, weights), rows = self.with_changed, np.concatenate([predicted, predicted[self.texts]])
        return np.stack([weights @ (real * rows), weights @ real, weights @ rows])

    @cached_property
    def with_changed(self) -> tuple[Ints, Floats]:
        """Several labels of all texts, then of those that count again with one changed; how much each counts."""
        again = self.predictions.labels[self.texts]
        again[np.arange(len(again)), self.labels] ^= 1
        return np.concatenate([self.predictions.labels, again]), np.concatenate([self.weights, self.others])

    @cached_property
    def by_label(self) -> Floats:
        """Precision, recall and F1 of each label, (3, labels)."""
        hits, real, predicted = self.counts
        counts, totals = np.stack([hits, hits, 2 * hits]), np.stack([predicted, real, predicted + real])
        shares: Floats = np.divide(counts, totals, where=totals > 0, out=np.full_like(counts, np.nan))
        return shares

    @cached_property
    def areas(self) -> tuple[float, float]:
        """The areas under the ROC and the precision-recall curves."""
        pairs = [_areas(*self._ranked(ranking)) for ranking in self.predictions.rankings]
        roc, precision = np.array(pairs).T
        return _defined_mean(roc), _defined_mean(precision)

    def _ranked(self, ranking: Ranking) -> tuple[Floats, Floats]:
        """Return the weights that a label and all others have up to each probability of it, ascending."""
        negative = self.weights[ranking.order]
        positive = negative * ranking.members
        places, changed = ranking.places[self.texts], self.labels == ranking.label
        if self.several:  # where it is the changed one, it is there if it was not
            changed = changed ^ self.predictions.members(ranking.label)[self.texts]
        np.add.at(negative, places, self.others)
        np.add.at(positive, places[changed], self.others[changed])
        negative -= positive  # in place, as below: new arrays of this size cost more than the arithmetic
        for each in (positive, negative):
            np.cumsum(each, out=each)
        return (positive, negative) if ranking.ends is None else (positive[ranking.ends], negative[ranking.ends])

    def headline(self, values: Floats) -> float:
        """Return the value of label 1 of two, or the macro average of more, or of several a text."""
        return float(values[1]) if len(values) == 2 and not self.several else _defined_mean(values)

    def mean(self, costs: Costs) -> float:
        """Return the weighted mean of what texts cost with the labels that they count with."""
        own, each = costs
        extra = (self.others * each[self.texts, self.labels]).sum()
        return float(((self.weights * own).sum() + extra) / (self.weights.sum() + self.others.sum()))


def _areas(positives: Floats, negatives: Floats) -> tuple[float, float]:
    """Return ROC AUC and average precision of cumulative weights by ascending probability; NaN if undefined."""
    hits, errors = (np.concatenate([[0.0], each[:-1]]) for each in (positives, negatives))  # below each probability
    positive, total, pairs = positives - hits, positives[-1], positives[-1] * negatives[-1]
    # Pairs in order count two, ties one: whole numbers stay whole, and the area exact. Not a dot product: BLAS would
    # wake its threads for each of a thousand short vectors, twenty times slower than the sum itself.
    in_order = errors + negatives
    in_order *= positive
    area = float(in_order.sum() / (2 * pairs)) if pairs else np.nan
    np.subtract(total, hits, out=hits)  # from each probability on
    np.subtract(negatives[-1], errors, out=errors)
    positive *= hits
    positive /= np.add(hits, errors, out=errors)
    return area, float(positive.sum() / total) if total else np.nan


def _defined_mean(values: Floats) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else np.nan


def _coverage_error(sample: Sample) -> float:
    """How many of the most probable labels of a text hold all that it has, on average; 0 for one without any."""
    (real, weights), probabilities = sample.with_changed, sample.predictions.probabilities
    probabilities = np.concatenate([probabilities, probabilities[sample.texts]])
    least = np.where(real > 0, probabilities, np.inf).min(axis=1, keepdims=True)
    return float(weights @ (probabilities >= least).sum(axis=1) / weights.sum())


def _micro_f1(sample: Sample) -> float:
    hits, real, predicted = sample.counts.sum(axis=1)
    return float(2 * hits / (real + predicted)) if real + predicted else np.nan


def _mcc(sample: Sample) -> float:
    """Matthews' correlation coefficient; of several labels by J. Gorodkin, 2004."""
    confusion = sample.confusion
    total, real, predicted = confusion.sum(), confusion.sum(axis=1), confusion.sum(axis=0)
    spread = (total**2 - (real**2).sum()) * (total**2 - (predicted**2).sum())
    if spread <= 0:
        return np.nan
    return float((total * np.trace(confusion) - (real * predicted).sum()) / np.sqrt(spread))


def _steps(sample: Sample) -> Floats:
    """Return by how many steps real and predicted label differ, for each cell of the confusion matrix."""
    places = np.arange(sample.predictions.size)
    steps: Floats = np.abs(places[:, None] - places).astype(np.float64)
    return steps


def _mae(sample: Sample) -> float:
    return float((sample.confusion * _steps(sample)).sum() / sample.confusion.sum())


def _off_by_one(sample: Sample) -> float:
    return float((sample.confusion * (_steps(sample) <= 1)).sum() / sample.confusion.sum())


def _quadratic_kappa(sample: Sample) -> float:
    """Cohen's kappa with quadratic weights: J. Cohen, "Weighted kappa", Psychological Bulletin 70, 1968."""
    confusion, squares = sample.confusion, _steps(sample) ** 2
    chance = np.outer(confusion.sum(axis=1), confusion.sum(axis=0)) / confusion.sum()
    expected = float((chance * squares).sum())
    return 1 - float((confusion * squares).sum()) / expected if expected > 0 else np.nan


def confidence_bins(confidence: NDArray[np.floating[Any]]) -> Ints:
    """Return the bin of each confidence, (texts,), of `BINS` bins of equal width, each open on the left."""
    bins: Ints = np.searchsorted(np.linspace(0, 1, BINS + 1), confidence, "left") - 1
    return bins


def _calibration_error(sample: Sample) -> float:
    """Expected calibration error: the mean gap of confidence and accuracy over equal-width bins of the confidence.

    Source: C. Guo, G. Pleiss, Y. Sun and K. Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    predictions, weights = sample.predictions, sample.weights
    bins = confidence_bins(predictions.confidence)
    gaps = np.bincount(bins, weights=weights * (predictions.confidence - predictions.right))
    return float(np.abs(gaps).sum() / weights.sum())


@dataclass(frozen=True)
class Metric:
    """An entry of `METRICS`."""

    function: Callable[[Sample], float]  # of a sample; NaN where the metric is undefined
    labels_only: bool = False  # whether predicted labels without probabilities are enough
    # of a sample of whole texts, (successes, total), for Wilson's interval; None: the metric is no proportion, and its
    # interval is one of the bootstrap
    proportion: Callable[[Sample], tuple[int, int] | None] = lambda sample: None
    interval: bool = True  # whether it has an interval at all
    targets: tuple[Targets, ...] = ("classes", "ordered", "multi")  # what it is a metric of
    title: str = ""  # what pages call it, if that is not its name
    hub: str = ""  # what the hub of Hugging Face calls it, if it knows it
    main: bool = False  # whether tables of several runs, which are narrow, show it


ONE_LABEL: tuple[Targets, ...] = ("classes", "ordered")
METRICS = {
    "accuracy": Metric(
        lambda sample: sample.mean(sample.predictions.hits),
        True,
        lambda whole: _of_all(whole),
        hub="accuracy",
        main=True,
    ),
    "micro_f1": Metric(_micro_f1, True, targets=("multi",), title="micro F1", main=True),
    "mae": Metric(_mae, True, targets=("ordered",), title="mean absolute error in steps", hub="mae", main=True),
    "off_by_one": Metric(
        _off_by_one, True, lambda whole: _near(whole), targets=("ordered",), title="off-by-one accuracy"
    ),
    "quadratic_kappa": Metric(
        _quadratic_kappa, True, targets=("ordered",), title="quadratic weighted kappa", main=True
    ),
    "precision": Metric(lambda sample: _head(sample, 0), True, lambda whole: _of_1(whole, 0), hub="precision"),
    "recall": Metric(lambda sample: _head(sample, 1), True, lambda whole: _of_1(whole, 1), hub="recall"),
    "f1": Metric(lambda sample: _head(sample, 2), True, title="F1", hub="f1", main=True),
    "roc_auc": Metric(lambda sample: sample.areas[0], title="ROC AUC", hub="roc_auc", main=True),
    "log_loss": Metric(lambda sample: sample.mean(sample.predictions.losses), main=True),
    "coverage_error": Metric(_coverage_error, targets=("multi",)),
    "balanced_accuracy": Metric(lambda sample: _defined_mean(sample.by_label[1]), True, targets=ONE_LABEL),
    "mcc": Metric(_mcc, True, title="Matthews correlation", hub="matthews_correlation", targets=ONE_LABEL),
    "pr_auc": Metric(lambda sample: sample.areas[1], title="PR AUC"),
    "brier": Metric(lambda sample: sample.mean(sample.predictions.squares), title="Brier score", hub="brier_score"),
    "ece": Metric(_calibration_error, interval=False, title="expected calibration error", main=True),
}


def metrics_of(targets: Targets) -> dict[str, Metric]:
    """Return the metrics of one kind of labels."""
    return {name: metric for name, metric in METRICS.items() if targets in metric.targets}


MAIN = tuple(name for name, metric in METRICS.items() if metric.main)


def _head(sample: Sample, place: int) -> float:
    return sample.headline(sample.by_label[place])


def _of_all(whole: Sample) -> tuple[int, int]:
    return int(whole.predictions.right.sum()), len(whole.predictions)


def _near(whole: Sample) -> tuple[int, int]:
    return sum(int(np.trace(whole.confusion, offset)) for offset in (-1, 0, 1)), len(whole.predictions)


def _of_1(whole: Sample, axis: int) -> tuple[int, int] | None:
    """Return how many texts of, or predicted as, label 1 are right, and how many there are; None for more labels."""
    one = len(whole.counts[0]) == 2 and not whole.several
    return (int(whole.counts[0, 1]), int(whole.counts[2 - axis, 1])) if one else None


@dataclass(frozen=True)
class Scores:
    """All that is computed from predictions alone.

    The rows of `confusion` are the real labels; it is empty if texts have several.
    """

    metrics: Metrics
    confusion: list[list[int]]
    labels: list[LabelMetrics]


def score(predictions: Predictions, *, labels_only: bool = False, seed: int = 0, resamples: int = 1000) -> Scores:
    """Measure predictions.

    Intervals are Wilson's for proportions, and percentiles of a Bayesian bootstrap over texts for all else, see
    `intervals.prior_texts`. They depend on `seed` and on the set of texts, not on their order.

    Args:
        predictions: of texts whose labels are known.
        labels_only: whether the probabilities only say which label was predicted.
        seed, resamples: of the bootstrap; without resamples its metrics have no interval.
    """
    order = np.lexsort((*np.atleast_2d(predictions.labels.T), *predictions.probabilities.T))
    ordered = predictions.take(order)
    listed = {
        name: metric
        for name, metric in metrics_of(predictions.targets).items()
        if metric.labels_only or not labels_only
    }
    drawn = {name: np.empty(resamples) for name in listed}
    f1 = np.empty((resamples, predictions.size))
    for number, sample in enumerate(_bootstrap(ordered, seed, resamples)):
        f1[number] = sample.by_label[2]
        for name, metric in listed.items():
            if metric.interval:
                drawn[name][number] = metric.function(sample)
    whole = Sample(ordered)
    hits, real, predicted = whole.counts.astype(np.int64).tolist()
    return Scores(
        {name: _estimate(metric, whole, drawn[name]) for name, metric in listed.items()},
        [] if whole.several else whole.confusion.astype(np.int64).tolist(),
        [
            LabelMetrics(
                texts=real[label],
                precision=proportion(hits[label], predicted[label]),
                recall=proportion(hits[label], real[label]),
                f1=percentiles(float(whole.by_label[2, label]), f1[:, label]),
            )
            for label in range(predictions.size)
        ],
    )


def _estimate(metric: Metric, whole: Sample, drawn: Floats) -> Estimate:
    counts = metric.proportion(whole)
    if counts is not None:
        return proportion(*counts)
    return percentiles(metric.function(whole), drawn if metric.interval else drawn[:0])


def _bootstrap(predictions: Predictions, seed: int, resamples: int) -> Iterator[Sample]:
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield Sample.drawn(predictions, rng.standard_exponential(len(predictions)), rng)


def coverage(
    right: NDArray[np.bool_], confidence: NDArray[np.floating[Any]], shares: Sequence[float] = COVERAGES
) -> list[Coverage]:
    """Return the accuracy of the most confident predictions for several shares of the texts.

    Args:
        right: (n,), whether the predicted label is the real one.
        confidence: (n,), the probability of the predicted label.
        shares: of the texts; equal confidences stay together, so a row may have a larger share, or be left out.
    """
    ordered = np.sort(confidence)[::-1]
    rows = []
    for threshold in dict.fromkeys(float(ordered[max(int(np.ceil(share * len(ordered))), 1) - 1]) for share in shares):
        kept = confidence >= threshold
        texts = int(kept.sum())
        accuracy = proportion(int(right[kept].sum()), texts)
        rows.append(Coverage(threshold=threshold, share=texts / len(ordered), texts=texts, accuracy=accuracy))
    return rows


def threshold_tables(predictions: Predictions, names: Sequence[str]) -> dict[str, list[ThresholdRow]]:
    """Return precision, recall and F1 of each label if it is predicted from each of `THRESHOLDS` on."""
    return {name: _threshold_rows(predictions, label) for label, name in enumerate(names)}


def _threshold_rows(predictions: Predictions, label: int) -> list[ThresholdRow]:
    members = predictions.members(label)
    counts = counts_at(members, predictions.probabilities[:, label], THRESHOLDS)
    rows, total = [], int(members.sum())
    for threshold, texts, hits in zip(THRESHOLDS, *(each.tolist() for each in counts), strict=True):
        f1 = 2 * hits / (texts + total) if texts + total else None
        precision, recall = proportion(hits, texts), proportion(hits, total)
        rows.append(ThresholdRow(threshold=threshold, texts=texts, precision=precision, recall=recall, f1=f1))
    return rows


def reliability_points(
    confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]
) -> list[tuple[float, float, float, float]]:
    """Return mean confidence, accuracy and its Wilson interval for each bin of the confidence that is not empty."""
    bins = confidence_bins(confidence)
    points = []
    for number in np.unique(bins):
        inside = bins == number
        share = proportion(int(right[inside].sum()), int(inside.sum()))
        assert share.value is not None and share.low is not None and share.high is not None
        points.append((float(confidence[inside].mean()), share.value, share.low, share.high))
    return points


def part_accuracies(
    whole: Predictions, parts: Mapping[str, ArrayLike], thresholds: Sequence[float] = ()
) -> list[PartAccuracy]:
    """Return the accuracy of each part of a model, and how it differs from that of the whole.

    Args:
        whole: the predictions of the model.
        parts: probabilities of each part by its name, as for `Predictions.of`.
        thresholds: as for `Predictions.of`.
    """
    right, results = whole.right, []
    for name, probabilities in parts.items():
        other = Predictions.of(whole.labels, probabilities, thresholds=thresholds).right
        accuracy = proportion(int(other.sum()), len(other))
        results.append(PartAccuracy(name, accuracy, paired_difference(*discordant(other, right), len(right))))
    return results
