"""What people are shown of files: nothing in it gives the terminal an order, or turns a text around."""

from __future__ import annotations

import click


def escaped(message: str) -> str:
    """Return a message with whatever is not to be seen written as Python would: `\\x1b`, `\\u202e`."""
    return "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in message)


def printable(word: str, but: str = "") -> str:
    """Return a word without characters, `but` these, that steer a terminal or turn the direction of what follows."""
    harmless = "\u00a0\u200c\u200d" + but  # a space that does not break, joiners inside emoji and some scripts
    return "".join(char if char.isprintable() or char in harmless else "\ufffd" for char in word)


def say(message: str) -> None:
    """Print a message, escaped, on stderr."""
    click.echo(escaped(message), err=True)
