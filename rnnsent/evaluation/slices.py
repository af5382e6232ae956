"""Parts of a set of reviews on which a network may be better or worse: by length, unknown words, negation, stars.

Parts are made of the reviews alone, never of what a network says of them, so that networks can be compared on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import DataConfig
from rnnsent.data.dataset import Split
from rnnsent.data.vocabulary import FIRST_WORD, START, Vocabulary
from rnnsent.evaluation.intervals import Estimate, proportion

Mask = NDArray[np.bool_]

QUARTERS = 4
# Words that deny; those that end in n't besides. English, as the lists of most readers are.
NEGATIONS = frozenset(
    (
        "no",
        "not",
        "never",
        "none",
        "nobody",
        "nothing",
        "nowhere",
        "neither",
        "nor",
        "cannot",
        "without",
        "hardly",
        "barely",
    )
)


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the reviews.

    Attributes:
        group: what they were divided by: "length", "unknown words", "truncation", "negation", "stars".
        name: which part, for people.
        members: (reviews,), which they are.
    """

    group: str
    name: str
    members: Mask


@dataclass(frozen=True, slots=True)
class SliceAccuracy:
    """How good a network was on a part of the reviews."""

    group: str
    name: str
    reviews: int
    accuracy: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return {"group": self.group, "name": self.name, "reviews": self.reviews, "accuracy": self.accuracy.to_dict()}


def slices_of(
    reviews: Split, vocabulary: Vocabulary, config: DataConfig, ratings: NDArray[np.int64] | None = None
) -> list[Slice]:
    """Divide reviews in several ways; each way, all parts together are all reviews. Ways with one part are left out.

    Args:
        reviews: uncut, in ids of `vocabulary`.
        vocabulary: of the data.
        config: what a network sees of them: `num_words` and `maxlen`.
        ratings: the stars of each review, 0 where they are not known; None: they are nowhere known.
    """
    found = [
        *by_length(reviews),
        *_unknown_words(reviews, vocabulary, config),
        *_truncation(reviews, config),
        *_negation(reviews, vocabulary),
        *_stars(ratings),
    ]
    parts = [each.group for each in found]
    return [each for each in found if parts.count(each.group) > 1]


def by_length(reviews: Split) -> Iterator[Slice]:
    """Yield quarters of reviews by their number of words; those of one length are in one part."""
    yield from _quarters("length", np.maximum(reviews.lengths - 1, 0), "words")  # without the start token


def slices_for(
    reviews: Split, vocabulary: Vocabulary, configs: Sequence[DataConfig], ratings: NDArray[np.int64] | None = None
) -> list[Slice]:
    """Divide reviews for several networks, the same whichever comes first.

    Where they read with different `num_words` or `maxlen`, what depends on it is there for each value, and says so.

    Args:
        reviews, vocabulary, ratings: as for `slices_of`.
        configs: of each network.
    """
    found: dict[str, list[Slice]] = {}
    for config in sorted(configs, key=_reading):
        divided: dict[str, list[Slice]] = {}
        for each in slices_of(reviews, vocabulary, config, ratings):
            group = _named(each.group, config, configs)
            divided.setdefault(group, []).append(replace(each, group=group))
        found |= divided  # of one name the same parts, whichever config they come from
    order = list(dict.fromkeys(group.partition(" (")[0] for group in found))
    groups = sorted(found, key=lambda group: order.index(group.partition(" (")[0]))
    return [each for group in groups for each in found[group]]


def _reading(config: DataConfig) -> tuple[float, float]:
    """Return what orders configs: the words that are known and read, None being all."""
    return config.num_words or np.inf, config.maxlen or np.inf


def _named(group: str, config: DataConfig, configs: Sequence[DataConfig]) -> str:
    """Return what a way of dividing is called where it depends on what not all configs say."""
    key, preposition = {"unknown words": ("num_words", "of"), "truncation": ("maxlen", "at")}.get(group, ("", ""))
    if not key or len({getattr(each, key) for each in configs}) == 1:
        return group
    value = getattr(config, key)
    return f"{group} ({preposition} {'all' if value is None else value})"


