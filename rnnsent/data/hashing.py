"""N-grams of word ids as rows of one table: each is hashed to a row, and few share one.

Source: A. Joulin, E. Grave, P. Bojanowski and T. Mikolov, "Bag of tricks for efficient text classification", EACL 2017,
section 2.3.
"""

from __future__ import annotations

from typing import Any

from rnnsent.data.vocabulary import PAD

MOST_BUCKETS = 2**20
NONE = 0  # the row of what is no n-gram: the review has not as many words yet, or there is padding

# All products stay below 2**31, so that NumPy, TensorFlow and JAX agree on 32 bits.
_CHUNK = 32_749
_FACTORS = ((65_521, 40_503), (48_271, 64_007), (39_373, 28_657))  # for each word of an n-gram, the last one first


def hashed_ngrams(ids: Any, order: int, buckets: int, xp: Any) -> Any:
    """Return the row of the n-gram that ends at each id, int32 (batch, time).

    Args:
        ids: int32 (batch, time).
        order: how many words, 2 or 3.
        buckets: rows of the table, 2 … `MOST_BUCKETS`; row 0 is for what is no n-gram.
        xp: `numpy`, or `keras.ops` where ids are tensors.
    """
    whole = ids != PAD
    total = _hashed(ids, 0, buckets)
    for place in range(1, order):
        before = xp.pad(ids, [[0, 0], [place, 0]])[:, :-place]
        whole = xp.logical_and(whole, before != PAD)
        total = total + _hashed(before, place, buckets)
    return xp.where(whole, total % (buckets - 1) + 1, NONE)


def _hashed(ids: Any, place: int, buckets: int) -> Any:
    low, high = _FACTORS[place]
    return (ids % _CHUNK * low) % buckets + (ids // _CHUNK * high) % buckets
