"""The two kinds of charts that a report has: lines, and dots with their intervals. Matplotlib draws them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnnsent.errors import printable
from rnnsent.evaluation.intervals import Estimate
from rnnsent.reporting.svg import FONT, INK, RULE, SERIES, figure, inline, width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Series differ by dash and marker too, for those who see no colors and for printers that have none.
DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "D", "^", "v", "P")
LINE_HEIGHT = 2.9  # inches
ROW_HEIGHT, FRAME_HEIGHT = 0.21, 0.75  # of a chart of dots: each row, and what is around them
LEGEND_ROW = 0.2
LABEL_WIDTH, LEGEND_WIDTH, COLUMN_WIDTH = 150, 270, 105  # units, of FONT; the last, of a name in two columns
ACROSS, UP = 46, 28  # characters of an axis, before its name goes on in a second line
DOTTED_TO = 40  # points up to which a line has markers


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: in the legend; "" leaves it out.
        x, y: its points.
        series: which color, from 0.
        dash: which of DASHES; None: that of the series.
        low, high: the ends of each point's interval; None: it has none.
        band: whether intervals are a band, or bars.
        mark: the place of the point that is marked by a star; None: no point.
        stepped: whether y holds until the next x.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    series: int = 0
    dash: int | None = None
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    band: bool = False
    mark: int | None = None
    stepped: bool = False


@dataclass(frozen=True)
class Axis:
    """What an axis shows: its name with the unit, whether that is a share, and where it begins and ends."""

    name: str
    share: bool = False
    whole: bool = False  # numbers only
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Row:
    """One row of a chart of dots: the group it belongs to, its name, and an estimate for each series, or none."""

    group: str
    name: str
    estimates: Sequence[Estimate | None]


def lines(
    name: str,
    says: str,
    drawn: Sequence[Line],
    x: Axis,
    y: Axis,
    *,
    diagonal: str = "",
    level: float | None = None,
) -> str:
    """Draw lines, and return the SVG.

    Args:
        name: of the chart, unique on the page.
        says: what is to be seen.
        drawn: the lines.
        x, y: the axes.
        diagonal: what the line x = y is called, if it is drawn.
        level: a y at which a dotted line goes across.
    """
    named = [each for each in (*(line.name for line in drawn), diagonal) if each]
    listed = len(named) > 1
    with figure(LINE_HEIGHT + (LEGEND_ROW * _rows(named) if listed else 0)) as found:
        axes = found.subplots()
        if diagonal:
            low = max(x.least or 0.0, y.least or 0.0)
            axes.plot([low, 1], [low, 1], color=INK, linestyle=":", linewidth=1, label=diagonal, zorder=1)
        if level is not None:
            axes.axhline(level, color=INK, linestyle=":", linewidth=1, zorder=1)
        for line in drawn:
            _draw(axes, line)
        _name(x, axes.xaxis, ACROSS)
        _name(y, axes.yaxis, UP)
        axes.set_xlim(x.least, x.most)
        axes.set_ylim(y.least, y.most)
        if listed:
            _legend(found, axes)
        return inline(found, name, says)


def _draw(axes: Axes, line: Line) -> None:
    color = SERIES[line.series % len(SERIES)]
    style = DASHES[(line.series if line.dash is None else line.dash) % len(DASHES)]
    marker = MARKERS[line.series % len(MARKERS)] if len(line.x) <= DOTTED_TO else None
    options: dict[str, Any] = {"color": color, "linestyle": style, "marker": marker, "markersize": 4, "linewidth": 1.6}
    if line.stepped:
        options["drawstyle"] = "steps-post"
    axes.plot(line.x, line.y, label=_short(line.name) or "_", zorder=3, **options)
    if line.low is not None and line.high is not None and line.band:
        axes.fill_between(line.x, line.low, line.high, color=color, alpha=0.2, linewidth=0, zorder=2)
    elif line.low is not None and line.high is not None:
        axes.vlines(line.x, line.low, line.high, color=color, linewidth=1.2, zorder=2)
    if line.mark is not None:
        axes.plot([line.x[line.mark]], [line.y[line.mark]], "*", color=color, markersize=12, label="_", zorder=4)


def _name(axis: Axis, on: Any, characters: int) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    on.set_label_text(_wrapped(f"{axis.name}, %" if axis.share else axis.name, characters))
    if axis.share:
        on.set_major_formatter(FuncFormatter(lambda value, _: f"{round(100 * value, 6):g}"))
        on.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    if axis.whole:
        on.set_major_locator(MaxNLocator(8, integer=True))


def _columns(names: Sequence[str]) -> int:
    return 2 if max(width(_short(name)) for name in names) <= COLUMN_WIDTH else 1


def _rows(names: Sequence[str]) -> int:
    return -(-len(names) // _columns(names))


def _legend(found: Figure, axes: Axes) -> None:
    """Put the legend below the axes, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    columns = _columns(labels)
    found.legend(handles, labels, loc="outside lower left", ncols=columns, handlelength=2.6, borderaxespad=0.2)


