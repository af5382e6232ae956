"""The selection among the best trials: each trained with the same seeds, their spread, and whether they differ."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from optuna.trial import FrozenTrial

from rnnsent.errors import RunError, TrainingError
from rnnsent.evaluation.evaluate import evaluation_of
from rnnsent.evaluation.intervals import discordant, mcnemar, paired_difference
from rnnsent.files import disk_errors
from rnnsent.runs import registry
from rnnsent.runs.directory import LOCK, Run, acquire
from rnnsent.runs.schemas import Estimate, Plan
from rnnsent.training import seeds
from rnnsent.training.seeds import Spread, spread_of
from rnnsent.training.trainer import CallbackFactory
from rnnsent.tuning.results import write_results
from rnnsent.tuning.runs import best_value, quiet, train_run
from rnnsent.tuning.search_space import trial_config
from rnnsent.tuning.study import ERROR, FINALISTS, TRIALS, Study

logger = logging.getLogger(__name__)

BEST = "best"


@dataclass(frozen=True)
class Candidate:
    """A trial and its runs, one for each seed."""

    trial: FrozenTrial
    runs: list[Run]
    spread: Spread  # of the monitored metric


@dataclass(frozen=True)
class Difference:
    """The accuracy of the best minus that of the second on the same texts, with the p-value of McNemar's test."""

    texts: int
    accuracy: Estimate
    p_value: float


@dataclass(frozen=True)
class Selection:
    """The end of a study."""

    study: Study
    run: Run  # a copy of the best run
    candidates: list[Candidate]  # best first
    difference: Difference | None  # None if only one trial is complete


def select(study: Study, callbacks: CallbackFactory) -> Selection | None:
    """Train the best trials with further seeds, take the better by its mean over them, and write the results.

    Returns:
        The selection; None if another process is selecting now.

    Raises:
        TrainingError: if no trial is complete.
    """
    finalists = study.ranking()[:FINALISTS]
    if not finalists:
        errors = [trial.user_attrs[ERROR] for trial in study.trials if ERROR in trial.user_attrs]
        raise TrainingError("; ".join([f"{study.path}: no trial is complete", *errors[-1:]]))
    try:
        lock = acquire(study.path / TRIALS)
    except RunError:
        return None
    try:
        candidates = [_candidate(study, trial, callbacks) for trial in finalists]
        candidates.sort(key=lambda candidate: study.sign * candidate.spread.mean)
        best = min(candidates[0].runs, key=lambda run: study.sign * best_value(run, study.monitor))
        run = _copy(best, study.path / BEST)
        registry.mark_latest(run)
        difference = _difference(*candidates) if len(candidates) > 1 else None
        selection = Selection(study, run, candidates, difference)
        write_results(selection)
        return selection
    finally:
        lock.release()


def _candidate(study: Study, trial: FrozenTrial, callbacks: CallbackFactory) -> Candidate:
    """Train a trial with each seed that is not trained yet."""
    config, folder = trial_config(study.config, study.space, trial.params), study.trial_folder(trial.number)
    first = config.training.seed
    plan = Plan(list(range(first, first + study.plan.seeds)), False)
    seeds.begin(folder, config, plan, force=True)  # which deletes nothing
    runs = []
    for seed in plan.seeds:
        run, name = Run(seeds.seed_path(folder, seed)), f"trial {trial.number}, seed {seed}"
        if not run.finished or run.metrics.interrupted:
            shutil.rmtree(run.path, ignore_errors=True)
            training = replace(config.training, seed=seed)
            try:
                run = train_run(replace(config, training=training), folder, f"{study.plan.name}, {name}", callbacks)
            except TrainingError as error:
                logger.warning("%s: left out: %s", name, error)
                continue
            logger.info("%s: %s %.4f", name, study.monitor, best_value(run, study.monitor))
        runs.append(run)
    values = [best_value(run, study.monitor) for run in runs]
    return Candidate(trial, runs, spread_of(values))


def _difference(best: Candidate, second: Candidate) -> Difference:
    """Compare two candidates seed by seed.

    The texts that one alone has right are counted for each pair of runs, and averaged: the interval is as wide as that
    of one pair, since the same texts with another seed are hardly new ones.
    """
    pairs = []
    with quiet():
        for runs in zip(best.runs, second.runs, strict=False):
            one, other = (evaluation_of(run, "validation").predictions.right for run in runs)
            pairs.append(discordant(one, other))
    only_best, only_second = np.mean(pairs, axis=0).tolist()
    return Difference(
        len(one), paired_difference(only_second, only_best, len(one)), mcnemar(round(only_best), round(only_second))
    )


def _copy(run: Run, path: Path) -> Run:
    """Copy a run; one that is there is replaced when the copy is complete."""
    temporary = path.with_name(f".{path.name}")
    with disk_errors(path):
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(run.path, temporary, ignore=shutil.ignore_patterns(LOCK))
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
    return Run(path)
