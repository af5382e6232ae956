"""Reports in a real browser: nothing overflows, nothing is loaded, everything can be read, light and dark, on paper."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import SAMPLE_CONFIG, rnnsent
from tests.reported import ENSEMBLE, judged_sample, judged_tickets

pytestmark = pytest.mark.slow  # a browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
PAGES = ("sample", "tickets", "ensemble", "several")
WIDTHS = (320, 360, 1200)

# Of every text that is seen: its color and what is behind it, as WCAG 2 counts contrast; and how large it is.
READABLE = """() => {
  const parse = color => { const n = color.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
  const over = (a, b) => [0, 1, 2].map(k => a[k] * a[3] + b[k] * (1 - a[3]));
  const part = v => v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
  const light = c => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
  const behind = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest('title')) continue;
    const style = getComputedStyle(element), drawn = element.closest('svg');
    const back = behind(drawn ? drawn.parentElement : element);
    const ink = over(parse(drawn ? style.fill : style.color), back);
    const [one, two] = [light(ink), light(back)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize) * (drawn ? drawn.getScreenCTM().a : 1);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    found.push({text: text.slice(0, 40), contrast: (one + 0.05) / (two + 0.05), large, size});
  }
  return found;
}"""

# What of the letters of a chart is cut off by its edge, and which of them lie on others.
CROWDED = """() => [...document.querySelectorAll('svg.chart')].flatMap(svg => {
  const edge = svg.getBoundingClientRect(), bad = [];
  const texts = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  texts.forEach(([text, a], at) => {
    if (a.left < edge.left - 2 || a.right > edge.right + 2 || a.top < edge.top - 2 || a.bottom > edge.bottom + 2)
      bad.push('cut: ' + text);
    for (const [other, b] of texts.slice(at + 1)) {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 1 && high > 4) bad.push(text + ' on ' + other);
    }
  });
  return bad;
})"""

STRUCTURE = """() => {
  const all = selector => [...document.querySelectorAll(selector)];
  const ids = all('[id]').map(e => e.id);
  return {
    nameless: all('svg, img').filter(e => !(e.getAttribute('aria-label') || e.getAttribute('alt') || '').trim()).length,
    twice: ids.filter((id, at) => ids.indexOf(id) !== at),
    headings: all('h1, h2, h3, h4, h5, h6').map(e => Number(e.tagName[1])),
    uncaptioned: all('table').filter(e => !e.caption).length,
    scopeless: all('th').filter(e => !e.scope).length,
    unreachable: all('.scroll').filter(e => e.scrollWidth > e.clientWidth && e.tabIndex < 0).length,
  };
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed: none of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports of one run, of three labels with names that could break a page, of an ensemble, of two runs."""
    folder = tmp_path_factory.mktemp("pages")
    sample = judged_sample(folder, cache)
    other = judged_sample(folder, cache, SAMPLE_CONFIG.replace("cell: gru", "cell: lstm"), "a_name_" + "x" * 60)
    asked = {
        "sample": [sample],
        "tickets": [judged_tickets(folder, cache)],
        "ensemble": [judged_sample(folder, cache, ENSEMBLE, "ensemble")],
        "several": [sample, other],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSENT_CACHE", str(cache))
        assert rnnsent("robustness", str(sample)).exit_code == 0
        for name, found in asked.items():
            result = rnnsent("report", *map(str, found), "-o", str(folder / f"{name}.html"))
            assert result.exit_code == 0, result.stderr
    return {name: folder / f"{name}.html" for name in asked}


@pytest.fixture(params=[(name, width, scheme) for name in PAGES for width in WIDTHS for scheme in ("light", "dark")])
def opened(request: pytest.FixtureRequest, browser: Browser, pages: dict[str, Path]) -> Iterator[Any]:
    """A page in a window, all folded parts open, with what it said and asked for."""
    name, width, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said: list[str] = []
    page.on("console", lambda message: said.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda asked: said.append(asked.url) if asked.url != pages[name].as_uri() else None)
    page.goto(pages[name].as_uri())
    page.evaluate("() => document.querySelectorAll('details').forEach(each => each.open = true)")
    yield page, said
    page.close()


def test_it_fits_and_can_be_read(opened: Any) -> None:
    page, said = opened
    assert said == []
    wide, window = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= window
    texts = page.evaluate(READABLE)
    assert len(texts) > 100
    assert [text for text in texts if text["contrast"] < (3 if text["large"] else 4.5)] == []
    assert [text for text in texts if text["size"] < 9] == []
    assert page.evaluate(CROWDED) == []


def test_it_is_built_for_those_who_do_not_see_it(opened: Any) -> None:
    page, _ = opened
    found = page.evaluate(STRUCTURE)
    headings = found.pop("headings")
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    assert found == {"nameless": 0, "twice": [], "uncaptioned": 0, "scopeless": 0, "unreachable": 0}


@pytest.mark.parametrize("name", PAGES)
def test_on_paper_nothing_is_folded_and_all_is_light(browser: Browser, pages: dict[str, Path], name: str) -> None:
    page = browser.new_page(viewport={"width": 700, "height": 900}, color_scheme="dark")
    page.goto(pages[name].as_uri())
    hidden = "() => [...document.querySelectorAll('details pre')].filter(e => !e.checkVisibility()).length"
    assert page.evaluate(hidden) > 0
    page.emulate_media(media="print")
    assert page.evaluate(hidden) == 0
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert [text for text in page.evaluate(READABLE) if text["contrast"] < (3 if text["large"] else 4.5)] == []
    page.close()
