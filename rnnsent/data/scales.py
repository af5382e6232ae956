"""Ordered labels: which labels are steps of a scale, and in which order."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rnnsent.data.labels import label_key, ordered
from rnnsent.errors import DataError

_STARS = re.compile(r"(\d+(?:\.\d+)?) ?(?:stars?|★)")
_DEGREES = {
    "somewhat": 0.5, "slightly": 0.5, "mildly": 0.5, "rather": 0.5, "very": 2.0, "strongly": 2.0, "highly": 2.0,
    "completely": 3.0, "extremely": 3.0, "totally": 3.0,
}  # fmt: skip
_HIGH = ("agree", "positive", "good", "satisfied", "likely", "happy", "important", "useful", "helpful", "easy")
_LOW = (
    "disagree", "negative", "bad", "poor", "dissatisfied", "unsatisfied", "unlikely", "unhappy", "unimportant",
    "useless", "unhelpful", "difficult", "hard",
)  # fmt: skip
_MIDDLE = ("neutral", "undecided", "unsure", "mixed", "average", "fair", "okay", "ok")
_STEPS = {
    **dict.fromkeys(_HIGH, 1.0), **dict.fromkeys(_LOW, -1.0), **dict.fromkeys(_MIDDLE, 0.0),
    "excellent": 4.0, "terrible": -4.0, "awful": -4.0,
}  # fmt: skip


def scale(labels: Iterable[str]) -> tuple[str, ...] | None:
    """Return labels from low to high if they are those of a scale: 1 to 5, stars, or words such as "very bad".

    "negative", "neutral" and "positive" are none: without a degree the middle may be a class of its own.
    """
    keys = {name: " ".join(re.split(r"[\s_-]+", label_key(name))) for name in labels}
    stars = {name: _STARS.fullmatch(key) for name, key in keys.items()}
    if sorted(keys.values()) == list("12345"):
        steps = {name: float(key) for name, key in keys.items()}
    elif all(stars.values()):
        steps = {name: float(match[1]) for name, match in stars.items() if match}
    else:
        steps = {name: step for name, key in keys.items() if (step := _step(key)) is not None}
        if not any(abs(step) > 1 for step in steps.values()):
            return None
    alike = len(set(steps.values())) < len(keys)
    return None if alike or len(keys) < 3 else tuple(sorted(steps, key=lambda name: steps[name]))


def _step(key: str) -> float | None:
    """Return where words are on a scale from -4 to 4; None if they are on none."""
    first, *rest = key.split(" ")
    if first == "neither":
        return 0.0
    if len(rest) == 1 and first in _DEGREES and _STEPS.get(rest[0]):
        return _DEGREES[first] * _STEPS[rest[0]]
    return None if rest else _STEPS.get(first)


def in_order(labels: Iterable[str], is_ordered: bool | None) -> tuple[tuple[str, ...], bool]:
    """Return the labels in order, and whether they are steps of a scale.

    Args:
        labels: all; in a tuple those of the config, whose order stays.
        is_ordered: what the config says; None: find out.

    Raises:
        DataError: if they have to be a scale, and their order is not known.
    """
    names, steps = ordered(labels), scale(labels)
    if isinstance(labels, tuple):
        names, steps = labels, labels if is_ordered or steps == labels else None
    elif is_ordered and steps is None and all(re.fullmatch(r"[+-]?\d+(\.\d+)?", name) for name in names):
        steps = names
    if is_ordered and len(names) < 3:
        raise DataError(f"data.ordered: two labels have no order to learn: {', '.join(names)}; leave it out")
    if is_ordered and steps is None:
        raise DataError(f"data.ordered: the order of {', '.join(names[:20])} is unknown; name it by data.labels")
    return (names, False) if is_ordered is False or steps is None else (steps, True)
