"""`data.source` → Dataset, with the fallback that the config allows."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from rnnsent.config.sections import LABELS, DataConfig
from rnnsent.data import imdb
from rnnsent.data.cache import Arrays, cached_arrays
from rnnsent.data.corrections import Corrections
from rnnsent.data.dataset import Dataset, Places, Split
from rnnsent.data.download import Progress
from rnnsent.data.encoding import encode_records
from rnnsent.data.folders import aclimdb_source, folder_source, is_aclimdb
from rnnsent.data.inputs import STDIN, ReadOptions, read_errors
from rnnsent.data.records import RecordSource
from rnnsent.data.splitting import SPLITS, UNLABELED
from rnnsent.data.tables import Columns, open_table, table_source
from rnnsent.data.tokenizer import TOKENIZER_VERSION
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import DataError, DataUnavailable
from rnnsent.files import sha256

logger = logging.getLogger(__name__)

_TABLE_KEYS = (
    "test_path", "delimiter", "escape", "text_column", "label_column", "label_separator", "split_column",
    "group_column",
)  # fmt: skip
# Keys that the encoded texts do not depend on: files count by what they hold, and words are cut later.
_UNCACHED = (
    "path", "more_paths", "test_path", "corrections", "fallback", "num_words", "maxlen", "truncating", "padding",
)  # fmt: skip


def load_dataset(config: DataConfig, *, progress: Progress | None = None, words: Sequence[str] = ()) -> Dataset:
    """Load the data set of `data.source`, or, with a warning, the fallback if it is unavailable.

    Args:
        config: the data section.
        progress: follows a download or the reading of texts.
        words: to be first in the vocabulary.

    Raises:
        DataUnavailable: if there is no fallback.
        DataError: if the files are damaged.
    """
    if config.corrections is not None:
        corrections = Corrections.read(open_table(expanded(config.corrections, "data.corrections")))
        plain = replace(corrections.uncorrected(config), corrections=None)
        return corrections.apply(load_dataset(plain, progress=progress, words=words), config)
    if config.source == "texts":
        return load_texts(config, progress=progress, words=words)
    if config.source == "sample":
        return load_sample().beginning_with(words)
    try:
        path = None if config.path is None else str(expanded(config.path))
        return imdb.load(path, progress=progress).beginning_with(words)
    except DataUnavailable as error:
        if config.fallback is None:
            raise DataUnavailable(f"{error}\n{imdb.WAYS_TO_IMDB}") from None
        logger.warning(
            "THE IMDB REVIEWS ARE NOT HERE: %s\nGoing on with the built-in SAMPLE reviews; their figures say "
            "nothing about IMDB. --no-fallback makes this an error.\n%s",
            error, imdb.WAYS_TO_IMDB,
        )  # fmt: skip
        return load_sample().beginning_with(words)


def load_sample() -> Dataset:
    """Return the reviews that rnnsent writes itself; the vocabulary is counted on the training split."""
    from rnnsent.data import sample

    digest = sample.digest()
    arrays = cached_arrays(f"sample-2-{digest[:32]}", _sample_arrays)
    words = bytes(arrays["words"]).decode().split(" ")
    train, test = np.split(np.arange(len(arrays["labels"])), [sample.TRAIN_REVIEWS])
    return Dataset(
        source="sample",
        rows=replace(Split.from_offsets(arrays["tokens"], arrays["offsets"], arrays["labels"]), words=tuple(words)),
        indices={"train": train, "test": test},
        vocabulary=Vocabulary(tuple(words), None, "unknown", "the training split of the sample reviews"),
        label_names=LABELS,
        provenance={"sha256": digest},
    )


def _sample_arrays() -> Arrays:
    from rnnsent.data import sample

    train = sample.generate_reviews(sample.TRAIN_REVIEWS, sample.TRAIN_SEED)
    vocabulary = Vocabulary.build(text for text, _ in train)
    texts, labels = zip(*train, *sample.generate_reviews(sample.TEST_REVIEWS, sample.TEST_SEED), strict=True)
    rows = Split.from_sequences(list(map(vocabulary.encode, texts)), labels)
    return {
        "tokens": rows.tokens,
        "offsets": np.append(rows.starts, len(rows.tokens)),
        "labels": rows.labels,
        "words": np.frombuffer(" ".join(vocabulary.words).encode(), np.uint8),
    }


def load_texts(config: DataConfig, *, progress: Progress | None = None, words: Sequence[str] = ()) -> Dataset:
    """Return the labeled texts at `data.path`, encoded once and kept in the cache; see `load_dataset`."""
    source = find_texts(config)
    vocabulary = Vocabulary.imdb(None).beginning_with(words) if config.vocabulary == "imdb" else None
    digest, description = _digest(source.paths, named=not source.reading), source.description
    settings = {key: value for key, value in config.to_dict().items() if key not in _UNCACHED}
    known = (vocabulary or Vocabulary(tuple(words))).to_json() if vocabulary or words else ""
    key = json.dumps([digest, description, source.reading, settings, known, TOKENIZER_VERSION])
    entry = f"texts-11-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    arrays = cached_arrays(entry, lambda: encode_records(source, config, vocabulary, progress, words))
    facts = json.loads(bytes(arrays["facts"]))
    if vocabulary is None:
        vocabulary = Vocabulary(tuple(facts.pop("words")), None, "unknown", "the training texts", config.tokenizer)
    rows = Split.from_offsets(arrays["tokens"], arrays["offsets"], np.asarray(arrays["labels"]))
    spellings = (*vocabulary.words, *facts.pop("other words", ()))
    files = ", ".join(str(expanded(path)) for path in (config.path or "", *config.more_paths))
    numbers = np.asarray(arrays["tables"]) if source.names else np.arange(len(rows))
    names = unique_names(source.names) or tuple(facts.pop("files"))
    splits = SPLITS | ({"unlabeled": UNLABELED} if config.unlabeled else {})
    return Dataset(
        source="texts",
        rows=replace(rows, groups=arrays.get("groups"), limit=vocabulary.size, words=spellings),
        indices={name: np.flatnonzero(arrays["splits"] == split) for name, split in splits.items()},
        vocabulary=vocabulary,
        label_names=tuple(facts.pop("labels")),
        provenance={"file": files, "sha256": digest, **description, **facts},
        lines=np.asarray(arrays["numbers"]),
        hashes=np.asarray(arrays["hashes"]),
        stars=np.asarray(arrays["ratings"]) if np.any(arrays["ratings"]) else None,
        places=Places(names, numbers, np.asarray(arrays["sheet_rows"])),
        targets="ordered" if "order" in facts else config.targets,
    )


def find_texts(config: DataConfig) -> RecordSource:
    """Return the labeled texts at `data.path`; DataError if they cannot be read with these settings."""
    assert config.path is not None
    path = expanded(config.path)
    if not path.exists() and path != STDIN:
        raise DataError(f"{path}: no such file or folder{_hint(path)} (--data PATH; in a config data.path)")
    if config.format == "aclimdb" or (config.format is None and is_aclimdb(path)):
        by_rating = config.label_column == "rating"
        _require_no_table(config, "aclImdb", ("label_column",) if by_rating else ())
        return aclimdb_source(path, by_rating=by_rating, unlabeled=config.unlabeled)
    if path.is_dir():
        _require_no_table(config, "a folder", ())
        return folder_source(path, config.encoding)
    options = ReadOptions.chosen(vars(config))
    columns = Columns(
        config.text_column or "", config.label_column, config.split_column, config.group_column, config.label_separator
    )
    opened = partial(open_table, options=options, numbered=isinstance(config.text_column, int))
    tables = [opened(each) for each in (path, *map(expanded, config.more_paths))]
    test = None if config.test_path is None else opened(expanded(config.test_path))
    return table_source(tables, columns, test, {*(config.label_map or ()), *(config.labels or ())})


def unique_names(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the names of files, with the folders in which those of the same name differ."""
    names = tuple(Path(path).name for path in paths)
    if len(set(names)) == len(names):
        return names
    resolved = [str(Path(path).resolve()) for path in paths]
    return tuple(os.path.relpath(path, os.path.commonpath(resolved)) for path in resolved)


