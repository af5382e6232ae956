"""Pretrained word vectors as rows of the embedding: from a file, or trained on the texts by word2vec.

Files are those of GloVe, word2vec and fastText in their text formats: a line a word, the word and then its numbers,
with spaces between. word2vec and fastText write a first line with the number of words and of numbers; GloVe does not.
A name that ends in .gz is read through gzip.

word2vec is skip-gram with negative sampling, by gensim, without labels (T. Mikolov et al., "Distributed representations
of words and phrases and their compositionality", NeurIPS 2013); with sub-words it is fastText, also by gensim. It runs
on one thread, so that a seed decides every bit; what was trained is kept in the cache.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import Word2VecConfig
from rnnsent.data.cache import Arrays, cached_arrays
from rnnsent.data.dataset import Split
from rnnsent.data.inputs import open_bytes, read_errors
from rnnsent.data.tokenizer import FIRST_WORD, UNKNOWN
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import DataError, RnnsentError, count
from rnnsent.models.ngram_weights import ngram_key
from rnnsent.models.subwords import Subwords

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]

NEGATIVE = 5  # words that did not stand there, for each that did
BUCKETS = 20_000  # vectors of character n-grams
SAMPLE = 1e-4  # above this share of all words a word is passed over now and then
_HEADER = re.compile(r"[0-9]{1,12}[ \t]+[0-9]{1,9}")
_BLANKS = re.compile(r"[ \t]+")  # others may be part of a word


@dataclass(frozen=True)
class WordVectors:
    """The vectors of a vocabulary's words."""

    table: Floats  # (rows, width), of every id; missing ones are drawn with mean and spread of the others
    found: int  # number of words of the vocabulary that have one
    words: int  # number of words
    seconds: float = 0.0  # of word2vec
    cached: bool = False
    subwords: Subwords | None = None  # if word2vec trained them


def load(path: Path, vocabulary: Vocabulary, rows: int, width: int, seed: int) -> WordVectors:
    """Read the vectors of the words that have an id below `rows`. The first line of a word counts.

    Args:
        path: the file.
        vocabulary: whose words they are for.
        rows: of the embedding.
        width: how many numbers a vector must have.
        seed: of what is drawn.

    Raises:
        DataError: if the file cannot be read, is no file of vectors of this width, or has none of the words.
    """
    table = np.zeros((rows, width), np.float32)
    mask = np.zeros(rows, np.bool_)
    for number, word, cells in _lines(path, width):
        id_ = vocabulary.id_of(word)
        if id_ is not None and id_ < rows and not mask[id_]:
            table[id_], mask[id_] = _numbers(path, number, cells), True
    if not mask.any():
        raise DataError(f"{path}: has none of the {len(vocabulary.words):,} words of the vocabulary")
    return _completed(table, mask, vocabulary, seed)


def train(
    texts: Sequence[Split], vocabulary: Vocabulary, shape: tuple[int, int], config: Word2VecConfig, seed: int
) -> WordVectors:
    """Return vectors that word2vec trains; there is none for padding, start and what is too rare.

    Args:
        texts: in the ids of one vocabulary.
        vocabulary: of the texts.
        shape: rows and width of the embedding.
        config: passes, window, least count.
        seed: of what is drawn.

    Raises:
        RnnsentError: if gensim is not installed, or no word is frequent enough.
    """
    digest = hashlib.blake2b(digest_size=16)
    for split in texts:
        if config.subwords is not None:
            digest.update(repr(split.words).encode("utf-8", "surrogatepass"))
            split = replace(split, limit=None)
        digest.update(np.ascontiguousarray(split.flat()).tobytes())
        digest.update(np.ascontiguousarray(split.lengths).tobytes())
    rows, width = shape
    digest.update(f"{rows} {width} {seed} {config}".encode())
    cached = True

    def build() -> Arrays:
        nonlocal cached
        cached = False
        logger.info(f"vectors: word2vec on {sum(map(len, texts)):,} texts, {config.epochs} passes on one thread")
        start_time = time.perf_counter()
        arrays = _word2vec(texts, shape, config, seed)
        return {**arrays, "seconds": np.array([time.perf_counter() - start_time])}

    arrays = cached_arrays(f"word2vec-2-{digest.hexdigest()}", build)
    table = np.array(arrays["table"], np.float32)
    seconds = round(float(arrays["seconds"][0]), 3)
    vectors = _completed(table, np.asarray(table.any(axis=1), np.bool_), vocabulary, seed)
    subwords = None if config.subwords is None else Subwords.from_arrays(arrays)
    return replace(vectors, seconds=seconds, cached=cached, subwords=subwords)


def _completed(table: Floats, filled: NDArray[np.bool_], vocabulary: Vocabulary, seed: int) -> WordVectors:
    """Draw the rows that are not filled, with the mean and the spread of those that are."""
    vectors = table[filled]
    samples = np.random.default_rng(seed).normal(
        vectors.mean(axis=0), vectors.std(axis=0), (int((~filled).sum()), table.shape[1])
    )
    table[~filled] = samples.astype(np.float32)
    words = min(len(vocabulary.words), len(table) - FIRST_WORD)
    return WordVectors(table, int(filled[FIRST_WORD:].sum()), words)


