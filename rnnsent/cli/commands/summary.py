"""`rnnsent summary`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnsent.cli.options import config_options, json_option, opened, overrides, run_argument

if TYPE_CHECKING:
    from rnnsent.models.summary import Summary
    from rnnsent.runs.directory import RunDirectory


@click.command(name="summary")
@run_argument
@click.option("--config", "name", metavar="NAME", help="Of the model of a config instead: a YAML file or shipped name.")
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
    """Print the layers, shapes and parameters of RUN, of a config, or of the latest run.

    With --json {"layers", "parameters"}; of an ensemble {"networks",
    "parameters"}, with the former for each network.
    """
    changes = overrides(settings, data, epochs, seed)
    if name is not None:
        if run is not None:
            raise click.UsageError("give a RUN or --config, not both")
        _show(_of_config(name, changes), as_json)
        return
    if changes:
        raise click.UsageError("a run is as it is: --set and its short forms need --config")
    finished = opened(run)
    finished.verify()
    if as_json:
        _show(_of_run(finished), as_json)
        return
    from rnnsent.messages import printable
    from rnnsent.runs import artifacts
    from rnnsent.runs import directory as runs

    click.echo(printable(artifacts.read_text(finished.file(runs.SUMMARY), artifacts.MAX_SUMMARY), but="\n"), nl=False)


def _of_config(name: str, changes: Sequence[tuple[str, str]]) -> Summary:
    """Summarize a config; its data are only loaded if they decide the size of the embedding or the output."""
    from rnnsent.config.loader import load_config
    from rnnsent.models.summary import summarize

    config = load_config(name, changes)
    rows = config.data.num_words
    if rows is None or config.data.source == "texts":
        from rnnsent.data.sources import load_dataset
        from rnnsent.data.statistics import embedding_rows
        from rnnsent.training.features import resolve

        dataset = load_dataset(config.data)
        config, rows = resolve(config, dataset), embedding_rows(dataset, config.data.num_words)
    return summarize(config, rows)


def _of_run(run: RunDirectory) -> Summary:
    from rnnsent.config.loader import load_config
    from rnnsent.models.summary import summarize
    from rnnsent.models.weights import EMBEDDINGS
    from rnnsent.runs import artifacts
    from rnnsent.runs import directory as runs

    weights = artifacts.load_weights(run)
    rows = next(len(array) for name, array in weights.items() if name.endswith(EMBEDDINGS))
    return summarize(load_config(str(run.file(runs.CONFIG))), rows)


def _show(summary: Summary, as_json: bool) -> None:
    import json

    if as_json:
        click.echo(json.dumps(summary.to_dict()))
    else:
        click.echo(summary.text, nl=False)
