"""Which rows train, validate and test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnsent.data.splitting import TEST, TRAIN, UNGIVEN, VALIDATION, assign, contradictions, repeated

SHARES: dict[str, Any] = {"test_share": 0.2, "validation_share": 0.25, "seed": 3}


def test_labels_have_the_same_share_everywhere() -> None:
    labels = np.repeat([0, 1, 2], [1000, 200, 40])
    splits = assign(labels, np.full(1240, UNGIVEN), None, **SHARES)
    for label, rows in ((0, 1000), (1, 200), (2, 40)):
        counts = np.bincount(splits[labels == label], minlength=3)
        assert counts.tolist() == [rows * 6 // 10, rows * 2 // 10, rows * 2 // 10]  # train, validation, test
    again = assign(labels, np.full(1240, UNGIVEN), None, **SHARES)
    other = assign(labels, np.full(1240, UNGIVEN), None, **SHARES | {"seed": 4})
    np.testing.assert_array_equal(splits, again)
    assert (splits != other).any()


def test_a_label_of_one_row_trains() -> None:
    assert assign(np.array([0, 1]), np.full(2, UNGIVEN), None, **SHARES).tolist() == [TRAIN, TRAIN]


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 12)), min_size=2, max_size=120), st.integers(0, 5))
def test_groups_are_never_torn_apart(rows: list[tuple[int, int]], seed: int) -> None:
    labels, groups = (np.array(column) for column in zip(*rows, strict=True))
    splits = assign(labels, np.full(len(rows), UNGIVEN), groups, test_share=0.2, validation_share=0.2, seed=seed)
    for group in np.unique(groups):
        assert len(set(splits[groups == group])) == 1
    assert (splits == TRAIN).any()


def test_many_groups_come_close_to_the_share() -> None:
    groups = np.random.default_rng(0).integers(0, 300, 5000)
    splits = assign(np.zeros(5000, np.int64), np.full(5000, UNGIVEN), groups, **SHARES)
    assert np.bincount(splits, minlength=3).tolist() == pytest.approx([3000, 1000, 1000], abs=20)


def test_what_is_given_stays() -> None:
    given_splits = np.array([TRAIN] * 50 + [TEST] * 50)
    splits = assign(np.arange(100) % 2, given_splits, None, **SHARES)
    assert (splits[50:] == TEST).all()
    assert np.bincount(splits[:50]).tolist() == [38, 12]
    whole = np.array([TRAIN, VALIDATION, TEST, TRAIN])
    assert assign(np.arange(4) % 2, whole, None, **SHARES).tolist() == whole.tolist()


def test_a_text_that_is_tested_on_is_not_trained_on() -> None:
    prints = np.array([7, 7, 8, 8, 9, 7, 9], np.uint64)
    splits = np.array([TRAIN, TEST, TRAIN, VALIDATION, TRAIN, TEST, TRAIN])
    assert repeated(prints, splits).tolist() == [True, False, True, False, False, True, True]


def test_contradictions_are_rows_of_equal_text_and_another_label() -> None:
    assert contradictions(np.array([5, 5, 6, 6, 7], np.uint64), np.array([0, 1, 1, 1, 0])) == 2
    assert contradictions(np.array([], np.uint64), np.array([], np.int64)) == 0
