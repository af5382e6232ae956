"""What a tracker is told, and what it has to do."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from rnnsent.config import Config, Section
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.runs.directory import RunDirectory
from rnnsent.training.observers import EpochFacts, Observer

if TYPE_CHECKING:
    import keras

Status = Literal["finished", "stopped", "failed"]


@dataclass(frozen=True)
class Beginning:
    """What is known before the first network is built.

    Attributes:
        run: where the files go.
        config: as it is used.
        data, environment: as in metrics.json and environment.json.
        id: of the tracker's own run that is to go on; None: a new one.
    """

    run: RunDirectory
    config: Config
    data: Mapping[str, Any]
    environment: Mapping[str, Any]
    id: str | None = None


@dataclass(frozen=True)
class Network:
    """A network that is about to be trained.

    Attributes:
        place: the folder of its files in the run, such as "members/2"; "" where they are those of the run.
        plain: the same network of stock layers; once trained it holds the weights of the best epoch.
        vocabulary: what the rows of its embedding stand for.
    """

    place: str
    plain: keras.Model
    vocabulary: Vocabulary

    def named(self, facts: EpochFacts) -> dict[str, float]:
        """Return the facts of an epoch by name, the network's place before each; the number of the epoch left out."""
        prefix = f"{self.place}/" if self.place else ""
        return {f"{prefix}{name}": value for name, value in facts.to_dict().items() if name != "epoch"}


@dataclass(frozen=True)
class Ending:
    """How training ended: what metrics.json says, None where the run came to nothing."""

    status: Status
    metrics: Mapping[str, Any] | None = None

    def validation(self) -> dict[str, float]:
        """Return the metrics on the validation reviews, `validation_NAME` each, and the ends of their intervals."""
        found: dict[str, float] = {}
        for name, estimate in ((self.metrics or {}).get("validation") or {}).items():
            for key, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
                value = estimate.get(key) if isinstance(estimate, Mapping) else None
                if isinstance(value, int | float):
                    found[f"validation_{name}{suffix}"] = float(value)
        return found


class Tracker(ABC):
    """Somebody outside who is told of a training. Whatever it raises ends the tracking, not the training.

    Of a training that goes on it is told all epochs from the first, and the points of the curve before them by
    `on_past`; it writes those that it does not have yet.

    Attributes:
        id: of the run that it writes, known after `begin`; None where its files are in the run's folder.
    """

    id: str | None = None

    @abstractmethod
    def begin(self, beginning: Beginning) -> str:
        """Open what is to be written to; return where that is, for people."""

    @abstractmethod
    def follow(self, network: Network) -> Observer:
        """Return what follows the training of one network."""

    @abstractmethod
    def end(self, ending: Ending) -> None:
        """Write what is known at the end, and close."""


def without_passwords(text: str) -> str:
    """Return a text with addresses as they may be kept and shown."""
    return re.sub(r"//[^/\s]*@", "//", text)


def flattened(section: Section, prefix: str = "") -> dict[str, str]:
    """Return every value of a config as text under its dotted key; what is not a section is JSON."""
    found: dict[str, str] = {}
    for field in fields(section):
        value, key = getattr(section, field.name), f"{prefix}{field.name}"
        parts = value if isinstance(value, tuple) and value and isinstance(value[0], Section) else None
        if isinstance(value, Section):
            found |= flattened(value, f"{key}.")
        elif parts is not None:
            for place, part in enumerate(parts):
                found |= flattened(part, f"{key}.{place}.")
        else:
            found[key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return found
