"""The linear part of a model: logistic regression on n-grams of words and of characters, weighted by naive Bayes.

It reads what a recurrent network cannot learn from few texts: rare pairs of words, and, through the characters, words
that training never saw, inflected or mistyped. Prediction needs NumPy alone.

Sources: S. Wang and C. Manning, ACL 2012, for the weights; each text is scaled to length 1, as in TF-IDF. Character
n-grams within words as in P. Bojanowski et al., "Enriching word vectors with subword information", TACL 2017.
"""

from __future__ import annotations

import hashlib
import json
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import LinearConfig
from rnnsent.data.cache import Arrays, cached_arrays
from rnnsent.data.dataset import Split
from rnnsent.data.tokenizer import FIRST_WORD
from rnnsent.models.ngram_weights import (
    CHUNK,
    Floats,
    Keys,
    Places,
    ending_keys,
    log_count_ratios,
    logistic_regression,
    once,
    places_of,
    sides,
)

STRENGTHS = (0.3, 1.0, 3.0, 10.0)  # scikit-learn's C, if none is given: the one with the lowest validation loss
MIN_PROBABILITY = 1e-6


@dataclass(frozen=True)
class Block:
    """N-grams of one kind, and what they weigh for each side, see `sides`."""

    keys: Keys  # (n-grams,), ascending
    ratios: Floats  # (n-grams, sides), log-count ratios, in which a text has length 1
    weights: Floats  # (n-grams, sides), what an n-gram adds to the log-odds of a text before it is scaled

    def scores(self, keys: Keys, texts: Places, size: int) -> NDArray[np.float64]:
        """Return what the n-grams add to the log-odds of `size` texts, (size, sides)."""
        places, present = places_of(self.keys, keys)
        places, texts = places[present], texts[present]
        scores = np.zeros((size, self.weights.shape[1]))
        for side, (weights, ratios) in enumerate(zip(self.weights.T, self.ratios.T, strict=True)):
            squares = np.bincount(texts, ratios[places].astype(np.float64) ** 2, size)
            scores[:, side] = np.bincount(texts, weights[places], size) / np.sqrt(np.where(squares > 0, squares, 1))
        return scores


