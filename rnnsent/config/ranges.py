"""The ranges of `search`: which keys they may be of, and the values that are tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from rnnsent.config.sections import Config, RangeConfig, section_of

# All else in `data` decides which texts are validated on.
DATA_KEYS = ("data.num_words", "data.maxlen", "data.truncating", "data.padding", "data.tokenizer")
FIXED_KEYS = ("training.monitor", "training.seed", "training.device")


def range_rule(key: str, values: RangeConfig) -> str | None:
    """Return what is wrong with an entry of `search`, whatever the config; None if nothing is."""
    section, _, name = key.partition(".")
    low, high = values.low, values.high
    if not name or (section not in ("model", "training") and key not in DATA_KEYS) or key in FIXED_KEYS:
        return f"cannot be searched; use keys below model and training, or {', '.join(DATA_KEYS)}"
    if (values.choices is None) == (low is None and high is None) or (low is None) != (high is None):
        return "needs low and high, or choices"
    if values.choices is not None:
        if values.log:
            return "log only works with low and high"
        return "must name each choice once" if len(set(map(repr, values.choices))) < len(values.choices) else None
    assert low is not None and high is not None
    if number_type(key) is None:
        return "takes no numbers; list its choices"
    if low >= high:
        return "low must be less than high"
    return "low must be greater than 0 with log: true" if values.log and low <= 0 else None


def tried_values(key: str, values: RangeConfig) -> tuple[Any, ...]:
    """Return the choices, or lowest and highest value: whole numbers where the key takes such."""
    if values.choices is not None:
        return values.choices
    whole = number_type(key) is int
    return tuple(int(end) if whole and end == int(end) else end for end in (values.low, values.high) if end is not None)


def number_type(key: str) -> type[int] | type[float] | None:
    """Return whether a key takes whole numbers or others; None if it takes none. A key that is unknown takes any."""
    annotation: Any = Config
    for part in (part for part in key.split(".") if not part.isdecimal()):
        section = section_of(annotation)
        annotation = next((field.type for field in fields(section) if field.name == part), None) if section else None
        if annotation is None:
            return float
    kinds = set(_number_types(annotation))
    return int if int in kinds else float if float in kinds else None


def _number_types(annotation: Any) -> Iterator[type]:
    if annotation in (int, float):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _number_types(inner)
