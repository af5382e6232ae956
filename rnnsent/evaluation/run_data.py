"""The texts of a finished run, in the very splits that it was trained with."""

from __future__ import annotations

import datetime
import hashlib
import io
import logging
import shlex
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import DataConfig
from rnnsent.data.dataset import Dataset, Split
from rnnsent.data.sources import load_dataset
from rnnsent.data.statistics import also_in_training, left_out_and_joined
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import DataError, RunError, count
from rnnsent.runs.directory import DATA, FOLDS, RESTORE, SPLIT, VOCABULARY, Run
from rnnsent.runs.schemas import Origin

logger = logging.getLogger(__name__)

Source = Mapping[str, Any]  # the keys of the data section that say where texts are


@dataclass(frozen=True)
class RunData:
    """The data set of a run, or of a config alone."""

    name: str  # of the run or of the data set
    run_sha256: str  # of the run; empty without one
    config: DataConfig
    dataset: Dataset
    indices: Mapping[str, NDArray[np.int64]]  # rows of each split
    folds: NDArray[np.int64] | None = None  # of each validation text, which is also trained on, under cross-validation
    own_labels: bool = True  # whether the labels are those of training, not corrected by another table

    def texts(self, split: str) -> Split:
        """Return the texts of a split before truncation.

        Raises:
            DataError: if there are none.
        """
        rows = self.indices.get(split, np.empty(0, np.int64))
        if not len(rows):
            raise DataError(f"{self.name}: there is no {split} split: data.{split}_split is 0")
        return self.dataset.rows.take(rows)

    def cut(self, split: str) -> Split:
        """Return the texts of a split as the network reads them."""
        return self.texts(split).cut(self.config.num_words, self.config.maxlen, self.config.truncating)

    def stars(self, split: str) -> NDArray[np.int64] | None:
        """Return the stars of the texts of a split, if they are known."""
        return None if self.dataset.stars is None else self.dataset.stars[self.indices[split]]

    def lines(self, split: str) -> list[int] | None:
        """Return where the texts of a split are in their files, if that is known: lines or rows from 1."""
        return None if self.dataset.lines is None else self.dataset.lines[self.indices[split]].tolist()

    def place(self, split: str, index: int) -> str:
        """Return where one text of a split is, such as "reviews.csv, line 7"; empty if unknown."""
        line = 0 if self.dataset.lines is None else int(self.dataset.lines[self.indices[split][index]])
        if not line:
            return ""
        file = self.config.test_path if split == "test" else None
        unit = "row" if self.dataset.provenance.get("format") == "parquet" else "line"
        return f"{Path(str(file or self.dataset.provenance['file'])).name}, {unit} {line}"

    def origin(self, split: str) -> Origin:
        """Return what an evaluation of this split notes about its origin."""
        texts = self.texts(split)
        digest = hashlib.sha256(str(self.dataset.provenance.get("sha256")).encode())
        for part in (self.indices[split], texts.labels):
            digest.update(np.ascontiguousarray(part, "<i8").data)
        return make_origin(self.run_sha256, digest.hexdigest(), split, len(texts))


def make_origin(run: str, data: str, split: str, texts: int) -> Origin:
    """Return the origin of an evaluation that is made now; `run` and `split` are empty without a run."""
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Origin(run=run, data=data, date=date, command=["rnnsent", *sys.argv[1:]], split=split, texts=texts)


def run_source(run: Run) -> DataConfig:
    """Return the config that reads the texts of a run, never a fallback."""
    path = str(run.file(DATA)) if run.file(DATA).is_file() else run.config.data.path
    return replace(run.config.data, fallback=None, path=path)


def load_run_data(run: Run, source: Source | None = None, words: Sequence[str] | None = None) -> RunData:
    """Load the data set of a finished run, never a fallback.

    Args:
        run: a finished one.
        source: where the texts are, if they are no longer where the config says.
        words: to be first in the vocabulary; None: as in training.

    Raises:
        RunError: if the run is unfinished or was changed.
        DataError: if its texts are not available any more, or others are in their place.
    """
    run.verify()
    if reason := run.metrics.stopped:
        logger.info("%s: %s", run, reason)
    config = replace(run_source(run), **(source or {}))
    if words is None and run.config.training.initial_run is not None:
        words = Vocabulary.load(run.file(VOCABULARY)).words
    dataset = load_dataset(config, words=words or ())
    run_hash, data_hash = run.metrics.data.sha256, dataset.provenance["sha256"]
    if run_hash != data_hash:
        path = str(dataset.provenance.get("file", dataset.source))
        hashes = f"SHA-256 {str(data_hash)[:12]}…, not {str(run_hash)[:12]}…"
        raise DataError(f"{path}: {_others(run, path if dataset.source == 'texts' else None)} ({hashes})")
    own, corrections = (details.get("corrections") or {} for details in (run.metrics.data.details, dataset.provenance))
    own_labels = own.get("sha256") == corrections.get("sha256")
    if not own_labels and "corrections" not in (source or {}):
        raise DataError(
            f"{config.corrections}: not the corrections that {run} was trained with; restore them, or evaluate it with "
            "these labels: --corrections FILE"
        )
    try:
        with np.load(io.BytesIO(run.read(SPLIT)), allow_pickle=False) as arrays:
            indices = dict(arrays)
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(f"{run.file(SPLIT)}: is damaged: {error}; {RESTORE}") from None
    folds = indices.pop(FOLDS, None)
    if not own_labels and "test" in indices:  # without those that another table leaves out
        indices["test"] = np.intersect1d(indices["test"], dataset.indices["test"])
    return RunData(str(run), run.sha256, run.config.data, dataset, indices, folds, own_labels)


def load_config_data(config: DataConfig) -> RunData:
    """Load the data set of a config without a run, never a fallback; errors as `load_run_data`."""
    dataset = load_dataset(replace(config, fallback=None))
    name = str(dataset.provenance.get("file", dataset.source))
    return RunData(name, "", config, dataset, dataset.split_indices(config.validation_split))


def log_warnings(data: RunData, split: str) -> None:
    """Log which rows are not evaluated, which are but were trained on, and which have no words."""
    known = {} if split == "validation" and data.folds is not None else {split: data.texts(split)}
    for line in (*left_out_and_joined(data.dataset), *also_in_training(data.dataset, known)):
        logger.info("data: %s", line)
    blank = int((data.texts(split).lengths <= 1).sum())  # the start token alone
    if blank:
        logger.info("%s without words: evaluated as an empty text", count(blank, "text"))


def _others(run: Run, path: str | None) -> str:
    """Say that texts are not those of the run, and how others are evaluated."""
    file = shlex.quote(path) if path is not None and Path(path).is_file() else "FILE"
    return (
        f"not the texts that {run} was trained on and held its others back from; name those with --data PATH.\n"
        "  To evaluate it on other texts, with their labels in a column LABEL:\n"
        f"    rnnsent predict {run.address} --input {file} --keep LABEL --output answers.csv\n"
        "    rnnsent eval --predictions answers.csv --label-column LABEL"
    )


def count_training_texts(data: RunData, texts: Sequence[str]) -> int:
    """Return how many texts are among those that a run was trained or validated on."""
    rows, vocabulary = data.dataset.rows, data.dataset.vocabulary
    pool = {rows.sequence(row).tobytes() for split in ("train", "validation") for row in data.indices[split].tolist()}
    return sum(np.asarray(vocabulary.encode(text), np.int32).tobytes() in pool for text in texts)
