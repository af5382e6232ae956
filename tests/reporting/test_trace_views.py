"""A trace on a terminal, as a page and as a plot."""

from __future__ import annotations

import re
import struct
from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from rnnsent.inference.trace import Trace, trace
from rnnsent.reporting.trace_views import page, png, show
from tests.reporting.test_pages import Page
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


def test_words_show_contributions_without_colors() -> None:
    lines = shown(trace(additive(VALUES), TEXT)).splitlines()
    assert lines[0].replace("\u00a0", " ") == "positive 86 %"
    assert lines[1].startswith("turned at 'great' (word 8): 46")
    assert "  dull[-2.5] bad[-1.0] film the good[+1.5] ‹zz› great[+2.0] great[+2.0]" in lines
    text = " ".join(lines).replace("\u00a0", " ")
    assert "for      great +2.00 (7), great +2.00 (8), good +1.50 (5), the +0.10 (4)" in text
    assert "against  dull -2.50 (1), bad -1.00 (2), ‹zz› -0.25 (6)" in text
    assert "note: 1 of 8 words unknown to the network" in text


def test_chart_is_as_high_as_the_probability() -> None:
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


def test_colors_show_for_and_against(monkeypatch: pytest.MonkeyPatch) -> None:
    found = trace(additive(VALUES), TEXT)
    text = shown(found, colors=True)
    assert f"{ESCAPE}[38;2;255;255;255;48;2;0;114;178mgreat" in text
    assert f"{ESCAPE}[38;2;255;255;255;48;2;179;71;0mdull" in text
    assert "[-2.5]" not in text
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(found, colors=True) == shown(found)


def test_control_characters_are_replaced() -> None:
    assert ESCAPE not in shown(trace(additive(VALUES), EVIL))


def test_page_escapes_everything_and_loads_nothing() -> None:
    network = additive(VALUES, label_names=("<b>bad</b>", '"><img src=x onerror=alert(1)>'))
    found = trace(network, f"good {EVIL}")
    text = page(found)
    parsed = Page(text)
    assert not {"script", "img", "iframe", "b", "object"} & set(parsed.tags)
    # The icon is an empty one in the page itself.
    linked = [value for name, value in parsed.attributes if name in ("href", "src", "srcset")]
    assert [value for value in linked if not value.startswith("#")] == ["data:,"]
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert not re.search(r"https?:|url\((?!#)|@import", text)
    assert "default-src 'none'" in str(parsed.attributes)
    assert {"<script>alert(1)</script>", "&amp;", '"quoted"', "漢字"} <= set(parsed.text.split())
    assert text.startswith("<!doctype html>") and ESCAPE not in text


def test_page_shows_every_word_with_its_figures() -> None:
    text = page(trace(additive(VALUES), TEXT))
    parsed = Page(text)
    titles = [value for name, value in parsed.attributes if name == "title"]
    assert "word 6, unknown: 10\u00a0% positive; occlusion −0.25" in titles
    shares = [value for name, value in parsed.attributes if name == "style" and value.startswith("--share")]
    assert shares[2:4] == ["--share: 0.60", "--share: 0.24"]  # after the legend's two: dull, bad
    assert parsed.tags.count("tr") == 1 + 1 + 8
    assert 'class="for turn"' in text
    assert len(re.findall(r"<text[^>]*>(?:dull|bad|film|zz|great)</text>", text)) == 6


def test_both_methods_on_page_and_terminal() -> None:
    found = trace(random_network("recurrent: [{cell: gru, units: 3}]"), "the good film", method="both")
    for text in (shown(found), page(found)):
        assert "by occlusion" in text and "by integrated gradients" in text
        assert "they add up to" in " ".join(text.split())


def size(image: bytes) -> tuple[int, int]:
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", image[16:24])
    return width, height


@pytest.mark.parametrize("found", [trace(additive(VALUES), TEXT), trace(additive(VALUES), EVIL), long_trace(500)])
def test_plot_is_a_png_whatever_the_words_are(found: Any) -> None:
    width, height = size(png(found))
    assert 700 <= width <= 2000 and 500 <= height <= 900


def test_one_word_without_contribution() -> None:
    found = trace(Answering(lambda ids: (0.5, 0.5)), "one")
    assert found.label == "negative" and found.contributions().tolist() == [0.0]
    assert "for      none" in shown(found)
    assert "none" in page(found)
    size(png(found))
