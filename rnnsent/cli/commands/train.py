"""`rnnsent train`."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli import options
from rnnsent.cli.options import PATH, Command, overrides, show
from rnnsent.cli.terminal import say

if TYPE_CHECKING:
    from rnnsent.config.sections import Config
    from rnnsent.runs.directory import Run
    from rnnsent.runs.schemas import TrainingMetrics


def _name(value: str) -> str:
    """Return a name of a run, which becomes part of the name of its folder."""
    if value != Path(value).name or value.startswith("."):
        raise click.BadParameter(f"not a name: {value!r}; use letters, digits and dashes")
    return value


@click.command(name="train", cls=Command)
@click.argument("shipped", metavar="[CONFIG]", required=False)
@click.option("--config", "name", metavar="NAME", help="Config: a YAML file, or the name of a shipped one.")
@click.option("--from", "initial_run", type=PATH, metavar="RUN", help="Begin with the weights of a run.")
@click.option("--resume", type=PATH, metavar="RUN", help="Continue a stopped run, or a folder of --seeds.")
@options.config
@options.table
@options.device
@click.option("--no-fallback", is_flag=True, help="Fail if the data are not available.")
@click.option("--run-dir", type=PATH, metavar="DIR", help="Folder of the run.  [default: runs/NAME-DATE-N]")
@click.option("--name", "run_name", type=_name, metavar="NAME", help="Name of the run.  [default: that of the config]")
@click.option("--force", is_flag=True, help="Replace the run in --run-dir.")
@click.option("--track", "trackers", multiple=True, metavar="NAME", help="Log to tensorboard, mlflow or wandb.")
@click.option("--seeds", type=click.IntRange(2), metavar="N", help="Train N runs with different seeds.")
@click.option("--eval", "evaluate", is_flag=True, help="With --seeds: evaluate each run on the test texts.")
@options.quiet
@click.option("--json", "as_json", is_flag=True, help="Print the run and its metrics as one line of JSON.")
def command(
    shipped: str | None,
    name: str | None,
    initial_run: Path | None,
    resume: Path | None,
    no_fallback: bool,
    run_dir: Path | None,
    run_name: str | None,
    force: bool,
    seeds: int | None,
    evaluate: bool,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train the model that CONFIG describes, as `rnnsent train lstm`.

    `--data FILE` alone chooses a recipe for a table of texts, and says why.

    The run directory keeps config, weights, checkpoints, history, metrics and
    plots. The best epoch by validation is kept. The test texts are not used:
    see `rnnsent eval`.

    `--resume RUN` continues a run that was stopped and ends with the same
    weights, bit for bit. With `--epochs N` it trains a finished run for more
    epochs.

    `--from RUN --data new.csv` begins with the weights of RUN, by default
    with its config. Its words keep their vectors, words of the new texts are
    added, and its validation texts are evaluated before and after.

    `--seeds 3 --run-dir DIR` trains with the seeds training.seed, + 1, + 2
    and leaves three runs, DIR/seed-0 and so on.

    `--set 'model.recurrent.1={cell: gru, units: 16}'` adds a second layer.
    """
    if shipped is not None and name is not None:
        raise click.UsageError(f"two configs: {shipped} and --config {name}; use one of them")
    name = name if shipped is None else shipped
    own = name is None and initial_run is None and resume is None and bool(settings["data"])
    if not own and (name is None and initial_run is None) == (resume is None):
        raise click.UsageError(
            "CONFIG or --from says what to train, --resume which run to continue, --data alone which table: give one "
            "of them"
        )
    if force and run_dir is None:
        raise click.UsageError("--force only works with --run-dir: every other run is a new one")
    if evaluate and seeds is None:
        raise click.UsageError("--eval only works with --seeds; evaluate one run with rnnsent eval")
    changes = overrides(**settings) | ({"data.fallback": None} if no_fallback else {})
    if resume is not None:
        epochs = settings["epochs"]
        expected = {} if epochs is None else {"training.epochs": epochs}
        if changes != expected or (run_dir, seeds, run_name) != (None, None, None):
            raise click.UsageError("--resume only takes --epochs, --quiet, --json: the config of a run cannot change")
        _resume(resume, epochs, quiet, as_json)
        return
    from rnnsent.training import experiment, recipe
    from rnnsent.training.initial_run import named_config

    config, title = named_config(recipe.NAME if own else name, changes, initial_run)
    title = run_name or (_stem(settings["data"][0]) if own else title)
    if own and seeds is not None:
        from rnnsent.data.sources import load_dataset

        config = recipe.fitted(config, load_dataset(config.data), changes)
        own = False
    if seeds is not None:
        _train_seeds(_begin_seeds(config, title, seeds, run_dir, evaluate, force), quiet, force, as_json)
        return
    train = partial(experiment.train, config, run_dir=run_dir, force=force)
    _show(_with_progress(train, title, quiet, changes if own else None), quiet, as_json)


