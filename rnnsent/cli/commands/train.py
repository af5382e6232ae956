"""`rnnsent train`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnsent.cli.options import RunPath, be_quiet, config_options, overrides, show, text_settings, texts_options
from rnnsent.messages import say

if TYPE_CHECKING:
    from rnnsent.config import Config
    from rnnsent.training.observers import Observer

TRACKED = "Tell tensorboard, mlflow or wandb as well; may be repeated."


ARGUMENTS = "rnnsent.train.arguments"
# Options with their number of values: what is not for the training of each seed, and what may stand beside --resume.
NOT_OF_EACH = {"--seeds": 1, "--seed": 1, "--run-dir": 1, "--force": 0, "--eval": 0, "--quiet": 0, "--json": 0}
TO_GO_ON = {"--resume": 1, "--allow-changes": 0, "--quiet": 0, "--json": 0}


class _KeepsArguments(click.Command):
    """Remembers what it was called with, to be passed on."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)


@click.command(name="train", cls=_KeepsArguments)
@click.option("--config", "name", metavar="NAME", help="A YAML file, or the name of a shipped config.")
@click.option("--resume", type=RunPath(), metavar="RUN", help="Instead: a run, or a folder of --seeds, to go on with.")
@click.option("--allow-changes", is_flag=True, help="--resume: though config, data, versions or machine changed.")
@config_options
@texts_options
@click.option("--device", metavar="DEVICE", help="auto, cpu, gpu or gpu:N.")
@click.option("--no-fallback", is_flag=True, help="Stop where the data cannot be had, whatever the config allows.")
@click.option("--run-dir", type=RunPath(), metavar="DIR", help="Where the run goes [runs/NAME-DATE-N].")
@click.option("--force", is_flag=True, help="Replace the run in --run-dir.")
@click.option("--track", "trackers", multiple=True, metavar="NAME", help=TRACKED)
@click.option("--seeds", type=click.IntRange(2), metavar="N", help="N runs, of seeds from training.seed on.")
@click.option("--eval", "judge", is_flag=True, help="--seeds: judge each on the test reviews, after all are trained.")
@click.option("--quiet", is_flag=True, help="No progress, only warnings and the result.")
@click.option("--json", "as_json", is_flag=True, help="Print the run and its metrics as one line of JSON.")
def command(
    name: str | None,
    resume: Path | None,
    allow_changes: bool,
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
    judge: bool,
    quiet: bool,
    as_json: bool,
    **texts: Any,
) -> None:
    """Train the model that a config describes.

    The run directory keeps config, vocabulary, weights, checkpoints, history,
    metrics and plots. The best epoch by validation is what is kept as the
    model; the test reviews are not looked at (see `rnnsent eval`).

    Whatever stops it, `--resume RUN` goes on and ends with the same weights,
    bit for bit, as if it had not been stopped.

    `--seeds 3 --run-dir DIR` leaves three runs, DIR/seed-0 and so on; the
    same command again, or `--resume DIR`, goes on where it was stopped;
    `rnnsent eval DIR` judges all of them. `runs/latest` is the last one.

    With --json nothing else is on stdout, and nothing at all after an error.
    """
    import json

    from rnnsent.cli.progress import reading_progress, training_progress
    from rnnsent.config.loader import load_config
    from rnnsent.runs import directory as runs
    from rnnsent.training import experiment

    if (name is None) == (resume is None):
        raise click.UsageError("--config says what to train, --resume which run is to go on: give one of them")
    if resume is not None and (run_dir is not None or seeds is not None):
        raise click.UsageError("--resume goes on in its own folder, with its own seed")
    if resume is not None and (resume / runs.SEEDS).is_file():
        if _without(click.get_current_context().meta[ARGUMENTS], TO_GO_ON):
            raise click.UsageError("runs with several seeds go on as they were begun: nothing else beside --resume")
        _train_seeds(resume, quiet, False, allow_changes, as_json)
        return
    if allow_changes and resume is None:
        raise click.UsageError("--allow-changes is for --resume")
    if force and run_dir is None:
        raise click.UsageError("--force replaces the run in --run-dir; without --run-dir every run is a new one")
    if quiet:
        be_quiet()
    given = overrides(settings, data, epochs, seed, device, no_fallback) | text_settings(texts)
    if trackers:
        given["training.trackers"] = trackers
    tell = (lambda line: None) if quiet else say
    if judge and seeds is None:
        raise click.UsageError("--eval is for --seeds; a run is judged by rnnsent eval")
    with ExitStack() as shown:

        def observers(config: Config) -> list[Observer]:
            return [shown.enter_context(training_progress(config.training.epochs, quiet=quiet))]

        progress = shown.enter_context(reading_progress())
        if resume is not None:
            trained = experiment.resume(
                resume, given, allow_changes=allow_changes, tell=tell, observers=observers, progress=progress
            )
        else:
            assert name is not None
            config = load_config(name, given, to_train=True)
            if seeds is not None:
                folder = _begin_seeds(config, name, seeds, run_dir, judge, force)
                _train_seeds(folder, quiet, force, False, as_json)
                return
            trained = experiment.train(
                config,
                Path(name).stem,
                run_dir=run_dir,
                force=force,
                tell=tell,
                observers=observers(config),
                progress=progress,
            )
    if as_json:
        click.echo(json.dumps({"run": str(trained.run), **trained.metrics}))
        return
    training = load_config(str(trained.run.file(runs.CONFIG))).training
    show(result_line(str(trained.run), trained.metrics, training.monitor))
    if not quiet:
        for hint in hints(trained.metrics, training.epochs):
            say(hint)
        say(f"judge it: rnnsent eval {trained.run.address}")


