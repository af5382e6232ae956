"""The IMDB reviews as Keras distributes them: `imdb.npz` and its word index.

Source: Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011; the arrays are those of
`keras.datasets.imdb`, in the order in which its `load_data` returns them.
"""

from __future__ import annotations

import logging
import os
import zipfile
from pathlib import Path

import numpy as np

from rnnsent.config import LABELS
from rnnsent.data.cache import Arrays, cached_arrays
from rnnsent.data.dataset import Dataset
from rnnsent.data.download import Progress, download
from rnnsent.data.npz import flatten, read_arrays
from rnnsent.data.split import Split
from rnnsent.data.vocabulary import FIRST_WORD, START, Vocabulary
from rnnsent.errors import DataError, DataUnavailable, count
from rnnsent.files import home, sha256

logger = logging.getLogger(__name__)

BASE_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
DIGESTS = {
    "imdb.npz": "sha256:69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    "imdb_word_index.json": "md5:bfafd718b763782e994055a2d397834f",
}
KERAS_SHUFFLE_SEED = 113  # the default of load_data; with it, "the last fifth" means the same reviews as there


def load(path: str | None = None, *, allow_download: bool = True, progress: Progress | None = None) -> Dataset:
    """Return the 25,000 + 25,000 reviews.

    Args:
        path: `imdb.npz` or the folder that holds it; None looks in $RNNSENT_DATA and the Keras cache, then downloads.
        allow_download: False makes a missing file an error at once.
        progress: told of the bytes of a download.

    Raises:
        DataUnavailable: if the file is nowhere and cannot be downloaded.
        DataError: if `path` is wrong, or the file is damaged or another one.
    """
    file = _find("imdb.npz", path, allow_download, progress)
    digest = sha256(file)
    official = f"sha256:{digest}" == DIGESTS["imdb.npz"]
    arrays = cached_arrays(f"imdb-3-{digest[:32]}", lambda: _parse(file))
    try:
        vocabulary = Vocabulary.from_word_index(_find("imdb_word_index.json", path, allow_download, progress), None)
    except DataUnavailable:
        logger.warning("no imdb_word_index.json: ids only; this model will not be able to read new texts")
        vocabulary = Vocabulary((), None, "drop", "imdb.npz without a word index")
    splits = _splits(arrays)
    return Dataset(
        source="imdb",
        train=splits["train"],
        test=splits["test"],
        vocabulary=vocabulary,
        label_names=LABELS,
        provenance={"file": str(file), "sha256": digest, "official_file": official},
    )


def find_word_index(path: str | Path | None) -> Path:
    """Return the word index at `path` (file or folder), or where `imdb.npz` would be looked for."""
    if path is None:
        return _find("imdb_word_index.json", None, True, None)
    file = _at(Path(path), "imdb_word_index.json")
    if not file.is_file():
        raise DataError(f"{file}: no such file; path names imdb_word_index.json or the folder that holds it")
    return file


def places(name: str) -> list[Path]:
    """Return where `name` is looked for when no path is given, first place first."""
    chosen = os.environ.get("RNNSENT_DATA")
    return [*([Path(chosen) / name] if chosen else []), _keras_folder() / name]


def _keras_folder() -> Path:
    return Path(os.environ.get("KERAS_HOME") or home() / ".keras") / "datasets"


def _find(name: str, path: str | None, allow_download: bool, progress: Progress | None) -> Path:
    if path is not None:
        file = _at(Path(path), name)
        if file.is_file():
            _require_npz(file)
            return file
        if name == "imdb.npz":
            raise DataError(f"{file}: no such file; data.path names imdb.npz or the folder that holds it")
    for place in places(name):
        if place.is_file():
            return place
        if name == "imdb.npz" and place.parent == Path(os.environ.get("RNNSENT_DATA") or "/nowhere"):
            logger.warning("RNNSENT_DATA=%s holds no imdb.npz", place.parent)
    looked = " or ".join(str(place) for place in places(name))
    if not allow_download:
        raise DataUnavailable(f"there is no {looked}")
    try:
        return download(BASE_URL + name, _keras_folder() / name, digest=DIGESTS[name], progress=progress)
    except DataUnavailable as error:
        raise DataUnavailable(f"there is no {looked}, and the download failed: {error}") from None


def _require_npz(file: Path) -> None:
    if file.suffix not in (".npz", ".json") and not zipfile.is_zipfile(file):
        raise DataError(f"{file}: not an imdb.npz, and rnnsent reads no other files of reviews yet")


def _at(path: Path, name: str) -> Path:
    """Return where `name` is if `path` names it, its folder, or, for the word index, the .npz file beside it."""
    if path.is_dir():
        return path / name
    beside = name.endswith(".json") and path.suffix != ".json" and path.is_file()
    return path.with_name(name) if beside else path


def _parse(file: Path) -> Arrays:
    """Read the .npz into flat arrays of Keras' ids: rank + 3, with the start token before each review."""
    arrays = {}
    for part in ("train", "test"):
        raw = read_arrays(file, (f"x_{part}", f"y_{part}"))
        ranks, offsets = flatten(raw.pop(f"x_{part}"), f"{file}: x_{part}")
        labels = raw[f"y_{part}"]
        reviews = len(offsets) - 1
        if reviews == 0:
            raise DataError(f"{file}: x_{part} holds no reviews")
        if labels.shape != (reviews,) or labels.dtype.kind not in "iub" or not np.isin(labels, (0, 1)).all():
            raise DataError(f"{file}: y_{part} must hold one 0 or 1 for each of {reviews} reviews")
        empty = np.flatnonzero(np.diff(offsets) == 0)
        if len(empty):
            held = f"{count(len(empty), 'empty review')}, the first at index {empty[0]}"
            raise DataError(f"{file}: x_{part} holds {held}; leave out what has no words, and its label")
        arrays[f"{part}_tokens"] = np.insert(ranks + np.int32(FIRST_WORD - 1), offsets[:-1], START)
        arrays[f"{part}_offsets"] = offsets + np.arange(reviews + 1)
        arrays[f"{part}_labels"] = labels.astype(np.int64)
    return arrays


def _splits(arrays: Arrays) -> dict[str, Split]:
    """Return train and test in the order of load_data, which draws both permutations from one generator."""
    generator = np.random.RandomState(KERAS_SHUFFLE_SEED)
    splits = {}
    for part in ("train", "test"):
        split = Split.from_arrays(arrays, part)
        order = np.arange(len(split))
        generator.shuffle(order)
        splits[part] = split.take(order)
    return splits
