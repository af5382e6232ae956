"""`rnnsent summary`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnsent.cli.options import config_options, json_option, opened, overrides, run_argument

if TYPE_CHECKING:
    from rnnsent.models.summary import Summary


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
        from rnnsent.config.loader import load_config
        from rnnsent.models.summary import summarize

        _show(summarize(load_config(name, changes)), as_json)
        return
    if changes:
        raise click.UsageError("a run is as it is: --set and its short forms need --config")
    from rnnsent.models.summary import summarize_run

    found = opened(run)
    if as_json:
        _show(summarize_run(found), as_json)
        return
    from rnnsent.errors import printable
    from rnnsent.runs import artifacts as stored
    from rnnsent.runs import directory as runs

    found.verify()
    click.echo(printable(stored.read_text(found.file(runs.SUMMARY), stored.MAX_SUMMARY), keep="\n"), nl=False)


def _show(summary: Summary, as_json: bool) -> None:
    import json

    if as_json:
        click.echo(json.dumps(summary.to_dict()))
    else:
        click.echo(summary.text, nl=False)
