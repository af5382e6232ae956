"""`rnnsent config`."""

from __future__ import annotations

import click

from rnnsent.commands.options import config_options, overrides


@click.group(name="config")
def command() -> None:
    """Check, complete and explain configs. Nothing here loads TensorFlow."""


@command.command()
@click.argument("name", metavar="FILE")
@config_options
def check(name: str, settings: tuple[str, ...], data: str | None, epochs: int | None, seed: int | None) -> None:
    """Report everything that is wrong with FILE, each with its line."""
    from rnnsent.configfile import load_config

    load_config(name, overrides(settings, data, epochs, seed))
    click.echo(f"{name}: fine")


@command.command()
@click.argument("name", metavar="FILE")
@config_options
def show(name: str, settings: tuple[str, ...], data: str | None, epochs: int | None, seed: int | None) -> None:
    """Print FILE with every default written out."""
    from rnnsent.configfile import dump_config, load_config

    click.echo(dump_config(load_config(name, overrides(settings, data, epochs, seed))), nl=False)


@command.command()
def schema() -> None:
    """Print the JSON Schema of configs, from which editors complete them."""
    import json

    from rnnsent.configfile import json_schema

    click.echo(json.dumps(json_schema(), indent=1, ensure_ascii=False))


@command.command(name="list")
def list_() -> None:
    """Print the names of the shipped configs."""
    from rnnsent.configfile import shipped_names

    click.echo("\n".join(shipped_names()))
