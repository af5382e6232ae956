"""The same training with several seeds, one after the other, each in a process of its own; mean and spread.

A process of its own, because what TensorFlow keeps of one training would be in the memory of the next. The runs are
`FOLDER/seed-0` and so on, beside the config that they share and `seeds.json`, so that what was stopped can continue.
"""

from __future__ import annotations

import logging
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

from rnnsent.config.loader import dump_config, load_config
from rnnsent.config.sections import Config
from rnnsent.errors import Interrupted, RnnsentError, RunError, count
from rnnsent.evaluation.metrics import MAIN
from rnnsent.files import disk_errors, write_atomic
from rnnsent.runs.directory import CONFIG, SEEDS, SETTINGS, Run
from rnnsent.runs.schemas import Estimate, Evaluation, Metrics, Plan, parse, to_dict, to_json
from rnnsent.signals import DeferredSignals

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation, that of a sample, of a metric over seeds; sd is None for one seed."""

    mean: float
    sd: float | None


def seed_path(folder: Path, seed: int) -> Path:
    """Return where the run of a seed is."""
    return folder / f"seed-{seed}"


def begin(folder: Path, config: Config, plan: Plan, *, force: bool) -> None:
    """Write what the runs of a folder share; where some are there already, they must be of the same config.

    Raises:
        RunError: if the folder holds a run, or runs of another config.
    """
    if (folder / SETTINGS).is_file():
        raise RunError(f"{folder}: is a run; with --seeds, --run-dir names a folder that holds a run for each seed")
    seeds = [seed for seed in plan.seeds if (seed_path(folder, seed) / SETTINGS).is_file()]
    if seeds and not force:
        if not (folder / SEEDS).is_file():
            raise RunError(f"{seed_path(folder, seeds[0])}: exists already; choose another --run-dir, or --force")
        old_config = load_config(str(folder / CONFIG))
        if replace(old_config, training=replace(old_config.training, seed=config.training.seed)) != config:
            raise RunError(f"{folder}: holds runs of another config; choose another --run-dir, or --force")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / CONFIG, dump_config(config))
        write_atomic(folder / SEEDS, to_json(plan))


def read_plan(folder: Path) -> Plan:
    """Return what `begin` wrote."""
    return parse(Plan, (folder / SEEDS).read_bytes(), folder / SEEDS)


def train_seeds(folder: Path, *, quiet: bool = False, force: bool = False) -> list[Run]:
    """Train with each seed what is not trained yet, then evaluate if that was planned; return the runs.

    Args:
        folder: see `begin`.
        quiet: whether the children say less on stderr.
        force: train all again.

    Raises:
        Interrupted: if a child was stopped; names what is finished.
        RnnsentError: if a child failed.
    """
    plan, runs = read_plan(folder), list[Run]()
    options = ["--quiet"] if quiet else []
    hint = f"continue: rnnsent train --resume {shlex.quote(str(folder))}"
    try:
        for seed in plan.seeds:
            logger.info("seed %d", seed)
            path = seed_path(folder, seed)
            if (path / SETTINGS).is_file() and not force:
                arguments = ["--resume", str(path)]
            else:
                flags = ["--force"] if force else []
                arguments = ["--config", str(folder / CONFIG), "--seed", str(seed), "--run-dir", str(path), *flags]
            _call(["train", *arguments, *options], hint)
            runs.append(Run(path))
        for run in runs if plan.evaluate else []:
            _call(["eval", str(run.path), *options], hint)
    except (KeyboardInterrupt, Interrupted) as stop:  # here, in a child, or between two of them
        code = stop.exit_code if isinstance(stop, Interrupted) else 130
        summary = f"; finished: {', '.join(map(str, runs))}" if runs else ""
        raise Interrupted(f"stopped after {count(len(runs), 'seed')}{summary}; {hint}", code) from None
    return runs


def metrics_of(run: Run, split: str) -> Metrics:
    """Return the metrics of a run on a split that it was evaluated on."""
    if split == "validation":
        return run.metrics.validation
    evaluation = run.evaluation(split, Evaluation)
    if evaluation is None:
        raise RunError(f"{run}: is not evaluated on {split}: rnnsent eval {run.address} --split {split}")
    return evaluation.metrics


def spreads(metrics: Sequence[Metrics]) -> dict[str, Spread]:
    """Return mean and sd of each metric over the seeds; one that is undefined for a seed is left out."""
    result = {}
    for name in metrics[0]:
        values = [row[name].value for row in metrics]
        numbers = [value for value in values if value is not None]
        if len(numbers) == len(values):
            result[name] = spread_of(numbers)
    return result


def spread_of(values: Sequence[float]) -> Spread:
    """Return mean and sd of the values of one metric."""
    return Spread(mean(values), stdev(values) if len(values) > 1 else None)


def table(runs: Sequence[Run], split: str) -> list[str]:
    """Return a line for each seed and one for all, of the main metrics, in at most 80 columns."""
    metrics = [metrics_of(run, split) for run in runs]
    summary = spreads(metrics)
    names = [name for name in MAIN if name in summary]
    lines = [f"  {split:<12}" + "".join(f"{name:>13}" for name in names)]
    for run, values in zip(runs, metrics, strict=True):
        lines.append(f"  {run.path.name:<12}" + "".join(f"{values[name].value:13.4f}" for name in names))
    lines.append(f"  {'mean':<12}" + "".join(f"{summary[name].mean:13.4f}" for name in names))
    if len(runs) > 1:
        lines.append(f"  {'sd':<12}" + "".join(f"{summary[name].sd:13.4f}" for name in names))
    return lines


def _call(arguments: Sequence[str], again: str) -> None:
    """Run a command of rnnsent in a process of its own; signals are handed on to it, one for one."""
    child: subprocess.Popen[str] | None = None
    while True:
        try:
            if child is None:
                with DeferredSignals():  # inside, it would be running and nobody know of it
                    # In a group of its own: Ctrl-C on a terminal would reach it besides what is handed on, and two
                    # signals mean that somebody does not want to wait.
                    command = [sys.executable, "-m", "rnnsent", *arguments]
                    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, text=True, process_group=0)
            code = child.wait()
            break
        except (KeyboardInterrupt, Interrupted) as stop:
            if child is None:
                raise
            child.send_signal(signal.SIGTERM if isinstance(stop, Interrupted) else signal.SIGINT)
    # Before its own handlers are there a signal ends it at once, which is told by a negative number.
    code = code if code >= 0 else 128 - code
    if code in (130, 143):
        raise Interrupted("stopped", code)
    if code:
        raise RnnsentError(f"rnnsent {arguments[0]} failed, see above; {again}")


def to_values(runs: Sequence[Run], splits: Sequence[str]) -> dict[str, object]:
    """Return the metrics of the runs and their spread, for JSON."""
    metrics = {split: [metrics_of(run, split) for run in runs] for split in splits}
    rows = [
        {"seed": run.config.training.seed, "run": str(run)} | {split: _plain(metrics[split][k]) for split in splits}
        for k, run in enumerate(runs)
    ]
    return {"runs": rows} | {split: _plain(spreads(metrics[split])) for split in splits}


def _plain(values: Mapping[str, Estimate] | Mapping[str, Spread]) -> dict[str, object]:
    return {name: to_dict(value) for name, value in values.items()}
