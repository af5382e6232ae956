from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from rnnsent.models.activations import ACTIVATIONS, sigmoid, softmax


@pytest.mark.parametrize("name", list(ACTIVATIONS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_activation_is_that_of_keras(name: str, dtype: type[np.floating[Any]]) -> None:
    x = np.concatenate([np.random.default_rng(0).normal(size=98) * 5, [0.0, -0.0]]).astype(dtype).reshape(10, 10)
    expected = keras.ops.convert_to_numpy(getattr(keras.activations, name)(x))
    found = ACTIVATIONS[name](x)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_and_softmax_are_stable(dtype: type[np.floating[Any]]) -> None:
    x = np.array([-1e30, -1000, -30, 0, 30, 1000, 1e30], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        np.testing.assert_allclose(sigmoid(x), [0, 0, np.exp(-30), 0.5, 1, 1, 1], rtol=1e-6, atol=1e-34)
        np.testing.assert_allclose(softmax(np.array([1e4, 1e4, -1e4], dtype)), [0.5, 0.5, 0])
