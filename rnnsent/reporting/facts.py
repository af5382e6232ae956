"""What a report says of a run, read from its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import Config
from rnnsent.config.loader import load_config
from rnnsent.errors import RunError
from rnnsent.evaluation.compare import read_predictions
from rnnsent.inference.calibration import Calibration
from rnnsent.models.weights import weight_shapes
from rnnsent.runs import artifacts as stored
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.run_facts import unit_of
from rnnsent.runs.schemas import Epoch

Floats = NDArray[np.float64]

SIZED = (runs.WEIGHTS, runs.MODEL, runs.VOCABULARY, runs.NGRAMS)


@dataclass(frozen=True)
class Layer:
    """The arrays of one layer, each with its shape, and how many numbers they hold."""

    name: str
    arrays: str
    parameters: int


@dataclass(frozen=True)
class Facts:
    """All that a report says of a run, but for its texts.

    Attributes:
        run: which.
        name: what it is called on the page.
        split: on which it was judged.
        config: of the run.
        metrics, environment: what these files hold.
        histories: of each network its epochs.
        labels: (reviews,), the real ones.
        predicted: (reviews,), those that the network says.
        probabilities: (reviews, labels), as in the predictions file, calibrated.
        calibration: what they went through.
        layers: of all networks.
        sizes: bytes by name; of an ensemble those of all networks together.
        digests: SHA-256 of what the figures follow from, by name.
    """

    run: RunDirectory
    name: str
    split: str
    config: Config
    metrics: Mapping[str, Any]
    environment: Mapping[str, Any]
    histories: tuple[tuple[Epoch, ...], ...]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: Floats
    calibration: Calibration
    layers: tuple[Layer, ...]
    sizes: Mapping[str, int]
    digests: Mapping[str, str]

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, in the order of their numbers."""
        return self.config.data.label_names

    @property
    def unit(self) -> str:
        """What one of the texts is called."""
        return unit_of(self.metrics["data"])

    @property
    def reviews(self) -> int:
        """How many were judged."""
        return len(self.labels)

    @property
    def measured(self) -> Mapping[str, Any]:
        """The metrics of the split: {name: {"value", "low", "high"}}."""
        found: Mapping[str, Any] = self.metrics[self.split]
        return found

    @property
    def details(self) -> Mapping[str, Any]:
        """What metrics.json says of the judgment besides."""
        found: Mapping[str, Any] = self.metrics.get("evaluations", {}).get(self.split, {})
        return found

    @property
    def baseline(self) -> Mapping[str, Any] | None:
        """The metrics of the n-grams on the split, if they were judged."""
        found: Mapping[str, Any] | None = (self.metrics.get("baseline") or {}).get(self.split)
        return found

    @property
    def robustness(self) -> Sequence[Mapping[str, Any]]:
        """The rows of `rnnsent robustness` on the split, if that was measured."""
        found: Sequence[Mapping[str, Any]] = (self.metrics.get("robustness") or {}).get(self.split) or ()
        return found

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether that is the real one, (reviews,)."""
        found: NDArray[np.bool_] = self.predicted == self.labels
        return found

    @cached_property
    def confidence(self) -> Floats:
        """The probability of the predicted label, (reviews,)."""
        found: Floats = self.probabilities[np.arange(len(self.labels)), self.predicted]
        return found

    @cached_property
    def uncalibrated(self) -> Floats | None:
        """The probability of each label before calibration, (reviews, labels); None where that changed nothing."""
        kept = self.calibration
        if kept.temperature == 1 and kept.threshold == 0.5:
            return None
        # Its inverse is of the same form: logits times the temperature, plus the shift.
        threshold = 1 / (1 + float(np.exp(kept.shift / kept.temperature)))
        inverse = Calibration(1 / kept.temperature, threshold)
        given = self.probabilities
        if given.shape[1] == 2:
            second = inverse(given[:, 1]).astype(np.float64)
            return np.stack([1 - second, second], axis=1)
        return inverse(given).astype(np.float64)


def gather(run: RunDirectory, split: str, name: str) -> Facts:
    """Read what a report says of a finished run.

    Args:
        run: which.
        split: "test" or "validation"; the run must have been judged on it.
        name: what it is called on the page.

    Raises:
        RunError: if it is unfinished, was changed, or was not judged on this split.
    """
    manifest = run.manifest()
    run.verify()
    config = load_config(str(run.file(runs.CONFIG)))
    metrics = stored.load_metrics(run, config)
    if not metrics.get(split) or not run.has(runs.predictions(split)):
        other = "validation" if split == "test" else "test"
        raise RunError(
            f"{run}: was not judged on its {split} reviews, and a report does not do that by itself:\n"
            f"  rnnsent eval {run} --split {split}\n"
            f"or make a report of the others, with --split {other}"
        )
    where = run.file(runs.predictions(split))
    judgment = read_predictions(stored.read_text(where), config.data.label_names, str(where))
    return Facts(
        run=run,
        name=name,
        split=split,
        config=config,
        metrics=metrics,
        environment=stored.load_environment(run),
        histories=tuple(stored.load_history(run, file) for file in _histories(run, config, manifest)),
        labels=judgment.labels,
        predicted=judgment.predicted,
        probabilities=judgment.probabilities,
        calibration=stored.load_calibration(run),
        layers=tuple(_layers(config, stored.load_weights(run))),
        sizes=_sizes(run, manifest),
        digests={each: manifest[each][-1] for each in sorted(manifest) if _decides(each, split)},
    )


def _decides(name: str, split: str) -> bool:
    kinds = (runs.CONFIG, runs.VOCABULARY, runs.WEIGHTS, runs.NGRAMS, runs.CALIBRATION, runs.predictions(split))
    return PurePath(name).name in kinds and not name.startswith(f"{runs.TEACHER}/")


def _histories(run: RunDirectory, config: Config, manifest: Mapping[str, Any]) -> list[str]:
    names = [runs.HISTORY] if runs.HISTORY in manifest else runs.member_files(manifest, runs.HISTORY)
    if len(names) != len(config.members):
        raise RunError(f"{run}: {len(names)} of {len(config.members)} networks have a {runs.HISTORY}")
    return names


def _layers(config: Config, weights: Mapping[str, Any]) -> list[Layer]:
    """Return the layers of all networks, from the words on."""
    order = [
        f"{prefix}{name}"
        for number, member in enumerate(config.members, start=1)
        for prefix in ("" if config.ensemble is None else f"{runs.MEMBERS}/{number}/",)
        for name in weight_shapes(member, 1)
    ]
    found: dict[str, dict[str, Any]] = {}
    for name in order:
        depth = 3 if name.startswith(f"{runs.MEMBERS}/") else 1
        parts = name.split("/")
        found.setdefault("/".join(parts[:depth]), {})["/".join(parts[depth:])] = weights[name]
    return [
        Layer(
            name,
            _arrays(arrays),
            sum(int(array.size) for array in arrays.values()),
        )
        for name, arrays in found.items()
    ]


def _arrays(arrays: Mapping[str, Any]) -> str:
    """Return the arrays of a layer with their shapes; of the two directions, which are alike, those of one."""
    forward = {name: array for name, array in arrays.items() if name.startswith("forward_")}
    kinds = [
        f"{name.rpartition('/')[2].replace('_', ' ')} {' × '.join(f'{side:,}' for side in array.shape)}"
        for name, array in (forward or arrays).items()
    ]
    return ", ".join(kinds) + (", in each direction" if forward else "")


def _sizes(run: RunDirectory, manifest: Mapping[str, Any]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name in sorted(manifest):
        kind = PurePath(name).name
        if kind in SIZED and not name.startswith(f"{runs.TEACHER}/"):
            sizes[kind] = sizes.get(kind, 0) + run.file(name).stat().st_size
    return sizes
