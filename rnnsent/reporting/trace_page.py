"""A trace as one HTML page: a line of the probability, the shaded words, a table; nothing is loaded from elsewhere."""

from __future__ import annotations

from html import escape

from rnnsent.errors import count, printable
from rnnsent.inference.trace import INTEGRATED_GRADIENTS, Trace, TracedWord, percent
from rnnsent.reporting.html import DEEPEST, document, shaded, shown
from rnnsent.reporting.trace_terminal import TITLES

HEIGHT, TOP, LEFT, RIGHT = 180, 14, 44, 24  # of the plot, in pixels
LABELED = 60  # words up to which every one has its label below the line; of longer texts, those that matter
WIDE, NARROW = 24, 5  # pixels of a word then, and in longer texts
LABEL_HEIGHT, LONGEST_LABEL = 92, 14  # pixels, characters

STYLE = """\
.plot { overflow-x: auto; }
.plot svg { display: block; }
svg text { fill: var(--faint); font-size: 12px; }
svg .turned { fill: var(--ink); font-weight: 700; }
svg .rule { stroke: var(--rule); }
svg .half { stroke-dasharray: 4 4; }
svg .line { fill: none; stroke: var(--ink); stroke-width: 1.5; stroke-linejoin: round; }
svg .for { fill: rgb(var(--for)); }
svg .against { fill: rgb(var(--against)); }
.turn { outline: 2px solid currentColor; }
th:nth-child(2), td:nth-child(2) { text-align: left; }
"""


def render(trace: Trace) -> str:
    """Return a trace as the text of an HTML page."""
    label = shown(trace.label)
    body = [
        f"<h1>{label} {percent(trace.probability)}</h1>",
        f"<p>{shown(trace.summary)}</p>",
        *(f'<p class="note">{shown(note)}</p>' for note in trace.notes()),
        f"<h2>The answer {shown(trace.shown)}</h2>",
        f'<p class="faint">Probability of {label}; {count(len(trace.words), "word")}. Blue where the answer is '
        f"{label}, orange where it is not.</p>",
        f'<div class="plot" tabindex="0" role="region" aria-label="Probability of {label}">{_plot(trace)}</div>',
        *(_words(trace, method) for method in trace.methods),
        _table(trace),
    ]
    title = f"{trace.label} {percent(trace.probability)}: a trace by rnnsent"
    return document(title, STYLE, "\n".join(body))


def _said(trace: Trace, position: int) -> str:
    """Return what is known of the word at `position`, from 1, for a tooltip."""
    word = trace.words[position - 1]
    adds = "".join(f"; {TITLES[method]} {value:+.2f}" for method, value in word.contributions.items())
    unknown = "" if word.known else ", unknown to the network"
    return shown(f"word {position} '{word.word}'{unknown}: {percent(word.probability)} {trace.label}{adds}")


def _plot(trace: Trace) -> str:
    """Return the probability of the final label as an SVG, in pixels, so that its letters never shrink."""
    number = len(trace.words)
    step = WIDE if number <= LABELED else NARROW
    width, height = LEFT + step * number + RIGHT, TOP + HEIGHT + LABEL_HEIGHT
    heights = [trace.start[trace.label], *(word.probability for word in trace.words)]
    points = [(LEFT + step * at, TOP + HEIGHT * (1 - value)) for at, value in enumerate(heights)]
    rules = []
    for share, kind in ((0, ""), (0.5, " half"), (1, "")):
        y = TOP + HEIGHT * (1 - share)
        rules.append(f'<line class="rule{kind}" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:g}" y2="{y:g}"/>')
        rules.append(f'<text x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end">{share:.0%}</text>')
    line = " ".join(f"{x},{y:.1f}" for x, y in points)
    radius = 4 if step == WIDE else 2
    dots = [
        f'<circle class="{"for" if word.label == trace.label else "against"}" cx="{x}" cy="{y:.1f}" r="{radius}">'
        f"<title>{_said(trace, position)}</title></circle>"
        for position, (word, (x, y)) in enumerate(zip(trace.words, points[1:], strict=True), start=1)
    ]
    return "\n".join(
        [
            f'<svg width="{width}" height="{height}" role="img" aria-label="{shown(trace.summary)}">',
            *rules,
            f'<polyline class="line" points="{line}"/>',
            *dots,
            *_labels(trace, step),
            "</svg>",
        ]
    )


