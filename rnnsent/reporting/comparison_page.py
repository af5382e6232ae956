"""The page of several runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnnsent.evaluation.compare import Comparison, RunComparison, SliceDifference
from rnnsent.evaluation.metrics import MAIN
from rnnsent.reporting import charts
from rnnsent.reporting.charts import Chart
from rnnsent.reporting.facts import EvaluationFacts
from rnnsent.reporting.pages import render
from rnnsent.runs.schemas import BaselineEvaluation

MAX_FLIPS = 5
MAX_CHARACTERS = 300  # of the end of a text


@dataclass(frozen=True)
class ComparisonPage:
    """What comparison.html.j2 shows."""

    runs: Sequence[EvaluationFacts]
    compared: RunComparison
    training: list[Chart]
    operating: list[Chart]
    reliability: Chart
    coverage: Chart
    slices: Chart
    metrics: tuple[str, ...] = MAIN

    @property
    def differing(self) -> list[str]:
        """The metrics whose differences are shown besides that of accuracy."""
        return [name for name in self.metrics if name in self.compared.comparisons[0].values and name != "accuracy"]

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
        total = len(self.runs)
        return [text if len(names) == total else f"{', '.join(names)}: {text}" for text, names in runs.items()]

    @property
    def best(self) -> EvaluationFacts:
        """The run with the highest accuracy."""
        return max(self.runs, key=lambda facts: facts.accuracy.value or 0.0)

    @property
    def baselines(self) -> list[tuple[str, BaselineEvaluation]]:
        """The baselines, each with the run whose training texts it was fitted on; without a name if all are alike."""
        baselines = [(facts.name, facts.baseline) for facts in self.runs if facts.baseline]
        alike = all(baseline.metrics == baselines[0][1].metrics for _, baseline in baselines)
        return [("", baselines[0][1])] if baselines and alike else baselines

    @property
    def pairs(self) -> list[tuple[EvaluationFacts, Comparison]]:
        """Every run but the first, with its comparison with the first."""
        return list(zip(self.runs[1:], self.compared.comparisons, strict=True))

    @property
    def moved(self) -> list[tuple[EvaluationFacts, SliceDifference]]:
        """The slices on which a run differs significantly from the first."""
        return [(facts, part) for facts, comparison in self.pairs for part in comparison.slices if part.significant]

    def flips(self, comparison: Comparison, name: str) -> list[list[str | float]]:
        """Return the texts on which a run called `name` differs most from the first.

        Each has its place, both probabilities of its real label, the run that is right, and its words.
        """
        rows: list[list[str | float]] = []
        for flip in comparison.flips[:MAX_FLIPS]:
            words = self.compared.texts[flip.index]
            excerpt = words if len(words) <= MAX_CHARACTERS else f"… {words[-MAX_CHARACTERS:]}"
            place = f"{flip.index} {self.compared.places[flip.index]}".strip()
            rows.append([place, flip.first, flip.other, name if flip.better else self.runs[0].name, excerpt])
        return rows

    @property
    def differences(self) -> Mapping[str, list[str]]:
        """The keys of config and environment in which runs differ, with the value of each run as JSON."""
        first = {key: pair[0] for pairs in self.compared.differences for key, pair in pairs.items()}
        return {
            key: [
                json.dumps(value, ensure_ascii=False)
                for value in (one, *(pairs.get(key, (one, one))[1] for pairs in self.compared.differences))
            ]
            for key, one in first.items()
        }


def comparison_page(runs: Sequence[EvaluationFacts], compared: RunComparison) -> str:
    """Return the page of several runs, `compared` with the first, as HTML."""
    page = ComparisonPage(
        runs,
        compared,
        training=charts.training_curves(runs),
        operating=charts.operating_curves(runs),
        reliability=charts.reliability(runs),
        coverage=charts.coverage_curve(runs),
        slices=charts.slices(runs),
    )
    return render("comparison.html.j2", page=page)
