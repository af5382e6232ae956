"""The classifier of a finished run: texts → predictions and traces, with the encoder and network of training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.dataset import Ids, Split
from rnnsent.data.tokenizer import START, UNKNOWN
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import RunError, count
from rnnsent.inference.calibration import Calibration
from rnnsent.inference.prediction_columns import prediction_columns
from rnnsent.inference.predictor import (
    Floats,
    Predictor,
    by_label,
    load_predictor,
    load_run_predictor,
)
from rnnsent.inference.thresholds import decide, numbered
from rnnsent.models.weights import EMBEDDINGS
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import Run
from rnnsent.runs.registry import open_run

if TYPE_CHECKING:
    from pandas import DataFrame

    from rnnsent.config.sections import Config
    from rnnsent.inference.trace import Trace

CHUNK = 1024  # texts that are held in memory at a time
SHOWN = 5  # labels in the description of a classifier
WARN_UNKNOWN = 0.5  # share of unknown words from which there is a warning


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one text."""

    # the most probable one, unless thresholds decide; of several labels a text those above their thresholds, joined
    label: str
    probability: float  # of that label; of several that just these are right, if they are independent
    probabilities: dict[str, float]  # of every label
    unknown_share: float  # of the words that the network has no vector for; 1 without words
    truncated: bool  # whether words were cut off by `data.maxlen`
    blank: bool = False  # whether the text has no words, so that the prediction says nothing about it

    def to_dict(self) -> dict[str, object]:
        """Return the prediction for JSON."""
        return asdict(self)

    def warnings(self) -> list[str]:
        """Return what makes the prediction less reliable."""
        warnings = ["no words"] if self.blank else []
        if self.unknown_share >= WARN_UNKNOWN and not self.blank:
            warnings.append(f"{self.unknown_share:.0%} unknown words")
        return [*warnings, "truncated"] if self.truncated else warnings


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as the network reads it."""

    ids: Ids  # (words + 1,), cut to `data.num_words` and `data.maxlen`; the start token goes first
    words: tuple[str, ...]  # of the ids, without the start token
    known: tuple[bool, ...]  # whether the network has a vector for each word
    truncated: int = 0  # number of words that were cut off
    ignored: tuple[str, ...] = ()  # words without any id, each once
    spelled: Ids | None = None  # as `ids`, but each unknown word has an id of its own, beyond the known ones
    others: tuple[str, ...] = ()  # what these ids spell, in order

    @property
    def read(self) -> Ids:
        """What the model reads: `spelled`, if unknown words are."""
        return self.ids if self.spelled is None else self.spelled


class Classifier:
    """A vocabulary and a predictor; see `load`.

    Its pickle holds vocabulary, config and weights, so that it needs no run, and chooses backend and device where it is
    read, as `load` does by default. As every pickle it can execute code: read those only that you trust.
    """

    def __init__(self, vocabulary: Vocabulary, predictor: Predictor) -> None:
        self.vocabulary, self.predictor = vocabulary, predictor
        tables = (array for name, array in predictor.weights.items() if name.endswith(EMBEDDINGS))
        rows = min(map(len, tables), default=vocabulary.size)
        if rows < vocabulary.size:
            raise RunError(f"the vocabulary has {vocabulary.size:,} ids, the network only {rows:,}")

    def __repr__(self) -> str:
        from rnnsent.models.summary import architecture

        labels = ", ".join([*self.label_names[:SHOWN], *["…"] * (len(self.label_names) > SHOWN)])
        words = count(len(self.vocabulary.words), "word")
        return f"<Classifier: {labels}; {architecture(self.config)}; {words}; {self.predictor.backend}>"

    def __reduce__(self) -> tuple[Any, ...]:
        predictor = self.predictor
        arrays = {
            name: None if part is None else part.to_arrays()
            for name, part in (
                ("ngram_weights", predictor.ngram_weights),
                ("linear", predictor.linear),
                ("subwords", predictor.subwords),
            )
        }
        parts = {
            "vocabulary": asdict(self.vocabulary),
            "config": self.config.to_dict(),
            "weights": predictor.weights,
            "calibration": asdict(predictor.calibration),
            **arrays,
        }
        return _from_parts, (parts,)

    @property
    def config(self) -> Config:
        """The config of the run."""
        return self.predictor.config

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, in the order of `probabilities`."""
        return self.config.data.label_names

    def predict(self, texts: Iterable[str], thresholds: Mapping[str, float] | None = None) -> list[Prediction]:
        """Return a prediction for each text, in order. A text without words is read as its start token alone.

        Raises:
            TypeError: if `texts` is a single text or a table, or one of them is not a str.
            RnnsentError: if `thresholds` names no label, or one is not between 0 and 1.

        Args:
            texts: a list, an array or a column of NumPy, pandas, polars or pyarrow, or any other iterable.
            thresholds: such as {"positive": 0.3}: the probability from which a label is predicted, see
                `inference.thresholds`; None: the most probable label is.
        """
        return list(self.stream(texts, thresholds))

    def stream(self, texts: Iterable[str], thresholds: Mapping[str, float] | None = None) -> Iterator[Prediction]:
        """Yield the predictions of `predict` one by one, in constant memory."""
        limits = numbered(thresholds or {}, self.config.data)
        iterator = each_text(texts, "predict")
        while chunk := list(islice(iterator, CHUNK)):
            yield from self._predict_chunk(chunk, limits)

    def predict_frame(self, texts: Iterable[str], thresholds: Mapping[str, float] | None = None) -> DataFrame:
        """Return the predictions as a pandas DataFrame, with the index of `texts` if that is a pandas Series.

        Its columns are those of `rnnsent predict --output`: label, probability, the probability of each label, and
        what makes a prediction less reliable.

        Raises:
            TypeError, RnnsentError: as `predict`.
            ImportError: if pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("predict_frame needs pandas: pip install pandas") from error
        rows = [
            (row.label, row.probability, *row.probabilities.values(), row.unknown_share, row.truncated, row.blank)
            for row in self.stream(texts, thresholds)
        ]
        index = texts.index if isinstance(texts, pandas.Series) else None
        return pandas.DataFrame(rows, index, prediction_columns(self.label_names))

    def trace(self, text: str, method: str = "occlusion", label: str | None = None) -> Trace:
        """Return how the prediction for a text comes about, word by word; see `trace.trace`."""
        from rnnsent.inference.trace import trace

        return trace(self, text, method=method, label=label)

    def encode(self, text: str) -> Encoded:
        """Return what the network reads of a text."""
        words = self.vocabulary.words_of(text)
        full = Split.from_words(self.vocabulary, [words])
        cut = self._cut(full)
        ids, spelled = cut.sequence(0), replace(cut, limit=None).sequence(0)
        excess, known = int(full.lengths[0]) - len(ids), tuple((ids[ids != START] != UNKNOWN).tolist())
        drops = self.vocabulary.oov == "drop"
        ignored = dict.fromkeys(word for word in words if drops and self.vocabulary.id_of(word) is None)
        others = (full.words or ())[len(self.vocabulary.words) :]
        return Encoded(ids, tuple(cut.spelled(0)), known, self._lost_words(excess), tuple(ignored), spelled, others)

    def probabilities(self, sequences: Sequence[Ids], others: Sequence[str] = ()) -> Floats:
        """Return the probability of each label for each sequence of ids, float32 (sequences, labels).

        Args:
            sequences: int32 (ids,) each.
            others: what ids beyond the vocabulary spell, as in `Encoded`.
        """
        split = Split.from_sequences(sequences, np.zeros(len(sequences), np.int64))
        words = (*self.vocabulary.words, *others)
        return by_label(self.predictor(replace(split, limit=self.vocabulary.size, words=words)))

    def right(self, split: Split) -> NDArray[np.bool_]:
        """Return whether the prediction for each text of a split before truncation is its label, (texts,)."""
        right = self.predictor.decide(self.predictor(self._cut(split))) == split.labels
        every: NDArray[np.bool_] = right.reshape(len(split), -1).all(axis=1)
        return every

    def _cut(self, split: Split) -> Split:
        data = self.config.data
        return split.cut(data.num_words, data.maxlen, data.truncating)

    def _lost_words(self, ids: int) -> int:
        """Return how many words a number of cut ids stand for: the start token, which goes first, is none."""
        return max(ids - 1, 0) if self.config.data.truncating == "pre" else ids

    def _predict_chunk(self, texts: list[str], thresholds: Mapping[int, float]) -> Iterator[Prediction]:
        words = [self.vocabulary.words_of(text) for text in texts]
        full = Split.from_words(self.vocabulary, words)
        cut = self._cut(full)
        probabilities = self.predictor(cut)
        labels = decide(by_label(probabilities), thresholds) if thresholds else self.predictor.decide(probabilities)
        excess: list[int] = (full.lengths - cut.lengths).tolist()
        for index, (label, row) in enumerate(zip(labels.tolist(), by_label(probabilities).tolist(), strict=True)):
            several = isinstance(label, list)
            yield Prediction(
                label=self.config.data.joined(label) if several else self.label_names[label],
                probability=set_probability(row, label) if several else row[label],
                probabilities=dict(zip(self.label_names, row, strict=True)),
                unknown_share=self.vocabulary.unknown_share(words[index]),
                truncated=self._lost_words(excess[index]) > 0,
                blank=not words[index],
            )


def set_probability(probabilities: Sequence[float], held: Sequence[int]) -> float:
    """Return how probable it is that a text has just these labels, if they are independent."""
    return prod(value if flag else 1 - value for value, flag in zip(probabilities, held, strict=True))


def _from_parts(parts: Mapping[str, Any]) -> Classifier:
    """Return the classifier whose pickle holds these parts.

    Raises:
        ConfigError: if another version of rnnsent wrote them.
    """
    from rnnsent.config.sections import Config
    from rnnsent.models.linear import LinearModel
    from rnnsent.models.ngram_weights import NgramWeights
    from rnnsent.models.subwords import Subwords

    ngrams = None if parts["ngram_weights"] is None else NgramWeights.from_arrays(parts["ngram_weights"])
    config, calibration = Config.from_dict(parts["config"]), Calibration(**parts["calibration"])
    predictor = load_predictor(config, parts["weights"], ngrams, calibration=calibration)
    if config.model.linear is not None:
        predictor = replace(predictor, linear=LinearModel.from_arrays(parts["linear"], config.model.linear))
    if parts["subwords"] is not None:
        predictor = replace(predictor, subwords=Subwords.from_arrays(parts["subwords"]))
    return Classifier(Vocabulary(**parts["vocabulary"]), predictor)


def each_text(texts: Any, caller: str) -> Iterator[str]:
    """Yield the texts of a list, a column of a table, or any other iterable of str.

    Args:
        texts: what the user gave.
        caller: the function that it was given to, for messages.

    Raises:
        TypeError: if it is a single text or a table, or one of them is not a str.
    """
    kind = type(texts).__name__
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):  # whose items are the names of its columns
        raise TypeError(f"{caller} takes texts, not {kind}; name a column: {caller}(data['text'])")
    shape = getattr(texts, "shape", (0,))
    if len(shape) != 1:
        raise TypeError(f"{caller} takes one column of texts, not an array of shape {shape}; choose one: data[:, 0]")
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise TypeError(f"{caller} takes several texts, not {kind}; put one into a list: {caller}([text])")
    # The items of a column of pyarrow are wrapped.
    for index, text in enumerate(texts.to_pylist() if hasattr(texts, "to_pylist") else texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{index}]: must be a str, not {type(text).__name__}: {text!r:.40}")
        yield text


def load(run: str | Path | Run, *, backend: str = "auto", device: str = "auto", calibrated: bool = True) -> Classifier:
    """Return the classifier of a finished run.

    Args:
        run: its folder.
        backend, device: as for `predictor.load_predictor`; Keras is imported only if they need it.
        calibrated: False for its validation texts, on which the calibration was fitted.

    Raises:
        RunError: if the run is unfinished, one of its files was changed, or it has no words.
        ConfigError: if the backend cannot run its network here, or not on this device.
        DeviceError: if the requested GPU is not there.
    """
    directory = run if isinstance(run, Run) else open_run(Path(run))
    # Only the files that are read: hashing all of a large run takes longer than a prediction.
    directory.verify(*directory.listed(runs.PREDICTING))
    vocabulary = Vocabulary.load(directory.file(runs.VOCABULARY))
    if not vocabulary.words:
        raise RunError(f"{directory}: was trained without imdb_word_index.json, so it cannot read texts")
    return Classifier(vocabulary, load_run_predictor(directory, backend=backend, device=device, calibrated=calibrated))
