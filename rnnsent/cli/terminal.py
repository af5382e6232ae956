"""Messages on stderr."""

from __future__ import annotations

import click

from rnnsent.errors import escaped


def say(message: str) -> None:
    """Print a message, escaped, on stderr."""
    click.echo(escaped(message), err=True)
