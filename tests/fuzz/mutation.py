"""Valid files → damaged and forged ones: bytes that changed, and structures that nobody would write."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Mutation = Callable[[bytes, random.Random], bytes]

ODD_BYTES = (
    b"\0", b"\xff", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 64, b"\r", b"\n", b'"', b"'", b"[" * 200, b"{" * 50,
    b"&a ",
    b"*a", b"!!", b"<<: ", b"\t", b"\xc3", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"1e999", b"NaN", b"-Infinity", b"0x",
    b"9" * 5000, b"r\xff\xff\xff\x7f", b"\x8e" + b"\xff" * 8, b"PK\1\2", b"PK\3\4", b"\x93NUMPY", b"..", b"/", b"%s",
    b"\x1b[31m", b",", b";", b":", b"true", b"null", b"~", b"---\n", b"\xef\xbb\xbf", b"\xff\xfe",
)  # fmt: skip

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.sampled_from([0, -1, 2**31, 2**63, 10**400, 1e308, -0.0, 5e-324, float("inf"), float("nan")]),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["", "\0", "../x", "/etc/passwd", "members/x/weights.npz", "\ud800", "\u202e", "$HOME", "x" * 999]),
    st.lists(st.integers(-3, 3) | st.text(max_size=3), max_size=4),
    st.dictionaries(st.text(max_size=4), st.integers(-3, 3) | st.none(), max_size=3),
    st.recursive(st.just(1), lambda inner: st.lists(inner, min_size=1, max_size=2), max_leaves=6),
)


@lru_cache
def odd_values(number: int, count: int = 600) -> list[Any]:
    """Return values that Hypothesis draws from `ODD`, the same for the same seed."""
    drawn: list[Any] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(ODD)
    def draw(value: Any) -> None:
        drawn.append(copy.deepcopy(value))

    draw()
    return drawn


def changed_bytes(content: bytes, rng: random.Random) -> bytes:
    """Return the content after one to eight changes: flipped, cut, doubled, moved, zeroed, with odd bytes put in."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(changed) + 1)
        end = min(at + rng.choice((1, 2, 4, 8, 64, 512)), len(changed))
        kind = rng.randrange(7)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(changed):
            changed[at] = rng.choice((0, 1, 127, 128, 254, 255, rng.randrange(256)))
        elif kind == 2:
            del changed[at:end]
        elif kind == 3:
            changed[at:at] = changed[at:end] * rng.choice((1, 2, 30))
        elif kind == 4:
            changed[at:at] = rng.choice(ODD_BYTES)
        elif kind == 5:
            changed[at : at + 8] = rng.choice(ODD_BYTES)
        elif rng.random() < 0.3:
            del changed[at:]
    return bytes(changed)


def spliced(one: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return the beginning of one file and the end of another."""
    return one[: rng.randrange(len(one) + 1)] + other[rng.randrange(len(other) + 1) :]


def changed_tree(tree: Any, odd: list[Any], rng: random.Random) -> Any:
    """Return a copy of nested lists and mappings in which some places hold something else, more, or nothing."""
    root: dict[str, Any] = {"root": copy.deepcopy(tree)}
    for _ in range(rng.choice((1, 1, 2, 4))):
        holder: Any = root
        key: Any = "root"
        while isinstance(holder[key], dict | list) and holder[key] and rng.random() < 0.8:
            holder = holder[key]
            key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
        kind = rng.randrange(6)
        if kind == 0 and holder is not root:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[str(rng.choice(odd))[:40]] = copy.deepcopy(rng.choice(odd))
        elif kind == 2:
            holder[key] = [holder[key]] * rng.choice((1, 2, 50))
        elif kind == 3:
            for _ in range(rng.choice((1, 30, 300))):
                holder[key] = [holder[key]]
        else:
            holder[key] = copy.deepcopy(rng.choice(odd))
        if not isinstance(root["root"], dict | list):
            break
    return root["root"]
