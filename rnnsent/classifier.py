"""A finished run that answers about texts: the encoder it was trained with, its network, its labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rnnsent import runs
from rnnsent.config import LABELS, Config
from rnnsent.configfile import load_config
from rnnsent.data.split import Split
from rnnsent.errors import RunError
from rnnsent.prediction import Predictor, load_predictor
from rnnsent.runs import RunDirectory, open_run
from rnnsent.vocabulary import Vocabulary

CHUNK = 1024  # texts that are held in memory at a time


@dataclass(frozen=True, slots=True)
class Answer:
    """What a network makes of one text.

    Attributes:
        label: the more probable one.
        probability: of that label, 0.5 … 1.
        probabilities: of every label.
        unknown_share: of the text's words, how many the network has no vector for; 0 for a text without words.
        truncated: whether words were cut off by `data.maxlen`.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    unknown_share: float
    truncated: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain values for JSON."""
        return asdict(self)


class Classifier:
    """Texts in, answers out, with the very encoder of training; see `load`."""

    def __init__(self, config: Config, vocabulary: Vocabulary, predictor: Predictor) -> None:
        self._config, self._vocabulary, self._predictor = config, vocabulary, predictor

    def predict(self, texts: Iterable[str]) -> list[Answer]:
        """Return an answer for each text, in order. A text without words is read as its start token alone."""
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str]) -> Iterator[Answer]:
        """Yield the same one after the other, in memory that does not grow with their number."""
        remaining = iter(texts)
        while chunk := list(islice(remaining, CHUNK)):
            yield from self._answers(chunk)

    def _answers(self, texts: list[str]) -> Iterator[Answer]:
        data = self._config.data
        encoded = [self._vocabulary.encode(text) for text in texts]
        whole = Split.from_sequences(encoded, np.zeros(len(texts), np.int64))
        cut = whole.cut(data.num_words, data.maxlen, data.truncating)
        for index, positive in enumerate(self._predictor(cut).tolist()):
            yield Answer(
                label=LABELS[int(positive > 0.5)],
                probability=max(positive, 1.0 - positive),
                probabilities=dict(zip(LABELS, (1.0 - positive, positive), strict=True)),
                unknown_share=self._vocabulary.unknown_share(texts[index]),
                truncated=bool(cut.lengths[index] < whole.lengths[index]),
            )


def load(run: str | Path | RunDirectory, *, backend: str = "auto") -> Classifier:
    """Return the classifier of a finished run.

    Args:
        run: the folder of the run.
        backend: one of `prediction.BACKENDS`; auto does without Keras where it can.

    Raises:
        RunError: if the run is unfinished, one of its files was changed, or it knows no words.
        ConfigError: if the backend cannot run its network here.
    """
    found = run if isinstance(run, RunDirectory) else open_run(Path(run))
    found.verify()
    config = load_config(str(found.file(runs.CONFIG)))
    vocabulary = Vocabulary.load(found.file(runs.VOCABULARY))
    if not vocabulary.words:
        raise RunError(f"{found}: was trained without imdb_word_index.json, so it cannot read texts")
    return Classifier(config, vocabulary, load_predictor(config, runs.load_weights(found), backend=backend))
