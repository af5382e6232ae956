"""Batches of reviews of similar length, in an order that only seed and epoch decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import Config
from rnnsent.data.split import Ids, Split

WINDOW_BATCHES = 50  # reviews are sorted by length within so many batches: random enough, and little padding

Batch = tuple[Ids, NDArray[np.float32]]


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
    """

    split: Split
    batch_size: int
    seed: int | None = None
    bucketing: bool = True
    side: Literal["pre", "post"] = "post"
    fixed_length: int | None = None
    multiple: int = 1

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
        )

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.split) // self.batch_size)

    def order(self, epoch: int) -> list[NDArray[np.int64]]:
        """Return the batches of `epoch` as indices into the split."""
        count, size = len(self.split), self.batch_size
        if self.seed is None:
            index = np.argsort(self.split.lengths, kind="stable") if self.bucketing else np.arange(count)
            return [index[start : start + size] for start in range(0, count, size)]
        rng = np.random.default_rng([self.seed, epoch])
        index = rng.permutation(count)
        if self.bucketing:
            window = size * WINDOW_BATCHES
            for start in range(0, count, window):
                part = index[start : start + window]
                part[:] = part[np.argsort(self.split.lengths[part], kind="stable")]
        batches = [index[start : start + size] for start in range(0, count, size)]
        return [batches[place] for place in rng.permutation(len(batches))] if self.bucketing else batches

    def padded_length(self, index: NDArray[np.int64]) -> int:
        """Return the number of time steps of the batch of these reviews."""
        if self.fixed_length is not None:
            return self.fixed_length
        longest = max(int(self.split.lengths[index].max()), 1)
        return -(-longest // self.multiple) * self.multiple

    def batch(self, index: NDArray[np.int64]) -> Batch:
        """Return ids, int32 (batch, time), and labels, float32 (batch, 1), of the reviews at `index`."""
        ids = self.split.padded(index, self.padded_length(index), self.side)
        return ids, self.split.labels[index].astype(np.float32)[:, None]

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        return map(self.batch, self.order(epoch))
