"""What a training comes from, config, data, versions, machine: whether another one would be the same, bit for bit."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnnsent.config import Config
from rnnsent.config.loader import load_config, override_config
from rnnsent.data.split import Split
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.engine.device import Device
from rnnsent.engine.dispatch import choose
from rnnsent.errors import RunError
from rnnsent.evaluation.comparison import differing
from rnnsent.files import sha256
from rnnsent.models import requirements
from rnnsent.runs import directory as runs
from rnnsent.runs import schemas as records
from rnnsent.runs import sealed
from rnnsent.runs.directory import RunDirectory
from rnnsent.training.environment import LIBRARIES
from rnnsent.training.features import Prepared

Origin = dict[str, Any]

# What neither changes a weight nor what is said of the run: reviews and word vectors are compared, not their place.
FREE = (
    "config.training.checkpoint_every", "config.training.trackers", "config.data.path", "config.data.test_path",
    "config.model.vectors.path",
)  # fmt: skip

_CHUNK = 1 << 20  # tokens


def of_training(
    name: str,
    config: Config,
    reviews: Prepared,
    device: Device,
    environment: Mapping[str, Any],
    training: str | None = None,
) -> Origin:
    """Return what the training `name` comes from.

    Args:
        name: of the training.
        config, reviews, device: of it.
        environment: as in environment.json.
        training: its identity, if it goes on; None: a new one.
    """
    parts = {"train": reviews.parts.train, "validation": reviews.parts.validation}
    if reviews.parts.unlabeled is not None:
        parts["unlabeled"] = reviews.parts.unlabeled
    return {
        "name": name,
        "training": training or uuid.uuid4().hex,
        "command": environment["command"],
        "config": config.to_dict(),
        "data": {
            **{part: fingerprint(split) for part, split in parts.items()},
            "vocabulary": digest_of(reviews.parts.vocabulary),
            **_vectors(config),
        },
        "versions": _versions(config, environment),
        "machine": {
            "processor": environment["processor"],
            "device": device.name,
            "backend": device.backend,
            "threads": device.threads,
            "engine": {
                str(number): ", ".join(map(str, choose(member, device)))
                for number, member in enumerate(config.members, start=1)
            },
        },
    }


def _vectors(config: Config) -> dict[str, str]:
    """Return the SHA-256 of the file of word vectors that the networks begin with, if one is named."""
    asked = config.model.vectors
    return {} if asked is None or asked.path is None else {"vectors": sha256(Path(asked.path))}


def _versions(config: Config, environment: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the versions of what the weights come from: of libraries that are not used none."""
    unused = set(LIBRARIES) - requirements.packages(config)
    packages = {name: version for name, version in environment["packages"].items() if name not in unused}
    return {"python": environment["python"], **packages, "code": environment["git_commit"]}


def fingerprint(split: Split) -> str:
    """Return the SHA-256 of the reviews of a split in their order, as they are read, and of their labels."""
    digest = hashlib.sha256()
    for part in (split.lengths, split.labels):
        digest.update(np.ascontiguousarray(part).data)
    tokens: list[Any] = []
    held = 0
    for start, length in zip(split.starts.tolist(), split.lengths.tolist(), strict=True):
        tokens.append(split.tokens[start : start + length])
        held += length
        if held >= _CHUNK:
            digest.update(np.concatenate(tokens).data)
            tokens, held = [], 0
    if tokens:
        digest.update(np.concatenate(tokens).data)
    digest.update(str(split.limit).encode())
    return digest.hexdigest()


def write(run: RunDirectory, origin: Origin) -> None:
    """Keep it in the run."""
    sealed.write(run, runs.ORIGIN, origin)


def read(run: RunDirectory) -> Origin | None:
    """Return what a run comes from; None where it was stopped before that was known.

    Raises:
        RunError: if the file is damaged.
    """
    if not run.file(runs.ORIGIN).is_file():
        return None
    return sealed.read(run, runs.ORIGIN, records.Origin)


def with_words(run: RunDirectory, then: Origin) -> Origin:
    """Return `then` with the words of the run, which older versions of rnnsent did not note.

    Raises:
        DataError: if its vocabulary.json is damaged.
    """
    path = run.file(runs.VOCABULARY)
    if "vocabulary" in then["data"] or not path.is_file():
        return then
    return {**then, "data": {**then["data"], "vocabulary": digest_of(Vocabulary.load(path))}}


def digest_of(vocabulary: Vocabulary) -> str:
    """Return the SHA-256 of words, as an origin notes them."""
    return hashlib.sha256(vocabulary.to_json().encode()).hexdigest()


def with_changes(now: Origin, then: Origin, lines: Iterable[str]) -> Origin:
    """Return `now` with all that was changed in the course of the training: before `then`, and, in `lines`, since."""
    every = [*then.get("changes", []), *(line.strip() for line in lines)]
    return {**now, "changes": every} if every else now


def config_of(run: RunDirectory, overrides: Mapping[str, object]) -> Config:
    """Return the config with which a run goes on: its own, with what was changed in its config.yaml, and `overrides`.

    Raises:
        ConfigError: with every problem of the file and of the overrides.
        RunError: if there is no config, or what the run comes from cannot be read.
    """
    path = run.file(runs.CONFIG)
    if not path.is_file():
        raise RunError(f"{path}: is missing; without it nobody knows what was trained")
    config = load_config(str(path))
    origin = read(run)
    whole = None if origin is None else origin["config"].get("ensemble")
    if (
        isinstance(whole, list)
        and config.ensemble is not None
        and config.to_dict()["ensemble"] == whole[: len(config.ensemble)]
    ):
        # A training that was stopped wrote of which networks the run consists; the others are still to come.
        config = override_config(config, {"ensemble": whole}, str(path))
    return override_config(config, overrides, str(path), to_train=True)


def changes(then: Origin, now: Origin) -> dict[str, tuple[Any, Any]]:
    """Return what differs, {"config.training.epochs": (then, now)}, and would make another training of it."""
    same = {"name": None, "training": None, "command": None, "changes": None}
    first, other = ({**each, **same, "networks": _networks(each)} for each in (then, now))
    return differing(first, other, leave=lambda key: key.startswith(FREE))


def _networks(origin: Origin) -> int:
    """Return how many there are; of one that changes nothing in the config its own keys are all null."""
    ensemble = origin["config"].get("ensemble")
    return len(ensemble) if isinstance(ensemble, list) else 1


_SAME_WORDS = "--allow-changes goes on only where each row of the embedding still stands for the same word"


def require_same(run: RunDirectory, then: Origin, now: Origin, *, allowed: bool) -> dict[str, str]:
    """Return a line for each difference, by its key, if they are allowed.

    Raises:
        RunError: naming all, if they are not.
    """
    lines = {key: _line(key, before, after) for key, (before, after) in changes(then, now).items()}
    if lines and not allowed:
        anyhow = (
            "train anew with another --run-dir"
            if "data.vocabulary" in lines
            else "go on all the same with --allow-changes"
        )
        raise RunError(
            f"{run}: would not go on as the same training:\n" + "\n".join(lines.values()) + "\n"
            f"  Undo the change, or {anyhow}"
        )
    return lines


def _line(key: str, before: Any, after: Any) -> str:
    if key.startswith("data."):
        what = {"data.vectors": "word vectors", "data.vocabulary": "words"}.get(key, "reviews")
        return f"  {key}: other {what} than those the training began with (SHA-256 {_short(before)} → {_short(after)})"
    return f"  {key}: {_shown(before)} → {_shown(after)}"


def _short(digest: str | None) -> str:
    return "none" if digest is None else f"{digest[:12]}…"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
