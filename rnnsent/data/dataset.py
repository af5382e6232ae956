"""A data set as loaded, and its splits: ragged sequences of ids, with the row indices of each split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.splitting import DROPPED, SPLITS, require_trainable, texts_of
from rnnsent.data.tokenizer import FIRST_WORD, START, UNKNOWN
from rnnsent.errors import DataError, count

if TYPE_CHECKING:
    from rnnsent.config.sections import DataConfig, Targets
    from rnnsent.data.vocabulary import Vocabulary

Ids = NDArray[np.int32]
Ints = NDArray[np.int64]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Split:
    """Texts as views into one flat array of ids; selecting and truncating move the views and copy nothing."""

    tokens: Ids  # (total,), ids of all texts one after the other, often memory-mapped
    starts: Ints  # (texts,), where each text begins in `tokens`
    lengths: Ints  # (texts,), number of tokens, start token included
    # (texts,), index into the data set's label names; of several labels int8 (texts, labels), 1 for those of the text
    labels: Ints
    limit: int | None = None  # ids from here on read as the unknown id; None keeps all
    channels: NDArray[np.float32] | None = None  # (total, width), features of each token, such as n-gram weights
    targets: NDArray[np.float32] | None = None  # (texts, labels), probabilities of uncertain labels; NaN: unknown
    groups: Ints | None = None  # (texts,), such as the film of each; None: each text stands by itself
    words: tuple[str, ...] | None = None  # what `tokens` spell, from FIRST_WORD on, also from `limit` on

    @classmethod
    def from_offsets(cls, tokens: Ids, offsets: Ints, labels: Ints) -> Split:
        """Make a split of flat `tokens`, `offsets` (texts + 1,) and `labels` (texts,)."""
        return cls(tokens, offsets[:-1], np.diff(offsets), labels)

    @classmethod
    def from_sequences(cls, sequences: Sequence[Sequence[int] | Ids], labels: Sequence[int] | Ints) -> Split:
        """Make a split of one sequence of ids per text."""
        offsets = np.cumsum([0, *map(len, sequences)], dtype=np.int64)
        tokens = np.concatenate([np.empty(0, np.int32), *sequences], dtype=np.int32, casting="unsafe")
        return cls.from_offsets(tokens, offsets, np.asarray(labels, np.int64))

    @classmethod
    def from_words(cls, vocabulary: Vocabulary, texts: Sequence[Sequence[str]], labels: Ints | None = None) -> Split:
        """Make a split of the words of texts; labels (texts,) are 0 by default. Unknown words are spelled, too."""
        others: dict[str, int] = {}
        sequences = [vocabulary.words_with_ids(words, others)[1] for words in texts]
        split = cls.from_sequences(sequences, np.zeros(len(texts), np.int64) if labels is None else labels)
        return replace(split, limit=vocabulary.size, words=(*vocabulary.words, *others))

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, index: Ints | slice) -> Split:
        """Return the texts at `index`, in its order."""
        arrays = {name: getattr(self, name) for name in ("starts", "lengths", "labels", "targets", "groups")}
        return replace(self, **{name: array[index] for name, array in arrays.items() if array is not None})

    def joined(self, other: Split) -> Split:
        """Return the texts of both splits, which view the same tokens, without targets."""
        grouped = self.groups is not None and other.groups is not None
        return replace(
            self,
            starts=np.concatenate([self.starts, other.starts]),
            lengths=np.concatenate([self.lengths, other.lengths]),
            labels=np.concatenate([self.labels, other.labels]),
            groups=np.concatenate([self.groups, other.groups]) if grouped else None,
            targets=None,
        )

    def certainty(self) -> NDArray[np.float64]:
        """Return how certain the label of each text is, (texts,): 1, or 0 if all labels are equally probable."""
        if self.targets is None:
            return np.ones(len(self))
        labels = self.targets.shape[1]
        certainty: NDArray[np.float64] = (labels * self.targets.max(axis=1).astype(np.float64) - 1) / (labels - 1)
        return certainty

    def label_probabilities(self, index: Ints, labels: int) -> NDArray[np.float32]:
        """Return the targets of the texts at `index`: the probability of label 1, (len(index), 1).

        With three labels or more, or several a text, it is that of each, (len(index), labels).
        """
        if self.labels.ndim == 2:
            return self.labels[index].astype(np.float32)
        if self.targets is not None:
            return self.targets[index][:, 1:] if labels == 2 else self.targets[index]
        if labels == 2:
            return self.labels[index].astype(np.float32)[:, None]
        return np.eye(labels, dtype=np.float32)[self.labels[index]]

    def members(self, labels: int) -> list[NDArray[np.bool_]]:
        """Return which texts have a label, (texts,), for each that stands against all others: of two the second."""
        if self.labels.ndim == 2:
            return [column > 0 for column in self.labels.T]
        return [self.labels == label for label in ([1] if labels == 2 else range(labels))]

    def cut(self, num_words: int | None, maxlen: int | None, truncating: Literal["pre", "post"] = "pre") -> Split:
        """Return the split with rare words unknown and long texts cut, as Keras' load_data and pad_sequences do."""
        limit = min((size for size in (num_words, self.limit) if size is not None), default=None)
        if maxlen is None:
            return replace(self, limit=limit)
        surplus = np.maximum(self.lengths - maxlen, 0)
        starts = self.starts + surplus if truncating == "pre" else self.starts
        return replace(self, starts=starts, lengths=self.lengths - surplus, limit=limit)

    def sequence(self, index: int) -> Ids:
        """Return the ids of one text, int32 (length,)."""
        start, length = self.starts[index], self.lengths[index]
        return self._limited(np.asarray(self.tokens[start : start + length]))

    def spelled(self, index: int) -> list[str]:
        """Return the words of one text, without the start token; ‹?› is unknown."""
        words, start = self.words or (), self.starts[index]
        ids = self.tokens[start : start + self.lengths[index]].tolist()
        return [words[id_ - FIRST_WORD] if 0 <= id_ - FIRST_WORD < len(words) else "‹?›" for id_ in ids if id_ != START]

    def flat(self) -> Ids:
        """Return the ids of all texts one after the other, int32 (sum of lengths,)."""
        return self._limited(np.asarray(self.tokens)[self.positions()])

    def positions(self) -> Ints:
        """Return where in `tokens` the ids of all texts are, one after the other, int64 (sum of lengths,)."""
        before = np.cumsum(self.lengths) - self.lengths
        return np.repeat(self.starts - before, self.lengths) + np.arange(int(self.lengths.sum()))

    def fingerprints(self) -> NDArray[np.uint64]:
        """Return a 64-bit hash of each text's ids, (texts,)."""
        digests = (hashlib.blake2b(self.sequence(index).tobytes(), digest_size=8) for index in range(len(self)))
        return np.fromiter((int.from_bytes(digest.digest(), "little") for digest in digests), np.uint64, len(self))

    def padded(self, index: Ints, length: int, side: Literal["pre", "post"]) -> Ids:
        """Return the texts at `index` padded on one side, int32 (len(index), length)."""
        # Slices of a plain array cost half of what those of a memory map do.
        return self._limited(self._padded(np.asarray(self.tokens), index, length, side))

    def padded_channels(self, index: Ints, length: int, side: Literal["pre", "post"]) -> NDArray[np.float32]:
        """Return the channels of the texts at `index`, zero in the padding: (len(index), length, width)."""
        assert self.channels is not None
        return self._padded(self.channels, index, length, side)

    def _padded(self, values: NDArray[T], index: Ints, length: int, side: str) -> NDArray[T]:
        """Pad `values`, one for each token; PAD is 0."""
        batch = np.zeros((len(index), length, *values.shape[1:]), values.dtype)
        for row, start, size in zip(batch, self.starts[index].tolist(), self.lengths[index].tolist(), strict=True):
            words = slice(length - size, length) if side == "pre" else slice(0, size)
            row[words] = values[start : start + size]
        return batch

    def _limited(self, ids: Ids) -> Ids:
        return ids if self.limit is None else np.where(ids < self.limit, ids, np.int32(UNKNOWN))


