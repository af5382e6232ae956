"""`rnnsent trace`."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from pathlib import Path

import click

from rnnsent.cli.options import PAGE, PICTURE, RunPath, backend_option, require_run, write_file
from rnnsent.errors import DataError
from rnnsent.files import json_line


@click.command(name="trace")
@click.argument("run", type=RunPath())
@click.argument("text", required=False)
@click.option("--input", "source", metavar="FILE", help="Read the text from a file; - is stdin.")
@click.option(
    "--method",
    type=click.Choice(["occlusion", "integrated-gradients", "both"]),  # trace.METHODS, which is slow to import
    default="occlusion",
    show_default=True,
    help="Attribution method; integrated gradients need Keras.",
)
@backend_option
@click.option("--html", "page", type=click.Path(path_type=Path), metavar="FILE", help="Write an HTML page as well.")
@click.option("--png", "picture", type=click.Path(path_type=Path), metavar="FILE", help="Write a plot as well.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    run: Path,
    text: str | None,
    source: str | None,
    method: str,
    backend: str,
    page: Path | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Show the prediction after each word of TEXT, and why.

    Shows where the prediction turned, and which words speak for and against
    the predicted label. A TEXT of - is stdin. `runs/latest` is the latest run.
    """
    from rnnsent.inference.classifier import load

    if text is None and source is None:
        require_run(run)
    if (text is None) == (source is None):
        raise click.UsageError("give TEXT (- is stdin), or --input FILE" + ("" if text is None else "; not both"))
    given = _read(source or "-") if text in (None, "-") else os.fsencode(text or "")
    trace = load(run, backend=backend).trace(_decoded(given, source or "TEXT"), method)
    if as_json:
        click.echo(json_line(trace.to_dict()))
    else:
        from rnnsent.reporting.trace_views import show, terminal

        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 gets question marks, not an error
        show(trace, terminal())
    if page is not None:
        from rnnsent.reporting import trace_views

        write_file(page, trace_views.page(trace), PAGE)
    if picture is not None:
        from rnnsent.reporting import trace_views

        write_file(picture, trace_views.png(trace), PICTURE)


def _read(source: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}") from None


def _decoded(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: is not UTF-8 text, at byte {error.start + 1}") from None
