"""JSON of strangers: bounded in size and depth, and without what JSON does not know, NaN and Infinity.

What rnnsent itself reads again before there is a manifest vouches for itself: it holds the SHA-256 of what it says.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from rnnsent.files import plain_size, read_plain

MAX_BYTES = 256 << 20  # a vocabulary of millions of words has a tenth of it

_SEAL = "sha256"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # half a character, or the first half of a whole one


def read_json(path: Path, limit: int = MAX_BYTES) -> Any:
    """Return what a JSON file in UTF-8 holds.

    Args:
        path: the file.
        limit: of its size in bytes.

    Raises:
        ValueError: if it is larger, nested too deeply, or not JSON.
        OSError: if it cannot be read.
    """
    size = plain_size(path)
    if size > limit:
        raise ValueError(f"it has {size:,} bytes, {limit:,} are allowed")
    return parse_json(read_plain(path, limit))


def parse_json(text: bytes | str, *, finite: bool = True) -> Any:
    """Return what JSON text holds.

    Args:
        text: as bytes in UTF-8.
        finite: whether NaN and Infinity, which Python writes and JSON does not know, are refused.

    Raises:
        ValueError: if it is nested too deeply, holds half a character, which no file could hold again, or is not JSON.
    """
    try:
        found = json.loads(text, parse_constant=_refuse if finite else None)
        if _SURROGATE.search(text if isinstance(text, bytes) else text.encode(errors="replace")):
            json.dumps(found, ensure_ascii=False).encode()
        return found
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half a character") from None


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values`, none of whose keys is `sha256`, with their SHA-256 before them."""
    return {_SEAL: _digest(values), **values}


def unsealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `sealed` was given.

    Raises:
        ValueError: if it is not what was written.
    """
    found = {key: value for key, value in values.items() if key != _SEAL}
    if values.get(_SEAL) != _digest(found):
        raise ValueError("it is not what was written")
    return found


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def json_line(value: Any) -> str:
    """Return a value as JSON on one line, its characters as they are but for those that are not to be seen.

    Those are escaped: a terminal obeys some of them. A reader of JSON finds the same.
    """
    line = json.dumps(value, ensure_ascii=False)
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