def _stem(source: str) -> str:
    """Return what a table is called, such as "reviews" for reviews.csv.gz."""
    return Path(source).name.partition(".")[0] or "stdin"


def _resume(path: Path, epochs: int | None, quiet: bool, as_json: bool) -> None:
    from rnnsent.runs.directory import SEEDS, SETTINGS
    from rnnsent.training import experiment

    if (path / SEEDS).is_file() and not (path / SETTINGS).is_file():
        if epochs is not None:
            raise click.UsageError("--epochs is for one run: name DIR/seed-N")
        _train_seeds(path, quiet, False, as_json)
        return
    resume = partial(experiment.resume_training, path, epochs=epochs)
    _show(_with_progress(resume, path.name, quiet), quiet, as_json)


def _with_progress(train: Callable[..., Run], name: str, quiet: bool, given: Collection[str] | None = None) -> Run:
    """Train with progress bars on a terminal."""
    from rnnsent.cli.progress import reading_progress, training_bar
    from rnnsent.training.experiment import Request

    with reading_progress() as progress:
        return train(request=Request(name, (lambda config: ()) if quiet else training_bar, progress, given=given))


def _show(run: Run, quiet: bool, as_json: bool) -> None:
    from rnnsent.data.labels import label_warnings
    from rnnsent.runs.schemas import to_dict

    if as_json:
        click.echo(json.dumps({"run": str(run), **to_dict(run.metrics)}))
        return
    show(result_line(run))
    if not quiet:
        say(kept_line(run))
        for warning in label_warnings(run.metrics.data.counts):
            say(f"WARNING: {warning}")
        if advice := hint(run.metrics, run.config.training.epochs, several=run.config.data.targets == "multi"):
            say(advice)
        say(f"evaluate it: rnnsent eval {run.address}")


def _begin_seeds(config: Config, name: str, number: int, run_dir: Path | None, evaluate: bool, force: bool) -> Path:
    from rnnsent.runs.registry import new_folder
    from rnnsent.runs.schemas import Plan
    from rnnsent.training import seeds

    first = config.training.seed
    folder = run_dir or new_folder(name)
    seeds.begin(folder, config, Plan(list(range(first, first + number)), evaluate), force=force)
    return folder


def _train_seeds(folder: Path, quiet: bool, force: bool, as_json: bool) -> None:
    from rnnsent.training import seeds

    runs = seeds.train_seeds(folder, quiet=quiet, force=force)
    splits = ["validation", *(["test"] if seeds.read_plan(folder).evaluate else [])]
    if as_json:
        click.echo(json.dumps(seeds.to_values(runs, splits)))
        return
    lines = [line for split in splits for line in seeds.table(runs, split)]
    click.echo("\n".join([*lines, *(f"  {run.path.name}: {run}" for run in runs)]))


def hint(metrics: TrainingMetrics, epochs: int, *, several: bool = False) -> str | None:
    """Return what to try next after a training; `several` says that texts may have several labels."""
    accuracy, counts = metrics.validation["accuracy"].value or 0.0, metrics.data.counts["validation"]
    share, most_frequent = max((number / max(sum(counts.values()), 1), label) for label, number in counts.items())
    if accuracy <= share and not several:
        constant = f"always predicting {most_frequent} would be right in {share:.2%}"
        return f"not better than chance: {constant}; try more epochs, another learning rate, or more texts"
    if metrics.best_epoch == metrics.epochs == epochs > 1 and accuracy < 1:
        return "the last epoch was the best; try more epochs (--epochs)"
    return None


def result_line(run: Run) -> str:
    """Return the result of a training."""
    accuracy = run.metrics.validation["accuracy"]
    fallback = " on SAMPLE reviews (FALLBACK)" if run.fallback_used else ""
    return f"{run}: validation accuracy {accuracy.value:.2%} [{accuracy.low:.2%}, {accuracy.high:.2%}]{fallback}"


def kept_line(run: Run) -> str:
    """Return what the brackets of the result are, what was kept, and where the plots are."""
    metrics = run.metrics
    what = "logistic regression, fitted on training and validation texts"
    if metrics.best_epoch is not None:
        what = f"epoch {metrics.best_epoch} of {metrics.epochs}, the best by {run.config.training.monitor}"
    if metrics.networks is not None:
        alone = ", ".join(f"{network.val_accuracy:.2%}" for network in metrics.networks)
        what = f"{len(metrics.networks)} networks, alone {alone}"
    return f"  in brackets: 95 % interval; kept: {what}"
