"""YAML file + overrides → Config, or every problem at once with its line.

The order of precedence is: defaults < file < `--set` and flags.
"""

from __future__ import annotations

import difflib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnsent.config import Config, Section
from rnnsent.config.data import label_texts
from rnnsent.config.rules import conflicts
from rnnsent.config.section import section_of
from rnnsent.config.suggestions import choice_meant, nearest_key, nearest_value
from rnnsent.config.yaml_reader import Document, KeyPath, apply_override, dotted, dump, read_document
from rnnsent.errors import ConfigError, Problem, count
from rnnsent.files import plain_size, read_plain

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

MAX_BYTES = 1 << 18  # a config is a page; ruamel would take half a minute for a MiB of comments

# What stands in for a faulty value without a default, so that the rest can still be checked for conflicts.
_STAND_INS: dict[str, Any] = {
    "model": {"recurrent": [{"cell": "gru"}]},
    "recurrent": [{"cell": "gru"}],
    "recurrent[]": {"cell": "gru"},
    "dense[]": {"units": 1},
    "ensemble[]": {},
    "cell": "gru",
    "units": 1,
}


def shipped_configs() -> Path:
    """Return the folder of the configs that come with rnnsent: in the package, or in the source tree."""
    package = Path(__file__).parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def shipped_names() -> list[str]:
    """Return the names under which the shipped configs can be asked for, such as `lstm` or `notebook/lstm`."""
    root = shipped_configs()
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml"))


def find_config(name: str) -> Path:
    """Return the file that `--config NAME` means: a path, or a shipped config with or without `.yaml`."""
    if not name:
        raise ConfigError([Problem("--config", "", "names no file", hint=f"shipped: {', '.join(shipped_names())}")])
    path = Path(name)
    if path.is_file():
        return path
    # A config written as in the source tree, configs/lstm.yaml, should work from any folder as well.
    plain = name.removeprefix("configs/").removesuffix(".yaml")
    if plain in shipped_names():
        return shipped_configs() / f"{plain}.yaml"
    if path.is_dir():
        raise ConfigError([Problem(name, "", "is a folder, not a config file")])
    if path.exists():
        raise ConfigError([Problem(name, "", "is a pipe or a device, not a config file; write it to a file first")])
    # Rather a file of one's own than a shipped config that happens to be called so.
    own = [str(each) for each in path.parent.glob("*.y*ml") if each.is_file()]
    close = difflib.get_close_matches(name, own, n=1) or difflib.get_close_matches(plain.lower(), shipped_names(), n=1)
    hint = f"did you mean {close[0]}?" if close else f"shipped: {', '.join(shipped_names())}"
    raise ConfigError([Problem(name, "", "no such file, and no shipped config of that name", hint=hint)])


def load_config(name: str, overrides: Sequence[tuple[str, str]] = (), *, to_train: bool = False) -> Config:
    """Read the config file that `name` means, apply `overrides` and validate.

    Args:
        name: a path, or the name of a shipped config.
        overrides: pairs of (place in messages, "a.b=value"), as `("--epochs 3", "training.epochs=3")`; the last one
            wins.
        to_train: also require what training needs.

    Raises:
        ConfigError: with every problem of the file and of the overrides.
    """
    return parse_config(_read(find_config(name), name), name, overrides, to_train=to_train)


def _read(path: Path, name: str) -> str:
    try:
        size = plain_size(path)
        if size > MAX_BYTES:
            rule = f"is larger than a config may be, {MAX_BYTES:,} bytes; a config is a page of YAML"
            raise ConfigError([Problem(name, "", rule, f"{size:,}")])
        return io.StringIO(read_plain(path, MAX_BYTES).decode(), newline=None).read()
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(name, "", f"is not UTF-8 text (byte {error.start})")]) from None
    except OSError as error:
        raise ConfigError([Problem(name, "", f"cannot be read: {error.strerror}")]) from None


def parse_config(text: str, name: str, overrides: Sequence[tuple[str, str]] = (), *, to_train: bool = False) -> Config:
    """Validate the YAML `text`, called `name` in messages; see `load_config`."""
    document = read_document(text, name)
    problems = [problem for place, override in overrides for problem in apply_override(document, place, override)]
    config, found = _validate(document, to_train)
    problems += found
    if problems or config is None:
        raise ConfigError(sorted(problems, key=document.line))
    return config


def dump_config(config: Config) -> str:
    """Return the config as YAML with every default written out; reading it again gives the same config."""
    return dump(config.to_dict())


