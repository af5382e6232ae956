"""Words ↔ ids: the one encoder, used for training and stored in the run for all that comes after."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.download import find
from rnnsent.data.tokenizer import FIRST_WORD, PAD, START, TOKENIZERS, UNKNOWN
from rnnsent.errors import DataError
from rnnsent.files import read_json

FORMAT = "rnnsent vocabulary 1"
RULES = ("source", "num_words", "oov", "tokenizer")  # fields that are stored beside the words


def ranked_words(counts: Mapping[str, int]) -> list[str]:
    """Return the words by frequency, then by alphabet."""
    return sorted(counts, key=lambda word: (-counts[word], word))


@dataclass(frozen=True)
class Vocabulary:
    """The words of a data set in order of frequency, and the rule for other words.

    Ids are Keras' own: 0 pads, 1 starts a text, 2 is an unknown word, 3 is unused, the first word is 4.
    """

    words: tuple[str, ...]  # the most frequent first; empty if only ids are known
    num_words: int | None = None  # ids from here on become UNKNOWN; None keeps all
    oov: Literal["drop", "unknown"] = "unknown"  # words that are not in `words`; the IMDB arrays drop them
    source: str = ""  # where the words come from, for messages
    tokenizer: str = "imdb"  # key of `tokenizer.TOKENIZERS`

    @cached_property
    def _ids(self) -> Mapping[str, int]:
        return {word: id_ for id_, word in enumerate(self.words, start=FIRST_WORD)}

    @classmethod
    def imdb(cls, num_words: int | None = 10_000, path: str | Path | None = None) -> Vocabulary:
        """Return the vocabulary of the IMDB arrays, from `imdb_word_index.json`.

        Args:
            num_words: as in `keras.datasets.imdb.load_data`.
            path: the file or its folder; None looks where `imdb.npz` is looked for, and may download it.

        Raises:
            DataUnavailable: if the index cannot be had.
            DataError: if the file is not such an index.
        """
        file = find("imdb_word_index.json", path)
        try:
            index = read_json(file)
            ranked = sorted(index, key=index.__getitem__)
            if [index[word] for word in ranked] != list(range(1, len(ranked) + 1)):
                raise ValueError("its ranks are not 1, 2, 3 …")
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise DataError(f"{file}: not a word index (a JSON mapping of words to ranks): {error}") from None
        return cls(tuple(ranked), num_words, "drop", "imdb_word_index.json")

    @classmethod
    def build(cls, texts: Iterable[str]) -> Vocabulary:
        """Count the words of `texts`, the training split and nothing else."""
        counts = Counter(word for text in texts for word in TOKENIZERS["imdb"](text))
        return cls(tuple(ranked_words(counts)))

    def beginning_with(self, words: Sequence[str]) -> Vocabulary:
        """Return the vocabulary with `words` first, then its own others."""
        return replace(self, words=tuple(dict.fromkeys((*words, *self.words))))

    @property
    def size(self) -> int:
        """How many ids there are, special ones included: the rows of an embedding table."""
        limits = [FIRST_WORD + len(self.words)] if self.words else []
        limits += [self.num_words] if self.num_words is not None else []
        return min(limits, default=FIRST_WORD)

    def encode(self, text: str) -> NDArray[np.int32]:
        """Return the ids of one text, int32 (words + 1,), start token first, before any truncation."""
        return self.encode_words(self.words_of(text))

    def words_of(self, text: str) -> list[str]:
        """Return the words of a text, known or not."""
        return TOKENIZERS[self.tokenizer](text)

    def encode_words(self, words: Iterable[str]) -> NDArray[np.int32]:
        """Return the ids of the words of one text; see `encode`."""
        return self.words_with_ids(words)[1]

    def id_of(self, word: str) -> int | None:
        """Return the id that a word has of its own, None if it has none; `num_words` is ignored."""
        return self._ids.get(word)

    def words_with_ids(
        self, words: Iterable[str], others: dict[str, int] | None = None
    ) -> tuple[list[str], NDArray[np.int32]]:
        """Return the words that have an id, be it UNKNOWN, and their ids with the start token before them.

        With `others`, unknown words get ids beyond all known ones, which are put there, and `num_words` is ignored.
        """
        kept = list(words) if self.oov == "unknown" else [word for word in words if word in self._ids]
        ids = [self._ids.get(word, UNKNOWN) for word in kept]
        if others is None and self.num_words is not None:
            ids = [id_ if id_ < self.num_words else UNKNOWN for id_ in ids]
        elif others is not None and UNKNOWN in ids:
            beyond = FIRST_WORD + len(self.words)
            pairs = zip(kept, ids, strict=True)
            ids = [id_ if id_ != UNKNOWN else others.setdefault(word, beyond + len(others)) for word, id_ in pairs]
        return kept, np.array([START, *ids], np.int32)

    def unknown_share(self, words: Sequence[str]) -> float:
        """Return which share of a text's words has no id of its own, dropped ones included; 1 without words."""
        limit = self.size
        unknown = sum(self._ids.get(word, limit) >= limit for word in words)
        return unknown / len(words) if words else 1.0

    def decode(self, ids: Sequence[int] | NDArray[np.int32]) -> str:
        """Return the words of `ids`, with ‹?› for unknown ones; padding and start leave nothing."""
        return " ".join(self.word(int(id_)) for id_ in ids if int(id_) not in (PAD, START))

    def word(self, id_: int) -> str:
        """Return the word of one id, ‹?› if it has none."""
        rank = id_ - FIRST_WORD
        return self.words[rank] if 0 <= rank < len(self.words) else "‹?›"

    def to_json(self) -> str:
        """Return everything that `load` needs, as JSON text."""
        rules = {name: getattr(self, name) for name in RULES}
        values = {"format": FORMAT, **rules, "words": self.words}
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """Read a `vocabulary.json` of a run.

        Raises:
            DataError: if the file is missing or is not a vocabulary.
        """
        try:
            values = read_json(Path(path))
            if values["format"] != FORMAT:
                raise ValueError(f"unknown format {values['format']!r}")
            return cls(tuple(values["words"]), **{name: values[name] for name in RULES})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: not a vocabulary: {error}") from None
