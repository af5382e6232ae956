"""The page of one run."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from rnnsent.reporting import charts
from rnnsent.reporting.charts import Chart
from rnnsent.reporting.examples import MAX_WORDS, Examples
from rnnsent.reporting.facts import EvaluatedRun
from rnnsent.reporting.pages import render
from rnnsent.reporting.trace_views import OPACITY
from rnnsent.runs.schemas import Estimate


@dataclass(frozen=True)
class Confusion:
    """Texts of one label that are predicted as another."""

    label: str
    predicted: str
    texts: int


@dataclass(frozen=True)
class RunPage:
    """What run.html.j2 shows.

    Attributes:
        facts: of the run.
        examples: texts with attributions.
    """

    facts: EvaluatedRun
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
    def confusion(self) -> Confusion | None:
        """The most frequent error; None if there is no error."""
        names, counts = self.facts.label_names, self.facts.evaluation.confusion
        errors = [(n, real, at) for real, row in enumerate(counts) for at, n in enumerate(row) if real != at]
        texts, real, predicted = max(errors)
        return Confusion(names[real], names[predicted], texts) if texts else None


def run_page(facts: EvaluatedRun, examples: Examples) -> str:
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
    value, low, high, value_2, low_2, high_2 = (end if end is not None else float("nan") for end in ends)
    apart = value - value_2
    down = sqrt((value - low) ** 2 + (high_2 - value_2) ** 2)
    return Estimate(apart, apart - down, apart + sqrt((high - value) ** 2 + (value_2 - low_2) ** 2))
