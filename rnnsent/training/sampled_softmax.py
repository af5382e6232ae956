"""The loss of a language model: sampled softmax over the next word and the one before."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers, ops

from rnnsent.data.tokenizer import PAD, UNKNOWN

_NEVER = -1e9


class SampledSoftmax(layers.Layer):  # type: ignore[misc]
    """States of a recurrent layer and the ids that it read → mean cross-entropy in nats, float32 (batch, 1).

    The forward half of the states predicts the next word, the backward half the previous one. Input and output share
    one embedding. The sum of the softmax over all words is estimated from a sample that is drawn once a batch, frequent
    words more often.

    Sources: Y. Bengio and J.-S. Senécal, "Adaptive importance sampling to accelerate training of a neural probabilistic
    language model", IEEE Transactions on Neural Networks 2008 (the sample, of a fixed distribution here); O. Press and
    L. Wolf, "Using the output embedding to improve language models", EACL 2017 (one table).

    Args:
        table: the variable of the embedding, (rows, features); ids are ranks of frequency, see `vocabulary`.
        directions: 2 where the layer reads backward as well.
        samples: size of the sample.
        seed: of the sample.
    """

    def __init__(self, table: Any, directions: int, samples: int, seed: int) -> None:
        super().__init__(name="sampled_softmax", dtype="float32")
        self._table = table
        self._directions, self._samples = directions, samples
        self._seeds = keras.random.SeedGenerator(seed)
        self.supports_masking = True  # it looks for padding itself

    def build(self, shapes: Any) -> None:
        """Make the projections of states to word vectors, and a bias for each word."""
        (_, _, features), _ = shapes
        rows, width = self._table.shape
        self._ranks = rows - UNKNOWN
        self._projections = [
            self.add_weight(shape=(features // self._directions, width), name=f"projection_{number}")
            for number in range(self._directions)
        ]
        self._bias = self.add_weight(shape=(rows,), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Return the mean over all words of the batch that have a neighbour, the same for each text."""
        states, ids = inputs
        states = ops.cast(states, "float32")
        neighbours = ops.cast((ids[:, 1:] != PAD) & (ids[:, :-1] != PAD), "float32")
        sample = self._sample()
        width = states.shape[-1] // self._directions
        loss = self._cross_entropy(states[:, :-1, :width], 0, ids[:, 1:], sample)
        if self._directions == 2:
            loss = (loss + self._cross_entropy(states[:, 1:, width:], 1, ids[:, :-1], sample)) / 2
        mean = ops.sum(loss * neighbours) / ops.maximum(ops.sum(neighbours), 1.0)
        return ops.broadcast_to(mean, (ops.shape(ids)[0], 1))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Return that nothing of what comes out is padding."""

    def compute_output_shape(self, shapes: Any) -> tuple[int | None, int]:
        """Return (batch, 1)."""
        return (shapes[1][0], 1)

    def _cross_entropy(self, states: Any, direction: int, words: Any, sample: Any) -> Any:
        """Return -log p of `words`, (batch, time), among themselves and the `sample` ones, (samples,)."""
        table = ops.convert_to_tensor(self._table)
        predicted = ops.matmul(states, self._projections[direction])
        right = ops.sum(predicted * ops.take(table, words, axis=0), axis=-1) + ops.take(self._bias, words)
        others = ops.matmul(predicted, ops.transpose(ops.take(table, sample, axis=0)))
        # Each stands for as many words as it takes until it is drawn: the sum is then, on average, that over all words.
        others = others + (ops.take(self._bias, sample) - self._log_expected_count(sample))
        others = ops.where(ops.equal(ops.expand_dims(words, -1), sample), _NEVER, others)
        return ops.logaddexp(right, ops.logsumexp(others, axis=-1)) - right

    def _sample(self) -> Any:
        """Return ids, int32 (samples,), the word of rank r with a probability near 1 / r."""
        uniform = keras.random.uniform((self._samples,), seed=self._seeds)
        ranks = ops.cast(ops.exp(uniform * math.log(self._ranks + 1.0)), "int32") - 1
        return ops.clip(ranks, 0, self._ranks - 1) + UNKNOWN

    def _log_expected_count(self, ids: Any) -> Any:
        """Return the logarithm of how often each id is expected in the sample."""
        rank = ops.cast(ops.maximum(ids - UNKNOWN, 0), "float32")
        probability = ops.log1p(1.0 / (rank + 1.0)) / math.log(self._ranks + 1.0)
        return ops.log(self._samples * probability)
