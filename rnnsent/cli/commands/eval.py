"""`rnnsent eval`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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
    tell_stale,
)
from rnnsent.cli.terminal import say
from rnnsent.data.naming import data_settings

if TYPE_CHECKING:
    from rnnsent.evaluation.error_analysis import Mistake
    from rnnsent.evaluation.evaluate import Judged
    from rnnsent.evaluation.metrics import LabelMetrics
    from rnnsent.evaluation.slices import SliceAccuracy
    from rnnsent.inference.calibration import Coverage
    from rnnsent.runs.directory import RunDirectory

WIDTH = 80
HARD = (
    "Of predicted labels alone: ROC AUC, PR AUC, log loss, Brier score, calibration, coverage and the surest mistakes "
    "need probabilities (--probability-column)."
)


@click.command(name="eval")
@run_argument
@split_option
@moved_option
@backend_option
@device_option
@click.option("--baseline", is_flag=True, help="Judge n-grams beside it, as rnnsent baseline does, if not done yet.")
@click.option(
    "--worst", type=click.IntRange(0), default=3, show_default=True, help="How many of the surest mistakes to show."
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge what any program predicted, instead of a run: a table of labels and probabilities or answers.",
)
@click.option("--label-column", metavar="NAME", help="--predictions: of the real label; else label, target, ….")
@click.option("--probability-column", metavar="NAME", help="--predictions: else probability, ….")
@click.option("--predicted-column", metavar="NAME", help="--predictions: of the predicted label, without probability.")
@click.option("--positive", metavar="LABEL", help="--predictions: which label the probability is of; else the last.")
@click.option(
    "--label-map",
    metavar="MAP",
    callback=as_label_map,
    help="--predictions: such as '1-2: negative, 4-5: positive'.",
)
@click.option("--quiet", is_flag=True, help="Only the judgment and warnings.")
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
    label_map: dict[str, str] | None,
    **columns: str | None,
) -> None:
    """Judge a finished RUN; without RUN, the latest one.

    Every figure has a 95 % interval. The result is written into the run.
    Choose models by validation, and look at test once. Of a folder of
    rnnsent train --seeds each run is judged, and their mean and spread shown.

    `--predictions FILE` judges a CSV, TSV, JSON Lines or Parquet table of
    real labels and probabilities in the same way. Of three labels or more
    each has a column called `probability of LABEL`, or as the label. Of
    predicted labels alone it shows what follows from them.
    """
    import json

    from rnnsent.runs.registry import runs_of

    if predictions is not None:
        if run is not None or data is not None or baseline:
            raise click.UsageError("--predictions judges a table by itself: no RUN, --data or --baseline beside it")
        _judge_table(predictions, columns, label_map, worst, as_json)
        return
    options = columns | {"label_map": label_map}
    given = next((name for name, value in options.items() if value is not None), None)
    if given is not None:
        raise click.UsageError(f"--{given.replace('_', '-')} is for --predictions")
    if quiet:
        be_quiet()
    moved = None if data is None else data_settings(data)
    asked = _Asked(split, moved, backend, device, baseline, worst, quiet)
    several = [] if run is None else runs_of(run)
    if several and several != [run]:
        _judge_seeds([opened(each) for each in several], asked, as_json)
        return
    found = opened(run, quiet=quiet)
    judged = _judged(found, asked)
    if as_json:
        click.echo(json.dumps(_values(judged, asked)))
    else:
        show(report(judged, worst))
    if judged.unsaved is not None:
        raise judged.unsaved
    if not quiet:
        tell_stale(found)


@dataclass(frozen=True)
class _Asked:
    """How runs are to be judged: the options of the command; `moved` is where their reviews are now."""

    split: str
    moved: dict[str, str | None] | None
    backend: str
    device: str
    baseline: bool
    worst: int
    quiet: bool


def _judged(run: RunDirectory, asked: _Asked) -> Judged:
    from rnnsent.evaluation import evaluate as judgment

    tell = (lambda line: None) if asked.quiet else say
    split, moved = asked.split, asked.moved
    judged = judgment.judge(run, split, data=moved, backend=asked.backend, device=asked.device, tell=tell)
    if asked.baseline and judged.baseline is None and judged.unsaved is None:
        linear = judgment.judge_baseline(run, split, data=moved, tell=tell)
        judged = replace(judged, baseline=linear.metrics, unsaved=linear.unsaved)
    return judged


def _values(judged: Judged, asked: _Asked) -> dict[str, Any]:
    """Return the judgment as plain values for JSON."""
    facts = {"run": str(judged.run), "split": judged.split, "n": judged.n, "metrics": judged.metrics}
    beside = {"baseline": judged.baseline} if asked.baseline else {}
    parts = {"slices": [each.to_dict() for each in judged.slices]}
    surest = judged.mistakes[: asked.worst]
    told = as_values(judged.label_names, judged.by_label, judged.confusion, judged.coverage, surest)
    return facts | told | parts | beside


def _judge_seeds(runs: Sequence[RunDirectory], asked: _Asked, as_json: bool) -> None:
    """Judge the runs of a training with several seeds, and show their mean and spread."""
    import json

    from rnnsent.training.seeds import SeedRun, spreads, table

    judged = []
    for run in runs:
        if not asked.quiet:
            say(f"run: {run}")
        judged.append(_judged(run, asked))
    measured = [(int(each.run.path.name.partition("-")[2]), str(each.run), each.metrics) for each in judged]
    found = [SeedRun(seed, run, metrics, metrics) for seed, run, metrics in measured]
    if as_json:
        values = {"runs": [_values(each, asked) for each in judged], asked.split: spreads(found, asked.split)}
        click.echo(json.dumps(values))
    else:
        show("\n".join([*table(found, asked.split), *(f"  seed {each.seed}: {each.run}" for each in found)]))
    unsaved = next((each.unsaved for each in judged if each.unsaved is not None), None)
    if unsaved is not None:
        raise unsaved


def _judge_table(
    path: Path, columns: Mapping[str, str | None], label_map: Mapping[str, str] | None, worst: int, as_json: bool
) -> None:
    import json

    from rnnsent.evaluation import evaluate as judgment
    from rnnsent.evaluation import external_predictions as foreign
    from rnnsent.evaluation.error_analysis import Places, answers, mistakes_among
    from rnnsent.inference import calibration

    found = foreign.read_predictions(path, **columns, label_map=label_map)
    names, labels, probabilities = found.label_names, found.labels, found.probabilities
    evaluation = judgment.evaluate(labels, probabilities)
    measured = evaluation.to_dict()
    coverage: Sequence[Coverage] = ()
    surest: Sequence[Mistake] = ()
    if found.hard:  # all answers are as sure
        measured = {name: measured[name] for name in foreign.OF_LABELS}
    else:
        predicted, sure = answers(probabilities)
        coverage = calibration.coverage(predicted == labels, sure)
        places = Places(path.name, found.unit, found.numbers.tolist())
        surest = mistakes_among(labels, probabilities, names, places)[:worst]
    if as_json:
        told = as_values(names, evaluation.by_label, evaluation.confusion, coverage, surest)
        facts = {"predictions": str(path), "n": evaluation.n, "metrics": measured}
        click.echo(json.dumps(facts | told | {"slices": []}))  # parts are made of texts, and here there are none
        return
    of = "precision and recall are those" if found.hard else "the probability is that"
    lines = [f"{path}: {evaluation.n:,} predictions" + (f"; {of} of {names[1]}" if len(names) == 2 else ""), ""]
    lines += [*figures(measured, {}), *doubtful(evaluation.confusion, "row")]
    lines += [*by_label(names, evaluation.by_label, "row"), *confusion(names, evaluation.confusion)]
    if found.hard:
        lines += ["", *textwrap.wrap(HARD, 78, initial_indent="  ", subsequent_indent="  ")]
    lines += covered(coverage, "row") if coverage else []
    lines += mistakes(surest, "row") if surest else []
    show("\n".join(lines))


def as_values(
    names: Sequence[str],
    labels: Sequence[LabelMetrics],
    counts: Sequence[Sequence[int]],
    coverage: Sequence[Coverage],
    worst: Sequence[Mistake],
) -> dict[str, Any]:
    """Return what stands beside the metrics, for JSON; rows and columns of the confusion are in the order of labels."""
    return {
        "labels": {name: each.to_dict() for name, each in zip(names, labels, strict=True)},
        "confusion": [list(row) for row in counts],
        "coverage": [each.to_dict() for each in coverage],
        "mistakes": [each.to_dict() for each in worst],
    }


def report(judged: Judged, worst: int = 3) -> str:
    """Return the judgment as tables of at most 80 columns, and the surest mistakes."""
    names, unit = judged.label_names, judged.unit
    lines = [f"{judged.run}: {judged.split}, {judged.n:,} {unit}s of {judged.source}", ""]
    lines += figures(judged.metrics, judged.baseline or {})
    lines += doubtful(judged.confusion, unit)
    lines += [*by_label(names, judged.by_label, unit), *confusion(names, judged.confusion), *parts(judged.slices, unit)]
    lines += covered(judged.coverage, unit)
    if judged.mistakes and worst:
        lines += mistakes(judged.mistakes[:worst], unit)
    rate = judged.n / max(judged.seconds, 1e-9)
    return "\n".join([*lines, "", f"  {judged.seconds:.1f} s, {rate:,.0f} {unit}s/s"])


def figures(metrics: Mapping[str, Any], beside: Mapping[str, Any]) -> list[str]:
    """Return a line for each metric, those of the n-grams `beside` it where there are any."""
    lines = [f"  {'':<17} {'value':>8}   95 % interval" + ("        n-grams" if beside else "")]
    for name, estimate in metrics.items():
        if estimate["value"] is None:
            lines.append(f"  {name:<17} {'-':>8}   not defined for these predictions")
            continue
        other = beside.get(name, {}).get("value")
        shown = "" if other is None else f"      {other:8.4f}"
        lines.append(f"  {name:<17} {estimate['value']:8.4f}   {estimate['low']:.4f} … {estimate['high']:.4f}{shown}")
    return lines


def doubtful(counts: Sequence[Sequence[int]], unit: str) -> list[str]:
    """Return a line that says where intervals are not what they seem; none where they are."""
    from rnnsent.evaluation.intervals import doubts

    why = doubts(sum(map(sum, counts)), unit)
    return [] if why is None else ["", *textwrap.wrap(why, 78, initial_indent="  ", subsequent_indent="  ")]


def by_label(names: Sequence[str], labels: Sequence[LabelMetrics], unit: str) -> list[str]:
    """Return two lines for each label: the values, and below them their 95 % intervals."""
    width = max(17, *(len(name) for name in names))
    lines = ["", f"  {'':<{width}} {f'{unit}s':>8} {'precision':>15} {'recall':>15} {'f1':>15}"]
    for name, each in zip(names, labels, strict=True):
        found = (each.precision, each.recall, each.f1)
        values = ("-" if one.value is None else f"{one.value:.4f}" for one in found)
        lines.append(f"  {name:<{width}} {each.reviews:>8,}" + "".join(f" {cell:>15}" for cell in values))
        spans = ("" if one.low is None else f"{one.low:.3f} … {one.high:.3f}" for one in found)
        lines.append((" " * (width + 11) + "".join(f" {span:>15}" for span in spans)).rstrip())
    return lines


def confusion(names: Sequence[str], counts: Sequence[Sequence[int]]) -> list[str]:
    """Return a line for each real label with how often each was predicted."""
    width = max(len(name) for name in names)
    lines = ["", f"  {'':<{width}}  " + "  ".join(f"predicted {name}" for name in names)]
    for name, row in zip(names, counts, strict=True):
        cells = (f"{count:>{len(f'predicted {column}')},}" for column, count in zip(names, row, strict=True))
        lines.append(f"  {name:<{width}}  " + "  ".join(cells))
    return lines


def parts(slices: Sequence[SliceAccuracy], unit: str) -> list[str]:
    """Return a line for each part of the reviews, under how they were divided."""
    lines: list[str] = []
    group = ""
    for each in slices:
        if each.group != group:
            group = each.group
            lines += ["", f"  {'by ' + group:<28} {f'{unit}s':>8} {'accuracy':>9}   95 % interval"]
        found = each.accuracy
        lines.append(f"    {each.name:<26} {each.reviews:>8,} {found.value:9.4f}   {found.low:.4f} … {found.high:.4f}")
    return lines


def covered(rows: Sequence[Coverage], unit: str) -> list[str]:
    """Return a line for each share of the reviews, the surest answers first to be given."""
    lines = ["", f"  {'by coverage':<28} {f'{unit}s':>8} {'accuracy':>9}   95 % interval"]
    for row in rows:
        found = row.accuracy
        name = f"{row.share:.0%}, probability {row.least:.3f}"
        lines.append(f"    {name:<26} {row.reviews:>8,} {found.value:9.4f}   {found.low:.4f} … {found.high:.4f}")
    return lines


def mistakes(worst: Sequence[Mistake], unit: str) -> list[str]:
    """Return the surest mistakes, each with the end of its words, where reviewers sum up."""
    lines = ["", "  the surest mistakes"]
    for each in worst:
        where = f" ({each.place})" if each.place else ""
        told = f"{unit} {each.review}{where}: {each.label}, predicted {each.predicted} at {each.probability:.4f}"
        lines += textwrap.wrap(told, WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 8)
        end = each.text if len(each.text) <= 3 * WIDTH else f"… {each.text[-3 * WIDTH :].partition(' ')[2]}"
        lines += textwrap.wrap(end, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines
