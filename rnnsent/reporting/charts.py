"""The charts of a report, of one run or several laid over each other, each with a sentence on what is to be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rnnsent.errors import count
from rnnsent.evaluation import coverage as covered
from rnnsent.evaluation.intervals import Estimate
from rnnsent.evaluation.plots import reliability_points
from rnnsent.inference.trace import Trace
from rnnsent.reporting.blocks import Chart
from rnnsent.reporting.drawing import Axis, Line, Row, dots, lines
from rnnsent.reporting.facts import Facts
from rnnsent.reporting.points import (
    Curve,
    at_least,
    highest,
    mean_precision_recall,
    mean_roc,
    precision_recall,
    roc,
    thinned,
)
from rnnsent.reporting.wording import interval, percent, whole
from rnnsent.runs.schemas import Epoch

MOST_LETTERS = 40  # of a label, beside an axis
FALSE_ALARMS = 0.05  # at which the ROC curve is read
FOUND = 0.9  # share of a label at which the precision is read
MARKS = (0.7, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.95, 0.97, 0.99)  # accuracies whose time is told
SHARES = tuple(float(share) for share in np.linspace(0.05, 1, 96))  # of the reviews, that are answered

Network = tuple[str, Facts, tuple[Epoch, ...]]  # its name, empty if it is alone


def learning(runs: Sequence[Facts], what: str) -> Chart:
    """Draw "loss" or "accuracy" by epoch: of one network in training and validation, of several in validation."""
    networks = list(_networks(runs))
    alone = len(networks) == 1
    drawn = []
    for number, (name, facts, epochs) in enumerate(networks):
        x, mark = [float(each.epoch) for each in epochs], _kept(facts, epochs)
        values = [float(getattr(each, f"val_{what}")) for each in epochs]
        if alone:
            drawn.append(Line("training", x, [float(getattr(each, what)) for each in epochs], 0, dash=1))
        drawn.append(Line("validation" if alone else name, x, values, 1 if alone else number, dash=0, mark=mark))
    says = " ".join(_learned(network, what) for network in networks) + " A star marks the epoch that was kept."
    title = f"{what.capitalize()} by epoch" + ("" if alone else ", on the validation texts")
    loss = Axis("Loss: cross-entropy, nats")
    y = Axis("Accuracy", share=True) if what == "accuracy" else loss
    return Chart(title, says, lines(f"learning-{what}", says, drawn, Axis("Epoch", whole=True), y))


def _networks(runs: Sequence[Facts]) -> Iterator[Network]:
    for facts in runs:
        for number, epochs in enumerate(facts.histories, start=1):
            several = f"network {number}" if len(facts.histories) > 1 else ""
            name = ", ".join(part for part in (facts.name if len(runs) > 1 else "", several) if part)
            if epochs:
                yield name, facts, epochs


def _kept(facts: Facts, epochs: tuple[Epoch, ...]) -> int:
    """Return the place of the epoch that was kept."""
    networks = facts.metrics.get("networks")
    course = networks[facts.histories.index(epochs)] if networks else facts.metrics
    places = [place for place, each in enumerate(epochs) if each.epoch == course.get("best_epoch")]
    return places[0] if places else int(np.argmax([each.val_accuracy for each in epochs]))


def _learned(network: Network, what: str) -> str:
    name, facts, epochs = network
    kept = epochs[_kept(facts, epochs)]
    show = percent if what == "accuracy" else "{:.3f}".format
    first, best, last = (show(getattr(each, f"val_{what}")) for each in (epochs[0], kept, epochs[-1]))
    before = "" if kept is epochs[0] else f"{first} in the first epoch, "
    later = "" if kept is epochs[-1] else f", {last} in the last"
    return f"{name + ': validation' if name else 'Validation'} {what}: {before}{best} in epoch {kept.epoch}{later}."


def time_to_accuracy(runs: Sequence[Facts]) -> Chart | None:
    """Draw the best validation accuracy so far against the seconds since the start; None where no run says when."""
    drawn: list[Line] = []
    said = []
    for name, _, epochs in _networks(runs):
        seconds = [each.elapsed for each in epochs if each.elapsed]
        if len(seconds) < len(epochs):
            continue
        best = np.maximum.accumulate([each.val_accuracy for each in epochs]).tolist()
        drawn.append(Line(name or "best so far", seconds, best, len(drawn), dash=0, stepped=True))
        reached = {mark: seconds[best.index(min(v for v in best if v >= mark))] for mark in MARKS if best[-1] >= mark}
        told = [f"{whole(mark)} after {at:,.0f} s" for mark, at in list(reached.items())[-3:]]
        top = f"{percent(best[-1])} after {seconds[best.index(best[-1])]:,.0f} s"
        said.append(f"{name + ': ' if name else 'Passed: '}{', '.join([*told, top])}.")
    if not drawn:
        return None
    says = " ".join(said) + " Reading the data and all validation are counted."
    x, y = Axis("Time since the start, s", least=0.0), Axis("Best validation accuracy so far", share=True)
    return Chart("Time to accuracy", says, lines("time", says, drawn, x, y))


def operating(runs: Sequence[Facts]) -> list[Chart]:
    """Draw ROC and precision-recall curves: of one run each of its labels, of several a line for each."""
    found = []
    for kind, title in (("roc", "ROC: hits against false alarms"), ("pr", "Precision against recall")):
        drawn: list[Line] = []
        said = []
        for name, curve, area in _curves(runs, kind):
            thin = thinned(curve)
            drawn.append(Line(name, thin.x.tolist(), thin.y.tolist(), len(drawn)))
            said.append(f"{name}: {_read(kind, curve)}{area}.")
        if not drawn:
            continue
        says = " ".join(said)
        x, y = Axis("False alarms among the others", True), Axis("Hits among the label", True)
        if kind == "pr":
            x, y = Axis("Recall", True, least=-0.02, most=1.02), Axis("Precision", True)
        svg = lines(kind, says, drawn, x, y, diagonal="chance" if kind == "roc" else "")
        found.append(Chart(title, says, svg))
    return found


def _curves(runs: Sequence[Facts], kind: str) -> Iterator[tuple[str, Curve, str]]:
    """Yield a name, a curve and its area in words.

    Of two labels it is that of the second; of more that of each, or, of several runs, their mean.
    """
    for facts in runs:
        names = facts.label_names
        two, several = len(names) == 2, len(runs) > 1
        found = {
            label: curve
            for label in ([1] if two else range(len(names)))
            if (curve := _CURVES[kind](facts.labels == label, facts.probabilities[:, label])) is not None
        }
        area = facts.measured.get(f"{kind}_auc") or {"value": None}
        told = f"; area {interval(area, '{:.4f}')}" if area["value"] is not None and (two or several) else ""
        if several and found:
            yield facts.name, next(iter(found.values())) if two else _MEANS[kind](list(found.values())), told
        elif not several:
            yield from ((names[label], curve, told) for label, curve in found.items())


_CURVES = {"roc": roc, "pr": precision_recall}
_MEANS = {"roc": mean_roc, "pr": mean_precision_recall}


def _read(kind: str, curve: Curve) -> str:
    if kind == "roc":
        return f"{percent(highest(curve, FALSE_ALARMS))} are found at {whole(FALSE_ALARMS)} false alarms"
    return f"where {whole(FOUND)} are found, {percent(at_least(curve, FOUND))} of what is called so is"


def reliability(runs: Sequence[Facts]) -> Chart:
    """Draw the share of right answers against their probability: of one run before and after calibration."""
    drawn, said = [], []
    for number, facts in enumerate(runs):
        points = reliability_points(facts.confidence, facts.right)
        x, y, low, high = (list(column) for column in zip(*points, strict=True))
        drawn.append(Line(facts.name if len(runs) > 1 else "as found", x, y, number, low=low, high=high))
        given, right = max(points, key=lambda point: abs(point[0] - point[1]))[:2]
        who = f"{facts.name}: answers" if len(runs) > 1 else "Answers"
        said.append(f"{who} given with {percent(given)} on average are right in {percent(right)}, the widest gap.")
    if len(runs) == 1 and (before := runs[0].uncalibrated) is not None:
        right_before = before.argmax(axis=1) == runs[0].labels
        points = reliability_points(before.max(axis=1), right_before)
        drawn.append(Line("before calibration", [p[0] for p in points], [p[1] for p in points], 1, dash=1))
    least = min(min(line.x) for line in drawn)
    says = " ".join(said) + " On the dotted line probabilities mean what they say."
    x_axis = Axis("Probability of the answer", True, least=least - 0.02, most=1.01)
    svg = lines("reliability", says, drawn, x_axis, Axis("Answers that are right", True), diagonal="as said")
    return Chart("Reliability", says, svg)


def coverage(runs: Sequence[Facts]) -> Chart:
    """Draw the accuracy of the surest answers against how many reviews have one."""
    drawn, said = [], []
    for number, facts in enumerate(runs):
        found = covered.coverage(facts.right, facts.confidence, SHARES)
        x, accuracies = [each.share for each in found], [each.accuracy for each in found]
        y, low, high = ([float(getattr(each, key)) for each in accuracies] for key in ("value", "low", "high"))
        if len(runs) > 1:
            drawn.append(Line(facts.name, x, y, number))
        else:
            drawn.append(Line("accuracy", x, y, low=low, high=high, band=True))
        half = min(range(len(x)), key=lambda place: abs(x[place] - 0.5))
        who = f"{facts.name}: of" if len(runs) > 1 else "Of"
        said.append(
            f"{who} the surest {percent(x[half])} of the answers, {percent(y[half])} are right; of all, "
            f"{percent(y[-1])}."
        )
    says = " ".join(said) + (" The band is the 95 % interval." if len(runs) == 1 else "")
    x_axis, y_axis = Axis(f"{runs[0].unit.capitalize()}s that are answered", True), Axis("Answers that are right", True)
    return Chart("Accuracy against coverage", says, lines("coverage", says, drawn, x_axis, y_axis))


def slices(runs: Sequence[Facts]) -> Chart | None:
    """Draw the accuracy on parts of the reviews; None where no run was judged on them."""
    tables = [{(part["group"], part["name"]): part for part in facts.details.get("slices", [])} for facts in runs]
    groups: dict[str, dict[str, None]] = {}
    for group, name in (key for table in tables for key in table):
        groups.setdefault(group, {})[name] = None
    keys = [(group, name) for group, names in groups.items() for name in names]
    if not keys:
        return None
    rows = [Row(f"by {key[0]}", key[1], [_accuracy(table.get(key)) for table in tables]) for key in keys]
    names = [facts.name if len(runs) > 1 else "" for facts in runs]
    unit = runs[0].unit
    says = " ".join(_extremes(name, table, unit) for name, table in zip(names, tables, strict=True))
    alone = (runs[0].measured["accuracy"]["value"], f"all {unit}s") if len(runs) == 1 else None
    svg = dots("slices", says, rows, [facts.name for facts in runs], Axis("Accuracy", True), alone)
    return Chart(f"Accuracy on parts of the {unit}s", says, svg)


def _accuracy(part: Mapping[str, Any] | None) -> Estimate | None:
    return None if part is None else Estimate(*(part["accuracy"][key] for key in ("value", "low", "high")))


def _extremes(name: str, table: Mapping[tuple[str, str], Mapping[str, Any]], unit: str) -> str:
    if not table:
        return f"{name}: not judged on parts."
    # By the ends of the intervals: a part that is merely small is neither.
    low = min(table, key=lambda key: table[key]["accuracy"]["high"])
    high = max(table, key=lambda key: table[key]["accuracy"]["low"])
    who = f"{name}: weakest" if name else "Weakest"
    size = count(table[low]["reviews"], unit)
    return (
        f"{who} by {low[0]}, {low[1]}: {interval(table[low]['accuracy'])} of {size}; strongest by {high[0]}, "
        f"{high[1]}: {percent(table[high]['accuracy']['value'])}."
    )


def robustness(facts: Facts) -> Chart | None:
    """Draw what is left of the accuracy where texts are not as in training; None where that was not measured."""
    measured = [row for row in facts.robustness if row["group"] != "length"]  # the parts of the reviews have it
    if not measured:
        return None
    rows = [Row(row["group"], row["name"], [Estimate(row["accuracy"], row["low"], row["high"])]) for row in measured]
    worst = min(measured, key=lambda row: row["accuracy"])
    says = f"Weakest: {worst['group']}, {worst['name']}, {interval({**worst, 'value': worst['accuracy']})}."
    svg = dots("robustness", says, rows, [facts.name], Axis("Accuracy", True))
    return Chart("Accuracy on other texts", says, svg)


def course(number: int, title: str, trace: Trace) -> Chart:
    """Draw the probability of the final answer after each word."""
    heights = [trace.start[trace.label], *(word.probability for word in trace.words)]
    line = Line("", [float(at) for at in range(len(heights))], heights)
    says = f"{trace.summary[0].upper()}{trace.summary[1:]}."
    label = trace.label if len(trace.label) <= MOST_LETTERS else f"{trace.label[: MOST_LETTERS - 1]}…"
    y = Axis(f"Probability of {label}", True, least=-0.03, most=1.03)
    return Chart(title, says, lines(f"course-{number}", says, [line], Axis("Words read", whole=True), y, level=0.5))