@dataclass(frozen=True)
class LinearModel:
    """A fitted logistic regression; of three labels or more one for each."""

    config: LinearConfig  # with the strength that was chosen
    blocks: tuple[Block, ...]  # of words, and of characters if the config has them
    bias: Floats  # (sides,)
    weight: float = 1.0  # of its log-odds beside those of the network

    @property
    def size(self) -> int:
        """The number of n-grams."""
        return sum(len(block.keys) for block in self.blocks)

    def probabilities(self, texts: Split) -> Floats:
        """Return the probability of label 1, (texts,); of three labels or more that of each, (texts, labels)."""
        chunks = [self._chunk(texts.take(slice(start, start + CHUNK))) for start in range(0, len(texts), CHUNK)]
        scores = np.concatenate([np.empty((0, len(self.bias))), *chunks])
        odds = 1 / (1 + np.exp(-scores))
        return np.asarray(odds[:, 0] if odds.shape[1] == 1 else odds / odds.sum(axis=1, keepdims=True), np.float32)

    def _chunk(self, texts: Split) -> NDArray[np.float64]:
        scores = np.tile(self.bias.astype(np.float64), (len(texts), 1))
        for block, ngrams in zip(self.blocks, _ngrams(texts, self.config), strict=True):
            scores += block.scores(*ngrams, len(texts))
        return scores

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all numbers as arrays by name, for a file."""
        arrays: dict[str, NDArray[Any]] = {"bias": self.bias, "weight": np.array(self.weight)}
        for number, block in enumerate(self.blocks):
            arrays |= {f"{name}_{number}": getattr(block, name) for name in ("keys", "ratios", "weights")}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], config: LinearConfig) -> LinearModel:
        """Return the model whose `to_arrays` gave `arrays`."""
        numbers = range(1 if config.characters is None else 2)
        blocks = (Block(*(arrays[f"{name}_{number}"] for name in ("keys", "ratios", "weights"))) for number in numbers)
        return cls(config, tuple(blocks), arrays["bias"], float(arrays["weight"]))


def blend(network: Floats, linear: Floats, weight: float) -> Floats:
    """Return the weighted mean of log-probabilities, as probabilities again.

    Args:
        network, linear: probabilities of label 1, (texts,), or of each label, (texts, labels).
        weight: of `linear`, 0 … 1.
    """
    logs = [np.log(np.clip(part, MIN_PROBABILITY, 1).astype(np.float64)) for part in (network, linear)]
    mixed = (1 - weight) * logs[0] + weight * logs[1]
    if network.ndim == 2:
        powers = np.exp(mixed - mixed.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
    others = [np.log(np.clip(1 - part, MIN_PROBABILITY, 1).astype(np.float64)) for part in (network, linear)]
    return np.asarray(1 / (1 + np.exp((1 - weight) * others[0] + weight * others[1] - mixed)), np.float32)


def _ngrams(texts: Split, config: LinearConfig) -> Iterator[tuple[Keys, Places]]:
    """Yield the n-grams of words, then those of characters: each that a text holds, once, and the text."""
    places = np.repeat(np.arange(len(texts)), texts.lengths)
    # No n-gram of one order has the number of one of another: all ids are above 0.
    ends = [ending_keys(texts, order) for order in range(1, config.orders + 1)]
    yield once(np.concatenate(ends), np.tile(places, config.orders))
    if config.characters is not None:
        yield _characters(texts, places, config.characters)


def _characters(texts: Split, places: Places, lengths: tuple[int, ...]) -> tuple[Keys, Places]:
    """Return the n-grams of characters of every word that is spelled, also of words that are unknown as such."""
    words = texts.words or ()
    ids = np.asarray(texts.tokens)[texts.positions()].astype(np.int64) - FIRST_WORD
    spelled = (ids >= 0) & (ids < len(words))
    ids, places = once(ids[spelled], places[spelled])
    known, inverse = np.unique(ids, return_inverse=True)
    ngrams = [character_keys(words[id_], *lengths) for id_ in known.tolist()]
    sizes = np.array([len(keys) for keys in ngrams], np.int64)
    starts = np.cumsum(sizes) - sizes
    numbers = sizes[inverse]
    within = np.arange(numbers.sum()) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    flat = np.concatenate([np.empty(0, np.int64), *ngrams])
    return once(flat[np.repeat(starts[inverse], numbers) + within], np.repeat(places, numbers))


@lru_cache(1 << 17)
def character_keys(word: str, shortest: int, longest: int) -> Keys:
    """Return a number below 2**32 for each n-gram of characters of a word between two spaces, (n-grams,), each once."""
    spaced = f" {word} "
    ngrams = {
        spaced[start : start + length]
        for length in range(shortest, longest + 1)
        for start in range(len(spaced) - length + 1)
    }
    return np.array(sorted(zlib.crc32(ngram.encode("utf-8", "surrogatepass")) for ngram in ngrams), np.int64)


def fit_linear(train: Split, validation: Split, labels: int, config: LinearConfig) -> LinearModel:
    """Fit a model on `train`; without `config.strength` that of the lowest loss on `validation` is chosen.

    Raises:
        RnnsentError: if scikit-learn is not installed.
    """
    if config.strength is not None:
        return _fit(train, labels, config)(config.strength)
    if not len(validation):
        return _fit(train, labels, config)(1.0)
    fit, real = _fit(train, labels, config), validation.labels
    models = [fit(strength) for strength in STRENGTHS]
    return min(models, key=lambda model: _loss(model.probabilities(validation), real))


def _loss(probabilities: Floats, labels: NDArray[np.int64]) -> float:
    if probabilities.ndim == 1:
        probabilities = np.stack([1 - probabilities, probabilities], axis=1)
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], MIN_PROBABILITY)).mean())


def _fit(train: Split, labels: int, config: LinearConfig) -> Callable[[float], LinearModel]:
    """Return a function that fits a model of a given strength; what all have in common is computed once."""
    from scipy import sparse

    found: list[list[tuple[Keys, Places]]] = []
    for start in range(0, len(train), CHUNK):
        part = train.take(slice(start, start + CHUNK))
        found.append([(keys, texts + start) for keys, texts in _ngrams(part, config)])
    matrices, keys_of = [], []
    for ngrams in zip(*found, strict=True):
        keys, texts = (np.concatenate(parts) for parts in zip(*ngrams, strict=True))
        distinct, counts = np.unique(keys, return_counts=True)
        distinct = distinct[counts >= config.min_texts]
        places, present = places_of(distinct, keys)
        ones = np.ones(int(present.sum()), np.float32)
        shape = (len(train), len(distinct))
        matrices.append(sparse.csr_matrix((ones, (texts[present], places[present])), shape=shape))
        keys_of.append(distinct)
    targets = [train.labels == label for label in sides(labels)]
    ratios = [np.stack([log_count_ratios(matrix, target) for target in targets], axis=1) for matrix in matrices]
    inputs = []
    for side in range(len(targets)):
        parts = []
        for matrix, ratio in zip(matrices, ratios, strict=True):
            weighted = matrix @ sparse.diags(ratio[:, side])
            norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
            parts.append(sparse.diags(1 / np.where(norms > 0, norms, 1)) @ weighted)
        inputs.append(sparse.hstack(parts).tocsr())

    def fit(strength: float) -> LinearModel:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of scikit-learn, about what it will do in other versions
            models = [logistic_regression(strength).fit(*pair) for pair in zip(inputs, targets, strict=True)]
        coefficients = np.stack([model.coef_[0] for model in models], axis=1)
        ends = np.cumsum([len(keys) for keys in keys_of])[:-1]
        blocks = (
            Block(keys, ratio, (coefficient * ratio).astype(np.float32))
            for keys, ratio, coefficient in zip(keys_of, ratios, np.split(coefficients, ends), strict=True)
        )
        bias = np.array([model.intercept_[0] for model in models], np.float32)
        return LinearModel(replace(config, strength=strength), tuple(blocks), bias)

    return fit


def cached_linear(train: Split, validation: Split, labels: int, config: LinearConfig) -> LinearModel:
    """Return what `fit_linear` gives, fitted once for the same texts; errors as there."""
    digest = hashlib.sha256(json.dumps([labels, config.to_dict(), train.words]).encode())
    for part in (train, validation):
        for array in (np.asarray(part.tokens)[part.positions()], part.flat(), part.lengths, part.labels):
            digest.update(np.ascontiguousarray(array).data)

    def build() -> Arrays:
        model = fit_linear(train, validation, labels, config)
        return {**model.to_arrays(), "strength": np.array(model.config.strength)}

    arrays = cached_arrays(f"linear-1-{digest.hexdigest()[:32]}", build)
    return LinearModel.from_arrays(arrays, replace(config, strength=float(arrays["strength"])))
