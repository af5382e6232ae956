"""What the metrics of two labels and of several are computed by: counts → a number, NaN where it is undefined."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.evaluation.intervals import Estimate, proportion

Floats = NDArray[np.floating[Any]]

BINS = 15  # of the calibration error
BIN_REVIEWS = 20  # in each of them at least
DRAWS, CHANCE_DRAWS = 1000, 400  # of what chance adds to it
MOST_FACTOR = 64.0


def area_under(counts: Floats) -> float:
    """Return the ROC AUC of reviews counted by class and probability, (2, groups) ascending; NaN for one class."""
    negatives, positives = counts
    below = np.cumsum(negatives)
    pairs = below[-1] * positives.sum()
    # Pairs in order count two, ties one: whole numbers stay whole, and the area exact. Not a dot product: BLAS would
    # wake its threads for each of a thousand short vectors, twenty times slower than the sum itself.
    in_order = (positives * (2 * below - negatives)).sum()
    return float(in_order / (2 * pairs)) if pairs else np.nan


def calibration_bins(confidence: Floats, counts: NDArray[np.int64], bins: int | None = None) -> NDArray[np.int64]:
    """Return the bin of each distinct confidence, (groups,): as many reviews in each as equal confidences allow.

    The expected calibration error is the mean, over all reviews, of how far the mean confidence of a bin is from the
    share of its predictions that are right. Source: M. Naeini, G. Cooper and M. Hauskrecht, "Obtaining well calibrated
    probabilities using Bayesian binning", AAAI 2015, with bins of equal mass.

    Args:
        confidence: (groups,), of the predicted label.
        counts: (groups,), reviews of each.
        bins: how many; None: BINS, or as many fewer as leave BIN_REVIEWS in each, two at least.
    """
    reviews = int(counts.sum())
    bins = bins or min(BINS, max(2, reviews // BIN_REVIEWS))
    order = np.argsort(confidence, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    found = np.empty(len(confidence), np.int64)
    found[order] = before * bins // max(reviews, 1)
    # Confidences that are equal, of either label, share the first one's bin.
    distinct, same = np.unique(confidence, return_inverse=True)
    least = np.full(len(distinct), bins)
    np.minimum.at(least, same, found)
    shared: NDArray[np.int64] = least[same]
    return shared


def calibration_error(confidence: Floats, hits: NDArray[np.int64], counts: NDArray[np.int64]) -> Estimate:
    """Return the expected calibration error, less what chance alone adds to it, with its interval.

    Bins of few reviews are off by chance even where all probabilities are right, so that the plain mean is too large,
    and resamples of it larger still. Here the errors of the bins are scaled by one factor, and the values and ends are
    those of the factors for which what was seen is the median, and the 97.5 and 2.5 percentiles, of what chance would
    show. Two things are known better than that, and mend the ends:

    - no calibration error is less than the distance of mean confidence and accuracy, of which Wilson's interval tells
      how large it may be, be there a mistake or not;
    - if the probabilities are right, reviews whose answers are drawn by them show what chance adds. Where what was seen
      is not too large for that, the error may be zero. Source: J. Bröcker and L. Smith, "Increasing the reliability of
      reliability diagrams", Weather and Forecasting 22, 2007.

    How often the interval holds the truth: `benchmarks/coverage.py`.

    Args:
        confidence: (groups,), of the predicted label.
        hits: (groups,), how many of the reviews are predicted rightly.
        counts: (groups,), reviews of each.
    """
    _, bins = np.unique(calibration_bins(confidence, counts), return_inverse=True)
    sizes, right = np.bincount(bins, weights=counts), np.bincount(bins, weights=hits)
    said = np.bincount(bins, weights=counts * confidence)
    means = (said - right) / sizes
    squares = np.bincount(bins, weights=hits * (1 - confidence) ** 2 + (counts - hits) * confidence**2) / sizes
    errors = np.sqrt(np.maximum(squares - means**2, 0) / np.maximum(sizes - 1, 1))
    weights = sizes / sizes.sum()
    seen = float((weights * np.abs(means)).sum())
    rng = np.random.default_rng(0)
    chance = errors * rng.normal(size=(DRAWS, len(sizes)))

    def factor(quantile: float) -> float:
        def excess(by: float) -> float:
            return float(np.quantile((weights * np.abs(by * means + chance)).sum(axis=1), quantile)) - seen

        return _root(excess)

    value, low, high = (seen * factor(quantile) for quantile in (0.5, 0.975, 0.025))
    if low > 0 and seen <= np.quantile(_chance_alone(confidence, counts, bins, rng), 0.975):
        low = 0.0
    accuracy, mean = proportion(int(hits.sum()), int(counts.sum())), float(said.sum() / counts.sum())
    assert accuracy.low is not None and accuracy.high is not None
    return Estimate(value, low, max(high, mean - accuracy.low, accuracy.high - mean))


def _chance_alone(
    confidence: Floats, counts: NDArray[np.int64], bins: NDArray[np.int64], rng: np.random.Generator
) -> Floats:
    """Return the plain calibration errors of reviews whose answers are right as often as is said, (draws,)."""
    said, places = np.bincount(bins, weights=counts * confidence), np.repeat(bins, counts)
    likely = np.repeat(confidence, counts)
    drawn = [np.bincount(places, weights=rng.random(len(likely)) < likely) for _ in range(CHANCE_DRAWS)]
    found: Floats = np.abs(np.array(drawn) - said).sum(axis=1) / len(likely)
    return found


def _root(excess: Callable[[float], float]) -> float:
    """Return where `excess`, which rises, is zero; 0 where it is above zero from the start."""
    if excess(0.0) >= 0:
        return 0.0
    low, high = 0.0, 1.0
    while excess(high) < 0 and high < MOST_FACTOR:
        high *= 2
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return high


def correlation(confusion: NDArray[np.int64]) -> float:
    """Return Matthews' coefficient of a confusion matrix, (labels, labels); NaN where it is undefined.

    Source: J. Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004.
    """
    n, hits = float(confusion.sum()), float(np.trace(confusion))
    real, predicted = confusion.sum(axis=1, dtype=np.float64), confusion.sum(axis=0, dtype=np.float64)
    spread = (n**2 - (real**2).sum()) * (n**2 - (predicted**2).sum())
    return float((n * hits - (real * predicted).sum()) / np.sqrt(spread)) if spread > 0 else np.nan


def average_precision(counts: Floats) -> float:
    """Return the PR AUC of reviews counted by class and probability, (2, groups) ascending; NaN without positives."""
    negatives, positives = counts[:, ::-1]
    total = positives.sum()
    if not total:
        return np.nan
    hits = np.cumsum(positives)
    ranked = hits + np.cumsum(negatives)
    precision = np.divide(hits, ranked, where=ranked > 0, out=np.zeros_like(hits))
    return float((precision * positives).sum() / total)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    Where two classifiers are equally good, each is the one that is right in about half of the reviews that exactly one
    of them gets right. Source: T. Dietterich, "Approximate statistical tests for comparing supervised classification
    learning algorithms", 1998; the binomial form needs no many reviews.

    Args:
        only_first, only_second: how many reviews the first, or the second, alone has right.
    """
    n, least = only_first + only_second, min(only_first, only_second)
    tail = sum(comb(n, k) for k in range(least + 1))  # whole numbers: exact however many there are
    return min(1.0, float(Fraction(2 * tail, 2**n)))
