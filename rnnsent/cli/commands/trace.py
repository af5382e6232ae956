"""`rnnsent trace`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from io import TextIOWrapper
from pathlib import Path

import click

from rnnsent.cli.options import PAGE, PICTURE, RunPath, backend_option, require_run, write_file
from rnnsent.errors import DataError
from rnnsent.json_files import json_line

MOST_BYTES = 2**24  # of a text; a longer one is a mistake


@click.command(name="trace")
@click.argument("run", type=RunPath())
@click.argument("text", required=False)
@click.option("--input", "source", metavar="FILE", help="Where the text is, instead of TEXT; - is stdin.")
@click.option(
    "--method",
    type=click.Choice(["occlusion", "integrated-gradients", "both"]),  # trace.METHODS, which is slow to import
    default="occlusion",
    show_default=True,
    help="How a word's contribution is computed; integrated gradients need Keras.",
)
@backend_option
@click.option("--html", "page", type=click.Path(path_type=Path), metavar="FILE", help="Write a page as well.")
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
    """Follow a run through TEXT: its answer after each word, and why.

    Shows where the answer turned, which words speak for it and which against.
    A TEXT of - is stdin. `runs/latest` is the latest run.
    """
    from rnnsent.inference.classifier import load

    if text is None and source is None:
        require_run(run)
    if (text is None) == (source is None):
        raise click.UsageError("give TEXT (- is stdin), or --input FILE" + ("" if text is None else "; not both"))
    given = _checked(text) if text not in (None, "-") else _read(source or "-")
    traced = load(run, backend=backend).trace(given, method)
    if as_json:
        click.echo(json_line(traced.to_dict()))
    else:
        from rnnsent.reporting.trace_views import show, terminal

        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 gets question marks, not an error
        show(traced, terminal())
    if page is not None:
        from rnnsent.reporting import trace_views

        write_file(page, trace_views.page(traced), PAGE)
    if picture is not None:
        from rnnsent.reporting import trace_views

        write_file(picture, trace_views.png(traced), PICTURE)


def _checked(text: str | None) -> str:
    """Return an argument, unless it has bytes that are no UTF-8, which Python hands on as lone surrogates."""
    assert text is not None
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError("TEXT is not UTF-8 text") from None
    return text


def _read(source: str) -> str:
    if Path(source).suffix.lower() in (".csv", ".tsv", ".jsonl", ".parquet", ".gz"):
        raise DataError(f"{source}: is a table; trace reads a file as one text, so name the text itself")
    try:
        with nullcontext(sys.stdin.buffer) if source == "-" else Path(source).open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise DataError(f"{source}: has more than {MOST_BYTES >> 20} MiB; one text is traced at a time")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: is not UTF-8 text, at byte {error.start + 1}") from None
