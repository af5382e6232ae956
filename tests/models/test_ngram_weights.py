"""N-gram weights as inputs of a network: counted on other reviews, the same everywhere, and worth something."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeClassifier

from rnnsent.cli.options import overrides
from rnnsent.config.loader import load_config
from rnnsent.config.sections import NgramsConfig
from rnnsent.data.dataset import Split
from rnnsent.inference.predictor import load_predictor
from rnnsent.models.builder import build_model
from rnnsent.models.ngram_weights import NgramWeights, out_of_fold
from rnnsent.models.weights import weights_of
from tests.conftest import rnnsent

CONFIG = """\
data: {source: sample, num_words: 300, maxlen: 40}
model:
  embedding_dim: 8
  ngrams: {orders: 3, folds: 5}
  recurrent: [{cell: gru, units: 8}]
training: {epochs: 1, batch_size: 64, learning_rate: 2e-2}
"""


def labeled(count: int, seed: int, labels: int = 2, *, shuffled: bool = False) -> Split:
    rng = np.random.default_rng(seed)
    found = rng.integers(0, labels, count)
    sequences = [[1, *rng.integers(20, 50, rng.integers(2, 12)).tolist(), 4 + int(label)] for label in found]
    return Split.from_sequences(sequences, rng.permutation(found) if shuffled else found)


def by_hand(
    train: Split, keys: list[tuple[int, ...]], least: int, sides: list[int]
) -> dict[tuple[int, ...], list[float]]:
    """Return the ratios of n-grams of one order, by plain counting."""
    order = len(keys[0])
    held = [
        {tuple(ids[at : at + order]) for at in range(len(ids) - order + 1)}
        for ids in (train.sequence(index).tolist() for index in range(len(train)))
    ]
    grams = {gram for each in held for gram in each}
    grams = {gram for gram in grams if sum(gram in each for each in held) >= least}
    found: dict[tuple[int, ...], list[float]] = {key: [] for key in keys}
    for side in sides:
        p = {g: 1 + sum(g in each for each, y in zip(held, train.labels, strict=True) if y == side) for g in grams}
        q = {g: 1 + sum(g in each for each, y in zip(held, train.labels, strict=True) if y != side) for g in grams}
        for key in found:
            here, there = p.get(key, 1), q.get(key, 1)
            found[key].append(float(np.log(here / sum(p.values())) - np.log(there / sum(q.values()))))
    return found


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_ratios_are_those_of_plain_counting(labels: int, order: int) -> None:
    train, other = labeled(60, 0, labels), labeled(10, 1, labels)
    ratios, _ = out_of_fold(train, labels, NgramsConfig(orders=3, folds=4, min_texts=2), 0)
    sides = 1 if labels == 2 else labels
    found = ratios.onto(other)
    assert found.channels is not None and found.channels.shape == (len(other.tokens), 3 * sides)
    for index in range(len(other)):
        ids, start = other.sequence(index).tolist(), int(other.starts[index])
        rows = found.channels[start : start + len(ids), (order - 1) * sides : order * sides]
        assert (rows[: order - 1] == 0).all()
        grams = [tuple(ids[at : at + order]) for at in range(len(ids) - order + 1)]
        expected = by_hand(train, grams, 2, [1] if labels == 2 else list(range(labels)))
        np.testing.assert_allclose(rows[order - 1 :], [expected[gram] for gram in grams], rtol=1e-5, atol=1e-6)


WEIGHTS: list[Any] = [["naive_bayes"], ["regression"], ["naive_bayes", "regression"]]


@pytest.mark.parametrize("weights", WEIGHTS, ids=" and ".join)
def test_a_training_review_never_counts_for_its_own_ratios(weights: Any) -> None:
    """The two reviews of a group exchange their labels, so that the folds, each with as many of a label, stay."""
    train = replace(labeled(40, 3), labels=np.arange(40) % 2, groups=np.arange(40) // 2)
    config = NgramsConfig(orders=2, folds=4, min_texts=1, weights=weights)
    exchanged = train.labels.copy()
    exchanged[6:8] = exchanged[6:8][::-1]
    one, other = (out_of_fold(replace(train, labels=each), 2, config, 0)[1] for each in (train.labels, exchanged))
    assert one.channels is not None and other.channels is not None
    own = slice(int(train.starts[6]), int(train.starts[8]))
    np.testing.assert_array_equal(one.channels[own], other.channels[own])
    assert (one.channels != other.channels).any()  # of the reviews in the other folds


@pytest.mark.parametrize("weights", WEIGHTS, ids=" and ".join)
def test_nor_does_another_review_of_its_group(weights: Any) -> None:
    """As nothing is known of the films of the test split when a network meets them."""
    films = np.arange(60) % 12
    train = Split.from_sequences([[1, 100 + int(film), 4 + index] for index, film in enumerate(films)], films % 2)
    config = NgramsConfig(orders=1, folds=4, min_texts=1, weights=weights)
    names = train.starts + 1  # where each review names its film, whose reviews have all the same label
    alone, together = (out_of_fold(split, 2, config, 0)[1] for split in (train, replace(train, groups=films)))
    assert alone.channels is not None and together.channels is not None
    assert (np.sign(alone.channels[names, 0]) == 2 * train.labels - 1).all()
    # What a word has that was never seen, since one label may be a little more frequent than the other in a fold.
    assert np.abs(together.channels[names, 0]).max() < 0.25 * np.abs(alone.channels[names, 0]).min()


def told(split: Split) -> float:
    """Return of what share of the reviews the sum of their ratios tells the label."""
    assert split.channels is not None
    ends = np.add.reduceat(split.channels.sum(axis=1), split.starts)
    return float(((ends > np.median(ends)) == split.labels).mean())


@pytest.mark.parametrize("weights", WEIGHTS[:2], ids=" and ".join)
def test_shuffled_labels_leave_nothing_in_the_sums(weights: Any) -> None:
    """What leaks would show: with its own label counted, the sum of a review's ratios tells that label."""
    train = labeled(600, 4, shuffled=True)
    ratios, channels = out_of_fold(train, 2, NgramsConfig(folds=10, min_texts=1, weights=weights), 0)
    assert told(ratios.onto(train)) > 0.9
    assert abs(told(channels) - 0.5) < 0.06


