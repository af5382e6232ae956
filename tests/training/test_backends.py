"""JAX instead of TensorFlow: the same commands, and one backend's run read by the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


def rnnsent(backend: str, data: Path, *arguments: str) -> None:
    """Run a command in a process of its own, since a process has one backend."""
    environment = os.environ | {"KERAS_BACKEND": backend, "RNNSENT_DATA": str(data)}
    command = [sys.executable, "-m", "rnnsent", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"Keras on {backend}" in done.stderr


def probabilities(run: Path) -> list[float]:
    rows = (run / "evaluations/test-predictions.csv").read_text().splitlines()[1:]
    return [float(row.rpartition(",")[2]) for row in rows]


def test_jax_trains_a_run_that_tensorflow_evaluates_alike(tiny_imdb: Path, tiny_config: Path) -> None:
    training = ["train", "--config", str(tiny_config), "--run-dir", "run", "--set", "training.ema=0.9"]
    rnnsent("jax", tiny_imdb, *training, "--set", "model.language_model={epochs: 1}")
    rnnsent("jax", tiny_imdb, "eval", "run", "--backend", "keras")
    found = probabilities(Path("run"))
    rnnsent("tensorflow", tiny_imdb, "eval", "run", "--backend", "keras")
    assert len(found) == 120
    np.testing.assert_allclose(found, probabilities(Path("run")), atol=1e-5)


CUT = """
import sys
from pathlib import Path
import keras, numpy as np
from rnnsent.config.loader import load_config
from rnnsent.training.experiment import Request, resume_training, train

class Killed(BaseException):
    pass

class Killer(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 8:
            raise Killed

changes = {"training.batch_size": 20, "training.checkpoint_every": 1, "training.ema": 0.9, "training.epochs": 2}
config = load_config(sys.argv[1], changes)
whole = train(config, Request("tiny"), run_dir=Path("whole"))
try:
    train(config, Request("tiny", callbacks=lambda config: [Killer()]), run_dir=Path("cut"))
except Killed:
    cut = resume_training(Path("cut"), Request("tiny"))
    print(all(np.array_equal(cut.weights()[name], each) for name, each in whole.weights().items()))
    print([epoch.loss for epoch in cut.history()] == [epoch.loss for epoch in whole.history()])
"""


@pytest.mark.slow
def test_jax_resumes_in_the_middle_of_an_epoch_with_the_same_bits(tiny_imdb: Path, tiny_config: Path) -> None:
    environment = os.environ | {"KERAS_BACKEND": "jax", "RNNSENT_DATA": str(tiny_imdb)}
    command = [sys.executable, "-c", CUT, str(tiny_config)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.split() == ["True", "True"], done.stderr