def _begin_seeds(config: Config, name: str, number: int, run_dir: Path | None, judge: bool, force: bool) -> Path:
    """Write down what runs with several seeds are of, and return their folder."""
    from rnnsent.runs.registry import seeds_folder
    from rnnsent.training import seeds

    values = config.to_dict()
    first = values["training"].pop("seed")
    arguments = _without(click.get_current_context().meta[ARGUMENTS], NOT_OF_EACH)
    plan = seeds.Plan(tuple(arguments), tuple(range(first, first + number)), judge, values)
    folder = seeds_folder(Path(name).stem, run_dir)
    seeds.begin(folder, plan, force=force)
    return folder


def _train_seeds(folder: Path, quiet: bool, force: bool, allow_changes: bool, as_json: bool) -> None:
    import json

    from rnnsent.training.seeds import Plan, spreads, table, train_seeds

    plan, tell = Plan.read(folder), (lambda line: None) if quiet else say
    found = train_seeds(folder, plan, quiet=quiet, force=force, allow_changes=allow_changes, tell=tell)
    splits = ["validation", *(["test"] if plan.judge else [])]
    if as_json:
        runs = [
            {"seed": each.seed, "run": each.run} | {split: getattr(each, split) for split in splits} for each in found
        ]
        click.echo(json.dumps({"runs": runs} | {split: spreads(found, split) for split in splits}))
        return
    for split in splits:
        click.echo("\n".join(table(found, split)))
    click.echo("\n".join(f"  seed {each.seed}: {each.run}" for each in found))
    if not quiet and not plan.judge:
        say(f"judge them: rnnsent eval {shlex.quote(str(folder))}")


def _without(arguments: Sequence[str], options: Mapping[str, int]) -> list[str]:
    """Return a command line without some options, of which each is followed by so many values."""
    kept: list[str] = []
    skip = 0
    for argument in arguments:
        name, given, _ = argument.partition("=")
        if skip:
            skip -= 1
        elif name in options:
            skip = 0 if given else options[name]
        else:
            kept.append(argument)
    return kept


def hints(metrics: dict[str, Any], epochs: int) -> Iterator[str]:
    """Yield what may be tried next, of what metrics.json says of a training of so many epochs."""
    accuracy = metrics["validation"]["accuracy"]["value"]
    counts = (metrics["data"].get("counts") or {}).get("validation") or {"one label": 0}  # unknown of an older run
    commonest = max(counts, key=counts.__getitem__)
    share = counts[commonest] / max(sum(counts.values()), 1)
    if accuracy <= share and accuracy < 1:
        yield (
            f"it has learned nothing yet: always answering {commonest} would be right in {share:.2%}; more epochs, "
            "another learning rate, or more texts may help"
        )
    elif metrics["best_epoch"] == metrics["epochs"] == epochs > 1 and accuracy < 1:
        yield "the last epoch was the best: more may do better (--epochs)"
    networks = [network["val_accuracy"] for network in metrics.get("networks", ())]
    if len(networks) > 1 and max(networks) > accuracy + 1e-6:  # Keras' accuracies are float32
        best = networks.index(max(networks)) + 1
        yield f"network {best} alone has {max(networks):.2%} on validation, more than all together"
    for number, alone in enumerate(networks, start=1):
        if alone <= share and accuracy > share:
            yield f"network {number} has learned nothing: always answering {commonest} would be right in {share:.2%}"


def result_line(run: str, metrics: dict[str, Any], monitor: str) -> str:
    """Return the last line of a training."""
    from rnnsent.runs.run_facts import source_name

    accuracy = metrics["validation"]["accuracy"]
    source = source_name(metrics["data"])
    fallback = " (FALLBACK: the imdb reviews could not be had)" if metrics["data"]["fallback_used"] else ""
    how = f"epoch {metrics['best_epoch']} of {metrics['epochs']} by {monitor}"
    if "networks" in metrics:
        alone = ", ".join(f"{network['val_accuracy']:.2%}" for network in metrics["networks"])
        how = f"{len(metrics['networks'])} networks, alone {alone}"
    return (
        f"{run}: validation accuracy {accuracy['value']:.2%} [{accuracy['low']:.2%}, {accuracy['high']:.2%}], {how}; "
        f"data: {source}{fallback}"
    )
