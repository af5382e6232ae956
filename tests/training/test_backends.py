"""JAX instead of TensorFlow: the same commands, and one backend's run read by the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def rnnsent(backend: str, data: Path, *arguments: str) -> Any:
    """Run a command in a process of its own, since a process has one backend; return what its JSON says."""
    environment = os.environ | {"KERAS_BACKEND": backend, "RNNSENT_DATA": str(data)}
    command = [sys.executable, "-m", "rnnsent", *arguments, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "oneDNN" not in done.stderr and "absl" not in done.stderr
    assert arguments[0] == "summary" or f"Keras on {backend}" in done.stderr
    return json.loads(done.stdout)


def probabilities(run: Path) -> list[float]:
    rows = (run / "predictions-test.csv").read_text().splitlines()[1:]
    return [float(row.rpartition(",")[2]) for row in rows]


@pytest.mark.slow
def test_jax_trains_a_run_that_tensorflow_judges_alike(tiny_imdb: Path, tiny_config: Path) -> None:
    training = ["train", "--config", str(tiny_config), "--run-dir", "run", "--set", "training.ema=0.9"]
    training += ["--set", "model.language_model={epochs: 1}"]
    trained = rnnsent("jax", tiny_imdb, *training)
    assert trained["epochs"] == 3
    assert trained["engine"]["0:gru"]["path"] == "keras"
    by_jax = rnnsent("jax", tiny_imdb, "eval", "run", "--backend", "keras")
    found = probabilities(Path("run"))
    by_tensorflow = rnnsent("tensorflow", tiny_imdb, "eval", "run", "--backend", "keras")
    assert by_jax["n"] == by_tensorflow["n"] == len(found) == 120
    np.testing.assert_allclose(found, probabilities(Path("run")), atol=1e-5)


CUT = """
import sys
from pathlib import Path
from rnnsent.cli.options import overrides
from rnnsent.config.loader import load_config
from rnnsent.training.experiment import resume, train
from rnnsent.training.observers import Observer

class Killed(BaseException):
    pass

class Killer(Observer):
    def on_step(self, facts):
        if (facts.epoch, facts.step) == (2, 3):
            raise Killed

changes = ("training.epochs=2", "training.batch_size=20", "training.checkpoint_every=1", "training.ema=0.9")
config = load_config(sys.argv[1], overrides(changes))
train(config, "tiny", run_dir=Path("whole"))
try:
    train(config, "tiny", run_dir=Path("cut"), observers=[Killer()])
except Killed:
    resume(Path("cut"))
    print("went on")
"""


def test_jax_goes_on_in_the_middle_of_an_epoch_with_the_same_bits(tiny_imdb: Path, tiny_config: Path) -> None:
    environment = os.environ | {"KERAS_BACKEND": "jax", "RNNSENT_DATA": str(tiny_imdb)}
    command = [sys.executable, "-c", CUT, str(tiny_config)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout == "went on\n", done.stderr
    assert Path("cut/weights.npz").read_bytes() == Path("whole/weights.npz").read_bytes()
    losses = [
        [row.split(",")[2] for row in Path(run, "history.csv").read_text().splitlines()] for run in ("cut", "whole")
    ]
    assert losses[0] == losses[1]


def test_a_backend_that_rnnsent_does_not_know(tiny_config: Path) -> None:
    environment = os.environ | {"KERAS_BACKEND": "numpy"}
    command = [sys.executable, "-m", "rnnsent", "summary", "--config", str(tiny_config)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "KERAS_BACKEND=numpy: rnnsent runs on tensorflow or jax" in done.stderr
