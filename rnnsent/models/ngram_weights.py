"""Weights of n-grams, naive-Bayes log-count ratios above all: for the baseline, and as inputs of a network.

Source: S. Wang and C. Manning, "Baselines and bigrams: simple, good sentiment and topic classification", ACL 2012,
section 2.3.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import NgramsConfig
from rnnsent.data.split import Split
from rnnsent.data.splitting import label_counts
from rnnsent.data.statistics import fingerprints
from rnnsent.errors import RnnsentError
from rnnsent.models.ngrams import Keys, Ngrams, common_keys, ending_keys, ngram_sets, places
from rnnsent.runs import archives

Floats = NDArray[np.float32]
Counts = NDArray[np.float64]

SMOOTHING = 1.0  # added to every count
REGRESSION_SCALE = 5.0
CHUNK = 4096  # reviews whose channels are made together


def sides(labels: int) -> list[int]:
    """Return the labels that ratios are made for, each against all others: of two, the second is enough."""
    return [1] if labels == 2 else list(range(labels))


def log_count_ratios(matrix: Any, positive: NDArray[np.bool_], certain: Counts | None = None) -> Floats:
    """Return the ratio of each column of `matrix`, between `positive` rows and the others.

    Args:
        matrix: (rows, columns), sparse, of ones.
        positive: (rows,).
        certain: (rows,), what each row counts; None: 1.
    """
    counts = (matrix.T @ (rows * (1.0 if certain is None else certain)) for rows in (positive, ~positive))
    return _ratio(*counts)[0].astype(np.float32)


def _ratio(here: Counts, there: Counts) -> tuple[Counts, float]:
    """Return log((p / |p|) / (q / |q|)) for counts of n-grams, smoothed to p and q, and that of one without a count."""
    p, q = SMOOTHING + here, SMOOTHING + there
    balance = float(np.log(q.sum()) - np.log(p.sum())) if len(p) else 0.0
    return np.log(p) - np.log(q) + balance, balance


@dataclass(frozen=True)
class NgramRatios:
    """What training reviews say of n-grams: a number for each order of n-grams, and of three labels or more for each.

    Attributes:
        keys: for each order from 1 the n-grams, ascending; see `ngrams.ending_keys`.
        ratios: for each order, float32 (n-grams, sides); one side for two labels, else one a label against the others.
        unseen: float32 (orders, sides), of an n-gram that is not among them.
    """

    keys: tuple[Keys, ...]
    ratios: tuple[Floats, ...]
    unseen: Floats

    def onto(self, split: Split) -> Split:
        """Return `split` with the ratios of the n-grams that end at each id as its channels."""
        channels = np.zeros((len(split.tokens), self.unseen.size), np.float32)
        self.write(split, channels)
        return replace(split, channels=channels, ngram_orders=len(self.keys))

    def write(self, split: Split, channels: Floats) -> None:
        """Write the ratios of the reviews of `split` into `channels`, which stand beside its tokens."""
        width = self.unseen.shape[1]
        for start in range(0, len(split), CHUNK):
            part = split.take(slice(start, start + CHUNK))
            at = part.positions()
            for order, (known, ratios) in enumerate(zip(self.keys, self.ratios, strict=True), start=1):
                columns = slice((order - 1) * width, order * width)
                channels[at, columns] = _looked_up(ending_keys(part, order), known, ratios, self.unseen[order - 1])

    def to_npz(self) -> bytes:
        """Return all arrays as the bytes of an .npz file, without pickles."""
        arrays: dict[str, NDArray[Any]] = {"unseen": self.unseen}
        for order, (keys, ratios) in enumerate(zip(self.keys, self.ratios, strict=True), start=1):
            arrays |= {f"keys_{order}": keys, f"ratios_{order}": ratios}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def from_npz(cls, source: Path | bytes) -> NgramRatios:
        """Read what `to_npz` wrote, in a file or not.

        Raises:
            ValueError, KeyError: if it is something else.
            OSError: if the file cannot be read.
        """
        arrays = archives.read(source if isinstance(source, Path) else io.BytesIO(source))
        unseen = arrays["unseen"]
        if unseen.ndim != 2 or unseen.dtype.kind != "f":
            raise ValueError("unseen is not a number for each order and side")
        orders = range(1, len(unseen) + 1)
        keys, ratios = (tuple(arrays[f"{name}_{order}"] for order in orders) for name in ("keys", "ratios"))
        for known, numbers in zip(keys, ratios, strict=True):
            if known.shape != numbers.shape[:1] or numbers.shape[1:] != unseen.shape[1:]:
                raise ValueError("keys and ratios do not fit each other")
            if known.dtype.kind != "i" or numbers.dtype.kind != "f" or np.any(known[1:] <= known[:-1]):
                raise ValueError("keys are not ascending whole numbers, or ratios are not numbers")
        return cls(keys, ratios, unseen)


def out_of_fold(train: Split, labels: int, config: NgramsConfig, seed: int) -> tuple[NgramRatios, Split]:
    """Return the weights that all of `train` gives, and `train` with those of its own reviews found on the others.

    So what a review's own label did to its weights is not in them. That it is missing shows all the same, to whoever
    knows what the weights of all reviews are: in docs/experiments.md the differences tell shuffled labels, n-gram by
    n-gram. A network learns such a table where it has a vector of its own for each word; with vectors that are not
    trainable hardly.

    Args:
        train: reviews as the network reads them.
        labels: how many there are.
        config: orders, folds, least reviews, kinds of weights.
        seed: of the folds.

    Raises:
        RnnsentError: if scikit-learn is needed and not installed.
    """
    folds = _folds(train, config.folds, seed, labels)
    kinds = {"naive_bayes": _naive_bayes, "regression": _regression}
    without = [kinds[kind](train, labels, folds, config) for kind in config.weights]
    channels = np.zeros((len(train.tokens), config.orders * len(config.weights) * len(sides(labels))), np.float32)
    for fold in range(config.folds):
        held_out = train.take(np.flatnonzero(folds == fold))
        _beside([each(fold) for each in without]).write(held_out, channels)
    whole = _beside([each(None) for each in without])
    return whole, replace(train, channels=channels, ngram_orders=config.orders)


def _folds(train: Split, folds: int, seed: int, labels: int) -> NDArray[np.int64]:
    """Return the fold of each review, (reviews,): drawn, those of one group together, each label spread evenly.

    Were one label more frequent in a fold, it would be less so in the others, and weights found there would tell it.
    Of reviews with the same text all are where the first is, be they of other groups: each would tell the label of the
    others. Groups are not joined for that, or a text such as "good" would leave one fold of all.
    """
    group = np.arange(len(train))
    if train.groups is not None:
        group = np.unique(train.groups, return_inverse=True)[1]
    drawn = _spread(label_counts(group, train.labels, labels), folds, seed)[group]
    _, first, text = np.unique(fingerprints(train), return_index=True, return_inverse=True)
    return drawn[first[text]]


def _spread(held: Counts, folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each group, (groups,), the largest first, each where its labels are the rarest so far.

    Args:
        held: reviews of each label in each group, (groups, labels).
        folds: how many there are.
        seed: of the order of groups that are equally large.
    """
    order = np.random.default_rng(seed).permutation(len(held))
    order = order[np.argsort(-held.sum(axis=1)[order], kind="stable")]
    share = held / np.maximum(held.sum(axis=0), 1.0)  # of all reviews of a label
    so_far = np.zeros((folds, held.shape[1]))
    drawn = np.zeros(len(held), np.int64)
    for group in order:
        fold = int(np.argmin(so_far @ share[group]))  # where the sum of squared shares grows least
        so_far[fold] += share[group]
        drawn[group] = fold
    return drawn


