"""Facts about a data set: what `rnnsent data info` shows. Pure functions of splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import Config
from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Dataset, Split
from rnnsent.data.splitting import texts_of
from rnnsent.data.tokenizer import PAD, START, UNKNOWN
from rnnsent.errors import count

CHUNK = 4096  # reviews that are looked at together
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """Facts about one split; shares are between 0 and 1."""

    reviews: int
    labels: dict[str, int]
    labels_per_text: dict[int, int] | None  # {labels of a text: texts}, if a text has several
    tokens: int  # before truncation, start tokens included
    mean_length: float
    length_quantiles: dict[str, float]
    empty_reviews: int
    truncated_reviews_share: float
    truncated_tokens_share: float
    padding_share: float  # of the cells of all batches, as trained
    padding_share_unbucketed: float  # of the same reviews as one matrix
    unknown_share: float  # of the words that are left after truncation
    duplicates: int  # reviews whose very sequence stood before in the same split
    histogram: list[tuple[int, int, int]]  # from length, below length, reviews


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """Facts about all splits."""

    source: str
    provenance: dict[str, object]
    vocabulary: int
    embedding_rows: int
    splits: dict[str, SplitFacts]
    duplicates_between: int  # test reviews whose very sequence stands in train or validation too
    validation: int  # how many reviews are held back to validate on
    validation_duplicates: int  # of those, how many stand among the training reviews too


def describe(dataset: Dataset, config: Config) -> DatasetFacts:
    """Return the facts about `dataset` under the `data` and batch settings of `config`."""
    hashes = dataset.rows.fingerprints() if dataset.hashes is None else dataset.hashes
    indices = dataset.split_indices(config.data.validation_split)
    train, validation, test = (hashes[indices[name]] for name in ("train", "validation", "test"))
    return DatasetFacts(
        source=dataset.source,
        provenance=dataset.provenance,
        vocabulary=len(dataset.vocabulary.words),
        embedding_rows=embedding_rows(dataset, config.data.num_words),
        # The end of train, if that is for validation, is shown as a part of train.
        splits={
            name: _facts(dataset.rows.take(rows), hashes[rows], dataset, config)
            for name, rows in dataset.indices.items()
            if len(rows) and name != "unlabeled"
        },
        duplicates_between=int(np.isin(test, np.concatenate([train, validation])).sum()),
        validation=len(validation),
        validation_duplicates=int(np.isin(validation, train).sum()),
    )


def left_out_and_joined(dataset: Dataset) -> Iterator[str]:
    """Yield what is not read as it stands: rows that are left out, and labels that are read as another."""
    if omissions := dataset.provenance.get("dropped"):
        reasons = [f"{reason}: {number:,}" if len(omissions) > 1 else reason for reason, number in omissions.items()]
        yield f"{count(sum(omissions.values()), 'row')} left out: {', '.join(reasons)}"
    if corrections := dataset.provenance.get("corrections"):
        what = f"{count(corrections['corrected'], 'label')} corrected, {count(corrections['left out'], 'row')} left out"
        yield f"{what}, {corrections['in test'] or 'none'} of them in test: {corrections['file']}"
    if joined := dataset.provenance.get("joined labels"):
        spellings = ", ".join(f"{spelling} as {label}" for spelling, label in list(joined.items())[:5])
        yield f"labels that look the same are read as one: {spellings}; --set data.join_labels=false keeps them apart"


def also_in_training(dataset: Dataset, splits: Mapping[str, Split]) -> Iterator[str]:
    """Yield how many texts of `splits` are among those to train on."""
    for name, number in (dataset.provenance.get("also in training") or {}).items():
        if name in splits:
            texts = f"{number:,} of {len(splits[name]):,} {name} texts"
            yield f"{texts} are in training too; --drop-duplicates removes them"


def embedding_rows(dataset: Dataset, num_words: int | None) -> int:
    """Return the rows of the embedding: `num_words` as in the notebook; for texts of the user at most their words."""
    if dataset.source == "texts":
        return min(dataset.vocabulary.size, num_words or dataset.vocabulary.size)
    if num_words is not None:
        return num_words
    return max(int(dataset.rows.tokens.max(initial=UNKNOWN)) + 1, dataset.vocabulary.size)


def _facts(split: Split, hashes: NDArray[np.uint64], dataset: Dataset, config: Config) -> SplitFacts:
    data = config.data
    cut = split.cut(data.num_words, data.maxlen, data.truncating)
    batches = Batches.from_config(cut, config, shuffle=True)
    cells = sum(len(index) * batches.padded_length(index) for index in batches.order(0))
    kept, total = int(cut.lengths.sum()), int(split.lengths.sum())
    longest = data.maxlen if data.padding == "notebook" and data.maxlen else int(cut.lengths.max(initial=1))
    counts = texts_of(split.labels, len(dataset.label_names))
    return SplitFacts(
        reviews=len(split),
        labels={name: int(count) for name, count in zip(dataset.label_names, counts, strict=True)},
        labels_per_text=None if split.labels.ndim == 1 else dict(Counter(sorted(split.labels.sum(axis=1).tolist()))),
        tokens=total,
        mean_length=total / max(len(split), 1),
        length_quantiles={f"{q:.0%}": float(np.quantile(split.lengths, q)) for q in QUANTILES},
        empty_reviews=int((split.lengths <= 1).sum()),
        truncated_reviews_share=float((cut.lengths < split.lengths).mean()),
        truncated_tokens_share=1 - kept / max(total, 1),
        padding_share=1 - kept / max(cells, 1),
        padding_share_unbucketed=1 - kept / max(len(cut) * longest, 1),
        unknown_share=unknown_share(cut),
        duplicates=len(hashes) - len(np.unique(hashes)),
        histogram=_histogram(split.lengths),
    )


def unknown_share(split: Split) -> float:
    """Return which share of the words of a split is UNKNOWN."""
    unknown = words = 0
    for start in range(0, len(split), CHUNK):
        ids = split.take(slice(start, start + CHUNK)).flat()
        unknown += int((ids == UNKNOWN).sum())
        words += int(((ids != START) & (ids != PAD)).sum())
    return unknown / words if words else 0.0


def _histogram(lengths: NDArray[np.int64], bins: int = 16) -> list[tuple[int, int, int]]:
    """Count lengths in equal bins up to the 98th percentile, with one more for the tail."""
    width = max(int(np.ceil(np.quantile(lengths, 0.98) / bins / 5)) * 5, 1)
    edges = [*range(0, width * bins + 1, width), int(max(lengths.max(initial=0), width * bins)) + 1]
    counts, _ = np.histogram(lengths, edges)
    return [(low, high, int(count)) for low, high, count in zip(edges, edges[1:], counts, strict=False)]
