"""The manifest of a run: which files it was finished with, and the SHA-256 that each may have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rnnsent.errors import RunError
from rnnsent.files import read_plain, sha256
from rnnsent.json_files import read_json

FORMAT = 2  # 1 had no hash of its own
RESTORE = "Restore it from a copy, or train again"
_BY_US = "written by rnnsent, and not edited while this is the SHA-256 of what stands above:"
_MOST_TEXT = 16 << 20  # bytes
_RENEW = (
    "Restore it from a copy, or delete it: train --resume then writes it, and what else is at the end of a training"
)


def text(files: Mapping[str, Sequence[str]]) -> str:
    """Return what is written for these files and the hashes that each may have."""
    listed = dict(sorted(files.items()))
    return json.dumps({"format": FORMAT, "sha256": _digest(listed), "files": listed}, indent=1) + "\n"


def read(path: Path) -> dict[str, list[str]]:
    """Return the files of a manifest, each with the hashes that it may have.

    Raises:
        RunError: if it is damaged, or lists what is no file of a run.
    """
    try:
        found = read_json(path)
        files = {str(name): [str(digest) for digest in digests] for name, digests in found["files"].items()}
        if found["format"] != 1 and found["sha256"] != _digest(files):
            raise RunError(f"{path}: damaged: it is not what was written. {_RENEW}")
        outside = next((name for name in files if not _is_inside(name)), None)
        if outside is not None:
            raise RunError(f"{path}: refused: it lists {outside[:80]!r}, which is no file of a run")
        return files
    except KeyError:
        raise RunError(f"{path}: damaged: it lists no files. {_RENEW}") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RunError(f"{path}: damaged: {error}. {_RENEW}") from None


def faults(
    folder: Path,
    files: Mapping[str, Sequence[str]],
    names: Sequence[str],
    *,
    optional: Collection[str] = (),
    free: Collection[str] = (),
) -> list[str]:
    """Return what is wrong with the files `names` of a run in `folder`.

    Args:
        folder: of the run.
        files: as `read` returns them.
        names: which of them are looked at.
        optional: may be missing: they can be made again.
        free: may be anything: people complete them by hand, and nothing is read from them.
    """
    found = []
    for name in names:
        if name in free:
            continue
        path = folder / name
        if name not in files:
            found.append(f"{name} is not in the manifest")
        elif not path.exists():
            if name not in optional:
                found.append(f"{name} is missing")
        elif not path.is_file():
            found.append(f"{name} is no file any more")
        else:
            with read_errors(path):
                digest = sha256(path)
            if digest not in files[name]:
                found.append(f"{name} was changed after training")
    return found


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about reading into a RunError."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from None


def vouched_for(text: str) -> str:
    """Return a text in Markdown with a comment at its end that holds its SHA-256."""
    return f"{text}<!-- {_BY_US} {hashlib.sha256(text.encode()).hexdigest()} -->\n"


def vouches_for_itself(path: Path) -> bool:
    """Return whether a file holds what `vouched_for` gave, and nobody has edited it since."""
    try:
        text = read_plain(path, _MOST_TEXT).decode()
    except ValueError:
        return False
    return text == vouched_for(text.rpartition("<!--")[0])


def _is_inside(name: str) -> bool:
    """Return whether a name is one of a file in the run, with nothing in it that a terminal would obey."""
    return name.isprintable() and all(part not in ("", ".", "..") for part in name.split("/"))


def _digest(files: Mapping[str, Sequence[str]]) -> str:
    """Return the SHA-256 of what a manifest lists: the manifest has no other to vouch for it."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
