"""Labeled texts of any source → the flat cache: read once, encoded once, in memory that does not grow with the texts.

What grows with the rows are some 40 bytes each: label, split, group, length and a print of the text.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import tempfile
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.cache import Arrays, cache_root
from rnnsent.data.download import Progress
from rnnsent.data.labels import LabelMap, ordered, require_labels
from rnnsent.data.splitting import (
    DROPPED,
    NAMES,
    TRAIN,
    UNGIVEN,
    UNLABELED,
    assign,
    contradictions,
    in_training,
    repeated,
    require_trainable,
)
from rnnsent.data.table_source import Record, RecordSource
from rnnsent.data.vocabulary import FIRST_WORD, START, UNKNOWN, Vocabulary, ranked_words
from rnnsent.errors import DataError

MAX_LABELS = 1000  # a label column with more is something else
NO_LABEL = -1
MOST_STARS = 100  # a larger number that became a label is something else
CHUNK = 1 << 22  # ids that are handled at a time
BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class Encoding:
    """How records become arrays: words, labels and splits.

    Attributes:
        tokenize: a text → its words.
        vocabulary: encodes the texts; None counts one on the training split.
        label_map: what labels become; None leaves them.
        labels: their names in order; None orders what is found.
        test_share, validation_share, seed: of splits that are not given.
        drop_duplicates: whether a text stays once only.
        unlabeled: whether texts without a label are kept, apart from all splits; else they are dropped.
    """

    tokenize: Callable[[str], list[str]]
    vocabulary: Vocabulary | None
    label_map: LabelMap | None
    labels: tuple[str, ...] | None
    test_share: float
    validation_share: float
    seed: int
    drop_duplicates: bool
    unlabeled: bool = False


def encode_records(source: RecordSource, how: Encoding, progress: Progress | None = None) -> Arrays:
    """Return `tokens`, `offsets`, `labels`, `splits` of all rows, `words` and `facts` (JSON), as the cache keeps them.

    Raises:
        DataError: if there is nothing to train on, a file is faulty, or one changed while it was read.
    """
    before = _states(source.paths)
    rows = _Rows(how, grouped=source.grouped)
    tokens = np.empty(0, np.int32)
    try:
        with _spool() as spool:
            for record in source.records(progress):
                rows.add(record, spool)
            spool.flush()
            if rows.tokens_written:
                tokens = np.memmap(spool, np.int32, "r+")  # stays when the file, which has no name, is closed
    except OSError as error:  # those of the files that are read have become DataErrors
        raise DataError(
            f"{_shown(source)}: its encoded texts cannot be kept: {error.strerror}; RNNSENT_CACHE=FOLDER names another "
            f"place than {cache_root()}"
        ) from None
    if _states(source.paths) != before:
        raise DataError(f"{_shown(source)}: changed while it was read; wait until it is complete, or copy it first")
    return rows.finish(tokens, source)


@dataclass
class _Rows:
    """What is remembered of the rows while they stream by."""

    how: Encoding
    lengths: array[int] = field(default_factory=lambda: array("q"))
    labels: array[int] = field(default_factory=lambda: array("q"))
    given: array[int] = field(default_factory=lambda: array("q"))
    groups: array[int] = field(default_factory=lambda: array("q"))
    prints: array[int] = field(default_factory=lambda: array("Q"))
    label_ids: dict[str, int] = field(default_factory=dict)
    group_ids: dict[str, int] = field(default_factory=dict)
    labeled_groups: dict[str, None] = field(default_factory=dict)  # in order of appearance
    word_ids: dict[str, int] = field(default_factory=dict)  # in order of appearance, until the splits are known
    raw_labels: set[str] = field(default_factory=set)  # as they stand in the file, where they are mapped
    dropped: Counter[str] = field(default_factory=Counter)
    tokens_written: int = 0
    grouped: bool = False
    ungrouped: int = 0
    alone: int = 0  # those of them that have a label
    numbers: array[int] = field(default_factory=lambda: array("q"))
    ratings: array[int] = field(default_factory=lambda: array("q"))

    def add(self, record: Record, spool: IO[bytes]) -> None:
        """Encode one record, or count why not."""
        label = self._label(record)
        if label is None or record.text is None:
            return
        words = self.how.tokenize(record.text)
        ids = self._ids(words)
        spool.write(ids.tobytes())
        self.tokens_written += len(ids)
        self.lengths.append(len(ids))
        self.labels.append(label)
        given = UNGIVEN if record.split is None else NAMES[record.split]
        self.given.append(UNLABELED if label == NO_LABEL else given)
        self.numbers.append(record.number)
        self.ratings.append(self._rating(record))
        if self.grouped:
            self.groups.append(self._group(record))
        same = " ".join(words) or record.text  # what has no words is the same only if it is so to the letter
        print_ = hashlib.blake2b(same.encode("utf-8", "surrogatepass"), digest_size=8)
        self.prints.append(int.from_bytes(print_.digest(), "little"))

    def _rating(self, record: Record) -> int:
        """Return the stars that the source gives, or that a map made a label of; 0 where they are not known."""
        mapped = record.label if self.how.label_map is not None else None
        given = record.rating or (int(mapped) if mapped is not None and mapped.isdecimal() else 0)
        return given if given <= MOST_STARS else 0

    def _group(self, record: Record) -> int:
        if record.group is None:  # stands by itself
            self.alone += record.label is not None
            self.ungrouped += 1
            return -self.ungrouped
        if record.label is not None:
            self.labeled_groups[record.group] = None
        return self.group_ids.setdefault(record.group, len(self.group_ids))

    def _label(self, record: Record) -> int | None:
        if record.label is None:
            if self.how.unlabeled and record.text is not None:
                return NO_LABEL
            self.dropped["without a label"] += 1
            return None
        name: str | None = record.label
        if self.how.label_map is not None:
            if len(self.raw_labels) < MAX_LABELS:
                self.raw_labels.add(record.label)
            name = self.how.label_map(record.label)
            if name is None:
                self.dropped[f"labeled {record.label}"] += 1
                return None
        assert name is not None
        if record.text is None:
            self.dropped["without a text"] += 1
            return None
        if self.how.labels is not None and name not in self.how.labels:
            raise DataError(f"{record.place}: the label {name!r} is none of data.labels: {', '.join(self.how.labels)}")
        found = self.label_ids.setdefault(name, len(self.label_ids))
        if found >= MAX_LABELS:
            raise DataError(f"{record.place}: more than {MAX_LABELS:,} labels; is this the column of labels?")
        return found

    def _ids(self, words: list[str]) -> NDArray[np.int32]:
        if self.how.vocabulary is not None:
            return self.how.vocabulary.encode_words(words)
        known = self.word_ids
        found = [known.setdefault(word, len(known)) + FIRST_WORD for word in words]
        return np.array([START, *found], np.int32)

    def finish(self, tokens: NDArray[np.int32], source: RecordSource) -> Arrays:
        """Split the rows, rank the words of the training split, and write their final ids."""
        rows = len(self.lengths)
        if not rows:
            found = ", ".join(f"{number:,} rows {why}" for why, number in self.dropped.most_common(5))
            raise DataError(f"{_shown(source)}: holds no labeled text" + (f": {found}" if found else ""))
        unnamed = self.numbers[0] == 1 and source.describe().get("format") in ("csv", "tsv")
        try:
            require_labels(self.labels, tuple(self.label_ids), unnamed=unnamed)
        except DataError as error:
            raise error.at(_shown(source)) from None
        names = self.how.labels or ordered(self.label_ids)
        if self.how.label_map is not None:
            self._require_all_named(self.how.label_map, source)
        for name in names:
            if name not in self.label_ids:
                raise DataError(f"{_shown(source)}: data.labels names {name}, but no text is labeled so")
        # One more name for those without: its place is found by -1.
        order = np.array([*(names.index(name) for name in self.label_ids), NO_LABEL], np.int64)
        labels = order[np.array(self.labels, np.int64)]
        prints = np.array(self.prints, np.uint64)
        given = np.array(self.given, np.int64)
        how = self.how
        groups = self._final_groups(source)
        splits = assign(
            labels,
            given,
            groups,
            test_share=how.test_share,
            validation_share=how.validation_share,
            seed=how.seed,
        )
        labeled = labels != NO_LABEL
        contradicting = contradictions(prints[labeled], labels[labeled])
        if how.drop_duplicates:
            again = repeated(prints, splits)
            self.dropped["repeated"] += int(again.sum())
            splits[again] = DROPPED
        try:
            require_trainable(labels, splits, names)
        except DataError as error:
            raise DataError(f"{_shown(source)}: {error}{self._left_out()}") from None
        offsets = np.concatenate([[0], np.cumsum(np.array(self.lengths, np.int64))])
        words = (
            how.vocabulary.words
            if how.vocabulary is not None
            else self._rank(tokens, offsets, np.isin(splits, (TRAIN, UNLABELED)))
        )
        facts: dict[str, Any] = {
            "labels": names,
            "rows": rows + sum(self.dropped.values()) - self.dropped["repeated"],
            "dropped": {why: number for why, number in self.dropped.most_common(20) if number},
            "contradicting": contradicting,
            "also in training": {name: number for name, number in in_training(prints, splits).items() if number},
            "splits": self._how_split(given),
        }
        if how.unlabeled:
            facts["unlabeled"] = int((splits == UNLABELED).sum())
        if groups is not None:
            counted = {name: len(np.unique(groups[splits == split])) for name, split in NAMES.items()}
            facts["groups"] = {name: number for name, number in counted.items() if number}
            beside = groups[splits == UNLABELED]
            shared = {
                name: int(np.isin(beside, groups[splits == NAMES[name]]).sum()) for name in ("validation", "test")
            }
            facts["unlabeled of their groups"] = {name: number for name, number in shared.items() if number}
            if self.alone:
                facts["groups"]["rows without one"] = self.alone
        return {
            "tokens": tokens,
            "offsets": offsets,
            "labels": labels,
            "splits": splits,
            "numbers": np.array(self.numbers, np.int64),
            "ratings": np.array(self.ratings, np.int64),
            "groups": np.arange(rows) if groups is None else groups,
            # Never empty, or it could not be memory-mapped; a word holds no space.
            "words": np.frombuffer((" ".join(words) + " ").encode("utf-8", "surrogatepass"), np.uint8),
            "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8),
        }

    def _final_groups(self, source: RecordSource) -> NDArray[np.int64] | None:
        if not self.grouped:
            return None
        final: dict[str, int] = {}
        for name in (*self.labeled_groups, *self.group_ids):  # what has no label moves no other row to another split
            final.setdefault(source.group_name(name), len(final))
        found = [final[source.group_name(name)] for name in self.group_ids]
        groups = np.array(self.groups, np.int64)
        alone = groups < 0
        return np.where(alone, len(found) - groups, np.array([*found, 0], np.int64)[np.where(alone, 0, groups)])

    def _require_all_named(self, label_map: LabelMap, source: RecordSource) -> None:
        missing = label_map.unmatched(self.raw_labels)
        if missing is not None:
            close = difflib.get_close_matches(missing, self.raw_labels, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            seen = ", ".join(ordered(self.raw_labels)[:20])
            raise DataError(f"{_shown(source)}: data.label_map: no text is labeled {missing}; {hint}labels: {seen}")

    def _left_out(self) -> str:
        """Return for people which rows are not there because of data.label_map."""
        rows = [f"{number:,} {why}" for why, number in self.dropped.most_common(5) if why.startswith("labeled ")]
        return f"; data.label_map drops what it does not name: rows {', '.join(rows)}" if rows else ""

    def _how_split(self, given: NDArray[np.int64]) -> dict[str, str]:
        drawn = f"drawn by {'group' if self.grouped else 'label'}, seed {self.how.seed}"
        return {name: "given" if (given == NAMES[name]).any() else drawn for name in ("validation", "test")}

    def _rank(self, tokens: NDArray[np.int32], offsets: NDArray[np.int64], train: NDArray[np.bool_]) -> Sequence[str]:
        """Put the ids of ranked words into `tokens`; words that no training text has are unknown."""
        counts = np.zeros(len(self.word_ids) + FIRST_WORD, np.int64)
        for low, high, rows in _chunks(offsets):
            kept = np.repeat(train[rows], np.diff(offsets[rows.start : rows.stop + 1]))
            counts += np.bincount(tokens[low:high][kept], minlength=len(counts))
        known = zip(self.word_ids, counts[FIRST_WORD:].tolist(), strict=True)
        ranked = ranked_words({word: number for word, number in known if number})
        places = np.fromiter((self.word_ids[word] for word in ranked), np.int64, len(ranked)) + FIRST_WORD
        final = np.full(len(counts), UNKNOWN, np.int32)
        final[START] = START
        final[places] = np.arange(FIRST_WORD, FIRST_WORD + len(ranked))
        for low, high, _ in _chunks(offsets):
            tokens[low:high] = final[tokens[low:high]]
        return ranked


def _chunks(offsets: NDArray[np.int64]) -> list[tuple[int, int, slice]]:
    """Return from and to which id, and which rows, for some rows at a time."""
    edges = [0]
    while edges[-1] < len(offsets) - 1:
        reach = int(np.searchsorted(offsets, offsets[edges[-1]] + CHUNK, "right")) - 1
        edges.append(max(reach, edges[-1] + 1))
    return [(int(offsets[a]), int(offsets[b]), slice(a, b)) for a, b in pairwise(edges)]


def _shown(source: RecordSource) -> str:
    paths = source.paths
    return ", ".join(map(str, paths)) if len(paths) < 3 else os.path.commonpath([str(path) for path in paths])


def _states(paths: list[Path]) -> list[tuple[int, int]]:
    try:
        return [(status.st_size, status.st_mtime_ns) for status in (path.stat() for path in paths)]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None


def _spool() -> Any:
    """Return a file without a name on the disk of the cache, or of the temporary files where that cannot be."""
    root = cache_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=root, buffering=BUFFER)
    except OSError:
        return tempfile.TemporaryFile(buffering=BUFFER)
