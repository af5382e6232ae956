"""What was probably meant by an unknown key of a config, or by a value that is not valid."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from rnnsent.config.sections import Config, Section, is_mapping, section_of
from rnnsent.config.yaml_reader import KeyPath, dotted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_OTHER_NAMES = {  # of keys, in other libraries and too unlike ours to be found by their letters
    "bs": "batch_size", "cells": "cell", "emb_dim": "embedding_dim", "embed_dim": "embedding_dim",
    "embedding_size": "embedding_dim", "hidden_dim": "units", "hidden_size": "units", "hidden_units": "units",
    "layers": "recurrent", "lr": "learning_rate", "max_features": "num_words", "rnn_type": "cell",
    "vocab_size": "num_words", "wd": "weight_decay",
}  # fmt: skip


def similar_key(path: KeyPath) -> str:
    """Return a hint at what an unknown key means: one of its section, of one within that, or of any other."""
    section, above = _section_at(path[:-1]), f"{dotted(path[:-1])}." if path[1:] else ""
    name = _OTHER_NAMES.get(str(path[-1]).lower(), str(path[-1]))
    names = [field.name for field in fields(section)]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    keys: dict[str, str] = {}
    for candidates in (_all_keys(section, above), _all_keys(Config)):
        for key in sorted(candidates, key=lambda key: key.count(".")):  # of two such keys, the outer one is meant
            keys.setdefault(key.rpartition(".")[2], key)
    close = difflib.get_close_matches(name, keys, n=1, cutoff=0.8)
    return f"did you mean {keys[close[0]]}?" if close else f"valid keys: {', '.join(names)}"


def _all_keys(section: type[Section], prefix: str = "") -> Iterator[str]:
    for field in fields(section):
        yield f"{prefix}{field.name}"
        inner = section_of(field.type)
        if inner and not is_mapping(field.type):
            yield from _all_keys(inner, f"{prefix}{field.name}.{'0.' if 'tuple[' in str(field.type) else ''}")


def _section_at(path: KeyPath) -> type[Section]:
    section: type[Section] = Config
    for part in path:
        types = {field.name: field.type for field in fields(section)}
        section = section_of(types.get(str(part))) or section
    return section


def similar_value(path: KeyPath, detail: ErrorDetails) -> str | None:
    """Return a hint at what was probably meant by a value that is not valid."""
    value, kind = detail["input"], detail["type"]
    if kind == "dataclass_type":
        return f"its keys: {', '.join(field.name for field in fields(_section_at(path)))}"
    if kind == "tuple_type":
        return f"write [{value}]" if isinstance(value, str) else "each item begins with a dash"
    if not isinstance(value, str):
        return None
    text = value.strip().lower()
    if text in ("none", "nil"):
        return "write null"
    if kind in ("int_type", "float_type") and re.fullmatch(r"[-+]?\d+(\.\d*)?(e[-+]?\d+)?", text):
        return "write it without quotes"
    if kind == "bool_type" and text in ("true", "yes", "on", "false", "no", "off"):
        return f"write {'true' if text in ('true', 'yes', 'on') else 'false'} without quotes"
    choices = re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", "")))
    matches = [name for name in choices if text in name.split("_")]
    close = matches or difflib.get_close_matches(text, choices, n=1)
    return f"did you mean {close[0]}?" if close else None
