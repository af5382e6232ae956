"""Which device is taken and why, on machines with and without GPUs, and that start-up noise is held back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from rnnsent.engine import device
from rnnsent.engine.device import Device, start
from rnnsent.errors import DeviceError

Machine = Callable[..., list[int | None]]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a function that pretends some GPUs; it returns the list of what will have been chosen."""

    def pretend(*gpus: str, backend: str = "tensorflow") -> list[int | None]:
        used: list[int | None] = []
        monkeypatch.setattr(keras.backend, "backend", lambda: backend)
        monkeypatch.setattr(device, "_has_gpu_driver", lambda: True)
        monkeypatch.setattr(device, "_tensorflow_gpus", lambda: list(gpus))
        monkeypatch.setattr(device, "_tensorflow_use", used.append)
        monkeypatch.setattr(device, "_jax_gpus", lambda asked: list(gpus))
        monkeypatch.setattr(device, "_jax_use", used.append)
        return used

    return pretend


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize(
    ("asked", "gpus", "name", "because", "index"),
    [
        ("auto", [], "cpu", "no GPU was found", None),
        ("auto", ["GPU:0", "GPU:1"], "gpu:0", "found GPU:0", 0),
        ("cpu", [], "cpu", "requested", None),
        ("cpu", ["GPU:0"], "cpu", "requested", None),
        ("gpu", ["GPU:0", "GPU:1"], "gpu:0", "requested, GPU:0", 0),
        ("gpu:1", ["GPU:0", "GPU:1"], "gpu:1", "requested, GPU:1", 1),
    ],
)
def test_the_device_and_its_reason(
    machine: Machine, backend: str, asked: str, gpus: list[str], name: str, because: str, index: int | None
) -> None:
    used = machine(*gpus, backend=backend)
    found = start(asked)
    assert (found.name, found.because, found.backend) == (name, because, backend)
    assert used == [index]
    assert str(found).startswith(f"{name} ({because}; Keras on {backend}")


@pytest.mark.parametrize(
    ("asked", "gpus", "message"),
    [
        ("gpu", [], "device gpu is not there: no GPU was found"),
        ("gpu:2", ["GPU:0", "GPU:1"], "device gpu:2 is not there: GPUs found: GPU:0, GPU:1"),
    ],
)
def test_a_gpu_that_is_not_there(machine: Machine, asked: str, gpus: list[str], message: str) -> None:
    used = machine(*gpus)
    with pytest.raises(DeviceError, match=message):
        start(asked)
    assert used == []


def test_a_gpu_without_a_driver_is_refused_before_keras_is_imported(tiny_config: Path, tiny_imdb: Path) -> None:
    program = f"""
import sys
from rnnsent.cli.main import cli
from rnnsent.engine import device
device._has_gpu_driver = lambda: False
try:
    cli(["train", "--config", {str(tiny_config)!r}, "--data", {str(tiny_imdb)!r}, "--device", "gpu"])
finally:
    print(sorted({{"keras", "tensorflow"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout == "[]\n" and "device gpu is not there: no GPU was found" in run.stderr


def test_other_backends_are_refused(machine: Machine) -> None:
    machine(backend="torch")
    with pytest.raises(DeviceError, match="Keras is set to torch: KERAS_BACKEND must be tensorflow or jax"):
        start()


def test_threads_are_those_that_this_process_may_use() -> None:
    found = start("cpu")
    assert found == Device("cpu", "requested", "tensorflow", len(os.sched_getaffinity(0)))
    assert str(found).endswith("1 thread)" if found.threads == 1 else f"{found.threads} threads)")


def test_tensorflow_keeps_to_one_thread_if_the_kernel_does_the_work() -> None:
    # In a process of its own: TensorFlow's threads are settled once, before its first operation.
    program = """
from rnnsent.engine.device import start
start("cpu")
import tensorflow as tf
from rnnsent.config.loader import load_config
from rnnsent.models.builder import build_model
build_model(load_config("notebook/lstm"), 9, seed=0, native=[True])
found = tf.config.threading
print(found.get_intra_op_parallelism_threads(), found.get_inter_op_parallelism_threads())
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[-2] == "1 1"


@pytest.mark.parametrize(
    ("error", "shown"),
    [(None, ""), (DeviceError("no"), ""), (KeyboardInterrupt(), ""), (RuntimeError("?"), "cudart_stub.cc:31\n")],
    ids=["success", "device error", "Ctrl-C", "unknown"],
)
def test_native_noise_is_only_shown_when_it_may_explain_a_failure(
    error: BaseException | None,
    shown: str,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    machine()

    def noisy() -> list[str]:
        os.write(2, b"cudart_stub.cc:31\n")
        if error is not None:
            raise error
        return []

    monkeypatch.setattr(device, "_tensorflow_gpus", noisy)
    if error is None:
        start()
    else:
        with pytest.raises(type(error)):
            start()
    assert capfd.readouterr().err == shown
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"
