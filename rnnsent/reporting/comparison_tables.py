"""The comparison of runs as text for the terminal, at most 80 columns wide except for names of runs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from rnnsent.errors import count
from rnnsent.reporting.tables import WIDTH, paragraph, text_lines

if TYPE_CHECKING:
    from rnnsent.evaluation.compare import Comparison, RunComparison

ONE_SEED = (
    "Intervals and tests are about these runs, one training each. Other seeds of the same configs may compare "
    "differently: rnnsent train --seeds 5."
)
MAX_VALUE = 40  # characters
COSTS = {
    "seconds": "seconds", "epochs": "epochs", "peak_memory_mb": "peak memory, MB", "parameters": "parameters",
    "mb_to_predict": "MB to predict", "mb_on_disk": "MB on disk",
}  # fmt: skip


def comparison_lines(result: RunComparison, flips: int) -> Iterator[str]:
    """Yield the lines of the comparison, with some of the flipped texts."""
    first, *others = result.runs
    names = list(first.record.labels)
    for number, (other, comparison) in enumerate(zip(others, result.comparisons, strict=True)):
        yield from ["", ""] if number else []
        for letter, run in (("A", first.run), ("B", other.run)):
            reason = run.metrics.stopped
            yield f"{letter}: {run}" + (f" ({reason})" if reason else "")
        yield from [f"{first.record.split}, {comparison.texts:,} texts", ""]
        yield from _metric_lines(comparison, names)
        yield from paragraph(verdict(comparison, corrected=len(others) > 1))
        yield from _slice_lines(comparison)
        yield from _flip_lines(comparison, result, flips)
        yield from _difference_lines(result.differences[number])
        yield from _cost_lines(result.costs[0], result.costs[number + 1])
    yield from paragraph(ONE_SEED)


def verdict(comparison: Comparison, *, corrected: bool) -> str:
    """Return in words whether two runs differ; `corrected` says that there were several tests."""
    if comparison.same:
        return "All probabilities are equal to the last digit: there is nothing to test."
    p_value = "p < 0.0001" if comparison.p_value < 1e-4 else f"p = {comparison.p_value:.4f}"
    test = (
        f"A alone is right on {count(comparison.only_first, 'text')}, B alone on {comparison.only_other:,}: McNemar's "
        f"exact test, {p_value}{', corrected for the number of runs (Holm)' if corrected else ''}."
    )
    difference = comparison.differences["accuracy"]
    value, low, high = (100 * (number or 0.0) for number in (difference.value, difference.low, difference.high))
    interval = f"between {low:+.2f} and {high:+.2f} points"
    if comparison.significant:
        return f"{test} The accuracies differ: {'B' if value > 0 else 'A'} is better; B's is {interval} from A's."
    note = "" if low <= 0 <= high else " That excludes 0, but the exact test decides."
    return f"{test} The accuracies do not differ significantly: B's is {interval} from A's.{note}"


def _metric_lines(comparison: Comparison, names: Sequence[str]) -> Iterator[str]:
    from rnnsent.evaluation.compare import paired_warning

    yield f"  {'':<17} {'A':>8} {'B':>8}    {'B - A':>8}   95 % interval"
    for name, (one, two) in comparison.values.items():
        difference = comparison.differences[name]
        if one is None or two is None:
            yield f"  {name:<17} {'-':>8} {'-':>8}    undefined for these predictions"
        else:
            ends = f"{difference.low:+.4f} … {difference.high:+.4f}"
            yield f"  {name:<17} {one:8.4f} {two:8.4f}    {difference.value:+8.4f}   {ends}"
    warning = paired_warning(dict(zip(names, comparison.discordant, strict=True)))
    if warning and not comparison.same:
        yield from paragraph(f"{warning}.")


def _slice_lines(comparison: Comparison) -> Iterator[str]:
    for group, rows in groupby(comparison.slices, attrgetter("group")):
        yield from ["", f"  {'by ' + group:<28} {'texts':>8} {'A':>6} {'B':>6} {'B - A':>7}  95 % interval"]
        for row in rows:
            low, high, star = row.difference.low, row.difference.high, " *" if row.significant else ""
            values = f"{row.texts:>8,} {row.first:6.4f} {row.other:6.4f} {row.difference.value:+7.4f}"
            yield f"    {row.name:<26} {values}  {low:+.3f} … {high:+.3f}{star}"
    if any(row.significant for row in comparison.slices):
        yield "  * significant: McNemar's test, corrected for the number of slices (Holm)"


def _flip_lines(comparison: Comparison, result: RunComparison, number: int) -> Iterator[str]:
    flips = comparison.flips[:number]
    yield from ["", "  texts on which they differ most (probability of the real label)"] if flips else []
    for flip in flips:
        place = f" ({result.places[flip.index]})" if result.places[flip.index] else ""
        right = f"{'B' if flip.better else 'A'} alone is right"
        description = f"text {flip.index}{place}: A {flip.first:.4f}, B {flip.other:.4f}; {right}"
        yield from text_lines(description, result.texts[flip.index])


def _difference_lines(differences: Mapping[str, tuple[object, object]]) -> Iterator[str]:
    yield from ["", "  configs and environments" + (": A → B" if differences else " are the same")]
    for key, values in differences.items():
        one, two = (json.dumps(value, ensure_ascii=False) for value in values)
        line = f"{key}: {one[:MAX_VALUE]} → {two[:MAX_VALUE]}"
        yield from textwrap.wrap(line, WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 6)


def _cost_lines(first: Mapping[str, float], other: Mapping[str, float]) -> Iterator[str]:
    yield from ["", f"  {'cost':<17} {'A':>12} {'B':>12}   {'B / A':>6}"]
    for key, name in COSTS.items():
        digits = 1 if key.startswith("mb_") else 0
        ratio = f"{other[key] / first[key]:6.2f}" if first[key] else "-"
        yield f"  {name:<17} {first[key]:12,.{digits}f} {other[key]:12,.{digits}f}   {ratio:>6}"
