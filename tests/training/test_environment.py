from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from rnnsent.engine.device import Device
from rnnsent.training import environment
from tests.conftest import REPOSITORY

DEVICE = Device("cpu", "asked for", "tensorflow", 2)
PACKAGES = ("rnnsent", "keras", "numpy", "gensim", "scikit-learn")  # whatever the backend


def test_what_a_run_ran_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["rnnsent", "train", "--config", "lstm"])
    facts = json.loads(json.dumps(environment.describe(DEVICE, seed=7)))
    assert facts["python"] == platform.python_version()
    assert facts["packages"] == {name: version(name) for name in (*PACKAGES, "tensorflow")}
    assert facts["device"] == {"name": "cpu", "because": "asked for"}
    assert (facts["backend"], facts["threads"], facts["seed"]) == ("tensorflow", 2, 7)
    assert facts["command"] == ["rnnsent", "train", "--config", "lstm"]
    assert facts["cores"] >= 1 and facts["processor"] and facts["platform"]


def test_the_backend_counts_and_what_is_not_installed_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_tensorflow(name: str) -> str:
        if name == "tensorflow":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(environment, "version", without_tensorflow)
    packages = environment.describe(Device("gpu:0", "asked for", "jax", 2), seed=7)["packages"]
    assert packages == {name: version(name) for name in (*PACKAGES, "jax")}


def test_the_commit_is_that_of_the_source_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment.describe(DEVICE, 0)["git_commit"]
    if (REPOSITORY / ".git").exists():
        head = subprocess.run(["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"], capture_output=True, text=True)
        assert found == head.stdout.strip() and re.fullmatch("[0-9a-f]{40}", found)
    else:
        assert found is None
    # Installed into a folder that belongs to nobody's repository.
    monkeypatch.setattr(
        environment, "__file__", str(tmp_path / "site-packages" / "rnnsent" / "training" / "environment.py")
    )
    assert environment.describe(DEVICE, 0)["git_commit"] is None


def test_peak_memory_is_in_millions_of_bytes() -> None:
    peak_kib = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])
    assert environment.peak_memory_mb() == pytest.approx(peak_kib * 1024 / 1e6, rel=0.01)
