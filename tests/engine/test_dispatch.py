"""Which way recurrent layers run, why, and where that is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnsent.config.loader import parse_config
from rnnsent.config.sections import Config
from rnnsent.engine import kernel
from rnnsent.engine.device import Device
from rnnsent.engine.dispatch import choose
from rnnsent.errors import ConfigError

CPU = Device("cpu", "no GPU was found", "tensorflow", 2)
GPU = Device("gpu:0", "found GPU:0", "tensorflow", 2)
JAX = Device("cpu", "no GPU was found", "jax", 2)
JAX_GPU = Device("gpu:0", "found cuda:0", "jax", 2)


def config(cell: str = "lstm", layer: str = "", data: str = "post", **training: object) -> Config:
    text = f"""
data: {{padding: {data}}}
model: {{recurrent: [{{cell: {cell}, {layer}}}]}}
training: {json.dumps(training)}
"""
    return parse_config(text, "test")


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "available", lambda: True)
    monkeypatch.setattr(kernel, "level", lambda: "avx2")


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize("padding", ["post", "notebook"])
def test_a_cpu_takes_the_kernel(cell: str, padding: str) -> None:
    (path,) = choose(config(cell, data=padding), CPU)
    assert str(path) == f"0:{cell} on native (the fastest on a CPU, avx2)"


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("chosen", "device", "because"),
    [
        (config(layer="activation: relu"), CPU, "activation: relu"),
        (config(layer="recurrent_dropout: 0.2"), CPU, "recurrent_dropout: 0.2"),
        (config("gru", layer="reset_after: false"), CPU, "reset_after: false"),
        (config(precision="mixed_float16"), CPU, "precision: mixed_float16"),
        (config(), Device("cpu", "requested", "jax", 2), "not from jax"),
        (config(engine="stock"), CPU, "requested"),
        (config("simple_rnn"), GPU, "cuDNN has no SimpleRNN"),
        (config(layer="recurrent_dropout: 0.2"), GPU, "recurrent_dropout: 0.2"),
        (config("gru", data="notebook"), JAX_GPU, "cuDNN's GRU from TensorFlow only"),
        (config(), JAX_GPU, "leaves cuDNN out where padding is masked"),
    ],
)
def test_what_the_fast_paths_cannot_do_runs_on_stock_keras_and_says_why(
    chosen: Config, device: Device, because: str
) -> None:
    (path,) = choose(chosen, device)
    assert path.path == "keras"
    assert because in path.because


def test_without_a_compiler_everything_runs_on_stock_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "available", lambda: False)
    (path,) = choose(config(), CPU)
    assert path.path == "keras" and "not built" in path.because


@pytest.mark.usefixtures("built")
def test_a_gpu_takes_cudnn() -> None:
    assert [path.path for path in choose(config("gru"), GPU)] == ["cudnn"]
    assert [path.path for path in choose(config(data="notebook"), JAX_GPU)] == ["cudnn"]


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("chosen", "device", "message"),
    [
        (config(engine="native"), JAX, r"model.recurrent.0: it is reached from TensorFlow, not from jax"),
        (config(engine="native"), GPU, "it runs on a CPU, not on gpu:0"),
    ],
)
def test_a_path_that_was_asked_for_and_cannot_be_is_an_error(chosen: Config, device: Device, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose(chosen, device)


@pytest.mark.skipif(not kernel.available(), reason="the native kernel was not built: no C compiler?")
def test_the_choice_is_recorded(finished_run: Path) -> None:
    engine = json.loads((finished_run / "metrics.json").read_text())["engine"]
    assert engine["0:gru"]["path"] == "native" and engine["0:gru"]["because"]
