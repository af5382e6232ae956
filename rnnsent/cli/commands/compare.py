"""`rnnsent compare`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnsent.cli import options
from rnnsent.cli.options import PATH, Command, Source, opened_all, show
from rnnsent.reporting.comparison_tables import comparison_lines

if TYPE_CHECKING:
    from rnnsent.evaluation.compare import RunComparison


@click.command(name="compare", cls=Command)
@click.argument("paths", type=PATH, nargs=-1, required=True, metavar="RUN RUN...")
@options.split
@options.data
@click.option("--flips", type=click.IntRange(0), default=3, metavar="N", help="Show N flipped texts.  [default: 3]")
@options.as_json
def command(paths: tuple[Path, ...], split: str, source: Source | None, flips: int, as_json: bool) -> None:
    """Test if runs differ on the same texts.

    Compare all runs with the first: metrics with 95 % intervals of their
    differences (paired bootstrap), McNemar's exact test, slices, texts that
    one run alone has right, differences of the configs, and costs. Evaluate
    runs that were not evaluated yet. A folder of rnnsent train --seeds stands
    for the runs of all its seeds.
    """
    from rnnsent.evaluation.compare import compare_runs
    from rnnsent.evaluation.evaluate import evaluation_of

    runs = opened_all(paths)
    if len(runs) < 2:
        raise click.UsageError(f"compare needs two runs: {len(runs)} given; name one more")
    result = compare_runs([evaluation_of(run, split, source) for run in runs], source)
    if as_json:
        click.echo(json.dumps(to_values(result)))
    else:
        show("\n".join(comparison_lines(result, flips)))


def to_values(result: RunComparison) -> dict[str, object]:
    """Return the comparison as plain values for JSON."""
    first, *others = result.runs
    pairs = zip(others, result.comparisons, result.differences, strict=True)
    return {
        "split": first.record.split,
        "n": len(first.predictions),
        "runs": [
            {"run": str(each.run), "costs": costs, "interrupted": each.run.metrics.interrupted}
            for each, costs in zip(result.runs, result.costs, strict=True)
        ],
        "comparisons": [
            {
                **asdict(comparison),
                "first": str(first.run),
                "other": str(other.run),
                "significant": comparison.significant,
                "metrics": {
                    name: {"first": one, "other": two, "difference": asdict(comparison.differences[name])}
                    for name, (one, two) in comparison.values.items()
                },
                "differences": differences,
            }
            for other, comparison, differences in pairs
        ],
    }
