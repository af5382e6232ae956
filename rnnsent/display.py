"""How results show themselves: as HTML in a notebook, as tables when they are printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Returns what renders them: the package sets it to import `reporting.notebook`, which is above all that has results.
renderer: Callable[[], Any] = object


class DisplayMixin:
    """Base of results that the renderer can show."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """Return the result as HTML, as notebooks ask for it."""
        html: str = renderer().html(self)
        return html

    def __str__(self) -> str:
        text: str = renderer().text(self)
        return text
