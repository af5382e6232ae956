"""`rnnsent config`."""

from __future__ import annotations

import json
from typing import Any

import click

from rnnsent.cli import options
from rnnsent.cli.options import Command, overrides


@click.group(name="config")
def command() -> None:
    """Check, complete and list configs."""


@command.command(cls=Command)
@click.argument("name", metavar="CONFIG")
@options.config
@options.as_json
def check(name: str, as_json: bool, **settings: Any) -> None:
    """Report every problem of CONFIG with its line."""
    from dataclasses import asdict

    from rnnsent.config.loader import load_config
    from rnnsent.errors import ConfigError

    try:
        load_config(name, overrides(**settings))
    except ConfigError as error:
        if as_json:
            click.echo(json.dumps({"file": name, "problems": [asdict(problem) for problem in error.problems]}))
        raise
    click.echo(json.dumps({"file": name, "problems": []}) if as_json else f"{name}: fine")


@command.command(cls=Command)
@click.argument("name", metavar="CONFIG")
@options.config
@options.as_json
def show(name: str, as_json: bool, **settings: Any) -> None:
    """Print CONFIG with every default written out."""
    from rnnsent.config.loader import dump_config, load_config

    config = load_config(name, overrides(**settings))
    click.echo(json.dumps(config.to_dict()) + "\n" if as_json else dump_config(config), nl=False)


@command.command(cls=Command)
def schema() -> None:
    """Print the JSON Schema of configs, for completion in editors."""
    from rnnsent.config.loader import json_schema

    click.echo(json.dumps(json_schema(), indent=1, ensure_ascii=False))


@command.command(name="list", cls=Command)
@options.as_json
def list_(as_json: bool) -> None:
    """List the shipped configs."""
    from rnnsent.config.loader import description, shipped_names

    configs = {name: description(name) for name in shipped_names()}
    width = max(map(len, configs))
    lines = "\n".join(f"{name:{width}}  {text}" for name, text in configs.items())
    click.echo(json.dumps(configs) if as_json else lines)