@dataclass(frozen=True, slots=True)
class Places:
    """Where a person finds each text."""

    files: tuple[str, ...]  # tables, or files of one text
    file_numbers: Ints  # (rows,), index into `files`
    sheet_rows: Ints  # (rows,), row of its table as a spreadsheet numbers it; 0 for a file of its own


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set as loaded, before anything is cut."""

    source: str  # "imdb", "sample" or "texts"
    rows: Split  # every text, in the order of the source
    indices: Mapping[str, Ints]  # rows of "train", "test", and, if the source has them, "validation" and "unlabeled"
    vocabulary: Vocabulary  # of the training split
    label_names: tuple[str, ...]  # of label 0, 1, …
    provenance: dict[str, Any]  # file, hash and the like, for metrics.json
    lines: Ints | None = None  # (rows,), line or row of its table that each text is
    hashes: NDArray[np.uint64] | None = None  # (rows,), of all words of each text, also of unknown ones
    stars: Ints | None = None  # (rows,), rating of each text, 0 if it is unknown
    places: Places | None = None  # None: a text is known by its number in the source
    targets: Targets = "classes"  # what the labels are

    @property
    def train(self) -> Split:
        """The texts to train on, without another validation split also those to validate on."""
        return self.rows.take(self.indices["train"])

    @property
    def validation(self) -> Split | None:
        """The texts to validate on, if the source has or draws them."""
        return self.rows.take(self.indices["validation"]) if "validation" in self.indices else None

    @property
    def unlabeled(self) -> Split | None:
        """The texts without a label, if `data.unlabeled` reads them."""
        return self.rows.take(self.indices["unlabeled"]) if "unlabeled" in self.indices else None

    def beginning_with(self, words: Sequence[str]) -> Dataset:
        """Return the data set with `words` first in its vocabulary, and the ids of its texts changed with it."""
        old, vocabulary = self.vocabulary.words, self.vocabulary.beginning_with(words)
        if vocabulary.words == old:
            return self
        ids = np.full(max(FIRST_WORD + len(old), int(self.rows.tokens.max(initial=0)) + 1), UNKNOWN, np.int32)
        ids[:FIRST_WORD] = np.arange(FIRST_WORD)
        ids[FIRST_WORD : FIRST_WORD + len(old)] = vocabulary.encode_words(old)[1:]
        rows = replace(self.rows, tokens=ids[self.rows.tokens], words=vocabulary.words)
        return replace(self, rows=rows, vocabulary=vocabulary)

    def split_indices(self, validation_split: float) -> dict[str, Ints]:
        """Return the rows of each split, with the last `validation_split` of train for validation if need be."""
        if "validation" in self.indices:
            return dict(self.indices)
        train = self.indices["train"]
        boundary = int(len(train) * (1.0 - validation_split))  # Keras' own rounding, floating point and all
        return {**self.indices, "train": train[:boundary], "validation": train[boundary:]}


@dataclass(frozen=True, slots=True)
class Partition:
    """The splits of one experiment, cut as its config says."""

    train: Split
    validation: Split
    test: Split
    vocabulary: Vocabulary  # with `num_words` of the config
    label_names: tuple[str, ...]  # what label 0, 1, … means
    unlabeled: Split | None = None  # texts without a label, if `data.unlabeled` reads them
    indices: Mapping[str, Ints] = field(default_factory=dict)  # int64, the rows of each split in the data set

    @property
    def label_counts(self) -> dict[str, dict[str, int]]:
        """{split: {label: texts}}."""
        names, splits = self.label_names, {"train": self.train, "validation": self.validation, "test": self.test}
        counts = {name: texts_of(part.labels, len(names)).tolist() for name, part in splits.items()}
        return {name: dict(zip(names, numbers, strict=True)) for name, numbers in counts.items()}

    @classmethod
    def from_indices(cls, dataset: Dataset, indices: Mapping[str, Ints], config: DataConfig) -> Partition:
        """Cut the rows of `dataset` at `indices`, as of `split_indices`, to `num_words` and `maxlen`.

        Raises:
            DataError: if the data set has fewer rows.
        """
        size, highest = len(dataset.rows), max(int(rows.max(initial=-1)) for rows in indices.values())
        if highest >= size:
            raise DataError(f"the split has row {highest:,}, but the data set {size:,} rows: it is another")
        rows = dataset.rows.cut(config.num_words, config.maxlen, config.truncating)
        return cls(
            **{name: rows.take(index) for name, index in indices.items()},
            vocabulary=replace(dataset.vocabulary, num_words=config.num_words),
            label_names=dataset.label_names,
            indices=indices,
        )


def split_dataset(dataset: Dataset, config: DataConfig, *, cross_validation: bool = False) -> Partition:
    """Split a data set as its source or `validation_split` says.

    With `cross_validation` all texts that are not for testing are both training and validation texts.

    Raises:
        DataError: if there are too few texts to train or validate on, or all to train on have one label.
    """
    indices = dataset.split_indices(config.validation_split)
    splits = np.full(len(dataset.rows), DROPPED)
    for name in SPLITS:
        splits[indices.get(name, [])] = SPLITS[name]
    require_trainable(dataset.rows.labels, splits, dataset.label_names, validated=not cross_validation)
    if cross_validation:
        if len(indices["validation"]):
            raise DataError(
                f"{count(len(indices['validation']), 'row')} are for validation: with training.cross_validation each "
                "network has validation texts of its own; set it to false, or let those rows train"
            )
        indices = {**indices, "validation": indices["train"]}
    return Partition.from_indices(dataset, indices, config)