def _lines(path: Path, width: int) -> Iterator[tuple[int, str, list[str]]]:
    """Yield number of the line, word, and the cells of its vector."""
    if path.suffix.lower() == ".zip":
        raise DataError(f"{path}: is a zip archive: unpack it, and name the file of vectors in it")
    total = rows = 0
    for number, content in enumerate(_text(path), start=1):
        line = content.rstrip(" \t\r\n")
        if number == 1 and _HEADER.fullmatch(line):
            total, columns = map(int, line.split())
            if columns != width:
                raise _other_width(path, number, columns, width)
            continue
        if not line:
            continue
        if "\t" in line or "  " in line:  # rarely; always would take six times as long
            line = _BLANKS.sub(" ", line)
        word, *cells = line.rsplit(" ", width)  # from the right: some of GloVe's words hold spaces themselves
        if len(cells) != width or (not rows and " " in word and _is_number(word.rpartition(" ")[2])):
            raise _other_width(path, number, sum(map(_is_number, line.split()[1:])), width)
        rows += 1
        yield number, word, cells
    if rows < total:
        raise DataError(f"{path}: ends after {rows:,} of the {total:,} vectors that its first line names: cut off?")


def _text(path: Path) -> Iterator[str]:
    raw = open_bytes(path)
    with (
        read_errors(path),
        io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="\n") as lines,
    ):
        yield from lines


def _other_width(path: Path, number: int, columns: int, width: int) -> DataError:
    advice = f"set model.embedding_dim to {columns}, or repair the file" if columns else "not a file of vectors?"
    return DataError(f"{path}, line {number}: has {count(columns, 'number')}, not {width}: {advice}")


def _numbers(path: Path, number: int, cells: list[str]) -> Floats:
    try:
        with np.errstate(over="ignore"):
            numbers = np.array(cells, np.float32)
    except ValueError:
        raise DataError(f"{path}, line {number}: not a word and {len(cells)} numbers") from None
    if not np.isfinite(numbers).all():
        raise DataError(f"{path}, line {number}: not all numbers are finite")
    return numbers


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _word2vec(
    texts: Sequence[Split], shape: tuple[int, int], config: Word2VecConfig, seed: int
) -> dict[str, NDArray[Any]]:
    """Return "table", float32 (rows, width), zero where a word has no vector; and the arrays of the sub-words."""
    try:
        from gensim.models import FastText, Word2Vec
    except ImportError:
        raise RnnsentError("model.vectors.word2vec needs gensim: pip install 'rnnsent[word2vec]'") from None
    rows, width = shape
    _require_frequent(texts, rows, config)
    subwords: dict[str, int] = {}
    words = np.array([str(id_) for id_ in range(rows)], object)
    if config.subwords is not None:
        spelled = next((split.words for split in texts if split.words is not None), None)
        if spelled is None:
            raise DataError("model.vectors.word2vec.subwords: needs the words of the texts, and these are only numbers")
        texts = [replace(split, limit=None) for split in texts]
        subwords = {"min_n": config.subwords[0], "max_n": config.subwords[1], "bucket": BUCKETS}
        words = np.array(["", "", *["‹?›"] * (FIRST_WORD - 2), *spelled], object)
    model = (FastText if subwords else Word2Vec)(
        _Sentences(texts, words),
        **subwords,
        vector_size=width,
        window=config.window,
        min_count=config.min_count,
        epochs=config.epochs,
        sg=1,
        negative=NEGATIVE,
        sample=SAMPLE,
        workers=1,
        seed=seed,
    )
    table = np.zeros((rows, width), np.float32)
    if not subwords:
        table[[int(word) for word in model.wv.index_to_key]] = model.wv.vectors
        return {"table": table}
    for id_ in range(FIRST_WORD, min(rows, len(words))):
        table[id_] = model.wv[words[id_]] if len(words[id_]) else 0
    table[UNKNOWN] = model.wv.vectors.mean(axis=0)
    return {"table": table, **_subwords(model.wv, words[FIRST_WORD:].tolist(), config).to_arrays()}


def _subwords(trained: Any, words: Sequence[str], config: Word2VecConfig) -> Subwords:
    """Return the vectors of the n-grams of the words that training knows."""
    from gensim.models.fasttext_inner import compute_ngrams, ft_hash_bytes

    assert config.subwords is not None
    shortest, longest = config.subwords
    ngrams = {
        ngram for word in words if word in trained.key_to_index for ngram in compute_ngrams(word, shortest, longest)
    }
    # The ends of a word are < and > there, spaces here.
    keys = {ngram_key(ngram.translate({60: " ", 62: " "})): ft_hash_bytes(ngram.encode()) % BUCKETS for ngram in ngrams}
    ordered = np.array(sorted(keys), np.int64)
    buckets = np.array([keys[key] for key in ordered.tolist()], np.int32)
    return Subwords(shortest, longest, ordered, buckets, trained.vectors_ngrams.astype(np.float16))


def _require_frequent(texts: Sequence[Split], rows: int, config: Word2VecConfig) -> None:
    frequency = int(np.sum([np.bincount(_words(split.flat(), rows), minlength=rows) for split in texts], axis=0).max())
    if frequency < config.min_count:
        fact = f"the most frequent word of {sum(map(len, texts)):,} texts stands there {count(frequency, 'time')}"
        rule = f"fewer than model.vectors.word2vec.min_count: {config.min_count}"
        raise DataError(f"{fact}, {rule}, so none would have a vector; lower that, or set model.vectors to null")


def _words(ids: NDArray[np.int32], rows: int) -> NDArray[np.int32]:
    """Return those of `ids` that are words, the unknown one included, and below `rows`."""
    words: NDArray[np.int32] = ids[((ids >= FIRST_WORD) | (ids == UNKNOWN)) & (ids < rows)]
    return words


class _Sentences:
    """The words of each text as gensim wants them; it goes through them once a pass."""

    def __init__(self, texts: Sequence[Split], names: NDArray[Any]) -> None:
        self._texts, self._names = texts, names

    def __iter__(self) -> Iterator[list[str]]:
        for split in self._texts:
            for index in range(len(split)):
                yield self._names[_words(split.sequence(index), len(self._names))].tolist()
