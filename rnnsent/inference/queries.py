"""What tracing asks of a network: how it reads a text, and what it says of many beginnings or remainders of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rnnsent.config import Config
    from rnnsent.inference.calibration import Calibration

Ids = NDArray[np.int32]
Floats = NDArray[np.float64]

CHUNK_TOKENS = 2**18  # of the sequences that are held at a time


class Encoded(Protocol):
    """A text as a network reads it."""

    @property
    def ids(self) -> Ids:
        """Int32, of the words that are read; the start token first, unless the beginning of the text was cut off."""

    @property
    def words(self) -> Sequence[str]:
        """For each id after the start token the word as it stands in the text, known or not."""

    @property
    def known(self) -> Sequence[bool]:
        """For each word whether the network has a vector of its own for it."""

    @property
    def truncated(self) -> int:
        """How many words `data.maxlen` cut off."""

    @property
    def ignored(self) -> Sequence[str]:
        """Words that have no id at all and are passed over, each once."""


class TracedNetwork(Protocol):
    """What `trace` asks of a network."""

    @property
    def label_names(self) -> Sequence[str]:
        """Its labels, in the order of the columns of `probabilities`."""

    @property
    def config(self) -> Config:
        """The config of its run: says how it reads."""

    @property
    def weights(self) -> Mapping[str, NDArray[np.float32]]:
        """Its weights by name, as in weights.npz; only integrated gradients ask for them."""

    @property
    def calibration(self) -> Calibration:
        """That of its run, which `probabilities` have gone through."""

    def encode(self, text: str) -> Encoded:
        """Return what the network reads of a text."""

    def probabilities(self, sequences: Sequence[Ids]) -> NDArray[Any]:
        """Return the probability of each label for each sequence of ids, float (sequences, labels)."""


def prefixes(encoded: Encoded, empty: Ids) -> Iterator[Ids]:
    """Yield the ids of the first 0, 1, … words; of no word where the start token was cut off: an empty text's."""
    first = len(encoded.ids) - len(encoded.words)
    for number in range(len(encoded.words) + 1):
        yield encoded.ids[: first + number] if first + number else empty


def answers(network: TracedNetwork, sequences: Iterable[Ids]) -> Floats:
    """Return the probabilities of many sequences, float64 (sequences, labels), holding few of them at a time."""
    found: list[NDArray[Any]] = []
    chunk: list[Ids] = []
    longest = 0
    for sequence in sequences:
        longest = max(longest, len(sequence))
        if chunk and longest * (len(chunk) + 1) > CHUNK_TOKENS:
            found.append(network.probabilities(chunk))
            chunk, longest = [], len(sequence)
        chunk.append(sequence)
    found.append(network.probabilities(chunk))
    return np.concatenate(found).astype(np.float64)
