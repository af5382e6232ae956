"""The same training with several seeds, one after the other, each in a process of its own; mean and spread.

A process of its own, because what TensorFlow keeps of one training would be in the memory of the next. The runs are in
one folder, `seed-0` and so on, beside a file that says what they are of, so that what was stopped can go on.
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rnnsent.errors import Interrupted, RnnsentError, RunError, count
from rnnsent.evaluation.comparison import differing
from rnnsent.files import disk_errors, write_atomic
from rnnsent.json_files import read_json
from rnnsent.runs.directory import CONFIG, SEEDS, json_text
from rnnsent.runs.lock import require_no_link
from rnnsent.signals import HeldSignals

NOT_PLANNED = frozenset(
    ("--resume", "--allow-changes", "--seeds", "--seed", "--run-dir", "--force", "--eval", "--json")
)
SHOWN = ("accuracy", "f1", "roc_auc", "log_loss", "ece")


@dataclass(frozen=True)
class SeedRun:
    """A run with one seed.

    Attributes:
        seed: of its training.
        run: its folder.
        validation: its metrics, {metric: {"value", …}}.
        test: the same, if it was judged on the test reviews.
    """

    seed: int
    run: str
    validation: dict[str, Any]
    test: dict[str, Any] | None = None


@dataclass(frozen=True)
class Plan:
    """What the runs of a folder are of.

    Attributes:
        arguments: of `rnnsent train`, without --seed, --seeds, --run-dir, --force, --eval and --json.
        seeds: which.
        judge: whether each is judged on the test reviews, after all are trained.
        config: with its defaults, without a seed.
    """

    arguments: tuple[str, ...]
    seeds: tuple[int, ...]
    judge: bool
    config: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """Return what was planned in a folder.

        Raises:
            RunError: if it is damaged.
        """
        try:
            found = read_json(folder / SEEDS)
            arguments, seeds = tuple(map(str, found["arguments"])), tuple(map(int, found["seeds"]))
            plan = cls(arguments, seeds, bool(found["judge"]), dict(found["config"]))
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise RunError(f"{folder / SEEDS}: cannot be read: {error}") from None
        if any("\0" in each for each in arguments) or not all(0 <= seed < 2**32 for seed in seeds):
            raise RunError(f"{folder / SEEDS}: refused: its arguments or seeds cannot be those of a training")
        odd = next((each for each in arguments if each == "--" or each.partition("=")[0] in NOT_PLANNED), None)
        if odd is not None:  # it would have other runs written than those in the folder
            raise RunError(f"{folder / SEEDS}: refused: it passes on {odd}, which is no argument of one seed")
        return plan


def run_of(folder: Path, seed: int) -> Path:
    """Return where the run of a seed is."""
    return folder / f"seed-{seed}"


def begin(folder: Path, plan: Plan, *, force: bool) -> None:
    """Write down what the runs of a folder are of; where some are there already, they must be of the same config.

    Args:
        folder: of the runs.
        plan: with the same config as before, or more seeds of it.
        force: whatever was planned before.

    Raises:
        RunError: if the folder holds a run, or runs of something else.
    """
    if (folder / CONFIG).is_file():
        raise RunError(f"{folder}: is a run; for --seeds, --run-dir names a folder that holds a run for each seed")
    there = [seed for seed in plan.seeds if (run_of(folder, seed) / CONFIG).is_file()]
    if not force and (folder / SEEDS).is_file():
        changed = differing(Plan.read(folder).config, plan.config)
        if changed:
            lines = "".join(f"\n  {key}: {one!r} → {two!r}" for key, (one, two) in changed.items())
            raise RunError(f"{folder}: holds runs of another config; choose another --run-dir, or --force:{lines}")
    elif not force and there:
        raise RunError(f"{run_of(folder, there[0])}: is there already; choose another --run-dir, or --force")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / SEEDS, json_text(asdict(plan)))


def train_seeds(
    folder: Path,
    plan: Plan,
    *,
    quiet: bool = False,
    force: bool = False,
    allow_changes: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> list[SeedRun]:
    """Train with each seed what is not trained yet, and return the runs; children say on stderr what they do.

    Args:
        folder: see `begin`.
        plan: of it.
        quiet: children say less.
        force: train all anew.
        allow_changes: let a training go on although versions or machine are not what they were.
        tell: told of each seed.

    Raises:
        Interrupted: if a child was stopped; what is finished is named, and how to go on.
        RnnsentError: if a child failed.
    """
    found: list[SeedRun] = []
    try:
        _train_all(folder, plan, found, quiet=quiet, force=force, allow_changes=allow_changes, tell=tell)
    except (KeyboardInterrupt, Interrupted) as stop:  # here, in a child, or between two of them
        code = stop.exit_code if isinstance(stop, Interrupted) else 130
        raise Interrupted(f"stopped after {count(len(found), 'seed')}{_go_on(folder, found)}", code) from None
    return found


def _train_all(
    folder: Path,
    plan: Plan,
    found: list[SeedRun],
    *,
    quiet: bool,
    force: bool,
    allow_changes: bool,
    tell: Callable[[str], None],
) -> None:
    """Put the run of each seed into `found`, as it is finished."""
    for seed in plan.seeds:
        tell(f"seed {seed}")
        run = require_no_link(run_of(folder, seed))
        if (run / CONFIG).is_file() and not force:
            how = ["--resume", str(run), *(["--allow-changes"] if allow_changes else [])]
        else:
            how = [*plan.arguments, "--seed", str(seed), "--run-dir", str(run), *(["--force"] if force else [])]
        facts = _child(folder, ["train", *how, *(["--quiet"] if quiet else []), "--json"], found)
        found.append(SeedRun(seed, facts["run"], facts["validation"]))
    if plan.judge:
        for at, each in enumerate(found):
            test = _child(folder, ["eval", each.run, "--json", *(["--quiet"] if quiet else [])], found)["metrics"]
            found[at] = SeedRun(each.seed, each.run, each.validation, test)


def _child(folder: Path, arguments: Sequence[str], done: Sequence[SeedRun]) -> dict[str, Any]:
    output, code = _called([sys.executable, "-m", "rnnsent", *arguments])
    if code in (130, 143):
        raise Interrupted("stopped", code)
    if code:
        _remove_empty(folder)
        on = _go_on(folder, done) if (folder / SEEDS).is_file() else ""
        raise RnnsentError(f"rnnsent {arguments[0]} failed, see above{on}")
    try:
        facts: dict[str, Any] = json.loads(output.splitlines()[-1])
    except (ValueError, IndexError):  # --help, say
        raise RnnsentError(
            f"rnnsent {arguments[0]} did something else than it was to do; what is passed on in {folder / SEEDS}?"
        ) from None
    return facts


def _go_on(folder: Path, done: Sequence[SeedRun]) -> str:
    """Return what is finished and how to go on, for people."""
    kept = f"; finished: {', '.join(each.run for each in done)}" if done else ""
    return f"{kept}; go on: rnnsent train --resume {shlex.quote(str(folder))}"


def _called(command: Sequence[str]) -> tuple[str, int]:
    """Return what a command wrote on stdout, and its exit code; signals are handed on to it, one for one."""
    child: subprocess.Popen[str] | None = None
    while True:
        try:
            if child is None:
                with HeldSignals():  # inside, it would be running and nobody know of it
                    # In a group of its own: Ctrl-C on a terminal would reach it besides what is handed on, and two
                    # signals mean that somebody does not want to wait.
                    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)
            output = child.communicate()[0]
            # Before its own handlers are there a signal ends it at once, which is told by a negative number.
            return output, child.returncode if child.returncode >= 0 else 128 - child.returncode
        except (KeyboardInterrupt, Interrupted) as stop:
            if child is None:
                raise
            child.send_signal(signal.SIGTERM if isinstance(stop, Interrupted) else signal.SIGINT)


def _remove_empty(folder: Path) -> None:
    """Remove a folder in which nothing was begun."""
    if {path.name for path in folder.iterdir()} == {SEEDS}:
        with suppress(OSError):
            (folder / SEEDS).unlink()
            folder.rmdir()


def spreads(found: Sequence[SeedRun], split: str) -> dict[str, dict[str, float | None]]:
    """Return {metric: {"mean", "sd"}} of a split over the seeds; sd is that of a sample, None for one seed.

    A metric that is undefined for a seed is left out.
    """
    metrics = [getattr(each, split) for each in found]
    values = {name: [each[name]["value"] for each in metrics] for name in metrics[0]}
    return {
        name: {"mean": mean(column), "sd": stdev(column) if len(column) > 1 else None}
        for name, column in values.items()
        if None not in column
    }


def table(found: Sequence[SeedRun], split: str) -> list[str]:
    """Return a line for each seed and one for all, of `SHOWN`, in at most 80 columns."""
    summary = spreads(found, split)
    names = [name for name in SHOWN if name in summary]
    lines = [f"  {split:<12}" + "".join(f"{name:>13}" for name in names)]
    for each in found:
        metrics = getattr(each, split)
        lines.append(f"  {f'seed {each.seed}':<12}" + "".join(f"{metrics[name]['value']:13.4f}" for name in names))
    lines.append(f"  {'mean':<12}" + "".join(f"{summary[name]['mean']:13.4f}" for name in names))
    if len(found) > 1:
        lines.append(f"  {'sd':<12}" + "".join(f"{summary[name]['sd']:13.4f}" for name in names))
    return lines
