"""The flat cache: arrays that are parsed once and memory-mapped from then on."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.files import home, sha256, umask
from rnnsent.json_files import read_json

logger = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]

_DIGESTS = "sha256.json"  # of every other file of an entry
_ABOUT = "about.json"  # facts of an entry, if there are any


def cache_root() -> Path:
    """Return the folder of the cache: $RNNSENT_CACHE, or `rnnsent` in the user's cache folder."""
    chosen = os.environ.get("RNNSENT_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "rnnsent"


def cached_arrays(
    key: str, build: Callable[[], Arrays], about: Callable[[], Mapping[str, Any]] | None = None
) -> Arrays:
    """Return the arrays stored under `key`, memory-mapped; build and store them the first time.

    An entry appears in full or not at all. A damaged one is built again; if nothing can be written, the arrays are used
    from memory. The log says so.

    Args:
        key: name of the entry.
        build: makes the arrays.
        about: called after `build`, returns facts that JSON can hold, see `stored_facts`.
    """
    entry = cache_root() / key
    stored = stored_arrays(key)
    if stored is not None:
        return stored
    arrays = build()
    try:
        _write(entry, arrays, None if about is None else about())
        return _mapped(entry, arrays)
    except OSError as error:
        _warn_once(cache_root(), error.strerror)
        return arrays


@lru_cache
def _warn_once(root: Path, reason: str) -> None:
    logger.warning("no cache can be written to %s (%s); the next start makes all of it again", root, reason)


def stored_arrays(key: str) -> Arrays | None:
    """Return the arrays stored under `key`, memory-mapped; None if there are none, or they are damaged."""
    entry = cache_root() / key
    files = _verified(entry)
    return None if files is None else _mapped(entry, [name[:-4] for name in files if name.endswith(".npy")])


def stored_facts(key: str) -> dict[str, Any] | None:
    """Return the facts stored under `key`; None if there are none, or they are damaged."""
    entry = cache_root() / key
    facts: dict[str, Any] | None = read_json(entry / _ABOUT) if _verified(entry, _ABOUT) else None
    return facts


def forget(key: str) -> None:
    """Remove what is stored under `key`, if anything is."""
    shutil.rmtree(cache_root() / key, ignore_errors=True)


def _verified(entry: Path, only: str = "") -> list[str] | None:
    """Return the files of an entry, or the one that is asked for; None if there are none, or they are damaged."""
    if not entry.exists():
        return None
    try:
        digests = read_json(entry / _DIGESTS)
        names = [name for name in digests if not only or name == only]
        for name in names:
            if sha256(entry / name) != digests[name]:
                raise ValueError(f"{name} is not what was written")
        if not digests:
            raise ValueError("it lists nothing")
        return names
    except (OSError, ValueError, TypeError) as error:
        logger.warning("the cache in %s is damaged, and made again: %s", entry, error)
        return None


def _mapped(entry: Path, names: Iterable[str]) -> Arrays:
    return {name: np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}


def _write(entry: Path, arrays: Arrays, facts: Mapping[str, Any] | None) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f".{entry.name}-"))
    try:
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        if facts is not None:
            (temporary / _ABOUT).write_text(json.dumps(facts))
        digests = {path.name: sha256(path) for path in temporary.iterdir()}
        (temporary / _DIGESTS).write_text(json.dumps(digests))
        temporary.chmod(0o777 & ~umask())  # mkdtemp keeps others out, who may share the cache
        shutil.rmtree(entry, ignore_errors=True)
        temporary.rename(entry)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
