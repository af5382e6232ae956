"""Messages on stderr."""

from __future__ import annotations

import shutil
import sys
import textwrap

import click

from rnnsent.errors import escaped


def say(message: str) -> None:
    """Print a message, escaped, on stderr; on a terminal lines break between words, except indented ones: commands."""
    lines = escaped(message).split("\n")
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        wrap = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False, subsequent_indent="  ")
        lines = [line if line.startswith(" ") else wrap.fill(line) for line in lines]
    click.echo("\n".join(lines), err=True)
