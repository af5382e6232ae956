"""Jinja templates → text: one HTML file without script or external resources, or Markdown; all data is escaped.

Here is also how numbers and names of metrics are written: spaces do not break, and a minus is a minus.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rnnsent.errors import count, printable
from rnnsent.evaluation.metrics import METRICS
from rnnsent.runs.schemas import Estimate

if TYPE_CHECKING:
    from jinja2 import Environment

SPACE = "\u00a0"
UNDEFINED = "–"

# An underscore between letters or digits is one; elsewhere it may begin emphasis.
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&#$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def render(template: str, **facts: object) -> str:
    """Return the text of a template; the same facts give the same text.

    Args:
        template: its name in `templates/`.
        facts: what it refers to.
    """
    return _environment().get_template(template).render(**facts)


def markdown(text: object) -> Markup:
    """Return a text as Markdown that shows it on one line, also in a table."""
    return Markup(_MARKDOWN.sub(lambda sign: f"&#{ord(sign[0])};", _one_line(text)))


def code(text: object) -> Markup:
    """Return a text as a Markdown code span."""
    line = _one_line(text)
    fence = "`" * (_longest_run(line) + 1)
    space = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return Markup(f"{fence}{space}{line}{space}{fence}")


def fenced(text: str, language: str) -> Markup:
    """Return a text as a Markdown code block."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return Markup(f"{fence}{language}\n{printable(text, keep=chr(10))}\n{fence}")


def yaml(value: str) -> Markup:
    """Return a text as a double-quoted scalar, the same in every version of YAML."""
    text = json.dumps(value, ensure_ascii=False)
    return Markup("".join(char if " " <= char <= "~" else f"\\U{ord(char):08x}" for char in text))


def _one_line(text: object) -> str:
    return printable(" ".join(str(text).split()))


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("rnnsent.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = (
        metric_name, percent, points, decimal, signed, bounds, percent_estimate, decimal_estimate,
        points_estimate, p_value, size, sizes, duration, integer, markdown, code, fenced, yaml,
    )  # fmt: skip
    environment.filters |= {function.__name__: function for function in filters}
    environment.filters["counted"] = count
    return environment


def _visible(value: Any) -> Any:
    """Return text without what controls a terminal or turns the text direction; Jinja escapes it afterwards."""
    return printable(value, keep="\n") if type(value) is str else value


def metric_name(metric: str) -> str:
    """Return what a metric is called."""
    return getattr(METRICS.get(metric), "title", "") or metric.replace("_", " ")


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share: "93.2 %"."""
    return UNDEFINED if share is None else f"{share * 100:.{digits}f}{SPACE}%"


def points(share: float, digits: int = 1) -> str:
    """Return a difference of shares in percentage points: "+1.2"."""
    return _minus(f"{share * 100:+.{digits}f}")


def decimal(value: float | None) -> str:
    """Return a metric: "0.9321"."""
    return UNDEFINED if value is None else _minus(f"{value:.4f}")


def signed(value: float) -> str:
    """Return a contribution in logits: "+1.25"."""
    return _minus(f"{value:+.2f}")


def bounds(estimate: Estimate) -> str:
    """Return the interval of a metric: "0.9287 … 0.9351"."""
    return UNDEFINED if estimate.low is None else f"{decimal(estimate.low)} … {decimal(estimate.high)}"


def percent_estimate(estimate: Estimate) -> str:
    """Return a share with its interval: "93.2 % [92.9, 93.5]"."""
    return _bracketed(percent(estimate.value), estimate, lambda end: f"{end * 100:.1f}")


def decimal_estimate(estimate: Estimate, *, sign: bool = False) -> str:
    """Return a metric, or with `sign` a difference, with its interval: "0.9321 [0.9287, 0.9351]"."""
    form = "{:+.4f}" if sign else "{:.4f}"
    return _bracketed("" if estimate.value is None else form.format(estimate.value), estimate, form.format)


def points_estimate(estimate: Estimate) -> str:
    """Return a difference of shares with its interval: "+0.50 [−2.00, +3.00]"."""
    return _bracketed(points(estimate.value or 0.0, 2), estimate, lambda end: points(end, 2))


def p_value(value: float) -> str:
    """Return the p-value of a test."""
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def size(number: int) -> str:
    """Return bytes in kB or MB, of 10³ and 10⁶."""
    return f"{number / 1e6:,.1f}{SPACE}MB" if number >= 1e5 else f"{number / 1e3:,.1f}{SPACE}kB"


def sizes(files: Mapping[str, int]) -> str:
    """Return files with their sizes: "vocabulary.json 12.3 kB, weights.safetensors 1.2 MB"."""
    return ", ".join(f"{name} {size(number)}" for name, number in files.items())


def duration(seconds: float) -> str:
    """Return seconds, from two minutes on in minutes."""
    return f"{seconds:,.0f}{SPACE}s" if seconds < 120 else f"{seconds / 60:,.1f}{SPACE}min"


def integer(number: float) -> str:
    """Return a whole number: "25,000"."""
    return f"{number:,.0f}"


def _bracketed(value: str, estimate: Estimate, form: Callable[[float], str]) -> str:
    if estimate.low is None or estimate.high is None:
        return _minus(value) or UNDEFINED
    return _minus(f"{value} [{form(estimate.low)},{SPACE}{form(estimate.high)}]")


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")
