"""The files of the IMDB reviews: where they are looked for, and how they are downloaded."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

from rnnsent.errors import DataError, DataUnavailable
from rnnsent.files import atomic_path, home

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int | None], None]  # file name, bytes so far, bytes in all if known

BASE_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
DIGESTS = {
    "imdb.npz": "sha256:69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    "imdb_word_index.json": "md5:bfafd718b763782e994055a2d397834f",
}
TIMEOUT_S = 20
CHUNK_BYTES = 1 << 18


def places(name: str) -> list[Path]:
    """Return where `name` is looked for when no path is given, first place first."""
    folder = os.environ.get("RNNSENT_DATA")
    keras = Path(os.environ.get("KERAS_HOME") or home() / ".keras") / "datasets"
    return [*([Path(folder) / name] if folder else []), keras / name]


def find(name: str, path: str | Path | None = None, *, progress: Progress | None = None) -> Path:
    """Return the file called `name`, a key of `DIGESTS`.

    Args:
        path: the file, its folder, or a file beside it; None looks in `places`, then downloads to the last of them.

    Raises:
        DataError: if it is not at `path`.
        DataUnavailable: if it is nowhere and cannot be downloaded.
    """
    if path is not None:
        path = Path(path)
        beside = path.with_name(name) if name.endswith(".json") and path.suffix != ".json" else path
        file = path / name if path.is_dir() else beside
        if not file.is_file():
            raise DataError(f"{file}: no such file; data.path names {name} or the folder that holds it")
        return file
    candidates = places(name)
    for place in candidates:
        if place.is_file():
            return place
        if name == "imdb.npz" and place != candidates[-1]:
            logger.warning("RNNSENT_DATA=%s holds no imdb.npz", place.parent)
    try:
        return download(BASE_URL + name, candidates[-1], digest=DIGESTS[name], progress=progress)
    except DataUnavailable as error:
        missing = " or ".join(map(str, candidates))
        raise DataUnavailable(f"there is no {missing}, and the download failed: {error}") from None


def download(url: str, target: Path, *, digest: str, progress: Progress | None = None) -> Path:
    """Fetch `url` to `target`, which appears only when the bytes have the right hash.

    Args:
        digest: "sha256:…" or "md5:…", in hexadecimal.
        progress: called after every chunk.

    Raises:
        DataUnavailable: if the server cannot be reached, breaks off, or sends something else; `target` is untouched.
    """
    # Imported here: a prediction needs no network.
    import http.client
    import urllib.request

    algorithm, _, expected = digest.partition(":")
    hasher = hashlib.new(algorithm)
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, atomic_path(target) as temporary:
            length = response.headers.get("Content-Length")
            total, received = (int(length) if length else None), 0
            with temporary.open("wb") as handle:
                while chunk := response.read(CHUNK_BYTES):
                    handle.write(chunk)
                    hasher.update(chunk)
                    received += len(chunk)
                    if progress:
                        progress(target.name, received, total)
            if hasher.hexdigest() != expected:
                raise DataUnavailable(
                    f"{url}: received {received:,} bytes with {algorithm} {hasher.hexdigest()}, expected {expected}"
                )
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DataUnavailable(f"{url}: {getattr(error, 'reason', error)}") from None
    return target
