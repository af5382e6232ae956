"""The page of one run, with attributions of its most confident errors and of typical predictions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from markupsafe import Markup

from rnnsent.data.vocabulary import START, UNKNOWN
from rnnsent.errors import count
from rnnsent.evaluation.run_data import Source, load_run_data
from rnnsent.inference import classifier
from rnnsent.inference.classifier import Encoded
from rnnsent.inference.trace import Trace, trace
from rnnsent.reporting import charts
from rnnsent.reporting.charts import Chart
from rnnsent.reporting.facts import EvaluationFacts
from rnnsent.reporting.pages import probability, render, signed
from rnnsent.reporting.trace_views import OPACITY, ShadedWord, probability_chart, shaded_words
from rnnsent.runs.schemas import Estimate

MAX_ERRORS, MAX_ERRORS_SLOW = 10, 3  # on the kernel, and on the slower backends
MAX_WORDS = 400  # of an example: the work grows with the square
MAX_TYPICAL = 3  # labels with a typical prediction
CHARTED = 3  # errors with a chart
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


@dataclass(frozen=True)
class RunPage:
    """What run.html.j2 shows."""

    facts: EvaluationFacts
    examples: Examples
    training: list[Chart]
    operating: list[Chart]
    reliability: Chart
    coverage: Chart
    slices: Chart
    robustness: Chart | None
    opacity: float = OPACITY
    max_words: int = MAX_WORDS

    @property
    def advantage(self) -> Estimate:
        """By how much the network is more accurate than the baseline."""
        assert self.facts.baseline is not None
        return difference(self.facts.accuracy, self.facts.baseline.metrics["accuracy"])

    @property
    def predicted_names(self) -> list[str]:
        """The heads of the confusion matrix."""
        return [f"predicted: {name}" for name in self.facts.label_names]

    @property
    def confusion(self) -> tuple[int, str, str]:
        """The most frequent error: how many texts, their label, their predicted label."""
        names, counts = self.facts.label_names, self.facts.evaluation.confusion
        errors = [(n, real, at) for real, row in enumerate(counts) for at, n in enumerate(row) if real != at]
        texts, real, predicted = max(errors)
        return texts, names[real], names[predicted]


def run_page(facts: EvaluationFacts, examples: Examples) -> str:
    """Return the page of a run as HTML."""
    page = RunPage(
        facts,
        examples,
        training=charts.training_curves([facts]),
        operating=charts.operating_curves([facts]),
        reliability=charts.reliability([facts]),
        coverage=charts.coverage_curve([facts]),
        slices=charts.slices([facts]),
        robustness=charts.robustness(facts),
    )
    return render("run.html.j2", page=page)


def difference(one: Estimate, other: Estimate) -> Estimate:
    """Return a proportion minus another, with an interval made of both intervals.

    The two are taken as independent. Two classifiers on the same texts mostly err on the same ones, and the true
    interval is narrower; it needs the predictions of both. Source: R. Newcombe, "Interval estimation for the difference
    between independent proportions", Statistics in Medicine 17, 1998, method 10.
    """
    ends = (one.value, one.low, one.high, other.value, other.low, other.high)
    value, low, high, value_2, low_2, high_2 = (nan if end is None else end for end in ends)
    apart = value - value_2
    down = sqrt((value - low) ** 2 + (high_2 - value_2) ** 2)
    return Estimate(apart, apart - down, apart + sqrt((high - value) ** 2 + (value_2 - low_2) ** 2))


def read_examples(facts: EvaluationFacts, source: Source | None) -> Examples:
    """Return the most confident errors of a run, and for some labels a correct prediction of median confidence.

    Args:
        facts: of the run.
        source: where its texts are, if they are no longer where the config says.

    Raises:
        RunError: if the run has no words.
        DataError: if its texts are not available any more.
    """
    model, data = classifier.load(facts.run), load_run_data(facts.run, source)
    whole, cut, vocabulary = data.texts(facts.split), data.cut(facts.split), data.dataset.vocabulary
    short = (cut.lengths > 1) & (cut.lengths <= MAX_WORDS + 1)

    def encode(index: int) -> Encoded:
        ids, full = cut.sequence(index), whole.sequence(index)
        same = full[len(full) - len(ids) :] if data.config.truncating == "pre" else full[: len(ids)]
        words = np.flatnonzero(same != START)
        names = tuple(vocabulary.word(int(same[place])) for place in words)
        known = tuple((ids[words] != UNKNOWN).tolist())
        return Encoded(ids, names, known, truncated=int((full != START).sum()) - len(words))

    def example(index: int, kind: str, chart: str) -> Example:
        traced, place = trace(model, encode(index)), data.place(facts.split, index)
        label, likely = facts.label_names[facts.predictions.labels[index]], probability(traced.probability)
        at = f" ({place})" if place else ""
        return Example(
            f"{kind}. Text {index}{at}: {label}, predicted {traced.label} with {likely}",
            _description(traced),
            shaded_words(traced),
            probability_chart(traced, chart) if chart else Markup(),
        )

    wrong = np.flatnonzero(~facts.predictions.right & short)
    most = MAX_ERRORS if model.predictor.backend == "native" else MAX_ERRORS_SLOW
    ordered = wrong[np.argsort(-facts.predictions.confidence[wrong], kind="stable")][:most]
    return Examples(
        [example(index, "Error", f"error-{n}" if n < CHARTED else "") for n, index in enumerate(ordered.tolist())],
        [example(index, title, f"typical-{n}") for n, (title, index) in enumerate(_typical(facts, short))],
    )


def _typical(facts: EvaluationFacts, short: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Iterator[tuple[str, int]]:
    """Yield a correct prediction of median confidence of some labels, and the least confident prediction."""
    predictions = facts.predictions
    for label, name in list(enumerate(facts.label_names))[:MAX_TYPICAL]:
        places = np.flatnonzero(short & predictions.right & (predictions.labels == label))
        if len(places):
            ordered = places[np.argsort(predictions.confidence[places], kind="stable")]
            yield f"Correct, of median confidence: {name}", int(ordered[len(ordered) // 2])
    if short.any():
        yield "Least confident", int(np.flatnonzero(short)[np.argmin(predictions.confidence[short])])


def _description(traced: Trace) -> str:
    cut = f", {traced.truncated:,} cut off" if traced.truncated else ""
    strongest = [(word.word, value) for _, word, value in traced.strongest(1) if value > MIN_CONTRIBUTION][:NAMED]
    words = ", ".join(f"“{word}” {signed(value)}" for word, value in strongest)
    named = f" Strongest for {traced.label}, in logits: {words}." if words else ""
    return f"{count(len(traced.words), 'word')} read{cut}. {traced.summary[0].upper()}{traced.summary[1:]}.{named}"
