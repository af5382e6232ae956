"""`rnnsent tune`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from rnnsent.cli import options
from rnnsent.cli.options import FALLBACK, PATH, Command, overrides, show
from rnnsent.cli.terminal import say

SEEDS = 3


def _minutes(value: str) -> float:
    """Return a time."""
    minutes = float(value) if re.fullmatch(r"[0-9]+(\.[0-9]+)?|\.[0-9]+", value) else 0.0
    if not 0 < minutes <= 1e6:
        raise click.BadParameter(f"not a time: {value!r}; use minutes such as 5 or 0.5")
    return minutes


@click.command(name="tune", cls=Command)
@click.argument("shipped", metavar="[CONFIG]", required=False)
@click.option("--config", "name", metavar="NAME", help="Config: a YAML file, or the name of a shipped one.")
@click.option("--resume", type=PATH, metavar="DIR", help="Continue a study, or share it with other processes.")
@click.option("--minutes", type=_minutes, metavar="N", help="Begin no trial after N minutes, and stop the last one.")
@click.option("--trials", type=click.IntRange(1), metavar="N", help="Train N trials.")
@click.option("--seeds", type=click.IntRange(1), metavar="N", help=f"Seeds of the two best trials.  [default: {SEEDS}]")
@click.option("--study-dir", type=PATH, metavar="DIR", help="Folder of the study.  [default: tunes/NAME-DATE-N]")
@options.config
@options.table
@options.device
@click.option("--no-fallback", is_flag=True, help="Fail if the data are not available.")
@options.quiet
@options.as_json
def command(
    shipped: str | None,
    name: str | None,
    resume: Path | None,
    minutes: float | None,
    trials: int | None,
    seeds: int | None,
    study_dir: Path | None,
    no_fallback: bool,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Search the settings with the best validation.

    `rnnsent tune gru --data reviews.csv --minutes 5` needs no more. The
    section `search` of a config takes the place of the ready search space:
    see docs/tuning.md. Trials that are worse than the median after an epoch
    are stopped. The two best are trained with further seeds and compared. The
    test texts are not used.

    The same command, or `--resume DIR`, continues a study that was stopped or
    killed. Several processes may share one. Needs Optuna:
    pip install 'rnnsent[tune]'.
    """
    if shipped is not None and name is not None:
        raise click.UsageError(f"two configs: {shipped} and --config {name}; use one of them")
    name = name if shipped is None else shipped
    if (name is None) == (resume is None):
        raise click.UsageError("CONFIG says what to tune, --resume which study to continue: give one of them")
    if resume is None and minutes is None and trials is None:
        raise click.UsageError("--minutes or --trials says when the search ends: give one of them")
    changes = overrides(**settings) | ({"data.fallback": None} if no_fallback else {})
    if resume is not None and (changes or study_dir is not None):
        raise click.UsageError(
            "--resume only takes --minutes, --trials, --seeds, --quiet, --json: the config of a study cannot change"
        )
    from rnnsent.cli.progress import reading_progress, training_bar
    from rnnsent.config.loader import load_config, training_name
    from rnnsent.tuning.folder import RESULT, TuningPlan, open_folder, read_folder

    if resume is not None:
        config, plan = read_folder(resume)
        limits = (trials, minutes) if trials or minutes else (plan.trials, plan.minutes)
        plan = replace(plan, trials=limits[0], minutes=limits[1], seeds=seeds or plan.seeds)
    else:
        assert name is not None
        config = load_config(name, changes, to_train=True)
        plan = TuningPlan(training_name(name, config, changes), trials, minutes, seeds or SEEDS)
    with reading_progress() as progress:
        folder = open_folder(config, plan, resume or study_dir, progress)
    # These import Optuna, which `open_folder` requires.
    from rnnsent.tuning.results import summary_lines
    from rnnsent.tuning.search import tune
    from rnnsent.tuning.study import Study

    study = Study(*folder)
    if not quiet:
        say(f"study: {study.path}")
    selection = tune(study, (lambda config: ()) if quiet else training_bar)
    if selection is None:
        say(f"{study.path}: another process is still at work, and will select the best")
        return
    show((study.path / RESULT).read_text().strip() if as_json else "\n".join(summary_lines(selection)))
    if selection.run.fallback_used:
        say(f"WARNING: {FALLBACK}")
    if not quiet:
        say(f"evaluate it: rnnsent eval {selection.run.address}")
