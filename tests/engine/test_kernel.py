"""The native kernel against stock Keras in float64, on every instruction set that this machine has."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnsent.config.cells import CELLS
from rnnsent.engine import kernel
from rnnsent.engine.kernel import LEVELS, Gradients, Inputs, Options, Pass, Weights
from rnnsent.models import numpy_layers as reference
from tests.conftest import needs_kernel

NATIVE = Path(kernel.__file__).parent / "native"
HARNESS = Path(__file__).parent / "native_harness.c"
HERE = LEVELS[: LEVELS.index(kernel.level()) + 1] if kernel.available() else ()
pytestmark = needs_kernel


def random_layer(
    seed: int, cell: str, batch: int, steps: int, units: int, features: int, *, words: int = 0, options: str = ""
) -> tuple[Weights, Inputs]:
    """Make a layer and a batch; `options` may name reverse, scale and initial."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, size: float = 1.0) -> NDArray[np.float32]:
        return (rng.normal(size=shape) * size).astype(np.float32)

    gates = CELLS[cell].gates * units
    weights = Weights(
        CELLS[cell],
        normal(features, gates, size=features**-0.5),
        normal(units, gates, size=units**-0.5),
        normal(2, gates) if cell == "gru" else normal(gates),
        normal(words, features) if words else None,
    )
    tokens = rng.integers(0, max(words, 1), (batch, steps)).astype(np.int32)
    inputs = Inputs(
        tokens if words else normal(batch, steps, features),
        rng.integers(1, steps + 1, batch).astype(np.int32),
        scale=normal(batch, features) if "scale" in options else None,
        initial=normal(batch, units) if "initial" in options else None,
        initial_carry=normal(batch, units) if "initial" in options and cell == "lstm" else None,
        reverse="reverse" in options,
    )
    return weights, inputs


def stock_pass(
    weights: Weights, inputs: Inputs, d_last: NDArray[Any], d_sequence: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], dict[str, NDArray[Any]]]:
    """Return last states, all states and all gradients of a stock Keras layer in float64."""
    batch, steps = inputs.values.shape[:2]
    units = weights.recurrent.shape[0]
    layer = weights.cell.keras_layer(units=units, return_sequences=True, go_backwards=inputs.reverse, dtype="float64")
    layer.build((None, None, weights.kernel.shape[0]))
    layer.set_weights([weights.kernel, weights.recurrent, weights.bias])
    source = tf.Variable((inputs.values if weights.embedding is None else weights.embedding).astype(np.float64))
    start = [inputs.initial] + [inputs.initial_carry] * (weights.cell.states - 1)
    states = [tf.Variable(np.zeros((batch, units)) if each is None else each.astype(np.float64)) for each in start]
    mask = np.arange(steps) < inputs.lengths[:, None]
    with tf.GradientTape() as tape:
        vectors = source if weights.embedding is None else tf.gather(source, inputs.values)
        if inputs.scale is not None:
            vectors = vectors * inputs.scale[:, None].astype(np.float64)
        sequence = layer(vectors, mask=tf.constant(mask), initial_state=states)
        last = sequence[:, -1]  # Keras repeats the last state where there is padding
        if inputs.reverse:
            sequence = tf.reverse(sequence, [1])
        sequence = tf.where(mask[:, :, None], sequence, 0.0)
        loss = tf.reduce_sum(last * d_last) + tf.reduce_sum(sequence * d_sequence)
    variables = [source, *(weight.value for weight in layer.weights), *states]
    names = ["inputs", "kernel", "recurrent", "bias", "initial", "initial_carry"]
    gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
    dense = {name: tf.convert_to_tensor(value).numpy() for name, value in zip(names, gradients, strict=False)}
    return last.numpy(), sequence.numpy(), dense


def assert_close(found: NDArray[Any], expected: NDArray[Any], tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(1.0, np.abs(expected).max(initial=0.0)))


layers = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**31),
        "cell": st.sampled_from(sorted(CELLS)),
        "batch": st.integers(1, 30),
        "steps": st.integers(1, 9),
        "units": st.integers(1, 37),
        "features": st.integers(1, 19),
        "words": st.sampled_from([0, 0, 1, 7, 200]),
        "options": st.sets(st.sampled_from(["reverse", "scale", "initial"])).map(sorted).map(" ".join),
    }
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(shape=layers, level=st.sampled_from(HERE or ("plain",)), threads=st.integers(1, 5))
def test_values_and_gradients_are_those_of_stock_keras_in_float64(
    shape: dict[str, Any], level: str, threads: int
) -> None:
    weights, inputs = random_layer(**shape)
    rng = np.random.default_rng(shape["seed"])
    batch, steps, units = shape["batch"], shape["steps"], shape["units"]
    d_last = rng.normal(size=(batch, units)).astype(np.float32)
    d_sequence = rng.normal(size=(batch, steps, units)).astype(np.float32)
    running = Pass(weights, inputs, Options(sequence=True, threads=threads, instructions=level))
    last, sequence, expected = stock_pass(weights, inputs, d_last, d_sequence)
    assert running.states.sequence is not None
    assert_close(running.states.last, last)
    assert_close(running.states.sequence, sequence)
    gradients = running.backward(d_last, d_sequence)
    for name, value in expected.items():
        assert_close(getattr(gradients, name), value)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(shape=layers, level=st.sampled_from(HERE or ("plain",)))
