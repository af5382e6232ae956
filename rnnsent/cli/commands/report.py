"""`rnnsent report`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnsent.cli import options
from rnnsent.cli.options import PAGE, PATH, Command, Source, opened, opened_all, require_named, write_file

if TYPE_CHECKING:
    from rnnsent.reporting.facts import EvaluationFacts
    from rnnsent.reporting.run_page import Examples
    from rnnsent.runs.directory import Run

logger = logging.getLogger(__name__)

MARKDOWN = (".md",)


@click.command(name="report", cls=Command)
@options.runs
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Output file.  [default: RUN/report.html]")
@options.split
@options.data
@click.option("--card", is_flag=True, help="Write a model card, RUN/model_card.md.")
def command(paths: tuple[Path, ...], output: Path | None, split: str, source: Source | None, card: bool) -> None:
    """Write an HTML page about RUN, or a comparison of several runs.

    One file without scripts or external resources: metrics with 95 %
    intervals beside the baseline, confusion matrix, ROC, calibration,
    coverage, error analysis, attribution, training curves, config and
    environment. Runs that were not evaluated on the split yet are evaluated
    now. A folder of rnnsent train --seeds stands for the runs of all seeds.
    The page of several runs is written to report.html in the current folder.
    [default: the latest run]
    """
    from rnnsent.runs import directory

    require_named(output, MARKDOWN if card else PAGE)
    runs = opened_all(paths) if paths else [opened(None)]
    if card:
        if len(runs) > 1:
            raise click.UsageError("--card describes one run; name only one")
        from rnnsent.reporting.model_card import model_card

        target = output or runs[0].file(directory.MODEL_CARD)
        write_file(target, model_card(runs[0]), MARKDOWN)
    else:
        target = output or (runs[0].file(directory.REPORT) if len(runs) == 1 else Path(directory.REPORT))
        write_file(target, _page(runs, split, source), PAGE)
    click.echo(target)


def _page(runs: list[Run], split: str, source: Source | None) -> str:
    from rnnsent.evaluation.evaluate import evaluation_of
    from rnnsent.reporting.facts import EvaluationFacts, names_of

    evaluated = [evaluation_of(run, split, source) for run in runs]
    facts = [
        EvaluationFacts(each.run, name, each.record, each.predictions)
        for each, name in zip(evaluated, names_of(runs), strict=True)
    ]
    if len(runs) == 1:
        from rnnsent.reporting.run_page import run_page

        return run_page(facts[0], _examples(facts[0], source))
    from rnnsent.evaluation.compare import compare_runs
    from rnnsent.reporting.comparison_page import comparison_page

    return comparison_page(facts, compare_runs(evaluated, source))


def _examples(facts: EvaluationFacts, source: Source | None) -> Examples:
    """Return the texts of a run; a page does without them if they are missing and --data is not given."""
    from rnnsent.errors import DataError, RunError
    from rnnsent.reporting.run_page import Examples, read_examples

    try:
        return read_examples(facts, source)
    except (DataError, RunError) as error:
        if source is not None:
            raise
        logger.warning("no texts on the page: %s", error)
        return Examples([], [], unavailable=f"The texts are not available: {error}")
