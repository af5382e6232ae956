"""A trace on a terminal, as an HTML page and as a PNG plot."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rnnsent.errors import count, printable
from rnnsent.inference.trace import INTEGRATED_GRADIENTS, OCCLUSION, Trace, percent
from rnnsent.reporting.pages import render, signed
from rnnsent.reporting.svg import PAGE, PAPER, Palette, new_figure, to_svg

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.console import Console

Part = tuple[str, str]  # text and rich style
Line = list[Part]

METHODS = {OCCLUSION: "occlusion", INTEGRATED_GRADIENTS: "integrated gradients"}

OPACITY = 0.6  # of the strongest word on a page: its letters stay readable
MAX_LABELED = 60  # words up to which a plot names every word; of longer texts it names the strongest
MAX_LABEL = 16  # characters

MAX_WIDTH = 100  # columns of a terminal: longer lines are hard to read
CHART_ROWS, MAX_STRIPS = 4, 6  # height of a chart, and how many of them before a column stands for several words
AXIS = 7  # columns left of a chart
MAX_WORD_WIDTH = 3  # columns of one word in a chart
BLOCKS = " ▁▂▃▄▅▆▇█"
NOTABLE = 0.2  # share of the strongest contribution from which a word shows its own

# Blue and vermilion of Okabe and Ito's palette, each with its own foreground: the terminal's background can be light or
# dark. From the share of the strongest contribution on.
SHADES = {
    1: ((0.6, "#ffffff on #0072b2"), (0.25, "#000000 on #7fbfe6"), (0.08, "#000000 on #d3e9f6")),
    -1: ((0.6, "#ffffff on #b34700"), (0.25, "#000000 on #f0a978"), (0.08, "#000000 on #fae0cf")),
}
BARS = {True: "#2b93d1", False: "#d55e00"}


@dataclass(frozen=True)
class ShadedWord:
    """A word on a page: its CSS classes, the opacity of its shade, and its figures as a title."""

    text: str
    kinds: str
    opacity: str
    title: str


def shaded_words(trace: Trace, method: str | None = None) -> list[ShadedWord]:
    """Return the words of a trace, shaded by their contributions; the strongest has `OPACITY`."""
    values = trace.contributions(method).tolist()
    largest = max(map(abs, values)) or 1.0
    words = []
    for position, (word, value) in enumerate(zip(trace.words, values, strict=True), start=1):
        kinds = ["for" if value > 0 else "against"]
        kinds += ["unknown"] * (not word.known) + ["turn"] * (position == trace.turn)
        unknown = "" if word.known else ", unknown"
        after = f"{percent(word.probability)} {trace.label}"
        contributions = "".join(f"; {METHODS[name]} {signed(value)}" for name, value in word.contributions.items())
        title = f"word {position}{unknown}: {after}{contributions}"
        words.append(ShadedWord(word.word, " ".join(kinds), f"{OPACITY * abs(value) / largest:.2f}", title))
    return words


def page(trace: Trace) -> str:
    """Return a trace as the text of an HTML page."""
    with new_figure(*_size(trace)) as figure:
        _draw(figure, trace, PAGE)
        chart = to_svg(figure, "trace", f"Probability of {trace.label} after each word. {trace.summary}")
    return render(
        "trace.html.j2",
        trace=trace,
        chart=chart,
        width=round(_size(trace)[0] * 72),
        methods=METHODS,
        words={method: shaded_words(trace, method) for method in trace.methods},
        chance=percent,
        opacity=OPACITY,
    )


def png(trace: Trace) -> bytes:
    """Draw the probability of the predicted label after each word, and the contribution of each word."""
    width, height = _size(trace)
    with new_figure(width, height + 0.4, PAPER) as figure:
        title = printable(f"{trace.label} {percent(trace.probability)}: {trace.summary}")
        figure.suptitle(textwrap.fill(title, int(width * 10)))
        _draw(figure, trace, PAPER)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()


def probability_chart(trace: Trace, name: str) -> Markup:
    """Return a small chart of the probability of the predicted label after each word."""
    with new_figure(4.6, 2.0) as figure:
        axes = figure.subplots()
        _draw_probability(axes, trace, PAGE)
        axes.set_xlabel("Words read")
        return to_svg(figure, name, f"Probability of {trace.label} after each word. {trace.summary}")


def _size(trace: Trace) -> tuple[float, float]:
    """Return width and height of a plot in inches."""
    return max(6.0, 0.26 * min(len(trace.words), MAX_LABELED) + 1), 3.2 + 1.5 * len(trace.methods)


def _draw(figure: Figure, trace: Trace, palette: Palette) -> None:
    ratios = [1.4, *[1.0] * len(trace.methods)]
    top, *bars = figure.subplots(1 + len(trace.methods), 1, sharex=True, height_ratios=ratios)
    _draw_probability(top, trace, palette)
    for axes, method in zip(bars, trace.methods, strict=True):
        values = trace.contributions(method).tolist()
        colors = [palette.series[0 if value > 0 else 1] for value in values]
        axes.bar(range(1, len(values) + 1), values, color=colors)
        axes.axhline(0, color=palette.ink, linewidth=0.8)
        axes.set_ylabel(f"{METHODS[method].capitalize()}\n(logits)")
    positions = _named_positions(trace)
    words = [_short(trace.words[position - 1].word) for position in positions]
    bars[-1].set_xticks(positions, words, rotation=90)


def _draw_probability(axes: Axes, trace: Trace, palette: Palette) -> None:
    from matplotlib.ticker import PercentFormatter

    number = len(trace.words)
    values = [trace.start[trace.label], *(word.probability for word in trace.words)]
    axes.plot(range(number + 1), values, color=palette.ink, linewidth=1)
    for predicted, color in zip((True, False), palette.series, strict=False):
        places = [at for at, word in enumerate(trace.words, start=1) if (word.label == trace.label) == predicted]
        size = 4 if number <= MAX_LABELED else 2
        axes.plot(places, [values[at] for at in places], "o", color=color, markersize=size)
    axes.axhline(0.5, color=palette.ink, linewidth=0.8, linestyle=":")
    if trace.turn is not None:
        axes.axvline(trace.turn, color=palette.ink, linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xlim(-0.7, number + 0.7)
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol="\u00a0%"))
    axes.set_ylabel(f"P({_short(trace.label)})")


def _short(text: str) -> str:
    return printable(text) if len(text) <= MAX_LABEL else f"{printable(text[: MAX_LABEL - 1])}…"


def _named_positions(trace: Trace) -> list[int]:
    """Return the positions of the words that a plot names: those that do not cover each other."""
    number = len(trace.words)
    if number <= MAX_LABELED:
        return list(range(1, number + 1))
    positions: list[int] = []
    strongest = [position for position, _, _ in (*trace.strongest(1), *trace.strongest(-1))]
    for position in filter(None, [trace.turn, *strongest]):
        if all(abs(position - other) >= number / MAX_LABELED for other in positions):
            positions.append(position)
    return sorted(positions)


def terminal() -> Console:
    """Return stdout as rich writes to it; a reader may stop, which rich takes for a failure."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Piped()


