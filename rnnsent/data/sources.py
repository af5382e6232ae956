"""`data.source` → Dataset, with the fallback that the config allows."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import LABELS, DataConfig
from rnnsent.data import imdb
from rnnsent.data.aclimdb import AclImdbSource, is_aclimdb
from rnnsent.data.cache import Arrays, cached_arrays
from rnnsent.data.columns import Columns
from rnnsent.data.dataset import Dataset
from rnnsent.data.download import Progress
from rnnsent.data.encoding import Encoding, encode_records
from rnnsent.data.folders import FolderSource
from rnnsent.data.labels import LabelMap
from rnnsent.data.split import Split
from rnnsent.data.splitting import TEST, TRAIN, UNLABELED, VALIDATION
from rnnsent.data.table_source import RecordSource, TableSource
from rnnsent.data.tables import open_table
from rnnsent.data.tokenizer import TOKENIZER_VERSION, TOKENIZERS
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import DataError, DataUnavailable
from rnnsent.files import sha256

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
    if config.source == "texts":
        return load_texts(config, progress=progress)
    try:
        return imdb.load(None if config.path is None else str(expanded(config.path)), progress=progress)
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


def load_texts(config: DataConfig, *, progress: Progress | None = None) -> Dataset:
    """Return the labeled texts at `data.path`, encoded once and kept in the cache.

    Raises:
        DataError: if the files cannot be read as they are, or there is nothing to train on.
    """
    source = find_texts(config)
    vocabulary = Vocabulary.imdb(None) if config.vocabulary == "imdb" else None
    how = Encoding(
        tokenize=TOKENIZERS[config.tokenizer],
        vocabulary=vocabulary,
        label_map=LabelMap(config.label_map) if config.label_map is not None else None,
        labels=config.labels,
        test_share=config.test_split,
        validation_share=config.validation_split,
        seed=config.split_seed,
        drop_duplicates=config.drop_duplicates,
        unlabeled=config.unlabeled,
    )
    digest = digest_of(source.paths)
    described = source.describe()
    settings = (
        json.dumps(described)
        + json.dumps([getattr(config, key) for key in _CACHED_BY])
        + (" unlabeled, by group" * how.unlabeled)
    )
    words = "" if vocabulary is None else hashlib.sha256("\n".join(vocabulary.words).encode()).hexdigest()
    key = hashlib.sha256(f"{digest} {settings} {words} {TOKENIZER_VERSION}".encode()).hexdigest()
    arrays = cached_arrays(f"texts-5-{key[:32]}", lambda: encode_records(source, how, progress))
    facts = json.loads(bytes(arrays["facts"]))
    if vocabulary is None:
        ranked = bytes(arrays["words"]).decode("utf-8", "surrogatepass").split(" ")[:-1]
        vocabulary = Vocabulary(
            tuple(word for word in ranked if word), None, "unknown", "the training texts", config.tokenizer
        )
    rows = Split.from_offsets(arrays["tokens"], arrays["offsets"], np.asarray(arrays["labels"]))
    if "groups" in facts:
        rows = replace(rows, groups=np.asarray(arrays["groups"]))
    train, validation, test = (
        rows.take(np.flatnonzero(arrays["splits"] == split)) for split in (TRAIN, VALIDATION, TEST)
    )
    return Dataset(
        source="texts",
        train=train,
        test=test,
        vocabulary=vocabulary,
        label_names=tuple(facts.pop("labels")),
        provenance={"file": str(expanded(config.path or "")), "sha256": digest, **described, **facts},
        validation=validation,
        unlabeled=rows.take(np.flatnonzero(arrays["splits"] == UNLABELED)) if config.unlabeled else None,
        numbers=_judged_on(arrays, "numbers"),
        ratings=_judged_on(arrays, "ratings") if np.any(arrays["ratings"]) else None,
    )


def _judged_on(arrays: Arrays, name: str) -> dict[str, NDArray[np.int64]]:
    """Return what the array says of the rows of the validation and the test split."""
    return {
        split: np.asarray(arrays[name])[np.flatnonzero(arrays["splits"] == number)]
        for split, number in (("validation", VALIDATION), ("test", TEST))
    }


_CACHED_BY = (
    "label_map", "labels", "test_split", "validation_split", "split_seed", "drop_duplicates", "tokenizer", "vocabulary",
    "encoding", "delimiter", "format", "quotes",
)  # fmt: skip


def find_texts(config: DataConfig) -> RecordSource:
    """Return what reads the labeled texts at `data.path`.

    Raises:
        DataError: if there is nothing there, or nothing that can be read as asked.
    """
    assert config.path is not None
    path = expanded(config.path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder{_near(path)} (--data PATH; in a config data.path)")
    if config.format == "aclimdb" or (config.format is None and is_aclimdb(path)):
        by_rating = config.label_column == "rating"
        _require_no_table(config, "aclImdb", ("label_column",) if by_rating else ())
        return AclImdbSource(path, by_rating=by_rating, unlabeled=config.unlabeled)
    if path.is_dir():
        _require_no_table(config, "a folder", ())
        return FolderSource(path, config.encoding)
    asked = Columns(config.text_column or "", config.label_column, config.split_column, config.group_column)
    header = not isinstance(config.text_column, int)
    paths = [path] if config.test_path is None else [path, expanded(config.test_path)]
    tables = tuple(
        open_table(each, config.format, config.encoding, config.delimiter, header=header, quotes=config.quotes)
        for each in paths
    )
    return TableSource.of(tables, asked)


def _near(path: Path) -> str:
    """Return a hint at the file that was meant by one that is not there: of a name like it, or alone of its kind."""
    try:
        there = sorted(each.name for each in path.parent.iterdir())
    except OSError:
        return ""
    alike = [name for name in there if path.suffix and Path(name).suffix == path.suffix]
    stems = {Path(name).stem: name for name in [*there, *alike]}  # .csv alone is half of a short name
    close = [stems[stem] for stem in difflib.get_close_matches(path.stem, stems, n=1)]
    meant = close or (alike if len(alike) == 1 else [])
    return f"; did you mean {path.with_name(meant[0])}?" if meant else ""


def expanded(path: str, key: str = "data.path") -> Path:
    """Return a path of the config with the variables of the environment put in, such as `$RNNSENT_DATA/…`.

    Raises:
        DataError: if one of them is not set; names the `key` of the path.
    """
    found = os.path.expandvars(path)
    if "$" in found and not Path(found).exists():
        name = ": set it, or name the texts with --data PATH" if key == "data.path" else ""
        raise DataError(f"{path}: a variable of the environment is not set ({key}){name}")
    return Path(found)


def _require_no_table(config: DataConfig, what: str, allowed: tuple[str, ...]) -> None:
    of_tables = ("test_path", "delimiter", "text_column", "label_column", "split_column", "group_column")
    given = next((key for key in of_tables if key not in allowed and getattr(config, key) is not None), None)
    if given is not None or config.format not in (None, "folder", "aclimdb"):
        named = f"data.{given}" if given else f"data.format: {config.format}"
        raise DataError(f"{config.path}: {named} is for tables, and this is {what}")


def digest_of(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of one file, or of the digests and names of several."""
    try:
        if len(paths) == 1:
            return sha256(paths[0])
        lines = "".join(f"{sha256(path)} {path.parent.name}/{path.name}\n" for path in paths)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


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
