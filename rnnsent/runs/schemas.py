"""What the files of a run must say, key by key: whoever reads one of them finds what it relies on, of its type.

A run may be a stranger's, whose manifest fits whatever its files say. Keys that no reader relies on are passed over;
what older versions of rnnsent did not write is not missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from rnnsent.config import Config
from rnnsent.config.loader import broken_rule
from rnnsent.errors import RunError, count

# Whatever is counted or measured is smaller by far; charts and tables get no number that they have no room for.
Count = Annotated[int, Field(ge=0, le=10**15)]
Amount = Annotated[float, Field(ge=0, le=1e15)]
Share = Annotated[float, Field(ge=0, le=1)]
Metric = Annotated[float, Field(ge=-1, le=1000)]
SplitName = Literal["train", "validation", "test"]


class Record(BaseModel):
    """Base of what a file says: strict types, no infinities."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


AnyRecord = TypeVar("AnyRecord", bound=Record)


class Known(Record):
    """A figure with the ends of its interval."""

    value: Metric
    low: Metric
    high: Metric


class Estimated(Record):
    """The same, unless it is not defined."""

    value: Metric | None
    low: Metric | None = None
    high: Metric | None = None

    @model_validator(mode="after")
    def _has_ends(self) -> Estimated:
        if self.value is not None and (self.low is None or self.high is None):
            raise ValueError("has a value and must have low and high")
        return self


def _with_accuracy(measured: dict[str, Estimated]) -> dict[str, Estimated]:
    if measured.get("accuracy") is None or measured["accuracy"].value is None:
        raise ValueError("must have an accuracy")
    return measured


Measured = Annotated[dict[str, Estimated], AfterValidator(_with_accuracy)]


class LayerPath(Record):
    """How a layer was run."""

    path: str
    because: str


class Teacher(Record):
    """Who labeled what had no label."""

    teaches: Count


class Data(Record):
    """The reviews."""

    source: Literal["imdb", "sample", "texts"]
    fallback_used: bool
    sha256: str | None = None
    file: str | None = None
    format: str | None = None
    counts: dict[SplitName, dict[str, Count]] | None = None
    dropped: dict[str, Count] | None = None
    also_in_training: dict[str, Count] | None = Field(None, alias="also in training")
    unlabeled_of_their_groups: dict[str, Count] | None = Field(None, alias="unlabeled of their groups")
    unlabeled: Count | None = None
    contradicting: Count | None = None
    teacher: Teacher | None = None
    unknown_share: Share | None = None
    truncated_share: Share | None = None

    @field_validator("counts")
    @classmethod
    def _of_all_labels(cls, counts: dict[str, dict[str, int]] | None, info: ValidationInfo) -> Any:
        labels = _labels(info)
        if labels and any(not set(labels) <= set(each) for each in (counts or {}).values()):
            raise ValueError(f"must count the reviews of each label: {', '.join(labels)}")
        return counts


class OfLabel(Record):
    """The figures of one label."""

    reviews: Count
    precision: Estimated
    recall: Estimated
    f1: Estimated


class Part(Record):
    """The accuracy on some of the reviews."""

    group: str
    name: str
    reviews: Count
    accuracy: Known


class Covered(Record):
    """The accuracy of the surest answers."""

    least: Share
    share: Share
    reviews: Count
    accuracy: Estimated


class Evaluation(Record):
    """What a judgment found besides its metrics."""

    reviews_sha256: str | None = None
    seconds: Amount | None = None
    confusion: list[list[Count]] | None = None
    by_label: dict[str, OfLabel] = {}
    slices: list[Part] = []
    coverage: list[Covered] = []

    @field_validator("confusion")
    @classmethod
    def _square(cls, confusion: list[list[int]] | None, info: ValidationInfo) -> Any:
        labels = len(_labels(info))
        if labels and confusion is not None and [len(row) for row in confusion] != [labels] * labels:
            raise ValueError(f"must have a row for each label, with {count(labels, 'number')}")
        return confusion


class Baseline(Record):
    """The n-grams, beside the network."""

    validation: Measured | None = None
    test: Measured | None = None
    seconds: Amount | None = None


