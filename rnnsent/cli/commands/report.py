"""`rnnsent report`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnsent.cli.options import PAGE, RunPath, moved_option, opened, opened_all, split_option, write_file
from rnnsent.config.sections import data_settings

if TYPE_CHECKING:
    from rnnsent.reporting.examples import Examples
    from rnnsent.reporting.facts import EvaluatedRun
    from rnnsent.runs.directory import Run

logger = logging.getLogger(__name__)

MARKDOWN = (".md",)


@click.command(name="report")
@click.argument("paths", nargs=-1, type=RunPath(), metavar="[RUN]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Output file.  [default: report.html or model_card.md in RUN, report.html here for several]",
)
@split_option
@moved_option
@click.option("--card", is_flag=True, help="Write a model card (Markdown) instead of a page.")
def command(paths: tuple[Path, ...], output: Path | None, split: str, data: str | None, card: bool) -> None:
    """Write an HTML page about RUN, or a comparison of several runs.

    One file without scripts or external resources: metrics with 95 %
    intervals beside the baseline, confusion matrix, ROC, calibration,
    coverage, error analysis, attributions, training curves, config and
    environment. Runs that were not evaluated on the split yet are evaluated
    now. A folder of rnnsent train --seeds stands for the runs of all seeds.
    [default: the latest run]
    """
    from rnnsent.runs import directory

    runs = opened_all(paths) if paths else [opened(None)]
    if card:
        if len(runs) > 1:
            raise click.UsageError("--card describes one run; name only one")
        from rnnsent.reporting.model_card import model_card

        target = output or runs[0].file(directory.MODEL_CARD)
        write_file(target, model_card(runs[0]), MARKDOWN)
    else:
        target = output or (runs[0].file(directory.REPORT) if len(runs) == 1 else Path(directory.REPORT))
        write_file(target, _page(runs, split, None if data is None else data_settings(data)), PAGE)
    click.echo(target)


def _page(runs: list[Run], split: str, data: Mapping[str, str | None] | None) -> str:
    from rnnsent.reporting.facts import gather, names_of

    facts = [gather(run, split, name, data) for run, name in zip(runs, names_of(runs), strict=True)]
    if len(runs) == 1:
        from rnnsent.reporting.run_page import run_page

        return run_page(facts[0], _examples(facts[0], data))
    from rnnsent.evaluation.compare import compare_runs
    from rnnsent.reporting.comparison_page import comparison_page

    return comparison_page(facts, compare_runs(runs, split, data=data))


def _examples(facts: EvaluatedRun, data: Mapping[str, str | None] | None) -> Examples:
    """Return the texts of a run; without a user's word on where they are, a page does without them."""
    from rnnsent.errors import DataError, RunError
    from rnnsent.reporting.examples import Examples, read_examples

    try:
        return read_examples(facts, data)
    except (DataError, RunError) as error:
        if data is not None:
            raise
        logger.warning("no texts on the page: %s", error)
        return Examples([], [], unavailable=f"The texts are not available: {error}")
