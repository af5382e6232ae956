"""`rnnsent baseline`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnsent.commands.options import json_option, moved_option, opened, run_argument, split_option
from rnnsent.data.naming import data_settings

if TYPE_CHECKING:
    from rnnsent.judgment import JudgedBaseline


@click.command(name="baseline")
@run_argument
@split_option
@moved_option
@json_option
def command(run: Path | None, split: str, data: str | None, as_json: bool) -> None:
    """Judge what a skeptic would use instead of RUN: n-grams, no network.

    Logistic regression on 1-, 2- and 3-grams weighted by naive Bayes, fitted
    on the very reviews that the run was trained on. Its accuracy is written
    into the run, and `rnnsent eval` shows it from then on. Needs
    scikit-learn: pip install 'rnnsent[baseline]'.
    """
    import json

    from rnnsent import judgment

    found = opened(run)
    moved = None if data is None else data_settings(data)
    judged = judgment.judge_baseline(found, split, data=moved, tell=partial(click.echo, err=True))
    if as_json:
        click.echo(json.dumps({"run": str(found), "split": split, "n": judged.n, "metrics": judged.metrics}))
    else:
        click.echo(report(judged))
    if judged.unsaved is not None:
        raise judged.unsaved


def report(judged: JudgedBaseline) -> str:
    """Return baseline and network side by side, in at most 80 columns."""
    lines = [f"{judged.run}: {judged.split}, {judged.n:,} reviews", ""]
    lines.append(f"  {'':<10} {'n-grams':>8}   95 % interval         network")
    for name, estimate in judged.metrics.items():
        if estimate["value"] is None:
            lines.append(f"  {name:<10} {'-':>8}   not defined for these predictions")
            continue
        network = (judged.network or {}).get(name, {}).get("value")
        shown = "" if network is None else f"      {network:8.4f}"
        lines.append(f"  {name:<10} {estimate['value']:8.4f}   {estimate['low']:.4f} … {estimate['high']:.4f}{shown}")
    lines += ["", f"  {judged.columns:,} n-grams, C {judged.strength:g}, {judged.seconds:.1f} s"]
    if judged.network is None:
        lines.append(
            f"  the network was not judged on this split yet: rnnsent eval {judged.run} --split {judged.split}"
        )
    return "\n".join(lines)
