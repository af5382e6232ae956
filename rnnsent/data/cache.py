"""The flat cache: arrays that were parsed once and are memory-mapped ever after."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.files import home, sha256, sync_directory, umask, write_atomic
from rnnsent.json_files import read_json, sealed, unsealed

logger = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]

_DIGESTS = "sha256.json"
_REPLACED = ".replaced"
_ABOUT = "about.json"  # facts of an entry, if any were given; not among the digests, which name arrays


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

    What `about` returns after `build`, facts that JSON can hold, is stored with them, see `stored_facts`. An entry
    appears in full or not at all. One that is not, byte for byte, what was written is built again; where nothing can be
    written, the arrays are used from memory. The log says so.
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
        _tell_once(cache_root(), error.strerror)
        return arrays


@lru_cache
def _tell_once(root: Path, why: str) -> None:
    logger.warning("no cache can be written to %s (%s); the next start makes all of it again", root, why)


def stored_arrays(key: str) -> Arrays | None:
    """Return the arrays stored under `key`, memory-mapped; None where there are none, or they are damaged."""
    return _read(cache_root() / key)


def stored_facts(key: str) -> dict[str, Any] | None:
    """Return the facts stored under `key`; None where there are none, or they are not what was written."""
    path = cache_root() / key / _ABOUT
    try:
        return unsealed(read_json(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        logger.warning("%s is damaged, and not used: %s", path, error)
        return None


def forget(key: str) -> None:
    """Remove what is stored under `key`, if anything is."""
    shutil.rmtree(cache_root() / key, ignore_errors=True)


def _read(entry: Path) -> Arrays | None:
    if not entry.exists():
        return None
    try:
        digests = read_json(entry / _DIGESTS)
        if not digests:
            raise ValueError("it lists nothing")
        for name, digest in digests.items():
            if sha256(entry / f"{name}.npy") != digest:
                raise ValueError(f"{name}.npy is not what was written")
        return _mapped(entry, digests)
    except (OSError, ValueError, EOFError, AttributeError) as error:
        logger.warning("the cache in %s is damaged, and made again: %s", entry, error)
        return None


def _mapped(entry: Path, names: Iterable[str]) -> Arrays:
    return {name: np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}


def _write(entry: Path, arrays: Arrays, facts: Mapping[str, Any] | None) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f".{entry.name}-"))
    try:
        for name, array in arrays.items():
            with (temporary / f"{name}.npy").open("wb") as handle:
                np.save(handle, array, allow_pickle=False)
                handle.flush()
                os.fsync(handle.fileno())
        digests = {name: sha256(temporary / f"{name}.npy") for name in arrays}
        if facts is not None:
            write_atomic(temporary / _ABOUT, json.dumps(sealed(facts)))
        write_atomic(temporary / _DIGESTS, json.dumps(digests))
        temporary.chmod(0o777 & ~umask())  # mkdtemp keeps others out, who may share the cache
        with suppress(FileNotFoundError):  # as a whole: whoever reads it meanwhile never sees half of it
            entry.rename(temporary / _REPLACED)
        temporary.rename(entry)
        sync_directory(entry.parent)
        shutil.rmtree(entry / _REPLACED, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