def show(trace: Trace, console: Console) -> None:
    """Print a trace; on a console without colors, words show their contributions as numbers."""
    from rich.text import Text

    colored = console.is_terminal and not console.no_color and console.color_system is not None
    for line in _lines(trace, min(console.width, MAX_WIDTH), colored):
        text = Text().append_tokens((part, style if colored else "") for part, style in line)
        text.rstrip()
        console.print(text, soft_wrap=True, highlight=False)


def _lines(trace: Trace, width: int, colored: bool) -> list[Line]:
    label = printable(trace.label)
    size, _ = _grouping(len(trace.words), width)
    words = count(len(trace.words), "word") + ("" if size == 1 else f", {size} a column")
    lines = [
        *_wrapped([(f"{label}\u00a0{percent(trace.probability)}", "bold")], width),
        *_wrapped(_plain(trace.summary), width),
        [],
        *_chart(trace, width),
        *_wrapped(_plain(f"probability of {label} after each word ({words})", "dim"), width),
    ]
    for method in trace.methods:
        lines += [[], *_wrapped(_plain(_legend(trace, method, colored), "dim"), width)]
        lines += [[], *_wrapped([("  ", ""), *_shaded(trace, method, colored)], width, indent=2), []]
        lines += [line for sign in (1, -1) for line in _wrapped(_strongest(trace, method, sign), width, indent=9)]
        if method == INTEGRATED_GRADIENTS:
            lines += _wrapped(_plain(trace.completeness, "dim"), width)
    if notes := trace.notes():
        lines += [[], *(line for note in notes for line in _wrapped(_plain(f"note: {note}"), width, indent=6))]
    return lines


def _plain(text: str, style: str = "") -> list[Part]:
    return [(word, style) for word in printable(text).split(" ")]


