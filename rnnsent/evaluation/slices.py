"""Slices: parts of a set of texts by length, unknown words, truncation, negation, stars.

They depend on the texts alone, never on predictions, so that models can be compared on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import DataConfig
from rnnsent.data.dataset import Split
from rnnsent.data.tokenizer import FIRST_WORD, START
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import count
from rnnsent.evaluation.intervals import proportion
from rnnsent.runs.schemas import SliceAccuracy

QUARTERS = 4
# English; words that end in n't are added.
NEGATIONS = frozenset(
    "no not never none nobody nothing nowhere neither nor cannot without hardly barely".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the texts: the property that divides them, such as "length", its value, and which they are, (texts,)."""

    group: str
    name: str
    members: NDArray[np.bool_]


def slices_of(
    texts: Split, vocabulary: Vocabulary, configs: Sequence[DataConfig], ratings: NDArray[np.int64] | None = None
) -> list[Slice]:
    """Divide texts by several properties; the slices of a group add up to all texts. Groups of one slice are left out.

    Args:
        texts: before truncation, in ids of `vocabulary`.
        vocabulary: of the data.
        configs: of each model. If `num_words` or `maxlen` differ, there is a group for each value, which names it.
        ratings: the stars of each text, 0 if unknown; None: all unknown.
    """
    limits, lengths = (
        sorted({getattr(config, key) for config in configs}, key=lambda value: (value is None, value))
        for key in ("num_words", "maxlen")
    )
    groups = [by_length(texts)]
    for limit in limits:
        name = "unknown words" + (f" (of {limit or 'all'})" if len(limits) > 1 else "")
        groups.append(_by_unknown_words(name, texts, replace(vocabulary, num_words=limit).size))
    for maxlen in lengths:
        if maxlen is not None:
            name = "truncation" + (f" (at {maxlen})" if len(lengths) > 1 else "")
            cut = texts.lengths > maxlen
            groups.append([Slice(name, "read whole", ~cut), Slice(name, f"cut to {count(maxlen, 'word')}", cut)])
    groups += [_by_negation(texts, vocabulary), _by_stars(ratings)]
    nonempty = [[part for part in group if part.members.any()] for group in groups]
    return [part for group in nonempty if len(group) > 1 for part in group]


def accuracies(slices: Iterable[Slice], right: NDArray[np.bool_]) -> list[SliceAccuracy]:
    """Return the accuracy on each slice; `right` says whether the predicted label is the real one, (texts,)."""
    pairs = [(part, right[part.members]) for part in slices]
    return [
        SliceAccuracy(
            group=part.group, name=part.name, texts=len(hits), accuracy=proportion(int(hits.sum()), len(hits))
        )
        for part, hits in pairs
    ]


def by_length(texts: Split) -> list[Slice]:
    """Return quarters of texts by their number of words."""
    return _quarters("length", np.maximum(texts.lengths - 1, 0), "words")  # without the start token


def _quarters(group: str, values: NDArray[Any], unit: str, digits: int = 0) -> list[Slice]:
    """Return parts of about equal size; equal values stay together.

    Args:
        group, values, unit: the property, its values, (texts,), and their unit.
        digits: after the point; more if two parts would have the same name.
    """
    edges = np.unique(np.quantile(values, np.arange(1, QUARTERS) / QUARTERS)) if len(values) else np.empty(0)
    part = np.searchsorted(edges, values, "left")
    parts = [part == number for number in np.unique(part).tolist()]
    spans = [(values[members].min(), values[members].max()) for members in parts]
    names: list[str] = []
    while len(set(names)) < len(spans):
        names = [" to ".join(dict.fromkeys(f"{end:,.{digits}f}" for end in span)) for span in spans]
        digits += 1
    units = [unit.removesuffix("s") if name == "1" else unit for name in names]
    return [Slice(group, f"{name} {unit}", part) for name, unit, part in zip(names, units, parts, strict=True)]


def _by_unknown_words(group: str, texts: Split, limit: int) -> list[Slice]:
    ids = texts.flat()
    unknown = (ids >= limit) | ((ids < FIRST_WORD) & (ids != START))
    return _quarters(group, 100 * _share(texts, unknown), "%", digits=1)


def _by_negation(texts: Split, vocabulary: Vocabulary) -> list[Slice]:
    negates = np.array([word in NEGATIONS or word.endswith("n't") for word in ("",) * FIRST_WORD + vocabulary.words])
    if not negates.any():  # another language, or no words at all
        return []
    shares = 100 * _share(texts, negates[np.minimum(texts.flat(), len(negates) - 1)])
    slices = [Slice("negation", "no negation", shares == 0)]
    indices = np.flatnonzero(shares)
    for part in _quarters("negation", shares[indices], "in 100 words", digits=1):
        members = np.zeros(len(texts), np.bool_)
        members[indices[part.members]] = True
        slices.append(Slice("negation", part.name, members))
    return slices


def _by_stars(ratings: NDArray[np.int64] | None) -> list[Slice]:
    if ratings is None:
        return []
    names = {0: "unknown", 1: "1 star"}
    return [Slice("stars", names.get(star, f"{star} stars"), ratings == star) for star in np.unique(ratings).tolist()]


def _share(texts: Split, marked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of the words of each text that is `marked`, (all words,); 0 for a text without words."""
    ends, total = np.cumsum(texts.lengths), np.concatenate([[0], np.cumsum(marked)])
    share: NDArray[np.float64] = (total[ends] - total[ends - texts.lengths]) / np.maximum(texts.lengths - 1, 1)
    return share
