"""Texts of a run with attributions: its most confident errors, and typical predictions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from rnnsent.data.tokenizer import START, UNKNOWN
from rnnsent.errors import count
from rnnsent.evaluation.run_data import RunData, Source, load_run_data
from rnnsent.inference import classifier
from rnnsent.inference.classifier import Classifier, Encoded
from rnnsent.inference.trace import Trace, trace
from rnnsent.reporting.facts import EvaluatedRun
from rnnsent.reporting.number_format import probability, signed
from rnnsent.reporting.trace_views import ShadedWord, probability_chart, shaded_words

MAX_ERRORS = 10
CHARTED = 3  # errors with a chart
MAX_WORDS = 600  # of an example: the work grows with the square
MAX_TYPICAL = 3  # labels with a typical prediction
# Of all errors of one network: seconds on the kernel, and as many on the slower reference.
MAX_TOKENS = {"native": 6_000_000, "numpy": 300_000, "keras": 1_000_000}
NAMED = 5  # words that are named below a text
MIN_CONTRIBUTION = 0.005  # less is zero in two decimals


@dataclass(frozen=True)
class Example:
    """A text with the attribution of its prediction.

    Attributes:
        title, description: which text, and how it was read.
        words: shaded by their contributions.
        chart: of the probability after each word; empty without.
    """

    title: str
    description: str
    words: list[ShadedWord]
    chart: Markup


@dataclass(frozen=True)
class Examples:
    """The examples of a page; `unavailable` says why there are none."""

    errors: list[Example]
    typical: list[Example]
    unavailable: str = ""


def read_examples(facts: EvaluatedRun, source: Source | None) -> Examples:
    """Return the most confident errors of a run, and for some labels a correct prediction of median confidence.

    Args:
        facts: of the run.
        source: where its texts are, if they are no longer where the config says.

    Raises:
        RunError: if the run has no words.
        DataError: if its texts are not available any more.
    """
    texts = _Texts(load_run_data(facts.run, source), facts.split, classifier.load(facts.run))
    errors = [
        _example(facts, texts, index, "Error", f"error-{number}" if number <= CHARTED else "")
        for number, index in enumerate(_errors(facts, texts), start=1)
    ]
    typical = [
        _example(facts, texts, index, title, f"typical-{number}")
        for number, (title, index) in enumerate(_typical(facts, texts), start=1)
    ]
    return Examples(errors, typical)


class _Texts:
    """The texts of a split as a model reads them, with their words."""

    def __init__(self, data: RunData, split: str, model: Classifier) -> None:
        self._data, self._split, self.model = data, split, model
        self._whole, self._cut = data.texts(split), data.cut(split)
        self._from_end = data.config.truncating == "pre"
        self.short = (self._cut.lengths > 1) & (self._cut.lengths <= MAX_WORDS + 1)
        self.lengths = self._cut.lengths

    def place(self, index: int) -> str:
        """Return where a text is in its file, such as " (reviews.csv, line 7)"; empty if unknown."""
        place = self._data.place(self._split, index)
        return f" ({place})" if place else ""

    def __getitem__(self, index: int) -> Encoded:
        ids, whole = self._cut.sequence(index), self._whole.sequence(index)
        same = whole[len(whole) - len(ids) :] if self._from_end else whole[: len(ids)]
        words = np.flatnonzero(same != START)
        return Encoded(
            ids,
            tuple(self._data.dataset.vocabulary.word(int(same[place])) for place in words),
            tuple((ids[words] != UNKNOWN).tolist()),
            truncated=int((whole != START).sum()) - len(words),
        )


def _errors(facts: EvaluatedRun, texts: _Texts) -> Iterator[int]:
    """Yield the most confident errors, as many as are explained in seconds, at least one."""
    left = MAX_TOKENS.get(texts.model.predictor.backend, min(MAX_TOKENS.values())) // len(facts.config.members)
    wrong = np.flatnonzero(~facts.predictions.right & texts.short)
    ordered = wrong[np.argsort(-facts.predictions.confidence[wrong], kind="stable")][:MAX_ERRORS]
    for number, index in enumerate(ordered.tolist()):
        left -= int(texts.lengths[index]) ** 2 * 3 // 2  # with one word less, and up to each word
        if number and left < 0:
            return
        yield index


def _typical(facts: EvaluatedRun, texts: _Texts) -> Iterator[tuple[str, int]]:
    """Yield a correct prediction of median confidence of some labels, and the least confident prediction."""
    confidence = facts.predictions.confidence
    for label, name in list(enumerate(facts.label_names))[:MAX_TYPICAL]:
        places = np.flatnonzero(texts.short & facts.predictions.right & (facts.predictions.labels == label))
        if len(places):
            ordered = places[np.argsort(confidence[places], kind="stable")]
            yield f"Correct, of median confidence: {name}", int(ordered[len(ordered) // 2])
    if texts.short.any():
        yield "Least confident", int(np.flatnonzero(texts.short)[np.argmin(confidence[texts.short])])


def _example(facts: EvaluatedRun, texts: _Texts, index: int, kind: str, chart: str) -> Example:
    found = trace(texts.model, texts[index])
    label, likely = facts.label_names[facts.predictions.labels[index]], probability(found.probability)
    return Example(
        f"{kind}. Text {index}{texts.place(index)}: {label}, predicted {found.label} with {likely}",
        _description(found),
        shaded_words(found),
        probability_chart(found, chart) if chart else Markup(),
    )


def _description(found: Trace) -> str:
    cut = f", {found.truncated:,} cut off" if found.truncated else ""
    strongest = [f"“{word.word}” {signed(value)}" for _, word, value in found.strongest(1) if value > MIN_CONTRIBUTION][
        :NAMED
    ]
    named = f" Strongest for {found.label}, in logits: {', '.join(strongest)}." if strongest else ""
    return f"{count(len(found.words), 'word')} read{cut}. {found.summary[0].upper()}{found.summary[1:]}.{named}"