def _wrapped(parts: Sequence[Part], width: int, indent: int = 0) -> list[Line]:
    """Lay out `parts`, a space between two, in lines of at most `width` cells; all but the first are indented."""
    from rich.cells import cell_len, chop_cells

    lines: list[Line] = [[]]
    column = 0
    for text, style in parts:
        for piece in chop_cells(text, width - indent) if cell_len(text) > width - indent else [text]:
            size = cell_len(piece)
            if lines[-1] and column + 1 + size > width:
                lines.append([(" " * indent, "")])
                column = indent
            elif lines[-1] and not lines[-1][-1][0].isspace():
                lines[-1].append((" ", ""))
                column += 1
            lines[-1].append((piece, style))
            column += size
    return lines


def _word(word: str, known: bool) -> str:
    return printable(word) if known else f"‹{printable(word)}›"


def _legend(trace: Trace, method: str, colored: bool) -> str:
    marks = "blue for it, orange against it" if colored else f"in brackets from {NOTABLE:.0%} of the strongest on"
    unknown = "" if all(word.known for word in trace.words) else "; ‹unknown words›"
    return f"contribution of each word to {trace.label}, in logits, by {METHODS[method]}: {marks}{unknown}"


def _shaded(trace: Trace, method: str, colored: bool) -> list[Part]:
    values = trace.contributions(method).tolist()
    largest = max(map(abs, values)) or 1.0
    parts: list[Part] = []
    for word, value in zip(trace.words, values, strict=True):
        text, share = _word(word.word, word.known), abs(value) / largest
        if not colored and share >= NOTABLE and abs(value) >= 0.05:
            text += f"[{value:+.1f}]"
        parts.append((text, next((style for limit, style in SHADES[1 if value > 0 else -1] if share >= limit), "")))
    return parts


def _strongest(trace: Trace, method: str, sign: Literal[1, -1]) -> list[Part]:
    words = [
        f"{_word(word.word, word.known)}\u00a0{value:+.2f}\u00a0({position})"
        for position, word, value in trace.strongest(sign, method)
    ]
    side = "for" if sign == 1 else "against"
    items = [*(f"{word}," for word in words[:-1]), *words[-1:]] or ["none"]
    return [(side, BARS[sign == 1]), (" " * (8 - len(side)), ""), *((word, "") for word in items)]


def _grouping(words: int, width: int) -> tuple[int, int]:
    """Return how many words share a column, and how many columns a word has; one of them is 1."""
    room = max(width - AXIS, 10)
    return -(-words // (room * MAX_STRIPS)), max(min(room // words, MAX_WORD_WIDTH), 1)


def _chart(trace: Trace, width: int) -> list[Line]:
    """Return the lines of a chart of the predicted label's probability after each word, in strips."""
    size, column_width = _grouping(len(trace.words), width)
    last = range(size - 1, len(trace.words) + size - 1, size)
    columns = [trace.words[min(at, len(trace.words) - 1)] for at in last]
    room = max(width - AXIS, 10) // column_width
    turn = None if trace.turn is None else (trace.turn - 1) // size
    lines: list[Line] = []
    for start in range(0, len(columns), room):
        part = columns[start : start + room]
        lines += _strip([(word.probability, word.label == trace.label) for word in part], column_width)
        lines.append(_ruler(range(start, start + len(part)), size, column_width, turn))
    return lines


def _strip(heights: Sequence[tuple[float, bool]], wide: int) -> list[Line]:
    eighths = [max(round(probability * 8 * CHART_ROWS), 1) for probability, _ in heights]
    lines = []
    for row in reversed(range(CHART_ROWS)):
        axis = {CHART_ROWS - 1: "100 % ", CHART_ROWS // 2 - 1: " 50 % "}.get(row, "      ")
        line: Line = [(f"{axis}│", "dim")]
        for level, (_, predicted) in zip(eighths, heights, strict=True):
            line.append((BLOCKS[min(max(level - 8 * row, 0), 8)] * wide, BARS[predicted]))
        lines.append(line)
    return lines


def _ruler(columns: range, shared: int, wide: int, turn: int | None) -> Line:
    """Return the axis of a strip: the number of its first word, of every tenth column, and where it turned."""
    cells = ["─"] * (len(columns) * wide)
    if turn is not None and turn in columns:
        cells[(turn - columns.start) * wide] = "▲"
    for place, column in enumerate(columns):
        number = str(column * shared + 1) if place == 0 else str((column + 1) * shared)
        cut = slice(place * wide, place * wide + len(number))
        free = cells[cut] == ["─"] * len(number)  # neither the end of the axis nor what stands there already
        if free and (place == 0 or ((column + 1) % 10 == 0 and place * wide >= 6)):
            cells[cut] = number
    return [("  0 % └" + "".join(cells), "dim")]