@pytest.mark.parametrize("weights", WEIGHTS, ids=" and ".join)
@pytest.mark.parametrize("groups", [None, 60], ids=["alone", "in groups"])
@pytest.mark.parametrize("folds", [10, 200])
def test_nor_does_what_a_fold_has_in_common(weights: Any, groups: int | None, folds: int) -> None:
    """Were a label rarer in a fold, the weights found outside of it would say so, of every review of that fold.

    A tree reads the mean of each channel, and what the first token has, which stands in every review. It may well be
    worse than chance: of folds with as many of each label, those that it learns from have fewer of the one it is asked.
    """
    rng = np.random.default_rng(4)
    labels = np.arange(600) % 2 if groups is None else np.repeat(np.arange(groups) % 2, 600 // groups)
    train = Split.from_sequences([[1, *rng.integers(20, 60, rng.integers(5, 40))] for _ in labels], labels)
    if groups is not None:
        train = replace(train, groups=np.repeat(np.arange(groups), 600 // groups))
    _, found = out_of_fold(train, 2, NgramsConfig(folds=folds, min_texts=1, weights=weights), 0)
    assert found.channels is not None
    means = np.add.reduceat(found.channels, found.starts) / found.lengths[:, None]
    tree = DecisionTreeClassifier(max_depth=5, random_state=0)
    told = cross_val_score(tree, np.concatenate([found.channels[found.starts], means], axis=1), labels, cv=5)
    assert told.mean() < 0.58


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("weights", WEIGHTS[:2], ids=" and ".join)
def test_a_copy_of_a_review_does_not_tell_its_label(weights: Any, grouped: bool) -> None:
    once = labeled(300, 4, shuffled=True)
    texts = [once.sequence(index) for index in range(len(once))]
    train = Split.from_sequences([*texts, *texts], np.concatenate([once.labels, once.labels]))
    if grouped:  # the copies belong to others
        train = replace(train, groups=np.arange(len(train)))
    _, channels = out_of_fold(train, 2, NgramsConfig(folds=10, min_texts=1, weights=weights), 0)
    assert abs(told(channels) - 0.5) < 0.08


@pytest.mark.parametrize("weights", WEIGHTS, ids=" and ".join)
@pytest.mark.parametrize("labels", [[0, 1] * 20 + [2], [0] * 20 + [1] * 20], ids=["rare", "a group each"])
def test_a_label_that_some_folds_know_nothing_of_tells_nothing_there(weights: Any, labels: list[int]) -> None:
    sequences = [[1, 10 + label, 20 + index % 3] for index, label in enumerate(labels)]
    train = Split.from_sequences(sequences, labels)
    if len(set(labels)) == 2:
        train = replace(train, groups=np.array(labels))
    for least in (1, 500):  # no n-gram is so frequent
        config = NgramsConfig(orders=2, folds=4, min_texts=least, weights=weights)
        ratios, found = out_of_fold(train, len(set(labels)), config, 0)
        assert found.channels is not None and np.isfinite(found.channels).all()
        whole = ratios.onto(train).channels
        assert whole is not None and bool(np.ptp(whole)) == (least == 1)


@pytest.mark.parametrize("labels", [2, 3])
def test_regression_gives_each_ngram_what_it_adds_in_a_logistic_regression(labels: int) -> None:
    train, other = labeled(80, 0, labels), labeled(10, 1, labels)
    config = NgramsConfig(orders=2, folds=4, min_texts=1, weights=("regression",))
    found = out_of_fold(train, labels, config, 0)[0].onto(other)
    assert found.channels is not None
    grams = sorted({tuple(ids[at : at + order]) for ids in map(train.sequence, range(80))
                    for ids in [ids.tolist()] for order in (1, 2) for at in range(len(ids) - order + 1)})  # fmt: skip
    held = np.array([[_stands(gram, train.sequence(index).tolist()) for gram in grams] for index in range(80)])
    for column, side in enumerate([1] if labels == 2 else list(range(labels))):
        positive = train.labels == side
        p, q = 1 + held[positive].sum(axis=0), 1 + held[~positive].sum(axis=0)
        ratio = np.log(p / p.sum()) - np.log(q / q.sum())
        expected = dict(zip(grams, 5 * ratio * _regressed(held * ratio, positive, 0.3), strict=True))
        for index in range(len(other)):
            ids, start = other.sequence(index).tolist(), int(other.starts[index])
            for order in (1, 2):
                wide = 1 if labels == 2 else labels
                for at in range(order - 1, len(ids)):
                    gram = tuple(ids[at - order + 1 : at + 1])
                    value = found.channels[start + at, (order - 1) * wide + column]
                    assert value == pytest.approx(expected.get(gram, 0.0), abs=0.01)


def _regressed(inputs: Any, positive: Any, strength: float) -> Any:
    """Return the weights at the minimum of what liblinear minimizes: its intercept is held down like a weight."""
    from scipy.optimize import minimize

    inputs, sign = np.hstack([inputs, np.ones((len(inputs), 1))]), np.where(positive, 1, -1)

    def loss(weights: Any) -> tuple[float, Any]:
        margin = sign * (inputs @ weights)
        value = 0.5 * weights @ weights + strength * np.logaddexp(0, -margin).sum()
        return value, weights - strength * inputs.T @ (sign / (1 + np.exp(margin)))

    return minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B", options={"ftol": 1e-14}).x[:-1]


def _stands(gram: tuple[int, ...], ids: list[int]) -> bool:
    return any(tuple(ids[at : at + len(gram)]) == gram for at in range(len(ids) - len(gram) + 1))


@settings(derandomize=True, deadline=None)
@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=9), min_size=1, max_size=6), st.integers(0, 20))
def test_channels_are_padded_as_their_words_are(sequences: list[list[int]], more: int) -> None:
    split = Split.from_sequences(sequences, [0] * len(sequences))
    ratios, _ = out_of_fold(labeled(30, 0), 2, NgramsConfig(folds=2), 0)
    split = ratios.onto(split)
    length = int(split.lengths.max()) + more
    index = np.arange(len(split))
    for side in ("pre", "post"):
        ids = split.padded(index, length, side)
        channels = split.padded_channels(index, length, side)
        assert channels.shape == (len(split), length, 3)
        assert (channels[ids == 0] == 0).all()
        assert split.channels is not None
        np.testing.assert_array_equal(channels[ids != 0], split.channels)


