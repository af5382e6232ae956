"""`rnnsent eval`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli import options
from rnnsent.cli.options import FALLBACK, PATH, Command, Source, opened, show
from rnnsent.cli.terminal import say
from rnnsent.reporting.tables import EvaluationView, baseline_verdict, evaluation_lines, evaluation_screen, record_notes

if TYPE_CHECKING:
    from rnnsent.data.readers import Table
    from rnnsent.evaluation.evaluate import Options, Result
    from rnnsent.runs.directory import Run

COUNT = click.IntRange(0)
SHOWN = ("metrics", "parts", "labels", "confusion", "slices", "coverage", "thresholds")  # in JSON
ERRORS = 3
LABELS_ONLY = (
    "From predicted labels alone: ROC AUC, PR AUC, log loss, Brier score, calibration, coverage and error analysis "
    "need probabilities (--probability-column)."
)


@click.command(name="eval", cls=Command)
@options.run
@options.split
@options.data
@options.corrections
@options.backend
@options.device
@click.option("--baseline", is_flag=True, help="Evaluate the n-gram baseline, too.")
@click.option("--full", is_flag=True, help="Show all tables.")
@click.option("--worst", type=COUNT, metavar="N", help=f"Show the N most confident errors.  [default: {ERRORS}]")
@options.thresholds
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
    corrections: str | None,
    backend: str,
    device: str | None,
    baseline: bool,
    full: bool,
    worst: int | None,
    threshold: dict[str, float],
    precision: dict[str, float],
    predictions: Path | None,
    quiet: bool,
    as_json: bool,
    **table: Any,
) -> None:
    """Evaluate a finished RUN. [default: the latest run]

    Show accuracy, the baseline if it was evaluated, confusions, weak parts
    and errors on one screen. With --full, and in --json, every metric except
    the calibration error has a 95 % interval. The result is written to
    RUN/evaluations. Select models on validation; evaluate on test once. For a
    folder of rnnsent train --seeds, evaluate each run and show the mean and
    the standard deviation. With --corrections other than those of the
    training, the result is shown and not written.

    --threshold and --precision, both repeatable, show the figures of other
    decisions, and write nothing. --threshold 0.3 or LABEL=0.3 predicts a
    label (of two: the second) from that probability on; --precision takes the
    smallest threshold that reaches it on validation.

    `--predictions FILE` evaluates a CSV, TSV, JSON Lines or Parquet table of
    real labels and probabilities instead. With more than two labels, each
    needs a column `probability of LABEL`, or one named as the label. With
    RUN, count the texts in the table that RUN was trained on.
    """
    from rnnsent.evaluation.evaluate import Options
    from rnnsent.runs.registry import runs_of

    if predictions is not None:
        if baseline or corrections:
            option = "--baseline" if baseline else "--corrections"
            raise click.UsageError(f"{option} needs the texts of a run; it does not work with --predictions")
        if threshold or precision:
            raise click.UsageError("--threshold and --precision need a run; they do not work with --predictions")
        from rnnsent.data.inputs import ReadOptions
        from rnnsent.data.tables import open_table

        options_of_reading = {field.name for field in fields(ReadOptions)}
        columns = {key: value for key, value in table.items() if key not in options_of_reading}
        opened_table = open_table(predictions, ReadOptions.chosen(table), default="csv")
        note = None if run is None else _training_texts(opened_table, opened(run), source)
        view = _table_view(opened_table, columns, note, ERRORS if worst is None else worst)
        _show(view, {"predictions": str(predictions)}, {}, worst, full=full, as_json=as_json)
        return
    given = next((name for name, value in table.items() if value is not None), None)
    if given is not None:
        raise click.UsageError(f"--{given.replace('_', '-')} only works with --predictions")
    if corrections is not None and baseline:
        raise click.UsageError("--baseline keeps the labels of the run: it does not work with --corrections")
    texts = source if corrections is None else {**(source or {}), "corrections": corrections}
    settings = Options(texts, backend, device or "auto")
    seeds = [] if run is None else runs_of(run)
    if seeds not in ([], [run]):
        if corrections is not None:
            raise click.UsageError(f"--corrections is for one run: name {run}/seed-N")
        if threshold or precision:
            raise click.UsageError(f"--threshold and --precision are for one run: name {run}/seed-N")
        _evaluate_seeds([opened(path) for path in seeds], split, settings, baseline, as_json)
        return
    opened_run = opened(run, quiet=quiet)
    thresholds, lines, choices = options.chosen_thresholds(opened_run, threshold, precision, source)
    result = _evaluate(opened_run, split, replace(settings, thresholds=thresholds), baseline)
    view = _run_view(result, ERRORS if worst is None else worst, decided=bool(thresholds))
    if thresholds:  # the files are of the most probable labels
        view = replace(view, decisions=lines, folder="")
    if as_json and result.run.fallback_used:  # which `opened` says on stderr
        view = replace(view, notes=[*view.notes, FALLBACK])
    head = {"run": str(result.run), "split": split, "source": _source(result.run, split)}
    comparison = None if view.comparison is None else asdict(view.comparison)
    if comparison is not None:
        comparison["verdict"] = baseline_verdict(view.baseline, view.comparison)
    tail = {
        "baseline": {name: asdict(estimate) for name, estimate in view.baseline.items()} or None,
        "baseline_comparison": comparison,
        "decisions": {"thresholds": thresholds, "chosen": [asdict(choice) for choice in choices]},
        "seconds": result.record.seconds,
    }
    _show(view, head, tail, worst, full=full, as_json=as_json)
    if thresholds:
        return
    if result.own_labels:
        result.write()
    else:
        say(f"not written to {run or result.run}: labels are corrected that were not in training")


def _evaluate(run: Run, split: str, options: Options, baseline: bool) -> Result:
    """Evaluate a run, and the baseline if that was requested and is not there."""
    from rnnsent.evaluation.baseline import evaluate_baseline, read_baseline
    from rnnsent.evaluation.evaluate import evaluate
    from rnnsent.evaluation.run_data import load_run_data

    result = evaluate(run, split, options)
    if baseline and read_baseline(run, split) is None:
        evaluate_baseline(load_run_data(run, options.source), split).write(run)
    return result


def _source(run: Run, split: str) -> str:
    """Return the name of the file of a split, or of the data set."""
    test = run.config.data.test_path if split == "test" else None
    return run.metrics.data.name if test is None else Path(test).name


def _run_view(result: Result, errors: int, *, decided: bool) -> EvaluationView:
    from rnnsent.evaluation.baseline import read_baseline
    from rnnsent.evaluation.predictions import CALIBRATED, UNCALIBRATED
    from rnnsent.runs.directory import CALIBRATION, EVALUATIONS
    from rnnsent.runs.schemas import BaselineEvaluation

    run, record = result.run, result.record
    on_validation = record.split == "validation" and run.file(CALIBRATION).is_file()
    calibration = CALIBRATED if decided else UNCALIBRATED
    notes = [*record_notes(record), calibration if on_validation else None]
    baseline, stored = read_baseline(run, record.split), run.evaluation(record.split, BaselineEvaluation, "baseline")
    if not result.own_labels:
        baseline = stored = None
    return EvaluationView(
        title=f"{run}: {record.split}, {record.texts:,} texts of {_source(run, record.split)}",
        notes=[note for note in notes if note is not None],
        record=record,
        errors=result.errors[:errors],
        baseline={} if stored is None else stored.metrics,
        comparison=None if baseline is None else baseline.compared(result.predictions),
        folder=str(run.file(EVALUATIONS)) if result.own_labels else "",
    )


def _show(
    view: EvaluationView,
    head: Mapping[str, object],
    tail: Mapping[str, object],
    worst: int | None,
    *,
    full: bool,
    as_json: bool,
) -> None:
    """Print an evaluation; in JSON after `head` and before `tail`."""
    if not as_json:
        show("\n".join(evaluation_lines(view) if full else evaluation_screen(view, worst)))
        return
    values = asdict(view.record)
    shown = {key: values[key] for key in SHOWN}
    errors = [asdict(error) for error in view.errors]
    click.echo(
        json.dumps({**head, "n": view.record.texts, **shown, "errors": errors, "warnings": list(view.notes), **tail})
    )


def _evaluate_seeds(runs: Sequence[Run], split: str, options: Options, baseline: bool, as_json: bool) -> None:
    """Evaluate the runs of a training with several seeds, and show their mean and standard deviation."""
    from rnnsent.training import seeds

    for run in runs:
        say(f"run: {run}")
        _evaluate(run, split, options, baseline).write()
    if as_json:
        click.echo(json.dumps(seeds.to_values(runs, [split])))
    else:
        show("\n".join([*seeds.table(runs, split), *(f"  {run.path.name}: {run}" for run in runs)]))


def _table_view(table: Table, columns: dict[str, Any], note: str | None, errors: int) -> EvaluationView:
    from rnnsent.config.sections import DataConfig
    from rnnsent.evaluation.evaluate import evaluation_record, most_confident_errors
    from rnnsent.evaluation.external_predictions import read_predictions
    from rnnsent.evaluation.intervals import small_sample_warning
    from rnnsent.evaluation.run_data import make_origin

    read = read_predictions(table, **columns)
    names, labels_only, data = read.label_names, read.labels_only, DataConfig(labels=read.label_names)
    origin = make_origin("", "", "", len(read.predictions))
    record = evaluation_record(origin, read.predictions, names, labels_only=labels_only)
    of = "precision and recall are those" if labels_only else "the probability is that"
    title = f"{table.name}: {record.texts:,} predictions" + (f"; {of} of {names[1]}" if len(names) == 2 else "")
    notes = [small_sample_warning(record.texts), note, read.note or None, LABELS_ONLY if labels_only else None]
    return EvaluationView(
        title=title,
        notes=[each for each in notes if each is not None],
        record=record,
        errors=[] if labels_only else most_confident_errors(read.predictions, data, read.place)[:errors],
    )


def _training_texts(table: Table, run: Run, source: Source | None) -> str:
    """Say, and return, how many of the texts in a table a run was trained on."""
    from rnnsent.evaluation.external_predictions import read_texts
    from rnnsent.evaluation.run_data import count_training_texts, load_run_data

    texts = read_texts(table, run.config.data.text_column)
    if texts is None:
        known = 0
        note = f"{table.name}: has no column of texts (predict --keep), so it is unknown if {run} was trained on them"
    else:
        known = count_training_texts(load_run_data(run, source), texts)
        note = f"{run} was trained on {known:,} of the {len(texts):,} texts in {table.name}"
    say(f"{'WARNING: ' if known else ''}{note}")
    return note
