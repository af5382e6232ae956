"""Whether a stopped training is still the same: the fingerprint of its data, versions and machine."""

from __future__ import annotations

import datetime
import hashlib
import logging
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnsent.config.loader import load_config
from rnnsent.config.sections import Config
from rnnsent.data.dataset import Partition, Split
from rnnsent.engine.device import Device
from rnnsent.engine.dispatch import choose
from rnnsent.errors import RunError, count
from rnnsent.files import sha256
from rnnsent.runs.directory import CHECKPOINTS, CONFIG, FINGERPRINT, MEMBERS, Run
from rnnsent.runs.schemas import Environment, Fingerprint
from rnnsent.training.checkpoint import CheckpointFolder

logger = logging.getLogger(__name__)


def fingerprint(name: str, config: Config, split: Partition, device: Device, environment: Environment) -> Fingerprint:
    """Return the fingerprint of a new training."""
    splits = {"train": split.train, "validation": split.validation}
    if split.unlabeled is not None:
        splits["unlabeled"] = split.unlabeled
    data = {part: digest(texts) for part, texts in splits.items()}
    data["vocabulary"] = hashlib.sha256(split.vocabulary.to_json().encode()).hexdigest()
    vectors = config.model.vectors
    if vectors is not None and vectors.path is not None:
        data["word vectors"] = sha256(Path(vectors.path))
    if config.data.corrections is not None:
        data["corrections"] = sha256(Path(config.data.corrections))
    if config.training.initial_run is not None:
        data["initial run"] = Run(Path(config.training.initial_run)).sha256
    engine = [", ".join(map(str, choose(member, device))) for member in config.members]
    return Fingerprint(
        training=uuid.uuid4().hex,
        name=name,
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        data=data,
        versions={"python": environment.python, **environment.packages},
        machine={
            "processor": environment.processor,
            "device": device.name,
            "backend": device.backend,
            "threads": str(device.threads),
            "engine": "; ".join(engine),
        },
    )


def digest(split: Split) -> str:
    """Return the SHA-256 of the texts of a split in their order, as they are read, and of their labels."""
    hasher = hashlib.sha256(f"{split.limit}".encode())
    for array in (split.lengths, split.labels):
        hasher.update(np.ascontiguousarray(array).data)
    for start, length in zip(split.starts.tolist(), split.lengths.tolist(), strict=True):
        hasher.update(np.ascontiguousarray(split.tokens[start : start + length]).data)
    return hasher.hexdigest()


def require_same(run: Run, now: Fingerprint) -> Fingerprint:
    """Return the fingerprint that a run began with, if the data are still the same.

    Other versions or another machine are a warning: the weights may then differ in their last bits.

    Raises:
        RunError: if the data are others.
    """
    original = run.read_record(FINGERPRINT, Fingerprint)
    parts = [part for part in {**original.data, **now.data} if original.data.get(part) != now.data.get(part)]
    if parts:
        raise RunError(
            f"{run}: cannot be resumed: its {' and '.join(parts)} data changed since it began; restore them, or "
            "start a new run"
        )
    differences = [*_differences(original.versions, now.versions), *_differences(original.machine, now.machine)]
    if differences:
        logger.warning("%s: resumed with other versions or another machine, so bits may differ:", run)
        for line in differences:
            logger.warning("  %s", line)
    return original


def _differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    return [f"{name}: {then.get(name, 'none')} → {now.get(name, 'none')}" for name in names]


def resumed_config(run: Run, epochs: int | None) -> Config:
    """Return the config with which a run is resumed: its own, perhaps with more epochs.

    Raises:
        RunError: if config.yaml was edited, or fewer epochs are requested than were trained.
    """
    config = run.config
    new_config = replace(load_config(str(run.file(CONFIG))), ensemble=config.ensemble)
    if new_config != config:
        raise RunError(
            f"{run.file(CONFIG)}: was edited, and the config of a run cannot change; start a new run with it: "
            f"rnnsent train --config {run.address}/{CONFIG}"
        )
    if epochs is None:
        return config
    total = max(checkpoint_epochs(run, config), default=0)
    if epochs < total:
        raise RunError(f"--epochs {epochs}: {run} has trained {count(total, 'epoch')} already; ask for more")
    training = replace(config.training, epochs=epochs)
    return replace(config, training=training)


def network_runs(run: Run, config: Config) -> list[Run]:
    """Return where the networks that predict are kept, in the order of `config.members`."""
    if config.ensemble is None:
        return [run] if config.members else []
    return [run.part(MEMBERS, number) for number in range(1, len(config.members) + 1)]


def checkpoint_epochs(run: Run, config: Config) -> list[int]:
    """Return how many epochs each network has trained, going by its checkpoints."""
    folders = [CheckpointFolder(network.file(CHECKPOINTS), network.training) for network in network_runs(run, config)]
    return [folder.epoch for folder in folders]
