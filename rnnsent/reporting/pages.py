"""Jinja templates → text: one HTML file without script or external resources, or Markdown; all data is escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rnnsent.errors import count, printable
from rnnsent.reporting import number_format

if TYPE_CHECKING:
    from jinja2 import Environment

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
    quoted = json.dumps(value, ensure_ascii=False)
    return Markup("".join(char if " " <= char <= "~" else f"\\U{ord(char):08x}" for char in quoted))


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
    functions: tuple[Callable[..., str], ...] = (
        number_format.metric_name,
        number_format.percent,
        number_format.probability,
        number_format.points,
        number_format.decimal,
        number_format.signed,
        number_format.bounds,
        number_format.percent_estimate,
        number_format.decimal_estimate,
        number_format.points_estimate,
        number_format.p_value,
        number_format.size,
        number_format.duration,
        number_format.integer,
        markdown,
        code,
        fenced,
        yaml,
    )
    environment.filters |= {function.__name__: function for function in functions}
    environment.filters["counted"] = count
    return environment


def _visible(value: Any) -> Any:
    """Return text without what controls a terminal or turns the text direction; Jinja escapes it afterwards."""
    return printable(value, keep="\n") if type(value) is str else value
