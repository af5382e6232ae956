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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
    character_keys,
    ending_keys,
    log_count_ratios,
    logistic_regression,
    once,
    places_of,
)

STRENGTHS = (0.3, 1.0, 3.0, 10.0)  # scikit-learn's C, if none is given: the one with the lowest validation loss
CLIP = 1e-7  # float32 probabilities have no digits nearer to 0 and 1


@dataclass(frozen=True)
class Block:
    """N-grams of one kind, and what they weigh for each side, see `Split.members`."""

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
    """A fitted logistic regression; of three labels or more, or several a text, one for each."""

    config: LinearConfig  # with the strength that was chosen
    blocks: tuple[Block, ...]  # of words, and of characters if the config has them
    bias: Floats  # (sides,)
    weight: float = 1.0  # of its log-odds beside those of the network
    independent: bool = False  # whether a text may have several labels, so that probabilities do not add up to 1

    @property
    def size(self) -> int:
        """The number of n-grams."""
        return sum(len(block.keys) for block in self.blocks)

    def probabilities(self, texts: Split) -> Floats:
        """Return the probability of label 1, (texts,); with more sides that of each label, (texts, labels)."""
        chunks = [self._chunk(texts.take(slice(start, start + CHUNK))) for start in range(0, len(texts), CHUNK)]
        scores = np.concatenate([np.empty((0, len(self.bias))), *chunks])
        odds = 1 / (1 + np.exp(-scores))
        if odds.shape[1] == 1:
            return np.asarray(odds[:, 0], np.float32)
        return np.asarray(odds if self.independent else odds / odds.sum(axis=1, keepdims=True), np.float32)

    def _chunk(self, texts: Split) -> NDArray[np.float64]:
        scores = np.tile(self.bias.astype(np.float64), (len(texts), 1))
        for block, ngrams in zip(self.blocks, _ngrams(texts, self.config), strict=True):
            scores += block.scores(*ngrams, len(texts))
        return scores

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all numbers as arrays by name, for a file."""
        arrays: dict[str, NDArray[Any]] = {"bias": self.bias, "weight": np.array(self.weight)}
        arrays |= {"independent": np.array(True)} if self.independent else {}
        for number, block in enumerate(self.blocks):
            arrays |= {f"{name}_{number}": getattr(block, name) for name in ("keys", "ratios", "weights")}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], config: LinearConfig) -> LinearModel:
        """Return the model whose `to_arrays` gave `arrays`."""
        numbers = range(1 if config.characters is None else 2)
        blocks = (Block(*(arrays[f"{name}_{number}"] for name in ("keys", "ratios", "weights"))) for number in numbers)
        return cls(config, tuple(blocks), arrays["bias"], float(arrays["weight"]), "independent" in arrays)


def blend(network: Floats, linear: Floats, weight: float, independent: bool = False) -> Floats:
    """Return the weighted mean of log-probabilities, as probabilities again.

    Args:
        network, linear: probabilities of label 1, (texts,), or of each label, (texts, labels).
        weight: of `linear`, 0 … 1.
        independent: whether a text may have several labels.
    """
    logs = [np.log(np.clip(part, CLIP, 1).astype(np.float64)) for part in (network, linear)]
    mixed = (1 - weight) * logs[0] + weight * logs[1]
    if network.ndim == 2 and not independent:
        powers = np.exp(mixed - mixed.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
    others = [np.log(np.clip(1 - part, CLIP, 1).astype(np.float64)) for part in (network, linear)]
    return np.asarray(1 / (1 + np.exp((1 - weight) * others[0] + weight * others[1] - mixed)), np.float32)


def log_loss(labels: NDArray[np.int64], probabilities: NDArray[np.floating[Any]]) -> float:
    """Return the mean of -ln(probability of the real label)."""
    values = np.clip(probabilities.astype(np.float64), CLIP, 1 - CLIP)
    if labels.shape == values.shape:  # of label 1 alone, or of several labels a text
        real = np.where(labels == 1, values, 1 - values)
    else:
        real = values[np.arange(len(labels)), labels]
    return float(-np.log(real).mean())


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


def fit_linear(
    texts: Split, held_out: Sequence[NDArray[np.int64]], labels: int, config: LinearConfig
) -> tuple[LinearModel, Floats]:
    """Fit a model on all texts, and predict some of them by models that were fitted on the others.

    Args:
        texts: to fit on, with all their words.
        held_out: rows of `texts` that are predicted; those of one array by one model, fitted on all other rows.
        labels: number of labels.
        config: without `strength`, that of the lowest loss on the first of `held_out` is chosen.

    Returns:
        The model, and the probabilities of the rows that were held out, in their order.

    Raises:
        RnnsentError: if scikit-learn is not installed.
    """
    fit = _fit(texts, labels, config)
    strengths = STRENGTHS if config.strength is None and held_out else (config.strength or 1.0,)
    predictions: list[Floats] = []
    for rows in held_out:
        others = np.setdiff1d(np.arange(len(texts)), rows)
        part = texts.take(rows)
        candidates = {strength: model.probabilities(part) for strength, model in fit(others, strengths).items()}
        best = min(candidates, key=lambda strength: log_loss(part.labels, candidates[strength]))
        predictions.append(candidates[best])
        strengths = (best,)
    [model] = fit(np.arange(len(texts)), strengths).values()
    shape = (0,) if len(model.bias) == 1 else (0, labels)
    return model, np.concatenate([np.empty(shape, np.float32), *predictions])


Fit = Callable[[NDArray[np.int64], Sequence[float]], dict[float, LinearModel]]  # rows, strengths → a model of each


def _fit(texts: Split, labels: int, config: LinearConfig) -> Fit:
    """Return a function that fits models on some rows of `texts`; what all have in common is computed once."""
    from scipy import sparse

    found: list[list[tuple[Keys, Places]]] = []
    for start in range(0, len(texts), CHUNK):
        part = texts.take(slice(start, start + CHUNK))
        found.append([(keys, places + start) for keys, places in _ngrams(part, config)])
    whole: list[tuple[Keys, Any]] = []  # n-grams of each kind, and which of them each text holds
    for ngrams in zip(*found, strict=True):
        keys, places = (np.concatenate(parts) for parts in zip(*ngrams, strict=True))
        distinct, columns = np.unique(keys, return_inverse=True)
        ones, shape = np.ones(len(keys), np.float32), (len(texts), len(distinct))
        whole.append((distinct, sparse.csr_matrix((ones, (places, columns)), shape=shape)))

    def fit(rows: NDArray[np.int64], strengths: Sequence[float]) -> dict[float, LinearModel]:
        targets = [members[rows] for members in texts.members(labels)]
        parts = []
        for keys, matrix in whole:
            held = matrix[rows]
            kept = np.flatnonzero(np.bincount(held.indices, minlength=len(keys)) >= config.min_texts)
            held = held[:, kept]
            ratios = np.stack([log_count_ratios(held, target) for target in targets], axis=1)
            parts.append((keys[kept], held, ratios))
        inputs = [
            sparse.hstack([_scaled(held, ratios[:, side]) for _, held, ratios in parts]).tocsr()
            for side in range(len(targets))
        ]
        return {
            strength: replace(
                _regressed(parts, inputs, targets, replace(config, strength=strength)),
                independent=texts.labels.ndim == 2,
            )
            for strength in strengths
        }

    return fit


def _scaled(held: Any, ratios: Floats) -> Any:
    """Return sparse rows of ones weighted by `ratios` and scaled to length 1."""
    from scipy import sparse

    weighted = held @ sparse.diags(ratios)
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return sparse.diags(1 / np.where(norms > 0, norms, 1)) @ weighted


def _regressed(
    parts: Sequence[Any], inputs: Sequence[Any], targets: Sequence[Any], config: LinearConfig
) -> LinearModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn, about what it will do in other versions
        strength = config.strength or 1.0
        fits = [_weights(matrix, target, strength) for matrix, target in zip(inputs, targets, strict=True)]
    coefficients = np.stack([weights for weights, _ in fits], axis=1)
    ends = np.cumsum([len(keys) for keys, _, _ in parts])[:-1]
    blocks = (
        Block(keys, ratios, (coefficient * ratios).astype(np.float32))
        for (keys, _, ratios), coefficient in zip(parts, np.split(coefficients, ends), strict=True)
    )
    return LinearModel(config, tuple(blocks), np.array([bias for _, bias in fits], np.float32))


def _weights(matrix: Any, target: NDArray[np.bool_], strength: float) -> tuple[Floats, float]:
    """Return the weights of n-grams and the bias of a regression; if all texts or none are meant, the bias alone."""
    number = int(target.sum())
    if number in (0, len(target)):
        return np.zeros(matrix.shape[1], np.float32), float(np.log((number + 0.5) / (len(target) - number + 0.5)))
    model = logistic_regression(strength).fit(matrix, target)
    return model.coef_[0], float(model.intercept_[0])


def cached_linear(
    texts: Split, held_out: Sequence[NDArray[np.int64]], labels: int, config: LinearConfig
) -> tuple[LinearModel, Floats]:
    """Return what `fit_linear` gives, fitted once for the same texts; errors as there."""
    digest = hashlib.sha256(json.dumps([labels, config.to_dict(), texts.words]).encode())
    for array in (np.asarray(texts.tokens)[texts.positions()], texts.flat(), texts.lengths, texts.labels, *held_out):
        digest.update(np.ascontiguousarray(array).data)

    def build() -> Arrays:
        model, predictions = fit_linear(texts, held_out, labels, config)
        return {**model.to_arrays(), "strength": np.array(model.config.strength), "held_out": predictions}

    arrays = cached_arrays(f"linear-2-{digest.hexdigest()[:32]}", build)
    config = replace(config, strength=float(arrays["strength"]))
    return LinearModel.from_arrays(arrays, config), np.asarray(arrays["held_out"])
