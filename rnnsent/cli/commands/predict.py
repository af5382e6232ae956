"""`rnnsent predict`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli import options
from rnnsent.cli.options import PATH, Command, column, decoded, opened, require_run, show
from rnnsent.cli.terminal import say
from rnnsent.errors import count

if TYPE_CHECKING:
    from rnnsent.inference.batch import Row, Texts
    from rnnsent.inference.classifier import Classifier, Prediction

SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
OUTPUT = click.Path(path_type=Path, dir_okay=False)
MAX_NAME = 256  # characters of a text that may be the name of a file


@click.command(name="predict", cls=Command)
@click.argument("run", type=PATH)
@click.argument("texts", metavar="[TEXT]...", nargs=-1)
@click.option("--input", "source", metavar="FILE", help="Read a file of texts; - is stdin.")
@click.option("--output", type=OUTPUT, metavar="FILE", help="Write a .csv, .tsv or .jsonl file.")
@click.option("--text-column", type=column, metavar="NAME", help="Column of the text.  [default: as in training]")
@click.option("--keep", type=column, multiple=True, metavar="NAME", help="Copy a column to --output or --json, or all.")
@options.reading
@options.thresholds
@click.option("--abstain-below", type=SHARE, metavar="P", help="Print abstain if the probability is below P.")
@click.option("--force", is_flag=True, help="Replace an existing --output file.")
@options.backend
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each text.")
def command(
    run: Path,
    texts: tuple[str, ...],
    source: str | None,
    output: Path | None,
    text_column: str | int | None,
    keep: tuple[str | int, ...],
    threshold: dict[str, float],
    precision: dict[str, float],
    abstain_below: float | None,
    force: bool,
    backend: str,
    as_json: bool,
    **reading: Any,
) -> None:
    """Predict the label of each TEXT, or of each row of a file.

    Print label and probability, one line a text, in order, with warnings in
    brackets. --input reads .txt, .csv, .tsv, .jsonl and .parquet; stdin is
    read as lines, and so is a TEXT of -. --output writes each row with its number in the input and
    the columns of --keep. "by coverage" in rnnsent eval --full shows what
    --abstain-below gains. `runs/latest` is the latest run.

    --threshold 0.3 or LABEL=0.3 predicts a label (of two: the second) from
    that probability on. --precision takes the smallest threshold that reaches
    it on the validation texts of the run. Both are repeatable.
    """
    from rnnsent.inference.batch import open_texts, require_output
    from rnnsent.inference.classifier import load

    if texts == ("-",) and source is None:
        texts, source = (), "-"
    if not texts and source is None:
        require_run(run)
    if bool(texts) == (source is not None):
        raise click.UsageError("give texts (- is stdin), or --input FILE" + ("; not both" if texts else ""))
    if source is None and (keep or output is not None):
        raise click.UsageError("--output and --keep only work with --input FILE")
    if keep and not (as_json or output is not None):
        raise click.UsageError("--keep only works with --json or --output")
    if output is not None and as_json:
        raise click.UsageError("--json only works without --output; --output FILE.jsonl writes JSON")
    if output is not None and source is not None:
        require_output(output, source, force)
    opened_run = opened(run)
    classifier = load(opened_run, backend=backend)
    thresholds, lines, _ = options.chosen_thresholds(opened_run, threshold, precision)
    for line in lines:
        say(line)
    chance = 0.0 if classifier.config.data.targets == "multi" else 1 / len(classifier.label_names)
    if abstain_below is not None and abstain_below <= chance and not thresholds:
        raise click.UsageError(f"--abstain-below {abstain_below:g}: the probability is never below {chance:.3g}")
    if source is None:
        for text in texts:
            if len(text) < MAX_NAME and Path(text.replace("\0", "")).is_file():
                say(f"{text} is a file, and its name was read as a text; --input {text} reads the file")
        predictions = classifier.stream(map(decoded, texts), thresholds)
        _print(((None, prediction) for prediction in predictions), as_json, abstain_below)
        return
    from rnnsent.data.inputs import ReadOptions

    rows = open_texts(source, classifier, ReadOptions.chosen(reading), text_column, keep)
    if output is not None:
        _write(rows, classifier, output, abstain_below, thresholds)
    elif not _print(rows.predictions(classifier, thresholds), as_json, abstain_below):
        say(f"{rows.table.name}: has no texts")
    for why, number in rows.left_out.items():
        say(f"{rows.table.name}: {count(number, 'row')} left out: {why}")


def _print(predictions: Iterable[tuple[Row | None, Prediction]], as_json: bool, abstain_below: float | None) -> int:
    """Print predictions and return how many."""
    from rnnsent.inference import batch

    number = blank = 0
    for row, prediction in predictions:
        number += 1
        blank += prediction.blank
        if as_json:
            click.echo(batch.as_json(prediction, abstain_below, row))
        else:
            show(batch.as_line(prediction, abstain_below))
    _warn_blank(blank)
    return number


def _write(
    rows: Texts, classifier: Classifier, output: Path, abstain_below: float | None, thresholds: dict[str, float]
) -> None:
    from rnnsent.inference.batch import write_predictions

    def progress(number: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{number:,} rows\r", nl=False, err=True)

    started = time.perf_counter()
    number, blank = write_predictions(rows, classifier, output, abstain_below, progress, thresholds)
    say(f"{output}: {count(number, 'row')}, {number / (time.perf_counter() - started):,.0f} rows/s")
    _warn_blank(blank)


def _warn_blank(number: int) -> None:
    if number:
        say(f"{count(number, 'text')} without words: predictions for them say nothing (no words, blank)")
