"""YAML 1.2 as plain Python values that remember where they stand.

Tags are refused, equal keys are an error, `1e-3` is a number and `on` is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent
from ruamel.yaml.scalarbool import ScalarBoolean
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from rnnsent.errors import ConfigError, Problem

KeyPath = tuple[str | int, ...]  # ("model", "recurrent", 0, "units")
MAX_DEPTH = 20  # of nesting
MAX_STACK = 100  # of what is told so with the key at which it is
MAX_BITS = 1024  # of a whole number: Python refuses to print one of 4,300 digits
MAX_NODES = 10_000  # keys, values and items; a few aliases of aliases make billions
MAX_ALIASES = 100  # each is a copy of what it stands for


@dataclass
class Document:
    """A YAML mapping as plain Python values, and the place each key came from."""

    name: str
    values: dict[str, Any]
    places: dict[KeyPath, str] = field(default_factory=dict)
    nodes: int = field(default=0, repr=False)  # how many were made plain so far

    def line(self, problem: Problem) -> float:
        """Return the line a problem stands in; what is not in the file comes after it."""
        name, _, line = problem.place.rpartition(":")
        return int(line) if name == self.name and line.isdecimal() else float("inf")

    def rename(self, path: KeyPath, key: str) -> None:
        """Give the last key of `path` another name, and leave its lines to it."""
        section: Any = self.values
        for part in path[:-1]:
            section = section[part]
        section[key] = section.pop(path[-1])
        size = len(path)
        moved = {at: line for at, line in self.places.items() if at[:size] == path}
        self.places |= {(*path[:-1], key, *at[size:]): line for at, line in moved.items()}

    def place(self, path: KeyPath) -> str:
        """Return where `path` stands, or where the nearest enclosing key does."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return self.name


# What ruamel lets slip on odd documents, besides its own.
_NOT_YAML = (YAMLError, ValueError, RecursionError, OverflowError, TypeError, AttributeError, KeyError, IndexError)


def read_document(text: str, name: str) -> Document:
    """Parse YAML 1.2 without tags into plain values that remember their lines.

    Raises:
        ConfigError: if it is not that, or more than a config may be: in depth, in nodes, in aliases.
    """
    try:
        _check_events(text, name)
        tree = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        raise _broken(error, name) from None
    except _NOT_YAML as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError([Problem(name, "", f"broken YAML: {said}")]) from None
    document = Document(name, {})
    if tree is None:
        raise ConfigError([Problem(name, "", "is empty; a config has at least a `model:` section")])
    if not isinstance(tree, CommentedMap):
        raise ConfigError([Problem(f"{name}:1", "", "must be a mapping of keys to values")])
    document.values = _plain(tree, (), document)
    return document


# What ruamel says of common mistakes, in words for people; True: the mistake is where ruamel saw the context begin.
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


def _check_events(text: str, name: str) -> None:
    """Refuse what ruamel would obey, tags, and what it would read as null, aliases inside what they stand for.

    What is too much is refused here as well: building it would take ruamel minutes, or more stack than there is.
    """
    around: list[str | None] = []
    nodes = aliases = 0
    for event in YAML(typ="rt", pure=True).parse(text):
        nodes, aliases = nodes + isinstance(event, NodeEvent), aliases + isinstance(event, AliasEvent)
        place = f"{name}:{event.start_mark.line + 1}"
        if getattr(event, "tag", None) is not None:
            raise ConfigError([Problem(place, "", "YAML tags are not allowed", str(event.tag))])
        if isinstance(event, AliasEvent) and event.anchor in around:
            raise ConfigError([Problem(place, "", "an alias cannot hold itself", f"*{event.anchor}")])
        if isinstance(event, CollectionStartEvent):
            around.append(event.anchor)
            if len(around) > MAX_STACK:
                raise ConfigError([Problem(place, "", "is nested too deeply")])
        elif isinstance(event, CollectionEndEvent):
            around.pop()
        if nodes > 2 * MAX_NODES or aliases > MAX_ALIASES:
            raise ConfigError([Problem(place, "", "holds more than a config may")])


