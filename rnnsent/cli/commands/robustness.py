"""`rnnsent robustness`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnsent.cli.options import (
    backend_option,
    device_option,
    json_option,
    moved_option,
    opened,
    run_argument,
    show,
    split_option,
)
from rnnsent.cli.terminal import say
from rnnsent.data.sources import data_settings

if TYPE_CHECKING:
    from rnnsent.runs.schemas import RobustnessEvaluation


@click.command(name="robustness")
@run_argument
@split_option
@moved_option
@backend_option
@device_option
@json_option
def command(run: Path | None, split: str, data: str | None, backend: str, device: str, as_json: bool) -> None:
    """Evaluate RUN on texts unlike those that it was trained on.

    Show the accuracy on its texts by length and with typos. For the labels
    negative and positive, also on a challenge set of negations, contrasts,
    and reviews of other things than films. The result is written to
    RUN/evaluations.
    """
    from rnnsent.config import LABELS
    from rnnsent.evaluation import robustness
    from rnnsent.evaluation.run_data import load_run_data
    from rnnsent.inference import classifier

    finished = opened(run)
    loaded = load_run_data(finished, None if data is None else data_settings(data))
    model = classifier.load(finished, backend=backend, device=device)
    say(f"backend: {model.predictor}")
    record = robustness.evaluate_robustness(loaded, split, model)
    if not any(row.group == robustness.CHALLENGES for row in record.rows):
        say(f"challenge set: left out, it has the labels {' and '.join(LABELS)}")
    if as_json:
        values = {"run": str(finished), "split": split, "n": record.texts, "rows": asdict(record)["rows"]}
        click.echo(json.dumps(values))
    else:
        show(report(f"{finished}: {split}", record))
    finished.write_evaluation("robustness", record)


def report(title: str, record: RobustnessEvaluation) -> str:
    """Return the accuracies as a table of at most 80 columns; points are differences from all texts."""
    lines = [title, "", f"  {'':<30} {'texts':>7} {'accuracy':>9}   95 % interval  {'points':>6}"]
    whole = record.rows[0]
    group = whole.group
    for row in record.rows:
        if row.group != group:
            group = row.group
            lines += ["", f"  {group}"]
        accuracy = row.accuracy
        points = "" if row is whole else f"{100 * ((accuracy.value or 0) - (whole.accuracy.value or 0)):+7.2f}"
        name = row.name if row is whole else f"  {row.name}"
        ends = f"{accuracy.low:.3f} … {accuracy.high:.3f}"
        lines.append(f"  {name:<30} {row.texts:>7,} {accuracy.value:9.2%}   {ends} {points}".rstrip())
    return "\n".join(lines)
