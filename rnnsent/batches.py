"""Batches of reviews of similar length, in an order that only seed and epoch decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import Config
from rnnsent.data.split import Ids, Split

WINDOW_BATCHES = 50  # reviews are sorted by length within so many batches: random enough, and little padding

Inputs = tuple[Ids] | tuple[Ids, NDArray[np.float32]]  # ids, and what stands beside them where there is something
Batch = tuple[Inputs, NDArray[np.float32]]


@dataclass(frozen=True)
class Batches:
    """A split, cut into batches anew each epoch.

    The order is a pure function of (seed, epoch), so any epoch can be entered at any batch.

    Attributes:
        split: the reviews.
        batch_size: reviews in a batch; the last batch of an epoch may have fewer.
        seed: None keeps the order of the split (evaluation); a number shuffles (training).
        bucketing: batch reviews of similar length.
        side: where padding goes.
        fixed_length: pad every batch to this length; None pads to the longest review of the batch.
        multiple: round the padded length up to a multiple of this, so that a compiler sees few shapes.
        batch_tokens: most ids in a batch, padding included, unless one review alone has more; None: no limit.
    """

    split: Split
    batch_size: int
    seed: int | None = None
    bucketing: bool = True
    side: Literal["pre", "post"] = "post"
    fixed_length: int | None = None
    multiple: int = 1
    batch_tokens: int | None = None

    @classmethod
    def from_config(cls, split: Split, config: Config, *, shuffle: bool, multiple: int = 1) -> Batches:
        """Make the batches that `config` asks for: shuffled for training, or in the cheapest order for evaluation."""
        data, training = config.data, config.training
        notebook = data.padding == "notebook"
        return cls(
            split,
            training.batch_size,
            seed=training.seed if shuffle else None,
            bucketing=training.bucketing and not notebook,
            side="post" if data.padding == "post" else "pre",
            fixed_length=data.maxlen if notebook else None,
            multiple=multiple,
            batch_tokens=training.batch_tokens,
        )

    def __len__(self) -> int:
        """Return the number of batches, which every epoch has."""
        return len(self._cuts)

    def order(self, epoch: int) -> list[NDArray[np.int64]]:
        """Return the batches of `epoch` as indices into the split."""
        count = len(self.split)
        if self.seed is None:
            index = np.argsort(self.split.lengths, kind="stable") if self.bucketing else np.arange(count)
            return [index[cut] for cut in self._cuts]
        rng = np.random.default_rng([self.seed, epoch])
        index = rng.permutation(count)
        if self.bucketing and self.batch_tokens is not None:
            index = index[np.argsort(self._counted_lengths[index], kind="stable")]
        elif self.bucketing:
            window = self.batch_size * WINDOW_BATCHES
            for start in range(0, count, window):
                part = index[start : start + window]
                part[:] = part[np.argsort(self.split.lengths[part], kind="stable")]
        batches = [index[cut] for cut in self._cuts]
        return [batches[place] for place in rng.permutation(len(batches))] if self.bucketing else batches

    @cached_property
    def _cuts(self) -> list[slice]:
        """Where each batch begins and ends in the order of an epoch."""
        count, size = len(self.split), self.batch_size
        if self.batch_tokens is None:
            return [slice(start, start + size) for start in range(0, count, size)]
        lengths = np.sort(self._counted_lengths)
        cuts: list[slice] = []
        start = 0
        while start < count:
            tokens = lengths[start : start + size] * np.arange(1, min(size, count - start) + 1)
            stop = start + max(int(np.count_nonzero(tokens <= self.batch_tokens)), 1)
            cuts.append(slice(start, stop))
            start = stop
        return cuts

    @cached_property
    def _counted_lengths(self) -> NDArray[np.int64]:
        """Return what each review counts in the budget: at least its padded length, whatever batch it comes into.

        With bucketing, lengths are rounded up to one of at most eight for each doubling. Reviews of one rounded length
        are shuffled among each other, and every epoch cuts the same sequence of rounded lengths: equally many batches.
        """
        lengths = self.split.lengths
        if self.fixed_length is not None:
            return np.full_like(lengths, self.fixed_length)
        longest = max(int(lengths.max(initial=1)), 1)
        if self.bucketing:
            step = 2 ** np.maximum(np.frexp(lengths.astype(np.float64))[1] - 4, 0).astype(np.int64)
            lengths = np.clip(-(-lengths // step) * step, 1, longest)
        else:
            lengths = np.full_like(lengths, longest)
        return -(-lengths // self.multiple) * self.multiple

    def padded_length(self, index: NDArray[np.int64]) -> int:
        """Return the number of time steps of the batch of these reviews."""
        if self.fixed_length is not None:
            return self.fixed_length
        longest = max(int(self.split.lengths[index].max()), 1)
        return -(-longest // self.multiple) * self.multiple

    def batch(self, index: NDArray[np.int64]) -> Batch:
        """Return inputs and labels, float32 (batch, 1), of the reviews at `index`.

        Inputs are the ids, int32 (batch, time), and the channels, float32 (batch, time, width), if the split has any.
        """
        length = self.padded_length(index)
        ids = self.split.padded(index, length, self.side)
        labels = self.split.labels[index].astype(np.float32)[:, None]
        if self.split.channels is None:
            return (ids,), labels
        return (ids, self.split.padded_channels(index, length, self.side)), labels

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        return map(self.batch, self.order(epoch))