def _beside(parts: list[NgramRatios]) -> NgramRatios:
    """Return weights of the same n-grams side by side."""
    ratios = tuple(np.concatenate(each, axis=1) for each in zip(*(part.ratios for part in parts), strict=True))
    return NgramRatios(parts[0].keys, ratios, np.concatenate([part.unseen for part in parts], axis=1))


def _naive_bayes(
    train: Split, labels: int, folds: NDArray[np.int64], config: NgramsConfig
) -> Callable[[int | None], NgramRatios]:
    """Return what gives the log-count ratios of all folds but one."""
    tables = [_Table.of(train, order, labels, folds, config) for order in range(1, config.orders + 1)]
    return lambda fold: _ratios(tables, fold, config.least_reviews)


def _regression(
    train: Split, labels: int, folds: NDArray[np.int64], config: NgramsConfig
) -> Callable[[int | None], NgramRatios]:
    """Return what gives the weights of the n-grams in a logistic regression on all folds but one, ratios included."""
    ngrams = Ngrams(train, config.orders, config.least_reviews)
    matrix, told_apart = ngrams.matrix(train), sides(labels)
    ends = np.cumsum([len(keys) for keys in ngrams.keys])[:-1]
    certain = train.certainty()

    def fitted(fold: int | None) -> NgramRatios:
        rows = np.arange(len(train)) if fold is None else np.flatnonzero(folds != fold)
        held = matrix[rows]
        columns = [
            _regressed(held, train.labels[rows] == label, certain[rows], config.strength) for label in told_apart
        ]
        by_order = np.split(np.stack(columns, axis=1), ends)
        return NgramRatios(tuple(ngrams.keys), tuple(by_order), np.zeros((config.orders, len(told_apart)), np.float32))

    return fitted


