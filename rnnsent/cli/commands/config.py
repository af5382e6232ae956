"""`rnnsent config`."""

from __future__ import annotations

import click

from rnnsent.cli.options import config_options, json_option, overrides
from rnnsent.files import json_line


@click.group(name="config")
def command() -> None:
    """Check, complete and explain configs. Nothing here loads TensorFlow."""


@command.command()
@click.argument("name", metavar="FILE")
@config_options
@json_option
def check(
    name: str, settings: tuple[str, ...], data: str | None, epochs: int | None, seed: int | None, as_json: bool
) -> None:
    """Report everything that is wrong with FILE, each with its line."""
    import json
    from dataclasses import asdict

    from rnnsent.config.loader import load_config
    from rnnsent.errors import ConfigError

    changes = overrides(settings, data, epochs, seed)
    try:
        load_config(name, changes)
    except ConfigError as error:
        if as_json:
            click.echo(json.dumps({"file": name, "problems": [asdict(problem) for problem in error.problems]}))
        raise
    click.echo(json.dumps({"file": name, "problems": []}) if as_json else f"{name}: fine")


@command.command()
@click.argument("name", metavar="FILE")
@config_options
@json_option
def show(
    name: str, settings: tuple[str, ...], data: str | None, epochs: int | None, seed: int | None, as_json: bool
) -> None:
    """Print FILE with every default written out."""
    from rnnsent.config.loader import dump_config, load_config

    config = load_config(name, overrides(settings, data, epochs, seed))
    click.echo(json_line(config.to_dict()) + "\n" if as_json else dump_config(config), nl=False)


@command.command()
def schema() -> None:
    """Print the JSON Schema of configs, from which editors complete them."""
    import json

    from rnnsent.config.loader import json_schema

    click.echo(json.dumps(json_schema(), indent=1, ensure_ascii=False))


@command.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """Print the names of the shipped configs."""
    import json

    from rnnsent.config.loader import shipped_names

    click.echo(json.dumps(shipped_names()) if as_json else "\n".join(shipped_names()))