@pytest.mark.parametrize("pooling", ["last", "mean", "mean_max", "attention"])
@pytest.mark.parametrize("labels", [2, 3])
def test_all_backends_give_the_same_answers(pooling: str, labels: int) -> None:
    names = json.dumps(["a", "b", "c"][:labels])
    given_settings = ["model.ngrams.weights=[naive_bayes, regression]", "model.embedding_dropout=0.5"]
    given_settings += ["model.dropout=0.5", "model.dense=[{units: 5}]"]
    given_settings += [f"model.pooling={pooling}", "data.source=texts", "data.path=x.csv", f"data.labels={names}"]
    Path("c.yaml").write_text(CONFIG)
    config = load_config("c.yaml", overrides(given_settings))
    ratios, _ = out_of_fold(labeled(60, 0, labels), labels, config.model.ngrams or NgramsConfig(), 0)
    weights = weights_of(build_model(config, 60, seed=1))
    reviews = labeled(30, 2, labels)
    native, numpy, keras = (
        load_predictor(config, weights, ratios, backend=backend)(reviews) for backend in ("native", "numpy", "keras")
    )
    np.testing.assert_allclose(native, numpy, rtol=0, atol=1e-5)
    np.testing.assert_allclose(keras, numpy, rtol=0, atol=1e-5)


