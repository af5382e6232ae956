"""N-grams of word ids: a number for each, and which reviews hold them, as a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.dataset import Split

Keys = NDArray[np.int64]

BITS = 20  # of a word id in a key: three fit into 62 bits, and the order of the n-gram stands above them
MOST_ORDER = 3
CHUNK = 4096  # reviews whose n-grams are made together


def ending_keys(split: Split, order: int) -> Keys:
    """Return a number for the n-gram that ends at each id, (sum of lengths,); -1 where a review is not as long yet.

    Equal n-grams have equal numbers. The start token counts as a word; ids of 2**20 and more count as one word.

    Args:
        split: reviews.
        order: how many words, 1 … 3.
    """
    ids = np.minimum(split.flat(), (1 << BITS) - 1).astype(np.int64)
    reviews = np.repeat(np.arange(len(split)), split.lengths)
    keys = np.full(len(ids), -1, np.int64)
    ends = np.zeros(max(len(ids) - order + 1, 0), np.int64)
    for place in range(order):
        ends = (ends << BITS) | ids[place : place + len(ends)]
    keys[order - 1 :] = np.where(reviews[: len(ends)] == reviews[order - 1 :], ends, -1)
    return keys


def ngram_keys(split: Split, order: int) -> tuple[Keys, NDArray[np.int64]]:
    """Return the number of each n-gram, (n-grams,), and the review in which it stands, (n-grams,)."""
    keys = ending_keys(split, order)
    reviews = np.repeat(np.arange(len(split)), split.lengths)
    return keys[keys >= 0], reviews[keys >= 0]


def ngram_sets(split: Split, order: int) -> list[tuple[Keys, NDArray[np.int64]]]:
    """Return, for some reviews at a time, every n-gram that a review holds once, with the review: see `ngram_keys`."""
    sets = []
    for start in range(0, len(split), CHUNK):
        keys, reviews = ngram_keys(split.take(slice(start, start + CHUNK)), order)
        by_review = np.lexsort((keys, reviews))
        keys, reviews = keys[by_review], reviews[by_review]
        new = np.ones(len(keys), np.bool_)
        new[1:] = (keys[1:] != keys[:-1]) | (reviews[1:] != reviews[:-1])
        sets.append((keys[new], reviews[new] + start))
    return sets


def places(known: Keys, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where each of `keys` is in `known`, which ascends, and whether it is there at all; else the place is 0."""
    if not len(known):
        return np.zeros(len(keys), np.int64), np.zeros(len(keys), np.bool_)
    at = np.searchsorted(known, keys)
    at[at == len(known)] = 0
    return at, known[at] == keys


def common_keys(keys: Keys, least_reviews: int) -> Keys:
    """Return the n-grams that stand at least so often in `keys`, ascending."""
    found, counts = np.unique(keys, return_counts=True)
    return found[counts >= least_reviews]


class Ngrams:
    """The n-grams of some reviews, as columns of a matrix.

    Attributes:
        keys: for each order from 1 the numbers of those that are columns, ascending.
    """

    def __init__(self, split: Split, orders: int = MOST_ORDER, least_reviews: int = 2) -> None:
        """Find the n-grams of up to `orders` words that stand in at least so many reviews of `split`."""
        self.keys: list[Keys] = []
        for order in range(1, orders + 1):
            held = np.concatenate([keys for keys, _ in ngram_sets(split, order)])
            self.keys.append(common_keys(held, least_reviews))

    @property
    def size(self) -> int:
        """The number of columns."""
        return sum(len(keys) for keys in self.keys)

    def matrix(self, split: Split) -> Any:
        """Return which of the n-grams each review of a split holds: float32 (reviews, size), sparse, of ones."""
        from scipy import sparse

        rows, columns = [], []
        first = 0
        for order, known in enumerate(self.keys, start=1):
            for keys, reviews in ngram_sets(split, order):
                at, there = places(known, keys)
                rows.append(reviews[there])
                columns.append(at[there] + first)
            first += len(known)
        row, column = (np.concatenate(parts) if parts else np.empty(0, np.int64) for parts in (rows, columns))
        return sparse.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(len(split), self.size))
