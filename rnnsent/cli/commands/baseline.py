"""`rnnsent baseline`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli import options
from rnnsent.cli.commands.train import result_line
from rnnsent.cli.options import PATH, Command, opened, overrides, show, source_of
from rnnsent.cli.terminal import say
from rnnsent.reporting.tables import metric_table

if TYPE_CHECKING:
    from rnnsent.runs.schemas import BaselineEvaluation, Metrics

LINEAR = "linear"  # the config


@click.command(name="baseline", cls=Command)
@options.run
@options.split
@click.option("--data", multiple=True, metavar="SOURCE", help="Location of the data.  [as in training or the config]")
@click.option("--config", "name", metavar="NAME", help="Use the data of a config instead of RUN.")
@click.option("--run-dir", type=PATH, metavar="DIR", help="Train it as a run of its own, for predict and trace.")
@options.settings
@options.table
@options.as_json
def command(
    run: Path | None,
    split: str,
    data: tuple[str, ...],
    name: str | None,
    run_dir: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Evaluate an n-gram logistic regression on the same data.

    Weigh 1-, 2- and 3-grams by naive Bayes and fit the regression on the
    training texts of RUN. The result is written to RUN/evaluations, and
    `rnnsent eval` and `rnnsent report` show it. Needs scikit-learn:
    pip install 'rnnsent[baseline]'.

    `--config lstm --data reviews.csv` needs no run. `--run-dir DIR` trains a
    run without a network on the same data, as the config `linear` does: for
    those who want just that.
    """
    if run_dir is not None:
        _train(run, name, run_dir, overrides(data=data, **settings))
        return
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


def _train(run: Path | None, name: str | None, run_dir: Path, changes: Mapping[str, object]) -> None:
    """Train the linear part alone on the data of a run or a config."""
    from rnnsent.config.loader import load_config
    from rnnsent.training.experiment import Request, train

    base = load_config(LINEAR, changes if run is None and name is None else {})
    if run is not None or name is not None:
        other = opened(run).config if name is None else load_config(name, changes)
        share = other.data.validation_split or base.data.validation_split  # 0 under cross-validation
        data = replace(other.data, num_words=None, maxlen=None, validation_split=share)
        base = replace(base, data=data)
    trained = train(base, Request(LINEAR), run_dir=run_dir)
    show(result_line(trained))
    say(f"evaluate it: rnnsent eval {trained.address}")


def _show(record: BaselineEvaluation, run: str | None, name: str, network: Metrics, as_json: bool) -> None:
    """Print the baseline, beside the metrics of the network if it was evaluated."""
    if as_json:
        values = asdict(record)
        click.echo(json.dumps({"run": run, "split": record.split, "n": record.texts, "metrics": values["metrics"]}))
        return
    lines = [f"{name}: {record.split}, {record.texts:,} texts", "", *metric_table(record.metrics, network, "network")]
    show("\n".join([*lines, "", f"  {record.ngrams:,} n-grams, C {record.strength:g}, {record.seconds:.1f} s"]))
