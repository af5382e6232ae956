"""The charts of reports: of one run, or of several in the same axes; each with a sentence on what it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from markupsafe import Markup
from rich.cells import cell_len, set_cell_size

from rnnsent.errors import printable
from rnnsent.evaluation.metrics import coverage, reliability_points
from rnnsent.inference.thresholds import counts_at
from rnnsent.reporting.curves import Curve, macro_average, precision_recall, roc
from rnnsent.reporting.pages import decimal_estimate, percent, percent_estimate
from rnnsent.reporting.svg import PAGE, new_figure, to_svg
from rnnsent.runs.schemas import Epoch, Estimate, SliceAccuracy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rnnsent.evaluation.predictions import Predictions
    from rnnsent.reporting.facts import EvaluationFacts, RunFacts

WIDTH, HEIGHT = 4.6, 2.9  # inches; the width is that of a narrow phone
ROW, FRAME = 0.21, 0.75  # inches of a row of dots, and of what is around them
LEGEND_ROW, LEGEND_CELLS, COLUMN_CELLS = 0.2, 44, 18
LABEL_CELLS = 24
DASHES, MARKERS = ("-", "--", ":", "-."), ("o", "s", "D", "^", "v", "P")  # for those who see no colors
MAX_MARKED = 40  # points of a line with markers
GRID = np.linspace(0.01, 0.99, 99)  # thresholds
MAX_LABELS = 6  # with a chart of their own
FALSE_POSITIVES, RECALL = 0.05, 0.9  # at which curves are quoted
SHARES = tuple(np.linspace(0.05, 1, 96).tolist())

Facts = TypeVar("Facts", bound="RunFacts")


@dataclass(frozen=True)
class Chart:
    """A picture, its title, and in words what it shows."""

    title: str
    description: str
    svg: Markup


def training_curves(runs: Sequence[RunFacts]) -> list[Chart]:
    """Draw loss and accuracy by epoch, and the best validation accuracy by time."""
    return [_by_epoch(runs, "loss"), _by_epoch(runs, "accuracy"), _by_time(runs)]


def operating_curves(runs: Sequence[EvaluationFacts]) -> list[Chart]:
    """Draw ROC and precision–recall curves: of one run each label, of several runs the mean over the labels.

    With two labels it is the second one; none if all texts have the same label.
    """
    kinds = (("roc", "ROC"), ("pr", "Precision–recall"))
    return [chart for kind, title in kinds if (chart := _operating(runs, kind, title)) is not None]


def threshold_curves(facts: EvaluationFacts) -> list[Chart]:
    """Draw precision, recall and F1 of each label by its threshold; of two the second, of many the first ones."""
    names, predictions = facts.label_names, facts.calibrated
    numbers = [1] if len(names) == 2 and predictions.labels.ndim == 1 else range(min(len(names), MAX_LABELS))
    return [_by_threshold(predictions, label, names[label]) for label in numbers]


def _by_threshold(predictions: Predictions, label: int, name: str) -> Chart:
    members = predictions.members(label)
    texts, hits = counts_at(members, predictions.probabilities[:, label], GRID)
    with np.errstate(invalid="ignore"):  # without texts
        lines = {"precision": hits / texts, "recall": hits / members.sum(), "F1": 2 * hits / (texts + members.sum())}

    def draw(axes: Axes) -> Iterator[str]:
        for number, (quantity, values) in enumerate(lines.items()):
            axes.plot(GRID, values, label=quantity, **(_style(number) | {"marker": ""}))
        if members.any():
            best, half = int(np.nanargmax(lines["F1"])), len(GRID) // 2
            for begin, at in (("Highest F1 at", best), ("At", half)):
                values = ", ".join(f"{key} {percent(float(line[at]))}" for key, line in lines.items())
                yield f"{begin} {GRID[at]:.2f}: {values}."
        axes.set_xlabel("Threshold")
        _percent(axes, y="Precision, recall, F1")

    return _chart(f"threshold-{label}", f"Threshold of {_short(name, LABEL_CELLS)}", draw)


def reliability(runs: Sequence[EvaluationFacts]) -> Chart:
    """Draw the accuracy of predictions by their confidence."""

    def draw(axes: Axes) -> Iterator[str]:
        for number, (name, facts) in enumerate(_named(runs)):
            bins = reliability_points(facts.predictions.confidence, facts.predictions.right)
            confidence, accuracy, low, high = np.array(bins).T
            ends, label = [accuracy - low, high - accuracy], _short(name or "accuracy")
            axes.errorbar(confidence, accuracy, yerr=ends, capsize=2, label=label, **_style(number))
            widest = int(np.abs(confidence - accuracy).argmax())
            gap = f"confidence {percent(confidence[widest])}, accuracy {percent(accuracy[widest])}"
            yield _sentence(name, f"Widest gap: {gap}.")
        start = axes.get_xlim()[0]
        axes.plot([start, 1], [start, 1], color=PAGE.ink, linestyle=":", linewidth=1, label="perfect")
        _percent(axes, "Confidence", "Accuracy")

    return _chart("reliability", "Reliability diagram", draw)


def coverage_curve(runs: Sequence[EvaluationFacts]) -> Chart:
    """Draw the accuracy of the most confident predictions by their share."""

    def draw(axes: Axes) -> Iterator[str]:
        for number, (name, facts) in enumerate(_named(runs)):
            rows = coverage(facts.predictions.right, facts.predictions.confidence, SHARES)
            shares = [row.share for row in rows]
            value, low, high = ([getattr(row.accuracy, key) for row in rows] for key in ("value", "low", "high"))
            axes.plot(shares, value, label=_short(facts.name), **(_style(number) | {"marker": ""}))
            if not name:
                axes.fill_between(shares, low, high, alpha=0.2, linewidth=0)
            half = min(range(len(rows)), key=lambda at: abs(shares[at] - 0.5))
            on_half = f"{percent(value[half])} on the most confident {percent(shares[half], 0)}"
            yield _sentence(name, f"{on_half}, {percent(value[-1])} on all.")
        if len(runs) == 1:
            yield "The band is the 95 % interval."
        _percent(axes, "Coverage", "Accuracy")

    return _chart("coverage", "Accuracy by coverage", draw)


def slices(runs: Sequence[EvaluationFacts]) -> Chart:
    """Draw the accuracy on slices of the texts."""
    tables = {name: facts.evaluation.slices for name, facts in _named(runs)}
    return _slices("slices", "Accuracy by slice", tables, runs[0].accuracy.value if len(runs) == 1 else None)


def robustness(facts: EvaluationFacts) -> Chart | None:
    """Draw the accuracy on texts that differ from those of training; None if it was not measured."""
    rows = [] if facts.robustness is None else [row for row in facts.robustness.rows if row.group != "length"]
    return _slices("robustness", "Accuracy on other texts", {"": rows}) if rows else None


def _slices(
    name: str, title: str, tables: Mapping[str, Sequence[SliceAccuracy]], overall: float | None = None
) -> Chart:
    """Draw the accuracies of one run or several, {name: rows}, by slice; a line marks the `overall` accuracy."""
    rows: dict[tuple[str, str], None] = {}
    for group in dict.fromkeys(row.group for table in tables.values() for row in table):
        rows |= {(group, row.name): None for table in tables.values() for row in table if row.group == group}
    heights, headings = _heights(list(rows))

    def draw(axes: Axes) -> Iterator[str]:
        for number, (run, table) in enumerate(tables.items()):
            shift = 0.6 * (number / (len(tables) - 1) - 0.5) if len(tables) > 1 else 0.0
            accuracies = {(row.group, row.name): row.accuracy for row in table}
            places: list[Any] = [
                (at + shift, accuracies[key]) for at, key in zip(heights, rows, strict=True) if key in accuracies
            ]
            ends = np.array([[bar.value - bar.low, bar.high - bar.value] for _, bar in places]).reshape(-1, 2).T
            label, style = _short(run or "slice"), _style(number) | {"linestyle": "none"}
            axes.errorbar([bar.value for _, bar in places], [at for at, _ in places], xerr=ends, label=label, **style)
            yield _sentence(run, _extremes(table))
        if overall is not None:
            axes.axvline(overall, color=PAGE.ink, linestyle=":", linewidth=1, label="all texts", zorder=0)
        names = [_short(text, LABEL_CELLS) for text in (*(name for _, name in rows), *headings.values())]
        axes.set_yticks([*heights, *headings], names)
        for tick in axes.yaxis.get_ticklabels()[len(heights) :]:
            tick.set_fontweight("bold")
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(max(heights, default=0.0) + 0.8, -0.8)
        _percent(axes, "Accuracy")

    return _chart(name, title, draw, FRAME + ROW * max(1.0, 0.5 * len(tables)) * (len(rows) + len(headings)))


def _by_epoch(runs: Sequence[RunFacts], quantity: str) -> Chart:
    networks = list(_networks(runs))
    show = percent if quantity == "accuracy" else "{:.3f}".format

    def draw(axes: Axes) -> Iterator[str]:
        from matplotlib.ticker import MaxNLocator

        for number, (name, epochs, best) in enumerate(networks):
            x, y = [epoch.epoch for epoch in epochs], [getattr(epoch, f"val_{quantity}") for epoch in epochs]
            if not name:
                axes.plot(x, [getattr(epoch, quantity) for epoch in epochs], label="training", **_style(1, len(x)))
            axes.plot(x, y, label=_short(name or "validation"), **_style(number, len(x)))
            axes.plot(x[best], y[best], "*", markersize=12, color=_style(number)["color"])
            first = "" if best == 0 else f"{show(y[0])} in epoch {x[0]}, "
            last = "" if best == len(x) - 1 else f", {show(y[-1])} in epoch {x[-1]}"
            yield f"{_title(name)}{first}{show(y[best])} in epoch {x[best]}{last}."
        yield "A star marks the epoch that was kept."
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        if quantity == "accuracy":
            _percent(axes, y="Accuracy")
        else:
            axes.set_ylabel("Loss")

    title = quantity.capitalize() if any(not name for name, _, _ in networks) else f"Validation {quantity}"
    return _chart(quantity, title, draw)


def _by_time(runs: Sequence[RunFacts]) -> Chart:
    def draw(axes: Axes) -> Iterator[str]:
        for number, (name, epochs, _) in enumerate(_networks(runs)):
            best = np.maximum.accumulate([epoch.val_accuracy for epoch in epochs]).tolist()
            seconds = [epoch.elapsed for epoch in epochs]
            axes.step(seconds, best, where="post", label=_short(name), **_style(number, len(best)))
            at = seconds[best.index(best[-1])]
            yield f"{_title(name)}{percent(best[-1])} after {at:,.0f} s."
        yield "Reading the data and validation are included."
        axes.set_xlim(left=0)
        axes.set_xlabel("Seconds since the start")
        _percent(axes, y="Best validation accuracy")

    return _chart("time", "Time to accuracy", draw)


def _named(runs: Sequence[Facts]) -> list[tuple[str, Facts]]:
    """Return each run after its name; one alone has none."""
    return [(facts.name if len(runs) > 1 else "", facts) for facts in runs]


def _networks(runs: Sequence[RunFacts]) -> Iterator[tuple[str, tuple[Epoch, ...], int]]:
    """Yield name, epochs and index of the best epoch of every network; one alone has no name."""
    for name, facts in _named(runs):
        for number, epochs in enumerate(facts.histories):
            network = f"network {number + 1}" if len(facts.histories) > 1 else ""
            if epochs:
                yield ", ".join(part for part in (name, network) if part), epochs, facts.best_epoch(number)


def _operating(runs: Sequence[EvaluationFacts], kind: str, title: str) -> Chart | None:
    curves = [(name, curve, area) for facts in runs for name, curve, area in _curves(facts, kind, len(runs) > 1)]
    if not curves:
        return None

    def draw(axes: Axes) -> Iterator[str]:
        for number, (name, curve, area) in enumerate(curves):
            axes.plot(curve.x, curve.y, label=_short(name), **(_style(number) | {"marker": ""}))
            if kind == "roc":
                rate = percent(curve.at(FALSE_POSITIVES))
                point = f"true positive rate {rate} at a false positive rate of {percent(FALSE_POSITIVES, 0)}"
            else:
                point = f"precision {percent(curve.at(RECALL))} at a recall of {percent(RECALL, 0)}"
            yield f"{name}: {point}{'' if area is None else f', area {decimal_estimate(area)}'}."
        if kind == "roc":
            axes.plot([0, 1], [0, 1], color=PAGE.ink, linestyle=":", linewidth=1, label="chance")
        _percent(axes, *(("False positive rate", "True positive rate") if kind == "roc" else ("Recall", "Precision")))

    return _chart(kind, title, draw)


def _curves(facts: EvaluationFacts, kind: str, several: bool) -> Iterator[tuple[str, Curve, Estimate | None]]:
    """Yield name, curve and area: of each label, or with `several` runs of their mean; of two labels the second."""
    names, predictions = facts.label_names, facts.predictions
    function = roc if kind == "roc" else precision_recall
    curves: dict[str, Curve] = {}
    for ranking in predictions.rankings:
        label = ranking.label
        curve = function(predictions.members(label), predictions.probabilities[:, label])
        if curve is not None:
            curves[names[label]] = curve
    area = facts.evaluation.metrics.get(f"{kind}_auc") if len(predictions.rankings) == 1 or several else None
    if not several:
        yield from ((name, curve, area) for name, curve in curves.items())
    elif curves:
        yield facts.name, macro_average(list(curves.values())) if len(curves) > 1 else next(iter(curves.values())), area


def _chart(name: str, title: str, draw: Callable[[Axes], Iterable[str]], height: float = HEIGHT) -> Chart:
    """Draw a chart; `draw` yields the sentences that describe it."""
    with new_figure(WIDTH, height) as figure:
        axes = figure.subplots()
        description = " ".join(draw(axes))
        handles, labels = axes.get_legend_handles_labels()
        if len(labels) > 1:
            columns = 2 if max(map(cell_len, labels)) <= COLUMN_CELLS else 1
            figure.legend(handles, labels, loc="outside lower left", ncols=columns, borderaxespad=0.2)
            figure.set_figheight(height + LEGEND_ROW * -(-len(labels) // columns))
        return Chart(title, description, to_svg(figure, name, f"{title}. {description}"))


def _style(number: int, points: int = 0) -> dict[str, Any]:
    """Return color, dash and marker of a series; long lines have no markers."""
    return {
        "color": PAGE.series[number % len(PAGE.series)],
        "linestyle": DASHES[number % len(DASHES)],
        "marker": MARKERS[number % len(MARKERS)] if points <= MAX_MARKED else "",
    }


def _percent(axes: Axes, x: str = "", y: str = "") -> None:
    """Name axes that show shares."""
    from matplotlib.ticker import FuncFormatter

    for axis, name in ((axes.xaxis, x), (axes.yaxis, y)):
        if name:
            axis.set_label_text(name)
            low, high = axis.get_view_interval()
            axis.axes.set(**{f"{axis.axis_name}lim": (max(low, -0.03), min(high, 1.03))})
            axis.set_major_formatter(FuncFormatter(lambda share, _: f"{round(100 * share, 6):g}\u00a0%"))


def _heights(rows: Sequence[tuple[str, str]]) -> tuple[list[float], dict[float, str]]:
    """Return where each row stands, counted from the top, and the heading of each group."""
    heights: list[float] = []
    headings: dict[float, str] = {}
    for place, (group, _) in enumerate(rows):
        if group not in headings.values():
            headings[float(place + len(headings))] = group
        heights.append(float(place + len(headings)))
    return heights, headings


def _extremes(rows: Sequence[SliceAccuracy]) -> str:
    """Return the weakest and the strongest slice in a sentence, by the ends of their intervals."""
    if not rows:
        return ""
    low = min(rows, key=lambda row: row.accuracy.high or 0.0)
    high = max(rows, key=lambda row: row.accuracy.low or 0.0)
    return (
        f"Lowest: {low.group}, {low.name}, {percent_estimate(low.accuracy)} of {low.texts:,} texts; "
        f"highest: {high.group}, {high.name}, {percent(high.accuracy.value)}."
    )


def _sentence(name: str, text: str) -> str:
    """Return a sentence on one of several runs, with its name."""
    return f"{name}: {text[:1].lower()}{text[1:]}" if name else text


def _title(name: str) -> str:
    return f"{name}: " if name else "Validation: "


def _short(text: str, cells: int = LEGEND_CELLS) -> str:
    """Return a text from data as one line of a limited number of columns."""
    line = printable(" ".join(text.split()))
    # Matplotlib leaves out of a legend what begins with an underscore; a space without width does no harm.
    line = f"\u200b{line}" if line.startswith("_") else line
    return line if cell_len(line) <= cells else f"{set_cell_size(line, cells - 1).rstrip()}…"
