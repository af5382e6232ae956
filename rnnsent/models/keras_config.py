"""The config of a saved Keras network: what may stand in it, and whether it is that of another one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# All that networks of rnnsent consist of, as Keras names it: a test saves one of each kind.
KNOWN = frozenset(
    [("keras", "Sequential"), ("keras", "DTypePolicy"), ("keras.src.models.functional", "Functional")]
    + [("keras.initializers", name) for name in ("GlorotUniform", "Orthogonal", "RandomUniform", "Zeros")]
    + [
        ("keras.layers", name)
        for name in (
            "Bidirectional", "Dense", "Dropout", "Embedding", "GRU", "GlobalAveragePooling1D", "InputLayer", "LSTM",
            "SimpleRNN", "SpatialDropout1D",
        )
    ]
    + [("keras.src.ops.core", "Cast"), ("keras.src.ops.nn", "Softmax")]
    + [
        ("keras.src.ops.numpy", name)
        for name in (
            "Add", "Concatenate", "ExpandDims", "FloorDivide", "GetItem", "LogicalAnd", "Max", "Mod", "Multiply",
            "NotEqual", "Pad", "Sum", "TrueDivide", "Where",
        )
    ]
    + [(None, "__keras_tensor__"), (None, "__slice__")]
)  # fmt: skip

MAX_DEPTH = 40
MAX_NODES = 200_000
_IGNORED = "shared_object_id"  # a number of the process

Json = Any


def require_known(config: Json) -> None:
    """Require that a config asks Keras for nothing but what rnnsent's own networks consist of.

    Raises:
        ValueError: naming what else it asks for.
    """
    for number, node in enumerate(_nodes(config)):
        if number > MAX_NODES:
            raise ValueError("config.json holds more than a network")
        if not isinstance(node, dict):
            continue
        kind, module, registered = (node.get(key) for key in ("class_name", "module", "registered_name"))
        if kind is None and module is None and registered is None:
            continue
        asked = ".".join(str(part)[:60] for part in (module, kind) if part is not None)
        if not isinstance(kind, str) or not isinstance(module, str | None) or (module, kind) not in KNOWN:
            given = node.get("config")
            function = f", {given[:60]!r}" if isinstance(given, str) else ""
            raise ValueError(f"config.json asks for {asked}{function}, which no network of rnnsent consists of")
        if registered not in (None, kind):
            raise ValueError(f"config.json asks for the custom object {str(registered)[:60]!r} as {asked}")


def _nodes(node: Json, depth: int = 0) -> Iterator[Json]:
    if depth > MAX_DEPTH:
        raise ValueError("config.json is nested too deeply")
    yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _nodes(inner, depth + 1)


def difference(found: Json, expected: Json) -> str:
    """Return where a network differs from the one that it should be, "" where it does not.

    Operations have names that count on through a process and stand in any order, so a graph is followed from its
    outputs. A key that only one of the two has is a default of another version of Keras, if it says nothing.

    Raises:
        ValueError: if the config is none of a network.
    """
    try:
        return _Comparison(found, expected).run()
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"config.json describes no network: {type(error).__name__} {error}") from None


class _Comparison:
    """Two networks, gone through side by side."""

    def __init__(self, found: Json, expected: Json) -> None:
        self._found, self._expected = found, expected
        self._layers = [{layer.get("name"): layer for layer in each["config"]["layers"]} for each in (found, expected)]
        self._same: dict[str, str] = {}  # a name in the one → the name in the other
        self._left: list[tuple[str, str]] = []

    def run(self) -> str:
        one, two = self._found, self._expected
        other = self._values(_head(one), _head(two), "")
        while self._left and not other:
            mine, its = self._left.pop()
            other = self._values(self._layers[0][mine], self._layers[1][its], f"{its}.")
        if not other and one["class_name"] == "Functional" and len(self._same) != len(one["config"]["layers"]):
            return "it has layers that lead nowhere"
        return other

    def _values(self, found: Json, expected: Json, place: str) -> str:
        if isinstance(found, dict) and isinstance(expected, dict):
            for key in sorted(found.keys() | expected.keys()):
                other = self._key(found, expected, key, f"{place}{key}")
                if other:
                    return other
            return ""
        if isinstance(found, list) and isinstance(expected, list):
            if self._is_reference(found) and self._is_reference(expected):
                return self._reference(found, expected, place)
            if len(found) != len(expected):
                return f"{place.rstrip('.')} has {len(found)} items, not {len(expected)}"
            pairs = enumerate(zip(found, expected, strict=True))
            return next((other for at, pair in pairs if (other := self._values(*pair, f"{place}{at}."))), "")
        if type(found) is not type(expected) or found != expected:
            return f"{place.rstrip('.')} is {str(found)[:60]}, not {str(expected)[:60]}"
        return ""

    def _key(self, found: dict[str, Json], expected: dict[str, Json], key: str, place: str) -> str:
        if key == _IGNORED:
            return ""
        if key not in expected:
            return "" if found[key] in (None, False) else f"{place} is {str(found[key])[:60]}, not left out"
        if key not in found:
            return ""
        if key == "name" and isinstance(found[key], str) and isinstance(expected[key], str):
            plain = found[key].replace("_", "").isalnum() and found[key].isascii()  # Keras makes paths of names
            return "" if plain else f"{place} is {found[key][:60]!r}, which is no name of a layer"
        return self._values(found[key], expected[key], f"{place}.")

    def _is_reference(self, value: list[Json]) -> bool:
        """Return whether this is [name of a layer, node, output]."""
        return len(value) == 3 and isinstance(value[0], str) and value[1:] == [0, 0]

    def _reference(self, found: list[Json], expected: list[Json], place: str) -> str:
        mine, its = found[0], expected[0]
        if mine not in self._layers[0]:
            return f"{place.rstrip('.')} is {mine[:60]!r}, and no layer has that name"
        if mine not in self._same:
            self._same[mine] = its
            self._left.append((mine, its))
        return "" if self._same[mine] == its else f"{place.rstrip('.')} comes from {mine[:60]}, not {its}"


def _head(network: Json) -> Json:
    """Return a config without the layers of a graph, which are reached from its outputs."""
    if network["class_name"] != "Functional":
        return network
    return {**network, "config": {**network["config"], "layers": len(network["config"]["layers"])}}
