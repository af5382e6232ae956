"""A data set as loaded, and as one experiment sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import DataConfig
from rnnsent.data.split import Split
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import DataError


@dataclass(frozen=True, slots=True)
class Dataset:
    """Train and test reviews with all their words, the vocabulary, the names of the labels.

    Attributes:
        source: "imdb", "sample" or "texts".
        train, test: the reviews; ids are those of `vocabulary`. The test split of texts may be empty.
        vocabulary: built from, or made for, the training split.
        label_names: what label 0, 1, … means.
        provenance: file, hash and the like, for metrics.json.
        validation: the reviews to validate on, where the source sets them apart; else the end of train is for that.
        numbers: for "validation" and "test", which line or row of its table each review is; None: that is not known.
        ratings: for "validation" and "test", the stars of each review, 0 where they are not known; None: nowhere.
        unlabeled: texts without a label, where `data.unlabeled` asks for them.
    """

    source: str
    train: Split
    test: Split
    vocabulary: Vocabulary
    label_names: tuple[str, ...]
    provenance: dict[str, Any]
    validation: Split | None = None
    numbers: Mapping[str, NDArray[np.int64]] | None = None
    ratings: Mapping[str, NDArray[np.int64]] | None = None
    unlabeled: Split | None = None

    def held_back(self, validation_split: float) -> tuple[Split, Split]:
        """Return the reviews to train on, and those to validate on."""
        if self.validation is not None:
            return self.train, self.validation
        boundary = validation_boundary(len(self.train), validation_split)
        return self.train.take(slice(None, boundary)), self.train.take(slice(boundary, None))


@dataclass(frozen=True, slots=True)
class Partition:
    """What one experiment uses: training, validation and test reviews, cut as its config says."""

    train: Split
    validation: Split
    test: Split
    vocabulary: Vocabulary
    label_names: tuple[str, ...]
    unlabeled: Split | None = None


def validation_boundary(reviews: int, validation_split: float) -> int:
    """Return where the reviews to validate on begin: Keras' own rounding, floating point and all."""
    return int(reviews * (1.0 - validation_split))


def partition(dataset: Dataset, config: DataConfig) -> Partition:
    """Cut the reviews to `num_words` and `maxlen`, and hold the last `validation_split` of train for validation.

    Raises:
        DataError: if too few reviews are left on either side, or the training labels are all the same.
    """
    train, validation = dataset.held_back(config.validation_split)
    if not len(train) or not len(validation):
        raise DataError(
            f"{len(dataset.train)} training reviews with validation_split {config.validation_split} leave "
            f"{len(train)} to train on and {len(validation)} to validate on; both need at least 1"
        )

    def cut(split: Split) -> Split:
        return split.cut(config.num_words, config.maxlen, config.truncating)

    parts = Partition(
        cut(train),
        cut(validation),
        cut(dataset.test),
        vocabulary=replace(dataset.vocabulary, num_words=config.num_words),
        label_names=dataset.label_names,
        unlabeled=None if dataset.unlabeled is None else cut(dataset.unlabeled),
    )
    present = np.unique(parts.train.labels)
    if len(present) < 2:
        raise DataError(
            f"all {len(parts.train):,} training reviews are labeled {dataset.label_names[present[0]]}: there is "
            "nothing to tell apart; training needs reviews of both labels"
        )
    return parts
