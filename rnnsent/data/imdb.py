"""The IMDB reviews as Keras distributes them: `imdb.npz` and its word index.

Source: Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011; the arrays are those of
`keras.datasets.imdb`, in the order in which its `load_data` returns them.
"""

from __future__ import annotations

import io
import logging
import pickle
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import LABELS
from rnnsent.data.cache import Arrays, cached_arrays
from rnnsent.data.dataset import Dataset, Split
from rnnsent.data.download import BASE_URL, DIGESTS, Progress, find
from rnnsent.data.tokenizer import FIRST_WORD, START
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import DataError, DataUnavailable
from rnnsent.files import sha256

logger = logging.getLogger(__name__)

KERAS_SHUFFLE_SEED = 113  # the default of load_data; with it, "the last fifth" means the same reviews as there
WAYS_TO_IMDB = f"""Ways to get the reviews:
  - put imdb.npz (and imdb_word_index.json) into a folder and name it: --data FOLDER
    (rnnsent data info FOLDER; in a config data.path)
  - or set RNNSENT_DATA=FOLDER for all runs
  - or download them once where there is a network:
      {BASE_URL}imdb.npz
      {BASE_URL}imdb_word_index.json
  - or train on the reviews that rnnsent writes itself: rnnsent train --data sample …"""


def load(path: str | None = None, *, progress: Progress | None = None) -> Dataset:
    """Return the 25,000 + 25,000 reviews.

    Args:
        path: `imdb.npz` or the folder that holds it; None looks in $RNNSENT_DATA and the Keras cache, then downloads.

    Raises:
        DataUnavailable: if the file is nowhere and cannot be downloaded.
        DataError: if `path` is wrong, or the file is damaged or another one.
    """
    file = find("imdb.npz", path, progress=progress)
    digest = sha256(file)
    arrays = cached_arrays(f"imdb-4-{digest[:32]}", lambda: _parse(file))
    train, rows = int(arrays["train"][0]), len(arrays["labels"])
    vocabulary = _vocabulary(file)
    return Dataset(
        source="imdb",
        rows=replace(
            Split.from_offsets(arrays["tokens"], arrays["offsets"], arrays["labels"]), words=vocabulary.words or None
        ),
        indices={"train": np.arange(train), "test": np.arange(train, rows)},
        vocabulary=vocabulary,
        label_names=LABELS,
        provenance={"file": str(file), "sha256": digest, "official_file": f"sha256:{digest}" == DIGESTS["imdb.npz"]},
    )


def _vocabulary(file: Path) -> Vocabulary:
    beside = file.with_name("imdb_word_index.json")
    try:
        return Vocabulary.imdb(None, beside if beside.is_file() else None)
    except DataUnavailable:
        logger.warning("no imdb_word_index.json: ids only; this model will not be able to read new texts")
        return Vocabulary((), None, "drop", "imdb.npz without a word index")


def _parse(file: Path) -> Arrays:
    """Return flat arrays of Keras' ids, rank + 3 after the start token, in the order of load_data, train first."""
    raw = read_npz(file, ("x_train", "y_train", "x_test", "y_test"))
    generator = np.random.RandomState(KERAS_SHUFFLE_SEED)  # which draws both permutations, one after the other
    sequences: list[NDArray[np.int32]] = []
    labels: list[NDArray[np.int64]] = []
    for part in ("train", "test"):
        reviews, own = raw[f"x_{part}"], np.asarray(raw[f"y_{part}"])
        if own.shape != (len(reviews),) or own.dtype.kind not in "iub" or not np.isin(own, (0, 1)).all():
            raise DataError(f"{file}: y_{part} must hold one 0 or 1 for each of {len(reviews)} reviews")
        order = np.arange(len(reviews))
        generator.shuffle(order)
        sequences += [_ids(reviews[at], f"{file}: x_{part}: review {at}") for at in order]
        labels.append(own[order].astype(np.int64))
    split = Split.from_sequences(sequences, np.concatenate(labels))
    offsets = np.append(split.starts, len(split.tokens))
    return {"tokens": split.tokens, "offsets": offsets, "labels": split.labels, "train": np.array([len(labels[0])])}


def _ids(ranks: Any, place: str) -> NDArray[np.int32]:
    if isinstance(ranks, list) and not set(map(type, ranks)) <= {int}:
        ranks = "words"
    ids = np.asarray(ranks)
    if not ids.size:
        raise DataError(f"{place} is empty; leave out what has no words, and its label")
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= 2**31 - 8:
        raise DataError(f"{place} is not a list of word ids")
    return np.concatenate([[START], ids + (FIRST_WORD - 1)]).astype(np.int32)


class _Array:
    """What a pickle says of an array, and of its dtype: the last thing of an array of lists are these."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.values = state[-1]


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that calls nothing: the names that rebuild an array stand for a class that takes notes.

    Keras' `imdb.npz` holds object arrays; NumPy's own classes would take the bytes of a forged one for addresses.
    """

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] != "numpy" or name not in ("ndarray", "_reconstruct", "dtype"):
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array of word ids needs")
        return _Array


def read_npz(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Read the arrays called `names` of an .npz file; of object arrays the list of objects.

    Raises:
        DataError: if the file is no .npz, lacks an array, is damaged, or holds a pickle of anything but arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers written by Python 2; the result is the same
            held = [member.removesuffix(".npy") for member in archive.namelist()]
            missing = [name for name in names if name not in held]
            if missing:
                raise DataError(f"{path}: lacks {', '.join(missing)}; it holds {', '.join(sorted(held)) or 'nothing'}")
            return {name: _member(archive.read(f"{name}.npy")) for name in names}
    except DataError:
        raise
    except pickle.UnpicklingError as error:
        raise DataError(f"{path}: refused, its pickle is not a plain array: {error}") from None
    except Exception as error:  # zipfile, zlib, pickle and NumPy each have their own for damaged bytes
        raise DataError(f"{path}: damaged or not an .npz file: {error}") from None


def _member(content: bytes) -> Any:
    stream = io.BytesIO(content)
    np.lib.format.read_magic(stream)
    if not np.lib.format.read_array_header_1_0(stream)[2].hasobject:
        return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    values = _ArrayUnpickler(stream, encoding="latin1").load().values
    if not isinstance(values, list):
        raise ValueError("it holds no row of sequences")
    return values
