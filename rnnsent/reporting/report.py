"""The page of one run or of several, from their evaluations."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rnnsent.display import DisplayMixin
from rnnsent.errors import DataError, RunError
from rnnsent.evaluation.compare import compare_runs
from rnnsent.evaluation.evaluate import evaluation_of
from rnnsent.evaluation.predictions import EvaluatedRun
from rnnsent.evaluation.run_data import Source
from rnnsent.files import disk_errors, write_atomic
from rnnsent.reporting.comparison_page import comparison_page
from rnnsent.reporting.facts import EvaluationFacts, names_of
from rnnsent.reporting.run_page import Examples, read_examples, run_page
from rnnsent.runs.directory import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report(DisplayMixin):
    """An HTML page without scripts or external resources."""

    title: str
    page: str = field(repr=False)

    def write(self, path: str | Path) -> None:
        """Write the page to a file, all or nothing.

        Raises:
            RunError: if it cannot be written.
        """
        with disk_errors(Path(path)):
            write_atomic(Path(path), self.page)


def report(runs: Sequence[Run], split: str = "test", source: Source | None = None) -> Report:
    """Return the page of a run, or the comparison of several; runs that were not evaluated yet are evaluated.

    Args:
        runs: finished ones.
        split: "test" or "validation".
        source: where the texts are, if they are no longer where the config says.

    Raises:
        RunError: if a run is unfinished or was changed.
        DataError: if the texts are not available; the page of one evaluated run does without them, unless `source` is
            given.
    """
    evaluated = [evaluation_of(run, split, source) for run in runs]
    facts = evaluation_facts(evaluated)
    title = ", ".join(each.name for each in facts)
    if len(facts) == 1:
        return Report(title, run_page(facts[0], _examples(facts[0], source)))
    return Report(title, comparison_page(facts, compare_runs(evaluated, source)))


def evaluation_facts(evaluated: Sequence[EvaluatedRun]) -> list[EvaluationFacts]:
    """Return what the page of evaluated runs says of them."""
    names = names_of([each.run for each in evaluated])
    pairs = zip(evaluated, names, strict=True)
    return [EvaluationFacts(each.run, name, each.record, each.predictions) for each, name in pairs]


def _examples(facts: EvaluationFacts, source: Source | None) -> Examples:
    """Return the texts of a run; a page does without them if they are missing and `source` is not given."""
    try:
        return read_examples(facts, source)
    except (DataError, RunError) as error:
        if source is not None:
            raise
        logger.warning("no texts on the page: %s", error)
        return Examples([], [], unavailable=f"The texts are not available: {error}")