class Robust(Record):
    """The accuracy on texts that are not as in training."""

    group: str
    name: str
    texts: Count
    accuracy: Share
    low: Share
    high: Share


class Course(Record):
    """How a network of several was trained."""

    best_epoch: Count | None = None
    val_accuracy: Share


class Before(Record):
    """What was trained before the network."""

    seconds: Amount | None = None
    cached: bool = False

    @model_validator(mode="after")
    def _has_seconds(self) -> Before:
        if self.cached and self.seconds is None:
            raise ValueError("comes from the cache and must have seconds")
        return self


class Vectors(Before):
    """Word vectors to begin with."""

    found: Count
    words: Count


class Metrics(Record):
    """metrics.json."""

    data: Data
    engine: dict[str, LayerPath]
    epochs: Count
    best_epoch: Count | None
    interrupted: bool
    validation_reviews: Count | None = None
    validation: Measured
    test: Measured | None = None
    baseline: Baseline | None = None
    evaluations: dict[str, Evaluation] = {}
    robustness: dict[str, list[Robust]] | None = None
    vectors: Vectors | None = None
    language_model: Before | None = None
    networks_asked_for: Count | None = None
    networks: list[Course] | None = None
    seconds: Amount
    peak_memory_mb: Amount
    parameters: Count

    @field_validator("networks")
    @classmethod
    def _as_many(cls, networks: list[Course] | None, info: ValidationInfo) -> Any:
        config: Config | None = (info.context or {}).get("config")
        if networks is not None and config is not None and len(networks) != len(config.members):
            raise ValueError(f"must be as many as in the config, {len(config.members)}")
        return networks

    @model_validator(mode="after")
    def _of_several(self) -> Metrics:
        if self.networks_asked_for is not None and self.networks is None:
            raise ValueError("networks: is missing")
        return self


class Device(Record):
    """What it was trained on."""

    name: str = "unknown"


class Environment(Record):
    """environment.json."""

    python: str | None = None
    packages: dict[str, str] = {}
    processor: str = "unknown"
    device: Device = Device()
    threads: Count | None = None
    git_commit: str | None = None
    command: list[str] = []


class Origin(Record):
    """origin.json."""

    name: str
    training: str
    command: list[str]
    config: dict[str, Any]
    data: dict[str, str]
    versions: dict[str, str | None]
    machine: dict[str, Any]
    changes: list[str] = []  # with which it went on


class Epoch(Record):
    """A row of history.csv; `elapsed`, in seconds, is None in older runs."""

    model_config = ConfigDict(strict=False)  # a table has text in its cells

    epoch: Annotated[int, Field(ge=1, le=10**9)]
    loss: Amount
    accuracy: Share
    val_loss: Amount
    val_accuracy: Share
    elapsed: Amount | None = None


def checked(kind: type[AnyRecord], values: Mapping[str, Any], where: str, config: Config | None = None) -> AnyRecord:
    """Return what a file says, as it must say it.

    Args:
        kind: of file.
        values: what it holds.
        where: the file, for messages.
        config: of the run, where labels and networks have to be its own.

    Raises:
        RunError: naming the file, the first key that is wrong, and what would be right.
    """
    try:
        return kind.model_validate(values, context={"config": config})
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        key = ".".join(map(str, detail["loc"]))
        raise RunError(f"{where}: {key[:100]}{': ' if key else ''}{_rule(detail)}") from None


def _rule(detail: ErrorDetails) -> str:
    """Return what would be right, and what is there instead if that can be told in a word."""
    if detail["type"] == "missing":
        return "is missing"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    given = detail["input"]
    kinds = {dict: "a mapping", list: "a list", type(None): "null", bool: str(given).lower()}
    told = kinds.get(type(given), repr(given))
    return f"{broken_rule(detail)}, not {told if len(told) <= 40 else f'{told[:37]}...'}"


def _labels(info: ValidationInfo) -> tuple[str, ...]:
    config: Config | None = (info.context or {}).get("config")
    return () if config is None else config.data.label_names
