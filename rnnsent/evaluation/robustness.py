"""What a network loses where texts are not as in training: long and short ones, typing errors, negations, other things.

Nothing here is for choosing a network: what is tuned to these texts says nothing about others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import LABELS
from rnnsent.data.dataset import Split
from rnnsent.evaluation import challenge_set as challenges
from rnnsent.evaluation.intervals import proportion
from rnnsent.evaluation.slices import by_length
from rnnsent.inference.classifier import Classifier

WRITTEN = "written for it"  # the group of what rnnsent brings along
TYPO_SHARES = (0.01, 0.05, 0.10)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Row:
    """The accuracy on some texts, with a 95 % Wilson interval.

    Attributes:
        group: "all", "length", "typing errors", "written for it".
        name: which of the group.
        texts: how many.
        accuracy, low, high: of the label that is predicted.
    """

    group: str
    name: str
    texts: int
    accuracy: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def measure(classifier: Classifier, reviews: Split, seed: int = 0) -> list[Row]:
    """Return the accuracy of a network on its reviews, on parts of them, and on texts that were written to be hard.

    Args:
        classifier: a run that knows its words.
        reviews: uncut, in the ids of its vocabulary.
        seed: of the typing errors.
    """
    labels = reviews.labels
    whole = classifier.labels_of(reviews) == labels
    rows = [_row("all", "all reviews", whole)]
    rows += [_row("length", part.name, whole[part.members]) for part in by_length(reviews)]
    words = [classifier.vocabulary.decode(ids).split(" ") for ids in _sequences(reviews)]
    for share in TYPO_SHARES:
        rng = np.random.default_rng([seed, int(share * 1000)])
        spoiled = [classifier.vocabulary.encode_words(mistyped(each, share, rng)) for each in words]
        rows.append(_row("typing errors", f"in {share:.0%} of the words", _right(classifier, spoiled, labels)))
    if tuple(classifier.label_names) == LABELS:
        for name, texts in _CHALLENGES:
            asked = texts()
            encoded = [classifier.vocabulary.encode(text) for text, _ in asked]
            positive = np.array([label for _, label in asked], np.int64)
            rows.append(_row(WRITTEN, name, _right(classifier, encoded, positive)))
    return rows


_CHALLENGES: tuple[tuple[str, Callable[[], list[challenges.Challenge]]], ...] = (
    ("negations", challenges.negated),
    ("contrasts", challenges.contrasted),
    ("not about films", challenges.of_other_domains),
)


def mistyped(words: Sequence[str], share: float, rng: np.random.Generator) -> list[str]:
    """Return `words` with an error in about so many of them.

    Two letters exchanged, one left out, doubled or replaced, one kind as likely as the other; words of one letter stay,
    and equal letters exchanged, or one replaced by itself, are no error: a little fewer are spoiled than `share`.
    """
    found = list(words)
    for place in np.flatnonzero(rng.random(len(found)) < share).tolist():
        word = found[place]
        if len(word) < 2:
            continue
        kind, at = int(rng.integers(4)), int(rng.integers(len(word) - 1))
        letter = LETTERS[int(rng.integers(len(LETTERS)))]
        found[place] = (
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at + 1 :],
            word[: at + 1] + word[at:],
            word[:at] + letter + word[at + 1 :],
        )[kind]
    return found


def _sequences(split: Split) -> list[Any]:
    return [split.sequence(index) for index in range(len(split))]


def _right(classifier: Classifier, sequences: Sequence[Any], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = classifier.labels_of(Split.from_sequences(sequences, labels)) == labels
    return found


def _row(group: str, name: str, right: NDArray[np.bool_]) -> Row:
    found = proportion(int(right.sum()), len(right))
    assert found.value is not None and found.low is not None and found.high is not None
    return Row(group, name, len(right), found.value, found.low, found.high)
