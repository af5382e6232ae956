"""What is fitted on the training texts before a network is: n-gram weights, word vectors; and facts about the data."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import Config, LinearConfig
from rnnsent.data.dataset import Dataset, Partition, Split
from rnnsent.data.labels import label_warnings
from rnnsent.data.sources import expanded
from rnnsent.data.statistics import also_in_training, embedding_rows, left_out_and_joined, unknown_share
from rnnsent.errors import DataError, count
from rnnsent.inference.predictor import decide
from rnnsent.models import embeddings
from rnnsent.models.linear import LinearModel, cached_linear
from rnnsent.models.ngram_weights import NgramWeights, assign_folds, out_of_fold
from rnnsent.models.subwords import Subwords
from rnnsent.runs.schemas import DataInfo, EmbeddingInfo, PretrainInfo

logger = logging.getLogger(__name__)

FEW_VALIDATION_TEXTS = 100


@dataclass(frozen=True)
class Features:
    """What the networks of one training have in common."""

    split: Partition  # the texts as the config cuts them
    # what is trained and validated on, with the n-gram weights of each word beside it; `train` also has the texts
    # that were pseudo-labeled, or that an adversary uses without a label
    train: Split
    validation: Split
    rows: int  # of the embedding
    ngram_weights: NgramWeights | None  # None without `model.ngrams`
    # the linear part, and its probabilities of the validation texts, which it was not fitted on; None without
    # `model.linear`
    linear: tuple[LinearModel, NDArray[np.float32]] | None = None
    folds: NDArray[np.int64] | None = None  # (texts,), from 0, the network that each validation text is for
    pseudo_labels: int = 0  # how many texts were pseudo-labeled

    def of_network(self, place: int) -> Features:
        """Return what network `place`, from 1, is trained and validated on."""
        if self.folds is None:
            return self
        own = self.folds == place - 1
        others = np.concatenate([~own, np.ones(len(self.train) - len(own), np.bool_)])  # all texts without a label
        return replace(
            self,
            train=self.train.take(np.flatnonzero(others)),
            validation=self.validation.take(np.flatnonzero(own)),
            folds=None,
        )

    @property
    def unlabeled(self) -> Split:
        """The texts without a label."""
        assert self.split.unlabeled is not None
        return self.split.unlabeled

    @property
    def all_texts(self) -> list[Split]:
        """Whatever may be learned from without labels."""
        return [self.split.train, *([self.split.unlabeled] if self.split.unlabeled is not None else [])]

    def with_pseudo_labels(self, probabilities: NDArray[np.float32]) -> Features:
        """Return the features with the texts without a label in `train`, in place of those that were there before.

        The n-gram weights stay: what a teacher says of a text goes back to the label of each text that it learned from,
        also where those of other folds alone are counted, and would tell a text its own label.

        Args:
            probabilities: of each label, (texts, labels); NaN where no label is known.
        """
        texts = replace(self.unlabeled, labels=probabilities.argmax(axis=1), targets=probabilities)
        size = len(self.split.train)
        train = self.train.take(slice(0, size))
        if self.ngram_weights is not None and train.channels is not None:
            self.ngram_weights.write(texts, train.channels)
        targets = np.eye(probabilities.shape[1], dtype=np.float32)[train.labels]
        union = replace(train.joined(texts), targets=np.concatenate([targets, probabilities]))
        pseudo_labels = int(np.isfinite(probabilities).all(axis=1).sum())
        return replace(self, train=union, pseudo_labels=pseudo_labels)


def resolve(config: Config, dataset: Dataset) -> Config:
    """Return the config with what was really used: the fallback, columns and labels that were found, absolute paths."""
    changes: dict[str, Any] = {}
    if dataset.source == "texts":
        changes = {"labels": tuple(dataset.label_names), "ordered": dataset.targets == "ordered"}
        if not config.data.more_paths and config.data.test_path is None:  # each table may call its columns otherwise
            for key in ("text_column", "label_column", "split_column", "group_column"):
                changes[key] = getattr(config.data, key) or dataset.provenance.get(key.replace("_", " "))
    if dataset.source != config.data.source:
        changes = {"source": dataset.source, "path": None, "fallback": None}
    for key in ("path", "test_path", "corrections"):
        value = getattr(config.data, key)
        if value is not None and dataset.source == config.data.source:
            changes[key] = str(expanded(value, f"data.{key}").resolve())  # the run may be read from another folder
    changes["more_paths"] = tuple(str(expanded(path).resolve()) for path in config.data.more_paths)
    config = replace(config, data=replace(config.data, **changes))
    vectors = config.model.vectors
    if vectors is None or vectors.path is None:
        return config
    path = str(expanded(vectors.path, "model.vectors.path").resolve())
    return replace(config, model=replace(config.model, vectors=replace(vectors, path=path)))


def fit_features(dataset: Dataset, split: Partition, config: Config) -> Features:
    """Fit what a network reads beside the words.

    Args:
        dataset: as loaded.
        split: of it.
        config: resolved.
    """
    train, validation, ngram_weights, linear = split.train, split.validation, None, None
    labels, folds = len(split.label_names), split_folds(split, config)
    if config.model.linear is not None:
        linear = _fit_linear(split, folds, config.model.linear)
        right = decide(linear[1], config.data.targets) == validation.labels
        accuracy = right.reshape(len(right), -1).all(axis=1).mean()
        logger.info("linear part: %s n-grams, validation accuracy %.2f%%", f"{linear[0].size:,}", 100 * accuracy)
    if config.model.ngrams is not None:
        ngram_weights, train = out_of_fold(train, labels, config.model.ngrams, config.training.seed)
        validation = ngram_weights.onto(validation) if folds is None else train
    rows = embedding_rows(dataset, config.data.num_words)
    return Features(split, train, validation, rows, ngram_weights, linear, folds)


def split_folds(split: Partition, config: Config) -> NDArray[np.int64] | None:
    """Return the network that validates each text, (texts,), from 0; None without cross-validation."""
    if not config.training.cross_validation:
        return None
    return assign_folds(split.train, len(config.members), config.training.seed, len(split.label_names))


def _fit_linear(
    split: Partition, folds: NDArray[np.int64] | None, config: LinearConfig
) -> tuple[LinearModel, NDArray[np.float32]]:
    """Return the linear part, fitted on all texts, and probabilities of validation texts by others that lack them."""
    labels, train, validation = len(split.label_names), split.train, split.validation
    if folds is None:
        texts = train.joined(validation)
        return cached_linear(texts, [np.arange(len(train), len(texts))], labels, config)
    held_out = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    model, found = cached_linear(train, held_out, labels, config)
    probabilities = np.empty_like(found)
    probabilities[np.concatenate(held_out)] = found
    return model, probabilities


@dataclass(frozen=True)
class InitialWeights:
    """The weights that a network begins with, and where they are from; random ones where there are none."""

    table: NDArray[np.float32] | None = None  # word vectors, float32 (rows, width)
    embeddings: EmbeddingInfo | None = None
    subwords: Subwords | None = None  # that belong to the table
    # embedding and first recurrent layer of a language model, by name
    layers: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    language_model: PretrainInfo | None = None


def word_vectors(config: Config, features: Features) -> InitialWeights:
    """Return the word vectors that a network begins with: from a file, or trained by word2vec."""
    vectors, width = config.model.vectors, config.model.embedding_dim
    if vectors is None:
        return InitialWeights()
    vocabulary, rows = features.split.vocabulary, features.rows
    if vectors.path is not None:
        result = embeddings.load(Path(vectors.path), vocabulary, rows, width, config.training.seed)
        logger.info("vectors: %s of %s words are in %s", f"{result.found:,}", f"{result.words:,}", vectors.path)
        return InitialWeights(result.table, EmbeddingInfo(found=result.found, words=result.words))
    assert vectors.word2vec is not None
    # Seed 0: the same for all networks, whatever their seeds.
    result = embeddings.train(features.all_texts, vocabulary, (rows, width), vectors.word2vec, 0)
    seconds, cached = result.seconds, result.cached
    source = "from the cache" if cached else f"trained in {seconds:.0f} s"
    logger.info("vectors: %s of %s words have one, %s", f"{result.found:,}", f"{result.words:,}", source)
    info = EmbeddingInfo(found=result.found, words=result.words, seconds=seconds, cached=cached)
    return InitialWeights(result.table, info, result.subwords)


def data_info(dataset: Dataset, split: Partition, config: Config, requested: str) -> DataInfo:
    """Return what metrics.json says of the data.

    Args:
        dataset, split, config: as for `fit_features`.
        requested: the source that the user asked for.
    """
    texts = dataset.rows.take(split.indices["validation"])
    details = dict(dataset.provenance)
    file = details.pop("file", None)
    files = [config.data.path, *config.data.more_paths] if config.data.more_paths else [Path(str(file)).resolve()]
    return DataInfo(
        source=dataset.source,
        fallback_used=dataset.source != requested,
        sha256=details.pop("sha256", None),
        file=None if file is None else ", ".join(map(str, files)),
        format=details.pop("format", None),
        counts=split.label_counts,
        unknown_share=round(unknown_share(split.validation), 6),
        truncated_share=round(float((split.validation.lengths < texts.lengths).mean()), 6),
        details=details,
    )


def log_data(dataset: Dataset, split: Partition, config: Config) -> None:
    """Log what data are used, and what whoever trains on them should know before they believe an accuracy.

    Raises:
        DataError: if texts without a label are asked for and there are none.
    """
    training = config.training
    if (training.without_labels or training.teacher is not None) and not len(split.unlabeled or ()):
        key = "training.adversarial.unlabeled" if training.without_labels else "training.teacher"
        raise DataError(f"{dataset.provenance['file']}: holds no text without a label, and {key} needs some")
    sizes = f"{len(split.train):,} to train on, {len(split.validation):,} to validate, {len(split.test):,} to test"
    if training.cross_validation:
        sizes = (
            f"{len(split.train):,} in {len(config.members)} folds to train and validate on, {len(split.test):,} to test"
        )
    extra = "" if split.unlabeled is None else f",\n  {len(split.unlabeled):,} without a label"
    logger.info("data: %s, %s%s", dataset.source, sizes, extra)
    if file := dataset.provenance.get("file"):
        rebuilt = "" if dataset.provenance.get("official_file", True) else " (a rebuilt imdb.npz, not Keras' own)"
        logger.info("  %s%s", file, rebuilt)
    if config.data.test_path is not None:
        logger.info("  test: %s", config.data.test_path)
    for line in _warnings(dataset, split, config):
        logger.info("data: %s", line)


def _warnings(dataset: Dataset, split: Partition, config: Config) -> Iterator[str]:
    facts = dataset.provenance
    yield from left_out_and_joined(dataset)
    if (labels := split.train.labels).ndim == 2:
        without = f"{int((~labels.any(axis=1)).sum()):,} without any"
        yield f"several labels a text: {labels.sum(axis=1).mean():.2f} on average, {without}, of {len(labels):,}"
    if order := facts.get("order"):
        yield f"labels in order: {order} (data.ordered: false makes them classes)"
    if ungiven := facts.get("rows without a split, for training"):
        yield f"{count(ungiven, 'row')} without a split: for training"
    yield from label_warnings(split.label_counts)
    validation = {} if config.training.cross_validation else {"validation": split.validation}
    yield from also_in_training(dataset, {**validation, "test": split.test})
    if len(split.validation) < FEW_VALIDATION_TEXTS:
        size = count(len(split.validation), "validation text")
        yield f"{size}: few to choose an epoch by (data.validation_split)"
    for name, number in (facts.get("unlabeled of their groups") or {}).items():
        yield f"{count(number, 'text')} without a label share a group with {name} texts"
    if split.unlabeled is not None and not len(split.unlabeled):
        yield "no text is without a label: data.unlabeled has no effect"
    vectors, training = config.model.vectors, config.training
    purpose = training.teacher or config.model.language_model or training.without_labels
    if len(split.unlabeled or ()) and not purpose and (vectors is None or vectors.word2vec is None):
        yield (
            "texts without a label only count words; model.language_model, model.vectors.word2vec, "
            "training.teacher or training.adversarial.unlabeled would learn from them"
        )
