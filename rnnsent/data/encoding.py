"""Records of any source → flat arrays, in memory that grows by some 60 bytes a row, whatever its text."""

from __future__ import annotations

import difflib
import json
import os
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import DataConfig
from rnnsent.data import splitting
from rnnsent.data.cache import Arrays, cache_root
from rnnsent.data.download import Progress
from rnnsent.data.labels import LabelMap, label_key, ordered, require_labels, same_labels
from rnnsent.data.readers import BLANK, LeftOut
from rnnsent.data.records import Record, RecordSource
from rnnsent.data.scales import in_order
from rnnsent.data.splitting import SPLITS, TEST, TRAIN, UNGIVEN, UNLABELED, Ints
from rnnsent.data.tokenizer import FIRST_WORD, START, TOKENIZERS, text_hash
from rnnsent.data.vocabulary import Vocabulary, ranked_words
from rnnsent.errors import DataError

MAX_LABELS = 1000  # a label column with more is something else
MAX_PLACES = 1000  # of rows that are left out for their form
MAX_STARS = 100  # a larger number that became a label is something else
NO_LABEL = -1
CHUNK = 1 << 22  # ids that are handled at a time


def encode_records(
    source: RecordSource,
    config: DataConfig,
    vocabulary: Vocabulary | None,
    progress: Progress | None = None,
    words: Sequence[str] = (),
) -> Arrays:
    """Return `tokens`, `offsets`, `labels`, `splits` … of all rows, and `facts` (JSON), for the cache.

    Without a vocabulary one is counted on the training split: the `words` of the facts, which begin with `words`.

    Raises:
        DataError: if there is nothing to train on, or a file is faulty.
    """
    paths = [str(path) for path in source.paths]
    name = ", ".join(paths) if len(paths) < 3 else os.path.commonpath(paths)
    rows = _Rows(source, config, vocabulary, words)
    tokens = np.empty(0, np.int32)
    root = cache_root()
    with suppress(OSError):
        root.mkdir(parents=True, exist_ok=True)
    folder = root if os.access(root, os.W_OK) else None  # None: that of temporary files
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=1 << 20) as spool:
            for record in source.records(progress):
                rows.add(record, spool)
            spool.flush()
            if spool.tell():
                tokens = np.memmap(spool, np.int32, "r+")  # stays when the file, which has no name, is closed
    except OSError as error:  # those of the files that are read have become DataErrors
        raise DataError(
            f"{name}: its encoded texts cannot be kept: {error.strerror}; RNNSENT_CACHE=FOLDER names another place "
            f"than {root}"
        ) from None
    try:
        return rows.arrays(tokens)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None


