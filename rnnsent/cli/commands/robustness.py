"""`rnnsent robustness`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli.options import (
    backend_option,
    device_option,
    json_option,
    moved_option,
    opened,
    run_argument,
    split_option,
    tell_stale,
)
from rnnsent.cli.terminal import say
from rnnsent.data.naming import data_settings

if TYPE_CHECKING:
    from rnnsent.evaluation.robustness import Row


@click.command(name="robustness")
@run_argument
@split_option
@moved_option
@backend_option
@device_option
@json_option
def command(run: Path | None, split: str, data: str | None, backend: str, device: str, as_json: bool) -> None:
    """Show what RUN loses on texts that are not as in training.

    Its reviews by length and with typing errors put in; and, of a run that
    tells negative from positive, sentences with negations and contrasts, and
    texts that are not about films, which rnnsent brings along. Points are
    those of accuracy beside all reviews. The result is written into the run.
    """
    import json

    from rnnsent.config import LABELS
    from rnnsent.evaluation import evaluate as judgment
    from rnnsent.evaluation import robustness
    from rnnsent.evaluation.run_data import own_reviews
    from rnnsent.inference import classifier

    found = opened(run)
    moved = None if data is None else data_settings(data)
    config, _, dataset = own_reviews(found, moved, say)
    reviews = judgment.whole_reviews(str(found), dataset, config, split)
    network = classifier.load(found, backend=backend, device=device)
    say(f"backend: {network.predictor}")
    rows = robustness.measure(network, reviews)
    if not any(row.group == robustness.WRITTEN for row in rows):
        names = " and ".join(LABELS)
        say(f"negations, contrasts, other domains: left out, they are for the labels {names}")

    def add(recorded: dict[str, Any]) -> None:
        before = recorded.get("robustness") or {}
        recorded["robustness"] = before | {split: [row.to_dict() for row in rows]}

    unsaved = judgment.store(found, config, add, tell=say)
    if as_json:
        click.echo(json.dumps({"run": str(found), "split": split, "rows": [row.to_dict() for row in rows]}))
    else:
        click.echo(report(f"{found}: {split}", rows))
    tell_stale(found)
    if unsaved is not None:
        raise unsaved


def report(title: str, rows: list[Row]) -> str:
    """Return the rows as a table of at most 80 columns; the difference is from the first, in points."""
    lines = [title, "", f"  {'':<30} {'texts':>7} {'accuracy':>9}   95 % interval  {'points':>6}"]
    group = rows[0].group
    for row in rows:
        if row.group != group:
            group = row.group
            lines += ["", f"  {group}"]
        points = "" if row is rows[0] else f"{100 * (row.accuracy - rows[0].accuracy):+7.2f}"
        name = row.name if row is rows[0] else f"  {row.name}"
        lines.append(
            f"  {name:<30} {row.texts:>7,} {row.accuracy:9.2%}   {row.low:.3f} … {row.high:.3f} {points}".rstrip()
        )
    return "\n".join(lines)
