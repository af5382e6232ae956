"""What the HTML pages of rnnsent have in common: colors for light and dark, escaping, a frame that lets nothing in.

A page is one file: no script, nothing from elsewhere. Whatever comes from data is shown and never obeyed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from rnnsent.errors import printable

# No script at all; an empty icon of its own keeps browsers from asking a server for one.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
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
.words { font-size: 1.15rem; line-height: 1.9; margin: .5rem 0; }
.key { color: var(--ink); white-space: nowrap; }
.words span, .key { padding: .1em .2em; border-radius: .2em; }
.words .for, .key.for { background: rgba(var(--for), var(--share)); }
.words .against, .key.against { background: rgba(var(--against), var(--share)); }
.unknown { text-decoration: underline dotted; text-underline-offset: .2em; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .15rem .4rem; border-bottom: 1px solid var(--rule); }
summary { cursor: pointer; margin-top: 1.8rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; margin: .5rem 0; }
dd { margin: 0; }
"""


def document(title: str, style: str, body: str) -> str:
    """Return a whole page.

    Args:
        title: plain text.
        style: CSS, after that which all pages share.
        body: HTML, in which all text from data was escaped.
    """
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="generator" content="rnnsent">',
        '<link rel="icon" href="data:,">',
        f"<title>{shown(title)}</title>",
        f"<style>\n{STYLE}{style}</style>",
    ]
    parts = ["<!doctype html>", '<html lang="en">', "<head>", *head, "</head>", "<body>", body, "</body>", "</html>"]
    return "\n".join(parts) + "\n"


def shown(text: str) -> str:
    """Return a text as HTML that shows it: escaped, without what steers a terminal or turns what follows around."""
    return escape(printable(text))


def side(value: float) -> str:
    """Return the class of a word that contributes so much."""
    return "for" if value > 0 else "against"


def shaded(
    words: Sequence[str],
    known: Sequence[bool],
    values: Sequence[float],
    *,
    title: Callable[[int], str],
    turn: int | None = None,
) -> str:
    """Return words as HTML, each shaded by what it contributes; the strongest is the deepest.

    Args:
        words, known, values: of each word, whether the network knows it, and what it contributes.
        title: place from 0 → what is said of a word where the pointer rests on it, as HTML.
        turn: the place of the word at which the answer turned.
    """
    most = max((abs(value) for value in values), default=0.0) or 1.0
    spans = []
    for place, (word, value) in enumerate(zip(words, values, strict=True)):
        kinds = [side(value), *([] if known[place] else ["unknown"]), *(["turn"] if place == turn else [])]
        share = f"--share: {DEEPEST * abs(value) / most:.2f}"
        spans.append(f'<span class="{" ".join(kinds)}" style="{share}" title="{title(place)}">{shown(word)}</span>')
    return " ".join(spans)