def _regressed(held: Any, positive: NDArray[np.bool_], certain: Counts, strength: float) -> Floats:
    """Return what each n-gram adds to the log-odds, times a number that makes it as large as a ratio.

    That is nothing where no review is of the label, or all are, and where no n-gram is frequent enough.
    """
    if not held.shape[1] or positive.all() or not positive.any():
        return np.zeros(held.shape[1], np.float32)
    ratio = log_count_ratios(held, positive, certain)
    model = logistic_regression(strength).fit(held.multiply(ratio).tocsr(), positive, sample_weight=certain)
    weights: Floats = (REGRESSION_SCALE * model.coef_[0] * ratio).astype(np.float32)
    return weights


def require_scikit_learn() -> None:
    """Require what a regression on n-grams needs.

    Raises:
        RnnsentError: if it is not installed.
    """
    from rnnsent.models.requirements import missing  # slow to import: it reads YAML

    if missing("sklearn"):
        raise RnnsentError("regression on n-grams needs scikit-learn: pip install 'rnnsent[baseline]'")


def logistic_regression(strength: float) -> Any:
    """Return an untrained model of scikit-learn's, for n-grams weighted by their ratios.

    Args:
        strength: the inverse of its regularization, C.

    Raises:
        RnnsentError: if scikit-learn is not installed.
    """
    require_scikit_learn()
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, solver="liblinear", dual=True, max_iter=2000, random_state=0)


@dataclass(frozen=True)
class _Table:
    """How many reviews of each fold and label hold each n-gram of one order; an uncertain one counts for less."""

    keys: Keys
    counts: NDArray[np.float32]  # (folds, labels, n-grams)

    @classmethod
    def of(cls, train: Split, order: int, labels: int, folds: NDArray[np.int64], config: NgramsConfig) -> _Table:
        sets = ngram_sets(train, order)
        held, reviews = (np.concatenate(parts) for parts in zip(*sets, strict=True))
        keys = common_keys(held, config.least_reviews)
        counts = np.zeros((config.folds, labels, len(keys)), np.float32)
        certain = train.certainty()[reviews]
        at, there = places(keys, held)
        cell = folds[reviews] * labels + train.labels[reviews]
        for index in range(config.folds * labels):
            held_here = there & (cell == index)
            found = np.bincount(at[held_here], weights=certain[held_here], minlength=len(keys))
            counts[index // labels, index % labels] = found
        return cls(keys, counts)


def _ratios(tables: list[_Table], without: int | None, least: int) -> NgramRatios:
    """Return the ratios of all folds but one."""
    found, unseen = [], []
    for table in tables:
        counts = table.counts.sum(axis=0) - (0 if without is None else table.counts[without])  # (labels, n-grams)
        values, nothing = _by_side(counts)
        values[counts.sum(axis=0) < least] = nothing
        found.append(values)
        unseen.append(nothing)
    return NgramRatios(tuple(table.keys for table in tables), tuple(found), np.stack(unseen))


def _by_side(counts: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Return the ratio of each n-gram, (n-grams, sides), and of one that no review holds, (sides,)."""
    found = [_ratio(counts[label], np.delete(counts, label, axis=0).sum(axis=0)) for label in sides(len(counts))]
    values, unseen = zip(*found, strict=True)
    return np.stack(values, axis=1).astype(np.float32), np.array(unseen, np.float32)


def _looked_up(keys: Keys, known: Keys, ratios: Floats, unseen: Floats) -> Floats:
    found = np.broadcast_to(unseen, (len(keys), len(unseen))).copy()
    at, there = places(known, keys)
    found[there] = ratios[at[there]]
    found[keys < 0] = 0
    return found
