"""The reviews of a run that a report shows: its surest mistakes, and how it came to some of its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.dataset import Split
from rnnsent.data.vocabulary import START, UNKNOWN, Vocabulary
from rnnsent.evaluation import evaluate as judgment
from rnnsent.evaluation.error_analysis import Places, WrongAnswer
from rnnsent.evaluation.run_data import own_reviews
from rnnsent.inference import classifier
from rnnsent.inference.attribution import log_odds, occluded
from rnnsent.inference.classifier import Classifier, Encoded
from rnnsent.inference.trace import Trace, probabilities_of, trace
from rnnsent.reporting.facts import Facts

MISTAKES = 10
# Of all texts that are computed for the mistakes of one network: seconds on the kernel, as on the slower reference.
TOKENS = {"native": 6_000_000, "numpy": 300_000, "keras": 1_000_000}
OCCLUDED = 400  # words of a longer text whose contributions are found; those where it is not cut off
FOLLOWED = 600  # words of the longest text that is followed word by word


@dataclass(frozen=True, kw_only=True)
class Explained(WrongAnswer):
    """A wrong answer with what each word contributed to it.

    Attributes:
        words, known: those that are shown, and whether the network knows them.
        contributions: of each, to the log-odds of what it says, by occlusion.
        read: how many words the network read.
        cut: how many it did not.
    """

    words: tuple[str, ...]
    known: tuple[bool, ...]
    contributions: NDArray[np.float64]
    read: int
    cut: int


@dataclass(frozen=True)
class Followed:
    """How the network came to one of its answers."""

    kind: str  # for people: which answer this is
    review: int
    label: str
    trace: Trace


@dataclass(frozen=True)
class Texts:
    """What a report shows of texts; of a run whose texts cannot be had, why."""

    mistakes: tuple[Explained, ...] = ()
    followed: tuple[Followed, ...] = ()
    unread: str = ""
    ending: bool = True  # whether it is the end of a long text that is read


def read(facts: Facts, data: Mapping[str, str | None] | None, tell: Callable[[str], None]) -> Texts:
    """Return the surest mistakes of a run and some of its answers, word by word.

    Args:
        facts: of the run.
        data: `source` and `path` of the reviews, where they are no longer where the run's config says.
        tell: told if the run was stopped early.

    Raises:
        RunError: if the run knows no words.
        DataError: if its reviews cannot be had any more.
    """
    network = classifier.load(facts.run)
    _, _, dataset = own_reviews(facts.run, data, tell)
    whole = judgment.whole_reviews(str(facts.run), dataset, facts.config, facts.split)
    reviews = _Reviews(whole, dataset.vocabulary, network)
    ending = facts.config.data.truncating == "pre"
    places = Places.of(dataset, facts.config, facts.split)
    mistakes = tuple(_mistakes(facts, reviews, network, places))
    return Texts(mistakes, tuple(_followed(facts, reviews, network)), "", ending)


class _Reviews:
    """The reviews of a split as the network reads them, with their words.

    Args:
        whole: uncut.
        vocabulary: of the data, which has words that the network does not know.
        network: that reads them.
    """

    def __init__(self, whole: Split, vocabulary: Vocabulary, network: Classifier) -> None:
        data = network.config.data
        self._whole, self._vocabulary = whole, vocabulary
        self._cut = whole.cut(data.num_words, data.maxlen, data.truncating)
        self.ending = data.truncating == "pre"

    def lengths(self) -> NDArray[np.int64]:
        """Return how many ids the network reads of each, (reviews,)."""
        return self._cut.lengths

    def __getitem__(self, review: int) -> Encoded:
        ids, full = self._cut.sequence(review), self._whole.sequence(review)
        standing = full[len(full) - len(ids) :] if self.ending else full[: len(ids)]
        words = [place for place, id_ in enumerate(standing.tolist()) if id_ != START]
        return Encoded(
            ids,
            tuple(self._vocabulary.word(int(standing[place])) for place in words),
            tuple(bool(ids[place] != UNKNOWN) for place in words),
            truncated=int((full != START).sum()) - len(words),
            ignored=(),
        )


def _mistakes(facts: Facts, reviews: _Reviews, network: Classifier, places: Places) -> list[Explained]:
    """Return the surest mistakes, as many as can be explained in seconds, one at least."""
    found: list[Explained] = []
    left = TOKENS.get(network.predictor.backend, min(TOKENS.values())) // len(facts.config.members)
    wrong = np.flatnonzero(~facts.right)
    for review in wrong[np.argsort(-facts.confidence[wrong], kind="stable")][:MISTAKES].tolist():
        encoded = reviews[review]
        number = min(len(encoded.words), OCCLUDED)
        left -= number * len(encoded.ids)
        if not number or (left < 0 and found):
            continue
        first, last = len(encoded.ids) - len(encoded.words), len(encoded.ids)
        shown = slice(last - number, last) if reviews.ending else slice(first, first + number)
        inside = slice(shown.start - first, shown.stop - first)
        label = int(facts.predicted[review])
        values = log_odds(probabilities_of(network, [encoded.ids]), label) - log_odds(
            probabilities_of(network, occluded(encoded.ids, shown, network.encode("").ids)), label
        )
        found.append(
            Explained(
                review,
                facts.label_names[int(facts.labels[review])],
                facts.label_names[label],
                float(facts.confidence[review]),
                places[review],
                words=encoded.words[inside],
                known=encoded.known[inside],
                contributions=values,
                read=len(encoded.words),
                cut=encoded.truncated,
            )
        )
    return found


def _followed(facts: Facts, reviews: _Reviews, network: Classifier) -> list[Followed]:
    """Return how some answers came about: a typical right one of each label, a sure mistake, a doubtful one."""
    lengths = reviews.lengths()
    short = (lengths > 1) & (lengths <= FOLLOWED + 1)
    chosen: list[tuple[str, int]] = []
    for label, name in list(enumerate(facts.label_names))[:3]:
        places = np.flatnonzero(short & facts.right & (facts.labels == label))
        if len(places):
            order = places[np.argsort(facts.confidence[places], kind="stable")]
            chosen.append((f"Right, and as sure as usual: {name}", int(order[len(order) // 2])))
    wrong, every = np.flatnonzero(short & ~facts.right), np.flatnonzero(short)
    if len(wrong):
        chosen.append(("One of the surest mistakes", int(wrong[np.argmax(facts.confidence[wrong])])))
    if len(every):
        chosen.append(("One of the least sure", int(every[np.argmin(facts.confidence[every])])))
    return [
        Followed(kind, review, facts.label_names[int(facts.labels[review])], trace(network, reviews[review]))
        for kind, review in chosen
    ]
