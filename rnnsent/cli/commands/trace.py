"""`rnnsent trace`."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path

import click

from rnnsent.cli import options
from rnnsent.cli.options import PAGE, PATH, PICTURE, Command, decoded, opened, require_named, require_run, write_file
from rnnsent.cli.terminal import say
from rnnsent.errors import DataError

METHODS = ["occlusion", "integrated-gradients", "both"]  # trace.METHODS, which is slow to import
METHOD_HELP = "Attribution method: occlusion, integrated-gradients or both.  [default: occlusion]"


@click.command(name="trace", cls=Command)
@click.argument("run", type=PATH)
@click.argument("text", required=False)
@click.option("--input", "source", metavar="FILE", help="Read the text from a file; - is stdin.")
@click.option("--method", type=click.Choice(METHODS), metavar="METHOD", default=METHODS[0], help=METHOD_HELP)
@click.option("--label", metavar="LABEL", help="Label to explain.  [default: the most probable]")
@options.backend
@click.option("--html", "page", type=PATH, metavar="FILE", help="Write an HTML page, too.")
@click.option("--png", "picture", type=PATH, metavar="FILE", help="Write a plot, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    run: Path,
    text: str | None,
    source: str | None,
    method: str,
    label: str | None,
    backend: str,
    page: Path | None,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Show the prediction after each word of TEXT, and why.

    Show at which word the prediction changed, and which words speak for and
    against the predicted label. Integrated gradients need Keras. A TEXT of -
    is stdin. `runs/latest` is the latest run.
    """
    from rnnsent.files import json_line
    from rnnsent.inference.classifier import load

    if text is None and source is None:
        require_run(run)
    if (text is None) == (source is None):
        raise click.UsageError("give TEXT (- is stdin), or --input FILE" + ("" if text is None else "; not both"))
    require_named(page, PAGE)
    require_named(picture, PICTURE)
    classifier = load(opened(run), backend=backend)
    if label is not None and label not in classifier.label_names:
        raise click.UsageError(f"--label {label}: no such label; use {', '.join(classifier.label_names)}")
    trace = classifier.trace(_text(text, source), method, label)
    if as_json:
        click.echo(json_line(trace.to_dict()))
    else:
        from rnnsent.reporting.trace_views import show, terminal

        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 gets question marks, not an error
        show(trace, terminal())
    if page is not None or picture is not None:
        from rnnsent.reporting import trace_views

        if page is not None:
            write_file(page, trace_views.page(trace), PAGE)
            say(f"written: {page}")
        if picture is not None:
            write_file(picture, trace_views.png(trace), PICTURE)
            say(f"written: {picture}")


def _text(text: str | None, source: str | None) -> str:
    """Return TEXT, or what stdin or a file holds."""
    if source is None and text != "-":
        return decoded(text or "")
    place = source or "-"
    try:
        content = sys.stdin.buffer.read() if place == "-" else Path(place).read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{place}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{place}: is not UTF-8 text, at byte {error.start + 1}") from None
