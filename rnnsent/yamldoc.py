"""YAML 1.2 as plain Python values that remember where they stand.

Tags are refused, equal keys are an error, `1e-3` is a number and `on` is text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase, CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from rnnsent.errors import ConfigError, Problem

KeyPath = tuple[str | int, ...]  # ("model", "recurrent", 0, "units")
MAX_DEPTH = 20  # of nesting; an alias that holds itself has no end


@dataclass
class Document:
    """A YAML mapping as plain Python values, and the place each key came from."""

    name: str
    values: dict[str, Any]
    places: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """Return where `path` stands, or where the nearest enclosing key does."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return self.name


def read_document(text: str, name: str) -> Document:
    """Parse YAML 1.2 without tags into plain values that remember their lines."""
    yaml = YAML(typ="rt", pure=True)
    try:
        tree = yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}" if mark else name
        rule = str(error.problem or error.context or "is not YAML").splitlines()[0]
        raise ConfigError([Problem(place, "", f"broken YAML: {rule}")]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigError([Problem(name, "", f"broken YAML: {str(error).splitlines()[0]}")]) from None
    document = Document(name, {})
    if tree is None:
        raise ConfigError([Problem(name, "", "is empty; a config has at least a `model:` section")])
    if not isinstance(tree, CommentedMap):
        raise ConfigError([Problem(f"{name}:1", "", "must be a mapping of keys to values")])
    document.values = _plain(tree, (), document)
    return document


def _plain(node: Any, path: KeyPath, document: Document) -> Any:
    """Convert ruamel's nodes to plain values, noting the line of every key and item."""
    if len(path) > MAX_DEPTH:
        raise ConfigError([Problem(document.place(path[:1]), dotted(path[:2]), "is nested too deeply")])
    if isinstance(node, TaggedScalar) or (isinstance(node, CommentedBase) and node.tag.value is not None):
        raise ConfigError([Problem(document.place(path), dotted(path), "YAML tags are not allowed", str(node.tag))])
    if isinstance(node, CommentedMap):
        for key in node:
            document.places[(*path, str(key))] = f"{document.name}:{node.lc.key(key)[0] + 1}"
        return {str(key): _plain(value, (*path, str(key)), document) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        for index in range(len(node)):
            document.places[(*path, index)] = f"{document.name}:{node.lc.item(index)[0] + 1}"
        return [_plain(value, (*path, index), document) for index, value in enumerate(node)]
    if isinstance(node, ScalarBoolean):
        return bool(node)
    plain: type
    for plain in (bool, int, float, str):  # ruamel's scalars are subclasses that remember their notation
        if isinstance(node, plain):
            return plain(node)
    return node


def apply_override(document: Document, origin: str, override: str) -> Iterator[Problem]:
    """Set `a.b.0.c=value` in the document; the value is read as YAML."""
    name, equals, value = override.partition("=")
    place = f"{origin} {override}"
    if not equals or not name.strip():
        yield Problem(place, "", "must look like training.epochs=3")
        return
    path: list[str | int] = [int(part) if part.isdigit() else part for part in name.strip().split(".")]
    target: Any = document.values
    for part in path[:-1]:
        if isinstance(target, dict) and isinstance(part, str):
            if not isinstance(target.get(part), dict | list):
                target[part] = {}
            target = target[part]
        elif isinstance(target, list) and isinstance(part, int) and part < len(target):
            target = target[part]
        else:
            yield Problem(place, name, f"there is no item {part} to set a value in")
            return
    last = path[-1]
    try:
        parsed = _plain(YAML(typ="rt", pure=True).load(f"value: {value}\n"), (), Document(place, {}))["value"]
    except (YAMLError, ValueError, ConfigError, KeyError, TypeError):
        yield Problem(place, name, "the value is not YAML", value)
        return
    if isinstance(target, list) and not (isinstance(last, int) and last < len(target)):
        yield Problem(place, name, f"there is no item {last}; the list has {len(target)}")
        return
    target[last if isinstance(target, list) else str(last)] = parsed
    document.places = {at: line for at, line in document.places.items() if at[: len(path)] != tuple(path)}
    document.places[tuple(path)] = place


def dotted(path: KeyPath) -> str:
    """Return `model.recurrent.0.units` for a path of keys and indices."""
    return ".".join(str(part) for part in path)


def dump(values: dict[str, Any]) -> str:
    """Return `values` as YAML, keys in their own order."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # annotated as None only
    stream = StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()
