"""Config → the reviews as a training reads them: loaded, split, cut, with all that is counted on them beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import Config
from rnnsent.data.dataset import Dataset, Partition, partition
from rnnsent.data.download import Progress
from rnnsent.data.sources import expanded, load_dataset
from rnnsent.data.split import Split
from rnnsent.data.statistics import embedding_rows, unknown_share
from rnnsent.errors import DataError, count
from rnnsent.evaluation import baseline
from rnnsent.inference.calibration import FEW
from rnnsent.inference.predictor import by_label
from rnnsent.models.ngram_weights import NgramWeights, out_of_fold

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """What the networks of one training have in common.

    Attributes:
        config: with what was really used: the fallback instead of what could not be had, labels and columns found.
        dataset, parts: the reviews as loaded, and as the config cuts them.
        train, validation: what is trained on and validated on: with the ratios of n-grams, and the texts that a teacher
            labeled or that an adversary has use for without a label.
        rows: of the embedding.
        ratios: of the n-grams; None without `model.ngrams`.
        facts: about the data, for metrics.json.
    """

    config: Config
    dataset: Dataset
    parts: Partition
    train: Split
    validation: Split
    rows: int
    ratios: NgramWeights | None
    facts: dict[str, Any] = field(default_factory=dict)


def prepare(config: Config, tell: Tell = lambda line: None, progress: Progress | None = None) -> Prepared:
    """Load the reviews of `config` and count on them what its networks need.

    Args:
        config: the experiment.
        tell: told, in lines for people, what is used.
        progress: follows a download, or the reading of texts.

    Raises:
        RnnsentError: whatever is wrong with the data.
    """
    dataset = load_dataset(config.data, progress=progress)
    resolved = resolve(config, dataset)
    parts = partition(dataset, resolved.data)
    without_labels = config.training.without_labels
    if (without_labels or config.training.teacher is not None) and not len(parts.unlabeled or ()):
        key = "training.adversarial.unlabeled" if without_labels else "training.teacher"
        raise DataError(f"{dataset.provenance['file']}: holds no text without a label, and {key} is for those")
    tell(describe(dataset, parts))
    for line in (*doubts(dataset, parts), *_idle(config, parts)):
        tell(line)
    facts = {"source": dataset.source, "fallback_used": dataset.source != config.data.source, "sha256": None}
    facts |= _counted(dataset, parts, resolved)
    train, validation, ratios = parts.train, parts.validation, None
    texts = None
    if config.training.teacher == "baseline":
        texts, facts["teacher"] = _taught_by_baseline(dataset, parts, tell)
    elif without_labels:
        assert parts.unlabeled is not None
        tell(f"adversarial: {len(parts.unlabeled):,} texts without a label are trained on as well")
        texts = _labeled(parts.unlabeled, np.full((len(parts.unlabeled), len(parts.label_names)), np.nan, np.float32))
    if resolved.model.ngrams is not None:
        labels, seed = len(parts.label_names), config.training.seed
        ratios, train = out_of_fold(train, labels, resolved.model.ngrams, seed)
        validation = ratios.onto(validation)
    if texts is not None:
        train = _joined(train, texts, ratios, len(parts.label_names))
    rows = embedding_rows(dataset, config.data.num_words)
    facts |= dataset.provenance
    if config.data.path is not None and "file" in facts:
        facts["file"] = str(Path(str(facts["file"])).resolve())  # as in the config, by which a stopped training goes on
    return Prepared(resolved, dataset, parts, train, validation, rows, ratios, facts)


def resolve(config: Config, dataset: Dataset) -> Config:
    """Return the config with what was really used: the fallback instead of what could not be had."""
    changes: dict[str, Any] = {}
    if dataset.source == "texts":
        changes = {"labels": list(dataset.label_names)}
        for key in ("text_column", "label_column", "split_column", "group_column"):
            changes[key] = getattr(config.data, key) or dataset.provenance.get(key.replace("_", " "))
    if dataset.source != config.data.source:
        changes = {"source": dataset.source, "path": None, "fallback": None}
    elif config.data.path is not None:
        # Absolute: the run may be read from another folder.
        for key in ("path", "test_path"):
            if getattr(config.data, key) is not None:
                changes[key] = str(expanded(getattr(config.data, key)).resolve())
    config = config.model_copy(update={"data": config.data.model_copy(update=changes)})
    vectors = config.model.vectors
    if vectors is None or vectors.path is None:
        return config
    whole = str(expanded(vectors.path, "model.vectors.path").resolve())
    return config.model_copy(
        update={"model": config.model.model_copy(update={"vectors": vectors.model_copy(update={"path": whole})})}
    )


def describe(dataset: Dataset, parts: Partition) -> str:
    """Return one line about the reviews in use."""
    counts = f"{len(parts.train):,} to train on, {len(parts.validation):,} to validate, {len(parts.test):,} to test"
    unlabeled = "" if parts.unlabeled is None else f", {len(parts.unlabeled):,} without a label"
    file = dataset.provenance.get("file")
    rebuilt = "" if dataset.provenance.get("official_file", True) else ", not Keras' own file"
    return f"data: {dataset.source}, {counts}{unlabeled}" + (f" ({file}{rebuilt})" if file else "")


def doubts(dataset: Dataset, parts: Partition) -> Iterator[str]:
    """Yield what whoever trains on texts of their own should know of them before they believe an accuracy."""
    dropped = dataset.provenance.get("dropped")
    if dropped:
        whys = [f"{why}: {number:,}" if len(dropped) > 1 else why for why, number in dropped.items()]
        yield f"data: {count(sum(dropped.values()), 'row')} left out: {', '.join(whys)}"
    if parts.unlabeled is not None and not len(parts.unlabeled):
        yield "data: no text is without a label, so data.unlabeled brings nothing"
    reviews = {"validation": parts.validation, "test": parts.test}
    seen = dataset.provenance.get("also in training") or {}
    for name, number in seen.items():
        yield f"data: {number:,} of {len(reviews[name]):,} {name} texts stand in training too; --drop-duplicates"
    if len(parts.validation) < FEW:
        yield (
            f"data: {count(len(parts.validation), 'validation text')}: few to choose the epoch by; "
            "data.validation_split says how many"
        )
    for name, number in (dataset.provenance.get("unlabeled of their groups") or {}).items():
        yield f"data: {count(number, 'text')} without a label are of groups of the {name} texts; their words are used"


def _idle(config: Config, parts: Partition) -> Iterator[str]:
    """Yield what is asked for and serves nothing."""
    vectors = config.model.vectors
    learns = (
        config.training.teacher is not None
        or config.model.language_model is not None
        or (vectors is not None and vectors.word2vec is not None)
        or config.training.without_labels
    )
    if len(parts.unlabeled or ()) and not learns:
        yield (
            "data: of the texts without a label the words are counted, and nothing else: model.language_model, "
            "model.vectors.word2vec, training.teacher or training.adversarial.unlabeled would learn from them"
        )


def _counted(dataset: Dataset, parts: Partition, config: Config) -> dict[str, Any]:
    """Return how many reviews of each label each split has, and how much of validation the network cannot see."""
    splits = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    names = parts.label_names
    counts = {name: np.bincount(split.labels, minlength=len(names)).tolist() for name, split in splits.items()}
    whole = dataset.held_back(config.data.validation_split)[1]
    return {
        "counts": {name: dict(zip(names, each, strict=True)) for name, each in counts.items()},
        "unknown_share": round(unknown_share(parts.validation), 6),
        "truncated_share": round(float((parts.validation.lengths < whole.lengths).mean()), 6),
    }


def _taught_by_baseline(dataset: Dataset, parts: Partition, tell: Tell) -> tuple[Split, dict[str, Any]]:
    """Return the texts without a label, with what the skeptic's baseline says of them, and facts about it."""
    assert dataset.unlabeled is not None and parts.unlabeled is not None and dataset.validation is not None
    tell("teacher: the n-gram baseline is fitted on the labeled texts")
    teacher = baseline.fit(dataset.train, dataset.validation, len(dataset.label_names), tell)
    found = by_label(teacher.probabilities(dataset.unlabeled).astype(np.float32))
    texts = _labeled(parts.unlabeled, found)
    return texts, {"teaches": len(texts), "strength": teacher.strength, "seconds": round(teacher.seconds, 3)}


