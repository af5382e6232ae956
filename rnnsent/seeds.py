"""The same training with several seeds, one after the other, each in a process of its own; mean and spread.

A process of its own, because what TensorFlow keeps of one training would be in the memory of the next.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from rnnsent.errors import Interrupted, RnnsentError, count

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


def train_seeds(
    arguments: Sequence[str],
    seeds: Sequence[int],
    place: Callable[[int], Sequence[str]],
    *,
    judge: bool,
    tell: Callable[[str], None] = lambda line: None,
) -> list[SeedRun]:
    """Train with each seed, and return the runs; what children say on stderr is shown as they say it.

    Args:
        arguments: of `rnnsent train`, without --seed, --seeds, --run-dir and --json.
        seeds: which.
        place: further arguments for a seed: where its run goes.
        judge: whether each is judged on the test reviews, once, after all are trained.
        tell: told of each seed.

    Raises:
        Interrupted: if a child was stopped; what is finished is named.
        RnnsentError: if a child failed.
    """
    found: list[SeedRun] = []
    for seed in seeds:
        tell(f"seed {seed}")
        facts = _child(["train", *arguments, "--seed", str(seed), *place(seed), "--json"], found)
        found.append(SeedRun(seed, facts["run"], facts["validation"]))
    if judge:
        for at, each in enumerate(found):
            test = _child(["eval", each.run, "--json"], found)["metrics"]
            found[at] = SeedRun(each.seed, each.run, each.validation, test)
    return found


def _child(arguments: Sequence[str], done: Sequence[SeedRun]) -> dict[str, Any]:
    command = [sys.executable, "-m", "rnnsent", *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        output, _ = child.communicate()
    except BaseException:
        # Ctrl-C reaches the child as well, which keeps what it has; SIGTERM reaches this process alone.
        child.terminate()
        child.wait()
        raise
    kept = f"; finished: {', '.join(each.run for each in done)}" if done else ""
    if child.returncode in (130, 143):
        raise Interrupted(f"stopped after {count(len(done), 'seed')}{kept}", child.returncode)
    if child.returncode:
        raise RnnsentError(f"rnnsent {arguments[0]} failed, see above{kept}")
    facts: dict[str, Any] = json.loads(output.splitlines()[-1])
    return facts


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
