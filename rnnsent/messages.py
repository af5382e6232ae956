"""Lines for people, on stderr: nothing that a file says gives the terminal an order, or turns a text around."""

from __future__ import annotations

import click


def escaped(message: str) -> str:
    """Return a message with whatever is not to be seen written as Python would: `\\x1b`, `\\u202e`."""
    return "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in message)


def say(message: str) -> None:
    """Print a message, escaped, on stderr."""
    click.echo(escaped(message), err=True)
