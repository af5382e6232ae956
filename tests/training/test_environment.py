from __future__ import annotations

import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from rnnsent.engine.device import Device
from rnnsent.runs.schemas import DeviceInfo
from rnnsent.training import environment
from tests.conftest import REPOSITORY

DEVICE = Device("cpu", "asked for", "tensorflow", 2)


def test_what_a_run_ran_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["rnnsent", "train", "--config", "lstm"])
    found = environment.describe(DEVICE, seed=7)
    assert found.python == platform.python_version()
    assert found.packages["keras"] == version("keras") and found.packages["tensorflow"] == version("tensorflow")
    assert (found.device, found.backend) == (DeviceInfo("cpu", "asked for"), "tensorflow")
    assert (found.threads, found.seed, found.command[1:]) == (2, 7, ["train", "--config", "lstm"])
    assert found.cores and found.processor and found.platform


def test_commit_is_that_of_the_source_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment.describe(DEVICE, 0).git_commit
    if (REPOSITORY / ".git").exists():
        head = subprocess.run(["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"], capture_output=True, text=True)
        assert found == head.stdout.strip() and re.fullmatch("[0-9a-f]{40}", found)
    installed = tmp_path / "site-packages" / "rnnsent" / "training" / "environment.py"
    monkeypatch.setattr(environment, "__file__", str(installed))  # in nobody's repository
    assert environment.describe(DEVICE, 0).git_commit is None


def test_peak_memory_is_in_millions_of_bytes() -> None:
    peak_kib = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])
    assert environment.peak_memory_mb() == pytest.approx(peak_kib * 1024 / 1e6, rel=0.01)