def test_a_run_keeps_its_ngram_weights_and_uses_them_everywhere() -> None:
    Path("c.yaml").write_text(CONFIG)
    trained = rnnsent("train", "--config", "c.yaml", "--run-dir", "run", "--json")
    assert trained.exit_code == 0, trained.stderr
    metrics = json.loads(trained.stdout)
    again = json.loads(rnnsent("eval", "run", "--split", "validation", "--backend", "keras", "--json").stdout)
    assert again["metrics"]["log_loss"]["value"] == pytest.approx(metrics["validation"]["log_loss"]["value"], abs=1e-5)
    assert rnnsent("verify", "run").exit_code == 0
    assert rnnsent("predict", "run", "a good film").exit_code == 0
    traced = rnnsent("trace", "run", "a good film", "--json")
    assert traced.exit_code == 0, traced.stderr
    refused = rnnsent("trace", "run", "a good film", "--method", "both")
    assert refused.exit_code == 1 and "occlusion is" in refused.stderr
    _plain_keras_loads("run/model.keras")


def _plain_keras_loads(path: str) -> None:
    import keras

    model: Any = keras.models.load_model(path)
    assert [each.shape for each in model.inputs] == [(None, None), (None, None, 3)]


def test_weights_survive_their_arrays() -> None:
    weights, _ = out_of_fold(labeled(30, 0), 2, NgramsConfig(folds=2), 0)
    again = NgramWeights.from_arrays(weights.to_arrays())
    for one, two in zip((*weights.keys, *weights.weights), (*again.keys, *again.weights), strict=True):
        np.testing.assert_array_equal(one, two)
