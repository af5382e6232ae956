"""Plain YAML 1.2 whose keys remember their lines: no tags, no key twice, `1e-3` is a number and `on` is text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from rnnsent.errors import ConfigError, Problem, utf8

KeyPath = tuple[str | int, ...]  # ("model", "recurrent", 0, "units")
MAX_DEPTH = 20
MAX_NODES = 10_000  # a few aliases of aliases make billions
MAX_DIGITS = 300  # Python refuses to print numbers of more than 4,300
TAG = "tag:yaml.org,2002:"
TEXTS = {f"{TAG}str", f"{TAG}timestamp", f"{TAG}value"}
SCALARS = {f"{TAG}{kind}" for kind in ("int", "float", "bool", "null")}


@dataclass
class Document:
    """A YAML mapping as plain Python values, and the place each key came from."""

    name: str
    values: dict[str, Any]
    places: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """Return where `path` stands, or where the nearest enclosing key does."""
        prefixes = (path[:end] for end in range(len(path), 0, -1))
        return next((self.places[prefix] for prefix in prefixes if prefix in self.places), self.name)

    def line(self, problem: Problem) -> float:
        """Return the line of a problem; what is not in the file comes after it."""
        name, _, line = problem.place.rpartition(":")
        return int(line) if name == self.name and line.isdecimal() else float("inf")

    def override(self, overrides: Mapping[str, object]) -> Iterator[Problem]:
        """Set each dotted key, such as `training.epochs` or `model.recurrent.0.units`; yield what cannot be set.

        Raises:
            ConfigError: if a value cannot be written into a config.
        """
        for key, value in overrides.items():
            value = json.loads(json.dumps(value, default=_plain))
            place = f"--set {key}={value if isinstance(value, str) else json.dumps(value)}"
            if not _is_utf8(value):
                raise ConfigError([Problem(place, key, "is not UTF-8; rename the file, folder or column")])
            path: tuple[Any, ...] = tuple(int(part) if part.isdecimal() else part for part in key.split("."))
            target: Any = self.values
            try:
                for depth, part in enumerate(path, start=1):
                    if isinstance(target, list):
                        if part == len(target):
                            target.append({})
                        target[part]  # the index exists
                    if depth == len(path):
                        target[part] = value
                    elif isinstance(target, dict) and not isinstance(target.get(part), dict | list):
                        target[part] = {}
                        self.places[path[:depth]] = place
                    target = target[part]
            except (IndexError, TypeError):
                yield Problem(place, key, f"there is no item {part} to set")
                continue
            self.places = {at: line for at, line in self.places.items() if at[: len(path)] != path} | {path: place}


def read_document(text: str, name: str) -> Document:
    """Parse a mapping in YAML 1.2.

    Args:
        text: of the file.
        name: of the file, for messages.

    Raises:
        ConfigError: if it is not plain YAML, is nested too deeply or holds too many values.
    """
    reader = _Reader(name)
    try:
        node = reader.yaml.compose(text)
        if node is None:
            raise ConfigError([Problem(name, "", "is empty; a config has at least a `model:` section")])
        if not isinstance(node, MappingNode):
            raise ConfigError([Problem(f"{name}:1", "", "must be a mapping of keys to values")])
        return Document(name, reader.plain(node, ()), reader.places)
    except MarkedYAMLError as error:
        raise _broken(error, name) from None
    except (YAMLError, ValueError, RecursionError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError([Problem(name, "", f"broken YAML: {reason}")]) from None


def read_value(text: str, place: str, key: str) -> Any:
    """Parse the value of an option as YAML.

    Raises:
        ConfigError: if it is not YAML.
    """
    try:
        (value,) = read_document(f"value: {text}\n", place).values.values()
    except (ConfigError, ValueError):
        raise ConfigError([Problem(place, key, "the value is not YAML", text)]) from None
    return value


def _plain(value: Any) -> Any:
    """Return a value that JSON lacks as one that it has: a number of NumPy as a number, a path as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _is_utf8(value: object) -> bool:
    text = json.dumps(value, ensure_ascii=False)
    return utf8(text) == text


class _Reader:
    """Turns ruamel's nodes into plain values and notes the line of every key and item."""

    def __init__(self, name: str) -> None:
        self.yaml = YAML(typ="safe", pure=True)
        self.name = name
        self.places: dict[KeyPath, str] = {}
        self._nodes = 0

    def plain(self, node: Node, path: KeyPath) -> Any:
        self._nodes += 1
        if len(path) > MAX_DEPTH:
            raise self._error(node, path[:2], "is nested too deeply")
        if self._nodes > MAX_NODES:
            raise self._error(node, path[:1], "holds more values than a config may")
        if isinstance(node, MappingNode) and node.tag == f"{TAG}map":
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and node.tag == f"{TAG}seq":
            return [self._item(value, (*path, index), value) for index, value in enumerate(node.value)]
        if node.tag in TEXTS:
            return node.value
        if node.tag not in SCALARS:
            raise self._error(node, (), "YAML tags are not allowed", node.tag)
        if len(node.value) > MAX_DIGITS:
            raise self._error(node, path, "is too large a number")
        return self.yaml.constructor.construct_object(node)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, object]:
        self.yaml.constructor.flatten_mapping(node)  # merges what `<<` names
        values: dict[str, object] = {}
        for key_node, value in node.value:
            key = str(self.plain(key_node, path))
            if key in values:
                raise self._error(key_node, (), f'broken YAML: found duplicate key "{key}"')
            values[key] = self._item(value, (*path, key), key_node)
        return values

    def _item(self, node: Node, path: KeyPath, mark: Node) -> Any:
        self.places[path] = f"{self.name}:{mark.start_mark.line + 1}"
        return self.plain(node, path)

    def _error(self, node: Node, path: KeyPath, rule: str, given: str | None = None) -> ConfigError:
        return ConfigError([Problem(f"{self.name}:{node.start_mark.line + 1}", dotted(path), rule, given)])


# What ruamel says of common mistakes, in plain words; True: the mistake is where ruamel saw the context begin.
_BROKEN = (
    ("\\t", "a tab; lines are indented with spaces", False),
    ("unexpected end of stream", "a quote is opened here and never closed", True),
    ("could not find expected ':'", "a key is followed by a colon and a space", True),
    ("expected <block end>", "the indentation fits none of the lines above", False),
)


def _broken(error: MarkedYAMLError, name: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    rule = str(error.problem or error.context or "is not YAML").splitlines()[0]
    for part, words, at_context in _BROKEN:
        if part in rule:
            rule, mark = words, (error.context_mark or mark) if at_context else mark
    place = f"{name}:{mark.line + 1}" if mark else name
    return ConfigError([Problem(place, "", f"broken YAML: {rule}")])


def dotted(path: KeyPath) -> str:
    """Return `model.recurrent.0.units` for a path of keys and indices."""
    return ".".join(map(str, path))


def dump(values: dict[str, object]) -> str:
    """Return `values` as YAML, keys in their own order."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # annotated as None only
    yaml.allow_unicode = False  # \x85 and its like would come back as spaces
    stream = StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()
