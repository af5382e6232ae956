"""JSON files of a run that vouch for themselves, from when they are written: they hold the SHA-256 of what they say.

The manifest comes last. Until then a training that was killed goes on by these, and has nothing else to check them by.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from rnnsent.errors import RunError
from rnnsent.runs import RunDirectory, json_text

_DIGEST = "sha256"


def write(run: RunDirectory, name: str, values: dict[str, Any]) -> None:
    """Write `values` into the file `name` of a run; none of their keys is `sha256`."""
    run.write(name, json_text({_DIGEST: _digest(values), **values}))


def read(run: RunDirectory, name: str) -> dict[str, Any]:
    """Return what `write` was given.

    Raises:
        RunError: if the file cannot be read, or is not what was written.
    """
    values = run.read_json(name)
    if values.pop(_DIGEST, None) != _digest(values):
        raise RunError(f"{run.file(name)}: damaged: it is not what was written")
    return values


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
