"""Measurements that run in a process of their own, so that none inherits the memory or the threads of another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rnnsent.errors import RnnsentError


def measured_apart(module: str, arguments: Any, what: str) -> Any:
    """Run a module with `arguments` as JSON, and return what it prints last, as JSON.

    Args:
        module: whose `__main__` measures.
        arguments: plain values.
        what: is measured, for the message if that fails.

    Raises:
        RnnsentError: if it fails.
    """
    command = [sys.executable, "-m", module, json.dumps(arguments)]
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}  # benchmarks is not installed
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=here)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise RnnsentError(f"{what} failed: {said[-1] if said else 'without a word'}")
    return json.loads(done.stdout.splitlines()[-1])
