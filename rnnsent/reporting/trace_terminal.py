"""A trace on a terminal: what it says in sentences, a chart of blocks, and the words, shaded where there are colors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from rnnsent.errors import count, printable
from rnnsent.inference.trace import INTEGRATED_GRADIENTS, OCCLUSION, Trace, percent

if TYPE_CHECKING:
    from rich.console import Console

Part = tuple[str, str]  # text and rich style
Line = list[Part]

WIDEST = 100  # columns: longer lines are hard to read
CHART_ROWS, STRIPS = 4, 6  # height of a chart, and how many of them before a column stands for several words
AXIS = 7  # columns left of a chart
WIDEST_WORD = 3  # columns of one word in a chart
BLOCKS = " ▁▂▃▄▅▆▇█"
NOTABLE = 0.2  # share of the strongest contribution from which a word shows its own

# For and against in blue and vermilion, told apart by people who see fewer colors (Okabe and Ito's palette), each with
# its own foreground: the terminal's background can be light or dark. From the share of the strongest contribution on.
SHADES = {
    1: ((0.6, "#ffffff on #0072b2"), (0.25, "#000000 on #7fbfe6"), (0.08, "#000000 on #d3e9f6")),
    -1: ((0.6, "#ffffff on #b34700"), (0.25, "#000000 on #f0a978"), (0.08, "#000000 on #fae0cf")),
}
SIGNS: tuple[Literal[1, -1], ...] = (1, -1)
BARS = {True: "#2b93d1", False: "#d55e00"}
TITLES = {OCCLUSION: "occlusion", INTEGRATED_GRADIENTS: "integrated gradients"}


def terminal() -> Console:
    """Return stdout as rich writes to it; whoever reads it may stop, which rich takes for a failure."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Piped()


def show(trace: Trace, console: Console) -> None:
    """Print a trace, in colors where the console has them; without, the words carry their contributions."""
    from rich.text import Text

    colored = console.is_terminal and not console.no_color and console.color_system is not None
    for line in _lines(trace, min(console.width, WIDEST), colored):
        text = Text().append_tokens((part, style if colored else "") for part, style in line)
        text.rstrip()
        console.print(text, soft_wrap=True, highlight=False)


def shown_word(word: str, known: bool) -> str:
    """Return a word for people; those that the network does not know stand in ‹ ›."""
    return printable(word) if known else f"‹{printable(word)}›"


def _lines(trace: Trace, width: int, colored: bool) -> list[Line]:
    label = printable(trace.label)
    head = [(f"{label}\u00a0{percent(trace.probability)}", "bold")]
    shared, _ = _grouping(len(trace.words), width)
    column = "" if shared == 1 else f", {shared} a column"
    caption = f"probability of {label} {trace.shown} ({count(len(trace.words), 'word')}{column})"
    lines = [
        *_wrapped(head, width),
        *_wrapped(_plain(trace.summary), width),
        [],
        *_chart(trace, width),
        *_wrapped(_plain(caption, "dim"), width),
    ]
    for method in trace.methods:
        lines += [[], *_wrapped(_plain(_legend(trace, method, colored), "dim"), width)]
        lines += [[], *_wrapped([("  ", ""), *_shaded(trace, method, colored)], width, indent=2), []]
        lines += [line for sign in SIGNS for line in _wrapped(_named(trace, method, sign), width, indent=9)]
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
    used = 0
    for text, style in parts:
        for piece in chop_cells(text, width - indent) if cell_len(text) > width - indent else [text]:
            size = cell_len(piece)
            if lines[-1] and used + 1 + size > width:
                lines.append([(" " * indent, "")])
                used = indent
            elif lines[-1] and not lines[-1][-1][0].isspace():
                lines[-1].append((" ", ""))
                used += 1
            lines[-1].append((piece, style))
            used += size
    return lines


