"""Decision thresholds: how probabilities become labels by them, and the smallest one that reaches a precision.

A label with a threshold is predicted if its probability reaches it, of several such labels the one with the largest
ratio to its threshold. Otherwise the most probable label without a threshold is predicted; if all have one, the label
with the largest ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.errors import RnnsentError

if TYPE_CHECKING:
    from rnnsent.config.sections import DataConfig

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Thresholds = Mapping[int, float]  # by the number of the label

FOLDS = 5
UNREACHABLE = float("inf")


def numbered(thresholds: Mapping[str, float], data: DataConfig) -> dict[int, float]:
    """Return thresholds by the numbers of their labels, those of `data`.

    Raises:
        RnnsentError: if there is no such label, a threshold is not between 0 and 1, or texts have several labels.
    """
    names = data.label_names
    if thresholds and data.targets == "multi":
        shown = ", ".join(thresholds)
        raise RnnsentError(f"thresholds of {shown}: texts have several labels; those in calibration.json decide")
    for name, value in thresholds.items():
        if name not in names:
            raise RnnsentError(f"no such label: {name}; use {', '.join(names)}")
        if not 0 < value < 1:
            raise RnnsentError(f"threshold of {name}: {value:g}; use a number above 0 and below 1")
    return {names.index(name): float(value) for name, value in thresholds.items()}


def decide(probabilities: Floats, thresholds: Thresholds) -> Ints:
    """Return the predicted labels, (texts,), of probabilities, (texts, labels)."""
    labels, limits = list(thresholds), np.array(list(thresholds.values()))
    ratios, others = np.zeros(probabilities.shape), np.array(probabilities, np.float64)
    ratios[:, labels] = others[:, labels] / limits
    reached = (others[:, labels] >= limits).any(axis=1) | (len(labels) == others.shape[1])
    others[:, labels] = -1
    decisions: Ints = np.where(reached, ratios.argmax(axis=1), others.argmax(axis=1))
    return decisions


def counts_at(members: Flags, probabilities: Floats, thresholds: Floats | Sequence[float]) -> tuple[Ints, Ints]:
    """Return how many texts reach each threshold of one label, and how many of these have the label.

    Args:
        members: (texts,), which have it.
        probabilities: (texts,), of the label.
        thresholds: in any order.
    """
    order = np.argsort(probabilities, kind="stable")
    below = np.searchsorted(np.asarray(probabilities, np.float64)[order], thresholds, "left")
    hits = np.append(0, np.cumsum(members[order]))
    return len(members) - below, hits[-1] - hits[below]


def smallest_threshold(members: Flags, probabilities: Floats, precision: float) -> tuple[float, float]:
    """Return the smallest threshold of one label that reaches a precision; UNREACHABLE if there is none.

    It lies halfway between the probabilities of two texts. Arguments are those of `counts_at`.

    Returns:
        The threshold, and the highest precision of any.
    """
    distinct = np.unique(np.asarray(probabilities, np.float64))
    distinct = distinct[distinct > 0]
    texts, hits = counts_at(members, probabilities, distinct)
    shares = hits / texts
    reaching = np.flatnonzero(shares >= precision)
    if not len(reaching):
        return UNREACHABLE, float(shares.max(initial=0.0))
    place = int(reaching[0])
    low, high = (float(distinct[place - 1]) if place else 0.0), float(distinct[place])
    middle = (low + high) / 2
    rounded = round(middle, 6)
    return rounded if low < rounded <= high and rounded < 1 else middle, float(shares.max())


def cross_fitted(probabilities: Floats, choose: Callable[[Flags], Thresholds]) -> Ints:
    """Return the predicted labels of texts, (texts,), each by the thresholds that are chosen on the other folds.

    Args:
        probabilities: (texts, labels).
        choose: returns the thresholds for the texts that an array of flags, (texts,), selects.
    """
    folds = np.random.default_rng(0).permutation(len(probabilities)) % FOLDS
    decisions = np.empty(len(probabilities), np.int64)
    for fold in np.unique(folds):
        decisions[folds == fold] = decide(probabilities[folds == fold], choose(folds != fold))
    return decisions
