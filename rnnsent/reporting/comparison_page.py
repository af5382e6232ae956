"""The page of several runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnnsent.evaluation.compare import RunComparison
from rnnsent.evaluation.significance import Comparison, SliceDifference
from rnnsent.reporting import charts
from rnnsent.reporting.charts import Chart
from rnnsent.reporting.facts import EvaluatedRun
from rnnsent.reporting.pages import render
from rnnsent.runs.schemas import BaselineEvaluation

METRICS = ("accuracy", "roc_auc", "log_loss", "brier", "ece")
DIFFERING = ("f1", "roc_auc", "log_loss", "brier")  # whose differences are shown besides that of accuracy
MAX_FLIPS = 5
MAX_CHARACTERS = 300  # of the end of a text


@dataclass(frozen=True)
class FlippedText:
    """A text that one of two runs has right: the probabilities of its real label, and which run is right."""

    text: str
    first: float
    other: float
    better: str
    words: str


@dataclass(frozen=True)
class ComparisonPage:
    """What comparison.html.j2 shows.

    Attributes:
        runs: in order.
        pairs: every run but the first, with its comparison with the first.
        flips: for the same runs, the texts on which they differ most.
        differences: {key of config or environment: value of each run}.
    """

    runs: Sequence[EvaluatedRun]
    pairs: list[tuple[EvaluatedRun, Comparison]]
    flips: list[tuple[EvaluatedRun, list[FlippedText]]]
    differences: Mapping[str, list[str]]
    training: list[Chart]
    operating: list[Chart]
    reliability: Chart
    coverage: Chart
    slices: Chart
    metrics: tuple[str, ...] = METRICS
    differing: tuple[str, ...] = DIFFERING

    @property
    def names(self) -> list[str]:
        """The names of the runs."""
        return [facts.name for facts in self.runs]

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before any figure."""
        runs: dict[str, list[str]] = {}
        for facts in self.runs:
            for warning in facts.warnings:
                runs.setdefault(warning, []).append(facts.name)
        shared = len(self.runs)
        return [text if len(names) == shared else f"{', '.join(names)}: {text}" for text, names in runs.items()]

    @property
    def best(self) -> EvaluatedRun:
        """The run with the highest accuracy."""
        return max(self.runs, key=lambda facts: facts.accuracy.value or 0.0)

    @property
    def baselines(self) -> list[tuple[str, BaselineEvaluation]]:
        """The baselines, each with the run whose training texts it was fitted on; without a name if all are alike."""
        baselines = [(facts.name, facts.baseline) for facts in self.runs if facts.baseline]
        alike = all(baseline.metrics == baselines[0][1].metrics for _, baseline in baselines)
        return [("", baselines[0][1])] if baselines and alike else baselines

    @property
    def moved(self) -> list[tuple[EvaluatedRun, SliceDifference]]:
        """The slices on which a run differs significantly from the first."""
        return [(facts, each) for facts, comparison in self.pairs for each in comparison.slices if each.significant]


def comparison_page(runs: Sequence[EvaluatedRun], compared: RunComparison) -> str:
    """Return the page of several runs as HTML.

    Args:
        runs: evaluated on the same texts.
        compared: all of them compared with the first.
    """
    pairs = list(zip(runs[1:], compared.comparisons, strict=True))
    page = ComparisonPage(
        runs,
        pairs,
        [(facts, _flips(comparison, compared, runs[0].name, facts.name)) for facts, comparison in pairs],
        _differences(compared.differences),
        training=charts.training_curves(runs),
        operating=charts.operating_curves(runs),
        reliability=charts.reliability(runs),
        coverage=charts.coverage_curve(runs),
        slices=charts.slices(runs),
    )
    return render("comparison.html.j2", page=page)


def _flips(comparison: Comparison, compared: RunComparison, first: str, other: str) -> list[FlippedText]:
    flips = []
    for flip in comparison.flips[:MAX_FLIPS]:
        words = compared.texts.get(flip.index, "")
        shown = words if len(words) <= MAX_CHARACTERS else f"… {words[-MAX_CHARACTERS:]}"
        place = f"{flip.index} {compared.places.get(flip.index, '')}".strip()
        flips.append(FlippedText(place, flip.first, flip.other, other if flip.better else first, shown))
    return flips


def _differences(differences: Sequence[Mapping[str, tuple[object, object]]]) -> dict[str, list[str]]:
    """Return the keys in which runs differ, with the value of each run as JSON.

    Args:
        differences: of each run but the first, {key: (value of the first run, value of this run)}.
    """
    first = {key: pair[0] for pairs in differences for key, pair in pairs.items()}
    values = {key: [one, *(pairs.get(key, (one, one))[1] for pairs in differences)] for key, one in first.items()}
    return {key: [json.dumps(value, ensure_ascii=False) for value in row] for key, row in values.items()}
