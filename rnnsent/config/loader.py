"""Read a config file, apply overrides and validate, with every problem and its line at once.

The order of precedence is: defaults < file < `--set` and other options.
"""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnsent.config.ranges import tried_values
from rnnsent.config.rules import violations
from rnnsent.config.sections import Config, RangeConfig, Section, is_mapping, label_texts, section_of
from rnnsent.config.suggestions import similar_key, similar_value
from rnnsent.config.yaml_reader import Document, KeyPath, dotted, dump, read_document
from rnnsent.errors import ConfigError, Problem, count
from rnnsent.files import require_file

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

MAX_BYTES = 1 << 18  # a config is a page; ruamel would take half a minute for a MiB of comments
NO_OVERRIDES: Mapping[str, object] = {}


def shipped_configs() -> Path:
    """Return the folder of the configs that come with rnnsent: in the package, or in the source tree."""
    package = Path(__file__).parent.parent
    folder = package / "configs"
    return folder if folder.is_dir() else package.parent / "configs"


def shipped_names() -> list[str]:
    """Return the names under which the shipped configs can be asked for, such as `lstm` or `notebook/lstm`."""
    root = shipped_configs()
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml"))


def description(name: str) -> str:
    """Return the first comment of a shipped config that is not for editors, in one line."""
    lines = (shipped_configs() / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if not line.startswith("# yaml-")).removeprefix("# ")


def find_config(name: str) -> Path:
    """Return the file that `--config NAME` means: a path, or a shipped config with or without `.yaml`.

    Raises:
        ConfigError: if there is no such file and no such shipped config.
    """
    path, names = Path(name), shipped_names()
    if name and path.exists() and not path.is_dir():
        return path
    # A config written as in the source tree, configs/lstm.yaml, should work from any folder as well.
    plain = name.removeprefix("configs/").removesuffix(".yaml")
    if plain in names:
        return shipped_configs() / f"{plain}.yaml"
    if name and path.is_dir():
        raise ConfigError([Problem(name, "", "is a folder, not a config file")])
    # Rather a file of one's own than a shipped config of a similar name.
    files = [str(file) for file in path.parent.glob("*.y*ml") if file.is_file()]
    close = difflib.get_close_matches(name, files, n=1) or difflib.get_close_matches(plain.lower(), names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"shipped: {', '.join(names)}"
    raise ConfigError([Problem(name or "--config", "", "no such file, and no shipped config of that name", hint=hint)])


def load_config(name: str, overrides: Mapping[str, object] = NO_OVERRIDES, *, to_train: bool = False) -> Config:
    """Read the config file that `name` means, apply `overrides` and validate.

    Args:
        name: a path, or the name of a shipped config.
        overrides: values by dotted key, such as `{"training.epochs": 3}`.
        to_train: also require what training needs.

    Raises:
        ConfigError: with every problem of the file and of the overrides.
    """
    return parse_config(_read(find_config(name), name), name, overrides, to_train=to_train)


def training_name(name: str, config: Config, overrides: Mapping[str, object] = NO_OVERRIDES) -> str:
    """Return what a training is called: as its config, or, if overrides changed its layers, as these, such as "gru"."""
    stem = Path(name).stem
    if not any(key.split(".")[0] in ("model", "ensemble") for key in overrides):
        return stem
    try:
        unchanged = _layers(load_config(name)) == _layers(config)
    except ConfigError:  # without the overrides it may lack what it needs
        unchanged = False
    return stem if unchanged else "-".join(dict.fromkeys(_layers(config)))


def _layers(config: Config) -> list[str]:
    layers = [layer for member in config.members for layer in member.model.recurrent]
    return [("bi" if layer.bidirectional else "") + layer.cell for layer in layers]


def _read(path: Path, name: str) -> str:
    try:
        require_file(path)
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ConfigError([Problem(name, "", f"cannot be read: it has {size:,} bytes, {MAX_BYTES:,} are allowed")])
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(name, "", f"is not UTF-8 text (byte {error.start})")]) from None
    except OSError as error:
        raise ConfigError([Problem(name, "", f"cannot be read: {error.strerror}")]) from None


def parse_config(
    text: str, name: str, overrides: Mapping[str, object] = NO_OVERRIDES, *, to_train: bool = False
) -> Config:
    """Validate the YAML `text`, called `name` in messages; see `load_config`."""
    return _validate(read_document(text, name), overrides, to_train)


