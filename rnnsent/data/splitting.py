"""Which rows train, validate and test: as given, or drawn with a seed, by label or by group. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnsent.errors import DataError, count

Ints = NDArray[np.int64]

TRAIN, VALIDATION, TEST, DROPPED, UNLABELED = range(5)
UNGIVEN = -1
NAMES = {"train": TRAIN, "validation": VALIDATION, "test": TEST}


def assign(
    labels: Ints, given: Ints, groups: Ints | None, *, test_share: float, validation_share: float, seed: int
) -> Ints:
    """Return TRAIN, VALIDATION or TEST for each row.

    Splits that are given stay. A test split is drawn only where none is given, and so is a validation split, from
    what is left to train on. Without groups each label is drawn from by itself, so that its share is the same
    everywhere, and at least one row of it stays in training; groups are taken so that the shares come close.

    Args:
        labels: (rows,), 0 and up.
        given: (rows,), TRAIN, VALIDATION, TEST, UNLABELED or UNGIVEN.
        groups: (rows,), 0 and up; the rows of one group that are drawn from stay together. None: every row by itself.
        test_share: of all rows.
        validation_share: of the rows that are not for testing.
        seed: of what is drawn.
    """
    splits = np.where(given == UNGIVEN, TRAIN, given)
    rng = np.random.default_rng(seed)
    for split, share in ((TEST, test_share), (VALIDATION, validation_share)):
        if not (given == split).any() and share > 0:
            rows = np.flatnonzero(splits == TRAIN)
            splits[rows[_drawn(labels[rows], None if groups is None else groups[rows], share, rng)]] = split
    return splits


def _drawn(labels: Ints, groups: Ints | None, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    drawn = np.zeros(len(labels), np.bool_)
    if groups is None:
        for label in np.unique(labels):
            rows = rng.permutation(np.flatnonzero(labels == label))
            drawn[rows[: min(round(share * len(rows)), len(rows) - 1)]] = True
        return drawn
    _, inverse = np.unique(groups, return_inverse=True)
    counts = label_counts(inverse, labels, int(labels.max(initial=0)) + 1)
    wanted = share * counts.sum(axis=0)
    taken: list[int] = []
    held = np.zeros_like(wanted)
    # A group is taken where that brings the labels nearer to their shares.
    for group in rng.permutation(len(counts)).tolist():
        if np.abs(held + counts[group] - wanted).sum() < np.abs(held - wanted).sum():
            held += counts[group]
            taken.append(group)
    if not taken and len(counts) > 1:
        taken = [int(counts.sum(axis=1).argmin())]
    drawn[np.isin(inverse, taken)] = True
    return drawn


def label_counts(groups: Ints, labels: Ints, names: int) -> NDArray[np.float64]:
    """Return how many rows of each label each group has, (groups, labels).

    Args:
        groups: (rows,), 0 and up.
        labels: (rows,), 0 and below `names`.
        names: how many labels there are.
    """
    counts = np.zeros((int(groups.max(initial=-1)) + 1, names))
    np.add.at(counts, (groups, labels), 1)
    return counts


def repeated(prints: NDArray[np.uint64], splits: Ints) -> NDArray[np.bool_]:
    """Return which rows say what another one says already: in the test split, then validation, training, unlabeled.

    So a text that is tested on is never trained on, and what is tested on is what would be without this.
    """
    rank = np.where(splits == UNLABELED, -1, splits)
    order = np.lexsort((np.arange(len(prints)), -rank, prints))
    again = np.zeros(len(prints), np.bool_)
    again[order[1:]] = prints[order[1:]] == prints[order[:-1]]
    return again


def in_training(prints: NDArray[np.uint64], splits: Ints) -> dict[str, int]:
    """Return how many rows of the validation and the test split say what a training row says too."""
    trained = prints[splits == TRAIN]
    return {name: int(np.isin(prints[splits == NAMES[name]], trained).sum()) for name in ("validation", "test")}


def contradictions(prints: NDArray[np.uint64], labels: Ints) -> int:
    """Return how many rows share their text with one of another label."""
    _, inverse = np.unique(prints, return_inverse=True)
    lowest = np.full(int(inverse.max(initial=0)) + 1, np.iinfo(np.int64).max)
    highest = np.full_like(lowest, -1)
    np.minimum.at(lowest, inverse, labels)
    np.maximum.at(highest, inverse, labels)
    return int((lowest != highest)[inverse].sum()) if len(labels) else 0


def require_trainable(labels: Ints, splits: Ints, names: Sequence[str]) -> None:
    """Require that something can be learned from the rows, and that it can be judged.

    Args:
        labels: (rows,), 0 and up; negative where there is none.
        splits: (rows,), as `assign` returns them.
        names: of the labels.

    Raises:
        DataError: if there are not two labels to train on, one is judged that is not trained, or nothing validates;
            without the file.
    """
    seen = {name: set(np.unique(labels[splits == split]).tolist()) for name, split in NAMES.items()}
    if len(seen["train"]) < 2:
        only = ", ".join(names[label] for label in seen["train"]) or "none"
        raise DataError(
            f"there is nothing to tell apart: the labels of the training texts are: {only}; two or more are needed"
        )
    for split in ("validation", "test"):
        unseen = sorted(seen[split] - seen["train"])
        if unseen:
            missing = ", ".join(names[label] for label in unseen)
            raise DataError(
                f"no training text is labeled {missing}, but {split} texts are: a network cannot learn that; leave the "
                "label out with data.label_map, or split the rows otherwise"
            )
    if not (splits == VALIDATION).any():
        raise DataError(
            f"{count(int((splits == TRAIN).sum()), 'text')} to train on leave none to validate: a larger "
            "data.validation_split, or more texts"
        )
