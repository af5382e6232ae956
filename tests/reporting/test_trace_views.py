"""A trace on a terminal, as a page and as a plot."""

from __future__ import annotations

import re
import struct
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from rnnsent.errors import printable
from rnnsent.inference.trace import Trace, trace
from rnnsent.reporting.trace_page import render
from rnnsent.reporting.trace_plot import draw
from rnnsent.reporting.trace_terminal import show
from tests.traced import Answering, additive, random_network, scripted

VALUES = {"good": 1.5, "great": 2.0, "bad": -1.0, "dull": -2.5, "the": 0.1, "?": -0.25}
TEXT = "dull bad film the good zz great great"
EVIL = '<script>alert(1)</script> &amp; "quoted" $x^{2$ \x1b[31mred \u202eback 漢字 🙂'
ESCAPE = "\x1b"


def shown(found: Trace, *, width: int = 80, colors: bool = False) -> str:
    stream = StringIO()
    show(found, Console(file=stream, width=width, force_terminal=colors, color_system="truecolor" if colors else None))
    return stream.getvalue()


def long_trace(words: int) -> Trace:
    rng = np.random.default_rng(0)
    return trace(scripted(rng.random(words + 1).tolist()), " ".join(f"word{at % 97}" for at in range(words)))


def test_words_carry_their_contributions_where_there_are_no_colors() -> None:
    lines = shown(trace(additive(VALUES), TEXT)).splitlines()
    assert lines[0].replace("\u00a0", " ") == "positive 86 %"
    assert lines[1].startswith("turned at 'great' (word 8): 46")
    assert "  dull[-2.5] bad[-1.0] film the good[+1.5] ‹zz› great[+2.0] great[+2.0]" in lines
    text = " ".join(lines).replace("\u00a0", " ")
    assert "for      great +2.00 (7), great +2.00 (8), good +1.50 (5), the +0.10 (4)" in text
    assert "against  dull -2.50 (1), bad -1.00 (2), ‹zz› -0.25 (6)" in text
    assert "note: 1 of 8 words unknown to the network" in text


def test_the_chart_is_as_high_as_the_probability() -> None:
    found = trace(scripted([0.5, 0.01, 0.25, 0.5, 0.625, 0.75, 1.0]), "a b c d e f")
    rows = [line.partition("│")[2] for line in shown(found).splitlines() if "│" in line]
    columns = ["".join(row.ljust(18)[at] for row in reversed(rows)) for at in range(0, 18, 3)]
    assert columns == ["▁   ", "█   ", "██  ", "██▄ ", "███ ", "████"]
    assert "  0 % └1" in shown(found) and "▲" in shown(found)


@pytest.mark.parametrize("colors", [False, True])
@pytest.mark.parametrize("width", [40, 80, 100])
def test_no_line_is_wider_than_the_terminal(width: int, colors: bool) -> None:
    network = additive(VALUES, label_names=("negative", "positive"))
    traces = [
        trace(network, TEXT),
        trace(network, EVIL),
        trace(network, "x" * 300 + " 漢字" * 60),
        *(long_trace(words) for words in (1, 70, 71, 2000)),
    ]
    for found in traces:
        text = shown(found, width=width, colors=colors)
        assert max(cell_len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in text.splitlines()) <= width
        assert (ESCAPE in text) == colors


def test_long_texts_have_few_strips_and_every_word() -> None:
    text = shown(long_trace(2000))
    assert text.count("  0 % └") <= 6
    assert "(2,000 words, 5 a column)" in " ".join(text.split())
    assert len(re.findall(r"\bword\d+", text.partition("strongest on")[2].partition("for   ")[0])) == 2000


def test_colors_say_for_and_against(monkeypatch: pytest.MonkeyPatch) -> None:
    found = trace(additive(VALUES), TEXT)
    text = shown(found, colors=True)
    assert f"{ESCAPE}[38;2;255;255;255;48;2;0;114;178mgreat" in text
    assert f"{ESCAPE}[38;2;255;255;255;48;2;179;71;0mdull" in text
    assert "[-2.5]" not in text
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(found, colors=True) == shown(found)


