"""Options that several commands share, and what they mean as overrides of a config."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

Overrides = list[tuple[str, str]]


def config_options(command: F) -> F:
    """Add --set, --data, --epochs and --seed."""
    for option in reversed(
        [
            click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key of the config."),
            click.option("--data", metavar="SOURCE", help="imdb, sample, or the path of an imdb.npz."),
            click.option("--epochs", type=int, metavar="N", help="Short for --set training.epochs=N."),
            click.option("--seed", type=int, metavar="N", help="Short for --set training.seed=N."),
        ]
    ):
        command = option(command)
    return command


def overrides(
    settings: tuple[str, ...] = (),
    data: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    no_fallback: bool = False,
) -> Overrides:
    """Return pairs of (origin, "key=value") for the config reader, short forms after --set."""
    pairs: Overrides = [("--set", setting) for setting in settings]
    if data is not None:
        pairs += [("--data", f"data.{key}={json.dumps(value)}") for key, value in data_settings(data).items()]
    short = {"epochs": epochs, "seed": seed, "device": device}
    pairs += [(f"--{key}", f"training.{key}={value}") for key, value in short.items() if value is not None]
    if no_fallback:
        pairs.append(("--no-fallback", "data.fallback=null"))
    return pairs


def data_settings(source: str) -> dict[str, str | None]:
    """Return what `--data SOURCE` sets in the data section: the name of a source, or the path of an imdb.npz."""
    path = Path(source)
    if source not in ("imdb", "sample") and (path.exists() or path.suffix == ".npz" or path.name != source):
        return {"source": "imdb", "path": source}
    # The sample takes no path, and `--data imdb` means the usual places.
    return {"source": source, "path": None}
