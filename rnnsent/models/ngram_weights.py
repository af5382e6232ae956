"""N-grams of word ids and of characters, and weights: log-count ratios above all, for the baseline and as inputs.

Source: S. Wang and C. Manning, "Baselines and bigrams: simple, good sentiment and topic classification", ACL 2012,
section 2.3.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import NgramsConfig
from rnnsent.data.dataset import Split
from rnnsent.data.splitting import label_counts
from rnnsent.errors import RnnsentError, installed

Floats = NDArray[np.float32]
Counts = NDArray[np.float64]
Keys = NDArray[np.int64]
Places = NDArray[np.int64]

BITS = 20  # of a word id in a key: three fit into 62 bits, and the order of the n-gram stands above them
MAX_ORDER = 3
SMOOTHING = 1.0  # added to every count
REGRESSION_SCALE = 5.0  # makes the weight of a regression as large as a ratio
CHUNK = 4096  # texts whose n-grams are made together


def ending_keys(split: Split, order: int) -> Keys:
    """Return a number for the n-gram that ends at each id, (sum of lengths,); -1 where a text is not as long yet.

    Equal n-grams have equal numbers. The start token counts as a word; ids of 2**20 and more count as one word.

    Args:
        split: texts.
        order: how many words, 1 … 3.
    """
    ids = np.minimum(split.flat(), (1 << BITS) - 1).astype(np.int64)
    texts = np.repeat(np.arange(len(split)), split.lengths)
    keys = np.full(len(ids), -1, np.int64)
    ends = np.zeros(max(len(ids) - order + 1, 0), np.int64)
    for place in range(order):
        ends = (ends << BITS) | ids[place : place + len(ends)]
    keys[order - 1 :] = np.where(texts[: len(ends)] == texts[order - 1 :], ends, -1)
    return keys


def ngram_sets(split: Split, order: int) -> list[tuple[Keys, Places]]:
    """Return every n-gram that a text holds, once, and the text, (n-grams,) each; some texts at a time."""
    sets = []
    for start in range(0, len(split), CHUNK):
        part = split.take(slice(start, start + CHUNK))
        keys, texts = once(ending_keys(part, order), np.repeat(np.arange(len(part)), part.lengths))
        sets.append((keys, texts + start))
    return sets


def once(keys: Keys, texts: Places) -> tuple[Keys, Places]:
    """Return each pair of an n-gram and its text once, by text; those below 0 are none."""
    keys, texts = keys[keys >= 0], texts[keys >= 0]
    by_text = np.lexsort((keys, texts))
    keys, texts = keys[by_text], texts[by_text]
    new = np.ones(len(keys), np.bool_)
    new[1:] = (keys[1:] != keys[:-1]) | (texts[1:] != texts[:-1])
    return keys[new], texts[new]


@lru_cache(1 << 17)
def character_keys(word: str, shortest: int, longest: int) -> Keys:
    """Return a number below 2**32 for each n-gram of characters of a word between two spaces, (n-grams,), each once."""
    spaced = f" {word} "
    ngrams = {
        spaced[start : start + length]
        for length in range(shortest, longest + 1)
        for start in range(len(spaced) - length + 1)
    }
    return np.array(sorted(map(ngram_key, ngrams)), np.int64)


def ngram_key(ngram: str) -> int:
    """Return the number of an n-gram of characters, below 2**32."""
    return zlib.crc32(ngram.encode("utf-8", "surrogatepass"))


def places_of(known: Keys, keys: Keys) -> tuple[Places, NDArray[np.bool_]]:
    """Return where each of `keys` is in `known`, which ascends, and whether it is there at all; else the place is 0."""
    if not len(known):
        return np.zeros(len(keys), np.int64), np.zeros(len(keys), np.bool_)
    places = np.searchsorted(known, keys)
    places[places == len(known)] = 0
    return places, known[places] == keys


def _common(sets: list[tuple[Keys, Places]], least_texts: int) -> Keys:
    """Return the n-grams that enough texts hold, ascending."""
    keys, counts = np.unique(np.concatenate([keys for keys, _ in sets]), return_counts=True)
    return keys[counts >= least_texts]


class Ngrams:
    """The n-grams of some texts, as columns of a matrix.

    Args:
        split: the texts.
        orders: the most words of an n-gram.
        least_texts: an n-gram that fewer texts hold is no column.

    Attributes:
        keys: for each order from 1 the n-grams, ascending.
    """

    def __init__(self, split: Split, orders: int = MAX_ORDER, least_texts: int = 2) -> None:
        self.keys = [_common(ngram_sets(split, order), least_texts) for order in range(1, orders + 1)]

    @property
    def size(self) -> int:
        """The number of columns."""
        return sum(len(keys) for keys in self.keys)

    def matrix(self, split: Split) -> Any:
        """Return which of the n-grams each text of a split holds: float32 (texts, size), sparse, of ones."""
        from scipy import sparse

        rows, columns = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        offset = 0
        for order, ngrams in enumerate(self.keys, start=1):
            for keys, texts in ngram_sets(split, order):
                places, present = places_of(ngrams, keys)
                rows.append(texts[present])
                columns.append(places[present] + offset)
            offset += len(ngrams)
        row, column = np.concatenate(rows), np.concatenate(columns)
        return sparse.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(len(split), self.size))


def log_count_ratios(matrix: Any, positive: NDArray[np.bool_], certainty: Counts | None = None) -> Floats:
    """Return the ratio of each column of `matrix`, between `positive` rows and the others.

    Args:
        matrix: (rows, columns), sparse, of ones.
        positive: (rows,).
        certainty: (rows,), what each row counts; None: 1.
    """
    counts = (matrix.T @ (rows * (1.0 if certainty is None else certainty)) for rows in (positive, ~positive))
    return _ratio(*counts)[0].astype(np.float32)


def _ratio(here: Counts, there: Counts) -> tuple[Counts, float]:
    """Return log((p / |p|) / (q / |q|)) for counts of n-grams, smoothed to p and q, and that of one without a count."""
    p, q = SMOOTHING + here, SMOOTHING + there
    balance = float(np.log(q.sum()) - np.log(p.sum())) if len(p) else 0.0
    return np.log(p) - np.log(q) + balance, balance


@dataclass(frozen=True)
class NgramWeights:
    """The weights of n-grams, as inputs of a network."""

    keys: tuple[Keys, ...]  # for each order from 1 the n-grams, ascending; see `ending_keys`
    weights: tuple[Floats, ...]  # for each order (n-grams, sides), see `Split.members`
    unseen: Floats  # (orders, sides), of an n-gram that is not among them

    def onto(self, split: Split) -> Split:
        """Return `split` with the weights of the n-grams that end at each id as its channels."""
        channels = np.zeros((len(split.tokens), self.unseen.size), np.float32)
        self.write(split, channels)
        return replace(split, channels=channels)

    def write(self, split: Split, channels: Floats) -> None:
        """Write the weights of the texts of `split` into `channels`, which stand beside its tokens."""
        width = self.unseen.shape[1]
        for start in range(0, len(split), CHUNK):
            part = split.take(slice(start, start + CHUNK))
            at = part.positions()
            for order in range(1, len(self.keys) + 1):
                channels[at, (order - 1) * width : order * width] = self._of(ending_keys(part, order), order)

    def _of(self, keys: Keys, order: int) -> Floats:
        """Return the weights of n-grams of one order, float32 (n-grams, sides)."""
        weights = np.broadcast_to(self.unseen[order - 1], (len(keys), self.unseen.shape[1])).copy()
        places, present = places_of(self.keys[order - 1], keys)
        weights[present] = self.weights[order - 1][places[present]]
        weights[keys < 0] = 0
        return weights

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all numbers as arrays by name, for a file."""
        arrays: dict[str, NDArray[Any]] = {"unseen": self.unseen}
        for order, (keys, weights) in enumerate(zip(self.keys, self.weights, strict=True), start=1):
            arrays |= {f"keys_{order}": keys, f"weights_{order}": weights}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> NgramWeights:
        """Return the weights whose `to_arrays` gave `arrays`."""
        orders = range(1, len(arrays["unseen"]) + 1)
        keys, weights = (tuple(arrays[f"{name}_{order}"] for order in orders) for name in ("keys", "weights"))
        return cls(keys, weights, arrays["unseen"])


