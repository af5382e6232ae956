from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Split
from rnnsent.engine.keras_data import keras_batches


@pytest.fixture
def batches() -> Batches:
    rng = np.random.default_rng(0)
    split = Split.from_sequences([rng.integers(4, 60, rng.integers(1, 30)).tolist() for _ in range(50)], [0, 1] * 25)
    return Batches(split, batch_size=8, seed=1)


def on_tensorflow(batches: Batches, epoch: Any) -> list[tuple[Any, Any]]:
    return [(ids.numpy(), labels.numpy()) for ids, labels in keras_batches(batches, epoch)]


def elsewhere(batches: Batches, epoch: Any) -> list[tuple[Any, Any]]:
    data = keras_batches(batches, epoch)
    return [data[index] for index in range(data.num_batches)]


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_each_pass_gives_the_batches_of_its_epoch(
    batches: Batches, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    read = on_tensorflow if backend == "tensorflow" else elsewhere
    for number in (0, 1, 0):
        found, expected = read(batches, lambda number=number: number), list(batches.epoch(number))
        assert len(found) == len(expected) == 7
        for (ids, labels), ((wanted_ids, *_), wanted_labels) in zip(found, expected, strict=True):
            assert (ids.dtype, labels.dtype) == (np.int32, np.float32)
            np.testing.assert_array_equal(ids, wanted_ids)
            np.testing.assert_array_equal(labels, wanted_labels)


def test_one_data_set_goes_from_epoch_to_epoch(batches: Batches) -> None:
    epoch = 0
    data = keras_batches(batches, lambda: epoch)
    for epoch in (0, 1):
        first, _ = next(iter(data))
        np.testing.assert_array_equal(first.numpy(), batches.batch(batches.order(epoch)[0])[0][0])


@pytest.mark.parametrize(("length", "shape"), [(None, (None, None)), (30, (None, 30))])
def test_only_a_length_that_never_changes_is_promised(batches: Batches, length: int | None, shape: Any) -> None:
    fixed = Batches(batches.split, 8, seed=1, bucketing=False, fixed_length=length)
    data = keras_batches(fixed)
    assert tuple(data.element_spec[0].shape) == shape
    assert int(data.cardinality()) == 7
