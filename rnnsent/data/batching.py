"""Batches of texts of similar length, in an order that only seed and epoch decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import Config
from rnnsent.data.dataset import Ids, Split

WINDOW_BATCHES = 50  # batches within which texts are sorted by length: random enough, and little padding

Inputs = tuple[Ids] | tuple[Ids, NDArray[np.float32]]  # ids, and channels if the split has any
Batch = tuple[Inputs, NDArray[np.float32]]


@dataclass(frozen=True)
class Batches:
    """A split, cut into batches again for each epoch.

    Order and noise are pure functions of (seed, epoch) and the batch, so any epoch can be entered at any batch.
    """

    split: Split
    batch_size: int  # the last batch of an epoch may have fewer texts
    seed: int | None = None  # None keeps the order of the split (evaluation); a number shuffles (training)
    bucketing: bool = True  # batch texts of similar length
    fixed_length: int | None = None  # pad before the words to this length, as the notebook; None: after, to the longest
    multiple: int = 1  # of the padded length, so that a compiler sees few shapes
    batch_tokens: int | None = None  # maximum of ids in a batch, padding included, except of one long text
    labels: int = 2  # how many there are; decides the shape of the targets
    label_smoothing: float = 0.0  # share of each target that is spread evenly over all labels

    @classmethod
    def from_config(cls, split: Split, config: Config, *, shuffle: bool, multiple: int = 1) -> Batches:
        """Make the batches that `config` asks for: shuffled for training, or in the cheapest order for evaluation."""
        data, training = config.data, config.training
        notebook = data.padding == "notebook"
        return cls(
            split,
            training.batch_size,
            seed=training.seed if shuffle else None,
            bucketing=not notebook,
            fixed_length=data.maxlen if notebook else None,
            multiple=multiple,
            batch_tokens=training.batch_tokens,
            labels=len(data.label_names),
            label_smoothing=training.label_smoothing if shuffle else 0.0,
        )

    def __len__(self) -> int:
        """Return the number of batches, which every epoch has."""
        return len(self._cuts)

    @property
    def outputs(self) -> int:
        """The width of the targets: of two labels one probability is enough."""
        return self.labels if self.split.labels.ndim == 2 or self.labels > 2 else 1

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
        """Return what each text counts in the budget: at least its padded length.

        With bucketing, lengths are rounded up to one of at most eight for each doubling, so that every epoch cuts the
        same sequence of rounded lengths into as many batches.
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
        """Return the number of time steps of the batch of these texts."""
        if self.fixed_length is not None:
            return self.fixed_length
        longest = max(int(self.split.lengths[index].max()), 1)
        return -(-longest // self.multiple) * self.multiple

    def batch(self, index: NDArray[np.int64]) -> Batch:
        """Return inputs and targets of the texts at `index`.

        Returns:
            Ids, int32 (batch, time), and channels, float32 (batch, time, width), if the split has any; the probability
            of label 1, float32 (batch, 1), or of each of three labels or more.
        """
        length = self.padded_length(index)
        side: Literal["pre", "post"] = "post" if self.fixed_length is None else "pre"
        ids = self.split.padded(index, length, side)
        channels = None if self.split.channels is None else self.split.padded_channels(index, length, side)
        targets = self.split.label_probabilities(index, self.labels)
        if self.label_smoothing:
            sides = 2 if self.split.labels.ndim == 2 else self.labels  # one of several labels is there or not
            targets = (1 - self.label_smoothing) * targets + np.float32(self.label_smoothing / sides)
        return ((ids,) if channels is None else (ids, channels)), targets

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        return (self.batch(index) for index in self.order(epoch))
