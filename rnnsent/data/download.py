"""The only place that touches the network: one file, checked before it takes its name."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from rnnsent.errors import DataUnavailable
from rnnsent.files import atomic_path

Progress = Callable[[str, int, int | None], None]  # file name, bytes so far, bytes in all where known

TIMEOUT_S = 20
CHUNK_BYTES = 1 << 18
MAX_BYTES = 1 << 30


def download(url: str, target: Path, *, digest: str, progress: Progress | None = None) -> Path:
    """Fetch `url` to `target`, which appears only when the bytes have the right hash.

    Args:
        url: http, https or file address.
        target: where the file goes; its folder is made.
        digest: "sha256:…" or "md5:…", in hexadecimal.
        progress: called after every chunk.

    Raises:
        DataUnavailable: if the server cannot be reached, breaks off, or sends something else; `target` is untouched.
    """
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
                    if received > MAX_BYTES:
                        raise DataUnavailable(f"{url}: sends more than {MAX_BYTES:,} bytes")
                    if progress:
                        progress(target.name, received, total)
            if hasher.hexdigest() != expected:
                raise DataUnavailable(
                    f"{url}: received {received:,} bytes with {algorithm} {hasher.hexdigest()}, expected {expected}"
                )
    except urllib.error.URLError as error:
        raise DataUnavailable(f"{url}: {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DataUnavailable(f"{url}: {error}") from None
    return target
