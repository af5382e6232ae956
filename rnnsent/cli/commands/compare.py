"""`rnnsent compare`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli.options import RunPath, json_option, moved_option, opened_all, show, split_option
from rnnsent.cli.terminal import say
from rnnsent.data.naming import data_settings

if TYPE_CHECKING:
    from rnnsent.evaluation.compare import Compared, Contender
    from rnnsent.evaluation.comparison import Comparison, PartDifference

WIDTH = 80
# Intervals and tests are about the reviews: what another seed would have made of a config is not in them.
ONE_SEED = (
    "All this is about these runs, one training each. Others of the same configs, with other seeds, may compare "
    "otherwise: rnnsent train --seeds 5."
)
LEFT_OUT = 40  # characters of a value
UNITS = {
    "seconds": "seconds", "epochs": "epochs", "peak_memory_mb": "MB at most", "parameters": "parameters",
    "mb_to_predict": "MB to predict", "mb_on_disk": "MB on disk",
}  # fmt: skip


@click.command(name="compare")
@click.argument("paths", metavar="RUN RUN...", type=RunPath(), nargs=-1, required=True)
@split_option
@moved_option
@click.option(
    "--flips",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="How many flipped reviews to show.",
)
@json_option
def command(paths: tuple[Path, ...], split: str, data: str | None, flips: int, as_json: bool) -> None:
    """Say whether runs differ, on the same reviews.

    All are compared with the first: each figure with a 95 % interval of the
    difference (paired bootstrap), McNemar's exact test, which parts of the
    reviews moved, which reviews flipped, what differs in their configs, and
    what they cost. Judge them first: rnnsent eval RUN. A folder of
    rnnsent train --seeds stands for the runs of all its seeds.
    """
    import json

    from rnnsent.evaluation.compare import compare_runs

    given = opened_all(paths)
    if len(given) < 2:
        raise click.UsageError("give two runs or more")
    moved = None if data is None else data_settings(data)
    found = compare_runs(given, split, data=moved, tell=say)
    if as_json:
        click.echo(json.dumps(as_values(found)))
    else:
        show("\n".join(report(found, flips)))


def as_values(found: Compared) -> dict[str, Any]:
    """Return the comparison as plain values for JSON."""
    first, *others = found.contenders
    return {
        "split": found.split,
        "n": found.comparisons[0].n,
        "runs": [
            {"run": str(each.run), "costs": each.costs, "interrupted": each.stopped is not None}
            for each in found.contenders
        ],
        "comparisons": [
            {
                "first": str(first.run),
                "other": str(other.run),
                "differ": each.differ,
                "same": each.same,
                "p_value": each.p_value,
                "only_first": each.only_first,
                "only_other": each.only_other,
                "metrics": {
                    name: {"first": one, "other": two, "difference": each.differences[name].to_dict()}
                    for name, (one, two) in each.values.items()
                },
                "parts": [_part_values(part) for part in each.parts],
                "flips": [
                    {"review": flip.review, "better": flip.better, "first": flip.first, "other": flip.other}
                    for flip in each.flips
                ],
                "differences": {key: list(pair) for key, pair in differences.items()},
            }
            for other, each, differences in zip(others, found.comparisons, found.differences, strict=True)
        ],
    }


def _part_values(part: PartDifference) -> dict[str, Any]:
    return {
        "group": part.group,
        "name": part.name,
        "reviews": part.reviews,
        "first": part.first,
        "other": part.other,
        "difference": part.difference.to_dict(),
        "p_value": part.p_value,
    }


def report(found: Compared, flips: int) -> Iterator[str]:
    """Yield the lines of the comparison, at most 80 columns wide but for names of runs."""
    first, *others = found.contenders
    many = len(others) > 1
    for number, (other, each, differences) in enumerate(
        zip(others, found.comparisons, found.differences, strict=True), start=1
    ):
        yield from ([""] * 2 if number > 1 else [])
        yield f"A: {_called(first)}"
        yield f"B: {_called(other)}"
        yield f"{found.split}, {each.n:,} {found.unit}s"
        yield ""
        yield from _figures(each)
        yield from _doubtful(each, first.config.data.label_names)
        yield ""
        yield from textwrap.wrap(verdict(each, many, found.unit), WIDTH, initial_indent="  ", subsequent_indent="  ")
        yield from _parts(each, found.unit)
        yield from _flips(each, found, flips)
        yield from _differing(differences)
        yield from _costs(first.costs, other.costs)
    yield ""
    yield from textwrap.wrap(ONE_SEED, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _called(run: Contender) -> str:
    return str(run.run) + (f" ({run.stopped})" if run.stopped else "")


def verdict(each: Comparison, many: bool, unit: str) -> str:
    """Return in words whether the two differ."""
    if each.same:
        return f"Both gave each {unit} the same probabilities, to the last digit: there is nothing to be tested."
    p_value = "p < 0.0001" if each.p_value < 1e-4 else f"p = {each.p_value:.4f}"
    corrected = ", corrected for the number of runs (Holm)" if many else ""
    test = (
        f"A alone has {each.only_first:,} {unit}s right, B alone {each.only_other:,}: McNemar's exact test, "
        f"{p_value}{corrected}."
    )
    difference = each.differences["accuracy"]
    low, high = difference.low, difference.high
    assert difference.value is not None and low is not None and high is not None
    between = f"between {100 * low:+.2f} and {100 * high:+.2f} points"
    if not each.differ:
        doubt = "" if low <= 0 <= high else " That leaves out 0, but it is the test, which is exact, that counts."
        apart = f"Accuracy on these {unit}s does not tell the two runs apart"
        return f"{test} {apart}: B's may be {between} from A's.{doubt}"
    better = "B" if difference.value > 0 else "A"
    return f"{test} These two runs differ: {better} is more accurate; B's accuracy is {between} from A's."


def _figures(each: Comparison) -> Iterator[str]:
    yield f"  {'':<17} {'A':>8} {'B':>8}    {'B - A':>8}   95 % interval"
    for name, (one, two) in each.values.items():
        difference = each.differences[name]
        if one is None or two is None or difference.value is None:
            yield f"  {name:<17} {'-':>8} {'-':>8}    not defined for these predictions"
            continue
        yield (
            f"  {name:<17} {one:8.4f} {two:8.4f}    {difference.value:+8.4f}   "
            f"{difference.low:+.4f} … {difference.high:+.4f}"
        )


def _doubtful(each: Comparison, names: Sequence[str]) -> Iterator[str]:
    from rnnsent.evaluation.intervals import paired_doubts

    why = paired_doubts(dict(zip(names, each.apart, strict=True)))
    if why is not None and any(found.low != found.high for found in each.differences.values()):
        yield ""
        yield from textwrap.wrap(f"{why}.", WIDTH, initial_indent="  ", subsequent_indent="  ")


def _parts(each: Comparison, unit: str) -> Iterator[str]:
    group = ""
    for part in each.parts:
        if part.group != group:
            group = part.group
            yield ""
            yield f"  {'by ' + group:<28} {f'{unit}s':>8} {'A':>6} {'B':>6} {'B - A':>7}  95 % interval"
        found = part.difference
        mark = " *" if part.moved else ""
        yield (
            f"    {part.name:<26} {part.reviews:>8,} {part.first:6.4f} {part.other:6.4f} {found.value:+7.4f}  "
            f"{found.low:+.3f} … {found.high:+.3f}{mark}"
        )
    if any(part.moved for part in each.parts):
        yield "  * differs surely: McNemar's test, corrected for the number of parts (Holm)"


def _flips(each: Comparison, found: Compared, number: int) -> Iterator[str]:
    if not number or not each.flips:
        return
    yield ""
    yield f"  the {found.unit}s that moved furthest (probability of the real label)"
    for flip in each.flips[:number]:
        whose = "B alone is right" if flip.better else "A alone is right"
        where = f" ({place})" if (place := found.places[flip.review]) else ""
        told = f"{found.unit} {flip.review}{where}: A {flip.first:.4f}, B {flip.other:.4f}; {whose}"
        yield from textwrap.wrap(told, WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 8)
        words = found.texts[flip.review]
        end = words if len(words) <= 3 * WIDTH else f"… {words[-3 * WIDTH :].partition(' ')[2]}"
        yield from textwrap.wrap(end, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _differing(differences: dict[str, tuple[Any, Any]]) -> Iterator[str]:
    yield ""
    yield "  what differs: A → B" if differences else "  configs and environments are the same"
    for key, (one, two) in differences.items():
        line = f"{key}: {_short(one)} → {_short(two)}"
        yield from textwrap.wrap(line, WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 6)


def _short(value: Any) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LEFT_OUT else f"{text[: LEFT_OUT - 1]}…"


def _costs(first: dict[str, float], other: dict[str, float]) -> Iterator[str]:
    yield ""
    yield f"  {'cost':<17} {'A':>12} {'B':>12}   {'B / A':>6}"
    for key, name in UNITS.items():
        if key in first and key in other:
            digits = 0 if key in ("epochs", "parameters", "peak_memory_mb", "seconds") else 1
            ratio = f"{other[key] / first[key]:6.2f}" if first[key] else "-"
            yield f"  {name:<17} {first[key]:12,.{digits}f} {other[key]:12,.{digits}f}   {ratio:>6}"
