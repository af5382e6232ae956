"""Whether two trainings were one and the same: every file of their runs is compared, and what may differ stands here.

A file that one run has and the other has not is a difference. So is a run that does not agree with its manifest. All
else has to be the same, bytes or values, except

- `COSTS`: times and memory; whether something was in the cache already, which after a kill it may be;
- the id of a training and when it started, which fingerprint.json holds and checkpoints repeat; its command;
- .lock and temporaries of a writer that was killed, which are no part of a run;
- model.keras: when it was saved, and the numbers by which Keras tells objects apart, on from one network of a process
  to the next.
"""

from __future__ import annotations

import csv
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safetensors import safe_open

from rnnsent.errors import RnnsentError
from rnnsent.runs.directory import Run, read_arrays

COSTS = ("seconds", "peak_memory_mb", "tokens_per_second", "elapsed", "cached")
OWN = ("training", "started", "command")
_NUMBERED = re.compile(r'"shared_object_id": \d+|not_equal(_\d+)?')


def compare(one: Path, other: Path) -> list[str]:
    """Return what differs between two runs that should be one."""
    first, second = ({*Run(run).names(), *_manifest(run)} for run in (one, other))
    if not any(name.endswith("weights.safetensors") for name in first):
        return [f"{one} has no weights"]
    found = [f"{name} is in {one if name in first else other} alone" for name in sorted(first ^ second)]
    found += [f"{name} differs" for name in sorted(first & second) if _read(one / name) != _read(other / name)]
    return [*found, *_faults(one), *_faults(other)]


def _manifest(run: Path) -> dict[str, str]:
    return Run(run).manifest() if Run(run).finished else {}


def _faults(run: Path) -> Iterator[str]:
    try:
        Run(run).verify()
        listed = _manifest(run)
        yield from (f"{run / name} is not in the manifest" for name in Run(run).names() if name not in listed)
    except RnnsentError as error:
        yield str(error)


def timeless(value: Any) -> Any:
    """Return what a JSON file holds, without what may differ."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name not in (*COSTS, *OWN)}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def _read(path: Path) -> Any:
    """Return what a file holds that has to be the same in another run."""
    if not path.is_file():
        return None
    reader = _READERS.get(path.name) or _READERS.get(path.suffix) or Path.read_bytes
    return reader(path)


def _history(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return [{name: cell for name, cell in row.items() if name not in COSTS} for row in csv.DictReader(handle)]


def _arrays(path: Path) -> Any:
    with safe_open(path, "np") as handle:
        facts = {name: timeless(json.loads(each)) for name, each in (handle.metadata() or {}).items()}
    return facts, {name: (each.dtype.str, each.shape, each.tobytes()) for name, each in read_arrays(path).items()}


def _keras(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        found: dict[str, Any] = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(found["metadata.json"]) | {"date_saved": None}
    return found | {"metadata.json": metadata, "config.json": _NUMBERED.sub("", found["config.json"].decode())}


_READERS: dict[str, Callable[[Path], Any]] = {
    ".json": lambda path: timeless(json.loads(path.read_bytes())),
    ".safetensors": _arrays,
    "history.csv": _history,
    "model.keras": _keras,
}
