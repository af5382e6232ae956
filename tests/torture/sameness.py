"""Whether two trainings were one and the same: every file of their runs is compared, and what may differ stands here.

A file that one run has and the other has not is a difference. So is a run that is not finished, or does not agree with
its manifest. All else has to be the same, bytes or values, but for

- `COSTS`: times and memory; whether something was in the cache already, which after a kill it may be;
- the identity of a training, which origin.json gives it and checkpoints repeat;
- where it was trained: program, --run-dir, and, where the kill came before origin.json, that it went on;
- names of what has none of its own, the masks and random generators: Keras numbers them, on from one network of a
  process to the next; they stand in model.keras, summary.txt, checkpoints and TensorBoard's graphs;
- model.keras: when it was saved, and the addresses in memory by which Keras tells its initializers apart;
- .lock, which is no part of a run: a kill after the manifest leaves it;
- model_card.md: a function of other files, and compared with what it is of those;
- trackers: the names of their own runs and files, when they wrote what, and how often: a kill between an epoch's log
  and its checkpoint lets it be logged twice.
"""

from __future__ import annotations

import csv
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rnnsent.runs.lock import LOCK
from rnnsent.runs.manifest import vouches_for_itself

from rnnsent.config.loader import load_config
from rnnsent.errors import RnnsentError
from rnnsent.json_files import unsealed
from rnnsent.reporting import model_card
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory

COSTS = ("seconds", "seconds_to_best", "peak_memory_mb", "tokens_per_second", "elapsed", "cached")
# What TensorBoard is told that is a time.
_UNLIKE = ("epoch_tokens_per_second", "epoch_seconds", "epoch_elapsed")
_MASK = re.compile(r"not_equal(_\d+)?[ ]*")
_EVENTS = re.compile(r"(logs/tensorboard/.*)events\.out\.tfevents\..*")
_ELSEWHERE = "logs/wandb/"  # records in a form of its own, under names that are times
_PLACE = re.compile(r"(rnnsent (?:eval|baseline|robustness)) [^ `]+")  # of the run, in commands of its card


def compare(one: Path, other: Path) -> list[str]:
    """Return what differs between two runs that should be one."""
    first, second = _files(one), _files(other)
    if not any(name.endswith(runs.WEIGHTS) for name in first):
        return [f"{one} has no weights"]
    found = [f"{name} is in {one if name in first else other} alone" for name in sorted(first.keys() ^ second.keys())]
    both = sorted(first.keys() & second.keys())
    found += [fault for name in both if (fault := _difference(name, first[name], second[name]))]
    return [*found, *_of_one(one), *_of_one(other)]


def timeless(value: Any) -> Any:
    """Return what a JSON file says, without the time and the memory that it took."""
    if isinstance(value, dict):
        return {name: timeless(each) for name, each in value.items() if name not in COSTS}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def _files(run: Path) -> dict[str, Path]:
    """Return the files of a run, by a name that is the same in another one; one for all event files of a folder."""
    names = [name for name in RunDirectory(run).names() if name != LOCK and not name.startswith(_ELSEWHERE)]
    return {_EVENTS.sub(r"\1events", name): run / name for name in names}


def _difference(name: str, one: Path, other: Path) -> str | None:
    """Return what differs between two files that should be one."""
    try:
        if name in (runs.ENVIRONMENT, runs.ORIGIN) and not _same_start(one, other):
            return f"{name} differs in its command"
        return None if _said(one) == _said(other) else f"{name} differs"
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        return f"{name} cannot be read in {one.parent} or {other.parent}: {error}"


def _of_one(run: Path) -> Iterator[str]:
    """Yield what is wrong with a run, whatever others are."""
    try:
        RunDirectory(run).verify()
        listed = {*RunDirectory(run).manifest(), LOCK}
        yield from (f"{run / name} is not in the manifest" for name in RunDirectory(run).names() if name not in listed)
        config, metrics = load_config(str(run / runs.CONFIG)), RunDirectory(run).read_json(runs.METRICS)
        card = model_card.of_run(RunDirectory(run), config, metrics)
    except (RnnsentError, OSError) as error:
        yield f"{run} is not sound: {error}"
        return
    if not vouches_for_itself(run / runs.MODEL_CARD):
        yield f"{run / runs.MODEL_CARD} was edited"
    elif _without_place(card) != _without_place((run / runs.MODEL_CARD).read_text(encoding="utf-8")):
        yield f"{run / runs.MODEL_CARD} is not what its files say"


def _without_place(card: str) -> str:
    """Return a card without where its run is, and without the SHA-256 of what it says with that."""
    return _PLACE.sub(r"\1", card.rpartition("<!--")[0])


def _said(path: Path) -> Any:
    """Return what a file says that has to be the same in another run."""
    if _EVENTS.search(path.as_posix()):
        return {point for file in path.parent.glob("*.tfevents.*") for point in _events(file)}
    return _READERS.get(path.parent.name if path.parent.name == runs.CHECKPOINTS else path.name, Path.read_bytes)(path)


def _same_start(one: Path, other: Path) -> bool:
    """Return whether two files tell of the same start, if both do: who goes on keeps what was there."""
    commands = [json.loads(path.read_bytes())["command"] for path in (one, other)]
    started = [[word for before, word in pairwise(command) if before != "--run-dir"] for command in commands]
    return started[0] == started[1] or any("--resume" in command for command in commands)


def _history(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return [{name: cell for name, cell in row.items() if name not in COSTS} for row in csv.DictReader(handle)]


def _checkpoint(path: Path) -> Any:
    """Return facts and arrays; of a generator or a variable of the optimizer its number is its name."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "sha256"}
    facts = timeless(json.loads(arrays.pop("facts").tobytes())) | {"training": None}
    named = {re.sub(r"^((?:random|optimizer)/\d+)/.*", r"\1", name): array for name, array in arrays.items()}
    return facts, {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in named.items()}


def _keras(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        found: dict[str, Any] = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(found["metadata.json"])
    config = re.sub(r'"shared_object_id": \d+', "", _MASK.sub("", found["config.json"].decode()))
    return found | {"metadata.json": metadata | {"date_saved": None}, "config.json": config}


def _events(path: Path) -> Iterator[tuple[Any, ...]]:
    """Yield step, name and value of what TensorBoard was told."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            if value.tag not in _UNLIKE:
                yield event.step, value.tag, value.tensor.SerializeToString()


_READERS: dict[str, Callable[[Path], Any]] = {
    runs.METRICS: lambda path: timeless(json.loads(path.read_bytes())),
    runs.ENVIRONMENT: lambda path: json.loads(path.read_bytes()) | {"command": None},
    runs.ORIGIN: lambda path: unsealed(json.loads(path.read_bytes())) | {"training": None, "command": None},
    runs.HISTORY: _history,
    runs.CHECKPOINTS: _checkpoint,
    runs.LANGUAGE_MODEL: lambda path: timeless(unsealed(json.loads(path.read_bytes()))),
    runs.MODEL: _keras,
    runs.SUMMARY: lambda path: _MASK.sub("", path.read_text()),
    runs.MODEL_CARD: lambda path: None,
}
