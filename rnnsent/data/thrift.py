"""Structs in Thrift's compact protocol, in which Parquet says of itself what there is.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import IO, Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
MAX_DEPTH = 12  # Parquet needs six
_MOST = {I16: 2**15 - 1, I32: 2**31 - 1, I64: 2**63 - 1}

# By number and type: a reader passes over a field of another type than it expects. Of two that are the same the last
# one counts.
Field = tuple[int, int]
Struct = dict[Field, Any]
Wanted = Mapping[Field, Any]  # fields, each with the same of the structs in it

_NOTHING: Wanted = {}


def read_struct(stream: IO[bytes], wanted: Wanted | None = None, depth: int = 0) -> Struct:
    """Return the whole numbers, lists and structs in a struct by number and type; of what else it holds None.

    Args:
        stream: in memory or buffered; it stands behind the struct afterwards.
        wanted: the fields that are kept, as the rest may be much; None: all.
        depth: how many structs and lists this one stands in.

    Raises:
        ValueError: if there is none.
    """
    found: Struct = {}
    number = 0
    while head := _byte(stream):
        kind, step = head & 15, head >> 4
        number = number + step if step else _integer(stream, I16)
        if number > _MOST[I16]:
            raise ValueError("it has a field that cannot be")
        field = number, kind
        kept = wanted is None or field in wanted
        inside = (None if wanted is None else wanted[field]) if kept else _NOTHING
        value = None if kind in (TRUE, FALSE) else _value(stream, kind, inside, depth + 1)
        if kept:
            found[field] = value
    return found


def _value(stream: IO[bytes], kind: int, wanted: Wanted | None, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    if kind in _MOST:
        return _integer(stream, kind)
    if kind == BINARY:
        return _pass_over(stream, read_varint(stream))
    if kind == STRUCT:
        return read_struct(stream, wanted, depth)
    if kind in (LIST, SET):
        head = _byte(stream)
        size = head >> 4 if head >> 4 < 15 else read_varint(stream)
        values = (_value(stream, head & 15, wanted, depth + 1) for _ in range(size))  # of which each has a byte
        return deque(values, 0) if wanted == _NOTHING else list(values)
    if kind == MAP:
        size = read_varint(stream)
        kinds = _byte(stream) if size else 0
        for _ in range(size):
            _value(stream, kinds >> 4, _NOTHING, depth + 1)
            _value(stream, kinds & 15, _NOTHING, depth + 1)
        return None
    if kind in (TRUE, FALSE, BYTE):
        return _pass_over(stream, 1)
    if kind == DOUBLE:
        return _pass_over(stream, 8)
    raise ValueError(f"there is no type {kind}")


def _integer(stream: IO[bytes], kind: int) -> int:
    """Return a whole number; others would cut one that does not fit, and read another."""
    found = _signed(read_varint(stream))
    if not -_MOST[kind] - 1 <= found <= _MOST[kind]:
        raise ValueError("it holds a number that does not fit its type")
    return found


def _pass_over(stream: IO[bytes], size: int) -> None:
    """Go on behind so many bytes, all of which are there: else an endless list would have values without any."""
    if size:
        stream.seek(size - 1, 1)
        _byte(stream)


def _byte(stream: IO[bytes]) -> int:
    found = stream.read(1)
    if not found:
        raise ValueError("it ends too early")
    return found[0]


def read_varint(stream: IO[bytes]) -> int:
    """Return a whole number of at most 70 bits.

    Raises:
        ValueError: if there is none.
    """
    value = shift = 0
    while True:
        byte = _byte(stream)
        value |= (byte & 127) << shift
        if byte < 128:
            return value
        shift += 7
        if shift > 63:
            raise ValueError("it holds an endless number")


def _signed(number: int) -> int:
    return (number >> 1) ^ -(number & 1)
