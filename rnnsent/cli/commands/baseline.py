"""`rnnsent baseline`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli.options import (
    json_option,
    opened,
    overrides,
    run_argument,
    set_option,
    split_option,
    tell_stale,
    text_settings,
    texts_options,
)
from rnnsent.data.naming import data_settings
from rnnsent.messages import say

if TYPE_CHECKING:
    from rnnsent.evaluation.evaluate import JudgedBaseline


@click.command(name="baseline")
@run_argument
@split_option
@click.option("--data", metavar="SOURCE", help="Where the run's reviews are now; with --config, which reviews.")
@click.option("--config", "name", metavar="NAME", help="Of the reviews of a config instead, without a run.")
@set_option
@texts_options
@json_option
def command(
    run: Path | None,
    split: str,
    data: str | None,
    name: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    **texts: Any,
) -> None:
    """Judge what a skeptic would use instead of RUN: n-grams, no network.

    Logistic regression on 1-, 2- and 3-grams weighted by naive Bayes, fitted
    on the very reviews that the run was trained on. Its accuracy is written
    into the run, and `rnnsent eval` shows it from then on. Needs
    scikit-learn: pip install 'rnnsent[baseline]'.

    `--config lstm --data reviews.csv` needs no run.
    """
    import json

    from rnnsent.config.loader import load_config
    from rnnsent.evaluation import evaluate as judgment

    how = text_settings(texts)
    if name is not None:
        if run is not None:
            raise click.UsageError("give a RUN or --config, not both")
        judged = judgment.judge_baseline_of(load_config(name, overrides(settings, data) | how), split, tell=say)
    else:
        if settings or how:
            option = "--set" if settings else next(iter(how)).replace("data.", "--").replace("_", "-")
            raise click.UsageError(f"{option} only works with --config: the settings of a finished run cannot change")
        moved = None if data is None else data_settings(data)
        if data is not None and run is None:
            say(f"the latest run, with --data {data} as its own reviews; without any run: --config NAME --data {data}")
        found = opened(run)
        judged = judgment.judge_baseline(found, split, data=moved, tell=say)
        tell_stale(found)
    if as_json:
        facts = {"run": judged.name if name is None else None, "split": split, "n": judged.n}
        click.echo(json.dumps({**facts, "metrics": judged.metrics}))
    else:
        click.echo(report(judged))
        if name is None and judged.network is None:
            click.echo(f"  the network was not judged on it yet: rnnsent eval {judged.name} --split {split}")
    if judged.unsaved is not None:
        raise judged.unsaved


def report(judged: JudgedBaseline) -> str:
    """Return baseline and network side by side, in at most 80 columns."""
    lines = [f"{judged.name}: {judged.split}, {judged.n:,} reviews", ""]
    lines.append(f"  {'':<17} {'n-grams':>8}   95 % interval" + ("" if judged.network is None else "         network"))
    for name, estimate in judged.metrics.items():
        if estimate["value"] is None:
            lines.append(f"  {name:<17} {'-':>8}   not defined for these predictions")
            continue
        network = (judged.network or {}).get(name, {}).get("value")
        shown = "" if network is None else f"      {network:8.4f}"
        lines.append(f"  {name:<17} {estimate['value']:8.4f}   {estimate['low']:.4f} … {estimate['high']:.4f}{shown}")
    lines += ["", f"  {judged.columns:,} n-grams, C {judged.strength:g}, {judged.seconds:.1f} s"]
    return "\n".join(lines)
