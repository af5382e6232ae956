"""JSON of strangers: bounded in size and depth, and without what JSON does not know, NaN and Infinity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

MAX_BYTES = 256 << 20  # a vocabulary of millions of words has a tenth of it


def read_json(path: Path, limit: int = MAX_BYTES) -> Any:
    """Return what a JSON file in UTF-8 holds.

    Args:
        path: the file.
        limit: of its size in bytes.

    Raises:
        ValueError: if it is larger, nested too deeply, or not JSON.
        OSError: if it cannot be read.
    """
    size = path.stat().st_size
    if size > limit:
        raise ValueError(f"it has {size:,} bytes, {limit:,} are allowed")
    return parse_json(path.read_bytes())


def parse_json(text: bytes | str, *, finite: bool = True) -> Any:
    """Return what JSON text holds.

    Args:
        text: as bytes in UTF-8.
        finite: whether NaN and Infinity, which Python writes and JSON does not know, are refused.

    Raises:
        ValueError: if it is nested too deeply, or not JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse if finite else None)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
