"""How a prediction comes about: the probabilities after each word, and the contribution of each word.

Contributions are in logits: to the log-odds, log p / (1 - p), of the predicted label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from rnnsent.display import DisplayMixin
from rnnsent.errors import DataError, count
from rnnsent.inference.attribution import Attribution, integrated_gradients, log_odds, occluded
from rnnsent.inference.prediction_columns import NONE

if TYPE_CHECKING:
    from rnnsent.data.dataset import Ids
    from rnnsent.inference.classifier import Classifier, Encoded

Floats = NDArray[np.float64]

METHODS = ("occlusion", "integrated-gradients", "both")
OCCLUSION, INTEGRATED_GRADIENTS = "occlusion", "integrated_gradients"

MAX_WORDS = 10_000  # the work grows with the square: this many words take half a minute
CHUNK_TOKENS = 2**18  # of the sequences that are held at a time
STRONGEST = 5  # words for and against that are named


@dataclass(frozen=True, slots=True)
class TracedWord:
    """A word, and the prediction after it."""

    word: str  # as the tokenizer left it
    known: bool  # whether the network has a vector for it
    label: str  # the predicted one after it, of several labels a text all of them, joined
    probability: float  # of the label that is predicted in the end
    probabilities: Mapping[str, float]  # of every label
    contributions: Mapping[str, float]  # of the word, by method, in logits


@dataclass(frozen=True, slots=True)
class Trace(DisplayMixin):
    """How a prediction comes about."""

    label: str  # that is explained: the most probable one, unless another was asked for
    probability: float  # of it
    probabilities: Mapping[str, float]  # of every label
    start: Mapping[str, float]  # of every label, before any word
    words: tuple[TracedWord, ...]  # those that were read, in order
    settled: int  # after how many words it was for good that `label` is predicted, or that it is not
    methods: tuple[str, ...]  # of the contributions; words are shaded by the first
    integrated_gradients: Mapping[str, float] | None  # steps, baseline and gap, if it is one of the methods
    truncated: int  # how many words `data.maxlen` cut off
    ignored: tuple[str, ...]  # words without an id in the vocabulary, each once
    predicted: bool = True  # whether `label` is predicted

    def contributions(self, method: str | None = None) -> Floats:
        """Return the contribution of each word, float64 (words,), by one of `methods`, the first by default."""
        return np.array([word.contributions[method or self.methods[0]] for word in self.words])

    def strongest(self, sign: Literal[1, -1], method: str | None = None) -> list[tuple[int, TracedWord, float]]:
        """Return position from 1, word and contribution of the strongest words for (1) or against (-1) the label."""
        values = sign * self.contributions(method)
        order = np.argsort(-values, kind="stable")[:STRONGEST]
        return [(int(at) + 1, self.words[at], float(sign * values[at])) for at in order if values[at] > 0]

    @property
    def completeness(self) -> str:
        """How integrated gradients add up, in a sentence; empty without them."""
        if self.integrated_gradients is None:
            return ""
        facts = self.integrated_gradients
        difference = facts["logit"] - facts["baseline_logit"]
        total = f"{difference + facts['gap']:+.3f} of the {difference:+.3f} logits"
        return f"they add up to {total} between this text and one of unknown words ({facts['steps']} steps)"

    @property
    def turn(self) -> int | None:
        """The word, from 1, at which the prediction became the final one for good; None if it always was."""
        return self.settled if self.settled > 1 else None

    @property
    def summary(self) -> str:
        """Where the prediction turned, in a sentence."""
        if self.turn is None:
            return f"{self.label} from the start on" if self.predicted else f"not {self.label} after any word"
        before, after = (percent(self.words[at].probability) for at in (self.turn - 2, self.turn - 1))
        return f"turned at '{self.words[self.turn - 1].word}' (word {self.turn}): {before} → {after} {self.label}"

    def notes(self) -> list[str]:
        """Return what makes the prediction less reliable, in sentences."""
        last = self.words[-1].label
        notes = [f"predicted: {last or NONE}"] if last != self.label else []
        unknown = sum(not word.known for word in self.words)
        if unknown == len(self.words):
            notes.append("none of the words is known to the network: the answer says nothing about them")
        elif unknown:
            notes.append(f"{unknown} of {count(len(self.words), 'word')} unknown to the network")
        if self.ignored:
            names = ", ".join(f"'{word}'" for word in self.ignored[:3]) + (", …" if len(self.ignored) > 3 else "")
            notes.append(f"{count(len(self.ignored), 'word')} not in the vocabulary, ignored: {names}")
        if self.truncated:
            notes.append(f"{count(self.truncated, 'word')} cut off by data.maxlen; {len(self.words):,} were read")
        return notes

    def to_dict(self) -> dict[str, object]:
        """Return the trace for JSON: its attributes, and `summary`, `strongest` and `notes`."""
        strongest = {
            side: [{"position": at, "word": word.word, "contribution": value} for at, word, value in words]
            for side, words in (("for", self.strongest(1)), ("against", self.strongest(-1)))
        }
        return asdict(self) | {
            "turn": self.turn, "summary": self.summary, "strongest": strongest, "notes": self.notes()
        }  # fmt: skip


def trace(model: Classifier, text: str | Encoded, *, method: str = "occlusion", label: str | None = None) -> Trace:
    """Follow a model through a text.

    Args:
        model: the classifier of a run.
        text: one text, or what `encode` made of it.
        method: one of METHODS, see `attribution`; all but occlusion need Keras.
        label: that is explained; None: the most probable one.

    Raises:
        ValueError: if there is no such method or label.
        DataError: if no word of the text can be read, or it is longer than `MAX_WORDS`.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    if label is not None and label not in model.label_names:
        raise ValueError(f"label must be one of {', '.join(model.label_names)}, not {label!r}")
    encoded = model.encode(text) if isinstance(text, str) else text
    _require_words(encoded)
    words = slice(len(encoded.ids) - len(encoded.words), None)  # all but the start token
    empty, longest = model.encode("").ids, len(encoded.ids)
    probabilities = probabilities_of(model, _prefixes(encoded, empty), longest, encoded.others)
    place = int(probabilities[-1].argmax()) if label is None else model.label_names.index(label)
    independent = model.config.data.targets == "multi"
    contributions: dict[str, Floats] = {}
    attribution: Attribution | None = None
    if method != "integrated-gradients":
        ablations = probabilities_of(model, occluded(encoded.read, words, empty), longest, encoded.others)
        before, after = (log_odds(each, place, independent) for each in (ablations, probabilities[-1:]))
        contributions[OCCLUSION] = after - before
    if method != "occlusion":
        attribution = integrated_gradients(model, encoded.ids, place, words)
        contributions[INTEGRATED_GRADIENTS] = attribution.contributions
    return _trace(model, encoded, probabilities, contributions, (place, attribution))