def _labels(trace: Trace, step: int) -> list[str]:
    """Return the words below the line: all of a short text; of a long one the turn and the strongest, if apart."""
    turn = None if trace.turn is None else trace.turn.position
    strongest = sorted([*trace.strongest(1), *trace.strongest(-1)], key=lambda found: -abs(found[2]))
    if step == WIDE:
        chosen = list(range(1, len(trace.words) + 1))
    else:
        chosen = []
        for position in [*([turn] if turn else []), *(position for position, _, _ in strongest)]:
            if all(abs(position - other) * step >= 16 for other in chosen):
                chosen.append(position)
    labels = []
    for position in chosen:
        word = printable(trace.words[position - 1].word)
        short = word if len(word) <= LONGEST_LABEL else word[: LONGEST_LABEL - 1] + "…"
        x, y = LEFT + step * position + 4, TOP + HEIGHT + 8
        kind = ' class="turned"' if position == turn else ""
        labels.append(
            f'<text{kind} x="{x}" y="{y}" text-anchor="end" transform="rotate(-90 {x} {y})">{escape(short)}</text>'
        )
    return labels


def _words(trace: Trace, method: str) -> str:
    """Return the text, every word shaded by what it contributes, with a legend and the strongest words."""
    values = trace.contributions(method).tolist()
    most = max(abs(value) for value in values) or 1.0
    spans = shaded(
        [word.word for word in trace.words],
        [word.known for word in trace.words],
        values,
        title=lambda place: _said(trace, place + 1),
        turn=None if trace.turn is None else trace.turn.position - 1,
    )
    label = shown(trace.label)
    legend = (
        f'<p class="faint"><span class="key for" style="--share: {DEEPEST}">speaks for {label}</span> '
        f'<span class="key against" style="--share: {DEEPEST}">speaks against</span>'
        + ("" if all(word.known for word in trace.words) else ' <span class="key unknown">unknown word</span>')
        + (' <span class="key turn">turned here</span>' if trace.turn else "")
        + f" (the deepest: {most:.2f} logits)</p>"
    )
    return "\n".join(
        [
            f"<h2>What each word adds, by {TITLES[method]}</h2>",
            legend,
            f'<p class="words">{spans}</p>',
            f"<dl><dt>for</dt><dd>{_strongest(trace.strongest(1, method))}</dd>",
            f"<dt>against</dt><dd>{_strongest(trace.strongest(-1, method))}</dd></dl>",
            *([f'<p class="faint">{shown(trace.completeness)}</p>'] if method == INTEGRATED_GRADIENTS else []),
        ]
    )


def _strongest(found: list[tuple[int, TracedWord, float]]) -> str:
    named = (f"{shown(word.word)}&nbsp;{value:+.2f}&nbsp;(word&nbsp;{position})" for position, word, value in found)
    return ", ".join(named) or "none"


def _table(trace: Trace) -> str:
    """Return every word with its figures: what tooltips say, for those who have none."""
    heads = ["", "word", shown(trace.label), *(TITLES[method] for method in trace.methods)]
    rows = [
        "<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>",
        f'<tr><td>0</td><td class="faint">before any word</td><td>{percent(trace.start[trace.label])}</td>'
        + "<td></td>" * len(trace.methods)
        + "</tr>",
    ]
    for position, word in enumerate(trace.words, start=1):
        kind = "" if word.known else ' class="unknown"'
        cells = [f"<td>{position}</td>", f"<td><span{kind}>{shown(word.word)}</span></td>"]
        cells.append(f"<td>{percent(word.probability)}</td>")
        cells += [f"<td>{word.contributions[method]:+.2f}</td>" for method in trace.methods]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    table = "\n".join(rows)
    return f"<details><summary>Every word in figures</summary>\n<table>\n{table}\n</table>\n</details>"
