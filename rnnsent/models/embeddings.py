"""Word vectors to begin with, as rows of the embedding: those of a file, or those that `word2vec` trains.

Files are those of GloVe, word2vec and fastText in their text formats.

A line a word: the word, then its numbers, with spaces between. word2vec and fastText write a first line with the number
of words and of numbers; GloVe does not. A name that ends in .gz is read through gzip.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import Word2VecConfig
from rnnsent.data.dataset import Split
from rnnsent.data.readers import open_bytes
from rnnsent.data.vocabulary import FIRST_WORD, Vocabulary
from rnnsent.errors import DataError, count
from rnnsent.files import sha256

Floats = NDArray[np.float32]

MAX_LINE = 1 << 20  # characters, of a word and its numbers
_ZIP = "PK\x03\x04"
_HEADER = re.compile(r"[0-9]{1,12}[ \t]+[0-9]{1,9}")
_BLANKS = re.compile(r"[ \t]+")  # others may be part of a word


@dataclass(frozen=True)
class WordVectors:
    """The vectors of a vocabulary's words.

    Attributes:
        table: float32 (rows, width), for every id; words that the file does not have are drawn with the mean and the
            spread of those that it has.
        found: how many words of the vocabulary the file has.
        words: how many there are.
        facts: where they are from, for metrics.json.
    """

    table: Floats
    found: int
    words: int
    facts: dict[str, Any]


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
    filled = np.zeros(rows, np.bool_)
    for number, word, cells in _lines(path, width):
        id_ = vocabulary.id_of(word)
        if id_ is not None and id_ < rows and not filled[id_]:
            table[id_], filled[id_] = _numbers(path, number, cells), True
    found = int(filled.sum())
    if not path.stat().st_size:
        raise DataError(f"{path}: is empty")
    if not found:
        raise DataError(f"{path}: has none of the {len(vocabulary.words):,} words of the vocabulary")
    facts = {"file": str(path.resolve()), "sha256": sha256(path)}
    return WordVectors(_completed(table, filled, seed), found, _words(vocabulary, rows), facts)


def trained(
    texts: Sequence[Split],
    vocabulary: Vocabulary,
    rows: int,
    width: int,
    config: Word2VecConfig,
    seed: int,
    tell: Callable[[str], None] = lambda line: None,
) -> WordVectors:
    """Return vectors that `word2vec` trains on `texts`; arguments and errors are its own."""
    from rnnsent.models import word2vec

    made = word2vec.train(texts, rows, width, config, seed, tell)
    table = made.table
    filled = np.asarray(table.any(axis=1), np.bool_)
    facts = {"word2vec": sum(map(len, texts)), "seconds": round(made.seconds, 3), "cached": made.cached}
    found = int(filled[FIRST_WORD:].sum())
    return WordVectors(_completed(table, filled, seed), found, _words(vocabulary, rows), facts)


def _words(vocabulary: Vocabulary, rows: int) -> int:
    return min(len(vocabulary.words), rows - FIRST_WORD)


def _completed(table: Floats, filled: NDArray[np.bool_], seed: int) -> Floats:
    """Draw the rows that are not filled, with the mean and the spread of those that are."""
    known = table[filled]
    drawn = np.random.default_rng(seed).normal(
        known.mean(axis=0), known.std(axis=0), (int((~filled).sum()), table.shape[1])
    )
    table[~filled] = drawn.astype(np.float32)
    return table


def _lines(path: Path, width: int) -> Iterator[tuple[int, str, list[str]]]:
    """Yield number of the line, word, and the cells of its vector."""
    promised = read = 0
    with _opened(path) as lines:
        for number, line in enumerate(_bounded(path, lines), start=1):
            if number == 1 and line.startswith(_ZIP):
                raise DataError(f"{path}: is a zip archive: unpack it, and name the file of vectors in it")
            if number == 1 and _HEADER.fullmatch(line.strip()):
                promised, found = map(int, line.split())
                if found != width:
                    raise _other_width(path, found, width)
                continue
            if not line.strip():
                continue
            # From the right: the word may hold spaces itself, as some of GloVe's do.
            line = line.rstrip(" \t\r\n")
            if "\t" in line or "  " in line:  # rarely; always would take six times as long
                line = _BLANKS.sub(" ", line)
            word, *cells = line.rsplit(" ", width)
            if len(cells) != width or (not read and " " in word and _is_number(word.rpartition(" ")[2])):
                raise _not_a_vector(path, number, line.split()[1:], width, known=bool(promised or read))
            read += 1
            yield number, word, cells
    if read < promised:
        raise DataError(f"{path}: ends after {read:,} of the {promised:,} vectors that its first line names: cut off?")


def _not_a_vector(path: Path, number: int, cells: list[str], width: int, *, known: bool) -> DataError:
    """Return what is wrong with a line; `known`: whether a line before has told how wide vectors are."""
    if not cells or not all(map(_is_number, cells)):
        return DataError(f"{path}, line {number}: not a word and {width} numbers")
    if known:
        return DataError(f"{path}, line {number}: has {count(len(cells), 'number')}, those before {width}: damaged?")
    return _other_width(path, len(cells), width)


def _bounded(path: Path, lines: IO[str]) -> Iterator[str]:
    """Yield the lines of a file; one that does not end is not read into memory."""
    while line := lines.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise DataError(f"{path}: has a line of more than {MAX_LINE:,} characters")
        yield line


def _numbers(path: Path, number: int, cells: list[str]) -> Floats:
    try:
        with np.errstate(over="ignore"):  # infinity, which is refused below
            found = np.array(cells, np.float32)
    except ValueError:
        raise DataError(f"{path}, line {number}: not a word and {len(cells)} numbers") from None
    if not np.isfinite(found).all():
        raise DataError(f"{path}, line {number}: not all numbers are finite")
    return found


def _other_width(path: Path, found: int, width: int) -> DataError:
    has = f"its vectors have {count(found, 'number')}, not {width}"
    return DataError(f"{path}: {has}: set model.embedding_dim to {found}" if found else f"{path}: {has}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    try:
        raw = open_bytes(path)
        with io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="\n") as lines:
            yield lines
    except (EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