def test_values_are_those_of_the_reference_in_float64(shape: dict[str, Any], level: str) -> None:
    weights, inputs = random_layer(**shape | {"options": shape["options"].replace("initial", "")})
    running = Pass(weights, inputs, Options(sequence=True, instructions=level))
    vectors = inputs.values if weights.embedding is None else weights.embedding[inputs.values]
    if inputs.scale is not None:
        vectors = vectors * inputs.scale[:, None]
    mask = np.arange(shape["steps"]) < inputs.lengths[:, None]
    step = slice(None, None, -1 if inputs.reverse else 1)
    expected = reference.recurrent(
        weights.cell,
        vectors.astype(np.float64)[:, step],
        reference.RecurrentWeights(weights.kernel, weights.recurrent, weights.bias),
        mask=mask[:, step],
        return_sequences=True,
    )
    assert running.states.sequence is not None
    assert_close(running.states.last, expected[:, -1])
    assert_close(running.states.sequence, np.where(mask[:, :, None], expected[:, step], 0))


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("words", [0, 30])
def test_gradients_are_the_slopes_of_the_values(cell: str, words: int) -> None:
    weights, inputs = random_layer(3, cell, 4, 5, 6, 4, words=words, options="initial")
    rng = np.random.default_rng(0)
    d_last = rng.normal(size=(4, 6)).astype(np.float32)

    def loss(weights: Weights, inputs: Inputs) -> float:
        return float((Pass(weights, inputs, Options(keep=False)).states.last.astype(np.float64) * d_last).sum())

    gradients = Pass(weights, inputs).backward(d_last)
    step = 1e-2
    for name in ("kernel", "recurrent", "bias", "initial", "embedding" if words else "values"):
        on_inputs = name in ("initial", "values")
        owner: Any = inputs if on_inputs else weights
        direction = rng.normal(size=getattr(owner, name).shape).astype(np.float32)
        ends = [replace(owner, **{name: getattr(owner, name) + sign * step * direction}) for sign in (1, -1)]
        high, low = (loss(weights, end) if on_inputs else loss(end, inputs) for end in ends)
        gradient = getattr(gradients, {"embedding": "inputs", "values": "inputs"}.get(name, name))
        assert (high - low) / (2 * step) == pytest.approx(float((gradient * direction).sum()), rel=2e-2, abs=2e-3)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_what_stands_in_the_padding_changes_nothing(cell: str) -> None:
    weights, inputs = random_layer(1, cell, 20, 8, 5, 3)
    dirty = inputs.values.copy()
    dirty[np.arange(8) >= inputs.lengths[:, None]] = np.nan
    longer = np.concatenate([dirty, np.full((20, 3, 3), np.inf, np.float32)], axis=1)
    passes = [Pass(weights, replace(inputs, values=values)) for values in (inputs.values, dirty, longer)]
    ones = np.ones((20, 5), np.float32)
    for other in passes[1:]:
        np.testing.assert_array_equal(other.states.last, passes[0].states.last)
    kernels = [each.backward(ones).kernel for each in passes]
    np.testing.assert_array_equal(kernels[1], kernels[0])
    np.testing.assert_array_equal(kernels[2], kernels[0])


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("words", [0, 50])
def test_the_same_pass_gives_the_same_bits(cell: str, words: int) -> None:
    weights, inputs = random_layer(2, cell, 70, 12, 9, 5, words=words)

    def run(workspace: NDArray[np.uint8] | None = None) -> tuple[NDArray[Any], Gradients]:
        running = Pass(weights, inputs, Options(threads=3, workspace=workspace))
        return running.states.last, running.backward(running.states.last)

    last, gradients = run()
    again, regained = run(np.full(50_000_000, 255, np.uint8))  # whatever lies in the workspace
    np.testing.assert_array_equal(again, last)
    for name in ("inputs", "kernel", "recurrent", "bias"):
        np.testing.assert_array_equal(getattr(regained, name), getattr(gradients, name))


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_threads_change_the_last_bits_of_gradients_alone_and_vector_width_nothing(cell: str) -> None:
    weights, inputs = random_layer(3, cell, 70, 12, 9, 5, words=50)

    def run(threads: int, instructions: str | None = None) -> tuple[NDArray[Any], Gradients]:
        running = Pass(weights, inputs, Options(threads=threads, instructions=instructions))
        return running.states.last.copy(), running.backward(running.states.last)

    last, gradients = run(2)
    for threads in (1, 3):
        other, regained = run(threads)
        np.testing.assert_array_equal(other, last)
        for name in ("inputs", "kernel", "recurrent", "bias"):
            value = getattr(gradients, name)
            np.testing.assert_allclose(getattr(regained, name), value, rtol=0, atol=1e-5 * np.abs(value).max())
    for level in HERE[1:]:  # with fused multiplication, which plain instructions do not have
        other, regained = run(2, level)
        np.testing.assert_array_equal(other, last)
        for name in ("inputs", "kernel", "recurrent", "bias"):
            np.testing.assert_array_equal(getattr(regained, name), getattr(gradients, name))


