"""A finished run that answers about texts: the encoder it was trained with, its network, its labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import Config
from rnnsent.config.loader import load_config
from rnnsent.data.split import Ids, Split
from rnnsent.data.vocabulary import UNKNOWN, Vocabulary
from rnnsent.errors import RunError
from rnnsent.inference.calibration import NONE, Calibration
from rnnsent.inference.predictor import Floats, Predictor, by_label, load_predictor, most_probable
from rnnsent.models.ngram_weights import NgramWeights
from rnnsent.models.weights import EMBEDDINGS, Weights
from rnnsent.runs import artifacts as stored
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.registry import open_run

if TYPE_CHECKING:
    from rnnsent.inference.trace import Trace

CHUNK = 1024  # texts that are held in memory at a time


@dataclass(frozen=True, slots=True)
class Answer:
    """What a network makes of one text.

    Attributes:
        label: the most probable one.
        probability: of that label.
        probabilities: of every label.
        unknown_share: of the text's words, how many the network has no vector for; 1 for a text without words.
        truncated: whether words were cut off by `data.maxlen`.
        blank: whether the text has no words at all: the answer then says nothing.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    unknown_share: float
    truncated: bool
    blank: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as the network reads it.

    Attributes:
        ids: int32 (words + 1,), start token first, cut to `data.num_words` and `data.maxlen`; where the beginning of a
            long text is cut off, its start token is cut off as well.
        words: the words that the ids stand for, start token left out.
        known: whether the network has a vector for each of them.
        truncated: how many words were cut off.
        ignored: words that have no id at all and are passed over, each once.
    """

    ids: Ids
    words: tuple[str, ...]
    known: tuple[bool, ...]
    truncated: int
    ignored: tuple[str, ...]


class Classifier:
    """Texts in, answers out, with the very encoder of training; see `load`.

    Attributes:
        config: of the run.
        vocabulary: of the run.
        weights: of the run, by name as in weights.npz.
        predictor: what computes.
    """

    def __init__(
        self,
        config: Config,
        vocabulary: Vocabulary,
        weights: Weights,
        ratios: NgramWeights | None = None,
        *,
        backend: str = "auto",
        device: str = "auto",
        calibration: Calibration = NONE,
    ) -> None:
        self.config, self.vocabulary, self.weights = config, vocabulary, weights
        self.predictor: Predictor = load_predictor(
            config, weights, ratios, backend=backend, device=device, calibration=calibration
        )
        rows = min(len(array) for name, array in weights.items() if name.endswith(EMBEDDINGS))
        if rows < vocabulary.size:
            raise RunError(f"the vocabulary has {vocabulary.size:,} ids, the network only {rows:,}")

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, in the order of `probabilities`."""
        return self.config.data.label_names

    @property
    def calibration(self) -> Calibration:
        """That of the run."""
        return self.predictor.calibration

    def predict(self, texts: Iterable[str]) -> list[Answer]:
        """Return an answer for each text, in order. A text without words is read as its start token alone.

        Raises:
            TypeError: if `texts` is one text, not several.
        """
        if isinstance(texts, str):
            raise TypeError("predict takes several texts; put one into a list: predict([text])")
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str]) -> Iterator[Answer]:
        """Yield the same one after the other, in memory that does not grow with their number."""
        remaining = iter(texts)
        while chunk := list(islice(remaining, CHUNK)):
            yield from self._answers(chunk)

    def trace(self, text: str, method: str = "occlusion") -> Trace:
        """Return how the answer to one text comes about, word by word; see `trace.trace`."""
        from rnnsent.inference.trace import trace

        return trace(self, text, method=method)

    def encode(self, text: str) -> Encoded:
        """Return what the network reads of a text."""
        words = self.vocabulary.words_of(text)
        kept, ids = self.vocabulary.kept(words)
        pre = self.config.data.truncating == "pre"
        found = self._cut(Split.from_sequences([ids], np.zeros(1, np.int64))).sequence(0)
        if len(found) < len(ids):
            kept = kept[-len(found) :] if pre else kept[: len(found) - 1]
        known = tuple(bool(id_ != UNKNOWN) for id_ in found[len(found) - len(kept) :])
        passed_over = {word: None for word in words if not self.vocabulary.has_id(word)}
        return Encoded(found, tuple(kept), known, self._lost(len(ids) - len(found)), tuple(passed_over))

    def probabilities(self, sequences: Sequence[Ids]) -> Floats:
        """Return the probability of each label for each sequence of ids, float32 (sequences, labels)."""
        return by_label(self.predictor(Split.from_sequences(sequences, np.zeros(len(sequences), np.int64))))

    def labels_of(self, split: Split) -> NDArray[np.int64]:
        """Return the label that is predicted for each review of a split as it was loaded, int64 (reviews,)."""
        return most_probable(self.predictor(self._cut(split)))

    def _cut(self, split: Split) -> Split:
        data = self.config.data
        return split.cut(data.num_words, data.maxlen, data.truncating)

    def _lost(self, ids: int) -> int:
        """Return how many words were cut off with so many ids: the start token, which goes first, is none."""
        return max(ids - 1, 0) if self.config.data.truncating == "pre" else ids

    def _answers(self, texts: list[str]) -> Iterator[Answer]:
        odd = next((text for text in texts if not isinstance(text, str)), "")
        if not isinstance(odd, str):
            raise TypeError(f"predict takes texts, and one of them is {odd!r}; an empty text is ''")
        words = [self.vocabulary.words_of(text) for text in texts]
        encoded = [self.vocabulary.encode_words(each) for each in words]
        whole = Split.from_sequences(encoded, np.zeros(len(texts), np.int64))
        cut = self._cut(whole)
        found = self.predictor(cut)
        labels: NDArray[np.int64] = most_probable(found)
        lost = (whole.lengths - cut.lengths).tolist()
        for index, (label, row) in enumerate(zip(labels.tolist(), by_label(found).tolist(), strict=True)):
            yield Answer(
                label=self.label_names[label],
                probability=row[label],
                probabilities=dict(zip(self.label_names, row, strict=True)),
                unknown_share=self.vocabulary.unknown_share(words[index]),
                truncated=self._lost(lost[index]) > 0,
                blank=not words[index],
            )


def load(run: str | Path | RunDirectory, *, backend: str = "auto", device: str = "auto") -> Classifier:
    """Return the classifier of a finished run.

    Args:
        run: the folder of the run.
        backend, device: those of `prediction.load_predictor`; by default Keras is left out where that can be.

    Raises:
        RunError: if the run is unfinished, one of its files was changed, or it knows no words.
        ConfigError: if the backend cannot run its network here, or not on this device.
        DeviceError: if a GPU was asked for that is not there.
    """
    found = run if isinstance(run, RunDirectory) else open_run(Path(run))
    others = [name for name in (runs.NGRAMS, runs.CALIBRATION) if found.has(name)]
    found.verify(runs.CONFIG, runs.VOCABULARY, *stored.weight_files(found), *others)
    config = load_config(str(found.file(runs.CONFIG)))
    vocabulary = Vocabulary.load(found.file(runs.VOCABULARY))
    if not vocabulary.words:
        raise RunError(f"{found}: was trained without imdb_word_index.json, so it cannot read texts")
    weights, ratios, calibration = stored.load_weights(found), stored.load_ratios(found), stored.load_calibration(found)
    return Classifier(config, vocabulary, weights, ratios, backend=backend, device=device, calibration=calibration)
