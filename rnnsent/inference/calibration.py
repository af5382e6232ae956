"""Temperature scaling and decision thresholds, fitted on validation texts.

Of several labels a text each has a threshold of its own, on its calibrated probability: the one with the best F1, as in
Y. Yang, "A study of thresholding strategies for text categorization", SIGIR 2001 (SCut).

Source: C. Guo, G. Pleiss, Y. Sun and K. Weinberger, "On calibration of modern neural networks", ICML 2017. With two
labels the threshold moves away from 0.5 if McNemar's test finds that better; logits are shifted by its logit, so that
calibrated probabilities are always compared to 0.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.errors import count
from rnnsent.models.linear import CLIP, blend, log_loss
from rnnsent.runs.schemas import CalibrationInfo

Floats = NDArray[np.floating[Any]]

MAX_TEMPERATURE = 20.0  # the search covers this down to its inverse
MIN_MEMBERS = 10  # validation texts of one label of several, to choose its threshold by
MIN_TEXTS = 100  # with fewer validation texts a temperature is unreliable
WEIGHTS = tuple(round(weight * 0.05, 2) for weight in range(21))  # of the linear part, that are tried
Z_99 = 2.5758293035489004  # the best of many thresholds looks better than it is, so the test is at 1 %


class Calibration(CalibrationInfo):
    """The change of the probabilities of a network."""

    def __call__(self, probabilities: Floats) -> NDArray[np.float32]:
        """Return calibrated probabilities: of label 1, (n,), or of each label, (n, labels), as they were given."""
        if (self.temperature, self.threshold) == (1.0, 0.5):
            return probabilities.astype(np.float32, copy=False)
        values = np.clip(probabilities.astype(np.float64), CLIP, 1 - CLIP)
        if values.ndim == 1 or self.thresholds:
            logits = np.log(values) - np.log1p(-values)
            outputs = 1 / (1 + np.exp(-(logits - self.shift) / self.temperature))
        else:
            powers = np.exp((np.log(values) - np.log(values).max(axis=1, keepdims=True)) / self.temperature)
            outputs = powers / powers.sum(axis=1, keepdims=True)
        return np.asarray(outputs, np.float32)

    def __str__(self) -> str:
        at_limit = abs(np.log(self.temperature)) > np.log(MAX_TEMPERATURE) - 1e-3
        limit = " (the limit of the search)" if at_limit else ""
        threshold = "" if self.threshold == 0.5 else f", threshold {self.threshold:.3f}"
        if self.thresholds:
            threshold = f", thresholds {min(self.thresholds):.3f} to {max(self.thresholds):.3f}"
        warning = f" (unreliable with fewer than {MIN_TEXTS})" if self.texts < MIN_TEXTS else ""
        texts = count(self.texts, "validation text")
        return f"temperature {self.temperature:.3f}{limit}{threshold}, fitted on {texts}{warning}"

    @property
    def shift(self) -> float:
        """The logit of the threshold."""
        return float(np.log(self.threshold) - np.log1p(-self.threshold))


NONE = Calibration()


def fit_calibration(labels: NDArray[np.int64], probabilities: Floats) -> Calibration:
    """Fit the temperature and threshold to validation texts; the log loss never gets worse.

    The squared log temperature, weighted as half a text, keeps the temperature finite if all predictions are right.

    Args:
        labels: (n,); of several labels a text which it has, (n, labels).
        probabilities: of label 1, (n,), or of each label, (n, labels).
    """
    if not len(labels):
        return NONE
    threshold = _fit_threshold(labels, probabilities) if probabilities.ndim == 1 else 0.5
    halves = (0.5,) * labels.shape[1] if labels.ndim == 2 else ()

    def cost(log_temperature: float) -> float:
        outputs = Calibration(float(np.exp(log_temperature)), threshold, thresholds=halves)(probabilities)
        return log_loss(labels, outputs) + log_temperature**2 / (2 * len(labels))

    best = _minimize(cost, -float(np.log(MAX_TEMPERATURE)), float(np.log(MAX_TEMPERATURE)))
    temperature = round(float(np.exp(best)) if cost(best) < cost(0.0) else 1.0, 6)
    outputs = Calibration(temperature, threshold, thresholds=halves)(probabilities)
    loss_before, loss_after = (log_loss(labels, values) for values in (probabilities, outputs))
    thresholds = best_thresholds(labels, outputs) if halves else ()
    return Calibration(temperature, threshold, len(labels), loss_before, loss_after, thresholds)


def best_weight(labels: NDArray[np.int64], network: Floats, linear: Floats) -> float:
    """Return the weight of the linear part with which a model, at its best temperature, has the lowest log loss.

    Args:
        labels: (n,).
        network, linear: their probabilities of validation texts that neither was fitted on, as for `blend`.
    """
    if not len(labels):
        return 0.5
    several = labels.ndim == 2
    losses = [fit_calibration(labels, blend(network, linear, weight, several)).log_loss_after for weight in WEIGHTS]
    return WEIGHTS[int(np.argmin(losses))]


def _fit_threshold(labels: NDArray[np.int64], probabilities: Floats) -> float:
    """Return the most accurate threshold, halfway between two texts; 0.5 unless that is significantly worse."""
    order = np.argsort(probabilities, kind="stable")
    ascending, real = probabilities[order].astype(np.float64), labels[order]
    # Right predictions for a threshold below text k: zeros before it, ones from it on.
    right = np.concatenate([[0], np.cumsum(real == 0)]) + np.concatenate([np.cumsum((real == 1)[::-1])[::-1], [0]])
    possible = np.concatenate([[False], ascending[1:] > ascending[:-1], [False]])
    if not possible.any():
        return 0.5
    place = int(np.argmax(np.where(possible, right, -1)))
    threshold = round(float(np.clip(ascending[place - 1 : place + 1].mean(), CLIP, 1 - CLIP)), 6)
    correct, default = ((probabilities > value) == labels for value in (threshold, 0.5))
    gains, losses = int((correct & ~default).sum()), int((default & ~correct).sum())
    significant = gains - losses - 1 > Z_99 * np.sqrt(gains + losses)  # McNemar's test, continuity corrected
    return threshold if significant else 0.5


def best_thresholds(labels: NDArray[np.int64], probabilities: Floats) -> tuple[float, ...]:
    """Return the threshold of each of several labels a text, (texts, labels), with the best F1 on these texts."""
    return tuple(map(_best_f1, labels.T, probabilities.T))


def _best_f1(labels: NDArray[np.int64], probabilities: Floats) -> float:
    """Return the threshold of one label of several that gives the best F1, halfway between two texts.

    With fewer than `MIN_MEMBERS` texts of the label it is 0.5: the best of many thresholds would be one of chance.
    """
    if labels.sum() < MIN_MEMBERS:
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    descending, hits = probabilities[order].astype(np.float64), np.cumsum(labels[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + labels.sum())
    below = np.append(descending[1:], 0.0)
    f1[descending == below] = 0.0  # equal probabilities are on one side
    best = int(np.argmax(f1))
    return round(float(np.clip((descending[best] + below[best]) / 2, CLIP, 1 - CLIP)), 6)


def _minimize(cost: Callable[[float], float], low: float, high: float) -> float:
    """Return where a convex function is lowest, by ever finer grids."""
    for _ in range(6):
        grid = np.linspace(low, high, 21)
        best = int(np.argmin([cost(value) for value in grid]))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 20)]
    return float((low + high) / 2)
