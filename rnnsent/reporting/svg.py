"""Matplotlib's figures as SVG that stands inside a page: its letters are text, its colors those of the page.

Colors stand in for others: the page decides what ink, grid and the series are in light and in dark.
"""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from rnnsent.errors import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
WIDTH = 4.6  # inches; 72 units each, which is what a narrow phone shows one to one
FONT = 11  # units

INK, RULE = "#010203", "#010204"
# Okabe and Ito's palette (jfly.uni-koeln.de/color), in shades that stand out from the page: see `STYLE` in page.py.
SERIES = tuple(f"#01030{number}" for number in range(1, 7))
_VARIABLES = {INK: "currentColor", RULE: "var(--rule)"} | {
    color: f"var(--s{number})" for number, color in enumerate(SERIES, start=1)
}
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rnnsent",
    "text.parse_math": False,  # names from data may hold dollars
    "font.size": FONT,
    "axes.titlesize": FONT,
    "legend.fontsize": FONT,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def figure(height: float) -> Iterator[Figure]:
    """Yield an empty figure, `height` inches high, to be drawn on and handed to `inline` before the block ends."""
    import matplotlib
    from matplotlib.figure import Figure

    # Figure without pyplot: no global state beside these settings, no display.
    settings: Any = _SETTINGS  # the stubs list every key with a type of its own
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # Measured in a font that may lack a letter; the page's fonts have it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield Figure(figsize=(WIDTH, height), layout="constrained")


def inline(drawn: Figure, name: str, says: str) -> str:
    """Return a figure as an SVG element; the same figure gives the same text.

    Args:
        drawn: within the block of `figure`.
        name: of the chart, unique on the page: all ids begin with it.
        says: what is to be seen, for those who do not see it.
    """
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(buffer.getvalue())
    for child in [child for child in root if child.tag.endswith("metadata")]:
        root.remove(child)
    for defs in root.iter(f"{SVG}defs"):
        for style in defs.findall(f"{SVG}style"):  # it would hold for the whole page
            defs.remove(style)
    used = _names(root, name)
    for element in root.iter():
        _clean(element, used)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {"class": "chart", "role": "img", "aria-label": printable(says)}
    ElementTree.register_namespace("", SVG[1:-1])
    text = ElementTree.tostring(root, encoding="unicode").replace(' xmlns="http://www.w3.org/2000/svg"', "")
    return re.sub(r">\s+<", "><", text).strip()


def width(text: str) -> float:
    """Return how wide a line is, in units, in letters of the font that charts are measured in, which is a wide one."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        measured: float = text_to_path.get_text_width_height_descent(text, FontProperties(size=FONT), False)[0]
    # What the font lacks is measured as a narrow box.
    return measured + sum(FONT / 2 for letter in text if unicodedata.east_asian_width(letter) in "WF")


def _names(root: ElementTree.Element, name: str) -> dict[str, str]:
    """Return a new name for every id that something refers to."""
    found = ElementTree.tostring(root, encoding="unicode")
    referred = dict.fromkeys(re.findall(r'(?:href="|url\()#([\w.-]+)', found))
    return {old: f"{name}-{number}" for number, old in enumerate(referred, start=1)}


def _clean(element: ElementTree.Element, names: dict[str, str]) -> None:
    values = element.attrib
    own = values.pop("id", None)
    if own in names:
        values["id"] = names[own]
    if HREF in values:
        values["href"] = f"#{names[values.pop(HREF)[1:]]}"
    if "clip-path" in values:
        values["clip-path"] = re.sub(r"#([\w.-]+)", lambda found: f"#{names[found[1]]}", values["clip-path"])
    for key in ("d", "x", "y", "transform", "width", "height"):
        if key in values:
            values[key] = _rounded(values[key])
    if values.get("transform", "").startswith("rotate(-0 "):
        del values["transform"]
    if "style" in values:
        values["style"] = _style(values["style"])


def _rounded(numbers: str) -> str:
    flat = " ".join(numbers.split())
    return re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), flat)


def _style(style: str) -> str:
    parts: list[Any] = [part.strip().partition(":") for part in style.split(";") if part.strip()]
    kept = []
    for key, _, value in parts:
        if key == "font-family":
            continue  # the page's
        value = value.strip()
        kept.append(f"{key}:{_VARIABLES.get(value, value)}")
    return ";".join(kept)
