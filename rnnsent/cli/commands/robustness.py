"""`rnnsent robustness`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from rnnsent.cli.metric_tables import slice_table
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
from rnnsent.config.sections import data_settings


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
    from rnnsent.config.sections import LABELS
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
        show("\n".join([f"{finished}: {split}", *slice_table(record.rows)]))
    finished.write_evaluation("robustness", record)
