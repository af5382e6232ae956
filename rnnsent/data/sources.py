"""`data.source` → Dataset, with the fallback that the config allows."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import LABELS, DataConfig
from rnnsent.data import imdb
from rnnsent.data.cache import Arrays, cached_arrays
from rnnsent.data.dataset import Dataset
from rnnsent.data.download import Progress
from rnnsent.data.split import Split
from rnnsent.errors import DataUnavailable
from rnnsent.files import sha256
from rnnsent.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

WAYS_TO_IMDB = f"""Ways to get the reviews:
  - put imdb.npz (and imdb_word_index.json) into a folder and name it: --data FOLDER
    (rnnsent data info FOLDER; in a config data.path)
  - or set RNNSENT_DATA=FOLDER for all runs
  - or download them once where there is a network:
      {imdb.BASE_URL}imdb.npz
      {imdb.BASE_URL}imdb_word_index.json
  - or train on the reviews that rnnsent writes itself: rnnsent train --data sample …"""


def load_dataset(config: DataConfig, *, progress: Progress | None = None) -> Dataset:
    """Load what `data.source` names, or the fallback, loudly, where the source cannot be had.

    The `source` of the result says which one it became.

    Raises:
        DataUnavailable: if the source cannot be had and the config has no fallback.
        DataError: if what is there is damaged; there is no fallback for that.
    """
    if config.source == "sample":
        return load_sample()
    try:
        return imdb.load(config.path, progress=progress)
    except DataUnavailable as error:
        if config.fallback is None:
            raise DataUnavailable(f"{error}\n{WAYS_TO_IMDB}") from None
        logger.warning(
            "THE IMDB REVIEWS ARE NOT HERE: %s\nGoing on with the built-in SAMPLE reviews; their figures say "
            "nothing about IMDB. --no-fallback makes this an error.\n%s",
            error,
            WAYS_TO_IMDB,
        )
        return load_sample()


def load_sample() -> Dataset:
    """Return the reviews that rnnsent writes itself; the vocabulary is counted on the training split."""
    from rnnsent.data import sample

    digest = sha256(Path(sample.__file__))  # of the grammar: another grammar is another corpus
    arrays = cached_arrays(f"sample-1-{digest[:32]}", _write_sample)
    words = bytes(arrays["words"]).decode().split(" ")
    return Dataset(
        source="sample",
        train=Split.from_arrays(arrays, "train"),
        test=Split.from_arrays(arrays, "test"),
        vocabulary=Vocabulary(tuple(words), None, "unknown", "the training split of the sample reviews"),
        label_names=LABELS,
        provenance={"sha256": digest},
    )


def _write_sample() -> Arrays:
    from rnnsent.data import sample

    reviews = {
        "train": sample.generate_reviews(sample.TRAIN_REVIEWS, sample.TRAIN_SEED),
        "test": sample.generate_reviews(sample.TEST_REVIEWS, sample.TEST_SEED),
    }
    vocabulary = Vocabulary.build(review.text for review in reviews["train"])
    arrays: dict[str, NDArray[Any]] = {"words": np.frombuffer(" ".join(vocabulary.words).encode(), np.uint8)}
    for part, written in reviews.items():
        split = Split.from_sequences(
            [vocabulary.encode(review.text) for review in written], [review.label for review in written]
        )
        offsets = np.concatenate([split.starts, [len(split.tokens)]])
        arrays |= {f"{part}_tokens": split.tokens, f"{part}_offsets": offsets, f"{part}_labels": split.labels}
    return arrays