def test_company_in_the_batch_changes_no_state() -> None:
    weights, inputs = random_layer(4, "gru", 40, 9, 11, 6, words=80)
    whole = Pass(weights, inputs, Options(keep=False)).states.last
    for one in range(40):
        alone = replace(inputs, values=inputs.values[one : one + 1], lengths=inputs.lengths[one : one + 1])
        np.testing.assert_array_equal(Pass(weights, alone, Options(keep=False)).states.last[0], whole[one])


def test_large_pre_activations_saturate_and_nan_stays_nan() -> None:
    weights, inputs = random_layer(5, "lstm", 2, 3, 4, 2)
    huge = Pass(weights, replace(inputs, values=inputs.values * np.float32(1e30)))
    assert np.isfinite(huge.states.last).all() and np.abs(huge.states.last).max() <= 1
    lost = Pass(weights, replace(inputs, values=np.full_like(inputs.values, np.nan)))
    assert np.isnan(lost.states.last).all()


def test_backward_comes_once_and_only_where_it_was_announced() -> None:
    weights, inputs = random_layer(6, "simple_rnn", 2, 3, 4, 2)
    running = Pass(weights, inputs)
    running.backward()
    for spent in (running, Pass(weights, inputs, Options(keep=False))):
        with pytest.raises(ValueError, match="kept nothing"):
            spent.backward()


def broken(name: str, value: Any) -> tuple[Weights, Inputs]:
    weights, inputs = random_layer(7, "lstm", 3, 4, 5, 2, words=9)
    if name in ("values", "lengths", "initial", "scale"):
        return weights, replace(inputs, **{name: value})
    return replace(weights, **{name: value}), inputs


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("values", np.full((3, 4), 9, np.int32), "values must lie within 0 … 8, not 9 … 9"),
        ("values", np.full((3, 4), -1, np.int32), "values must lie within 0 … 8"),
        ("values", np.zeros((3, 4), np.int64), "values must be a contiguous int32 array"),
        ("values", np.zeros((0, 4), np.int32), "at least one review"),
        ("lengths", np.array([1, 5, 1], np.int32), "lengths must lie within 1 … 4, not 1 … 5"),
        ("lengths", np.array([1, 0, 1], np.int32), "lengths must lie within 1 … 4, not 0 … 1"),
        ("lengths", np.array([1, 1], np.int32), r"lengths must be .* shape \(3,\)"),
        ("kernel", np.zeros((2, 19), np.float32), r"kernel must be .* shape \(2, 20\)"),
        ("recurrent", np.zeros((20, 5), np.float32).T, r"recurrent must be a contiguous"),
        ("bias", np.zeros((2, 20), np.float32), r"bias must be .* shape \(20,\)"),
        ("embedding", np.zeros((9, 3), np.float32), r"embedding must be .* shape \(9, 2\)"),
        ("initial", np.zeros((3, 4), np.float32), r"initial must be .* shape \(3, 5\)"),
        ("scale", np.zeros((3, 5), np.float32), r"scale must be .* shape \(3, 2\)"),
    ],
)
def test_nothing_that_does_not_fit_reaches_the_c_code(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pass(*broken(name, value))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc")
def test_the_c_code_under_sanitizers(tmp_path: Path) -> None:
    program = tmp_path / "harness"
    warnings = ["-Wall", "-Wextra", "-Werror"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run(
        [
            "gcc",
            "-O1",
            "-g",
            "-std=gnu11",
            *warnings,
            *sanitizers,
            "-pthread",
            "-I",
            NATIVE,
            HARNESS,
            "-lm",
            "-o",
            program,
        ],
        check=True,
    )
    result = subprocess.run([program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "passes: 180\n"


def test_denormals_are_zero_in_this_thread_while_they_are_flushed() -> None:
    tiny = np.full(64, 1e-40, np.float32)
    with kernel.flushed_denormals():
        inside = tiny * np.float32(0.5)
    assert not inside.any()
    assert (tiny * np.float32(0.5)).all()
