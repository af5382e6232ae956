"""Tables of metrics for the terminal, at most 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

from rnnsent.inference.prediction_columns import NONE

if TYPE_CHECKING:
    from rnnsent.evaluation.baseline import BaselineComparison
    from rnnsent.evaluation.evaluate import PredictionError
    from rnnsent.runs.schemas import (
        Coverage,
        Estimate,
        Evaluation,
        LabelMetrics,
        Metrics,
        PartAccuracy,
        SliceAccuracy,
        ThresholdRow,
    )

WIDTH = 80
MAX_MATRIX = 8  # columns of a confusion matrix; more labels are shown by their most frequent confusions
MAX_CONFUSIONS = 15
MAX_BRIEF = 6  # labels on one screen, if texts have several
SCREEN = 22  # lines; a terminal has 24, and stderr says which run and backend
END = 3 * WIDTH  # characters that are shown of a text: its end, where reviewers sum up


@dataclass(frozen=True)
class EvaluationView:
    """What `rnnsent eval` shows."""

    title: str
    notes: Sequence[str]  # warnings
    record: Evaluation
    errors: Sequence[PredictionError]  # the most confident ones first
    decisions: Sequence[str] = ()  # the thresholds that decide, if any do
    # of a run
    baseline: Metrics = field(default_factory=dict)
    comparison: BaselineComparison | None = None
    folder: str = ""  # where its evaluations are


def evaluation_lines(view: EvaluationView) -> list[str]:
    """Return an evaluation as tables, beside the metrics of the baseline, and the most confident errors."""
    record = view.record
    lines = [*_head_lines(view), "", *metric_table(record.metrics, view.baseline, "baseline")]
    matrix = confusion_table(list(record.labels), record.confusion) if record.confusion else []
    lines += label_table(record.labels) + matrix
    lines += slice_table(record.slices) + coverage_table(record.coverage) + threshold_table(record.thresholds)
    lines += ["", "  most confident errors"] if view.errors else []
    for error in view.errors:
        lines += text_lines(_description(error), error.text)
    return lines


def evaluation_screen(view: EvaluationView, worst: int | None) -> list[str]:
    """Return the main facts of an evaluation, which fit on a terminal, with `worst` errors, or as many as fit."""
    from rnnsent.evaluation.metrics import MAIN

    record, names = view.record, list(view.record.labels)
    main = [f"{name} {_value(record.metrics[name])}" for name in MAIN if name in record.metrics and name != "accuracy"]
    lines = [*_head_lines(view, ", ".join(main))]
    shown = MAX_MATRIX if "mae" in record.metrics else 4  # of ordered labels, whose place says how wrong it is
    matrix = confusion_table(names, record.confusion, shown, 4) if record.confusion else _brief_labels(record)
    lines += matrix + _weakest_table(record)
    room = max((SCREEN - len(lines) - 4) // 2, 1) if worst is None else worst
    errors = view.errors[:room]
    total = round(record.texts * (1 - (record.metrics["accuracy"].value or 0.0)))
    lines += ["", f"  most confident errors, {len(errors)} of {total:,}"] if errors else []
    for error in errors:
        text = error.text if len(error.text) <= WIDTH - 6 else f"… {error.text[8 - WIDTH :].partition(' ')[2]}"
        lines += [f"    {_short(_description(error), WIDTH - 4)}"] + ([f"      {text}"] if text else [])
    files = f"; files: {view.folder} ({record.split}-predictions.csv, …)" if view.folder else ""
    return [*lines, "", f"  all tables: --full{files}"]


def record_notes(record: Evaluation) -> list[str]:
    """Return what makes the figures of an evaluation say little."""
    from rnnsent.evaluation.intervals import small_sample_warning

    counts = [(sum(row), name) for name, row in zip(record.labels, record.confusion, strict=False)]  # none of several
    most, label = max(counts, default=(-1, ""))
    share, small = most / record.texts, small_sample_warning(record.texts)
    constant = f"always predicting {label} would be right in {share:.2%} of the texts"
    poor = (record.metrics["accuracy"].value or 0.0) <= share
    return [*([small] if small else []), *([constant] if poor else [])]


def _head_lines(view: EvaluationView, *facts: str) -> Iterator[str]:
    """Yield title, warnings, accuracy, other facts, and how the accuracy compares with that of the baseline."""
    yield view.title
    accuracy = view.record.metrics["accuracy"]
    what = "accuracy" if view.record.confusion else "all labels of a text are right in"
    interval = f"95 % interval {accuracy.low:.2%} to {accuracy.high:.2%}"
    texts = [*view.decisions, *view.notes, f"{what} {accuracy.value:.2%} ({interval})"]
    texts += [part_sentence(part) for part in view.record.parts]
    texts += [*facts, *([baseline_verdict(view.baseline, view.comparison)] if view.folder else [])]
    for text in texts:
        yield from textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")


def part_sentence(part: PartAccuracy) -> str:
    """Return what a part of the model reaches alone, and what the other adds to it."""
    value, low, high = (100 * (end or 0.0) for end in vars(part.difference).values())
    alone = f"the {part.name} alone {_percent(part.accuracy)}"
    return f"{alone}: together {value:+.2f} points (paired 95 % interval {low:+.2f} to {high:+.2f})"


def _percent(estimate: Estimate) -> str:
    return "-" if estimate.value is None else f"{estimate.value:.2%}"


def baseline_verdict(baseline: Metrics, comparison: BaselineComparison | None) -> str:
    """Return in words whether the network is better than the baseline."""
    if not baseline:
        return "n-gram baseline: not evaluated yet (--baseline)"
    accuracy = f"n-gram baseline {baseline['accuracy'].value:.2%}"
    if comparison is None:
        return f"{accuracy}; --baseline tests if the network differs from it"
    value, low, high = (100 * (end or 0.0) for end in vars(comparison.difference).values())
    better = "better" if value > 0 else "worse"
    verdict = f"the network is {better}" if comparison.significant else "no significant difference"
    p_value = "p < 0.0001" if comparison.p_value < 1e-4 else f"p = {comparison.p_value:.4f}"
    return f"{accuracy}: {verdict}, {value:+.2f} points (paired 95 % interval {low:+.2f} to {high:+.2f}, {p_value})"


def _brief_labels(record: Evaluation) -> list[str]:
    """Return a line for each of several labels a text, those with the lowest F1 first."""
    rows = sorted(record.labels.items(), key=lambda item: item[1].f1.value or 0.0)[:MAX_BRIEF]
    title = "labels" if len(rows) == len(record.labels) else f"weakest labels, {len(rows)} of {len(record.labels)}"
    lines = ["", f"  {title:<30} {'texts':>8} {'precision':>10} {'recall':>8} {'f1':>8}"]
    for name, row in rows:
        values = f"{_value(row.precision):>10} {_value(row.recall):>8} {_value(row.f1):>8}"
        lines.append(f"    {_short(name, 28):<28} {row.texts:>8,} {values}")
    return lines


def _weakest_table(record: Evaluation) -> list[str]:
    """Return the parts of the texts whose accuracy is below that of all by more than chance explains."""
    parts = [(f"{row.group}: {row.name}", row.texts, row.accuracy) for row in record.slices]
    if len(record.labels) > 2 and record.confusion:
        parts += [(f"label: {name}", row.texts, row.recall) for name, row in record.labels.items()]
    whole = record.metrics["accuracy"].value or 0.0
    weak = sorted((part for part in parts if (part[2].high or 1.0) < whole), key=lambda part: part[2].high or 0.0)
    if not weak:
        return ["", "  where it is weak: no part of the texts is clearly below the whole"] if parts else []
    lines = ["", f"  {'where it is weak':<38} {'texts':>8} {'accuracy':>9}   95 % interval"]
    return lines + [_accuracy_line(_short(name, 36), texts, accuracy, 36) for name, texts, accuracy in weak[:3]]


def _description(error: PredictionError) -> str:
    place = f" ({error.place})" if error.place else ""
    labels = f"{error.label or NONE}, predicted {error.predicted or NONE}"
    return f"text {error.index}{place}: {labels} at {error.probability:.4f}"


def _value(estimate: Estimate) -> str:
    return "-" if estimate.value is None else f"{estimate.value:.4f}"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def metric_table(metrics: Mapping[str, Estimate], other: Mapping[str, Estimate], title: str = "") -> list[str]:
    """Return a line for each metric, with its value in `other`, whose column is called `title`, if there is one."""
    lines = [f"  {'':<17} {'value':>8}   95 % interval" + (f"{title:>15}" if other else "")]
    for name, estimate in metrics.items():
        if estimate.value is None:
            lines.append(f"  {name:<17} {'-':>8}   undefined for these predictions")
            continue
        ends = "" if estimate.low is None else f"{estimate.low:.4f} … {estimate.high:.4f}"
        other_value = other[name].value if name in other else None
        cell = "" if other_value is None else f"{other_value:14.4f}"
        lines.append(f"  {name:<17} {estimate.value:8.4f}   {ends:<15}{cell}".rstrip())
    return lines


def label_table(labels: Mapping[str, LabelMetrics]) -> list[str]:
    """Return two lines for each label: values, and below them their 95 % intervals."""
    width = min(max(17, *map(len, labels)), 21)
    lines = ["", f"  {'':<{width}} {'texts':>8} {'precision':>15} {'recall':>15} {'f1':>15}"]
    for name, row in labels.items():
        estimates = (row.precision, row.recall, row.f1)
        cells = "".join(f" {_value(estimate):>15}" for estimate in estimates)
        lines.append(f"  {_short(name, width):<{width}} {row.texts:>8,}{cells}")
        ends = ("" if estimate.low is None else f"{estimate.low:.3f} … {estimate.high:.3f}" for estimate in estimates)
        lines.append((" " * (width + 11) + "".join(f" {end:>15}" for end in ends)).rstrip())
    return lines


def confusion_table(
    names: Sequence[str], confusion: Sequence[Sequence[int]], labels: int = MAX_MATRIX, pairs: int = MAX_CONFUSIONS
) -> list[str]:
    """Return the confusion matrix; of more than a limited number of labels the most frequent confusions alone."""
    width = max(map(len, names))
    for heads in ([f"predicted {name}" for name in names], [f"→ {name}" for name in names]):
        if len(names) <= labels and sum(len(head) + 2 for head in heads) + width + 2 <= WIDTH:
            lines = ["", f"  {'':<{width}}  " + "  ".join(heads)]
            for name, row in zip(names, confusion, strict=True):
                numbers = (f"{number:>{len(head)},}" for head, number in zip(heads, row, strict=True))
                lines.append(f"  {name:<{width}}  " + "  ".join(numbers))
            return lines
    cells = [
        (-number, f"{_short(real, 27)} → {_short(predicted, 27)} ({number / sum(row):.1%})")
        for real, row in zip(names, confusion, strict=True)
        for predicted, number in zip(names, row, strict=True)
        if number and predicted != real
    ]
    if not cells:
        return ["", "  no confusions"]
    title = f"  most frequent confusions, {min(pairs, len(cells))} of {len(cells):,}: real → predicted (share of real)"
    return ["", title, *(f"    {-number:>8,}  {words}" for number, words in sorted(cells, key=itemgetter(0))[:pairs])]


def slice_table(rows: Sequence[SliceAccuracy]) -> list[str]:
    """Return a line for each slice, under the property that divides them."""
    lines: list[str] = []
    for group, slices in groupby(rows, attrgetter("group")):
        lines += ["", f"  {'by ' + group:<28} {'texts':>8} {'accuracy':>9}   95 % interval"]
        lines += [_accuracy_line(row.name, row.texts, row.accuracy) for row in slices]
    return lines


def coverage_table(rows: Sequence[Coverage]) -> list[str]:
    """Return a line for each share of the texts, the most confident ones."""
    lines = ["", f"  {'by coverage':<28} {'texts':>8} {'accuracy':>9}   95 % interval"] if rows else []
    for row in rows:
        lines.append(_accuracy_line(f"{row.share:.0%}, probability {row.threshold:.3f}", row.texts, row.accuracy))
    return lines


def threshold_table(labels: Mapping[str, Sequence[ThresholdRow]]) -> list[str]:
    """Return for each label, of many for the first ones, a line for each threshold."""
    lines: list[str] = []
    for name, rows in list(labels.items())[:MAX_MATRIX]:
        heads = f"{'texts':>8} {'precision':>10} {'recall':>9} {'f1':>8}"
        lines += ["", f"  {_short(f'by threshold of {name}', 36):<36} {heads}"]
        for row in rows:
            f1 = "-" if row.f1 is None else f"{row.f1:.4f}"
            values = f"{_value(row.precision):>10} {_value(row.recall):>9} {f1:>8}"
            lines.append(f"    {f'probability {row.threshold:.2f}':<34} {row.texts:>8,} {values}")
    more = len(labels) - MAX_MATRIX
    return [*lines, "", f"  thresholds of {more:,} more labels: --json"] if more > 0 else lines


def _accuracy_line(name: str, texts: int, accuracy: Estimate, width: int = 26) -> str:
    return f"    {name:<{width}} {texts:>8,} {accuracy.value:9.4f}   {accuracy.low:.4f} … {accuracy.high:.4f}"


def text_lines(description: str, text: str) -> list[str]:
    """Return a description of a text, and below it its end."""
    end = text if len(text) <= END else f"… {text[-END:].partition(' ')[2]}"
    return [
        *textwrap.wrap(description, WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 8),
        *textwrap.wrap(end, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6),
    ]


def paragraph(text: str) -> list[str]:
    """Return an indented paragraph after a blank line."""
    return ["", *textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")]