def test_what_steers_a_terminal_is_taken_out() -> None:
    assert printable("a\x1b[31mb\u202ec\nd\u009be") == "a�[31mb�c�d�e"
    assert printable("naïve 漢字 👩\u200d🔬 don't") == "naïve 漢字 👩\u200d🔬 don't"
    assert ESCAPE not in shown(trace(additive(VALUES), EVIL))


class Page(HTMLParser):
    """Collects what a browser would see of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_escapes_everything_and_loads_nothing() -> None:
    network = additive(VALUES, label_names=("<b>bad</b>", '"><img src=x onerror=alert(1)>'))
    found = trace(network, f"good {EVIL}")
    text = render(found)
    page = Page(text)
    assert not {"script", "img", "iframe", "b", "object"} & set(page.tags)
    # The icon is an empty one in the page itself.
    assert [value for name, value in page.attributes if name in ("href", "src", "srcset")] == ["data:,"]
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.search(r"https?:|url\(|@import", text)
    assert "default-src 'none'" in str(page.attributes)
    assert {"<script>alert(1)</script>", "&amp;", '"quoted"', "漢字"} <= set(page.texts)
    assert f"{network.label_names[found.label == network.label_names[1]]} " in "".join(page.texts)
    assert text.startswith("<!doctype html>") and ESCAPE not in text


def test_the_page_shows_every_word_with_its_figures() -> None:
    found = trace(additive(VALUES), TEXT)
    text = render(found)
    page = Page(text)
    assert page.tags.count("circle") == 8
    points = dict(page.attributes)["points"]
    assert points is not None and len(points.split()) == 9  # one before any word
    heights = [float(point.partition(",")[2]) for point in points.split()]
    expected = [14 + 180 * (1 - p) for p in (0.5, *(word.probability for word in found.words))]
    np.testing.assert_allclose(heights, expected, atol=0.06)
    assert "word 1 'dull': 8\u00a0% positive; occlusion -2.50" in page.texts
    titles = [value for name, value in page.attributes if name == "title"]
    assert "word 6 'zz', unknown to the network: 10\u00a0% positive; occlusion -0.25" in titles
    shares = [value for name, value in page.attributes if name == "style"]
    assert shares[2:4] == ["--share: 0.60", "--share: 0.24"]  # after the legend's two: dull, bad
    assert page.tags.count("tr") == 1 + 1 + 8
    assert 'class="for turn"' in text and 'class="turned"' in text
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text


def test_labels_of_long_texts_do_not_cover_each_other() -> None:
    text = render(long_trace(500))
    places = sorted(float(x) for x in re.findall(r'<text[^>]* x="([\d.]+)"[^>]*transform', text))
    assert 1 < len(places) <= 11
    assert min(np.diff(places)) >= 16


def test_both_methods_on_page_and_terminal() -> None:
    found = trace(random_network("recurrent: [{cell: gru, units: 3}]"), "the good film", method="both")
    for text in (shown(found), render(found)):
        assert "by occlusion" in text and "by integrated gradients" in text
        assert "they add up to" in " ".join(text.split())


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.parametrize("found", [trace(additive(VALUES), TEXT), trace(additive(VALUES), EVIL), long_trace(500)])
def test_the_plot_is_a_png_whatever_the_words_are(found: Any) -> None:
    width, height = size(draw(found))
    assert 900 <= width <= 1920 and 500 <= height <= 900


def test_one_word_and_a_network_that_does_not_care() -> None:
    found = trace(Answering(lambda ids: (0.5, 0.5)), "one")
    assert found.label == "negative" and found.contributions().tolist() == [0.0]
    assert "for      none" in shown(found)
    assert "none" in render(found)
    size(draw(found))
