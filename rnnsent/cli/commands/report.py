"""`rnnsent report`."""

from __future__ import annotations

from pathlib import Path

import click

from rnnsent.cli import options
from rnnsent.cli.options import PAGE, PATH, Command, Source, opened, opened_all, require_named, write_file

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
        from rnnsent.reporting.report import report

        target = output or (runs[0].file(directory.REPORT) if len(runs) == 1 else Path(directory.REPORT))
        write_file(target, report(runs, split, source).page, PAGE)
    click.echo(target)
