"""The flat cache: arrays that were parsed once and are memory-mapped ever after."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.files import home, sync_directory, umask
from rnnsent.jsonfile import read_json

logger = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]


def cache_root() -> Path:
    """Return the folder of the cache: $RNNSENT_CACHE, or `rnnsent` in the user's cache folder."""
    chosen = os.environ.get("RNNSENT_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "rnnsent"


def cached_arrays(key: str, build: Callable[[], Arrays]) -> Arrays:
    """Return the arrays stored under `key`, memory-mapped; build and store them the first time.

    An entry appears in full or not at all. One that cannot be read is built again; where nothing can be written, the
    arrays are used from memory and the log says so.
    """
    entry = cache_root() / key
    stored = _read(entry)
    if stored is not None:
        return stored
    arrays = build()
    try:
        _write(entry, arrays)
    except OSError as error:
        logger.warning("no cache written to %s (%s); the next start will parse the data again", entry, error.strerror)
        return arrays
    return _read(entry) or arrays


def _read(entry: Path) -> Arrays | None:
    try:
        shapes = read_json(entry / "shapes.json")
        arrays = {name: np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in shapes}
        whole = bool(arrays) and all(list(array.shape) == shapes[name] for name, array in arrays.items())
    except (OSError, ValueError, EOFError, TypeError, KeyError):
        return None
    return arrays if whole else None


def _write(entry: Path, arrays: Arrays) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f".{entry.name}-"))
    try:
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        (temporary / "shapes.json").write_text(json.dumps({name: array.shape for name, array in arrays.items()}))
        shutil.rmtree(entry, ignore_errors=True)
        temporary.chmod(0o777 & ~umask())  # mkdtemp keeps others out, who may share the cache
        temporary.rename(entry)
        sync_directory(entry.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