def _plain(node: Any, path: KeyPath, document: Document) -> Any:
    """Convert ruamel's nodes to plain values, noting the line of every key and item."""
    if len(path) > MAX_DEPTH:
        raise ConfigError([Problem(document.place(path[:1]), dotted(path[:2]), "is nested too deeply")])
    document.nodes += 1
    if document.nodes > MAX_NODES:
        raise ConfigError([Problem(document.place(path[:1]), dotted(path[:1]), "holds more than a config may")])
    if isinstance(node, CommentedMap):
        lines = node.lc.data or {}
        for key in lines:  # keys that `<<` merges in have no line here
            document.places[(*path, str(key))] = f"{document.name}:{lines[key][0] + 1}"
        return {str(key): _plain(value, (*path, str(key)), document) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        for index in range(len(node)):
            document.places[(*path, index)] = f"{document.name}:{node.lc.item(index)[0] + 1}"
        return [_plain(value, (*path, index), document) for index, value in enumerate(node)]
    if isinstance(node, ScalarBoolean):
        return bool(node)
    if isinstance(node, int) and node.bit_length() > MAX_BITS:
        raise ConfigError([Problem(document.place(path), dotted(path), "is too large a number")])
    plain: type
    for plain in (bool, int, float, str):  # ruamel's scalars are subclasses that remember their notation
        if isinstance(node, plain):
            return plain(node)
    return node


def apply_override(document: Document, place: str, override: str) -> Iterator[Problem]:
    """Set `a.b.0.c=value`, or `a.b[0].c=value`, in the document; the value is read as YAML."""
    name, equals, value = override.partition("=")
    name = re.sub(r"\[(\d+)\]", r".\1", name)
    if not equals or not name.strip():
        yield Problem(place, "", "must look like training.epochs=3")
        return
    path: list[str | int] = [int(part) if part.isdecimal() else part for part in name.strip().split(".")]
    target: Any = document.values
    for depth, part in enumerate(path[:-1], start=1):
        if isinstance(target, dict) and isinstance(part, str):
            if not isinstance(target.get(part), dict | list):
                target[part] = {}
                document.places[tuple(path[:depth])] = place
            target = target[part]
        elif isinstance(target, list) and isinstance(part, int) and part < len(target):
            target = target[part]
        else:
            yield Problem(place, name, f"there is no item {part} to set a value in")
            return
    last = path[-1]
    if not isinstance(target, dict | list):
        yield Problem(place, name, f"there is no item {last} to set a value in")
        return
    try:
        (parsed,) = read_document(f"value: {value}\n", place).values.values()
    except (ConfigError, ValueError):
        yield Problem(place, name, "the value is not YAML", value)
        return
    if isinstance(target, dict):
        target[str(last)] = parsed
    elif isinstance(last, int) and last < len(target):
        target[last] = parsed
    else:
        yield Problem(place, name, f"there is no item {last}; the list has {len(target)}")
        return
    document.places = {at: line for at, line in document.places.items() if at[: len(path)] != tuple(path)}
    document.places[tuple(path)] = place


def dotted(path: KeyPath) -> str:
    """Return `model.recurrent.0.units` for a path of keys and indices."""
    return ".".join(str(part) for part in path)


def dump_quoted(values: dict[str, Any]) -> str:
    """Return `values` as YAML that readers of any version take alike: every text in quotes, and ASCII."""
    yaml = YAML()
    yaml.allow_unicode = False
    yaml.width = 1 << 16
    stream = StringIO()
    yaml.dump(_quoted(values), stream)
    return stream.getvalue()


def _quoted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _quoted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_quoted(each) for each in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) else value


def dump(values: dict[str, Any]) -> str:
    """Return `values` as YAML, keys in their own order."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # annotated as None only
    yaml.allow_unicode = False  # \x85 and its like would come back as spaces
    stream = StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()