def taught(reviews: Prepared, probabilities: NDArray[np.float32]) -> Prepared:
    """Return the same reviews with the texts without a label beside them, as a network labeled those.

    The weights of n-grams stay: what a teacher says of a text goes back to the label of each review that it learned
    from, also where those of other folds alone are asked, and would tell a review its own label.

    Args:
        reviews: prepared without such texts, or with what another network made of them.
        probabilities: what the network says of each text of `data.unlabeled`, as a predictor gives it.
    """
    parts = reviews.parts
    assert parts.unlabeled is not None
    texts = _labeled(parts.unlabeled, by_label(probabilities))
    labeled = replace(parts.train, channels=reviews.train.channels, ngram_orders=reviews.train.ngram_orders)
    train = _joined(labeled, texts, reviews.ratios, len(parts.label_names))
    return replace(reviews, train=train, facts=reviews.facts | {"teacher": {"teaches": len(texts)}})


def _labeled(texts: Split, found: NDArray[np.float32]) -> Split:
    """Return texts with how probable a teacher finds each label of each, (texts, labels); NaN: nobody knows."""
    return replace(texts, labels=found.argmax(axis=1), targets=found)


def _joined(train: Split, texts: Split, ratios: NgramWeights | None, labels: int) -> Split:
    """Return reviews and other texts as one split; both are views into the same tokens, and so are their channels."""
    assert texts.targets is not None
    if ratios is not None and train.channels is not None:
        ratios.write(texts, train.channels)
    return replace(
        train,
        starts=np.concatenate([train.starts, texts.starts]),
        lengths=np.concatenate([train.lengths, texts.lengths]),
        labels=np.concatenate([train.labels, texts.labels]),
        targets=np.concatenate([np.eye(labels, dtype=np.float32)[train.labels], texts.targets]),
        groups=None if train.groups is None or texts.groups is None else np.concatenate([train.groups, texts.groups]),
    )
