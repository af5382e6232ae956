"""A report as HTML: one file, no script, nothing from elsewhere; light and dark, on a phone and on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnsent.errors import printable
from rnnsent.files import plain_size
from rnnsent.reporting.blocks import Page
from rnnsent.reporting.html import DEEPEST, document

TEMPLATE = "page.html"
GENERATOR = '<meta name="generator" content="rnnsent">'  # by which a page is known as one of rnnsent's

# Okabe and Ito's palette, in shades that keep 3:1 to the page, light or dark.
STYLE = """\
:root { --s1: #0072b2; --s2: #d55e00; --s3: #009e73; --s4: #cc79a7; --s5: #1b1f24; --s6: #8a6a00; }
@media (prefers-color-scheme: dark) {
  :root { --s1: #56b4e9; --s2: #f0782d; --s3: #00b884; --s4: #d98cb8; --s5: #e8ebee; --s6: #f0e442; }
}
body { max-width: 66rem; }
h2 { font-size: 1.35rem; margin: 2.6rem 0 .5rem; padding-top: .6rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.4rem 0 .2rem; }
p { max-width: 46rem; }
a { color: inherit; }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--s1); outline-offset: 2px; }
.subtitle { font-size: 1.1rem; }
.lead { font-size: 1.1rem; margin: .8rem 0; }
.warning { border-left: .3rem solid var(--s2); padding-left: .7rem; margin: .8rem 0; }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1rem; list-style: none; padding: 0; margin: 1rem 0 0; }
nav a { display: inline-block; padding: .2rem 0; }
.headline { display: flex; flex-wrap: wrap; gap: .6rem 2.4rem; margin: 1rem 0; }
.headline > div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.headline dt { font-size: .95rem; }
.headline dd .value { display: block; font-size: 2.2rem; line-height: 1.15; font-weight: 600; }
.headline > div:first-child .value { font-size: 3.2rem; }
.headline .below { color: var(--faint); font-size: .9rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { width: auto; min-width: min(100%, 24rem); }
caption { text-align: left; padding-bottom: .3rem; color: var(--faint); }
caption span { display: inline-block; position: sticky; left: 0; max-width: min(100%, calc(100vw - 2rem)); }
th, td { vertical-align: top; padding: .25rem .7rem .25rem 0; overflow-wrap: break-word; }
td { white-space: nowrap; }
th { font-weight: 600; }
tbody th { font-weight: 400; }
.left { text-align: left; }
td.left { white-space: normal; overflow-wrap: anywhere; min-width: 8rem; }
td.good { background: rgba(var(--for), var(--share)); padding-left: .7rem; }
td.bad { background: rgba(var(--against), var(--share)); padding-left: .7rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1.6rem 2rem;
  margin: 1rem 0; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .9rem; margin-bottom: .4rem; }
figcaption b { display: block; font-size: 1rem; }
.chart { display: block; width: 100%; max-width: 27rem; height: auto; stroke-linejoin: round; }
.chart text { font-family: system-ui, sans-serif; fill: currentColor; }
.words { font-size: 1rem; line-height: 1.75; }
code { font: .9em ui-monospace, monospace; }
pre { font: .85rem/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: .8rem 0;
  padding: .7rem; border: 1px solid var(--rule); border-radius: .3rem; }
summary { margin-top: 1rem; }
footer { margin-top: 3rem; color: var(--faint); font-size: .9rem; }
@page { margin: 15mm; }
@media print {
  :root { color-scheme: light; --ink: #000; --paper: #fff; --faint: #444; --rule: #bbb; --for: 0, 114, 178;
    --against: 213, 94, 0; --s1: #0072b2; --s2: #d55e00; --s3: #009e73; --s4: #cc79a7; --s5: #000; --s6: #8a6a00; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  .scroll { overflow: visible; }
  .charts { grid-template-columns: 1fr 1fr; }
  figure, tr, .headline { break-inside: avoid; }
  .words { font-size: 9pt; line-height: 1.6; }
  pre { font-size: 7.5pt; line-height: 1.3; }
  h2, h3, caption, summary { break-after: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; opacity: 1; }
  .words span, .key, td { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def render(page: Page, version: str) -> str:
    """Return a report as the text of an HTML page; the same report gives the same text.

    Args:
        page: what is said.
        version: of rnnsent.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("rnnsent.reporting", ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    body = environment.get_template(TEMPLATE).render(page=page, deepest=DEEPEST, version=version)
    return document(f"{page.title}: a report by rnnsent", STYLE, body.strip())


def _harmless(value: Any) -> Any:
    """Return text without what steers a terminal or turns what follows around; Jinja escapes it afterwards."""
    if type(value) is not str:  # what is HTML already is of a type of its own
        return value
    return printable(value, keep="\n")


def is_report(path: Path) -> bool:
    """Return whether a file is a page of rnnsent."""
    try:
        plain_size(path)  # a pipe that nobody writes to holds up whoever opens it
        with path.open("rb") as stream:
            return GENERATOR.encode() in stream.read(1000)
    except OSError:
        return False
