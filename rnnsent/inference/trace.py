"""How a network comes to its answer about one text: the answer after each word, and what each word contributes.

What is explained is the predicted label, by its log-odds log p / (1 - p), in logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rnnsent.errors import DataError, count
from rnnsent.inference.attribution import Attribution, integrated_gradients, log_odds, occluded
from rnnsent.inference.queries import Encoded, Floats, TracedNetwork, answers, prefixes

if TYPE_CHECKING:
    from rnnsent.config import Config

METHODS = ("occlusion", "integrated-gradients", "both")
OCCLUSION, INTEGRATED_GRADIENTS = "occlusion", "integrated_gradients"

MAX_WORDS = 10_000  # the work grows with the square: this many words are 150 million steps, half a minute
LEANING = 2 / 3  # a label that reached this was an answer; below, the network had not made up its mind
STRONGEST = 5  # words for and against that are named


@dataclass(frozen=True, slots=True)
class TracedWord:
    """One word that was read.

    Attributes:
        word: as it stands in the text, in lower case where the network reads it so.
        known: whether the network has a vector of its own for it.
        label: the answer once it has been read.
        probability: then, of the label that is predicted in the end.
        probabilities: then, of every label.
        contributions: by method, what it adds to the log-odds of the label that is predicted in the end.
    """

    word: str
    known: bool
    label: str
    probability: float
    probabilities: Mapping[str, float]
    contributions: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Turn:
    """The word at which the answer changed to the final one for good.

    Attributes:
        word: what it is.
        position: which word of those that were read, from 1.
        before, after: the probability of the final label without it and with it.
        lowest: the least it had been after any word before.
        lowest_position: after which word.
    """

    word: str
    position: int
    before: float
    after: float
    lowest: float
    lowest_position: int


@dataclass(frozen=True, slots=True)
class Trace:
    """How a network came to its answer.

    Attributes:
        label: the predicted one.
        probability: of it.
        probabilities: of every label.
        start: of every label, before any word was read.
        words: those that were read, in order.
        settled: after how many words the answer was the final one for good; 0: from the start.
        turn: where it turned; None if no other label had reached `LEANING` before it settled.
        methods: by which contributions were computed; the first is the one that words are shaded by.
        shown: what "the answer after a word" is for this network, to follow "the answer".
        integrated_gradients: steps, baseline and gap, if that was one of the methods.
        truncated: how many words `data.maxlen` cut off.
        ignored: words that were passed over, each once, as the vocabulary has no id for them.
    """

    label: str
    probability: float
    probabilities: Mapping[str, float]
    start: Mapping[str, float]
    words: tuple[TracedWord, ...]
    settled: int
    turn: Turn | None
    methods: tuple[str, ...]
    shown: str
    integrated_gradients: Mapping[str, float] | None
    truncated: int
    ignored: tuple[str, ...]

    def contributions(self, method: str | None = None) -> Floats:
        """Return what each word contributes, float64 (words,), by one of `methods`, the first if None."""
        name = self.methods[0] if method is None else method
        return np.array([word.contributions[name] for word in self.words])

    def strongest(self, sign: Literal[1, -1], method: str | None = None) -> list[tuple[int, TracedWord, float]]:
        """Return position from 1, word and contribution of the words that speak most for (1) or against (-1)."""
        values = sign * self.contributions(method)
        order = np.argsort(-values, kind="stable")[:STRONGEST]
        return [(int(at) + 1, self.words[at], float(sign * values[at])) for at in order if values[at] > 0]

    @property
    def completeness(self) -> str:
        """How integrated gradients add up, in a sentence; empty without them."""
        if self.integrated_gradients is None:
            return ""
        facts = self.integrated_gradients
        whole = facts["logit"] - facts["baseline_logit"]
        both = f"{whole + facts['gap']:+.3f} of the {whole:+.3f} logits between this text and one of unknown words"
        return f"they add up to {both} ({facts['steps']} steps)"

    @property
    def summary(self) -> str:
        """Where the answer turned, in a sentence."""
        if turn := self.turn:
            lowest = f"'{self.words[turn.lowest_position - 1].word}' (word {turn.lowest_position})"
            low = f"; lowest before: {percent(turn.lowest)} after {lowest}"
            change = f"{percent(turn.before)} → {percent(turn.after)} {self.label}"
            return f"turned at '{turn.word}' (word {turn.position}): {change}{low}"
        since = self.words[max(self.settled - 1, 0) :]
        least = min(since, key=lambda word: word.probability)
        place = len(self.words) - len(since) + since.index(least) + 1
        start = "the start" if self.settled == 0 else f"word {self.settled} ('{self.words[self.settled - 1].word}')"
        low = f"least sure after '{least.word}' (word {place}), {percent(least.probability)}"
        turned = "" if self.settled == 0 else f", and no other label had reached {percent(LEANING)} before"
        return f"{self.label} from {start} on{turned}; {low}"

    def notes(self) -> list[str]:
        """Return what makes the answer doubtful, for people; empty if nothing does."""
        notes = []
        unknown = sum(not word.known for word in self.words)
        if unknown == len(self.words):
            notes.append("none of the words is known to the network: the answer says nothing about them")
        elif unknown:
            notes.append(f"{unknown} of {count(len(self.words), 'word')} unknown to the network")
        if self.ignored:
            named = ", ".join(f"'{word}'" for word in self.ignored[:3]) + (", …" if len(self.ignored) > 3 else "")
            notes.append(f"{count(len(self.ignored), 'word')} not in the vocabulary, passed over: {named}")
        if self.truncated:
            notes.append(f"{count(self.truncated, 'word')} cut off by data.maxlen; {len(self.words):,} were read")
        return notes

    def to_dict(self) -> dict[str, Any]:
        """Return the trace as plain values for JSON: its attributes, and `summary`, `strongest` and `notes`."""
        keys = ("position", "word", "contribution")
        strongest = {
            side: [dict(zip(keys, (at, word.word, value), strict=True)) for at, word, value in found]
            for side, found in (("for", self.strongest(1)), ("against", self.strongest(-1)))
        }
        return asdict(self) | {"summary": self.summary, "strongest": strongest, "notes": self.notes()}


def trace(network: TracedNetwork, text: str, *, method: str = "occlusion") -> Trace:
    """Follow a network through a text.

    Args:
        network: of a run.
        text: one text.
        method: one of METHODS, see `attribution`; all but occlusion need Keras.

    Raises:
        ValueError: if there is no such method.
        DataError: if nothing of the text can be read, or it is longer than `MAX_WORDS`.
    """
    return trace_encoded(network, network.encode(text), method=method)


def trace_encoded(network: TracedNetwork, encoded: Encoded, *, method: str = "occlusion") -> Trace:
    """Follow a network through a text that is already what it reads; arguments and errors as for `trace`."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    _require_words(encoded)
    words = slice(len(encoded.ids) - len(encoded.words), None)  # all but the start token
    empty = network.encode("").ids
    found = answers(network, prefixes(encoded, empty))
    label = int(found[-1].argmax())
    contributions: dict[str, Floats] = {}
    attribution: Attribution | None = None
    if method != "integrated-gradients":
        without = answers(network, occluded(encoded.ids, words, empty))
        contributions[OCCLUSION] = log_odds(found[-1:], label) - log_odds(without, label)
    if method != "occlusion":
        attribution = integrated_gradients(
            network.config, network.weights, encoded.ids, label, words, network.calibration
        )
        contributions[INTEGRATED_GRADIENTS] = attribution.contributions
    return _traced(network, encoded, found, contributions, attribution)


