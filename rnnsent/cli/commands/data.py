"""`rnnsent data`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli import options
from rnnsent.cli.options import Command, overrides, show
from rnnsent.reporting.tables import paragraph

if TYPE_CHECKING:
    from rnnsent.data.statistics import DatasetFacts, SplitFacts

MEANINGS = {"contradicting": "rows whose text also has another label"}
MAX_BAR = 40  # characters


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
    columns = [_cells(split) for split in facts.splits.values()]
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


def _cells(split: SplitFacts) -> dict[str, str]:
    """Return the column of a split in the table: cells by the titles of their rows."""
    return {
        "texts": f"{split.reviews:,}",
        **{f"  {label}": f"{number:,}" for label, number in split.labels.items()},
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


def _histogram(split: SplitFacts) -> list[str]:
    highest = max(count for _, _, count in split.histogram)
    longest = max(low for low, _, count in split.histogram if count)
    lines = []
    for low, high, count in split.histogram:
        if low > longest:
            break
        span = f"≥ {low}" if low == split.histogram[-1][0] else f"{low}–{high - 1}"
        bar = "█" * round(MAX_BAR * count / highest) or ("▏" if count else "")
        lines.append(f"  {span:>11} {count:>8,}  {bar}".rstrip())
    return lines
