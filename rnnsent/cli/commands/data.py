"""`rnnsent data`."""

from __future__ import annotations

import json
import shlex
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli import options
from rnnsent.cli.options import PATH, Command, opened, overrides, show
from rnnsent.errors import count
from rnnsent.reporting.tables import paragraph

if TYPE_CHECKING:
    from rnnsent.data.statistics import DatasetFacts, SplitFacts
    from rnnsent.evaluation.suspects import Suspects

MEANINGS = {"contradicting": "rows whose text also has another label"}
MAX_BAR = 40  # characters
OUTPUT = "suspects.csv"
MAX_PAIRS, MAX_SHOWN, MAX_TEXT = 6, 3, 72  # on the screen: pairs of labels, rows, characters of a text


@click.group(name="data")
def command() -> None:
    """Describe data sets."""


@command.command(cls=Command)
@click.argument("sources", metavar="[SOURCE]...", nargs=-1)
@click.option("--config", "name", default="lstm", metavar="NAME", help="Config of the encoding.  [default: lstm]")
@options.settings
@options.table
@options.as_json
def info(sources: tuple[str, ...], name: str, as_json: bool, **settings: Any) -> None:
    """Show counts, lengths, unknown words and duplicates of SOURCE.

    SOURCE is imdb, sample, or the path of imdb.npz or of a table or folder of
    texts; several files are read as one table.
    [default: the data of the config]
    """
    from rnnsent.cli.progress import reading_progress
    from rnnsent.config.loader import load_config
    from rnnsent.data.sources import load_dataset
    from rnnsent.data.statistics import describe

    config = load_config(name, overrides(data=sources, **settings) | {"data.fallback": None})
    with reading_progress() as progress:
        facts = describe(load_dataset(config.data, progress=progress), config)
    if as_json:
        click.echo(json.dumps(asdict(facts)))
    else:
        show("\n".join(report(facts)))


