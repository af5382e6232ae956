"""Records of any source → flat arrays, in memory that grows by some 60 bytes a row, whatever its text."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import DataConfig
from rnnsent.data import splitting
from rnnsent.data.cache import Arrays, cache_root
from rnnsent.data.labels import LabelMap, label_key, ordered, require_labels, same_labels
from rnnsent.data.readers import BLANK, LeftOut
from rnnsent.data.records import Record, RecordSource
from rnnsent.data.splitting import SPLITS, TRAIN, UNLABELED, Ints
from rnnsent.data.tokenizer import FIRST_WORD, START, TOKENIZERS, UNKNOWN
from rnnsent.data.vocabulary import Vocabulary, ranked_words
from rnnsent.errors import DataError

if TYPE_CHECKING:
    from rnnsent.data.download import Progress

MAX_LABELS = 1000  # a label column with more is something else
MAX_PLACES = 1000  # of rows that are left out for their form
MAX_STARS = 100  # a larger number that became a label is something else
NO_LABEL = -1
CHUNK = 1 << 22  # ids that are handled at a time
BUFFER = 1 << 20


def encode_records(
    source: RecordSource, config: DataConfig, vocabulary: Vocabulary | None, progress: Progress | None = None
) -> Arrays:
    """Return `tokens`, `offsets`, `labels`, `splits` … of all rows, `words` and `facts` (JSON), for the cache.

    Without a vocabulary one is counted on the training split.

    Raises:
        DataError: if there is nothing to train on, or a file is faulty.
    """
    name = _name(source)
    rows = _Rows(config, vocabulary, source.grouped)
    tokens = np.empty(0, np.int32)
    try:
        with _spool() as spool:
            for record in source.records(progress):
                rows.add(record, spool)
            spool.flush()
            if spool.tell():
                tokens = np.memmap(spool, np.int32, "r+")  # stays when the file, which has no name, is closed
    except OSError as error:  # those of the files that are read have become DataErrors
        raise DataError(
            f"{name}: its encoded texts cannot be kept: {error.strerror}; RNNSENT_CACHE=FOLDER names another place "
            f"than {cache_root()}"
        ) from None
    try:
        return rows.arrays(tokens, source)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None


@dataclass
class _Rows:
    """What is remembered of the rows while they stream by."""

    config: DataConfig
    vocabulary: Vocabulary | None
    grouped: bool

    def __post_init__(self) -> None:
        self.tokenize = TOKENIZERS[self.config.tokenizer]
        self.label_map = None if self.config.label_map is None else LabelMap(self.config.label_map)
        self.lengths, self.labels, self.given, self.groups = array("q"), array("q"), array("q"), array("q")
        self.numbers, self.ratings, self.hashes = array("q"), array("q"), array("Q")
        self.label_ids: dict[str, int] = {}
        self.group_ids: dict[str, int] = {}
        self.word_ids: dict[str, int] = {}  # in order of appearance, until the splits are known
        self.raw_labels: set[str] = set()  # before they are mapped
        self.dropped: Counter[str] = Counter()
        self.left_out: list[str] = []  # places of rows, and why

    def add(self, record: Record, spool: IO[bytes]) -> None:
        """Encode one record, or count why not."""
        label = self._label(record)
        if label is None or record.text is None:
            return
        words = self.tokenize(record.text)
        ids = self._ids(words)
        spool.write(ids.tobytes())
        self.lengths.append(len(ids))
        self.labels.append(label)
        given = splitting.UNGIVEN if record.split is None else SPLITS[record.split]
        self.given.append(UNLABELED if label == NO_LABEL else given)
        self.numbers.append(record.number)
        self.ratings.append(self._stars(record))
        if record.group is None:  # stands by itself
            self.groups.append(-len(self.lengths))
        else:
            self.groups.append(self.group_ids.setdefault(record.group, len(self.group_ids)))
        text = " ".join(words) or record.text  # texts without words are the same only if they are so to the letter
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self.hashes.append(int.from_bytes(digest, "little"))

    def _stars(self, record: Record) -> int:
        """Return the stars that the source gives, or that a map made a label of; 0 if they are unknown."""
        mapped = record.label if self.label_map is not None else None
        stars = record.rating or (int(mapped) if mapped is not None and mapped.isdecimal() else 0)
        return stars if stars <= MAX_STARS else 0

    def _label(self, record: Record) -> int | None:
        """Return the number of the label, None if the record is dropped."""
        if record.label is None:
            if self.config.unlabeled and record.text is not None:
                return NO_LABEL
            self.dropped[record.left_out or "without a label"] += 1
            if isinstance(record.left_out, LeftOut) and record.left_out != BLANK and len(self.left_out) < MAX_PLACES:
                self.left_out.append(f"{record.place}: {record.left_out}")
            return None
        name: str | None = record.label
        if self.label_map is not None:
            if len(self.raw_labels) < MAX_LABELS:
                self.raw_labels.add(record.label)
            name = self.label_map(record.label)
        if name is None or record.text is None:
            self.dropped[f"labeled {record.label}" if name is None else "without a text"] += 1
            return None
        labels = self.config.labels
        if labels is not None and self.config.join_labels and name not in labels:
            name = next((label for label in labels if label_key(label) == label_key(str(name))), name)
        if labels is not None and name not in labels:
            raise DataError(f"{record.place}: the label {name!r} is none of data.labels: {', '.join(labels)}")
        label = self.label_ids.setdefault(name, len(self.label_ids))
        if label >= MAX_LABELS:
            raise DataError(f"{record.place}: more than {MAX_LABELS:,} labels; is this the column of labels?")
        return label

    def _ids(self, words: list[str]) -> NDArray[np.int32]:
        if self.vocabulary is not None:
            return self.vocabulary.encode_words(words)
        ids = self.word_ids
        return np.array([START, *(ids.setdefault(word, len(ids)) + FIRST_WORD for word in words)], np.int32)

    def arrays(self, tokens: NDArray[np.int32], source: RecordSource) -> Arrays:
        """Split the rows, rank the words of the training split, and write their final ids into `tokens`."""
        joined = self._joined()
        names = self._label_names(source, joined)
        # One more name for those without: its place is found by -1.
        order = np.array([*(names.index(joined.get(name, name)) for name in self.label_ids), NO_LABEL], np.int64)
        labels, groups = order[np.array(self.labels)], self._final_groups(source)
        splits = self._splits(labels, groups)
        try:
            splitting.require_trainable(labels, splits, names)
        except DataError as error:
            raise DataError(f"{error}{self._unmapped()}") from None
        offsets = np.concatenate([[0], np.cumsum(np.array(self.lengths))])
        if self.vocabulary is None:
            words = self._rank(tokens, offsets, np.isin(splits, (TRAIN, UNLABELED)))
        else:
            words = self.vocabulary.words
        facts = {"labels": names, **self._facts(labels, splits, groups)} | ({"joined labels": joined} if joined else {})
        return {
            "tokens": tokens,
            "offsets": offsets,
            "labels": labels,
            "splits": splits,
            "numbers": np.array(self.numbers),
            "ratings": np.array(self.ratings),
            "groups": np.arange(len(labels)) if groups is None else groups,
            # Never empty, or it could not be memory-mapped.
            "words": np.frombuffer((" ".join(words) + " ").encode("utf-8", "surrogatepass"), np.uint8),
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

    def _joined(self) -> dict[str, str]:
        """Return {spelling: label} of labels that are one, unless the config tells them apart."""
        if self.label_map is not None or self.config.labels is not None or not self.config.join_labels:
            return {}
        counts = np.bincount(np.array(self.labels, np.int64) + 1, minlength=len(self.label_ids) + 1)[1:]
        return same_labels(dict(zip(self.label_ids, counts.tolist(), strict=True)))

    def _facts(self, labels: Ints, splits: Ints, groups: Ints | None) -> dict[str, Any]:
        hashes, labeled = np.array(self.hashes, np.uint64), labels != NO_LABEL
        drawn = f"drawn by {'group' if self.grouped else 'label'}, seed {self.config.split_seed}"
        facts: dict[str, Any] = {
            "rows": len(labels) + self.dropped.total() - self.dropped["repeated"],
            "dropped": {why: number for why, number in self.dropped.most_common(20) if number},
            "contradicting": splitting.contradictions(hashes[labeled], labels[labeled]),
            "also in training": splitting.in_training(hashes, splits),
            "splits": {name: "given" if SPLITS[name] in self.given else drawn for name in ("validation", "test")},
        }
        ungiven = int((np.array(self.given) == splitting.UNGIVEN).sum())
        if 0 < ungiven < int((splits != UNLABELED).sum()):
            facts["rows without a split, for training"] = ungiven
        if self.left_out:
            facts["left out"] = self.left_out
        if self.config.unlabeled:
            facts["unlabeled"] = int((splits == UNLABELED).sum())
        return facts if groups is None else facts | self._group_facts(groups, splits)

    def _label_names(self, source: RecordSource, joined: Mapping[str, str]) -> tuple[str, ...]:
        if not self.lengths:
            reasons = ", ".join(f"{number:,} rows {why}" for why, number in self.dropped.most_common(5))
            raise DataError("holds no labeled text" + (f": {reasons}" if reasons else ""))
        by_number = self.numbers[0] == 1 and "delimiter" in source.description
        require_labels(self.labels, tuple(self.label_ids), by_number=by_number)
        if self.label_map is not None and (missing := self.label_map.unmatched(self.raw_labels)) is not None:
            close = difflib.get_close_matches(missing, self.raw_labels, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            present = ", ".join(ordered(self.raw_labels)[:20])
            raise DataError(f"data.label_map: no text is labeled {missing}; {hint}labels: {present}")
        names = tuple(self.config.labels or ordered(joined.get(name, name) for name in self.label_ids))
        absent = next((name for name in names if name not in self.label_ids), None)
        if absent is not None:
            raise DataError(f"data.labels names {absent}, but no text is labeled so")
        return names

    def _final_groups(self, source: RecordSource) -> Ints | None:
        """Return the group of each row; groups with the same name in the end are one."""
        if not self.grouped:
            return None
        ids: dict[str, int] = {}
        final = np.array([ids.setdefault(source.group_name(name), len(ids)) for name in self.group_ids], np.int64)
        groups = np.array(self.groups)
        groups[groups >= 0] = final[groups[groups >= 0]]
        return groups

    def _group_facts(self, groups: Ints, splits: Ints) -> dict[str, Any]:
        counts = {name: len(np.unique(groups[splits == split])) for name, split in SPLITS.items()}
        alone = int(((groups < 0) & (splits != UNLABELED)).sum())
        unlabeled = groups[splits == UNLABELED]
        shared = {name: np.isin(unlabeled, groups[splits == SPLITS[name]]) for name in ("validation", "test")}
        return {
            "groups": {name: number for name, number in (counts | {"rows without one": alone}).items() if number},
            "unlabeled of their groups": {name: int(rows.sum()) for name, rows in shared.items() if rows.any()},
        }

    def _unmapped(self) -> str:
        """Return which rows are not there because of data.label_map."""
        rows = [f"{number:,} {why}" for why, number in self.dropped.most_common(5) if why.startswith("labeled ")]
        why = "--label-map can name them" if self.label_map is None else "data.label_map drops what it does not name"
        return f"; {why}: rows {', '.join(rows)}" if rows else ""

    def _rank(self, tokens: NDArray[np.int32], offsets: Ints, train: NDArray[np.bool_]) -> Sequence[str]:
        """Put the ids of ranked words into `tokens`; words that no training text has are unknown."""
        counts = np.zeros(len(self.word_ids) + FIRST_WORD, np.int64)
        for ids, rows in _chunks(tokens, offsets):
            kept = np.repeat(train[rows], np.diff(offsets[rows.start : rows.stop + 1]))
            counts += np.bincount(ids[kept], minlength=len(counts))
        numbers = zip(self.word_ids, counts[FIRST_WORD:].tolist(), strict=True)
        ranked = ranked_words({word: number for word, number in numbers if number})
        final = np.full(len(counts), UNKNOWN, np.int32)
        final[START] = START
        places = np.fromiter((self.word_ids[word] for word in ranked), np.int64, len(ranked)) + FIRST_WORD
        final[places] = np.arange(FIRST_WORD, FIRST_WORD + len(ranked))
        for ids, _ in _chunks(tokens, offsets):
            ids[:] = final[ids]
        return ranked


def _chunks(tokens: NDArray[np.int32], offsets: Ints) -> Iterator[tuple[NDArray[np.int32], slice]]:
    """Yield the ids of some rows at a time, and which rows these are."""
    start = 0
    while start < len(offsets) - 1:
        reach = int(np.searchsorted(offsets, offsets[start] + CHUNK, "right")) - 1
        stop = max(reach, start + 1)
        yield tokens[offsets[start] : offsets[stop]], slice(start, stop)
        start = stop


def _name(source: RecordSource) -> str:
    paths = source.paths
    return ", ".join(map(str, paths)) if len(paths) < 3 else os.path.commonpath([str(path) for path in paths])


def _spool() -> Any:
    """Return a file without a name on the disk of the cache, or of the temporary files if there is no cache."""
    root = cache_root()
    with suppress(OSError):
        root.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=root if os.access(root, os.W_OK) else None, buffering=BUFFER)