def dots(
    name: str,
    says: str,
    rows: Sequence[Row],
    series: Sequence[str],
    x: Axis,
    reference: tuple[float, str] | None = None,
) -> str:
    """Draw a row of dots with their intervals for each of `rows`, under the names of their groups; return the SVG.

    Args:
        name, says: as for `lines`.
        rows: of one group after the other.
        series: what each estimate of a row is of.
        x: the axis.
        reference: an x that is drawn as a line from top to bottom, and what it is called.
    """
    places, labels, headings = _layout(rows)
    named = [*(series if len(series) > 1 else ()), *([reference[1]] if reference else [])]
    tall = ROW_HEIGHT * (len(places) + len(headings)) * max(1.0, 0.5 * len(series))
    with figure(FRAME_HEIGHT + tall + (LEGEND_ROW * _rows(named) if named else 0)) as found:
        axes = found.subplots()
        for number, each in enumerate(series):
            shift = 0.0 if len(series) == 1 else (number / (len(series) - 1) - 0.5) * 0.6
            estimates = [row.estimates[number] for row in rows]
            _draw_dots(axes, [at + shift for at in places], estimates, number, each if len(series) > 1 else "")
        if reference:
            axes.axvline(reference[0], color=INK, linestyle=":", linewidth=1, label=reference[1], zorder=0)
        axes.set_yticks([*places, *headings], [*labels, *headings.values()])
        for tick in axes.yaxis.get_ticklabels()[len(places) :]:
            tick.set_fontweight("bold")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.hlines(places, 0, 1, transform=axes.get_yaxis_transform(), color=RULE, linewidth=0.5, zorder=0)
        axes.set_ylim(max([*places, *headings]) + 0.8, min([*places, *headings]) - 0.8)
        _name(x, axes.xaxis, UP)
        axes.set_xlim(x.least, x.most)
        if named:
            _legend(found, axes)
        return inline(found, name, says)


def _draw_dots(
    axes: Axes, places: Sequence[float], estimates: Sequence[Estimate | None], series: int, name: str
) -> None:
    color, marker = SERIES[series % len(SERIES)], MARKERS[series % len(MARKERS)]
    seen: list[tuple[float, Any]] = [
        (at, each) for at, each in zip(places, estimates, strict=True) if each is not None and each.value is not None
    ]
    heights = [at for at, _ in seen]
    axes.hlines(heights, [each.low for _, each in seen], [each.high for _, each in seen], color=color, linewidth=1.6)
    values = [each.value for _, each in seen]
    axes.plot(values, heights, marker, color=color, linestyle="none", markersize=5, label=_short(name) or "_")


def _layout(rows: Sequence[Row]) -> tuple[list[float], list[str], dict[float, str]]:
    """Return where each row is, counted from the top, its label, and where the name of each group stands."""
    places: list[float] = []
    labels: list[str] = []
    headings: dict[float, str] = {}
    at, group = 0.0, ""
    for row in rows:
        if row.group != group:
            group = row.group
            headings[at] = _short(group, LABEL_WIDTH)
            at += 1
        places.append(at)
        labels.append(_short(row.name, LABEL_WIDTH))
        at += 1
    return places, labels, headings


def _short(text: str, most: int = LEGEND_WIDTH) -> str:
    """Return a text from data as one line of at most `most` units."""
    line = printable(" ".join(text.split()))
    # Matplotlib leaves out of a legend what begins with an underscore; a space without width does no harm.
    line = f"\u200b{line}" if line.startswith("_") else line
    if width(line) <= most:
        return line
    kept = next(end for end in range(min(len(line), most), -1, -1) if width(line[:end]) <= most - FONT)
    return f"{line[:kept]}…"


def _wrapped(text: str, characters: int) -> str:
    return textwrap.fill(printable(text), characters)
