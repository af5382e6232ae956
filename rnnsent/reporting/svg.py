"""Matplotlib figures, and how one becomes an SVG element of a page: its text stays text, its colors are the page's."""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from rnnsent.errors import printable
from rnnsent.evaluation import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FONT_SIZE = 11  # points, which are CSS pixels of the viewBox


@dataclass(frozen=True)
class Palette:
    """The colors of a figure; people with color blindness can tell the series apart (Okabe and Ito's palette)."""

    ink: str
    rule: str
    series: tuple[str, ...]


# Placeholders, which `to_svg` replaces by CSS variables of base.html.j2: a page is light or dark when it is looked at.
PAGE = Palette("#010203", "#010204", tuple(f"#01030{number}" for number in range(1, 7)))
VARIABLES = ("currentColor", "var(--rule)", *(f"var(--s{number})" for number in range(1, len(PAGE.series) + 1)))
PAPER = Palette("#000000", "#d5dae0", ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#1b1f24", "#8a6a00"))


def new_figure(width: float, height: float, palette: Palette = PAGE) -> AbstractContextManager[Figure]:
    """Return a block with an empty figure, in inches; draw on it and save it before the block ends."""
    return plots.new_figure(width, height, _settings(palette))


def to_svg(figure: Figure, name: str, description: str) -> Markup:
    """Return a figure as an SVG element; the same figure gives the same text.

    Args:
        figure: inside the block of `new_figure`.
        name: unique on the page; begins all ids.
        description: for those who do not see it.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    links = set(re.findall(r'(?:href="|url\()#([\w.-]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: f' id="{name}-{match[1]}"' if match[1] in links else "", svg)
    svg = re.sub(r'((?:href="|url\()#)', rf"\1{name}-", svg).replace("xlink:href", "href")
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"| version="[^"]*"', "", svg)
    for color, variable in zip((PAGE.ink, PAGE.rule, *PAGE.series), VARIABLES, strict=True):
        svg = svg.replace(color, variable)
    return Markup(
        svg.replace("<svg", f'<svg class="chart" role="img" aria-label="{escape(printable(description))}"', 1)
    )


def _settings(palette: Palette) -> dict[Any, Any]:
    from cycler import cycler

    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "rnnsent",
        "path.simplify_threshold": 0.3,
        "font.size": FONT_SIZE,
        "legend.frameon": False,
        "legend.handlelength": 2.6,
        "lines.markersize": 4,
        "text.color": palette.ink,
        "axes.prop_cycle": cycler(color=palette.series),
        "axes.labelcolor": palette.ink,
        "axes.edgecolor": palette.ink,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "figure.facecolor": "none" if palette is PAGE else "white",
        "savefig.facecolor": "none" if palette is PAGE else "white",
        "grid.color": palette.rule,
        "grid.linewidth": 0.8,
        "xtick.color": palette.ink,
        "ytick.color": palette.ink,
    }