def percent(probability: float) -> str:
    """Write a probability in percent, with a decimal near 0 and 100, which it never is; the space does not break."""
    if 0.01 <= probability <= 0.99:
        return f"{probability * 100:.0f}\u00a0%"
    return f"{min(max(probability * 100, 0.1), 99.9):.1f}\u00a0%"


def reading(config: Config) -> str:
    """Return what the answer "after a word" is for a network, to follow "the answer"."""
    model, data = config.model, config.data
    ways = []
    if any(layer.bidirectional for layer in model.recurrent):
        ways.append("read in both directions")
    if model.pooling != "last":
        ways.append(f"its states pooled by {model.pooling}")
    if data.padding == "notebook":
        ways.append(f"padded before to {data.maxlen}")
    if not ways:
        return "after each word, as the network reads on"
    return f"for the text up to each word, {', '.join(ways)}"


def _require_words(encoded: Encoded) -> None:
    number = len(encoded.words)
    if number > MAX_WORDS:
        raise DataError(f"the text has {number:,} words; at most {MAX_WORDS:,} can be traced")
    if not number and encoded.ignored:
        raise DataError(f"none of the {count(len(encoded.ignored), 'word')} of the text is in the vocabulary")
    if not number:
        raise DataError("data.maxlen of the run leaves no word" if encoded.truncated else "the text has no words")


def _traced(
    network: TracedNetwork,
    encoded: Encoded,
    answers: Floats,
    contributions: Mapping[str, Floats],
    attribution: Attribution | None,
) -> Trace:
    names = list(network.label_names)
    label = int(answers[-1].argmax())
    words = tuple(
        TracedWord(
            word=encoded.words[at],
            known=bool(encoded.known[at]),
            label=names[int(answers[at + 1].argmax())],
            probability=float(answers[at + 1, label]),
            probabilities=dict(zip(names, answers[at + 1].tolist(), strict=True)),
            contributions={name: float(values[at]) for name, values in contributions.items()},
        )
        for at in range(len(encoded.words))
    )
    others = np.flatnonzero(answers.argmax(axis=1) != label)
    settled = int(others[-1]) + 1 if len(others) else 0
    return Trace(
        label=names[label],
        probability=words[-1].probability,
        probabilities=words[-1].probabilities,
        start=dict(zip(names, answers[0].tolist(), strict=True)),
        words=words,
        settled=settled,
        turn=_turn(encoded.words, answers, label, settled),
        methods=tuple(contributions),
        shown=reading(network.config),
        integrated_gradients=None if attribution is None else attribution.facts(),
        truncated=encoded.truncated,
        ignored=tuple(encoded.ignored),
    )


def _turn(words: Sequence[str], answers: Floats, label: int, settled: int) -> Turn | None:
    """Return the turn at word `settled`; `answers[0]`, before any word, is nothing that could be turned from."""
    before = answers[1:settled]
    if not len(before) or np.delete(before, label, axis=1).max() < LEANING:
        return None
    lowest = int(before[:, label].argmin())
    return Turn(
        word=words[settled - 1],
        position=settled,
        before=float(answers[settled - 1, label]),
        after=float(answers[settled, label]),
        lowest=float(before[lowest, label]),
        lowest_position=lowest + 1,
    )
