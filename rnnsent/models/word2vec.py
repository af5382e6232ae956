"""Word vectors from the texts themselves: skip-gram with negative sampling, by gensim.

Source: T. Mikolov et al., "Distributed representations of words and phrases and their compositionality", NeurIPS 2013.
No label is looked at. On one thread, so that a seed decides every bit; what was trained is kept in the cache.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import Word2VecConfig
from rnnsent.data.cache import Arrays, cached_arrays
from rnnsent.data.dataset import Split
from rnnsent.data.vocabulary import FIRST_WORD, UNKNOWN
from rnnsent.errors import DataError, RnnsentError, count

Floats = NDArray[np.float32]

NEGATIVE = 5  # words that did not stand there, for each that did
SAMPLE = 1e-4  # above this share of all words a word is passed over now and then


@dataclass(frozen=True)
class Trained:
    """Vectors for every id, float32 (rows, width), zero where there is none; the seconds that training them took."""

    table: Floats
    seconds: float
    cached: bool


def train(
    texts: Sequence[Split],
    rows: int,
    width: int,
    config: Word2VecConfig,
    seed: int,
    tell: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Return a vector for each id below `rows`; there is none for padding, start and what is too rare.

    Args:
        texts: reviews, in the ids of one vocabulary.
        rows: of the embedding.
        width: of a vector.
        config: passes, window, least count.
        seed: of what is drawn.
        tell: told if they have to be trained.

    Raises:
        RnnsentError: if gensim is not installed, or no word is frequent enough.
    """
    digest = hashlib.blake2b(digest_size=16)
    for split in texts:
        digest.update(np.ascontiguousarray(split.flat()).tobytes())
        digest.update(np.ascontiguousarray(split.lengths).tobytes())
    digest.update(f"{rows} {width} {seed} {config}".encode())
    trained = False

    def build() -> Arrays:
        nonlocal trained
        trained = True
        tell(f"vectors: word2vec on {sum(map(len, texts)):,} texts, {config.epochs} passes on one thread")
        started = time.perf_counter()
        table = _trained(texts, rows, width, config, seed)
        return {"vectors": table, "seconds": np.array([time.perf_counter() - started])}

    found = cached_arrays(f"word2vec-2-{digest.hexdigest()}", build)
    return Trained(np.array(found["vectors"], np.float32), float(found["seconds"][0]), not trained)


def _trained(texts: Sequence[Split], rows: int, width: int, config: Word2VecConfig, seed: int) -> Floats:
    try:
        from gensim.models import Word2Vec
    except ImportError:
        raise RnnsentError("model.vectors.word2vec needs gensim: pip install 'rnnsent[word2vec]'") from None
    _require_frequent(texts, rows, config)
    model = Word2Vec(
        _Sentences(texts, rows),
        vector_size=width,
        window=config.window,
        min_count=config.least_count,
        epochs=config.epochs,
        sg=1,
        negative=NEGATIVE,
        sample=SAMPLE,
        workers=1,
        seed=seed,
    )
    table = np.zeros((rows, width), np.float32)
    ids = np.array([int(word) for word in model.wv.index_to_key], np.int64)
    table[ids] = model.wv.vectors
    return table


def _require_frequent(texts: Sequence[Split], rows: int, config: Word2VecConfig) -> None:
    most_often = int(np.sum([np.bincount(_words(split.flat(), rows), minlength=rows) for split in texts], axis=0).max())
    if most_often < config.least_count:
        most = f"the most frequent word of {sum(map(len, texts)):,} texts stands there {count(most_often, 'time')}"
        rule = f"fewer than model.vectors.word2vec.least_count: {config.least_count}"
        raise DataError(f"{most}, {rule}, so none would have a vector; lower that, or set model.vectors to null")


def _words(ids: NDArray[np.int32], rows: int) -> NDArray[np.int32]:
    """Return those of `ids` that are words, the unknown one included, and below `rows`."""
    words: NDArray[np.int32] = ids[((ids >= FIRST_WORD) | (ids == UNKNOWN)) & (ids < rows)]
    return words


class _Sentences:
    """The words of each review as gensim wants them; it goes through them once a pass."""

    def __init__(self, texts: Sequence[Split], rows: int) -> None:
        self._texts, self._rows = texts, rows

    def __iter__(self) -> Iterator[list[str]]:
        names = np.array([str(id_) for id_ in range(self._rows)], object)
        for split in self._texts:
            for index in range(len(split)):
                yield names[_words(split.sequence(index), self._rows)].tolist()