@cache
def _adapter() -> TypeAdapter[Config]:
    from pydantic import TypeAdapter  # slow to import

    return TypeAdapter(Config)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a config, for editors."""
    schema = _adapter().json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "rnnsent config"}


def _validate(document: Document, to_train: bool) -> tuple[Config | None, list[Problem]]:
    """Validate; what is wrong in itself is taken out and the rest is still checked for conflicts."""
    from pydantic import ValidationError

    problems = _misspelt_sections(document)
    values = document.values
    data = values.get("data")
    if isinstance(data, dict):
        data |= {key: label_texts(data[key]) for key in ("labels", "label_map") if key in data}
    faulty: set[KeyPath] = set()
    config = None
    while config is None:
        try:
            config = _adapter().validate_json(json.dumps(values))
        except ValidationError as error:
            details = [detail for detail in _merge_unions(error.errors()) if _key_path(detail["loc"]) not in faulty]
            if not details:
                return None, problems
            if not all(_key_path(detail["loc"]) for detail in details):  # of a key there is no place
                return None, [*problems, Problem(document.name, "", "holds a key that is no text: half a character")]
            problems += [_problem(document, detail) for detail in details]
            faulty |= {_key_path(detail["loc"]) for detail in details}
            for detail in reversed(details):  # the last of a list first, or it would have another number
                values = _mended(values, _key_path(detail["loc"]), choice_meant(detail))
    problems += [
        Problem(document.place(path), dotted(path), rule, _shown(given))
        for path, rule, given in conflicts(config, to_train=to_train)
        if not any(known[: len(path)] == path for known in faulty)  # what is said of a section may be of its stand-in
    ]
    return config, problems


def _misspelt_sections(document: Document) -> list[Problem]:
    """Report sections that are all but the name of a known one, and call them that, so that they are checked too."""
    problems = []
    names = {field.name for field in fields(Config) if section_of(field.type)}
    for key in [key for key in document.values if key not in names]:
        close = difflib.get_close_matches(key, names - set(document.values), n=1)
        if close and isinstance(document.values[key], dict):
            problems.append(Problem(document.place((key,)), key, "unknown key", hint=f"did you mean {close[0]}?"))
            document.rename((key,), close[0])
    return problems


def _merge_unions(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Keep one error for a value that fits no member of a union; pydantic reports one for each member."""
    merged: dict[KeyPath, ErrorDetails] = {}
    for detail in details:
        path = _key_path(detail["loc"])
        if not any(path[: len(known)] == known[: len(path)] for known in merged):
            merged[path] = detail
    return list(merged.values())


def _key_path(loc: tuple[int | str, ...]) -> KeyPath:
    """Strip the names of union members, which pydantic mixes into the location, and of dictionary keys' marks."""
    known: list[str | int] = []
    section: type[Section] | None = Config
    for part in loc:
        if section is None:
            break
        known.append(part)
        if isinstance(part, str):
            section = next((section_of(field.type) for field in fields(section) if field.name == part), None)
    return tuple(known)


def _mended(values: Any, path: KeyPath, meant: str | None, parent: str = "") -> Any:
    """Return `values` with what was meant at `path`, or what stands there left to its default, or to a stand-in."""
    head, rest = path[0], path[1:]
    name = head if isinstance(head, str) else f"{parent}[]"
    items = dict(values) if isinstance(values, Mapping) else dict(enumerate(values))
    if rest:
        items[head] = _mended(items[head], rest, meant, name)
    elif meant is not None:
        items[head] = meant
    elif name in _STAND_INS:
        items[head] = _STAND_INS[name]
    else:
        items.pop(head, None)
    return items if isinstance(values, Mapping) else list(items.values())


def _problem(document: Document, detail: ErrorDetails) -> Problem:
    path = _key_path(detail["loc"])
    if detail["type"] == "unexpected_keyword_argument":
        return Problem(document.place(path), dotted(path), "unknown key", hint=nearest_key(path))
    if detail["type"] == "missing":
        return Problem(document.place(path), dotted(path), "is missing and has no default")
    given = _lookup(document.values, path)
    if detail["type"] == "literal_error":
        given = detail["input"]  # of a list one item
    hint = nearest_value(path, detail, given)
    return Problem(document.place(path), dotted(path), _rule(path, detail), _shown(given), hint=hint)


def _lookup(values: Any, path: KeyPath) -> Any:
    for part in path:
        values = values[part]
    return values


def _rule(path: KeyPath, detail: ErrorDetails) -> str:
    if path == ("training", "class_weights"):
        return "must be balanced, null, or a positive weight, at most 1e30, for each label"
    if path == ("training", "checkpoint_every"):
        return "must be a number of steps, a time such as 60s, 5m or 1h, or null"
    if path == ("training", "device"):
        return "must be auto, cpu, gpu or gpu:N"
    return broken_rule(detail)


def broken_rule(detail: ErrorDetails) -> str:
    """Say the rule that was broken in words of our own, from pydantic's typed error."""
    context = detail.get("ctx", {})
    words = {
        "literal_error": f"must be one of {context.get('expected', '')}".replace(" or ", ", ").replace("'", "").lower(),
        "int_type": "must be a whole number",
        "int_from_float": "must be a whole number",
        "int_parsing": "must be a whole number",
        "float_type": "must be a number",
        "float_parsing": "must be a number",
        "finite_number": "must be a finite number",
        "bool_type": "must be true or false",
        "string_type": "must be text",
        "tuple_type": "must be a list",
        "dict_type": "must be a mapping",
        "dataclass_type": "must be a section with keys of its own",
        "too_short": f"must have at least {count(context.get('min_length', 1), 'item')}",
        "too_long": f"must have at most {count(context.get('max_length', 1), 'item')}",
        "greater_than": f"must be greater than {context.get('gt')}",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "less_than": f"must be less than {context.get('lt')}",
        "less_than_equal": f"must be at most {context.get('le')}",
    }
    return words.get(detail["type"], detail["msg"][:1].lower() + detail["msg"][1:])


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