def _legend(trace: Trace, method: str, colored: bool) -> str:
    marks = "blue for it, orange against it" if colored else f"in brackets from {NOTABLE:.0%} of the strongest on"
    unknown = "" if all(word.known for word in trace.words) else "; ‹unknown words›"
    return f"what each word adds to {trace.label}, in logits, by {TITLES[method]}: {marks}{unknown}"


def _shaded(trace: Trace, method: str, colored: bool) -> list[Part]:
    values = trace.contributions(method).tolist()
    most = max(abs(value) for value in values) or 1.0
    parts: list[Part] = []
    for word, value in zip(trace.words, values, strict=True):
        shown, share = shown_word(word.word, word.known), abs(value) / most
        if not colored and share >= NOTABLE and abs(value) >= 0.05:
            shown += f"[{value:+.1f}]"
        parts.append((shown, next((style for least, style in SHADES[1 if value > 0 else -1] if share >= least), "")))
    return parts


def _named(trace: Trace, method: str, sign: Literal[1, -1]) -> list[Part]:
    named = [
        f"{shown_word(word.word, word.known)}\u00a0{value:+.2f}\u00a0({position})"
        for position, word, value in trace.strongest(sign, method)
    ]
    side = "for" if sign == 1 else "against"
    listed = [*(f"{one}," for one in named[:-1]), *named[-1:]] or ["none"]
    return [(side, BARS[sign == 1]), (" " * (8 - len(side)), ""), *((one, "") for one in listed)]


def _grouping(words: int, width: int) -> tuple[int, int]:
    """Return how many words share a column, and how many columns a word has; one of them is 1."""
    room = max(width - AXIS, 10)
    return -(-words // (room * STRIPS)), max(min(room // words, WIDEST_WORD), 1)


def _chart(trace: Trace, width: int) -> list[Line]:
    """Return the lines of a chart of the final label's probability after each word, in strips as wide as there is."""
    shared, wide = _grouping(len(trace.words), width)
    last = range(shared - 1, len(trace.words) + shared - 1, shared)
    columns = [trace.words[min(at, len(trace.words) - 1)] for at in last]
    room = max(width - AXIS, 10) // wide
    turn = None if trace.turn is None else (trace.turn.position - 1) // shared
    lines: list[Line] = []
    for start in range(0, len(columns), room):
        part = columns[start : start + room]
        heights = [(word.probability, word.label == trace.label) for word in part]
        lines += _strip(heights, wide)
        lines.append(_ruler(start, len(part), shared, wide, None if turn is None else turn - start))
    return lines


def _strip(heights: Sequence[tuple[float, bool]], wide: int) -> list[Line]:
    eighths = [max(round(probability * 8 * CHART_ROWS), 1) for probability, _ in heights]
    lines = []
    for row in reversed(range(CHART_ROWS)):
        axis = {CHART_ROWS - 1: "100 % ", CHART_ROWS // 2 - 1: " 50 % "}.get(row, "      ")
        line: Line = [(f"{axis}│", "dim")]
        for level, (_, final) in zip(eighths, heights, strict=True):
            line.append((BLOCKS[min(max(level - 8 * row, 0), 8)] * wide, BARS[final]))
        lines.append(line)
    return lines


def _ruler(start: int, columns: int, shared: int, wide: int, turn: int | None) -> Line:
    """Return the axis of a strip: the number of its first word, of every tenth column, and where the answer turned."""
    cells = ["─"] * (columns * wide)
    if turn is not None and 0 <= turn < columns:
        cells[turn * wide] = "▲"
    for at in range(columns):
        number = str((start + at) * shared + 1) if at == 0 else str((start + at + 1) * shared)
        place = slice(at * wide, at * wide + len(number))
        free = cells[place] == ["─"] * len(number)  # neither the end of the axis nor what stands there already
        if free and (at == 0 or ((start + at + 1) % 10 == 0 and at * wide >= 6)):
            cells[place] = number
    return [("  0 % └" + "".join(cells), "dim")]
