"""`rnnsent summary`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from rnnsent.cli import options
from rnnsent.cli.options import Command, Overrides, opened, overrides, show


@click.command(name="summary", cls=Command)
@options.run
@click.option("--config", "name", metavar="NAME", help="Summarize a YAML file or a shipped config instead of RUN.")
@options.config
@options.as_json
def command(run: Path | None, name: str | None, as_json: bool, **settings: Any) -> None:
    """Show the layers, shapes and parameters of RUN or of a config.

    With --json, print {"layers", "parameters"}; for an ensemble {"networks",
    "parameters"}, with the former for each network.
    [default: the latest run]
    """
    changes = overrides(**settings)
    if name is not None:
        if run is not None:
            raise click.UsageError("RUN and --config both name a network; use one of them")
        text, values = _summarize_config(name, changes)
    else:
        if changes:
            raise click.UsageError("--set only works with --config: the settings of a finished run cannot change")
        from rnnsent.runs.directory import SUMMARY, SUMMARY_JSON

        finished = opened(run)
        finished.verify(SUMMARY, SUMMARY_JSON)
        text, values = finished.read(SUMMARY).decode(), json.loads(finished.read(SUMMARY_JSON))
    show(json.dumps(values) if as_json else text.rstrip("\n"))


def _summarize_config(name: str, changes: Overrides) -> tuple[str, dict[str, object]]:
    from rnnsent.config.loader import load_config
    from rnnsent.data.sources import load_dataset
    from rnnsent.data.statistics import embedding_rows
    from rnnsent.models.summary import summarize
    from rnnsent.runs.schemas import to_dict
    from rnnsent.training.features import resolve

    config = load_config(name, changes)
    rows = config.data.num_words
    if rows is None or config.data.source == "texts":  # the data decide the size of the embedding, or of the output
        dataset = load_dataset(config.data)
        config = resolve(config, dataset)
        rows = embedding_rows(dataset, config.data.num_words)
    table, summary = summarize(config, rows)
    return table, to_dict(summary)
