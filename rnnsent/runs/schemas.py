"""The JSON files of a run: one frozen dataclass each, used by what writes the file and by what reads it.

`to_json` and `parse` are the only ways in and out. Keys that a schema lacks are passed over; a key that is missing,
or of another type, is one clear error.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from rnnsent.display import DisplayMixin
from rnnsent.errors import RunError, count, utf8

Schema = TypeVar("Schema")


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; None where the figure is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


Metrics = dict[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class DataInfo:
    """What a run was trained on: `data` of metrics.json."""

    source: str  # "imdb", "sample" or "texts"
    fallback_used: bool  # whether the sample corpus stood in for data that could not be had
    sha256: str | None = None  # of the data file; None for the sample corpus
    # where it was read from; several files are joined by ", "
    file: str | None = None
    format: str | None = None
    counts: dict[str, dict[str, int]] = field(default_factory=dict)  # {split: {label: texts}}
    # of the validation texts, what the network cannot see
    unknown_share: float = 0.0
    truncated_share: float = 0.0
    # whatever else the reader noted, such as rows that were left out and why
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the data are called: the names of their files, or their source."""
        if self.source != "texts" or not self.file:
            return self.source
        return ", ".join(Path(path).name for path in self.file.split(", "))


@dataclass(frozen=True)
class LayerEngine:
    """What ran a layer, and why that."""

    path: str
    because: str


@dataclass(frozen=True, kw_only=True)
class NetworkInfo:
    """How one network was trained: an entry of `networks` of metrics.json."""

    epochs: int
    best_epoch: int
    val_accuracy: float
    val_loss: float
    engine: dict[str, LayerEngine]


@dataclass(frozen=True, kw_only=True)
class EmbeddingInfo:
    """Where the initial word vectors came from: `embeddings` of metrics.json; seconds only if they were trained."""

    found: int
    words: int
    seconds: float | None = None
    cached: bool = False


@dataclass(frozen=True, kw_only=True)
class PretrainInfo:
    """The language model that the network began with: `language_model` of metrics.json and language_model.json."""

    loss: float
    seconds: float
    cached: bool


@dataclass(frozen=True)
class Forgetting:
    """The accuracy on the validation texts of the run that a training began with, except those trained on now."""

    texts: int
    before: Estimate  # with the weights of that run
    after: Estimate
    difference: Estimate  # after minus before, paired

    def __str__(self) -> str:
        points = "{:+.2f} points [{:+.2f}, {:+.2f}]".format(*(100 * end for end in vars(self.difference).values()))
        accuracies = f"accuracy {self.before.value:.2%} before, {self.after.value:.2%} after"
        return f"{accuracies}, {points} ({count(self.texts, 'text')})"


@dataclass(frozen=True)
class ParentInfo:
    """The run that a training began with: `parent` of metrics.json."""

    run: str  # the name of its folder
    sha256: str  # of its manifest.json
    kept_words: int  # words that begin with its vectors
    new_words: int
    forgetting: Forgetting | None = None  # None: its texts are not there any more
    seen: dict[str, int] = field(default_factory=dict)  # {split: how many of its texts that run was trained on}


@dataclass(frozen=True, kw_only=True)
class LinearInfo:
    """The linear part of a model: `linear` of metrics.json."""

    ngrams: int
    strength: float  # inverse of its regularization
    weight: float  # beside the network, 0 … 1, chosen on the validation texts


@dataclass(frozen=True)
class PartAccuracy:
    """What one part of a model reaches alone on the texts of a split."""

    name: str  # "network" or "linear part"
    accuracy: Estimate
    difference: Estimate  # accuracy of the whole model minus that of the part, with its paired interval


@dataclass(frozen=True, kw_only=True)
class TrainingMetrics:
    """metrics.json: what training knew when it ended. Never edited; evaluations are files of their own."""

    data: DataInfo  # what was trained on
    engine: dict[str, LayerEngine]  # {layer: what ran it}
    # trained, and kept; best_epoch is None for an ensemble
    epochs: int
    best_epoch: int | None
    interrupted: bool  # whether training was stopped early
    validation_texts: int  # how many
    validation: Metrics  # {metric: estimate}, without the calibration that was fitted on these texts
    # what it cost
    seconds: float
    peak_memory_mb: float
    parameters: int
    networks: list[NetworkInfo] | None = None  # of an ensemble, each of its networks
    # what the networks began with
    embeddings: EmbeddingInfo | None = None
    language_model: PretrainInfo | None = None
    parent: ParentInfo | None = None
    pseudo_labels: int = 0  # how many texts a teacher labeled
    linear: LinearInfo | None = None  # None without `model.linear`
    parts: list[PartAccuracy] = field(default_factory=list)  # on the validation texts, on which the weight was chosen

    @property
    def stopped(self) -> str | None:
        """How far a training came that was stopped; None if it was not."""
        return f"training was stopped after {count(self.epochs, 'epoch')}" if self.interrupted else None


@dataclass(frozen=True)
class LayerSummary:
    """A layer as Keras lists it; None in a shape stands for any size."""

    name: str
    type: str
    output_shape: tuple[int | None, ...]
    parameters: int


@dataclass(frozen=True)
class NetworkSummary:
    """summary.json of a network."""

    layers: tuple[LayerSummary, ...]
    parameters: int


@dataclass(frozen=True)
class EnsembleSummary:
    """summary.json of an ensemble."""

    networks: tuple[NetworkSummary, ...]
    parameters: int


