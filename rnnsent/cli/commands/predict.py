"""`rnnsent predict`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnsent.cli.options import RunPath, backend_option, column_number, delimiter_of, require_run, show
from rnnsent.cli.terminal import say

if TYPE_CHECKING:
    from rnnsent.inference.classifier import Answer, Classifier
    from rnnsent.inference.inputs import Reading, Row


@click.command(name="predict")
@click.argument("run", type=RunPath())
@click.argument("texts", metavar="[TEXT]...", nargs=-1)
@click.option("--input", "source", metavar="FILE", help="Texts of a .txt, .csv, .tsv, .jsonl or .parquet; - is stdin.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write there.")
@click.option(
    "--format",
    type=click.Choice(["lines", "csv", "tsv", "jsonl", "parquet"]),
    help="Of the input [by its name; stdin: lines].",
)
@click.option("--text-column", metavar="NAME", help="Name, or number from 1 without a line of names [as in training].")
@click.option("--keep", multiple=True, metavar="NAME", help="Write this column of the input too; all: every one.")
@click.option("--encoding", metavar="NAME", help="Of the input [UTF-8, or by its mark].")
@click.option("--delimiter", metavar="CHARACTER", help="Of a CSV [found].")
@click.option(
    "--abstain-below",
    "least",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="P",
    help="Say abstain where the probability of the label is below P.",
)
@click.option("--force", is_flag=True, help="Replace the file in --output.")
@backend_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a text.")
def command(
    run: Path,
    texts: tuple[str, ...],
    source: str | None,
    output: Path | None,
    format: str | None,
    text_column: str | None,
    keep: tuple[str, ...],
    encoding: str | None,
    delimiter: str | None,
    least: float | None,
    force: bool,
    backend: str,
    as_json: bool,
) -> None:
    """Tell the label of each TEXT, or of each row of a file.

    One row out for each row in, in order: label, probability, and in brackets
    what makes the answer doubtful. --output writes CSV, TSV or JSON Lines by
    its name, each row with its number in the input and the columns to --keep,
    and the same command goes on where it was stopped. What --abstain-below
    gains: rnnsent eval, "by coverage".
    `runs/latest` is the latest run.
    """
    from rnnsent.inference import batch as bulk
    from rnnsent.inference.classifier import load
    from rnnsent.inference.inputs import Reading

    if not texts and source is None:
        require_run(run)
    if bool(texts) == (source is not None):
        raise click.UsageError("give texts, or --input FILE (- is stdin)" + ("; not both" if texts else ""))
    if output is not None and source is None:
        raise click.UsageError("--output is for the rows of --input FILE")
    if keep and not (as_json or (output is not None and output.suffix.lower() != ".txt")):
        raise click.UsageError("--keep is for the rows of --json, or of --output .csv, .tsv or .jsonl")
    if keep and source is None:
        raise click.UsageError("--keep is for the columns of --input FILE")
    if run.is_symlink():
        say(f"run: {run.resolve()}")
    classifier = load(run, backend=backend)
    chance = 1 / len(classifier.label_names)
    if least is not None and least <= chance:
        raise click.UsageError(f"--abstain-below {least:g}: the surest label never has less than {chance:.3g}")
    kept = tuple(column_number(each) or each for each in keep)
    how = Reading(format, encoding, delimiter_of(delimiter), column_number(text_column), kept)
    if output is not None and source is not None:
        _to_file(classifier, run, source, output, how, as_json, force, least)
        return
    for text in texts:
        if _is_file(text):
            say(f"{text} is a file, and its name was read as a text: --input {text} reads the file")
    if source is None:
        _to_stdout(((None, answer) for answer in classifier.stream(texts)), as_json, least)
        return
    found = bulk.open_texts(source, classifier, how)
    if not _to_stdout(found.answers(classifier), as_json, least):
        say(f"{found.table.name}: no texts in it, so no answers")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # longer than any name, or with a null character
        return False


def _to_stdout(given: Iterable[tuple[Row | None, Answer]], as_json: bool, least: float | None) -> int:
    """Print answers, and return how many."""
    from rnnsent.inference import batch as bulk

    number = blank = 0
    for row, answer in given:
        number += 1
        if as_json:
            click.echo(bulk.as_json(answer, least, row))
        else:
            show(bulk.as_line(answer, least))
        blank += answer.blank
    if blank:
        say(bulk.blanks(blank))
    return number


def _to_file(
    classifier: Classifier,
    run: Path,
    source: str,
    output: Path,
    how: Reading,
    as_json: bool,
    force: bool,
    least: float | None,
) -> None:
    from rnnsent.errors import Interrupted
    from rnnsent.files import sha256
    from rnnsent.inference import batch as bulk
    from rnnsent.runs.directory import MANIFEST

    started, first, rows = time.perf_counter(), 0, 0

    def tell(done: int, resumed: bool) -> None:
        nonlocal first, rows
        rows = done
        if resumed:
            first = done
            anew = f"starting anew: what was left of {output} is of another run or input"
            say(f"going on after {done:,} rows of {output}" if done else anew)
        elif sys.stderr.isatty():
            click.echo(f"\r{done:,} rows", nl=False, err=True)

    found = bulk.open_texts(source, classifier, how)
    try:
        name = sha256(run / MANIFEST)
        total, blank = bulk.write_answers(
            classifier, found, output, run=name, json_rows=as_json, replace=force, least=least, tell=tell
        )
    except (KeyboardInterrupt, Interrupted) as stop:
        code = stop.exit_code if isinstance(stop, Interrupted) else 130
        raise Interrupted(f"stopped after {rows:,} rows; the same command goes on from there", code) from None
    seconds = time.perf_counter() - started
    click.echo("\r" if sys.stderr.isatty() else "", nl=False, err=True)
    say(f"{output}: {total:,} rows, {(total - first) / max(seconds, 1e-9):,.0f} rows/s")
    if blank:
        say(bulk.blanks(blank))
