"""`rnnsent predict`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

import click

from rnnsent.commands.options import RunPath, backend_option
from rnnsent.errors import DataError

WARN_UNKNOWN = 0.5  # share of unknown words from which an answer says little


@click.command(name="predict")
@click.argument("run", type=RunPath())
@click.argument("texts", metavar="[TEXT]...", nargs=-1)
@click.option("--input", "source", metavar="FILE", help="A text a line; - is stdin.")
@backend_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a text.")
def command(run: Path, texts: tuple[str, ...], source: str | None, backend: str, as_json: bool) -> None:
    """Tell the label of each TEXT, or of each line of a file.

    Prints one line a text, in order: label, probability, and in brackets what
    makes the answer doubtful. `runs/latest` is the latest run.
    """
    import json

    from rnnsent.classifier import load

    if bool(texts) == (source is not None):
        raise click.UsageError("give texts, or --input FILE (- is stdin); not both")
    classifier = load(run, backend=backend)
    for answer in classifier.stream(texts if source is None else _lines(source)):
        if as_json:
            click.echo(json.dumps(answer.to_dict(), ensure_ascii=False))
            continue
        doubts = ["truncated"] if answer.truncated else []
        if answer.unknown_share >= WARN_UNKNOWN:
            doubts.insert(0, f"{answer.unknown_share:.0%} unknown words")
        click.echo(f"{answer.label}\t{answer.probability:.4f}" + (f"\t({', '.join(doubts)})" if doubts else ""))


def _lines(source: str) -> Iterable[str]:
    """Yield the lines of a UTF-8 file; a line is what ends in a line feed, whatever else Unicode calls a line's end."""
    try:
        with nullcontext(sys.stdin.buffer) if source == "-" else Path(source).open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError:
                    raise DataError(f"{source}:{number}: is not UTF-8 text") from None
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}") from None