def accuracies(slices: list[Slice], right: Mask) -> list[SliceAccuracy]:
    """Return the accuracy on each part.

    Args:
        slices: of the same reviews.
        right: (reviews,), whether the predicted label is the real one.
    """
    return [
        SliceAccuracy(
            each.group,
            each.name,
            int(each.members.sum()),
            proportion(int(right[each.members].sum()), each.members.sum()),
        )
        for each in slices
    ]


def _quarters(group: str, values: NDArray[Any], unit: str, digits: int = 0) -> Iterator[Slice]:
    """Yield parts of about equal size, each with a name of its own; equal values are in one part.

    Args:
        group, values, unit: what is divided by, (reviews,), and what it is counted in.
        digits: after the point; more where two parts would be called the same.
    """
    edges = np.unique(np.quantile(values, np.arange(1, QUARTERS) / QUARTERS)) if len(values) else np.empty(0)
    part = np.searchsorted(edges, values, "left")
    parts = [part == number for number in np.unique(part).tolist()]
    spans = [(values[members].min(), values[members].max()) for members in parts]
    names: list[str] = []
    while len(set(names)) < len(spans):
        names = [" to ".join(dict.fromkeys(f"{end:,.{digits}f}" for end in span)) for span in spans]
        digits += 1
    for name, members in zip(names, parts, strict=True):
        yield Slice(group, f"{name} {unit}", members)


def _unknown_words(reviews: Split, vocabulary: Vocabulary, config: DataConfig) -> Iterator[Slice]:
    limit = vocabulary.with_num_words(config.num_words).size
    shares = 100 * _share(reviews, lambda ids: (ids >= limit) | ((ids < FIRST_WORD) & (ids != START)))
    yield from _quarters("unknown words", shares, "%", digits=1)


def _truncation(reviews: Split, config: DataConfig) -> Iterator[Slice]:
    if config.maxlen is None:
        return
    cut = reviews.lengths > config.maxlen
    for name, members in (("read whole", ~cut), (f"cut to {config.maxlen} words", cut)):
        if members.any():
            yield Slice("truncation", name, members)


def _negation(reviews: Split, vocabulary: Vocabulary) -> Iterator[Slice]:
    denying = np.zeros(FIRST_WORD + len(vocabulary.words), np.bool_)
    for number, word in enumerate(vocabulary.words, start=FIRST_WORD):
        denying[number] = word in NEGATIONS or word.endswith("n't")
    if not denying.any():  # another language, or no words at all
        return
    shares = 100 * _share(reviews, lambda ids: denying[np.minimum(ids, len(denying) - 1)])
    none = shares == 0
    if none.any():
        yield Slice("negation", "no negation", none)
    several = np.flatnonzero(~none)
    for part in _quarters("negation", shares[several], "in 100 words", digits=1):
        members = np.zeros(len(reviews), np.bool_)
        members[several[part.members]] = True
        yield Slice("negation", part.name, members)


def _stars(ratings: NDArray[np.int64] | None) -> Iterator[Slice]:
    if ratings is None:
        return
    for stars in np.unique(ratings).tolist():
        name = "unknown" if stars == 0 else "1 star" if stars == 1 else f"{stars} stars"
        yield Slice("stars", name, ratings == stars)


def _share(reviews: Split, which: Any) -> NDArray[np.float64]:
    """Return the share of the words of each review of which `which(ids)` is true; 0 for one without words."""
    marked = which(reviews.flat()).astype(np.float64)
    ends = np.cumsum(reviews.lengths)
    total = np.concatenate([[0.0], np.cumsum(marked)])
    counts = total[ends] - total[ends - reviews.lengths]
    share: NDArray[np.float64] = counts / np.maximum(reviews.lengths - 1, 1)
    return share
