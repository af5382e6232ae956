"""Networks for tests of traces: what they answer is known without computing it the way rnnsent does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.loader import parse_config
from rnnsent.config.sections import Config
from rnnsent.data.batching import Batches
from rnnsent.inference.classifier import Classifier, Encoded
from rnnsent.inference.predictor import Predictor
from rnnsent.models.network import Network
from rnnsent.models.weights import Weights, weight_shapes

Ids = NDArray[np.int32]
PLAIN = parse_config("model: {recurrent: [{cell: gru}]}\n", "test")
WORDS = ("the", "good", "bad", "film", "great", "dull")  # with the ids from 4 on; 2 is any other word


def _nothing(batches: Batches, vectors: NDArray[np.float32] | None) -> NDArray[np.float32]:
    return np.empty(0, np.float32)


class Answering(Classifier):
    """A network that answers by a function of ids, and keeps the lengths of what it was asked."""

    def __init__(
        self,
        answer: Callable[[Ids], Sequence[float]],
        label_names: tuple[str, ...] = ("negative", "positive"),
        config: Config = PLAIN,
        weights: Weights | None = None,
        maxlen: int | None = None,
    ) -> None:
        self.predictor = Predictor("fake", "", config, _nothing, weights=weights or {})
        self.answer, self.names, self.maxlen = answer, label_names, maxlen
        self.asked: list[list[int]] = []

    @property
    def label_names(self) -> tuple[str, ...]:
        return self.names

    def with_weights(self, weights: Weights) -> Answering:
        return Answering(self.answer, self.names, self.config, weights)

    def encode(self, text: str) -> Encoded:
        """Split at spaces; with `maxlen` the beginning is cut off, start token first. Words of digits are ignored."""
        every = text.split()
        words = [word for word in every if not word.isdigit()]
        ids = [1, *(4 + WORDS.index(word) if word in WORDS else 2 for word in words)]
        kept = ids if self.maxlen is None else ids[-self.maxlen :]
        read = words[len(words) - min(len(words), len(kept)) :]
        known = tuple(id_ != 2 for id_ in kept[len(kept) - len(read) :])
        ignored = tuple(word for word in dict.fromkeys(every) if word.isdigit())
        return Encoded(np.array(kept, np.int32), tuple(read), known, len(words) - len(read), ignored)

    def probabilities(self, sequences: Sequence[Ids], others: Sequence[str] = ()) -> NDArray[np.float32]:
        """Return what the function answers to each."""
        self.asked.append([len(sequence) for sequence in sequences])
        assert all(len(sequence) for sequence in sequences)
        return np.array([self.answer(sequence) for sequence in sequences], np.float32)


def sigmoid(logit: float) -> tuple[float, float]:
    """Return the probabilities of labels 0 and 1."""
    return 1 / (1 + np.exp(logit)), 1 / (1 + np.exp(-logit))


def additive(values: Mapping[str, float], bias: float = 0.0, **options: Any) -> Answering:
    """Return a network whose log-odds of label 1 are a sum over the words; unknown ones count as "?"."""

    def answer(ids: Ids) -> tuple[float, float]:
        words = [WORDS[id_ - 4] if id_ >= 4 else "?" for id_ in ids if id_ != 1]
        return sigmoid(bias + sum(values.get(word, 0.0) for word in words))

    return Answering(answer, **options)


def scripted(probabilities: Sequence[float]) -> Answering:
    """Return a network that answers by the number of words alone: the probability of label 1 after 0, 1, … words."""
    return Answering(lambda ids: (1 - probabilities[len(ids) - 1], probabilities[len(ids) - 1]))


def random_network(model: str, data: str = "", *, labels: int = 2, seed: int = 0) -> Answering:
    """Return a real network with random weights, of ten ids, computed by the NumPy reference."""
    names = [f"label{index}" for index in range(labels)]
    named = f", source: texts, path: texts.csv, labels: [{', '.join(names)}]" if labels > 2 else ""
    text = f"data: {{maxlen: 12{data}{named}}}\nmodel: {{embedding_dim: 5, {model}}}\n"
    config = parse_config(text, "test")
    rng = np.random.default_rng(seed)
    shapes = weight_shapes(config, 4 + len(WORDS))
    weights = {name: rng.normal(0, 0.8, shape).astype(np.float32) for name, shape in shapes.items()}
    network = Network(config, weights, native=False)
    length = 12 if config.data.padding == "notebook" else 0

    def answer(ids: Ids) -> Sequence[float]:
        found = network.probabilities(np.pad(ids, (max(length - len(ids), 0), 0))[None])[0]
        return found.tolist() if labels > 2 else [1 - float(found), float(found)]

    return Answering(answer, config.data.label_names, config, weights)
