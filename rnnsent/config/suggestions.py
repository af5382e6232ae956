"""What was probably meant by a key of a config that there is not, or by a value that is not valid."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args

from rnnsent.config import Config, Section
from rnnsent.config.section import section_of
from rnnsent.config.yaml_reader import KeyPath, dotted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_OTHER_NAMES = {  # of keys, elsewhere and too unlike ours to be found by their letters
    "bs": "batch_size", "cells": "cell", "emb_dim": "embedding_dim", "embed_dim": "embedding_dim",
    "embedding_size": "embedding_dim", "hidden_dim": "units", "hidden_size": "units", "hidden_units": "units",
    "layers": "recurrent", "lr": "learning_rate", "max_features": "num_words", "rnn_type": "cell",
    "vocab_size": "num_words", "wd": "weight_decay",
}  # fmt: skip


def nearest_key(path: KeyPath) -> str:
    """Return a hint at what was meant by an unknown key: one of its section, of one within that, or of any other."""
    section, name = section_at(path[:-1]), str(path[-1])
    names = [field.name for field in fields(section)] if section else []
    name = _OTHER_NAMES.get(name.lower(), name)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    wider: list[tuple[type[Section], str]] = [(Config, "")]
    if section is not None and section is not Config:
        wider.insert(0, (section, f"{dotted(path[:-1])}."))
    for where, above in wider:
        keys: dict[str, str] = {}
        for key in sorted(_all_keys(where), key=lambda key: key.count(".")):  # of two such keys, the outer one is meant
            keys.setdefault(key.rpartition(".")[2], f"{above}{key}")
        close = difflib.get_close_matches(name, keys, n=1, cutoff=0.8)
        if close:
            return f"did you mean {keys[close[0]]}?"
    return f"valid keys: {', '.join(names)}"


def _all_keys(section: type[Section], prefix: str = "") -> Iterator[str]:
    for field in fields(section):
        inner = section_of(field.type)
        yield f"{prefix}{field.name}"
        if inner is not None:
            index = "0." if "tuple[" in str(field.type) else ""
            yield from _all_keys(inner, f"{prefix}{field.name}.{index}")


def nearest_value(path: KeyPath, detail: ErrorDetails, given: Any) -> str | None:
    """Return a hint at what was probably meant by text that is no valid value."""
    if detail["type"] == "tuple_type":
        close = difflib.get_close_matches(str(given).lower(), _choices_at(path), n=1)
        return f"did you mean [{close[0]}]?" if close else "each item begins with a dash"
    if detail["type"] == "dataclass_type":
        section = section_at(path)
        return f"for example {_example(section, given)}" if section else None
    if not isinstance(given, str):
        return None
    if given.lower() in ("none", "nil"):
        return "write null"
    if detail["type"] in ("int_type", "float_type") and re.fullmatch(r"[-+]?\d+(\.\d*)?(e[-+]?\d+)?", given.strip()):
        return "without quotes it is a number"
    if detail["type"] == "bool_type" and given in ("true", "false"):
        return "without quotes it is one"
    if detail["type"] == "bool_type" and given.lower() in ("yes", "no", "on", "off"):
        return f"write {'true' if given.lower() in ('yes', 'on') else 'false'}"
    meant = choice_meant(detail)
    return f"did you mean {meant}?" if meant else None


def choice_meant(detail: ErrorDetails) -> str | None:
    """Return which of the valid texts was probably meant by one that is none of them."""
    given = detail["input"]
    if detail["type"] != "literal_error" or not isinstance(given, str):
        return None
    valid = re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", "")))
    whole = [name for name in valid if given and given.lower() in name.split("_")]
    close = whole or difflib.get_close_matches(given.lower(), valid, n=1)
    return close[0] if close else None


def _example(section: type[Section], given: Any) -> str:
    """Return a section with the key that `given` may be the value of, else with its first one."""
    from pydantic import TypeAdapter, ValidationError

    names = [field.name for field in fields(section)]
    if isinstance(given, int | float | str) and not isinstance(given, bool):
        for name in names:
            try:
                TypeAdapter(section).validate_json(json.dumps({name: given}))
            except ValidationError as error:
                if any(detail["loc"][:1] == (name,) for detail in error.errors()):
                    continue
            return f"{{{name}: {given}}}"
    return f"{{{names[0]}: …}}"


def _choices_at(path: KeyPath) -> list[str]:
    """Return the names that the items of a list may have, if only some are valid."""
    section = section_at(path[:-1])
    waiting, found = [_types(section).get(str(path[-1]))], list[str]()
    while waiting:
        arguments = get_args(waiting.pop())
        found += [each for each in arguments if isinstance(each, str)]
        waiting += [each for each in arguments if not isinstance(each, str)]
    return found


def section_at(path: KeyPath) -> type[Section] | None:
    """Return the class of the section at a path of keys, if it is one."""
    section: type[Section] | None = Config
    for part in path:
        if section is None or isinstance(part, int):
            continue
        section = section_of(_types(section).get(part))
    return section


def _types(section: type[Section] | None) -> dict[str, Any]:
    return {field.name: field.type for field in fields(section)} if section else {}
