"""Tables of metrics for the terminal, at most 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnsent.evaluation.evaluate import PredictionError
    from rnnsent.runs.schemas import Coverage, Estimate, Evaluation, LabelMetrics, Metrics, SliceAccuracy

WIDTH = 80
MAX_MATRIX = 8  # columns of a confusion matrix; more labels are shown by their most frequent confusions
MAX_CONFUSIONS = 15
END = 3 * WIDTH  # characters that are shown of a text: its end, where reviewers sum up


def evaluation_lines(record: Evaluation, errors: Sequence[PredictionError], baseline: Metrics) -> list[str]:
    """Return an evaluation as tables, beside the metrics of the baseline, and the most confident errors."""
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
    width = max(17, *map(len, labels))
    lines = ["", f"  {'':<{width}} {'texts':>8} {'precision':>15} {'recall':>15} {'f1':>15}"]
    for name, row in labels.items():
        estimates = (row.precision, row.recall, row.f1)
        values = ("-" if estimate.value is None else f"{estimate.value:.4f}" for estimate in estimates)
        lines.append(f"  {name:<{width}} {row.texts:>8,}" + "".join(f" {value:>15}" for value in values))
        ends = ("" if estimate.low is None else f"{estimate.low:.3f} … {estimate.high:.3f}" for estimate in estimates)
        lines.append((" " * (width + 11) + "".join(f" {end:>15}" for end in ends)).rstrip())
    return lines


def confusion_table(names: Sequence[str], confusion: Sequence[Sequence[int]]) -> list[str]:
    """Return the confusion matrix; of many labels the most frequent confusions alone."""
    heads = [f"predicted {name}" for name in names]
    width = max(map(len, names))
    if len(names) <= MAX_MATRIX and sum(len(head) + 2 for head in heads) + width + 2 <= WIDTH:
        lines = ["", f"  {'':<{width}}  " + "  ".join(heads)]
        for name, row in zip(names, confusion, strict=True):
            cells = (f"{number:>{len(head)},}" for head, number in zip(heads, row, strict=True))
            lines.append(f"  {name:<{width}}  " + "  ".join(cells))
        return lines
    pairs = [
        (-number, f"{real}, predicted {predicted} ({number / sum(row):.1%} of {real})")
        for real, row in zip(names, confusion, strict=True)
        for predicted, number in zip(names, row, strict=True)
        if number and predicted != real
    ]
    lines = ["", f"  most frequent confusions, {min(MAX_CONFUSIONS, len(pairs))} of {len(pairs):,}"] if pairs else []
    return lines + [
        f"    {-number:>8,}  {words}" for number, words in sorted(pairs, key=itemgetter(0))[:MAX_CONFUSIONS]
    ]


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


def _accuracy_line(name: str, texts: int, accuracy: Estimate) -> str:
    return f"    {name:<26} {texts:>8,} {accuracy.value:9.4f}   {accuracy.low:.4f} … {accuracy.high:.4f}"


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