def with_values(config: Config, values: Mapping[str, object]) -> Config:
    """Return a config with other values by dotted key, and without `search`; errors as `parse_config`."""
    document = Document("config", replace(config, search=None).to_dict())
    return _validate(document, copy.deepcopy(dict(values)), False)


def dump_config(config: Config) -> str:
    """Return the config as YAML with every default written out; reading it again gives the same config."""
    return dump(config.to_dict())


@cache
def _adapter() -> TypeAdapter[Config]:
    from pydantic import TypeAdapter  # slow to import

    return TypeAdapter(Config)


def json_schema() -> dict[str, object]:
    """Return the JSON Schema of a config, for editors."""
    schema = _adapter().json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "rnnsent config"}


def _validate(document: Document, overrides: Mapping[str, object], to_train: bool) -> Config:
    from pydantic import ValidationError

    problems = list(document.override(overrides))
    data = document.values.get("data")
    if isinstance(data, dict):
        data |= {key: label_texts(data[key]) for key in ("labels", "label_map") if key in data}
    try:
        # As JSON, because the strict mode of pydantic takes dictionaries for dataclasses from JSON only.
        config = _adapter().validate_json(json.dumps(document.values))
    except ValidationError as error:
        problems += [_problem(document, path, detail) for path, detail in _by_path(error.errors()).items()]
    else:
        problems += [
            Problem(document.place(path), dotted(path), rule, _shown(value))
            for path, rule, value in violations(config, to_train=to_train)
        ]
        if config.search is not None and not problems:
            problems += _search_problems(config, config.search, document)
    if problems:
        raise ConfigError(sorted(problems, key=document.line))
    return config


def _search_problems(config: Config, search: Mapping[str, RangeConfig], document: Document) -> Iterator[Problem]:
    """Yield the first value of each range that the config would not take."""
    for key, values in search.items():
        for value in tried_values(key, values):
            try:
                with_values(config, {key: value})
            except ConfigError as error:
                first, path = error.problems[0], ("search", key)
                rule = first.rule if first.key == key else f"{first.key}: {first.rule}"
                yield Problem(document.place(path), dotted(path), rule, first.given, first.hint)
                break


def _by_path(details: list[ErrorDetails]) -> dict[KeyPath, ErrorDetails]:
    """Return one error a key: pydantic reports one for each member of a union, and one of a list for its items."""
    by_path: dict[KeyPath, ErrorDetails] = {}
    for detail in details:
        path = _key_path(detail["loc"])
        if not any(path[: len(key)] == key[: len(path)] for key in by_path):
            by_path[path] = detail
    return by_path


def _key_path(loc: tuple[int | str, ...]) -> KeyPath:
    """Strip the names of union members, which pydantic mixes into the location, and the keys of mappings of values."""
    keys: list[str | int] = []
    section: type[Section] | None = Config
    in_mapping = False  # of sections, whose keys may be anything
    for part in loc:
        if section is None:
            break
        keys.append(part)
        if in_mapping:
            in_mapping = False
        elif isinstance(part, str):
            annotation = next((field.type for field in fields(section) if field.name == part), None)
            section, in_mapping = section_of(annotation), is_mapping(annotation)
    return tuple(keys)


def _problem(document: Document, path: KeyPath, detail: ErrorDetails) -> Problem:
    place, key, kind = document.place(path), dotted(path), detail["type"]
    if kind == "json_invalid":
        return Problem(place, "", "holds a character that is no text")
    if kind == "unexpected_keyword_argument":
        return Problem(place, key, "unknown key", hint=similar_key(path))
    if kind == "missing":
        return Problem(place, key, "is missing and has no default")
    rule = _RULES.get(key) or broken_rule(detail)
    return Problem(place, key, rule, _shown(detail["input"]), hint=similar_value(path, detail))


_RULES = {
    "training.class_weights": "must be balanced, null, or a positive weight, at most 1e30, for each label",
    "training.checkpoint_every": "must be a number of steps, a time such as 60s, 5m or 1h, or null",
    "training.device": "must be auto, cpu, gpu or gpu:N",
}


def broken_rule(detail: ErrorDetails) -> str:
    """Return the rule that was broken in plain words, from pydantic's typed error."""
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
        "list_type": "must be a list",
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
