"""The flat cache: arrays that are parsed once and memory-mapped from then on."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.files import home, umask

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

    An entry appears in full or not at all. If it cannot be written, the arrays stay in memory, and the log says so.
    """
    if (stored := stored_arrays(key)) is not None:
        return stored
    arrays = build()
    try:
        _write(cache_root() / key, arrays)
    except OSError as error:
        _warn_once(cache_root(), error.strerror)
        return arrays
    return stored_arrays(key) or arrays


def stored_arrays(key: str) -> Arrays | None:
    """Return the arrays stored under `key`, memory-mapped; None if there are none, or their files are damaged."""
    entry = cache_root() / key
    try:
        files = sorted(entry.glob("*.npy"))
        return {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in files} or None
    except (OSError, ValueError) as error:
        logger.warning("the cache in %s is damaged, and made again: %s", entry, error)
        return None


@lru_cache
def _warn_once(root: Path, reason: str) -> None:
    logger.warning("no cache can be written to %s (%s); the next start makes all of it again", root, reason)


def _write(entry: Path, arrays: Arrays) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f".{entry.name}-"))
    try:
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        temporary.chmod(0o777 & ~umask())  # mkdtemp keeps others out, who may share the cache
        shutil.rmtree(entry, ignore_errors=True)
        temporary.rename(entry)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
