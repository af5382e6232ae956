"""How results show themselves: as HTML in a notebook, as tables when they are printed."""

from __future__ import annotations


class DisplayMixin:
    """Base of results that `reporting.notebook` can show. Nothing else imports upward."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """Return the result as HTML, as notebooks ask for it."""
        from rnnsent.reporting.notebook import html

        return html(self)

    def __str__(self) -> str:
        from rnnsent.reporting.notebook import text

        return text(self)
