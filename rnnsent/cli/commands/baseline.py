"""`rnnsent baseline`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli.metric_tables import metric_table
from rnnsent.cli.options import (
    json_option,
    opened,
    overrides,
    run_argument,
    set_option,
    show,
    split_option,
    text_settings,
    texts_options,
)
from rnnsent.config.sections import data_settings

if TYPE_CHECKING:
    from rnnsent.runs.schemas import BaselineEvaluation, Metrics


@click.command(name="baseline")
@run_argument
@split_option
@click.option("--data", metavar="SOURCE", help="Where the texts of RUN are now; with --config, the texts to use.")
@click.option("--config", "name", metavar="NAME", help="Use the texts of a config, without a run.")
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
    """Evaluate an n-gram logistic regression on the texts of RUN.

    It weighs 1-, 2- and 3-grams by naive Bayes and is fitted on the training
    texts of RUN. The result is written to RUN/evaluations, and `rnnsent eval`
    and `rnnsent report` show it. Needs scikit-learn:
    pip install 'rnnsent[baseline]'.

    `--config lstm --data reviews.csv` needs no run.
    """
    from rnnsent.config.loader import load_config
    from rnnsent.evaluation.baseline import evaluate_baseline
    from rnnsent.evaluation.run_data import load_config_data, load_run_data
    from rnnsent.runs.schemas import Evaluation

    text_options = text_settings(texts)
    if name is not None:
        if run is not None:
            raise click.UsageError("--config needs no RUN; name one of them")
        loaded = load_config_data(load_config(name, overrides(settings, data) | text_options).data)
        record = evaluate_baseline(loaded, split)
        _show(record, None, loaded.name, {}, as_json)
        return
    if settings or text_options:
        option = "--set" if settings else f"--{next(iter(text_options)).removeprefix('data.').replace('_', '-')}"
        raise click.UsageError(f"{option} needs --config: the settings of a finished run cannot change")
    finished = opened(run)
    record = evaluate_baseline(load_run_data(finished, None if data is None else data_settings(data)), split)
    evaluation = finished.evaluation(split, Evaluation)
    _show(record, str(finished), str(finished), {} if evaluation is None else evaluation.metrics, as_json)
    if evaluation is None and not as_json:
        click.echo(f"  evaluate the network, too: rnnsent eval {finished.address} --split {split}")
    finished.write_evaluation("baseline", record)


def _show(record: BaselineEvaluation, run: str | None, name: str, network: Metrics, as_json: bool) -> None:
    """Print the baseline, beside the metrics of the network if it was evaluated."""
    if as_json:
        values = asdict(record)
        click.echo(json.dumps({"run": run, "split": record.split, "n": record.texts, "metrics": values["metrics"]}))
        return
    lines = [f"{name}: {record.split}, {record.texts:,} texts", "", *metric_table(record.metrics, network, "network")]
    show("\n".join([*lines, "", f"  {record.ngrams:,} n-grams, C {record.strength:g}, {record.seconds:.1f} s"]))
