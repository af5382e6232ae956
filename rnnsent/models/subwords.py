"""Vectors of character n-grams: of the word vectors that they are part of, and of words that training never saw.

Source: P. Bojanowski, E. Grave, A. Joulin and T. Mikolov, "Enriching word vectors with subword information", TACL 2017.
The n-grams are those of the known words; they share a fixed number of vectors, as in fastText.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.dataset import Split
from rnnsent.data.tokenizer import FIRST_WORD, UNKNOWN
from rnnsent.models.ngram_weights import Keys, character_keys, places_of

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Subwords:
    """The vectors of the character n-grams of all known words."""

    shortest: int  # characters of an n-gram
    longest: int
    keys: Keys  # (n-grams,), ascending, see `character_keys`
    buckets: NDArray[np.int32]  # (n-grams,), the row of `vectors` of each
    vectors: NDArray[np.float16]  # (buckets, width)

    def vector(self, word: str) -> Floats | None:
        """Return the mean vector of the n-grams of a word, float32 (width,); None if none of them is known."""
        places, known = places_of(self.keys, character_keys(word, self.shortest, self.longest))
        if not known.any():
            return None
        mean: Floats = self.vectors[self.buckets[places[known]]].mean(axis=0, dtype=np.float32)
        return mean

    def extend(self, texts: Split, rows: int) -> tuple[Split, Floats]:
        """Give the unknown words of texts ids of their own, and return the vectors that belong to these.

        Args:
            texts: with the words that are spelled by ids that they do not read.
            rows: of the embedding; new ids begin there.

        Returns:
            The texts, and float32 (new ids, width).
        """
        words, tokens = texts.words or (), np.asarray(texts.tokens)
        ids = np.unique(tokens[texts.positions()])
        spelled = ids[(ids >= (rows if texts.limit is None else texts.limit)) & (ids < FIRST_WORD + len(words))]
        found = [(id_, self.vector(words[id_ - FIRST_WORD])) for id_ in spelled.tolist()]
        vectors = {id_: vector for id_, vector in found if vector is not None}
        if not vectors:
            return texts, np.empty((0, self.vectors.shape[1]), np.float32)
        new_ids = np.full(int(tokens.max()) + 1, UNKNOWN, np.int32)
        known = min(len(new_ids), rows if texts.limit is None else texts.limit)
        new_ids[:known] = np.arange(known)
        new_ids[list(vectors)] = rows + np.arange(len(vectors))
        return replace(texts, tokens=new_ids[tokens], limit=None), np.stack(list(vectors.values()))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all numbers as arrays by name, for a file."""
        lengths = np.array([self.shortest, self.longest])
        return {"lengths": lengths, "keys": self.keys, "buckets": self.buckets, "vectors": self.vectors}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Subwords:
        """Return the vectors whose `to_arrays` gave `arrays`."""
        shortest, longest = arrays["lengths"].tolist()
        return cls(shortest, longest, arrays["keys"], arrays["buckets"], arrays["vectors"])
