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


def test_targets_are_smoothed_towards_all_labels() -> None:
    split = Split.from_sequences([[1, 5], [1, 6], [1, 7]], [0, 1, 2])
    index = np.arange(3)
    binary = Batches(split.take(slice(0, 2)), 4, label_smoothing=0.1).batch(index[:2])[1]
    np.testing.assert_allclose(binary, [[0.05], [0.95]])
    three = Batches(split, 4, labels=3, label_smoothing=0.3).batch(index)[1]
    np.testing.assert_allclose(three, [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], rtol=1e-6)


def test_only_training_smooths_labels(batches: Batches) -> None:
    config = load_config("lstm", {"training.label_smoothing": 0.1})
    for shuffle in (True, False):
        made = Batches.from_config(batches.split, config, shuffle=shuffle)
        assert made.label_smoothing == (0.1 if shuffle else 0)


def test_soft_targets_are_what_the_split_says() -> None:
    targets = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]], np.float32)
    split = replace(Split.from_sequences([[1, 5], [1, 6]], [0, 1]), targets=targets)
    np.testing.assert_array_equal(Batches(split, 4, labels=3).batch(np.array([1, 0]))[1], targets[[1, 0]])
    two = replace(split, targets=np.array([[0.7, 0.3], [0.4, 0.6]], np.float32))
    np.testing.assert_array_equal(Batches(two, 4).batch(np.array([1, 0]))[1], np.array([[0.6], [0.3]], np.float32))
    np.testing.assert_array_equal(
        Batches(two.take(np.array([1])), 4).batch(np.array([0]))[1], np.array([[0.6]], np.float32)
    )
