"""A trace as one HTML page: a line of the probability, the shaded words, a table; nothing is loaded from elsewhere."""

from __future__ import annotations

from html import escape

from rnnsent.errors import count
from rnnsent.tracing.terminal import TITLES, printable
from rnnsent.tracing.trace import INTEGRATED_GRADIENTS, Trace, TracedWord, percent

HEIGHT, TOP, LEFT, RIGHT = 180, 14, 44, 24  # of the plot, in pixels
LABELED = 60  # words up to which every one has its label below the line; of longer texts, those that matter
WIDE, NARROW = 24, 5  # pixels of a word then, and in longer texts
LABEL_HEIGHT, LONGEST_LABEL = 92, 14  # pixels, characters
DEEPEST = 0.6  # opacity of the strongest word: its letters stay readable

STYLE = """\
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --faint: #5d6670; --rule: #d5dae0;
  --for: 0, 114, 178; --against: 213, 94, 0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ebee; --paper: #15181c; --faint: #a0a9b3; --rule: #3a424b; --for: 64, 160, 224;
    --against: 240, 120, 40; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0; line-height: 1.2; }
h2 { font-size: 1.05rem; margin: 1.8rem 0 .3rem; }
p { margin: .3rem 0; }
.faint, .note { color: var(--faint); font-size: .9rem; }
.plot { overflow-x: auto; }
.plot svg { display: block; }
svg text { fill: var(--faint); font-size: 12px; }
svg .turned { fill: var(--ink); font-weight: 700; }
svg .rule { stroke: var(--rule); }
svg .half { stroke-dasharray: 4 4; }
svg .line { fill: none; stroke: var(--ink); stroke-width: 1.5; stroke-linejoin: round; }
svg .for { fill: rgb(var(--for)); }
svg .against { fill: rgb(var(--against)); }
.words { font-size: 1.15rem; line-height: 1.9; margin: .5rem 0; }
.key { color: var(--ink); white-space: nowrap; }
.words span, .key { padding: .1em .2em; border-radius: .2em; }
.words .for, .key.for { background: rgba(var(--for), var(--share)); }
.words .against, .key.against { background: rgba(var(--against), var(--share)); }
.unknown { text-decoration: underline dotted; text-underline-offset: .2em; }
.turn { outline: 2px solid currentColor; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .15rem .4rem; border-bottom: 1px solid var(--rule); }
th:nth-child(2), td:nth-child(2) { text-align: left; }
summary { cursor: pointer; margin-top: 1.8rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; margin: .5rem 0; }
dd { margin: 0; }
"""


def render(trace: Trace) -> str:
    """Return a trace as the text of an HTML page."""
    label = _text(trace.label)
    body = [
        f"<h1>{label} {percent(trace.probability)}</h1>",
        f"<p>{_text(trace.summary)}</p>",
        *(f'<p class="note">{_text(note)}</p>' for note in trace.notes()),
        f"<h2>The answer {_text(trace.shown)}</h2>",
        f'<p class="faint">Probability of {label}; {count(len(trace.words), "word")}. Blue where the answer is '
        f"{label}, orange where it is not.</p>",
        f'<div class="plot" tabindex="0" role="region" aria-label="Probability of {label}">{_plot(trace)}</div>',
        *(_words(trace, method) for method in trace.methods),
        _table(trace),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{label} {percent(trace.probability)}: a trace by rnnsent</title>",
        f"<style>\n{STYLE}</style>",
    ]
    parts = ["<!doctype html>", '<html lang="en">', "<head>", *head, "</head>", "<body>", *body, "</body>", "</html>"]
    return "\n".join(parts) + "\n"


def _text(text: str) -> str:
    return escape(printable(text))


def _said(trace: Trace, position: int) -> str:
    """Return what is known of the word at `position`, from 1, for a tooltip."""
    word = trace.words[position - 1]
    adds = "".join(f"; {TITLES[method]} {value:+.2f}" for method, value in word.contributions.items())
    unknown = "" if word.known else ", unknown to the network"
    return _text(f"word {position} '{word.word}'{unknown}: {percent(word.probability)} {trace.label}{adds}")


def _side(value: float) -> str:
    return "for" if value > 0 else "against"


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
            f'<svg width="{width}" height="{height}" role="img" aria-label="{_text(trace.summary)}">',
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
    spans = []
    for position, (word, value) in enumerate(zip(trace.words, values, strict=True), start=1):
        kinds = [_side(value), *([] if word.known else ["unknown"])]
        if trace.turn is not None and trace.turn.position == position:
            kinds.append("turn")
        share = f"--share: {DEEPEST * abs(value) / most:.2f}"
        title = _said(trace, position)
        spans.append(f'<span class="{" ".join(kinds)}" style="{share}" title="{title}">{_text(word.word)}</span>')
    label = _text(trace.label)
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
            f'<p class="words">{" ".join(spans)}</p>',
            f"<dl><dt>for</dt><dd>{_strongest(trace.strongest(1, method))}</dd>",
            f"<dt>against</dt><dd>{_strongest(trace.strongest(-1, method))}</dd></dl>",
            *([f'<p class="faint">{_text(trace.completeness)}</p>'] if method == INTEGRATED_GRADIENTS else []),
        ]
    )


def _strongest(found: list[tuple[int, TracedWord, float]]) -> str:
    named = (f"{_text(word.word)}&nbsp;{value:+.2f}&nbsp;(word&nbsp;{position})" for position, word, value in found)
    return ", ".join(named) or "none"


def _table(trace: Trace) -> str:
    """Return every word with its figures: what tooltips say, for those who have none."""
    heads = ["", "word", _text(trace.label), *(TITLES[method] for method in trace.methods)]
    rows = [
        "<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>",
        f'<tr><td>0</td><td class="faint">before any word</td><td>{percent(trace.start[trace.label])}</td>'
        + "<td></td>" * len(trace.methods)
        + "</tr>",
    ]
    for position, word in enumerate(trace.words, start=1):
        kind = "" if word.known else ' class="unknown"'
        cells = [f"<td>{position}</td>", f"<td><span{kind}>{_text(word.word)}</span></td>"]
        cells.append(f"<td>{percent(word.probability)}</td>")
        cells += [f"<td>{word.contributions[method]:+.2f}</td>" for method in trace.methods]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    table = "\n".join(rows)
    return f"<details><summary>Every word in figures</summary>\n<table>\n{table}\n</table>\n</details>"
