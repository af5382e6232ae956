"""A study: Optuna's journal, which several processes may share, and a folder for each trial.

A process that is killed leaves a trial that the journal calls running. Each process holds a lock in the folder of its
trial, so whoever begins the next one sees that nobody trains it any more: it is marked as failed and enqueued again.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import optuna
from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from rnnsent.config.sections import Config
from rnnsent.errors import RunError
from rnnsent.files import disk_errors
from rnnsent.runs.directory import CONFIG, HISTORY, LOCK, METRICS, RESTORE, acquire, is_locked
from rnnsent.signals import DeferredSignals
from rnnsent.tuning.folder import PLAN, TuningPlan, folder_lock
from rnnsent.tuning.search_space import distributions, own_parameters, search_space

logger = logging.getLogger(__name__)

JOURNAL = "journal.log"
TRIALS = "trials"
KEPT_FILES = (CONFIG, HISTORY, METRICS)  # of the run of a trial that is not among the best
FINALISTS = 2  # trials whose weights are kept, and which are trained with further seeds
STARTUP_TRIALS = 3  # that are complete before any is pruned
MAX_RETRIES = 2  # of a trial whose process was killed, perhaps by it
# attributes of trials: why the training failed; how often it was enqueued again
ERROR, RETRIES = "error", "retries"


@dataclass(frozen=True)
class Trial:
    """A trial that this process trains, the folder of its runs, and the lock that says so."""

    optuna: optuna.Trial
    folder: Path
    lock: FileLock
    deadline: float  # when it is stopped, in seconds of `time.monotonic()`


class Study:
    """An open study; arguments as `open_folder` returns them."""

    def __init__(self, path: Path, config: Config, plan: TuningPlan) -> None:
        self.path, self.config, self.plan = path, config, plan
        self.space, self.monitor = search_space(config), config.training.monitor
        self.sign = 1 if self.monitor == "val_loss" else -1  # of what is minimized
        self._distributions, self._lock = distributions(self.space), folder_lock(path)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        logging.getLogger("optuna").handlers = [_Forward()]

    def trial_folder(self, number: int) -> Path:
        """Return the folder of a trial, which holds a run for each seed."""
        return self.path / TRIALS / str(number)

    @cached_property
    def study(self) -> optuna.Study:
        """Optuna's study, in the journal.

        Raises:
            RunError: if the journal is damaged.
        """
        journal = self.path / JOURNAL
        with self._lock:
            content = journal.read_bytes() if journal.is_file() else b""
            os.truncate(journal, content.rfind(b"\n") + 1) if content else None  # a kill may have left half a line
            try:
                # Optuna's own lock lasts for half a minute when its process was killed.
                storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=cast(Any, self._lock)))
                study = optuna.create_study(
                    storage=storage,
                    study_name=PLAN,
                    direction="minimize" if self.sign > 0 else "maximize",
                    pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS),
                    load_if_exists=True,
                )
                if not study.trials:
                    study.enqueue_trial(own_parameters(self.config, self.space))
            except (ValueError, KeyError, TypeError, AssertionError, RecursionError) as error:
                reason = f"{type(error).__name__}: {error}"
                raise RunError(f"{journal}: is damaged: {reason}; {RESTORE}") from None
        return study

    @property
    def trials(self) -> list[FrozenTrial]:
        """The trials that count: not those that wait, or were enqueued again."""
        states = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state in states or ERROR in trial.user_attrs]

    def ranking(self) -> list[FrozenTrial]:
        """Return the complete trials, best first, one of those with the same parameters."""
        complete = [trial for trial in self.trials if trial.state == TrialState.COMPLETE]
        complete.sort(key=lambda trial: self.sign * cast(float, trial.value))
        return [trial for k, trial in enumerate(complete) if trial.params not in [one.params for one in complete[:k]]]

    @property
    def is_shared(self) -> bool:
        """Whether another process trains a trial now."""
        running = [trial.number for trial in self.trials if trial.state == TrialState.RUNNING]
        return any(is_locked(self.trial_folder(number)) for number in running)

    def deadline(self) -> float:
        """Return when the search ends, in seconds of `time.monotonic()`; the time of earlier processes counts."""
        if self.plan.minutes is None:
            return float("inf")
        times = [(trial.datetime_start, trial.datetime_complete) for trial in self.trials]
        used = end = 0.0
        for start, stop in sorted((start.timestamp(), stop.timestamp()) for start, stop in times if start and stop):
            used, end = used + max(stop - max(start, end), 0.0), max(stop, end)  # trials at the same time count once
        return time.monotonic() + 60 * self.plan.minutes - used

    def begin_trial(self, deadline: float) -> Trial | None:
        """Return the next trial; None if the search is over."""
        with DeferredSignals(), self._lock:
            self._give_back_killed()
            trials, limit = self.trials, self.plan.trials
            if (limit is not None and len(trials) >= limit) or (trials and time.monotonic() > deadline):
                return None
            seed = self.config.training.seed + 7919 * len(self.study.trials)  # not that of another process
            self.study.sampler = optuna.samplers.TPESampler(seed=seed % 2**32)
            trial = self.study.ask(self._distributions)
            folder = self.trial_folder(trial.number)
            with disk_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            # Without a complete trial there would be no result.
            return Trial(trial, folder, acquire(folder), deadline if self.ranking() else float("inf"))

    def end_trial(self, trial: Trial, value: float | None, error: str | None = None) -> None:
        """Note the value of a trial; None if it was pruned, or failed by `error`. The weights of worse ones go."""
        with DeferredSignals(), self._lock:
            state = TrialState.PRUNED if value is None else TrialState.COMPLETE
            if error is not None:
                trial.optuna.set_user_attr(ERROR, error)
                state = TrialState.FAIL
            self.study.tell(trial.optuna, value, state)
            trial.lock.release()
            best = [each.number for each in self.ranking()[:FINALISTS]]
            for each in self.trials:
                if each.state.is_finished() and each.number not in best:
                    _strip(self.trial_folder(each.number))

    def give_back(self, trial: Trial) -> None:
        """Enqueue a trial again that this process does not end."""
        with DeferredSignals(), self._lock:
            self._fail(self.study.get_trials(deepcopy=False)[trial.optuna.number], again=True, retries=0)
            trial.lock.release()

    def _give_back_killed(self) -> None:
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not is_locked(self.trial_folder(trial.number)):
                retries = trial.user_attrs.get(RETRIES, 0)
                again = bool(trial.params) and retries < MAX_RETRIES
                logger.info("trial %d: its process was killed; %s", trial.number, "retried" if again else "left out")
                self._fail(trial, again=again, retries=retries + 1)

    def _fail(self, trial: FrozenTrial, *, again: bool, retries: int) -> None:
        if again:
            self.study.enqueue_trial(trial.params, user_attrs={RETRIES: retries})
        self.study.tell(trial.number, state=TrialState.FAIL)
        shutil.rmtree(self.trial_folder(trial.number), ignore_errors=True)


def _strip(folder: Path) -> None:
    """Delete all but the small facts of the runs of a trial."""
    (folder / LOCK).unlink(missing_ok=True)
    for entry in folder.glob("seed-*/*"):
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name not in KEPT_FILES:
            entry.unlink(missing_ok=True)


class _Forward(logging.Handler):
    """Lets the warnings of Optuna be those of rnnsent."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.handle(record)