class _Rows:
    """What is remembered of the rows while they stream by."""

    def __init__(
        self, source: RecordSource, config: DataConfig, vocabulary: Vocabulary | None, words: Sequence[str]
    ) -> None:
        self.source, self.config, self.vocabulary, self.words = source, config, vocabulary, words
        self.tokenize = TOKENIZERS[config.tokenizer]
        self.label_map = None if config.label_map is None else LabelMap(config.label_map)
        self.lengths, self.labels, self.given, self.groups = array("q"), array("q"), array("q"), array("q")
        self.numbers, self.ratings, self.hashes = array("q"), array("q"), array("Q")
        self.tables, self.sheet_rows, self.files = array("i"), array("i"), list[str]()
        named = (name if self.label_map is None else self.label_map(name) for name in source.labels)
        self.label_ids = {name: id_ for id_, name in enumerate(dict.fromkeys(name for name in named if name))}
        self.label_sets: dict[tuple[int, ...], int] = {}  # {ids of labels: id of the set}, of several labels
        self.group_ids: dict[str, int] = {}
        # in order of appearance, until the splits are known
        self.word_ids = {word: id_ for id_, word in enumerate(words)}
        self.raw_labels: set[str] = set()  # before they are mapped
        self.dropped: Counter[str] = Counter()
        self.left_out: list[str] = []  # places of rows, and why

    def add(self, record: Record, spool: IO[bytes]) -> None:
        """Encode one record, or count why not."""
        label = self._label(record)
        if label is None or record.text is None:
            return
        words = self.tokenize(record.text)
        if self.vocabulary is None:
            known = self.word_ids
            ids = np.array([START, *(known.setdefault(word, len(known)) + FIRST_WORD for word in words)], np.int32)
        else:
            ids = self.vocabulary.encode_words(words)
        spool.write(ids.tobytes())
        self.lengths.append(len(ids))
        self.labels.append(label)
        self.given.append(UNLABELED if label == NO_LABEL else SPLITS.get(record.split or "", UNGIVEN))
        self.numbers.append(record.number)
        self.ratings.append(self._stars(record))
        self.tables.append(record.table)
        self.sheet_rows.append(record.row)
        self.files += [record.file] if record.file else []
        if record.group is None:  # stands by itself
            self.groups.append(-len(self.lengths))
        else:
            self.groups.append(self.group_ids.setdefault(record.group, len(self.group_ids)))
        self.hashes.append(text_hash(record.text, words))

    def _stars(self, record: Record) -> int:
        """Return the stars that the source gives, or that a map made a label of; 0 if they are unknown."""
        mapped = record.label if self.label_map is not None and isinstance(record.label, str) else ""
        stars = record.rating or (int(mapped) if mapped.isdecimal() else 0)
        return stars if stars <= MAX_STARS else 0

    def _label(self, record: Record) -> int | None:
        """Return the number of the label, None if the record is dropped."""
        if record.label is None and record.text is not None and self.config.unlabeled:
            return NO_LABEL
        name = record.label
        if isinstance(name, tuple) and record.text is not None:
            return self._label_set(name, record.place)
        if isinstance(name, str) and self.label_map is not None:
            self.raw_labels.add(name)
            name = self.label_map(name)
        if record.label is None:
            why = record.left_out or "without a label"
        elif name is None:
            why = f"labeled {record.label}"
        elif record.text is None:
            why = "without a text"
        else:
            return self._label_id(str(name), record.place)
        self.dropped[why] += 1
        if isinstance(why, LeftOut) and why != BLANK and len(self.left_out) < MAX_PLACES:
            self.left_out.append(f"{record.place}: {why}")
        return None

    def _label_set(self, names: tuple[str, ...], place: str) -> int:
        """Return the number of a set of labels, which may be empty; those that the map drops are not in it."""
        if self.label_map is not None:
            self.raw_labels |= set(names)
            names = tuple(mapped for name in names if (mapped := self.label_map(name)) is not None)
        ids = tuple(sorted({self._label_id(name, place) for name in names}))
        return self.label_sets.setdefault(ids, len(self.label_sets))

    def _label_id(self, name: str, place: str) -> int:
        labels = self.config.labels
        if labels is not None and name not in labels:
            alike = [label for label in labels if self.config.join_labels and label_key(label) == label_key(name)]
            if not alike:
                known = ", ".join(labels)
                raise DataError(
                    f"{place}: the label {name!r} is none of data.labels: {known}; add it, or rename it by --label-map"
                )
            name = alike[0]
        id_ = self.label_ids.setdefault(name, len(self.label_ids))
        if id_ >= MAX_LABELS:
            raise DataError(f"{place}: more than {MAX_LABELS:,} labels; is this the column of labels?")
        return id_

    def arrays(self, tokens: NDArray[np.int32]) -> Arrays:
        """Split the rows, rank the words of the training split, and write their final ids into `tokens`."""
        names, is_ordered, joined = self._label_names()
        # One more name for those without: its place is found by -1.
        order = np.array([*(names.index(joined.get(name, name)) for name in self.label_ids), NO_LABEL], np.int64)
        strata = np.array(self.labels)
        if self.config.targets == "multi":
            sets = np.zeros((len(self.label_sets) + 1, len(names)), np.int8)
            for ids, row in self.label_sets.items():
                sets[row, order[list(ids)]] = 1
            labels = sets[strata]
        else:
            labels = strata = order[strata]
        groups = self._final_groups()
        if self.config.test_path is not None and TEST not in self.given:
            rows = ", ".join(f"{number:,} {why}" for why, number in self.dropped.most_common(5)) or "none"
            raise DataError(f"{self.config.test_path}: holds no labeled text to test on; rows left out: {rows}")
        drawn = strata if labels.ndim == 1 else np.where(strata < 0, NO_LABEL, _rarest(labels))
        splits = self._splits(drawn, groups)
        try:
            splitting.require_trainable(labels, splits, names, validated=self.config.validation_split > 0)
        except DataError as error:
            if self.dropped["repeated"]:
                error = DataError(f"{error} ({self.dropped['repeated']:,} repeated rows were dropped)")
            unmapped = [f"{rows:,} {why}" for why, rows in self.dropped.most_common(5) if why.startswith("labeled ")]
            way = "data.label_map drops what it does not name" if self.label_map else "--label-map can name them"
            raise DataError(f"{error}; {way}: rows {', '.join(unmapped)}" if unmapped else str(error)) from None
        offsets = np.concatenate([[0], np.cumsum(np.array(self.lengths))])
        facts = self._facts(strata, splits, groups) | ({"joined labels": joined} if joined else {}) | {"labels": names}
        facts |= {"order": " < ".join(names)} if is_ordered else {}
        if self.files:
            facts["files"] = self.files
        if self.vocabulary is None:
            facts["words"], facts["other words"] = self._rank(tokens, offsets, np.isin(splits, (TRAIN, UNLABELED)))
        return {
            "tokens": tokens,
            "offsets": offsets,
            "labels": labels,
            "splits": splits,
            "numbers": np.array(self.numbers),
            "ratings": np.array(self.ratings),
            "hashes": np.array(self.hashes, np.uint64),
            "tables": np.array(self.tables),
            "sheet_rows": np.array(self.sheet_rows),
            **({} if groups is None else {"groups": groups}),
            "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8),
        }

    def _splits(self, labels: Ints, groups: Ints | None) -> Ints:
        config, given = self.config, np.array(self.given)
        if config.drop_duplicates:  # before the draw, which would else put most texts where their copies are kept
            again = splitting.repeated(np.array(self.hashes, np.uint64), given)
            self.dropped["repeated"] += int(again.sum())
            given[again] = splitting.DROPPED
        shares = {"test_share": config.test_split, "validation_share": config.validation_split}
        return splitting.assign(labels, given, groups, **shares, seed=config.split_seed)

    def _facts(self, labels: Ints, splits: Ints, groups: Ints | None) -> dict[str, Any]:
        hashes, labeled = np.array(self.hashes, np.uint64), labels != NO_LABEL
        drawn = f"drawn by {'label' if groups is None else 'group'}, seed {self.config.split_seed}"
        facts: dict[str, Any] = {
            "rows": len(labels) + self.dropped.total() - self.dropped["repeated"],
            "dropped": {why: number for why, number in self.dropped.most_common(20) if number},
            "contradicting": splitting.contradictions(hashes[labeled], labels[labeled]),
            "also in training": splitting.in_training(hashes, splits),
            "splits": {name: "given" if SPLITS[name] in self.given else drawn for name in ("validation", "test")},
        }
        ungiven = int((np.array(self.given) == UNGIVEN).sum())
        if 0 < ungiven < int((splits != UNLABELED).sum()):
            facts["rows without a split, for training"] = ungiven
        if self.left_out:
            facts["left out"] = self.left_out
        if self.config.unlabeled:
            facts["unlabeled"] = int((splits == UNLABELED).sum())
        if groups is None:
            return facts
        counts = {name: len(np.unique(groups[splits == split])) for name, split in SPLITS.items()}
        counts["rows without one"] = int(((groups < 0) & (splits != UNLABELED)).sum())
        unlabeled = groups[splits == UNLABELED]
        shared = {name: np.isin(unlabeled, groups[splits == SPLITS[name]]) for name in ("validation", "test")}
        return facts | {
            "groups": {name: number for name, number in counts.items() if number},
            "unlabeled of their groups": {name: int(rows.sum()) for name, rows in shared.items() if rows.any()},
        }

    def _label_names(self) -> tuple[tuple[str, ...], bool, dict[str, str]]:
        """Return the labels in order, whether they are a scale, and {spelling: label} of those that look the same."""
        if not self.lengths:
            reasons = ", ".join(f"{number:,} rows {why}" for why, number in self.dropped.most_common(5))
            raise DataError("holds no labeled text" + (f": {reasons}" if reasons else ""))
        numbers = Counter(self.labels)
        if self.config.targets == "multi":
            sets, numbers = numbers, Counter()
            for ids, set_id in self.label_sets.items():
                numbers.update(dict.fromkeys(ids, sets[set_id]))
        counts = {name: numbers[id_] for name, id_ in self.label_ids.items()}
        require_labels(counts, by_number=self.numbers[0] == 1 and "delimiter" in self.source.description)
        if self.label_map is not None and (missing := self.label_map.unmatched(self.raw_labels)) is not None:
            close = difflib.get_close_matches(missing, self.raw_labels, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            present = ", ".join(ordered(self.raw_labels)[:20])
            raise DataError(f"data.label_map: no text is labeled {missing}; {hint}labels: {present}")
        join = self.config.join_labels and self.label_map is None and self.config.labels is None
        joined = same_labels(counts) if join else {}
        distinct = self.config.labels or {joined.get(name, name): None for name in self.label_ids}
        if self.config.targets == "multi":
            names, is_ordered = tuple(distinct), False
            if not self.source.labels and self.config.labels is None:
                names = ordered(distinct)
            if not self.source.labels and max(map(len, self.label_sets)) < 2:
                separator = f"{self.config.label_separator!r} what separates them (data.label_separator)"
                raise DataError(f"no text has two labels: is {separator}?")
        else:
            names, is_ordered = in_order(distinct, self.config.ordered)
        absent = next((name for name in names if name not in self.label_ids), None)
        if absent is not None and not self.words:  # else there is a network that knows the label
            raise DataError(f"data.labels names {absent}, but no text is labeled so")
        return names, is_ordered, joined

    def _final_groups(self) -> Ints | None:
        """Return the group of each row; groups with the same name in the end are one."""
        if not self.source.grouped:
            return None
        ids: dict[str, int] = {}
        final = np.array([ids.setdefault(self.source.group_name(name), len(ids)) for name in self.group_ids], np.int64)
        groups = np.array(self.groups)
        groups[groups >= 0] = final[groups[groups >= 0]]
        return groups

    def _rank(
        self, tokens: NDArray[np.int32], offsets: Ints, train: NDArray[np.bool_]
    ) -> tuple[Sequence[str], list[str]]:
        """Put the ids of ranked words into `tokens`, then those of words that no training text has; return both."""
        counts = np.zeros(len(self.word_ids) + FIRST_WORD, np.int64)
        for ids, rows in _chunks(tokens, offsets):
            kept = np.repeat(train[rows], np.diff(offsets[rows.start : rows.stop + 1]))
            counts += np.bincount(ids[kept], minlength=len(counts))
        numbers = dict(list(zip(self.word_ids, counts[FIRST_WORD:].tolist(), strict=True))[len(self.words) :])
        ranked = [*self.words, *ranked_words({word: number for word, number in numbers.items() if number})]
        others = [word for word, number in numbers.items() if not number]
        final = np.full(len(counts), START, np.int32)
        places = np.array([self.word_ids[word] for word in (*ranked, *others)], np.int64) + FIRST_WORD
        final[places] = np.arange(FIRST_WORD, FIRST_WORD + len(places))
        for ids, _ in _chunks(tokens, offsets):
            ids[:] = final[ids]
        return ranked, others


def _rarest(labels: NDArray[np.int8]) -> Ints:
    """Return the rarest label of each row of (rows, labels), (rows,); of one without any, one more than there are."""
    held = np.where(labels > 0, labels.sum(axis=0, dtype=np.int64), len(labels) + 1)
    rarest: Ints = np.where(labels.any(axis=1), held.argmin(axis=1), labels.shape[1])
    return rarest


def _chunks(tokens: NDArray[np.int32], offsets: Ints) -> Iterator[tuple[NDArray[np.int32], slice]]:
    """Yield the ids of some rows at a time, and which rows these are."""
    cuts = np.unique([*np.searchsorted(offsets, np.arange(0, offsets[-1], CHUNK)), len(offsets) - 1])
    for start, stop in pairwise(cuts.tolist()):
        yield tokens[offsets[start] : offsets[stop]], slice(start, stop)
