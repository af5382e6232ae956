"""`python -m benchmarks`: rnnsent beside other libraries, on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from rnnsent.cli.main import ErrorGroup, log_to_stderr
from rnnsent.cli.options import PATH, PICTURE, require_named, write_file
from rnnsent.cli.terminal import say
from rnnsent.errors import RnnsentError

DATA = (".json",)
CELLS = ("simple_rnn", "lstm", "gru")
PEERS = ("keras", "torch", "torch-packed")
OURS = ("rnnsent-notebook", "rnnsent")

cell_option = click.option(
    "--cell", "cells", type=click.Choice(CELLS), multiple=True, default=CELLS, help="One cell; again for more [all]."
)
data_option = click.option(
    "--data", type=click.Choice(["imdb", "sample"]), default="imdb", show_default=True, help="The reviews."
)
POSITIVE = click.IntRange(min=1)


@click.group(cls=ErrorGroup)
def command() -> None:
    """Measure rnnsent beside other libraries on this machine.

    Tables in Markdown go to stdout. Leave the machine alone meanwhile.
    """
    log_to_stderr()


def _require_kernel() -> None:
    from rnnsent.engine import kernel

    if not kernel.available():
        raise RnnsentError(
            "bench measures the native kernel, and it was not built: install a C compiler, then "
            "pip install --force-reinstall --no-deps rnnsent"
        )


@command.command()
@cell_option
@data_option
@click.option("--peer", "peers", type=click.Choice(PEERS), multiple=True, default=PEERS, help="Besides keras [all].")
@click.option("--epochs", type=POSITIVE, default=4, show_default=True, help="Of each contestant.")
@click.option("--predictions", type=POSITIVE, default=3, show_default=True, help="Of all test reviews.")
@click.option("--require", type=float, metavar="TIMES", help="Exit 1 where rnnsent is not so many times faster.")
def race(
    cells: tuple[str, ...], data: str, peers: tuple[str, ...], epochs: int, predictions: int, require: float | None
) -> None:
    """Train and predict in turns: stock Keras, PyTorch, rnnsent.

    The notebook's models at the notebook's settings. Each contestant is a
    process of its own; medians, without the first epoch and prediction.
    """
    _require_kernel()
    from benchmarks.race import race as run
    from benchmarks.tables import race_table

    names = ["keras", *(peer for peer in PEERS if peer in peers and peer != "keras"), *OURS]
    races = [run(cell, names, data, epochs, predictions, say) for cell in cells]
    click.echo(race_table(races))
    if require is None:
        return
    short = [
        f"{each.cell}, {lane.name}: epoch {ratios[0]:.1f}, prediction {ratios[1]:.1f} times"
        for each in races
        for lane in each.lanes
        if lane.name in OURS and min(ratios := each.ratios(lane)) < require
    ]
    if short:
        raise RnnsentError(f"less than {require:g} times as fast as stock Keras:\n  " + "\n  ".join(short))


@command.command()
@click.option("--cell", type=click.Choice(CELLS), default="lstm", show_default=True)
@click.option("--rounds", type=POSITIVE, default=3, show_default=True, help="Over all settings.")
def growth(cell: str, rounds: int) -> None:
    """Show how a training step grows with units, batch, length, layers."""
    _require_kernel()
    from benchmarks.growth import growth as run
    from benchmarks.tables import growth_table

    click.echo(growth_table(run(cell, say, rounds=rounds)))


@command.command()
@cell_option
@data_option
def breakdown(cells: tuple[str, ...], data: str) -> None:
    """Show where a training step goes."""
    _require_kernel()
    from benchmarks.breakdown import breakdown as run
    from benchmarks.tables import breakdown_table

    click.echo(breakdown_table([run(cell, data) for cell in cells]))


@command.command()
@click.option("--reviews", "sizes", type=click.IntRange(min=2000), multiple=True, help="[25000, 100000, 1000000]")
def scale(sizes: tuple[int, ...]) -> None:
    """Train on synthetic reviews from memory-mapped files; show the memory."""
    _require_kernel()
    from benchmarks.scale import SIZES, over_sizes
    from benchmarks.tables import scale_table

    click.echo(scale_table(over_sizes(sizes or SIZES, say)))


@command.command()
@click.argument("paths", nargs=-1, metavar="RUN…", type=PATH)
@click.option("--stock", type=click.Choice(CELLS), multiple=True, help="Train the notebook's code in stock Keras too.")
@click.option("--epochs", type=POSITIVE, default=8, show_default=True, help="Of stock Keras.")
@click.option("--png", "picture", type=click.Path(path_type=Path), metavar="FILE", help="Draw a plot as well.")
@click.option(
    "--courses",
    "kept",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="JSON: show what it has from before too, and keep there what is measured now.",
)
def milestones(
    paths: tuple[Path, ...], stock: tuple[str, ...], epochs: int, picture: Path | None, kept: Path | None
) -> None:
    """Show after how many seconds each RUN passed which validation accuracy.

    From the beginning of the experiment, with reading, counting, word vectors
    (also those that the cache had) and validation. Runs must be of the same
    data. Stock Keras validates on the last 5,000 training reviews. With
    --courses, one of many can be measured anew: by its name it takes the
    place of what was measured before.
    """
    from benchmarks.milestones import (
        as_json,
        kept_in,
        newest,
        of_run,
        of_stock_keras,
        plot,
        require_same_data,
        told_apart,
    )
    from benchmarks.tables import milestones_table
    from rnnsent.runs.registry import open_run

    require_named(picture, PICTURE)  # before anything takes minutes
    require_named(kept, DATA)
    before = [] if kept is None else kept_in(kept)
    if not paths and not stock and not before:
        raise click.UsageError("name runs, --stock CELL, or --courses with a file that has some")
    found = told_apart([of_run(open_run(path)) for path in paths], paths)
    for name in {course.name for course in before} & {course.name for course in found}:
        say(f"{name}: what {kept} has of it is of before, and replaced")
    courses = newest([*before, *found])
    require_same_data(courses)
    courses = newest([*courses, *(of_stock_keras(cell, epochs, say) for cell in stock)])
    click.echo(milestones_table(courses))
    if kept is not None:
        write_file(kept, as_json(courses), DATA)
    if picture is not None:
        write_file(picture, plot(courses), PICTURE)


@command.command()
@data_option
@click.option("--share", type=click.FloatRange(0, 0.4), default=0.02, show_default=True, help="Labels to flip.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the flips.")
@click.option("--config", metavar="NAME", help="Train a network on the flipped labels, too.")
@click.option("--epochs", type=POSITIVE, default=4, show_default=True, help="Of the network.")
def suspects(data: str, share: float, seed: int, config: str | None, epochs: int) -> None:
    """Flip labels of training reviews and show how many of them are found.

    Precision of as many: of the first suspects, as many as labels are flipped.
    """
    from tempfile import TemporaryDirectory

    from benchmarks.suspects import search, table

    with TemporaryDirectory() as folder:
        click.echo(table(search(data, share, seed, None if config is None else (config, epochs), Path(folder))))


if __name__ == "__main__":
    command(prog_name="python -m benchmarks")
