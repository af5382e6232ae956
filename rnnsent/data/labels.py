"""Cells of a label column → names of labels: how cells are written, and the map that the config gives."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from rnnsent.errors import DataError

MIN_ROWS = 10  # that may all have different labels
MIN_TEXTS = 5  # of a label, to learn it
DOMINANT = 0.6  # share of the texts from which a label makes accuracy say little
_INVISIBLE = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_TRUTHS = dict.fromkeys(("true", "yes", "y", "t", "1"), "true") | dict.fromkeys(("false", "no", "n", "f", "0"), "false")
_WHOLE = re.compile(r"(-?\d+)\.0+")
_RANGE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:-|–|\.\.)\s*(-?\d+(?:\.\d+)?)\s*")
SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "valid": "validation",
    "validation": "validation", "val": "validation", "dev": "validation",
}  # fmt: skip


def cell_text(value: Any, nulls: Collection[str] = ()) -> str | None:
    """Return a cell as text, None where it is white space or one of `nulls`; 3.0 is "3", True is "true".

    Raises:
        DataError: if it holds a list, a mapping or bytes.
    """
    if isinstance(value, bytes | list | dict):
        raise DataError(f"a cell must hold text or a number, not {type(value).__name__}: {str(value)[:40]}")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value)
    return text if text.strip() and text.strip() not in nulls else None


def cell_label(value: Any, nulls: Collection[str] = ()) -> str | None:
    """Return the name of a label, without the space around it; None if the cell is empty, see `cell_text`."""
    text = cell_text(value, nulls)
    if text is None or not _INVISIBLE.sub("", text).strip():
        return None
    whole = _WHOLE.fullmatch(text.strip())  # some programs write 1 as 1.0
    return whole[1] if whole else text.strip()


def cell_labels(value: Any, separator: str, nulls: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of several labels in one cell, each once; none if it is empty, see `cell_label`.

    Args:
        value: of the cell; of JSON Lines or Parquet also a list.
        separator: between two labels.
        nulls: spellings of an empty cell.
    """
    parts = value if isinstance(value, list) else (cell_label(value, nulls) or "").split(separator)
    names = (cell_label(part, nulls) for part in parts)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def cell_truth(value: Any, nulls: Collection[str] = ()) -> bool | None:
    """Return whether a text has a label, for a cell of its column of 0 and 1; None if it is empty, see `cell_text`.

    Raises:
        DataError: if it says something else.
    """
    name = cell_label(value, nulls)
    truth = _TRUTHS.get(label_key(name or ""))
    if name is not None and truth is None:
        raise DataError(f"a column of one of several labels must hold 0 or 1, not {name[:40]!r}")
    return None if name is None else truth == "true"


def label_key(name: str) -> str:
    """Return what labels have in common that people take for one: without case, form of letters, invisible marks."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", name)).replace("\u0130", "i")  # which folds to two marks
    return unicodedata.normalize("NFKC", " ".join(plain.casefold().split()))


def same_labels(counts: Mapping[str, int]) -> dict[str, str]:
    """Return {spelling: label} of labels that are one for `label_key`; the most frequent spelling is the label."""
    spellings: dict[str, list[str]] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        spellings.setdefault(label_key(name), []).append(name)
    return {name: names[0] for names in spellings.values() for name in names[1:]}


def cell_split(value: Any, nulls: Collection[str] = ()) -> str | None:
    """Return the split that a cell of a split column names, None if it is empty; DataError if it is none."""
    name = (cell_label(value, nulls) or "").lower()
    if name and name not in SPLITS:
        raise DataError(f"unknown split {value!r}; use train, validation (valid, val, dev) or test")
    return SPLITS.get(name)


class LabelMap:
    """The names that labels in a file become: `{1-4: negative, 7-10: positive}`; other labels are dropped.

    Args:
        rules: labels, or ranges of numbers with both ends → names.

    Raises:
        DataError: if two ranges that overlap disagree.
    """

    def __init__(self, rules: Mapping[str, str]) -> None:
        self.labels = {str(label).strip() for label in rules}
        self.names = frozenset(rules.values())
        self._exact = {str(cell_label(label)): name for label, name in rules.items()}
        keys = Counter(map(label_key, self._exact))
        self._by_key = {label_key(label): name for label, name in self._exact.items() if keys[label_key(label)] == 1}
        self._ranges: dict[str, tuple[float, float, str]] = {}
        for label, name in rules.items():
            span = _RANGE.fullmatch(label)
            low, high = (float(span[1]), float(span[2])) if span else (1.0, 0.0)
            if low > high:  # a date, such as 2019-01
                continue
            if any(low <= b and a <= high and name != other for a, b, other in self._ranges.values()):
                raise DataError(f"data.label_map: the range {label} and another one name the same label differently")
            self._ranges[label] = (low, high, name)

    def unmatched(self, labels: Iterable[str]) -> str | None:
        """Return a label that is named, not as a range, and is none of `labels`; None if there is none."""
        known = set(map(label_key, labels))
        names = (label for label in self._exact if label not in self._ranges)
        return next((label for label in names if label_key(label) not in known), None)

    def __call__(self, label: str) -> str | None:
        """Return the name that `label` becomes, None where it is dropped."""
        name = self._exact.get(label, self._by_key.get(label_key(label)))
        if name is not None:
            return name
        try:
            number = float(label)
        except ValueError:
            return None
        return next((name for low, high, name in self._ranges.values() if low <= number <= high), None)


def ordered(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the labels in their natural order: numbers by size, then words by alphabet."""

    def key(label: str) -> tuple[int, float, str]:
        try:
            return 0, float(label), label
        except ValueError:
            return 1, 0.0, label

    return tuple(sorted(set(labels), key=key))


