from __future__ import annotations

from dataclasses import replace

import click
import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from rnnsent.cli.options import overrides
from rnnsent.config.loader import parse_config
from rnnsent.config.sections import Config
from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Split
from rnnsent.engine import kernel
from rnnsent.errors import ConfigError
from rnnsent.inference.predictor import BACKENDS, load_predictor
from rnnsent.models.builder import build_model
from rnnsent.models.weights import weights_of
from tests.conftest import TINY_CONFIG


def config(*settings: str) -> Config:
    text = TINY_CONFIG.replace("CELL", "simple_rnn")
    return parse_config(text, "tiny", overrides(settings))


@pytest.fixture
def split() -> Split:
    """Reviews of lengths that no sort leaves in place."""
    rng = np.random.default_rng(0)
    return Split.from_sequences([rng.integers(4, 60, rng.integers(1, 30)).tolist() for _ in range(300)], [0, 1] * 150)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["model.pooling=max"],
        ["model.recurrent=[{cell: gru, bidirectional: true}, {cell: lstm}]"],
        ["data.padding=notebook"],
    ],
    ids=["plain", "max", "stack", "notebook"],
)
def test_probabilities_come_in_the_order_of_the_reviews(settings: list[str], backend: str, split: Split) -> None:
    if backend == "native" and not kernel.available():
        pytest.skip("the native kernel was not built: no C compiler?")
    chosen = config(*settings)
    model = build_model(chosen, 60, seed=0)
    predictor = load_predictor(chosen, weights_of(model), backend=backend)
    assert backend in ("auto", predictor.backend) and str(predictor).startswith(predictor.backend)
    found = predictor(split)
    rows = split.padded(np.arange(len(split)), 30, "post" if chosen.data.padding == "post" else "pre")
    expected = keras.ops.convert_to_numpy(model(rows))[:, 0]
    assert found.dtype == np.float32 and found.std() > 1e-4
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_compiler_sees_few_shapes(split: Split) -> None:
    """XLA compiles again for every shape of a batch, seconds each time."""
    predictor = load_predictor(config(), weights_of(build_model(config(), 60, seed=0)))
    seen: list[tuple[int, ...]] = []

    def compute(batches: Batches, vectors: NDArray[np.float32] | None) -> NDArray[np.float32]:
        seen.extend(ids.shape for (ids, *_), _ in batches.epoch(0))
        return predictor.compute(batches, vectors)

    many = split.take(np.tile(np.arange(len(split)), 50))
    np.testing.assert_allclose(replace(predictor, compute=compute, multiple=10)(many), predictor(many), atol=1e-6)
    assert {length for _, length in seen} == {10, 20, 30}
    assert len(set(seen)) <= 4 and len({size for size, _ in seen}) == 2, "as many reviews each, except the last"


def test_no_reviews_have_no_probabilities(split: Split) -> None:
    nothing = split.take(np.array([], np.int64))
    found = load_predictor(config(), weights_of(build_model(config(), 60)))(nothing)
    assert found.shape == (0,) and found.dtype == np.float32


@pytest.mark.parametrize(
    ("settings", "because"),
    [
        (["training.engine=stock"], "training.engine: stock"),
        (["model.recurrent=[{cell: lstm, activation: relu}]"], "does not run model.recurrent.0, activation: relu"),
        (["model.recurrent=[{cell: gru, reset_after: false}]"], "model.recurrent.0, reset_after: false"),
    ],
)
def test_what_the_kernel_does_not_run_is_left_to_others(settings: list[str], because: str, split: Split) -> None:
    chosen = config(*settings)
    weights = weights_of(build_model(chosen, 60, seed=0))
    predictor = load_predictor(chosen, weights)
    assert predictor.backend == ("keras" if "stock" in because else "numpy")
    if kernel.available():
        assert because in predictor.reason
    assert (predictor.backend == "numpy") == ("--backend keras may be faster" in predictor.reason)
    by_numpy = load_predictor(chosen, weights, backend="numpy")
    assert by_numpy.reason == "requested"
    np.testing.assert_allclose(by_numpy(split), predictor(split), rtol=0, atol=1e-5)
    with pytest.raises(ConfigError, match="backend: must be keras or numpy here"):
        load_predictor(chosen, weights, backend="native")


def test_a_gpu_is_for_keras(split: Split) -> None:
    weights = weights_of(build_model(config(), 60))
    for backend in ("native", "numpy"):
        with pytest.raises(ConfigError, match="backend: must be keras"):
            load_predictor(config(), weights, backend=backend, device="gpu")


def test_the_command_line_offers_all_backends() -> None:
    from rnnsent.cli.commands.eval import command

    (option,) = (option for option in command.params if option.name == "backend")
    assert isinstance(option.type, click.Choice) and tuple(option.type.choices) == BACKENDS
