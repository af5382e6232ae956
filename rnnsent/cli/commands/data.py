"""`rnnsent data`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli.options import json_option, overrides, set_option, show, text_settings, texts_options

if TYPE_CHECKING:
    from rnnsent.data.statistics import DatasetFacts, SplitFacts


@click.group(name="data")
def command() -> None:
    """Look at data sets. Nothing here loads TensorFlow."""


@command.command()
@click.argument("source", required=False)
@click.option("--config", "name", default="lstm", show_default=True, metavar="NAME", help="For num_words, maxlen, …")
@set_option
@texts_options
@json_option
def info(source: str | None, name: str, settings: tuple[str, ...], as_json: bool, **texts: Any) -> None:
    """Show facts about SOURCE: imdb, sample, or the path of imdb.npz or texts.

    Without SOURCE, about the reviews that the config names. Counts, balance,
    lengths, padding, truncation, unknown words, duplicates.
    """
    import json

    from rnnsent.cli.progress import reading_progress
    from rnnsent.config.loader import load_config
    from rnnsent.data.sources import load_dataset
    from rnnsent.data.statistics import describe

    # What is shown is what was asked for: no fallback.
    given = overrides(settings, source, no_fallback=True, data_name="SOURCE") | text_settings(texts)
    config = load_config(name, given)
    with reading_progress() as progress:
        facts = describe(load_dataset(config.data, progress=progress), config)
    if as_json:
        click.echo(json.dumps(facts.to_dict()))
    else:
        show(report(facts))


def report(facts: DatasetFacts) -> str:
    """Return the facts as text of at most 80 columns."""
    lines = [f"{facts.source}: vocabulary {facts.vocabulary:,} words, embedding rows {facts.embedding_rows:,}"]
    meant = {"contradicting": "rows whose text also has another label"}
    for name, value in facts.provenance.items():
        key = meant.get(name, name)
        shown = ", ".join(f"{name} {each}" for name, each in value.items()) if isinstance(value, dict) else value
        lines.append(f"  {key}: {'none' if value == {} else shown}")
    rows: list[tuple[str, list[str]]] = []
    splits = list(facts.splits.values())
    rows.append(("reviews", [f"{split.reviews:,}" for split in splits]))
    for label in splits[0].labels:
        rows.append((f"  {label}"[:24], [f"{split.labels[label]:,}" for split in splits]))
    rows.append(("tokens", [f"{split.tokens:,}" for split in splits]))
    rows.append(("mean length", [f"{split.mean_length:.2f}" for split in splits]))
    for quantile in splits[0].length_quantiles:
        rows.append((f"  length at {quantile}", [f"{split.length_quantiles[quantile]:,.0f}" for split in splits]))
    shares = {
        "truncated reviews": "truncated_reviews_share",
        "truncated tokens": "truncated_tokens_share",
        "padding, as one matrix": "padding_share_unbucketed",
        "padding, as batched": "padding_share",
        "unknown words": "unknown_share",
    }
    for title, field in shares.items():
        rows.append((title, [f"{getattr(split, field):.1%}" for split in splits]))
    rows.append(("empty reviews", [f"{split.empty_reviews:,}" for split in splits]))
    rows.append(("duplicates within", [f"{split.duplicates:,}" for split in splits]))
    lines += ["", f"  {'':<24}" + "".join(f"{name:>14}" for name in facts.splits)]
    lines += [f"  {title:<24}" + "".join(f"{cell:>14}" for cell in cells) for title, cells in rows]
    held = f"{facts.validation_duplicates:,} of {facts.validation:,}"
    lines += [f"  {'validation in train':<24}{held:>14}"]
    if "test" in facts.splits:
        seen = f"{facts.duplicates_between:,} of {facts.splits['test'].reviews:,}"
        lines += [f"  {'test in the others':<24}{seen:>14}"]
    for name, split in facts.splits.items():
        lines += ["", f"  lengths, {name}", *_histogram(split)]
    return "\n".join(lines)


def _histogram(split: SplitFacts) -> list[str]:
    highest = max(count for _, _, count in split.histogram)
    last = split.histogram[-1]
    lines = []
    longest = max(low for low, _, count in split.histogram if count)
    for low, high, count in split.histogram:
        if low > longest:
            break
        span = f"{low}–{high - 1}" if (low, high, count) != last else f"≥ {low}"
        bar = "█" * round(40 * count / highest) or ("▏" if count else "")
        lines.append(f"  {span:>11} {count:>8,}  {bar}".rstrip())
    return lines
