"""A data set as loaded, and as one experiment sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnnsent.config import DataConfig
from rnnsent.data.split import Split
from rnnsent.errors import DataError
from rnnsent.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Dataset:
    """Train and test reviews with all their words, the vocabulary, the names of the labels.

    Attributes:
        source: "imdb" or "sample".
        train, test: the reviews; ids are those of `vocabulary`.
        vocabulary: built from, or made for, the training split.
        label_names: what label 0, 1, … means.
        provenance: file, hash and the like, for metrics.json.
    """

    source: str
    train: Split
    test: Split
    vocabulary: Vocabulary
    label_names: tuple[str, ...]
    provenance: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Partition:
    """What one experiment uses: training, validation and test reviews, cut as its config says."""

    train: Split
    validation: Split
    test: Split
    vocabulary: Vocabulary
    label_names: tuple[str, ...]


def validation_boundary(reviews: int, validation_split: float) -> int:
    """Return where the reviews to validate on begin: Keras' own rounding, floating point and all."""
    return int(reviews * (1.0 - validation_split))


def partition(dataset: Dataset, config: DataConfig) -> Partition:
    """Cut the reviews to `num_words` and `maxlen`, and hold the last `validation_split` of train for validation.

    Raises:
        DataError: if too few reviews are left on either side, or the training labels are all the same.
    """
    boundary = validation_boundary(len(dataset.train), config.validation_split)
    if not 0 < boundary < len(dataset.train):
        raise DataError(
            f"{len(dataset.train)} training reviews with validation_split {config.validation_split} leave "
            f"{boundary} to train on and {len(dataset.train) - boundary} to validate on; both need at least 1"
        )
    train = dataset.train.cut(config.num_words, config.maxlen, config.truncating)
    parts = Partition(
        train=train.take(slice(None, boundary)),
        validation=train.take(slice(boundary, None)),
        test=dataset.test.cut(config.num_words, config.maxlen, config.truncating),
        vocabulary=replace(dataset.vocabulary, num_words=config.num_words),
        label_names=dataset.label_names,
    )
    present = np.unique(parts.train.labels)
    if len(present) < 2:
        raise DataError(
            f"all {len(parts.train):,} training reviews are labeled {dataset.label_names[present[0]]}: there is "
            "nothing to tell apart; training needs reviews of both labels"
        )
    return parts
