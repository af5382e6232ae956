"""`rnnsent robustness`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from rnnsent.cli import options
from rnnsent.cli.options import Command, Source, opened, show
from rnnsent.cli.terminal import say
from rnnsent.reporting.tables import slice_table


@click.command(name="robustness", cls=Command)
@options.run
@options.split
@options.data
@options.backend
@options.device
@options.as_json
def command(
    run: Path | None, split: str, source: Source | None, backend: str, device: str | None, as_json: bool
) -> None:
    """Evaluate RUN on typos, lengths and a challenge set.

    Show the accuracy on the texts of the split by length and with typos. With
    the labels negative and positive, also show it on a challenge set of
    negations, contrasts, and reviews of other things than films. The result
    is written to RUN/evaluations. [default: the latest run]
    """
    from rnnsent.config.sections import LABELS
    from rnnsent.evaluation import robustness
    from rnnsent.evaluation.run_data import load_run_data
    from rnnsent.inference import classifier

    finished = opened(run)
    loaded = load_run_data(finished, source)
    model = classifier.load(finished, backend=backend, device=device or "auto", calibrated=split == "test")
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