def out_of_fold(train: Split, labels: int, config: NgramsConfig, seed: int) -> tuple[NgramWeights, Split]:
    """Return the weights fitted on all of `train`, and `train` with weights fitted on the other folds as its channels.

    So the label of a text is not in its own weights; docs/experiments.md shows what a network can still learn of it.

    Args:
        train: texts as the network reads them.
        labels: number of labels.
        config: orders, folds, least texts, kinds of weights.
        seed: of the folds.

    Raises:
        RnnsentError: if scikit-learn is needed and not installed.
    """
    folds = assign_folds(train, config.folds, seed, labels)
    kinds = {"naive_bayes": _naive_bayes, "regression": _regression}
    fits = [kinds[kind](train, labels, folds, config) for kind in config.weights]
    channels = np.zeros(
        (len(train.tokens), config.orders * len(config.weights) * len(train.members(labels))), np.float32
    )
    for fold in range(config.folds):
        held_out = train.take(np.flatnonzero(folds == fold))
        _side_by_side([fit(fold) for fit in fits]).write(held_out, channels)
    weights = _side_by_side([fit(None) for fit in fits])
    return weights, replace(train, channels=channels)


def assign_folds(train: Split, folds: int, seed: int, labels: int) -> Places:
    """Return the fold of each text, (texts,): groups stay together, and each label is spread evenly.

    A label that is frequent in one fold is rare in the others, whose weights would tell it. Equal texts are in the fold
    of the first, whatever their group: each would tell the label of the others.
    """
    group = np.arange(len(train))
    if train.groups is not None:
        group = np.unique(train.groups, return_inverse=True)[1]
    text_folds = _spread(label_counts(group, train.labels, labels), folds, seed)[group]
    _, first, text = np.unique(train.fingerprints(), return_index=True, return_inverse=True)
    return text_folds[first[text]]


