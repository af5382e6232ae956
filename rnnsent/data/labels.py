"""Cells of a label column → names of labels: how cells are written, and the map that the config gives."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from rnnsent.errors import DataError

NULLS = frozenset(("", "nan", "null", "na", "n/a", "<na>"))  # how tables write that a cell is empty
_RANGE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:-|–|\.\.)\s*(-?\d+(?:\.\d+)?)\s*")
SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "valid": "validation",
    "validation": "validation", "val": "validation", "dev": "validation",
}  # fmt: skip


def cell_text(value: Any) -> str | None:
    """Return a cell as text, None where it is empty; 3.0 is "3", True is "true"."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = value if isinstance(value, str) else str(value)
    return None if text.strip().lower() in NULLS else text


def cell_label(value: Any) -> str | None:
    """Return a label as it is called, without the space around it; None where the cell is empty."""
    text = cell_text(value)
    return None if text is None else text.strip()


def cell_split(value: Any, place: str) -> str:
    """Return "train", "validation" or "test" for what a split column says.

    Raises:
        DataError: if it says something else.
    """
    name = (cell_label(value) or "").lower()
    if name not in SPLITS:
        raise DataError(f"{place}: {value!r} is no split; known are train, validation (valid, val, dev) and test")
    return SPLITS[name]


class LabelMap:
    """What each label in a file becomes: `{1-4: negative, 7-10: positive}`; what is not named is dropped.

    Args:
        rules: labels, or ranges of numbers with both ends, and the names that they become.

    Raises:
        DataError: if a range runs backwards.
    """

    def __init__(self, rules: Mapping[str, str]) -> None:
        self.names = tuple(dict.fromkeys(rules.values()))
        self._exact = {label.strip(): name for label, name in rules.items()}
        self._ranges = []
        for label, name in rules.items():
            span = _RANGE.fullmatch(label)
            if span is None:
                continue
            low, high = float(span[1]), float(span[2])
            if low > high:
                raise DataError(f"data.label_map: the range {label} runs backwards")
            self._ranges.append((low, high, name))

    def __call__(self, label: str) -> str | None:
        """Return the name that `label` becomes, None where it is dropped."""
        if label in self._exact:
            return self._exact[label]
        try:
            number = float(label)
        except ValueError:
            return None
        return next((name for low, high, name in self._ranges if low <= number <= high), None)


def ordered(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the labels in their natural order: numbers by size, then words by alphabet."""

    def key(label: str) -> tuple[int, float, str]:
        try:
            return 0, float(label), label
        except ValueError:
            return 1, 0.0, label

    return tuple(sorted(set(labels), key=key))