@command.command(cls=Command)
@click.argument("sources", metavar="[SOURCE]...", nargs=-1)
@click.option("--run", "path", type=PATH, metavar="RUN", help="Use the probabilities of RUN.  [default: n-grams]")
@click.option("--config", "name", metavar="NAME", help="Config that names the data.  [default: lstm]")
@options.settings
@options.table
@click.option("--output", type=PATH, default=OUTPUT, metavar="FILE", help=f"Table to write.  [default: {OUTPUT}]")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Write the N most suspicious rows.  [default: all]")
@click.option("--force", is_flag=True, help="Replace the table.")
@options.as_json
def suspects(
    sources: tuple[str, ...],
    path: Path | None,
    name: str | None,
    output: Path,
    limit: int | None,
    force: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Find labels of SOURCE that are probably wrong.

    Write a table to look through: unlikely labels, by confident learning on
    the probabilities of an n-gram regression that did not see the label
    (five folds), and all rows of texts with different labels. Fill in
    correct_label, or drop, and use it: `--corrections suspects.csv`.

    `--run RUN` checks only texts that RUN was not trained on, by default
    those of its own data. Needs cleanlab: pip install 'rnnsent[suspects]'.
    """
    from rnnsent.cli.progress import reading_progress
    from rnnsent.config.loader import load_config
    from rnnsent.evaluation.suspects import find_suspects, require_table

    require_table(output, replace=force)
    changes = overrides(data=sources, **settings)
    if path is not None and not sources and (changes or name):
        raise click.UsageError("--run without SOURCE checks the data of the run: options for a table need SOURCE")
    run = None if path is None else opened(path)
    own = run is not None and not sources
    config = None if own else load_config(name or "lstm", changes | {"data.fallback": None}).data
    with reading_progress() as progress:
        result = find_suspects(config, run, progress=progress)
    written = result.write(output, limit=limit, replace=force)
    if as_json:
        pairs = [{"label": pair[0], "suggested_label": pair[1], "rows": rows} for pair, rows in result.pairs().items()]
        facts = {"checked": result.checked, "unlikely": result.unlikely, "share": result.share, "pairs": pairs}
        click.echo(json.dumps({"table": str(output), "rows": written, **facts, "not_checked": result.not_checked}))
        return
    retrain = f"rnnsent train --data {shlex.join(sources)}" if sources else "rnnsent train …"
    show("\n".join(suspect_lines(result)))
    if not written:
        return
    show(
        f"\n{output}: {count(written, 'row')}. Fill in correct_label if the label is wrong (drop leaves\n"
        f"the row out), then: {retrain} --corrections {shlex.quote(str(output))}"
    )


def suspect_lines(result: Suspects) -> list[str]:
    """Return which labels are suspicious, on one screen."""
    from rnnsent.evaluation.suspects import DUPLICATE

    duplicates = [row for row in result.rows if row.reason == DUPLICATE]
    lines = [
        f"{result.name}: {count(result.checked, 'label')} checked, {result.unlikely:,} unlikely",
        f"  estimated share of wrong labels: {result.share:.1%} (confident learning)",
    ]
    if duplicates:
        texts = count(len({row.group for row in duplicates}), "text")
        lines.append(f"  {texts} with different labels: {count(len(duplicates), 'row')}, all listed")
    if tests := sum(row.split == "test" for row in result.rows):
        lines.append(f"  of the test split: {count(tests, 'row')}; it is corrected only by what you fill in there")
    lines += [f"  not checked: {number:,} {why}" for why, number in result.not_checked.items()][:MAX_PAIRS]
    pairs = list(result.pairs().items())
    lines += ["", f"  {'rows':>8}  label → suggested label"] if pairs else []
    lines += [f"  {rows:>8,}  {label} → {suggested}" for (label, suggested), rows in pairs[:MAX_PAIRS]]
    lines += [f"  {sum(rows for _, rows in pairs[MAX_PAIRS:]):>8,}  others"] if len(pairs) > MAX_PAIRS else []
    lines += ["", "  most suspicious"] if result.rows else []
    for row in result.rows[:MAX_SHOWN]:
        place = f"row {row.row}" if row.row else row.file
        likely = "" if row.probability is None else f" ({row.probability:.3f})"
        lines.append(f"    {place}, {row.reason}: {row.label}{likely}, suggested {row.suggested_label}")
        lines.append(f"      {textwrap.shorten(row.text, MAX_TEXT, placeholder=' …')}")
    return lines


def report(facts: DatasetFacts) -> list[str]:
    """Return the facts as lines of at most 80 columns."""
    from rnnsent.data.labels import label_warnings

    lines = [f"{facts.source}: vocabulary {facts.vocabulary:,} words, embedding rows {facts.embedding_rows:,}"]
    for name, value in facts.provenance.items():
        between = " as " if name == "joined labels" else " "
        shown = ", ".join(f"{key}{between}{each}" for key, each in value.items()) if isinstance(value, dict) else value
        if isinstance(value, list):
            shown = "; ".join(value[:3]) + (f"; … ({len(value):,})" if len(value) > 3 else "")
        lines.append(f"  {MEANINGS.get(name, name)}: {'none' if value == {} else shown}")
    most = max((number for split in facts.splits.values() for number in split.labels_per_text or ()), default=0)
    columns = [_cells(split, most) for split in facts.splits.values()]
    lines += ["", f"  {'':<24}" + "".join(f"{name:>14}" for name in facts.splits)]
    lines += [f"  {title[:24]:<24}" + "".join(f"{cells[title]:>14}" for cells in columns) for title in columns[0]]
    shared = f"{facts.validation_duplicates:,} of {facts.validation:,}"
    lines.append(f"  {'validation in train':<24}{shared:>14}")
    if "test" in facts.splits:
        shared = f"{facts.duplicates_between:,} of {facts.splits['test'].reviews:,}"
        lines.append(f"  {'test in the others':<24}{shared:>14}")
    counts = {name: split.labels for name, split in facts.splits.items()}
    lines += [line for warning in label_warnings(counts) for line in paragraph(f"WARNING: {warning}")]
    for name, split in facts.splits.items():
        lines += ["", f"  lengths, {name}", *_histogram(split)]
    return lines


def _cells(split: SplitFacts, most: int) -> dict[str, str]:
    """Return the column of a split in the table: cells by the titles of their rows."""
    return {
        "texts": f"{split.reviews:,}",
        **{f"  {label}": f"{number:,}" for label, number in split.labels.items()},
        **_labels_per_text(split, most),
        "tokens": f"{split.tokens:,}",
        "mean length": f"{split.mean_length:.2f}",
        **{f"  length at {share}": f"{length:,.0f}" for share, length in split.length_quantiles.items()},
        "truncated texts": f"{split.truncated_reviews_share:.1%}",
        "truncated tokens": f"{split.truncated_tokens_share:.1%}",
        "padding, as one matrix": f"{split.padding_share_unbucketed:.1%}",
        "padding, as batched": f"{split.padding_share:.1%}",
        "unknown words": f"{split.unknown_share:.1%}",
        "empty texts": f"{split.empty_reviews:,}",
        "duplicates within": f"{split.duplicates:,}",
    }


def _labels_per_text(split: SplitFacts, most: int) -> dict[str, str]:
    """Return the mean number of labels of a text (cardinality), and how many texts have 0, 1, … `most` labels."""
    if split.labels_per_text is None:
        return {}
    mean = sum(number * texts for number, texts in split.labels_per_text.items()) / max(split.reviews, 1)
    rows = {f"  texts with {number}": f"{split.labels_per_text.get(number, 0):,}" for number in range(most + 1)}
    return {"labels a text": f"{mean:.2f}", **rows}


def _histogram(split: SplitFacts) -> list[str]:
    highest = max(number for _, _, number in split.histogram)
    longest = max(low for low, _, number in split.histogram if number)
    lines = []
    for low, high, number in split.histogram:
        if low > longest:
            break
        span = f"≥ {low}" if low == split.histogram[-1][0] else f"{low}–{high - 1}"
        bar = "█" * round(MAX_BAR * number / highest) or ("▏" if number else "")
        lines.append(f"  {span:>11} {number:>8,}  {bar}".rstrip())
    return lines
