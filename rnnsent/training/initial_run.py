"""Training that begins with the weights of another run: its words, its layers, and what is forgotten of its texts.

The vocabulary begins with the words of that run, so they keep their ids, and their vectors are the first rows of the
embedding; words of the new texts follow, read by their sub-words if that run has any. N-gram weights and calibration
are fitted on the new texts alone: n-gram weights of that run would tell a text its own label if it was trained on
there.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.loader import load_config, training_name
from rnnsent.config.rules import OF_TEXTS
from rnnsent.config.sections import Config, DataConfig, RecurrentConfig
from rnnsent.data.dataset import Dataset, Partition
from rnnsent.data.statistics import CHUNK
from rnnsent.data.tokenizer import FIRST_WORD, UNKNOWN
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import ConfigError, DataError, Problem, RunError, count
from rnnsent.evaluation.intervals import discordant, paired_difference, proportion
from rnnsent.evaluation.predictions import Predictions
from rnnsent.evaluation.run_data import load_run_data
from rnnsent.inference.predictor import Predictor, load_run_predictor, load_subwords, validation_parts
from rnnsent.models.subwords import Subwords
from rnnsent.models.weights import EMBEDDINGS
from rnnsent.runs.directory import CONFIG, FINGERPRINT, VOCABULARY, WEIGHTS, Run, read_arrays
from rnnsent.runs.registry import open_run
from rnnsent.runs.schemas import Fingerprint, Forgetting, ParentInfo

logger = logging.getLogger(__name__)

# Of the data section: what does not depend on the file.
KEPT = ("test_split", "split_seed", "join_labels", "drop_duplicates", "unlabeled", "tokenizer", "vocabulary")


def named_config(name: str | None, overrides: Mapping[str, object], initial_run: Path | None) -> tuple[Config, str]:
    """Return the config of a training, and what the training is called.

    Args:
        name: of the config; None: that of `initial_run`, without what it says of a file if `overrides` name another.
        overrides: values by dotted key.
        initial_run: the run whose weights it begins with.

    Raises:
        ConfigError, RunError: if the config is wrong, or there is no such run.
    """
    run = None if initial_run is None else open_run(initial_run)
    if run is not None:
        overrides = {**overrides, "training.initial_run": str(run.path.resolve())}
    if name is not None:
        config = load_config(name, overrides, to_train=True)
        return config, training_name(name, config, overrides)
    assert run is not None
    if not {"data.source", "data.path"}.isdisjoint(overrides):
        defaults, texts = DataConfig().to_dict(), overrides.get("data.source", run.config.data.source) == "texts"
        changes = {f"data.{key}": defaults[key] for key in (*OF_TEXTS, "corrections") if not (texts and key in KEPT)}
        if texts:
            changes["data.tokenizer"] = Vocabulary.load(run.file(VOCABULARY)).tokenizer
        overrides = {**changes, **overrides}
    config = load_config(str(run.file(CONFIG)), overrides, to_train=True)
    return config, run.read_record(FINGERPRINT, Fingerprint).name


@dataclass(frozen=True)
class InitialRun:
    """The run whose weights a training begins with."""

    run: Run
    known: int  # how many words it has vectors of
    words: tuple[str, ...]  # the first of the vocabulary: these, or all words of a training that is resumed
    resumed: bool

    def united(self, config: Config, dataset: Dataset) -> Config:
        """Return the config with a `num_words` that keeps the known words besides those of the new texts.

        Args:
            config: resolved; that of a resumed training has it already.
            dataset: loaded with `words`.
        """
        limit = config.data.num_words
        if limit is not None and not self.resumed:
            parts = [dataset.indices[name] for name in ("train", "unlabeled") if name in dataset.indices]
            texts = dataset.rows.take(np.concatenate(parts))
            counts = np.zeros(int(dataset.rows.tokens.max()) + 1, np.int64)
            for start in range(0, len(texts), CHUNK):
                counts += np.bincount(texts.take(slice(start, start + CHUNK)).flat(), minlength=len(counts))
            counts[:FIRST_WORD] = 0
            frequent = np.argsort(-counts, kind="stable")[: limit - FIRST_WORD]
            new = (frequent >= FIRST_WORD + self.known) & (counts[frequent] > 0)
            limit = max(limit, FIRST_WORD + self.known + int(new.sum()))
        new_words = replace(dataset.vocabulary, num_words=limit).size - FIRST_WORD - self.known
        words = f"{count(self.known, 'word')} with its vectors, {count(new_words, 'new word')}"
        logger.info("initial weights: %s, %s", self.run, words)
        if config.model.ngrams is not None or config.model.linear is not None:
            logger.info("  n-grams are weighted by the new texts alone; train on old and new ones to keep both")
        return replace(config, data=replace(config.data, num_words=limit))

    def layers(self, number: int, split: Partition) -> tuple[dict[str, NDArray[np.float32]], Subwords | None]:
        """Return the weights that network `number`, from 1, begins with, of all words and labels, and sub-words."""
        weights = dict(read_arrays(self.run.networks[number - 1].file(WEIGHTS)))
        subwords, labels = load_subwords(self.run), len(split.label_names)
        table = weights[EMBEDDINGS][: FIRST_WORD + self.known]
        if subwords is not None:  # new words are read by their n-grams
            words = split.vocabulary.words[self.known : split.vocabulary.size - FIRST_WORD]
            vectors = (subwords.vector(word) for word in words)
            table = np.stack([*table, *(table[UNKNOWN] if vector is None else vector for vector in vectors)])
        weights[EMBEDDINGS] = table
        if labels > len(self.run.config.data.label_names) == 2:  # a sigmoid as two columns of a softmax
            for name in ("output/kernel", "output/bias"):
                weights[name] = np.concatenate([-weights[name] / 2, weights[name] / 2], axis=-1)
        return weights, subwords

    def info(self, predict: Predictor, split: Partition, device: str) -> ParentInfo:
        """Return what metrics.json says of the run, with its validation texts evaluated before and after training.

        Args:
            predict: uncalibrated, with the trained weights.
            split: what was trained on.
            device: of the predictions.
        """
        vocabulary, data = split.vocabulary, predict.config.data
        new_words = vocabulary.size - FIRST_WORD - self.known
        info = ParentInfo(self.run.path.resolve().name, self.run.sha256, self.known, new_words)
        try:
            before = load_run_data(self.run)
            # The same texts, as the trained network reads them.
            after = load_run_data(self.run, {"tokenizer": vocabulary.tokenizer}, vocabulary.words)
        except (DataError, RunError) as error:
            reason = str(error).partition("\n")[0]
            logger.warning("the validation texts of %s are not evaluated again: %s", self.run, reason)
            return info
        if before.folds is not None:
            logger.info(
                "validation texts of %s: not evaluated again, its networks were trained on all of them", self.run
            )
            return info
        trained, texts = (
            after.texts(name).cut(data.num_words, data.maxlen, data.truncating) for name in ("train", "validation")
        )
        for name, part in (("validation", split.validation), ("test", split.test)):
            if number := int(np.isin(part.fingerprints(), trained.fingerprints()).sum()):
                info.seen[name] = number
                seen = count(number, f"{name} text")
                logger.warning("%s: trained on %s of this run: their figures are optimistic", self.run, seen)
        rows = np.flatnonzero(~np.isin(texts.fingerprints(), split.train.fingerprints()))
        if not len(rows):
            logger.warning("the validation texts of %s are not evaluated again: all are trained on now", self.run)
            return info
        texts = texts.take(rows)
        predict_before = load_run_predictor(self.run, device=device, calibrated=False)
        mixed = predict_before.mixed(validation_parts(self.run, predict_before, before.cut("validation")))
        old = Predictions.of(texts.labels, mixed[rows]).right
        new = Predictions.of(texts.labels, predict(texts)).right
        was, now = (proportion(int(right.sum()), len(rows)) for right in (old, new))
        change = paired_difference(*discordant(old, new), len(rows))
        forgetting = Forgetting(len(rows), was, now, change)
        logger.info("validation texts of %s: %s", self.run, forgetting)
        return replace(info, forgetting=forgetting)


def open_initial_run(config: Config, run: Run) -> tuple[Config, InitialRun | None]:
    """Return the run that a config begins with, if it names one, and the config with its labels, if it names none.

    Args:
        config: of the training.
        run: that is trained; one that has a vocabulary is resumed.

    Raises:
        RunError: if there is no such run, or it is unfinished, was changed, or knows no words.
        ConfigError: if its network or its labels do not fit the config.
    """
    if config.training.initial_run is None:
        return config, None
    path, resumed = Path(config.training.initial_run), run.file(VOCABULARY).is_file()
    if path.resolve() == run.path.resolve():
        raise RunError(f"{run}: training begins with this run, which cannot be replaced; choose another --run-dir")
    initial = open_run(path)
    initial.verify()
    vocabulary = Vocabulary.load(initial.file(VOCABULARY))
    words = vocabulary.words[: vocabulary.size - FIRST_WORD]
    if not words:
        raise RunError(f"{initial}: knows no words, only ids, so no training can begin with it; train one on texts")
    config = replace(config, training=replace(config.training, initial_run=str(initial.path.resolve())))
    if config.data.source == "texts" and config.data.labels is None:
        names, ordered = initial.config.data.label_names, config.data.ordered
        ordered = initial.config.data.ordered if ordered is None else ordered
        config = replace(config, data=replace(config.data, labels=names, ordered=ordered))
    _require_same_network(initial, config)
    first = Vocabulary.load(run.file(VOCABULARY)).words if resumed else words
    return config, InitialRun(initial, len(words), first, resumed)


def without_pretraining(config: Config) -> Config:
    """Return a config without what the weights of a run replace; new words may have a vector in a file."""
    vectors = config.model.vectors
    file = vectors if vectors is not None and vectors.path is not None else None
    return replace(config, model=replace(config.model, language_model=None, vectors=file))


def _require_same_network(run: Run, config: Config) -> None:
    names, given, hint = run.config.data.label_names, config.data.label_names, f"the weights are those of {run}"
    problems = []
    if given[: len(names)] != names:
        problems = [Problem("", "data.labels", f"must be {', '.join(names)}, or begin so", ", ".join(given), hint)]
    if len(run.config.members) != len(config.members):
        rule = f"must be a list of {len(run.config.members)}"
        problems.append(Problem("", "ensemble", rule, str(len(config.members)), hint))
    for old, new in zip(map(_structure, run.config.members), map(_structure, config.members), strict=False):
        problems += [Problem("", key, f"must be {old[key]}", new[key], hint) for key in old if old[key] != new[key]]
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))


def _structure(config: Config) -> dict[str, str]:
    """Return the keys that decide what the weights of a network mean, in words."""
    model = config.model
    return {
        "model.embedding_dim": str(model.embedding_dim),
        "model.recurrent": ", ".join(map(_layer, model.recurrent)),
        "model.pooling": model.pooling,
        "model.dense": ", ".join(f"{dense.units} {dense.activation}" for dense in model.dense) or "empty",
        "model.ngrams": count(config.channels, "weight") + " a word",
    }


def _layer(layer: RecurrentConfig) -> str:
    direction, reset = "bidirectional " * layer.bidirectional, " reset_after: false" * (layer.reset_after is False)
    return f"{direction}{layer.cell} {layer.units} {layer.activation}{reset}"
