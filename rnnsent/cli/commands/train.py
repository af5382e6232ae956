"""`rnnsent train`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli.options import RunPath, be_quiet, config_options, overrides, show, text_settings, texts_options
from rnnsent.cli.terminal import say

if TYPE_CHECKING:
    from rnnsent.config.sections import Config
    from rnnsent.runs.directory import Run
    from rnnsent.runs.schemas import TrainingMetrics


@click.command(name="train")
@click.option("--config", "name", metavar="NAME", help="Config: a YAML file, or the name of a shipped one.")
@click.option("--resume", type=RunPath(), metavar="RUN", help="Continue a stopped run, or a folder of --seeds.")
@config_options
@texts_options
@click.option("--device", metavar="DEVICE", help="auto, cpu, gpu or gpu:N. [default: auto]")
@click.option("--no-fallback", is_flag=True, help="Fail if the data cannot be had, whatever the config allows.")
@click.option("--run-dir", type=RunPath(), metavar="DIR", help="Folder of the run. [default: runs/NAME-DATE-N]")
@click.option("--force", is_flag=True, help="Replace the run in --run-dir.")
@click.option("--track", "trackers", multiple=True, metavar="NAME", help="Log to tensorboard, mlflow or wandb.")
@click.option("--seeds", type=click.IntRange(2), metavar="N", help="Train N runs, with seeds from training.seed on.")
@click.option("--eval", "evaluate", is_flag=True, help="With --seeds: evaluate each run on the test texts.")
@click.option("--quiet", is_flag=True, help="Print only warnings and the result.")
@click.option("--json", "as_json", is_flag=True, help="Print the run and its metrics as one line of JSON.")
def command(
    name: str | None,
    resume: Path | None,
    settings: tuple[str, ...],
    data: str | None,
    epochs: int | None,
    seed: int | None,
    device: str | None,
    no_fallback: bool,
    run_dir: Path | None,
    force: bool,
    trackers: tuple[str, ...],
    seeds: int | None,
    evaluate: bool,
    quiet: bool,
    as_json: bool,
    **texts: Any,
) -> None:
    """Train the model that a config describes.

    The run directory keeps config, weights, checkpoints, history, metrics and
    plots. The best epoch by validation is kept. The test texts are not used:
    see `rnnsent eval`.

    Whatever stops it, `--resume RUN` continues and ends with the same weights,
    bit for bit. With `--epochs N` it trains a finished run for more epochs.

    `--seeds 3 --run-dir DIR` leaves three runs, DIR/seed-0 and so on.
    """
    from rnnsent.config.loader import load_config

    if (name is None) == (resume is None):
        raise click.UsageError("--config says what to train, --resume which run to continue: give one of them")
    if force and run_dir is None:
        raise click.UsageError("--force replaces the run in --run-dir; without --run-dir every run is a new one")
    if evaluate and seeds is None:
        raise click.UsageError("--eval needs --seeds; evaluate a run by rnnsent eval")
    if quiet:
        be_quiet()
    given = overrides(settings, data, None, seed, device, no_fallback) | text_settings(texts)
    if resume is not None:
        if given or run_dir is not None or seeds is not None or trackers:
            raise click.UsageError("--resume only takes --epochs, --quiet, --json: the config of a run cannot change")
        _resume(resume, epochs, quiet, as_json)
        return
    assert name is not None
    if trackers:
        given["training.trackers"] = list(trackers)
    if epochs is not None:
        given["training.epochs"] = epochs
    config = load_config(name, given, to_train=True)
    if seeds is not None:
        _train_seeds(_begin_seeds(config, name, seeds, run_dir, evaluate, force), quiet, force, as_json)
        return
    from rnnsent.training import experiment

    with ExitStack() as shown:
        run = experiment.train(config, _request(shown, Path(name).stem, quiet), run_dir=run_dir, force=force)
    _show(run, quiet, as_json)


def _request(shown: ExitStack, name: str, quiet: bool) -> Any:
    from rnnsent.cli.progress import reading_progress, training_bar
    from rnnsent.training.experiment import Request

    progress = shown.enter_context(reading_progress())
    return Request(name, (lambda config: ()) if quiet else training_bar, progress)


def _resume(path: Path, epochs: int | None, quiet: bool, as_json: bool) -> None:
    from rnnsent.runs.directory import SEEDS, SETTINGS
    from rnnsent.training import experiment

    if (path / SEEDS).is_file() and not (path / SETTINGS).is_file():
        if epochs is not None:
            raise click.UsageError("--epochs is for one run: name DIR/seed-N")
        _train_seeds(path, quiet, False, as_json)
        return
    with ExitStack() as shown:
        run = experiment.resume_training(path, _request(shown, path.name, quiet), epochs)
    _show(run, quiet, as_json)


def _show(run: Run, quiet: bool, as_json: bool) -> None:
    from rnnsent.runs.schemas import to_dict

    if as_json:
        click.echo(json.dumps({"run": str(run), **to_dict(run.metrics)}))
        return
    show(result_line(run))
    if not quiet:
        for hint in hints(run.metrics, run.config.training.epochs):
            say(hint)
        say(f"evaluate it: rnnsent eval {run.address}")


def _begin_seeds(config: Config, name: str, number: int, run_dir: Path | None, evaluate: bool, force: bool) -> Path:
    from rnnsent.runs.registry import new_folder
    from rnnsent.training import seeds

    first = config.training.seed
    plan = seeds.Plan(list(range(first, first + number)), evaluate)
    folder = run_dir or new_folder(Path(name).stem)
    seeds.begin(folder, replace(config, training=replace(config.training, seed=first)), plan, force=force)
    return folder


def _train_seeds(folder: Path, quiet: bool, force: bool, as_json: bool) -> None:
    from rnnsent.training import seeds

    runs = seeds.train_seeds(folder, quiet=quiet, force=force)
    splits = ["validation", *(["test"] if seeds.read_plan(folder).evaluate else [])]
    if as_json:
        click.echo(json.dumps(seeds.to_values(runs, splits)))
        return
    for split in splits:
        click.echo("\n".join(seeds.table(runs, split)))
    click.echo("\n".join(f"  {run.path.name}: {run}" for run in runs))


def hints(metrics: TrainingMetrics, epochs: int) -> Iterator[str]:
    """Yield what to try next after a training of so many epochs."""
    accuracy = metrics.validation["accuracy"].value or 0.0
    counts = metrics.data.counts["validation"]
    commonest = max(counts, key=counts.__getitem__)
    share = counts[commonest] / max(sum(counts.values()), 1)
    if accuracy <= share and accuracy < 1:
        yield (
            f"it has learned nothing yet: always predicting {commonest} would be right in {share:.2%}; more epochs, "
            "another learning rate, or more texts may help"
        )
    elif metrics.best_epoch == metrics.epochs == epochs > 1 and accuracy < 1:
        yield "the last epoch was the best: more may do better (--epochs)"
    for number, network in enumerate(metrics.networks or [], start=1):
        if network.val_accuracy > accuracy + 1e-6:  # Keras' accuracies are float32
            yield f"network {number} alone has {network.val_accuracy:.2%} on validation, more than all together"


def result_line(run: Run) -> str:
    """Return the last line of a training."""
    from rnnsent.runs.run_facts import source_name

    metrics = run.metrics
    accuracy = metrics.validation["accuracy"]
    fallback = " (FALLBACK: the imdb reviews could not be had)" if metrics.data.fallback_used else ""
    how = f"epoch {metrics.best_epoch} of {metrics.epochs} by {run.config.training.monitor}"
    if metrics.networks is not None:
        alone = ", ".join(f"{network.val_accuracy:.2%}" for network in metrics.networks)
        how = f"{len(metrics.networks)} networks, alone {alone}"
    return (
        f"{run}: validation accuracy {accuracy.value:.2%} [{accuracy.low:.2%}, {accuracy.high:.2%}], {how}; "
        f"data: {source_name(metrics.data)}{fallback}"
    )