def probabilities_of(model: Classifier, sequences: Iterable[Ids], longest: int, others: Sequence[str] = ()) -> Floats:
    """Return the probabilities of sequences of up to `longest` ids, float64 (sequences, labels), in little memory."""
    iterator, size = iter(sequences), max(CHUNK_TOKENS // longest, 1)
    chunks = iter(lambda: list(islice(iterator, size)), [])
    return np.concatenate([model.probabilities(chunk, others) for chunk in chunks]).astype(np.float64)


def percent(probability: float) -> str:
    """Write a probability in percent, near 0 and 100 with a decimal; the space does not break."""
    if 0.01 <= probability <= 0.99:
        return f"{probability * 100:.0f}\u00a0%"
    return f"{min(max(probability * 100, 0.1), 99.9):.1f}\u00a0%"


def _prefixes(encoded: Encoded, empty: Ids) -> Iterator[Ids]:
    """Yield the ids of the first 0, 1, … words; `empty` for no ids, if the start token was cut off."""
    first = len(encoded.ids) - len(encoded.words)
    for number in range(len(encoded.words) + 1):
        yield encoded.read[: first + number] if first + number else empty


def _require_words(encoded: Encoded) -> None:
    number = len(encoded.words)
    if number > MAX_WORDS:
        raise DataError(f"the text has {number:,} words; at most {MAX_WORDS:,} can be traced")
    if not number and encoded.ignored:
        raise DataError(f"none of the {count(len(encoded.ignored), 'word')} of the text is in the vocabulary")
    if not number:
        raise DataError("data.maxlen of the run leaves no word" if encoded.truncated else "the text has no words")


def _trace(
    model: Classifier,
    encoded: Encoded,
    probabilities: Floats,
    contributions: Mapping[str, Floats],
    explained: tuple[int, Attribution | None],
) -> Trace:
    names, (label, attribution) = list(model.label_names), explained
    final, decided = names[label], model.predictor.decide(probabilities)
    several = decided.ndim == 2
    labels = [model.config.data.joined(row) if several else names[row] for row in decided.tolist()]
    predicted = decided[:, label] > 0 if several else decided == label
    by_name = [dict(zip(names, row, strict=True)) for row in probabilities.tolist()]
    words = tuple(
        TracedWord(
            word,
            known,
            label=labels[at],
            probability=by_name[at][final],
            probabilities=by_name[at],
            contributions={name: float(values[at - 1]) for name, values in contributions.items()},
        )
        for at, (word, known) in enumerate(zip(encoded.words, encoded.known, strict=True), start=1)
    )
    changes = np.flatnonzero(predicted != predicted[-1])
    return Trace(
        final,
        words[-1].probability,
        words[-1].probabilities,
        start=by_name[0],
        words=words,
        settled=int(changes[-1]) + 1 if len(changes) else 0,
        methods=tuple(contributions),
        integrated_gradients=None if attribution is None else attribution.to_dict(),
        truncated=encoded.truncated,
        ignored=encoded.ignored,
        predicted=bool(predicted[-1]),
    )