def _spread(held: Counts, folds: int, seed: int) -> Places:
    """Return the fold of each group, (groups,), the largest first, each where its labels are the rarest so far.

    Args:
        held: texts of each label in each group, (groups, labels).
        folds: how many there are.
        seed: of the order of groups that are equally large.
    """
    order = np.random.default_rng(seed).permutation(len(held))
    order = order[np.argsort(-held.sum(axis=1)[order], kind="stable")]
    share = held / np.maximum(held.sum(axis=0), 1.0)  # of all texts of a label
    totals = np.zeros((folds, held.shape[1]))
    group_folds = np.zeros(len(held), np.int64)
    for group in order:
        fold = int(np.argmin(totals @ share[group]))  # where the sum of squared shares grows least
        totals[fold] += share[group]
        group_folds[group] = fold
    return group_folds


def _side_by_side(parts: list[NgramWeights]) -> NgramWeights:
    """Return weights of the same n-grams side by side."""
    weights = tuple(np.concatenate(arrays, axis=1) for arrays in zip(*(part.weights for part in parts), strict=True))
    return NgramWeights(parts[0].keys, weights, np.concatenate([part.unseen for part in parts], axis=1))


Fit = Callable[[int | None], NgramWeights]  # without one fold, or on all


def _naive_bayes(train: Split, labels: int, folds: Places, config: NgramsConfig) -> Fit:
    """Return what finds log-count ratios."""
    tables = [_table(train, order, labels, folds, config) for order in range(1, config.orders + 1)]

    def fit(without: int | None) -> NgramWeights:
        weights, unseen = [], []
        for _, counts in tables:
            sums = counts.sum(axis=0) - (0 if without is None else counts[without])  # (1 + sides, n-grams)
            ratios = [_ratio(side, sums[0] - side) for side in sums[1:]]
            unseen.append(np.array([balance for _, balance in ratios], np.float32))
            weights.append(np.stack([ratio for ratio, _ in ratios], axis=1).astype(np.float32))
            weights[-1][sums[0] < config.min_texts] = unseen[-1]
        return NgramWeights(tuple(keys for keys, _ in tables), tuple(weights), np.stack(unseen))

    return fit


def _table(train: Split, order: int, labels: int, folds: Places, config: NgramsConfig) -> tuple[Keys, Floats]:
    """Return the n-grams of one order, and how many texts of each fold hold each: all, and those of each side.

    An uncertain text counts for less. The counts are (folds, 1 + sides, n-grams).
    """
    sets = ngram_sets(train, order)
    keys = _common(sets, config.min_texts)
    text_keys, texts = (np.concatenate(parts) for parts in zip(*sets, strict=True))
    groups = [np.ones(len(train), np.bool_), *train.members(labels)]
    counts = np.zeros((config.folds, len(groups), len(keys)), np.float32)
    certainty = train.certainty()[texts]
    places, present = places_of(keys, text_keys)
    for fold, group in product(range(config.folds), range(len(groups))):
        members = present & (folds[texts] == fold) & groups[group][texts]
        counts[fold, group] = np.bincount(places[members], certainty[members], minlength=len(keys))
    return keys, counts


def _regression(train: Split, labels: int, folds: Places, config: NgramsConfig) -> Fit:
    """Return what finds the weights of n-grams in a logistic regression, ratios included."""
    ngrams = Ngrams(train, config.orders, config.min_texts)
    matrix, certainty = ngrams.matrix(train), train.certainty()
    ends = np.cumsum([len(keys) for keys in ngrams.keys])[:-1]

    def fit(without: int | None) -> NgramWeights:
        rows = np.arange(len(train)) if without is None else np.flatnonzero(folds != without)
        part = matrix[rows]
        columns = [
            _regressed(part, positive[rows], certainty[rows], config.strength) for positive in train.members(labels)
        ]
        unseen = np.zeros((config.orders, len(columns)), np.float32)
        return NgramWeights(tuple(ngrams.keys), tuple(np.split(np.stack(columns, axis=1), ends)), unseen)

    return fit


def _regressed(held: Any, positive: NDArray[np.bool_], certainty: Counts, strength: float) -> Floats:
    """Return what each n-gram adds to the log-odds, scaled.

    That is zero if no text is of the label, or all are, or no n-gram is frequent enough.
    """
    if not held.shape[1] or positive.all() or not positive.any():
        return np.zeros(held.shape[1], np.float32)
    ratio = log_count_ratios(held, positive, certainty)
    model = logistic_regression(strength).fit(held.multiply(ratio).tocsr(), positive, sample_weight=certainty)
    weights: Floats = (REGRESSION_SCALE * model.coef_[0] * ratio).astype(np.float32)
    return weights


def require_scikit_learn() -> None:
    """Require what a regression on n-grams needs.

    Raises:
        RnnsentError: if it is not installed.
    """
    if not installed("sklearn"):
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
