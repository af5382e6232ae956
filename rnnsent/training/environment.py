"""What a run ran on: versions, machine, memory."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rnnsent.engine.device import Device
from rnnsent.runs.schemas import DeviceInfo, Environment

PACKAGES = ("rnnsent", "keras", "tensorflow", "jax", "numpy", "gensim", "scikit-learn")


def describe(device: Device, seed: int) -> Environment:
    """Return versions, processor, threads, seed and the git commit of the code, for environment.json."""
    return Environment(
        python=platform.python_version(),
        packages=versions(),
        platform=platform.platform(),
        processor=processor(),
        cores=os.cpu_count(),
        device=DeviceInfo(device.name, device.because),
        backend=device.backend,
        threads=device.threads,
        seed=seed,
        git_commit=_git_commit(),
        command=list(sys.argv),
    )


def peak_memory_mb() -> float:
    """Return the largest resident size of this process so far, in MB (10⁶ bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def versions() -> dict[str, str]:
    """Return the versions of the packages that weights come from, of those that are installed."""
    packages = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return packages


def _git_commit() -> str | None:
    """Return the commit of the source tree that is running, if it is one."""
    source = Path(__file__).parent.parent
    if not (source.parent / ".git").exists():
        return None
    git = subprocess.run(["git", "-C", str(source), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return git.stdout.strip() or None
