"""What `rnnsent verify` checks, and that `model.keras` gives the same outputs in plain Keras."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnsent.inference.classifier import load
from rnnsent.inference.predictor import Predictor
from rnnsent.models.network import Network
from tests.conftest import rnnsent


@pytest.fixture
def run(finished_run: Path) -> Path:
    shutil.copytree(finished_run, "run")
    return Path("run")


def test_all_backends_of_a_finished_run_agree(run: Path) -> None:
    result = rnnsent("verify", "run")
    assert result.exit_code == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[:2] for line in lines] == [["ok", name] for name in ("files", "numpy", "native", "keras")]
    found = json.loads(rnnsent("verify", "run", "--json", "--backend", "keras").stdout)
    assert found["passed"] and [check["name"] for check in found["checks"]] == ["files", "keras"]


def test_a_changed_file_fails(run: Path) -> None:
    (run / "vocabulary.json").write_text("{}")
    result = rnnsent("verify", "run")
    assert result.exit_code == 1 and "vocabulary.json was changed" in result.stdout
    assert "verification failed: files" in result.stderr


def test_a_backend_with_other_probabilities_fails(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predict: Callable[..., Any] = Predictor.__call__

    def shifted(self: Predictor, split: Any) -> Any:
        return predict(self, split) + np.float32(1e-4 if self.backend == "native" else 0)

    monkeypatch.setattr(Predictor, "__call__", shifted)
    result = rnnsent("verify", "run", "--backend", "native", "--backend", "numpy", "--json")
    assert result.exit_code == 1
    assert [check["passed"] for check in json.loads(result.stdout)["checks"]] == [True, False, True]


PLAIN = """
import sys
import keras, numpy as np
model = keras.saving.load_model("run/model.keras")
np.save("probabilities.npy", model.predict(np.load("ids.npy"), verbose=0)[:, 0])
assert not any(name.partition(".")[0] == "rnnsent" for name in sys.modules)
"""


def test_model_keras_gives_the_same_outputs_without_rnnsent(run: Path) -> None:
    ids = np.zeros((8, 30), np.int32)
    for row, length in zip(ids, (1, 2, 5, 9, 14, 20, 29, 30), strict=True):
        row[:length] = np.random.default_rng(length).integers(1, 60, length)
    np.save("ids.npy", ids)
    subprocess.run([sys.executable, "-W", "error", "-c", PLAIN], check=True, capture_output=True)
    classifier = load(run)
    network = Network(classifier.config, classifier.predictor.weights, native=False)
    np.testing.assert_allclose(np.load("probabilities.npy"), network.probabilities(ids), atol=1e-5)