def _hint(path: Path) -> str:
    """Return a hint at a file with a name like that of one that is not there."""
    names = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.with_name(close[0])}?" if close else ""


def expanded(path: str, key: str = "data.path") -> Path:
    """Return a path of the config with the variables of the environment put in, such as `$RNNSENT_DATA/…`.

    DataError, with the `key` of the path, if one of them is not set.
    """
    result = os.path.expandvars(path)
    if "$" in result and not Path(result).exists():
        name = ": set it, or name the texts with --data PATH" if key == "data.path" else ""
        raise DataError(f"{path}: a variable of the environment is not set ({key}){name}")
    return Path(result)


def _require_no_table(config: DataConfig, what: str, allowed: tuple[str, ...]) -> None:
    given = next((key for key in _TABLE_KEYS if key not in allowed and getattr(config, key) is not None), None)
    if given is not None or config.format not in (None, "folder", "aclimdb"):
        setting = f"data.{given}" if given else f"data.format: {config.format}"
        raise DataError(f"{config.path}: {setting} is for tables, and this is {what}")


def _digest(paths: Sequence[Path], *, named: bool) -> str:
    """Return the SHA-256 of one file, or of the digests of several, and their names if these count."""
    digests = []
    for path in paths:
        with read_errors(path):
            digests.append(sha256(path) + (f" {path.parent.name}/{path.name}\n" if named and len(paths) > 1 else ""))
    several = "".join(digests).encode("utf-8", "surrogateescape")
    return digests[0] if len(digests) == 1 else hashlib.sha256(several).hexdigest()
