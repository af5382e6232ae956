"""Batches with a token budget; what other batches hold is tested with the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rnnsent.batches import Batches
from rnnsent.configfile import load_config
from rnnsent.data.split import Split

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
        {"side": "pre", "bucketing": False, "fixed_length": 5000},
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
    config = load_config("lstm", [("--set", "training.batch_tokens=16000")])
    assert Batches.from_config(batches.split, config, shuffle=True).batch_tokens == 16_000
    assert Batches.from_config(batches.split, load_config("lstm"), shuffle=True).batch_tokens is None
