"""The model card of a run: Markdown with the YAML head of Hugging Face's hub. It holds no words of the texts.

Source: Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rnnsent.data.vocabulary import Vocabulary
from rnnsent.evaluation.metrics import METRICS
from rnnsent.reporting.facts import RunFacts
from rnnsent.reporting.pages import render
from rnnsent.runs.directory import VOCABULARY, Run
from rnnsent.runs.schemas import BaselineEvaluation, Evaluation, Metrics, RobustnessEvaluation, SliceAccuracy

SENTIMENTS = frozenset(("negative", "neutral", "positive", "neg", "neu", "pos", "mixed"))


@dataclass(frozen=True)
class SplitResults:
    """What is known of a run on a split."""

    metrics: Metrics
    evaluation: Evaluation | None
    baseline: BaselineEvaluation | None
    robustness: RobustnessEvaluation | None

    @property
    def hub_metrics(self) -> dict[str, float]:
        """The metrics that the hub knows, by its names."""
        return {
            METRICS[name].hub: round(estimate.value, 4)
            for name, estimate in self.metrics.items()
            if name in METRICS and METRICS[name].hub and estimate.value is not None
        }

    @property
    def weakest(self) -> SliceAccuracy | None:
        """The slice with the lowest accuracy, by the upper end of its interval: not one that is merely small."""
        slices = self.evaluation.slices if self.evaluation else []
        return min(slices, key=lambda row: row.accuracy.high or 0.0, default=None)


@dataclass(frozen=True)
class ModelCard:
    """What model_card.md.j2 shows: results by split, if it was evaluated on it, and the number of words it knows."""

    facts: RunFacts
    results: Mapping[str, SplitResults]
    words: int

    @property
    def source(self) -> str:
        """Where the texts are from: "imdb" (as ids), "aclimdb" (as texts), "sample" or "own"."""
        data = self.facts.data
        return data.source if data.source != "texts" else "aclimdb" if data.format == "aclimdb" else "own"

    @property
    def data_set(self) -> str:
        """The name of the data set."""
        names = {"sample": "sample reviews of rnnsent", "own": self.facts.file_name}
        return names.get(self.source, "IMDB reviews")

    @property
    def sentiment(self) -> bool:
        """Whether the labels are sentiments."""
        return SENTIMENTS.issuperset(name.lower() for name in self.facts.label_names)

    @property
    def cells(self) -> list[str]:
        """The recurrent cells of its networks."""
        return sorted({layer.cell for member in self.facts.config.members for layer in member.model.recurrent})


def model_card(run: Run) -> str:
    """Return the model card of a finished run, with the evaluations that it has.

    Raises:
        RunError: if it is unfinished or one of its files was changed.
    """
    run.verify()
    results = {}
    for split in ("validation", "test"):
        evaluation = run.evaluation(split, Evaluation)
        metrics = run.metrics.validation if split == "validation" else evaluation and evaluation.metrics
        if metrics:
            baseline = run.evaluation(split, BaselineEvaluation, "baseline")
            robustness = run.evaluation(split, RobustnessEvaluation, "robustness")
            results[split] = SplitResults(metrics, evaluation, baseline, robustness)
    facts = RunFacts(run, run.path.resolve().name)
    words = len(Vocabulary.load(run.file(VOCABULARY)).words)
    return render("model_card.md.j2", card=ModelCard(facts, results, words))
