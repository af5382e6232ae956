"""`rnnsent summary`."""

from __future__ import annotations

from pathlib import Path

import click

from rnnsent.commands.options import config_options, overrides


@click.command(name="summary")
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.option("--config", "name", metavar="NAME", help="Of the model of a config instead: a YAML file or shipped name.")
@config_options
def command(
    run: Path | None,
    name: str | None,
    settings: tuple[str, ...],
    data: str | None,
    epochs: int | None,
    seed: int | None,
) -> None:
    """Print the layers, shapes and parameters of RUN, of a config, or of the latest run."""
    from rnnsent import runs

    changes = overrides(settings, data, epochs, seed)
    if name is not None:
        if run is not None:
            raise click.UsageError("give a RUN or --config, not both")
        from rnnsent.experiment import summarize

        click.echo(summarize(name, changes), nl=False)
        return
    if changes:
        raise click.UsageError("a run is as it is: --set and its short forms need --config")
    opened = runs.open_run(run)
    if run is None:
        click.echo(f"run: {opened} (the latest)", err=True)
    opened.verify(runs.SUMMARY)
    click.echo(opened.file(runs.SUMMARY).read_text(encoding="utf-8"), nl=False)
