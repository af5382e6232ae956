"""`rnnsent eval`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli import options
from rnnsent.cli.options import PATH, Source, opened, show
from rnnsent.cli.terminal import say
from rnnsent.reporting.tables import evaluation_lines, paragraph

if TYPE_CHECKING:
    from rnnsent.data.inputs import ReadOptions
    from rnnsent.evaluation.evaluate import Options, PredictionError, Result
    from rnnsent.runs.directory import Run
    from rnnsent.runs.schemas import BaselineEvaluation, Evaluation

COUNT = click.IntRange(0)
LABELS_ONLY = (
    "From predicted labels alone: ROC AUC, PR AUC, log loss, Brier score, calibration, coverage and error analysis "
    "need probabilities (--probability-column)."
)


@click.command(name="eval")
@options.run
@options.split
@options.data
@options.backend
@options.device
@click.option("--baseline", is_flag=True, help="Evaluate the n-gram baseline, too.")
@click.option("--worst", type=COUNT, default=3, metavar="N", help="Show the N most confident errors.  [default: 3]")
@click.option("--predictions", type=PATH, metavar="FILE", help="Evaluate a table of predictions.")
@click.option("--label-column", metavar="NAME", help="Column of the label in FILE.  [default: label, target, …]")
@click.option("--probability-column", metavar="NAME", help="Column of the probability.  [default: probability, …]")
@click.option("--predicted-column", metavar="NAME", help="Column of the predicted label, without probabilities.")
@click.option("--positive", metavar="LABEL", help="Label that the probability is of.  [default: the last]")
@options.label_map
@options.reading
@options.quiet
@options.as_json
def command(
    run: Path | None,
    split: str,
    source: Source | None,
    backend: str,
    device: str | None,
    baseline: bool,
    worst: int,
    predictions: Path | None,
    quiet: bool,
    as_json: bool,
    **table: Any,
) -> None:
    """Evaluate a finished RUN. [default: the latest run]

    Every metric except the calibration error has a 95 % interval. The result
    is written to RUN/evaluations. Select models on validation; evaluate on
    test once. For a folder of rnnsent train --seeds, evaluate each run and
    show the mean and the standard deviation.

    `--predictions FILE` evaluates a CSV, TSV, JSON Lines or Parquet table of
    real labels and probabilities instead. With more than two labels, each
    needs a column `probability of LABEL`, or one named as the label. With
    RUN, count the texts in the table that RUN was trained on.
    """
    from rnnsent.evaluation.evaluate import Options
    from rnnsent.runs.registry import runs_of

    if predictions is not None:
        if baseline:
            raise click.UsageError("--baseline needs the texts of a run; it does not work with --predictions")
        from rnnsent.data.inputs import ReadOptions

        names = {field.name for field in fields(ReadOptions)}
        how = ReadOptions(**{key: value for key, value in table.items() if key in names and value is not None})
        columns = {key: value for key, value in table.items() if key not in names}
        note = None if run is None else _training_texts(predictions, how, opened(run), source)
        _evaluate_table(predictions, columns | {"options": how}, worst, as_json, note)
        return
    given = next((name for name, value in table.items() if value is not None), None)
    if given is not None:
        raise click.UsageError(f"--{given.replace('_', '-')} only works with --predictions")
    settings = Options(source, backend, device or "auto")
    seeds = [] if run is None else runs_of(run)
    if seeds not in ([], [run]):
        _evaluate_seeds([opened(path) for path in seeds], split, settings, baseline, as_json)
        return
    result, linear = _evaluate(opened(run, quiet=quiet), split, settings, baseline)
    _show_run(result, linear, result.errors[:worst], as_json)
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


def _show_run(
    result: Result, linear: BaselineEvaluation | None, errors: Sequence[PredictionError], as_json: bool
) -> None:
    from rnnsent.evaluation.predictions import UNCALIBRATED
    from rnnsent.runs.directory import CALIBRATION

    record, source = result.record, result.run.metrics.data.name
    seconds = max(record.seconds, 1e-9)
    uncalibrated = record.split == "validation" and result.run.file(CALIBRATION).is_file()
    notes = [UNCALIBRATED] if uncalibrated else []
    if as_json:
        values = {"run": str(result.run), "split": record.split, "source": source, **_values(record, errors, notes)}
        baseline = None if linear is None else asdict(linear)["metrics"]
        click.echo(json.dumps(values | {"baseline": baseline, "seconds": record.seconds}))
        return
    title = f"{result.run}: {record.split}, {record.texts:,} texts of {source}"
    lines = evaluation_lines(record, errors, {} if linear is None else linear.metrics)
    show(
        "\n".join(
            [
                title,
                *(f"  {note}" for note in notes),
                *lines,
                "",
                f"  {seconds:.1f} s, {record.texts / seconds:,.0f} texts/s",
            ]
        )
    )


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


def _evaluate_table(path: Path, options: dict[str, Any], worst: int, as_json: bool, note: str | None) -> None:
    from rnnsent.evaluation.evaluate import evaluation_record, most_confident_errors
    from rnnsent.evaluation.external_predictions import read_predictions
    from rnnsent.evaluation.run_data import make_origin

    table = read_predictions(path, **options)
    names, labels_only = table.label_names, table.labels_only
    origin = make_origin("", "", "", len(table.predictions))
    record = evaluation_record(origin, table.predictions, names, labels_only=labels_only)
    errors = [] if labels_only else most_confident_errors(table.predictions, names, table.place)[:worst]
    if as_json:
        click.echo(json.dumps({"predictions": str(path), **_values(record, errors, [note] if note else [])}))
        return
    of = "precision and recall are those" if labels_only else "the probability is that"
    title = f"{path}: {record.texts:,} predictions" + (f"; {of} of {names[1]}" if len(names) == 2 else "")
    show("\n".join([title, *evaluation_lines(record, errors, {}), *(paragraph(LABELS_ONLY) if labels_only else [])]))


def _training_texts(path: Path, how: ReadOptions, run: Run, source: Source | None) -> str:
    """Say, and return, how many of the texts in a table a run was trained on."""
    from rnnsent.evaluation.external_predictions import read_texts
    from rnnsent.evaluation.run_data import count_training_texts, load_run_data

    texts = read_texts(path, how)
    if texts is None:
        known = 0
        note = f"{path}: has no column of texts (predict --keep), so it is unknown if {run} was trained on them"
    else:
        known = count_training_texts(load_run_data(run, source), texts)
        note = f"{run} was trained on {known:,} of the {len(texts):,} texts in {path}"
    say(f"{'WARNING: ' if known else ''}{note}")
    return note


def _values(record: Evaluation, errors: Sequence[PredictionError], notes: Sequence[str] = ()) -> dict[str, object]:
    """Return an evaluation as plain values for JSON."""
    from rnnsent.evaluation.intervals import small_sample_warning

    values, warning = asdict(record), small_sample_warning(record.texts)
    shown = {key: values[key] for key in ("metrics", "labels", "confusion", "slices", "coverage")}
    warnings = [*([] if warning is None else [warning]), *notes]
    return {"n": record.texts, **shown, "errors": [asdict(error) for error in errors], "warnings": warnings}
