"""JSON files of a run that vouch for themselves, from when they are written.

The manifest comes last. Until then a training that was killed goes on by these, and has nothing else to check them by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnsent.errors import RunError
from rnnsent.json_files import sealed, unsealed
from rnnsent.runs.directory import RunDirectory, json_text
from rnnsent.runs.manifest import RESTORE
from rnnsent.runs.schemas import Record, checked


def write(run: RunDirectory, name: str, values: Mapping[str, Any]) -> None:
    """Write `values` into the file `name` of a run; none of their keys is `sha256`."""
    run.write(name, json_text(sealed(values)))


def read(run: RunDirectory, name: str, kind: type[Record]) -> dict[str, Any]:
    """Return what `write` was given; a stranger may have done so, and then it is of this `kind` at least.

    Raises:
        RunError: if the file cannot be read, is not what was written, or does not say what it must.
    """
    path = run.file(name)
    if not path.exists():
        raise RunError(f"{path}: is missing. {RESTORE}")
    try:
        values = unsealed(run.read_json(name))
    except ValueError as error:
        raise RunError(f"{path}: damaged: {error}. {RESTORE}") from None
    checked(kind, values, str(path))
    return values
