"""`rnnsent summary`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rnnsent.cli.options import config_options, json_option, opened, overrides, run_argument, show


@click.command(name="summary")
@run_argument
@click.option("--config", "name", metavar="NAME", help="Summarize a config instead: a YAML file or a shipped one.")
@config_options
@json_option
def command(
    run: Path | None,
    name: str | None,
    settings: tuple[str, ...],
    data: str | None,
    epochs: int | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Show the layers, shapes and parameters of RUN, of a config, or of the latest run.

    With --json {"layers", "parameters"}; of an ensemble {"networks",
    "parameters"}, with the former for each network.
    """
    changes = overrides(settings, data, epochs, seed)
    if name is not None:
        if run is not None:
            raise click.UsageError("give a RUN or --config, not both")
        text, as_values = _of_config(name, changes)
    else:
        if changes:
            raise click.UsageError("--set only works with --config: the settings of a finished run cannot change")
        from rnnsent.runs.directory import SUMMARY, SUMMARY_JSON

        found = opened(run)
        found.verify(SUMMARY, SUMMARY_JSON)
        text, as_values = found.read(SUMMARY).decode(), found.read(SUMMARY_JSON).decode()
    show((as_values if as_json else text).rstrip("\n"))


def _of_config(name: str, changes: dict[str, object]) -> tuple[str, str]:
    from rnnsent.config.loader import load_config
    from rnnsent.data.sources import load_dataset
    from rnnsent.data.statistics import embedding_rows
    from rnnsent.models.summary import summarize
    from rnnsent.training.features import resolve

    config = load_config(name, changes)
    rows = config.data.num_words
    if rows is None or config.data.source == "texts":  # only these decide the size of the embedding, or of the output
        dataset = load_dataset(config.data)
        config = resolve(config, dataset)
        rows = embedding_rows(dataset, config.data.num_words)
    summary = summarize(config, rows)
    return summary.text, json.dumps(summary.to_dict())