@dataclass(frozen=True)
class CalibrationInfo:
    """calibration.json: how the probabilities of a network are changed."""

    temperature: float = 1.0  # divisor of the logits; above 1 the network was overconfident
    threshold: float = 0.5  # of two labels: the uncalibrated probability above which label 1 is predicted
    texts: int = 0  # number of texts that it was fitted on
    log_loss_before: float = 0.0  # on these texts
    log_loss_after: float = 0.0
    # of several labels a text: the calibrated probability above which each is predicted; empty: of one label a text
    thresholds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """manifest.json: the SHA-256 of every file that training left."""

    format: int
    files: dict[str, str]


@dataclass(frozen=True)
class DeviceInfo:
    """The device that a run was trained on, and why that one."""

    name: str
    because: str = ""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """environment.json: versions, machine, command."""

    python: str
    packages: dict[str, str]
    platform: str
    processor: str
    cores: int | None
    device: DeviceInfo
    backend: str
    threads: int
    seed: int
    git_commit: str | None
    command: list[str]


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """fingerprint.json: what the bits of a training depend on besides its config; compared when it is resumed."""

    training: str  # an id that its checkpoints carry
    name: str  # of the training
    started: str  # when, ISO 8601
    data: dict[str, str]  # SHA-256 of the texts of each split, of the vocabulary and of the file of word vectors
    # of libraries; processor, device, threads, engine
    versions: dict[str, str]
    machine: dict[str, str]


@dataclass(frozen=True)
class Plan:
    """seeds.json: which seeds, and whether each run is evaluated on the test texts after all are trained."""

    seeds: list[int]
    evaluate: bool


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """A row of history.csv, whose columns are these fields in this order.

    `seconds` is the training part of the epoch, without validation; `elapsed` counts from the start of the experiment.
    Gradient norms are global, before clipping: mean and largest over the steps of the epoch.
    """

    epoch: int
    seconds: float
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    tokens_per_second: float
    elapsed: float
    gradient_norm: float
    largest_gradient_norm: float
    val_f1: float = math.nan  # macro: the mean over the labels


@dataclass(frozen=True, kw_only=True)
class LabelMetrics:
    """The figures of one label; f1 by bootstrap, precision and recall with Wilson's intervals."""

    texts: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True, kw_only=True)
class SliceAccuracy:
    """The accuracy on some of the texts, such as the longest quarter."""

    group: str
    name: str
    texts: int
    accuracy: Estimate


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The accuracy when only predictions of at least `threshold` probability are given."""

    threshold: float
    share: float
    texts: int
    accuracy: Estimate


@dataclass(frozen=True, kw_only=True)
class ThresholdRow:
    """What a label reaches if it is predicted for all texts whose probability of it is at least `threshold`."""

    threshold: float
    texts: int
    precision: Estimate
    recall: Estimate
    f1: float | None


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What an evaluation was made from: the first keys of every file in evaluations/."""

    run: str  # SHA-256 of the run's manifest.json
    data: str  # SHA-256 of the texts and labels that were evaluated
    date: str  # ISO 8601, UTC
    command: list[str]  # as it was typed
    split: str  # "test" or "validation"
    texts: int  # how many


@dataclass(frozen=True, kw_only=True)
class Evaluation(Origin, DisplayMixin):
    """evaluations/SPLIT.json. The rows of `confusion` are the real labels, its columns the predicted ones."""

    seconds: float
    metrics: Metrics
    confusion: list[list[int]]
    labels: dict[str, LabelMetrics]
    slices: list[SliceAccuracy]
    coverage: list[Coverage]
    parts: list[PartAccuracy] = field(default_factory=list)  # of a model with a linear part
    # of each label, by calibrated probability
    thresholds: dict[str, list[ThresholdRow]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class BaselineEvaluation(Origin):
    """evaluations/SPLIT-baseline.json: n-gram logistic regression on the same texts."""

    seconds: float
    metrics: Metrics
    strength: float
    ngrams: int


@dataclass(frozen=True, kw_only=True)
class RobustnessEvaluation(Origin):
    """evaluations/SPLIT-robustness.json."""

    rows: list[SliceAccuracy]


def to_dict(record: Any) -> dict[str, object]:
    """Return a record as plain values for JSON."""
    return dataclasses.asdict(record)


def flattened(values: Any, prefix: str = "") -> dict[str, object]:
    """Return nested mappings and lists of mappings as {"a.b.0": value}."""
    pairs: list[tuple[object, object]]
    if isinstance(values, dict):
        pairs = list(values.items())
    elif isinstance(values, list) and any(isinstance(item, dict) for item in values):
        pairs = list(enumerate(values))
    else:
        return {prefix: values}
    parts = [flattened(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in pairs]
    return {key: value for part in parts for key, value in part.items()}


def to_json(record: Any) -> str:
    """Return what is written into a JSON file of a run; what UTF-8 cannot hold is escaped, also for who reads it."""
    text = json.dumps(to_dict(record), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return re.sub("[\ud800-\udfff]", lambda match: f"\\{utf8(match[0])}", text)


def parse(schema: type[Schema], values: bytes | str | Mapping[str, Any], where: object) -> Schema:
    """Return the record that a file holds.

    Args:
        schema: one of the dataclasses here.
        values: JSON, or what was parsed of it.
        where: the file, for messages.

    Raises:
        RunError: naming the file, the first key that is wrong and what would be right.
    """
    from pydantic import ValidationError

    adapter = _adapter(schema)  # type: ignore[arg-type]
    try:
        record: Schema = (
            adapter.validate_json(values) if isinstance(values, bytes | str) else adapter.validate_python(values)
        )
        return record
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, detail["loc"]))
        raise RunError(f"{where}: {key}{': ' if key else ''}{detail['msg'][0].lower()}{detail['msg'][1:]}") from None


@cache
def _adapter(schema: type[Any]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(schema)
