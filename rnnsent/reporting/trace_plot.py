"""A trace as a plot, as PNG bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnsent.errors import printable
from rnnsent.inference.trace import Trace, percent
from rnnsent.reporting.trace_terminal import TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOR, AGAINST = "#0072b2", "#d55e00"  # told apart by people who see fewer colors (Okabe and Ito's palette)
LABELED = 60  # words up to which every one is named on the axis; of longer texts, the strongest are
LONGEST_LABEL = 16
TITLE_WIDTH = 9  # characters an inch


def draw(trace: Trace) -> bytes:
    """Draw the probability of the final label after each word, and below it what each word contributes."""
    # Figure without pyplot: no global state, no display, safe in any thread.
    from matplotlib.figure import Figure

    number = len(trace.words)
    width = min(max(8.0, 0.26 * min(number, LABELED) + 2), 16.0)
    figure = Figure(figsize=(width, 3.4 + 1.7 * len(trace.methods)), dpi=120, layout="constrained")
    ratios = [1.6, *[1.0] * len(trace.methods)]
    line, *bars = figure.subplots(1 + len(trace.methods), 1, sharex=True, height_ratios=ratios)
    _write(
        figure.suptitle(""), f"{trace.label} {percent(trace.probability)}: {trace.summary}", int(width * TITLE_WIDTH)
    )
    _draw_probability(line, trace)
    for axes, method in zip(bars, trace.methods, strict=True):
        values = trace.contributions(method)
        axes.bar(range(1, number + 1), values, color=np.where(values > 0, FOR, AGAINST).tolist())
        axes.axhline(0, color="0.3", linewidth=0.8)
        axes.set_ylabel(f"{TITLES[method].capitalize()}\n(logits)")
    for axes in (line, *bars):
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
        axes.set_xlim(-0.7, number + 0.7)
    _name(bars[-1], trace)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A letter that the font has not is drawn as a box; the page and the terminal have it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw_probability(line: Axes, trace: Trace) -> None:
    from matplotlib.ticker import PercentFormatter

    number = len(trace.words)
    heights = [trace.start[trace.label], *(word.probability for word in trace.words)]
    line.plot(range(number + 1), heights, color="0.3", linewidth=1.2, zorder=1)
    colors = [FOR if word.label == trace.label else AGAINST for word in trace.words]
    line.scatter(range(1, number + 1), heights[1:], c=colors, s=18 if number <= LABELED else 6, zorder=2)
    line.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":")
    line.set_ylim(-0.03, 1.03)
    line.yaxis.set_major_formatter(PercentFormatter(1.0))
    _write(line.set_ylabel(""), f"Probability of {trace.label}", 24)
    if trace.turn is not None:
        line.axvline(trace.turn.position, color="0.3", linewidth=0.8, linestyle="--", zorder=0)


def _write(text: Any, content: str, width: int) -> None:
    """Put plain text where matplotlib would otherwise read $…$ as a formula, wrapped to `width` characters."""
    import textwrap

    text.set_parse_math(False)
    text.set_text(textwrap.fill(printable(content), width))


def _name(axes: Axes, trace: Trace) -> None:
    """Name the words below the axis; of a long text, those with the strongest contributions."""
    number = len(trace.words)
    if number <= LABELED:
        places: Sequence[int] = range(1, number + 1)
    else:
        found = [position for position, _, _ in [*trace.strongest(1), *trace.strongest(-1)]]
        turn = [] if trace.turn is None else [trace.turn.position]
        apart: list[int] = []
        for position in turn + found:
            if all(abs(position - other) >= number / LABELED for other in apart):
                apart.append(position)
        places = sorted(apart)
    words = [printable(trace.words[place - 1].word) for place in places]
    short = [word if len(word) <= LONGEST_LABEL else word[: LONGEST_LABEL - 1] + "…" for word in words]
    axes.set_xticks(places, short, rotation=90, parse_math=False)
