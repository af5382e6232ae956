"""The page of one run, with attributions of its most confident errors and of typical predictions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import nan, sqrt

import numpy as np
from markupsafe import Markup

from rnnsent.data.tokenizer import START, UNKNOWN
from rnnsent.errors import count
from rnnsent.evaluation.baseline import read_baseline
from rnnsent.evaluation.run_data import Source, load_run_data
from rnnsent.inference import classifier
from rnnsent.inference.classifier import Encoded
from rnnsent.inference.prediction_columns import NONE
from rnnsent.inference.trace import Trace, percent, trace
from rnnsent.reporting import charts
from rnnsent.reporting.facts import EvaluationFacts
from rnnsent.reporting.pages import render, signed
from rnnsent.reporting.trace_views import OPACITY, ShadedWord, probability_chart, shaded_words
from rnnsent.runs.schemas import Estimate, Evaluation

MAX_ERRORS, MAX_ERRORS_SLOW = 10, 3  # on the kernel, and on the slower backends
MAX_WORDS = 400  # of an example: the work grows with the square
MAX_TYPICAL = 3  # labels with a typical prediction
CHARTED = 3  # errors with a chart
NAMED = 5  # words that are named below a text
MIN_CONTRIBUTION = 0.005  # less is zero in two decimals


@dataclass(frozen=True)
class Example:
    """A text with the attribution of its prediction; the chart, if any, is of the probability after each word."""

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


def run_page(facts: EvaluationFacts, examples: Examples) -> str:
    """Return the page of a run as HTML."""
    advantage, stored = None, read_baseline(facts.run, facts.split)
    if stored is not None:
        advantage = stored.compared(facts.predictions).difference
    elif facts.baseline is not None:
        advantage = difference(facts.accuracy, facts.baseline.metrics["accuracy"])
    return render(
        "run.html.j2",
        facts=facts,
        examples=examples,
        advantage=advantage,
        predicted_names=predicted_names(facts.evaluation),
        training=charts.training_curves([facts]),
        operating=charts.operating_curves([facts]),
        thresholds=charts.threshold_curves(facts),
        reliability=charts.reliability([facts]),
        coverage=charts.coverage_curve([facts]),
        slices=charts.slices([facts]),
        robustness=charts.robustness(facts),
        opacity=OPACITY,
        max_words=MAX_WORDS,
    )


def evaluation_page(evaluation: Evaluation) -> str:
    """Return the metrics of an evaluation as HTML."""
    return render("evaluation.html.j2", evaluation=evaluation, predicted_names=predicted_names(evaluation))


def predicted_names(evaluation: Evaluation) -> list[str]:
    """Return the heads of the columns of a confusion matrix."""
    return [f"predicted: {name}" for name in evaluation.labels]


def difference(one: Estimate, other: Estimate) -> Estimate:
    """Return a proportion minus another, with an interval made of both intervals.

    The two are taken as independent. Two classifiers on the same texts mostly err on the same ones, and the true
    interval is narrower; it needs the predictions of both. Source: R. Newcombe, "Interval estimation for the difference
    between independent proportions", Statistics in Medicine 17, 1998, method 10.
    """
    ends = (one.value, one.low, one.high, other.value, other.low, other.high)
    value, low, high, value_2, low_2, high_2 = (nan if end is None else end for end in ends)
    change = value - value_2
    margin = sqrt((value - low) ** 2 + (high_2 - value_2) ** 2)
    return Estimate(change, change - margin, change + sqrt((high - value) ** 2 + (value_2 - low_2) ** 2))


def read_examples(facts: EvaluationFacts, source: Source | None) -> Examples:
    """Return the most confident errors of a run, and for some labels a correct prediction of median confidence.

    Raises:
        RunError: if the run has no words.
        DataError: if its texts are not available any more.
    """
    model, data = classifier.load(facts.run, calibrated=facts.split == "test"), load_run_data(facts.run, source)
    texts, cut = data.texts(facts.split), data.cut(facts.split)
    short = (cut.lengths > 1) & (cut.lengths <= MAX_WORDS + 1)

    def encode(index: int) -> Encoded:
        ids, spelled = cut.sequence(index), replace(cut, limit=None).sequence(index)
        known = tuple((ids[ids != START] != UNKNOWN).tolist())
        others = (cut.words or ())[len(model.vocabulary.words) :]
        truncated = len(texts.spelled(index)) - len(known)
        return Encoded(ids, tuple(cut.spelled(index)), known, truncated, spelled=spelled, others=others)

    cells = list(facts.predictions.cells(facts.config.data))

    def example(index: int, kind: str, chart: str) -> Example:
        example_trace = trace(model, encode(index), label=_wrong_label(facts, index))
        place = data.place(facts.split, index)
        (label, predicted), probability = cells[index], percent(float(facts.predictions.confidence[index]))
        location = f" ({place})" if place else ""
        return Example(
            f"{kind}. Text {index}{location}: {label or NONE}, predicted {predicted or NONE} with {probability}",
            _description(example_trace),
            shaded_words(example_trace),
            probability_chart(example_trace, chart) if chart else Markup(),
        )

    errors = np.flatnonzero(~facts.predictions.right & short)
    limit = MAX_ERRORS if model.predictor.backend == "native" else MAX_ERRORS_SLOW
    indices = errors[np.argsort(-facts.predictions.confidence[errors], kind="stable")][:limit]
    return Examples(
        [example(index, "Error", f"error-{n}" if n < CHARTED else "") for n, index in enumerate(indices.tolist())],
        [example(index, title, f"typical-{n}") for n, (title, index) in enumerate(_typical(facts, short))],
    )


def _wrong_label(facts: EvaluationFacts, index: int) -> str | None:
    """Return the most probable of several labels that is wrong for a text; None if none is, or texts have one."""
    predictions = facts.predictions
    if predictions.labels.ndim == 1 or predictions.right[index]:
        return None
    wrong = predictions.labels[index] != predictions.predicted[index]
    return facts.label_names[int(np.where(wrong, predictions.probabilities[index], -1.0).argmax())]


def _typical(facts: EvaluationFacts, short: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Iterator[tuple[str, int]]:
    """Yield a correct prediction of median confidence of some labels, and the least confident prediction."""
    predictions = facts.predictions
    for label, name in list(enumerate(facts.label_names))[:MAX_TYPICAL]:
        places = np.flatnonzero(short & predictions.right & predictions.members(label))
        if len(places):
            indices = places[np.argsort(predictions.confidence[places], kind="stable")]
            yield f"Correct, of median confidence: {name}", int(indices[len(indices) // 2])
    if short.any():
        yield "Least confident", int(np.flatnonzero(short)[np.argmin(predictions.confidence[short])])


def _description(traced: Trace) -> str:
    cut = f", {traced.truncated:,} cut off" if traced.truncated else ""
    strongest = [(word.word, value) for _, word, value in traced.strongest(1) if value > MIN_CONTRIBUTION][:NAMED]
    words = ", ".join(f"“{word}” {signed(value)}" for word, value in strongest)
    note = f" Strongest for {traced.label}, in logits: {words}." if words else ""
    return f"{count(len(traced.words), 'word')} read{cut}. {traced.summary[0].upper()}{traced.summary[1:]}.{note}"
