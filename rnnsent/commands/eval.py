"""`rnnsent eval`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.commands.options import (
    backend_option,
    be_quiet,
    device_option,
    json_option,
    moved_option,
    opened,
    run_argument,
    split_option,
    tell_stale,
)
from rnnsent.data.naming import data_settings

if TYPE_CHECKING:
    from rnnsent.calibration import Coverage
    from rnnsent.judgment import Judged
    from rnnsent.metrics import LabelMetrics
    from rnnsent.mistakes import Mistake
    from rnnsent.slices import SliceAccuracy

WIDTH = 80


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
    help="Judge what any program predicted, instead of a run: a table of label and probability.",
)
@click.option("--label-column", metavar="NAME", help="--predictions: of the real label; else label, target, ….")
@click.option("--probability-column", metavar="NAME", help="--predictions: else probability, score, ….")
@click.option("--positive", metavar="LABEL", help="--predictions: which label the probability is of; else the last.")
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
    **columns: str | None,
) -> None:
    """Judge a finished RUN; without RUN, the latest one.

    Every figure has a 95 % interval. The result is written into the run.
    Choose models by validation, and look at test once.

    `--predictions FILE` judges a CSV, TSV, JSON Lines or Parquet table of
    real labels and probabilities in the same way. Of three labels or more
    each has a column called `probability of LABEL`.
    """
    if predictions is not None:
        if run is not None or data is not None or baseline:
            raise click.UsageError("--predictions judges a table by itself: no RUN, --data or --baseline beside it")
        _judge_table(predictions, columns, as_json)
        return
    given = next((name for name, value in columns.items() if value is not None), None)
    if given is not None:
        raise click.UsageError(f"--{given.replace('_', '-')} is for --predictions")
    if quiet:
        be_quiet()
    found = opened(run, quiet=quiet)
    _judge_run(found, split, data, backend, device, baseline, worst, quiet, as_json)
    if not quiet:
        tell_stale(found)


def _judge_run(
    found: Any,
    split: str,
    data: str | None,
    backend: str,
    device: str,
    baseline: bool,
    worst: int,
    quiet: bool,
    as_json: bool,
) -> None:
    import json

    from rnnsent import judgment

    tell = (lambda line: None) if quiet else partial(click.echo, err=True)
    moved = None if data is None else data_settings(data)
    judged = judgment.judge(found, split, data=moved, backend=backend, device=device, tell=tell)
    if baseline and judged.baseline is None and judged.unsaved is None:
        linear = judgment.judge_baseline(found, split, data=moved, tell=tell)
        judged = replace(judged, baseline=linear.metrics, unsaved=linear.unsaved)
    if as_json:
        beside = {"baseline": judged.baseline} if baseline else {}
        facts = {"run": str(found), "split": judged.split, "n": judged.n, "metrics": judged.metrics}
        click.echo(json.dumps(facts | beside))
    else:
        click.echo(report(judged, worst))
    if judged.unsaved is not None:
        raise judged.unsaved


def _judge_table(path: Path, columns: Mapping[str, str | None], as_json: bool) -> None:
    import json

    from rnnsent import foreign, judgment

    found = foreign.read_predictions(path, **columns)
    evaluation = judgment.evaluate(found.labels, found.probabilities)
    if as_json:
        click.echo(json.dumps({"predictions": str(path), "n": evaluation.n, "metrics": evaluation.to_dict()}))
        return
    names = found.label_names
    lines = [f"{path}: {evaluation.n:,} predictions", ""]
    if len(names) == 2:
        lines[0] += f"; the probability is that of {names[1]}"
    lines += [
        *figures(evaluation.to_dict(), {}),
        *doubtful(evaluation.confusion),
        *by_label(names, evaluation.by_label),
    ]
    click.echo("\n".join([*lines, *confusion(names, evaluation.confusion)]))


def report(judged: Judged, worst: int = 3) -> str:
    """Return the judgment as tables of at most 80 columns, and the surest mistakes."""
    names = judged.label_names
    lines = [f"{judged.run}: {judged.split}, {judged.n:,} reviews of {judged.source}", ""]
    lines += figures(judged.metrics, judged.baseline or {})
    lines += doubtful(judged.confusion)
    lines += [*by_label(names, judged.by_label), *confusion(names, judged.confusion), *parts(judged.slices)]
    lines += covered(judged.coverage)
    if judged.mistakes and worst:
        lines += mistakes(judged.mistakes[:worst])
    rate = judged.n / max(judged.seconds, 1e-9)
    return "\n".join([*lines, "", f"  {judged.seconds:.1f} s, {rate:,.0f} reviews/s"])


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


def doubtful(counts: Sequence[Sequence[int]]) -> list[str]:
    """Return a line that says where intervals are not what they seem; none where they are."""
    from rnnsent.intervals import doubts

    why = doubts(sum(map(sum, counts)))
    return [] if why is None else ["", *textwrap.wrap(why, 78, initial_indent="  ", subsequent_indent="  ")]


def by_label(names: Sequence[str], labels: Sequence[LabelMetrics]) -> list[str]:
    """Return a line for each label."""
    width = max(17, *(len(name) for name in names))
    lines = ["", f"  {'':<{width}} {'reviews':>8} {'precision':>10} {'recall':>8} {'f1':>8}"]
    for name, each in zip(names, labels, strict=True):
        cells = [estimate.value for estimate in (each.precision, each.recall, each.f1)]
        one, two, three = ("-" if value is None else f"{value:.4f}" for value in cells)
        lines.append(f"  {name:<{width}} {each.reviews:>8,} {one:>10} {two:>8} {three:>8}")
    return lines


def confusion(names: Sequence[str], counts: Sequence[Sequence[int]]) -> list[str]:
    """Return a line for each real label with how often each was predicted."""
    width = max(len(name) for name in names)
    lines = ["", f"  {'':<{width}}  " + "  ".join(f"predicted {name}" for name in names)]
    for name, row in zip(names, counts, strict=True):
        cells = (f"{count:>{len(f'predicted {column}')},}" for column, count in zip(names, row, strict=True))
        lines.append(f"  {name:<{width}}  " + "  ".join(cells))
    return lines


def parts(slices: Sequence[SliceAccuracy]) -> list[str]:
    """Return a line for each part of the reviews, under how they were divided."""
    lines: list[str] = []
    group = ""
    for each in slices:
        if each.group != group:
            group = each.group
            lines += ["", f"  {'by ' + group:<28} {'reviews':>8} {'accuracy':>9}   95 % interval"]
        found = each.accuracy
        lines.append(f"    {each.name:<26} {each.reviews:>8,} {found.value:9.4f}   {found.low:.4f} … {found.high:.4f}")
    return lines


def covered(rows: Sequence[Coverage]) -> list[str]:
    """Return a line for each share of the reviews, the surest answers first to be given."""
    lines = ["", f"  {'by coverage':<28} {'reviews':>8} {'accuracy':>9}   95 % interval"]
    for row in rows:
        found = row.accuracy
        name = f"{row.share:.0%}, probability {row.least:.3f}"
        lines.append(f"    {name:<26} {row.reviews:>8,} {found.value:9.4f}   {found.low:.4f} … {found.high:.4f}")
    return lines


def mistakes(worst: Sequence[Mistake]) -> list[str]:
    """Return the surest mistakes, each with the end of its words, where reviewers sum up."""
    lines = ["", "  the surest mistakes"]
    for each in worst:
        where = f" ({each.place})" if each.place else ""
        told = f"review {each.review}{where}: {each.label}, predicted {each.predicted} at {each.probability:.4f}"
        lines += textwrap.wrap(told, WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 8)
        end = each.text if len(each.text) <= 3 * WIDTH else f"… {each.text[-3 * WIDTH :].partition(' ')[2]}"
        lines += textwrap.wrap(end, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return lines
