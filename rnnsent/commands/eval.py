"""`rnnsent eval`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnsent.commands.options import (
    backend_option,
    device_option,
    json_option,
    moved_option,
    opened,
    run_argument,
    split_option,
)
from rnnsent.data.naming import data_settings

if TYPE_CHECKING:
    from rnnsent.judgment import Judged


@click.command(name="eval")
@run_argument
@split_option
@moved_option
@backend_option
@device_option
@click.option("--baseline", is_flag=True, help="Judge n-grams beside it, as rnnsent baseline does, if not done yet.")
@json_option
def command(
    run: Path | None, split: str, data: str | None, backend: str, device: str, baseline: bool, as_json: bool
) -> None:
    """Judge a finished RUN; without RUN, the latest one.

    Every figure has a 95 % interval. The result is written into the run.
    Choose models by validation, and look at test once.
    """
    import json

    from rnnsent import judgment

    found = opened(run)
    tell = partial(click.echo, err=True)
    moved = None if data is None else data_settings(data)
    judged = judgment.judge(found, split, data=moved, backend=backend, device=device, tell=tell)
    if baseline and judged.baseline is None and judged.unsaved is None:
        linear = judgment.judge_baseline(found, split, data=moved, tell=tell)
        judged = replace(judged, baseline=linear.metrics, unsaved=linear.unsaved)
    if as_json:
        beside = {"baseline": judged.baseline} if baseline else {}
        facts = {"run": str(found), "split": judged.split, "n": judged.n, "metrics": judged.metrics}
        click.echo(json.dumps(facts | beside))
    else:
        click.echo(report(judged))
    if judged.unsaved is not None:
        raise judged.unsaved


def report(judged: Judged) -> str:
    """Return the judgment as a table of at most 80 columns."""
    lines = [f"{judged.run}: {judged.split}, {judged.n:,} reviews of {judged.source}", ""]
    beside = judged.baseline or {}
    lines.append(f"  {'':<10} {'value':>8}   95 % interval" + ("        n-grams" if beside else ""))
    for name, estimate in judged.metrics.items():
        if estimate["value"] is None:
            lines.append(f"  {name:<10} {'-':>8}   not defined for these predictions")
            continue
        low, high = estimate["low"], estimate["high"]
        other = beside.get(name, {}).get("value")
        shown = "" if other is None else f"      {other:8.4f}"
        lines.append(f"  {name:<10} {estimate['value']:8.4f}   {low:.4f} … {high:.4f}{shown}")
    width = max(len(name) for name in judged.label_names)
    lines += ["", f"  {'':<{width}}  " + "  ".join(f"predicted {name}" for name in judged.label_names)]
    for name, row in zip(judged.label_names, judged.confusion, strict=True):
        cells = (
            f"{count:>{len(f'predicted {column}')},}" for column, count in zip(judged.label_names, row, strict=True)
        )
        lines.append(f"  {name:<{width}}  " + "  ".join(cells))
    rate = judged.n / max(judged.seconds, 1e-9)
    lines += ["", f"  {judged.seconds:.1f} s, {rate:,.0f} reviews/s"]
    return "\n".join(lines)
