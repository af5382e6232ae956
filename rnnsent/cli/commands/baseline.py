"""`rnnsent baseline`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli import options
from rnnsent.cli.options import Command, opened, overrides, show, source_of
from rnnsent.reporting.tables import metric_table

if TYPE_CHECKING:
    from rnnsent.runs.schemas import BaselineEvaluation, Metrics


@click.command(name="baseline", cls=Command)
@options.run
@options.split
@click.option("--data", multiple=True, metavar="SOURCE", help="Location of the data.  [as in training or the config]")
@click.option("--config", "name", metavar="NAME", help="Use the data of a config instead of RUN.")
@options.settings
@options.table
@options.as_json
def command(
    run: Path | None, split: str, data: tuple[str, ...], name: str | None, as_json: bool, **settings: Any
) -> None:
    """Evaluate an n-gram logistic regression on the same data.

    Weigh 1-, 2- and 3-grams by naive Bayes and fit the regression on the
    training texts of RUN. The result is written to RUN/evaluations, and
    `rnnsent eval` and `rnnsent report` show it. Needs scikit-learn:
    pip install 'rnnsent[baseline]'.

    `--config lstm --data reviews.csv` needs no run.
    """
    from rnnsent.config.loader import load_config
    from rnnsent.evaluation.baseline import evaluate_baseline
    from rnnsent.evaluation.run_data import load_config_data, load_run_data, log_warnings
    from rnnsent.runs.schemas import Evaluation

    if name is not None:
        if run is not None:
            raise click.UsageError("RUN and --config both name the data; use one of them")
        loaded = load_config_data(load_config(name, overrides(data=data, **settings)).data)
        log_warnings(loaded, split)
        record = evaluate_baseline(loaded, split).record
        _show(record, None, loaded.name, {}, as_json)
        return
    given = next((key for key, value in settings.items() if value not in (None, ())), None)
    if given is not None:
        option = "--" + {"settings": "set"}.get(given, given).replace("_", "-")
        raise click.UsageError(f"{option} only works with --config: the settings of a finished run cannot change")
    finished = opened(run)
    loaded = load_run_data(finished, source_of(data))
    log_warnings(loaded, split)
    result = evaluate_baseline(loaded, split)
    evaluation = finished.evaluation(split, Evaluation)
    _show(result.record, str(finished), str(finished), {} if evaluation is None else evaluation.metrics, as_json)
    if evaluation is None and not as_json:
        click.echo(f"  evaluate the network, too: rnnsent eval {finished.address} --split {split}")
    result.write(finished)


def _show(record: BaselineEvaluation, run: str | None, name: str, network: Metrics, as_json: bool) -> None:
    """Print the baseline, beside the metrics of the network if it was evaluated."""
    if as_json:
        values = asdict(record)
        click.echo(json.dumps({"run": run, "split": record.split, "n": record.texts, "metrics": values["metrics"]}))
        return
    lines = [f"{name}: {record.split}, {record.texts:,} texts", "", *metric_table(record.metrics, network, "network")]
    show("\n".join([*lines, "", f"  {record.ngrams:,} n-grams, C {record.strength:g}, {record.seconds:.1f} s"]))
