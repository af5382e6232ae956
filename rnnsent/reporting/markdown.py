"""Markdown in which anybody's names can stand: labels, files and commands that are shown and not obeyed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# An underscore between letters or digits is one; elsewhere it may begin emphasis.
_MEANS_SOMETHING = re.compile(r"[\\`*\[\]<>|~&#$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def text(value: str) -> str:
    """Return a text as it stands, on one line, also in a table."""
    return _MEANS_SOMETHING.sub(lambda sign: f"&#{ord(sign[0])};", _one_line(value))


def code(value: str) -> str:
    """Return a text as a span of code; not for tables, where a bar would end the cell."""
    value = _one_line(value)
    fence = "`" * (_longest_run(value) + 1)
    space = " " if value.startswith("`") or value.endswith("`") or not value.strip() else ""
    return f"{fence}{space}{value}{space}{fence}"


def fenced(value: str, language: str) -> Iterator[str]:
    """Yield the lines of a block of code, and an empty one after it."""
    fence = "`" * max(3, _longest_run(value) + 1)
    yield from (f"{fence}{language}", value, fence, "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table whose columns but the first are numbers; the cells are Markdown."""
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'---:|' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _one_line(value: str) -> str:
    return " ".join(value.split())


def _longest_run(value: str) -> int:
    return max((len(run) for run in re.findall("`+", value)), default=0)
