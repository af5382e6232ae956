"""A split of a data set: ragged sequences of word ids, and their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.vocabulary import UNKNOWN

Ids = NDArray[np.int32]
Offsets = NDArray[np.int64]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Split:
    """Reviews as views into one flat array of ids; selecting and truncating move the views and copy nothing.

    Attributes:
        tokens: int32 (total,), ids of all reviews one after the other, often memory-mapped.
        starts: int64 (reviews,), where each review begins in `tokens`.
        lengths: int64 (reviews,), how many tokens each has, start token included.
        labels: int64 (reviews,), index into the data set's label names.
        limit: ids from here on read as the unknown id; None keeps all.
        channels: float32 (total, width), what stands beside each token, such as its n-grams' ratios; None: nothing.
        ngram_orders: of how many orders of n-grams these are, each with as many columns.
        targets: float32 (reviews, labels), how probable each label is, where that is not certain; NaN: not
            known. None: it is certain.
        groups: int64 (reviews,), what each is about, such as its film; None: each stands by itself.
    """

    tokens: Ids
    starts: Offsets
    lengths: Offsets
    labels: Offsets
    limit: int | None = None
    channels: NDArray[np.float32] | None = None
    ngram_orders: int = 1
    targets: NDArray[np.float32] | None = None
    groups: Offsets | None = None

    @classmethod
    def from_offsets(cls, tokens: Ids, offsets: Offsets, labels: Offsets) -> Split:
        """Make a split of flat `tokens`, `offsets` (reviews + 1,) and `labels` (reviews,)."""
        return cls(tokens, offsets[:-1], np.diff(offsets), labels)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], part: str) -> Split:
        """Make the split called `part` of cached arrays, named `train_tokens`, `train_offsets`, `train_labels`."""
        return cls.from_offsets(*(arrays[f"{part}_{name}"] for name in ("tokens", "offsets", "labels")))

    @classmethod
    def from_sequences(cls, sequences: Sequence[Sequence[int] | Ids], labels: Sequence[int] | Offsets) -> Split:
        """Make a split of one sequence of ids per review."""
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        tokens = np.empty(offsets[-1], np.int32)
        for start, sequence in zip(offsets, sequences, strict=False):
            tokens[start : start + len(sequence)] = sequence
        return cls.from_offsets(tokens, offsets, np.asarray(labels, np.int64))

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, index: NDArray[np.int64] | slice) -> Split:
        """Return the reviews at `index`, in its order."""
        return replace(
            self,
            starts=self.starts[index],
            lengths=self.lengths[index],
            labels=self.labels[index],
            targets=None if self.targets is None else self.targets[index],
            groups=None if self.groups is None else self.groups[index],
        )

    def certainty(self) -> NDArray[np.float64]:
        """Return how certain the label of each review is, (reviews,): 1, or 0 where all labels are as probable."""
        if self.targets is None:
            return np.ones(len(self))
        labels = self.targets.shape[1]
        found: NDArray[np.float64] = (labels * self.targets.max(axis=1).astype(np.float64) - 1) / (labels - 1)
        return found

    def label_probabilities(self, index: NDArray[np.int64], labels: int) -> NDArray[np.float32]:
        """Return what a network should say of the reviews at `index`: the probability of label 1, (len(index), 1).

        Of three labels or more it is that of each, (len(index), labels).
        """
        if self.targets is not None:
            return self.targets[index][:, 1:] if labels == 2 else self.targets[index]
        if labels == 2:
            return self.labels[index].astype(np.float32)[:, None]
        return np.eye(labels, dtype=np.float32)[self.labels[index]]

    def cut(self, num_words: int | None, maxlen: int | None, truncating: Literal["pre", "post"] = "pre") -> Split:
        """Return the split with rare words unknown and long reviews cut, as Keras' load_data and pad_sequences do."""
        if maxlen is None:
            return replace(self, limit=num_words)
        surplus = np.maximum(self.lengths - maxlen, 0)
        starts = self.starts + surplus if truncating == "pre" else self.starts
        return replace(self, starts=starts, lengths=self.lengths - surplus, limit=num_words)

    def sequence(self, index: int) -> Ids:
        """Return the ids of one review, int32 (length,)."""
        start, length = self.starts[index], self.lengths[index]
        return self._limited(np.asarray(self.tokens[start : start + length]))

    def flat(self) -> Ids:
        """Return the ids of all reviews one after the other, int32 (sum of lengths,)."""
        return self._limited(np.asarray(self.tokens)[self.positions()])

    def positions(self) -> Offsets:
        """Return where in `tokens` the ids of all reviews are, one after the other, int64 (sum of lengths,)."""
        before = np.cumsum(self.lengths) - self.lengths
        return np.repeat(self.starts - before, self.lengths) + np.arange(int(self.lengths.sum()))

    def padded(self, index: NDArray[np.int64], length: int, side: Literal["pre", "post"]) -> Ids:
        """Return the reviews at `index` padded on one side, int32 (len(index), length)."""
        # Slices of a plain array cost half of what those of a memory map do.
        return self._limited(self._padded(np.asarray(self.tokens), index, length, side))

    def padded_channels(
        self, index: NDArray[np.int64], length: int, side: Literal["pre", "post"]
    ) -> NDArray[np.float32]:
        """Return the channels of the reviews at `index`, zero where there is padding: (len(index), length, width)."""
        assert self.channels is not None
        return self._padded(self.channels, index, length, side)

    def _padded(self, beside: NDArray[T], index: NDArray[np.int64], length: int, side: str) -> NDArray[T]:
        """Pad what stands in `beside` at the tokens of each review; PAD is 0."""
        batch = np.zeros((len(index), length, *beside.shape[1:]), beside.dtype)
        for row, start, size in zip(batch, self.starts[index].tolist(), self.lengths[index].tolist(), strict=True):
            words = slice(length - size, length) if side == "pre" else slice(0, size)
            row[words] = beside[start : start + size]
        return batch

    def _limited(self, ids: Ids) -> Ids:
        return ids if self.limit is None else np.where(ids < self.limit, ids, np.int32(UNKNOWN))
