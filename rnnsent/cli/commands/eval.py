"""`rnnsent eval`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli.metric_tables import (
    confusion_table,
    coverage_table,
    label_table,
    metric_table,
    paragraph,
    slice_table,
    text_lines,
)
from rnnsent.cli.options import (
    as_label_map,
    backend_option,
    be_quiet,
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

if TYPE_CHECKING:
    from rnnsent.evaluation.error_analysis import PredictionError
    from rnnsent.evaluation.evaluate import Options, Result
    from rnnsent.runs.directory import Run
    from rnnsent.runs.schemas import BaselineEvaluation, Evaluation, Metrics

LABELS_ONLY = (
    "From predicted labels alone: ROC AUC, PR AUC, log loss, Brier score, calibration, coverage and error analysis "
    "need probabilities (--probability-column)."
)


@click.command(name="eval")
@run_argument
@split_option
@moved_option
@backend_option
@device_option
@click.option("--baseline", is_flag=True, help="Evaluate the n-gram baseline, too, unless that was done.")
@click.option(
    "--worst", type=click.IntRange(0), default=3, show_default=True, help="Number of most confident errors to show."
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Evaluate a table of labels and predictions of any program.",
)
@click.option("--label-column", metavar="NAME", help="--predictions: real label. [default: label, target, …]")
@click.option("--probability-column", metavar="NAME", help="--predictions: probability. [default: probability, …]")
@click.option("--predicted-column", metavar="NAME", help="--predictions: predicted label, without probabilities.")
@click.option("--positive", metavar="LABEL", help="--predictions: label of the probability. [default: the last]")
@click.option(
    "--label-map",
    metavar="MAP",
    callback=as_label_map,
    help="--predictions: rename labels, as '1-2: negative, 4-5: positive'.",
)
@click.option("--quiet", is_flag=True, help="Show only results and warnings.")
@json_option
def command(
    run: Path | None,
    split: str,
    data: str | None,
    backend: str,
    device: str,
    baseline: bool,
    worst: int,
    predictions: Path | None,
    quiet: bool,
    as_json: bool,
    **table: Any,
) -> None:
    """Evaluate a finished RUN. [default: the latest run]

    Every metric but the calibration error has a 95 % interval. The result is
    written to RUN/evaluations. Select models on validation; evaluate on test
    once. For a folder of rnnsent train --seeds, evaluate each run and show
    the mean and the standard deviation.

    `--predictions FILE` evaluates a CSV, TSV, JSON Lines or Parquet table of
    real labels and probabilities instead. With more than two labels, each
    needs a column `probability of LABEL`, or one named as the label. With
    RUN, it also counts the texts in the table that RUN was trained on.
    """
    from rnnsent.evaluation.evaluate import Options
    from rnnsent.runs.registry import runs_of

    if quiet:
        be_quiet()
    source = None if data is None else data_settings(data)
    if predictions is not None:
        if baseline:
            raise click.UsageError("--baseline needs the texts of a run; it cannot be combined with --predictions")
        _evaluate_table(predictions, table, worst, as_json)
        if run is not None:
            _warn_of_training_texts(predictions, opened(run), source)
        return
    given = next((name for name, value in table.items() if value is not None), None)
    if given is not None:
        raise click.UsageError(f"--{given.replace('_', '-')} needs --predictions")
    options = Options(source, backend, device)
    several = [] if run is None else runs_of(run)
    if several and several != [run]:
        _evaluate_seeds([opened(path) for path in several], split, options, baseline, as_json)
        return
    result, linear = _evaluate(opened(run, quiet=quiet), split, options, baseline)
    errors = result.errors[:worst]
    if as_json:
        baseline_metrics = None if linear is None else asdict(linear)["metrics"]
        values = {"run": str(result.run), "split": split, **_values(result.record, errors)}
        click.echo(json.dumps(values | {"seconds": result.record.seconds, "baseline": baseline_metrics}))
    else:
        show("\n".join(_run_lines(result, linear, errors)))
    result.write()


def _evaluate(run: Run, split: str, options: Options, baseline: bool) -> tuple[Result, BaselineEvaluation | None]:
    from rnnsent.evaluation.baseline import evaluate_baseline
    from rnnsent.evaluation.evaluate import evaluate
    from rnnsent.evaluation.run_data import load_run_data
    from rnnsent.runs.schemas import BaselineEvaluation

    result = evaluate(run, split, options)
    linear = run.evaluation(split, BaselineEvaluation, "baseline")
    if baseline and linear is None:
        linear = evaluate_baseline(load_run_data(run, options.source), split)
        run.write_evaluation("baseline", linear)
    return result, linear


def _evaluate_seeds(runs: Sequence[Run], split: str, options: Options, baseline: bool, as_json: bool) -> None:
    """Evaluate the runs of a training with several seeds, and show their mean and standard deviation."""
    from rnnsent.training import seeds

    for run in runs:
        say(f"run: {run}")
        _evaluate(run, split, options, baseline)[0].write()
    if as_json:
        click.echo(json.dumps(seeds.to_values(runs, [split])))
    else:
        show("\n".join([*seeds.table(runs, split), *(f"  {run.path.name}: {run}" for run in runs)]))


def _evaluate_table(path: Path, options: dict[str, Any], worst: int, as_json: bool) -> None:
    from rnnsent.evaluation.error_analysis import most_confident_errors
    from rnnsent.evaluation.evaluate import evaluation_record
    from rnnsent.evaluation.external_predictions import read_predictions
    from rnnsent.evaluation.run_data import make_origin

    table = read_predictions(path, **options)
    names, labels_only = table.label_names, table.labels_only
    origin = make_origin("", "", "", len(table.predictions))
    record = evaluation_record(origin, table.predictions, names, labels_only=labels_only)
    errors = [] if labels_only else most_confident_errors(table.predictions, names, table.place)[:worst]
    if as_json:
        click.echo(json.dumps({"predictions": str(path), **_values(record, errors)}))
        return
    of = "precision and recall are those" if labels_only else "the probability is that"
    title = f"{path}: {record.texts:,} predictions" + (f"; {of} of {names[1]}" if len(names) == 2 else "")
    show("\n".join([title, *_lines(record, errors, {}), *(paragraph(LABELS_ONLY) if labels_only else [])]))


def _warn_of_training_texts(path: Path, run: Run, source: dict[str, str | None] | None) -> None:
    """Say how many of the texts in a table a run was trained on."""
    from rnnsent.evaluation.external_predictions import read_texts
    from rnnsent.evaluation.run_data import count_training_texts, load_run_data

    texts = read_texts(path)
    if texts is None:
        say(f"{path}: has no column of texts (predict --keep), so it is unknown if {run} was trained on them")
        return
    known = count_training_texts(load_run_data(run, source), texts)
    prefix = "WARNING: " if known else ""
    say(f"{prefix}{run} was trained on {known:,} of the {len(texts):,} texts in {path}")


def _values(record: Evaluation, errors: Sequence[PredictionError]) -> dict[str, Any]:
    """Return an evaluation as plain values for JSON."""
    values = asdict(record)
    shown = {key: values[key] for key in ("metrics", "labels", "confusion", "slices", "coverage")}
    return {"n": record.texts, **shown, "errors": [asdict(error) for error in errors]}


def _run_lines(result: Result, linear: BaselineEvaluation | None, errors: Sequence[PredictionError]) -> list[str]:
    from rnnsent.runs.run_facts import source_name

    record, seconds = result.record, result.record.seconds
    title = f"{result.run}: {record.split}, {record.texts:,} texts of {source_name(result.run.metrics.data)}"
    lines = _lines(record, errors, {} if linear is None else linear.metrics)
    return [title, *lines, "", f"  {seconds:.1f} s, {record.texts / max(seconds, 1e-9):,.0f} texts/s"]


def _lines(record: Evaluation, errors: Sequence[PredictionError], baseline: Metrics) -> list[str]:
    """Return an evaluation as tables, and the most confident errors."""
    from rnnsent.evaluation.intervals import small_sample_warning

    warning = small_sample_warning(record.texts)
    lines = ["", *metric_table(record.metrics, baseline, "baseline")]
    lines += [] if warning is None else paragraph(warning)
    lines += label_table(record.labels) + confusion_table(list(record.labels), record.confusion)
    lines += slice_table(record.slices) + coverage_table(record.coverage)
    lines += ["", "  most confident errors"] if errors else []
    for error in errors:
        place = f" ({error.place})" if error.place else ""
        prediction = f"{error.label}, predicted {error.predicted} at {error.probability:.4f}"
        lines += text_lines(f"text {error.index}{place}: {prediction}", error.text)
    return lines