def require_labels(counts: Mapping[str, int], *, by_number: bool) -> None:
    """Require that a column looks like one of labels, by the number of rows of each in order of appearance.

    Raises:
        DataError: if its first row is a header, which a table `by_number` lacks, or most rows have their own label.
    """
    names, numbers, rows = list(counts), list(counts.values()), sum(counts.values())
    if by_number and len(names) > 2 and numbers[0] == 1 and min(numbers[1:]) > 1:
        raise DataError(
            f"its first line alone is labeled {names[0]}, as a line of names would be, and columns that are given by "
            "number mean that there is none; give their names (--text-column, --label-column), or remove that line"
        )
    if rows >= MIN_ROWS and 2 * len(names) > rows:
        raise DataError(
            f"{len(names):,} labels in {rows:,} rows ({', '.join(names[:3])}, …): is this the column of labels? "
            "--label-column names it"
        )


def label_warnings(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return what keeps labels from being learned or evaluated; `counts` are {split: {label: texts}}, with "train"."""
    warnings = []
    meanings: dict[str, list[str]] = {}
    for name in counts["train"]:
        meanings.setdefault(_meaning(name), []).append(name)
    if alike := [names for names in meanings.values() if len(names) > 1]:
        quoted = {name: "'" + name.replace("'", "''") + "'" for name in counts["train"]}
        joined = ", ".join(f"{quoted[name]}: {quoted[names[0]]}" for names in meanings.values() for name in names)
        pairs = "; ".join(" and ".join(names) for names in alike[:3])
        warnings.append(f'labels that may mean the same: {pairs}; --label-map "{joined}" joins them')
    rare = [f"{name} {number}" for name, number in counts["train"].items() if number < MIN_TEXTS]
    if rare:
        warnings.append(f"fewer than {MIN_TEXTS} texts to learn a label from: {_some(rare)}; add some, or leave it out")
    label, most = max(counts["train"].items(), key=lambda item: item[1])
    if len(counts["train"]) > 1 and most >= DOMINANT * sum(counts["train"].values()) > 0:
        share = f"{most / sum(counts['train'].values()):.0%} of the labels to learn from are {label}"
        advice = "look at balanced accuracy and F1 (training.monitor: val_f1)"
        warnings.append(f"{share}, so accuracy says little: {advice}")
    for split in ("validation", "test"):
        texts = counts.get(split, {})
        absent = [name for name in counts["train"] if not texts.get(name)]
        if sum(texts.values()) and absent:
            what = "only one label" if len(absent) == len(counts["train"]) - 1 else f"no text of {_some(absent)}"
            warnings.append(f"the {split} texts hold {what}: figures on them cannot say how well these are recognized")
    return warnings


def _meaning(name: str) -> str:
    """Return what labels have in common that may mean the same: as truth values, as numbers, without quotes."""
    key = _DASHES.sub("-", label_key(name)).strip("\"'`“”„‘’ ")
    with suppress(ValueError):
        key = f"{float(key):g}"
    return _TRUTHS.get(key, key)


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:5], *(["…"] if len(names) > 5 else [])])
