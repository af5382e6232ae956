"""What a run ran on: versions, machine, memory."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rnnsent.engine.device import Device

PACKAGES = ("rnnsent", "keras", "tensorflow", "numpy")
LIBRARIES = ("gensim", "scikit-learn")  # that weights come from where a config asks for it

Surroundings = dict[str, Any]  # what `surroundings` returns


def describe(device: Device, seed: int) -> dict[str, Any]:
    """Return versions, processor, threads, seed and the git commit of the code, for environment.json."""
    return {
        "python": platform.python_version(),
        "packages": _versions((*PACKAGES, *LIBRARIES, device.backend)),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "device": {"name": device.name, "because": device.because},
        "backend": device.backend,
        "threads": device.threads,
        "seed": seed,
        "git_commit": _git_commit(),
        "command": sys.argv,
    }


def surroundings(device: Device, engine: str) -> Surroundings:
    """Return what the bits of a training depend on besides its config and its texts, by name.

    Args:
        device: on which it runs.
        engine: the path of its recurrent layer, see `engine.paths`.
    """
    machine = {"processor": processor(), "device": device.name, "backend": device.backend, "threads": device.threads}
    return {
        "python": platform.python_version(),
        **_versions((*PACKAGES, *LIBRARIES, device.backend)),
        **machine,
        "engine": engine,
    }


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


def _versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those that are installed: JAX does without TensorFlow, a source tree without itself."""
    found = {}
    for name in packages:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _git_commit() -> str | None:
    """Return the commit of the source tree that is running, if it is one."""
    source = Path(__file__).parent.parent
    if not (source.parent / ".git").exists():
        return None
    found = subprocess.run(["git", "-C", str(source), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
