"""Batches with a token budget; what other batches hold is tested with the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnnsent.config.loader import load_config
from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Split

BUDGET, MOST = 4000, 64


@pytest.fixture(scope="module")
def batches() -> Batches:
    rng = np.random.default_rng(1)
    lengths = np.minimum(rng.geometric(1 / 150, 3000), 900)
    lengths[:3] = 5000  # longer than the budget
    split = Split.from_sequences([np.full(length, 7, np.int32) for length in lengths], np.zeros(3000, np.int64))
    return Batches(split, MOST, seed=0, batch_tokens=BUDGET)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"seed": None},
        {"bucketing": False},
        {"bucketing": False, "seed": None},
        {"bucketing": False, "fixed_length": 5000},
        {"multiple": 64},
        {"batch_tokens": 1},
    ],
    ids=str,
)
def test_no_batch_has_more_than_its_budget_and_every_review_comes_once(
    batches: Batches, change: dict[str, object]
) -> None:
    batches = replace(batches, **change)  # type: ignore[arg-type]
    assert batches.batch_tokens is not None
    for epoch in range(3):
        order = batches.order(epoch)
        assert len(order) == len(batches)
        assert np.array_equal(np.sort(np.concatenate(order)), np.arange(3000))
        for index in order:
            (ids, *_), labels = batches.batch(index)
            assert len(labels) <= MOST
            assert ids.size <= batches.batch_tokens or len(ids) == 1


def test_the_budget_is_used_up(batches: Batches) -> None:
    needed = batches.split.lengths.sum() / BUDGET
    assert len(replace(batches, batch_size=4000)) <= 1.15 * needed + 1


def test_reviews_meet_others_in_every_epoch(batches: Batches) -> None:
    assert batches.order(1)[0].tolist() == batches.order(1)[0].tolist()
    company = [{frozenset(batch.tolist()) for batch in batches.order(epoch)} for epoch in range(2)]
    assert len(company[0] & company[1]) <= 3 + 5  # the ones that are alone, and a few by chance


def test_the_config_sets_the_budget(batches: Batches) -> None:
    config = load_config("lstm", {"training.batch_tokens": 16000})
    assert Batches.from_config(batches.split, config, shuffle=True).batch_tokens == 16_000
    assert Batches.from_config(batches.split, load_config("lstm"), shuffle=True).batch_tokens is None


def noisy(**changes: object) -> Batches:
    rng = np.random.default_rng(2)
    sequences = [np.concatenate([[1], rng.integers(4, 50, length)]) for length in rng.integers(20, 60, 200)]
    split = Split.from_sequences(sequences, rng.integers(0, 2, 200))
    channels = rng.normal(1.0, 0.1, (len(split.tokens), 3)).astype(np.float32)
    split = replace(split, channels=channels, ngram_orders=3)
    return Batches(split, 32, seed=1, **changes)  # type: ignore[arg-type]


def test_dropped_words_are_unknown_and_so_is_every_ngram_that_holds_one() -> None:
    plain, dropping = noisy(), noisy(word_dropout=0.2)
    dropped = words = 0
    for index in plain.order(0):
        (ids, channels), targets = plain.batch(index)  # type: ignore[misc]
        (noise, cleared), same = dropping.batch(index, 0)  # type: ignore[misc]
        np.testing.assert_array_equal(targets, same)
        gone = noise != ids
        assert (noise[gone] == 2).all() and not gone[ids == 0].any()
        dropped, words = dropped + int(gone.sum()), words + int((ids != 0).sum())
        for row, step in np.ndindex(ids.shape):
            for order in (1, 2, 3):
                holds = gone[row, max(step - order + 1, 0) : step + 1].any()
                assert cleared[row, step, order - 1] == (0 if holds else channels[row, step, order - 1])
    assert dropped / words == pytest.approx(0.2, abs=0.02)


def test_other_words_are_dropped_in_each_epoch_and_the_same_ones_in_each_run() -> None:
    dropping = noisy(word_dropout=0.2)
    index = dropping.order(0)[0]
    first, again, later = (dropping.batch(index, epoch)[0][0] for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, later)


def test_targets_are_smoothed_towards_all_labels() -> None:
    split = Split.from_sequences([[1, 5], [1, 6], [1, 7]], [0, 1, 2])
    index = np.arange(3)
    binary = Batches(split.take(slice(0, 2)), 4, label_smoothing=0.1).batch(index[:2])[1]
    np.testing.assert_allclose(binary, [[0.05], [0.95]])
    three = Batches(split, 4, labels=3, label_smoothing=0.3).batch(index)[1]
    np.testing.assert_allclose(three, [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], rtol=1e-6)


def test_soft_targets_are_what_the_split_says() -> None:
    targets = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]], np.float32)
    split = replace(Split.from_sequences([[1, 5], [1, 6]], [0, 1]), targets=targets)
    np.testing.assert_array_equal(Batches(split, 4, labels=3).batch(np.array([1, 0]))[1], targets[[1, 0]])
    two = replace(split, targets=np.array([[0.7, 0.3], [0.4, 0.6]], np.float32))
    np.testing.assert_array_equal(Batches(two, 4).batch(np.array([1, 0]))[1], np.array([[0.6], [0.3]], np.float32))
    np.testing.assert_array_equal(
        Batches(two.take(np.array([1])), 4).batch(np.array([0]))[1], np.array([[0.6]], np.float32)
    )


def test_only_training_is_noisy() -> None:
    config = load_config("lstm", {"training.word_dropout": 0.1, "training.label_smoothing": 0.1})
    for shuffle in (True, False):
        made = Batches.from_config(noisy().split, config, shuffle=shuffle)
        assert (made.word_dropout, made.label_smoothing) == ((0.1, 0.1) if shuffle else (0, 0))
