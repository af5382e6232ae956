"""Which rows train, validate and test: as given, or drawn with a seed by label or by group. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.errors import DataError, count

Ints = NDArray[np.int64]

TRAIN, VALIDATION, TEST, DROPPED, UNLABELED = range(5)
UNGIVEN = -1
SPLITS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}


def assign(
    labels: Ints, given: Ints, groups: Ints | None, *, test_share: float, validation_share: float, seed: int
) -> Ints:
    """Return TRAIN, VALIDATION or TEST for each row.

    A test split is drawn if none is given, then a validation split from the remaining training rows. Without groups
    each label has the same share everywhere, and at least one row in training; with groups the shares come close.

    Args:
        labels: (rows,), 0 and up; negative without a label.
        given: (rows,), TRAIN, VALIDATION, TEST, UNLABELED or UNGIVEN.
        groups: (rows,); the rows of a group that are drawn from stay together. None: every row by itself.
        test_share: of all rows.
        validation_share: of the rows that are not for testing.
        seed: of the draw.
    """
    splits = np.where(given == UNGIVEN, TRAIN, given)
    groups = None if groups is None else _by_appearance(groups, labels >= 0)
    rng = np.random.default_rng(seed)
    for split, share in ((TEST, test_share), (VALIDATION, validation_share)):
        if not (given == split).any() and share > 0:
            rows = np.flatnonzero(splits == TRAIN)
            draw = _draw_rows if groups is None else _draw_groups
            drawn = draw(labels[rows], rows if groups is None else groups[rows], share, rng)
            splits[rows[drawn]] = split
    return splits


def _by_appearance(groups: Ints, labeled: NDArray[np.bool_]) -> Ints:
    """Number groups by their first labeled row, so that rows without a label do not change the draw."""
    known, first = np.unique(groups[labeled], return_index=True)
    ranks = np.argsort(np.argsort(first))
    return np.where(labeled, ranks[np.minimum(np.searchsorted(known, groups), len(known) - 1)], -1)


def _draw_rows(labels: Ints, _: Ints, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    drawn = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        drawn[rows[: min(round(share * len(rows)), len(rows) - 1)]] = True
    return drawn


def _draw_groups(labels: Ints, groups: Ints, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    _, groups = np.unique(groups, return_inverse=True)
    counts = label_counts(groups, labels, int(labels.max(initial=0)) + 1)
    wanted = share * counts.sum(axis=0)
    chosen: list[int] = []
    total = np.zeros_like(wanted)
    # A group is chosen if that brings the labels nearer to their shares.
    for group in rng.permutation(len(counts)).tolist():
        if np.abs(total + counts[group] - wanted).sum() < np.abs(total - wanted).sum():
            total += counts[group]
            chosen.append(group)
    if not chosen and len(counts) > 1:
        chosen = [int(counts.sum(axis=1).argmin())]
    return np.isin(groups, chosen)


def label_counts(groups: Ints, labels: Ints, names: int) -> NDArray[np.float64]:
    """Return the number of rows of each label, below `names`, in each group: (groups, names)."""
    counts = np.zeros((int(groups.max(initial=-1)) + 1, names))
    if labels.ndim == 2:  # which of several labels each row has
        np.add.at(counts, groups, labels)
    else:
        np.add.at(counts, (groups, labels), 1)
    return counts


def texts_of(labels: NDArray[Any], names: int) -> Ints:
    """Return how many rows have each label, (names,), from one a row, (rows,), or which it has, (rows, names)."""
    counts: Ints = labels.sum(axis=0, dtype=np.int64) if labels.ndim == 2 else np.bincount(labels, minlength=names)
    return counts


def repeated(hashes: NDArray[np.uint64], splits: Ints) -> NDArray[np.bool_]:
    """Return which rows repeat the text of another. That of test stays, else of validation, else one with a label."""
    rank = np.where(splits == UNLABELED, UNGIVEN - 1, splits)
    order = np.lexsort((np.arange(len(hashes)), -rank, hashes))
    again = np.zeros(len(hashes), np.bool_)
    again[order[1:]] = hashes[order[1:]] == hashes[order[:-1]]
    return again


def in_training(hashes: NDArray[np.uint64], splits: Ints) -> dict[str, int]:
    """Return the numbers of rows of the validation and the test split with a text of training, if there are any."""
    trained = hashes[splits == TRAIN]
    rows = {name: np.isin(hashes[splits == SPLITS[name]], trained) for name in ("validation", "test")}
    return {name: int(repeats.sum()) for name, repeats in rows.items() if repeats.any()}


def contradictions(hashes: NDArray[np.uint64], labels: Ints) -> int:
    """Return how many rows share their text with one of another label."""
    _, texts, rows = np.unique(hashes, return_inverse=True, return_counts=True)
    names = int(labels.max(initial=0)) + 1
    labels_of_text = np.bincount(np.unique(texts * names + labels) // names, minlength=len(rows))
    return int(rows[labels_of_text > 1].sum())


def require_trainable(labels: Ints, splits: Ints, names: Sequence[str], *, validated: bool = True) -> None:
    """Require two labels to train on, all labels of other splits among them, and, if `validated`, validation texts."""
    counts = {name: texts_of(labels[splits == split], len(names)) for name, split in SPLITS.items()}
    present = {name: set(np.flatnonzero(number).tolist()) for name, number in counts.items()}
    if labels.ndim == 2:
        rows = int((splits == TRAIN).sum())
        for name, number in zip(names, counts["train"].tolist(), strict=True):
            if number in (0, rows):
                which = "no" if number == 0 else "every"
                raise DataError(f"{which} training text is labeled {name}: a network cannot learn that; leave it out")
    if len(present["train"]) < 2:
        only = ", ".join(names[label] for label in present["train"]) or "none"
        raise DataError(f"nothing to learn: the labels of the training texts are: {only}; two or more are needed")
    for split in ("validation", "test"):
        missing = ", ".join(names[label] for label in sorted(present[split] - present["train"]))
        if missing:
            raise DataError(
                f"no training text is labeled {missing}, but {split} texts are: a network cannot learn that; leave the "
                "label out with data.label_map, or split the rows otherwise"
            )
    if validated and not present["validation"]:
        raise DataError(
            f"{count(int((splits == TRAIN).sum()), 'text')} to train on leave none to validate: a larger "
            "data.validation_split, or more texts"
        )
