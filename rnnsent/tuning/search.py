"""The page of a search: trials until time or number are used up, then the selection among the best."""

from __future__ import annotations

import logging
import time

from optuna import TrialPruned
from optuna.trial import TrialState

from rnnsent.config.sections import Config
from rnnsent.errors import ConfigError, Interrupted, TrainingError, count
from rnnsent.runs.directory import Run
from rnnsent.training.trainer import CallbackFactory
from rnnsent.tuning.runs import best_value, train_run
from rnnsent.tuning.search_space import trial_config
from rnnsent.tuning.selection import Selection, select
from rnnsent.tuning.study import ERROR, Study, Trial

logger = logging.getLogger(__name__)


def tune(study: Study, callbacks: CallbackFactory) -> Selection | None:
    """Search, then select; what earlier processes have done is not done again.

    Args:
        study: new or continued.
        callbacks: makes further Keras callbacks for each network.

    Returns:
        The best trials with further seeds; None if another process is at work, and will select.

    Raises:
        Interrupted: after Ctrl-C; names the command that continues.
        RnnsentError: if data or disk fail, or no trial can be trained.
    """
    try:
        deadline = study.deadline()
        while (trial := study.begin_trial(deadline)) is not None:
            _train_trial(study, trial, callbacks)
            logger.info("%s", _progress(study, trial.optuna.number, deadline))
        return None if study.is_shared else select(study, callbacks)
    except (KeyboardInterrupt, Interrupted) as stop:
        code = stop.exit_code if isinstance(stop, Interrupted) else 130
        again = f"continue: rnnsent tune --resume {Run(study.path).address}"
        raise Interrupted(f"stopped after {count(len(study.trials), 'trial')}; {again}", code) from None


def _train_trial(study: Study, trial: Trial, callbacks: CallbackFactory) -> None:
    """Train a trial, and tell the study its value."""

    def all_callbacks(config: Config) -> list[object]:
        from rnnsent.tuning.pruning import PruningCallback

        if config.training.teaching_networks:  # whose epochs would be taken for those of the network
            return [*callbacks(config)]
        return [*callbacks(config), PruningCallback(trial.optuna, study.monitor, trial.deadline)]

    try:
        config = trial_config(study.config, study.space, trial.optuna.params)
        run = train_run(config, trial.folder, f"{study.plan.name}, trial {trial.optuna.number}", all_callbacks)
    except TrialPruned:
        study.end_trial(trial, None)
    except (ConfigError, TrainingError) as error:
        study.end_trial(trial, None, str(error))
    except BaseException:
        study.give_back(trial)
        raise
    else:
        study.end_trial(trial, best_value(run, study.monitor))


def _progress(study: Study, number: int, deadline: float) -> str:
    """Return the line of a trial: its value, the best so far, the time left, estimated if the number is limited."""
    trials, seconds = study.trials, deadline - time.monotonic()
    (trial,) = (trial for trial in trials if trial.number == number)
    outcome = "stopped" if ERROR not in trial.user_attrs else f"failed: {trial.user_attrs[ERROR]}"
    if trial.value is not None:
        pruned = f", stopped after {count(trial.last_step or 0, 'epoch')}" if trial.state == TrialState.PRUNED else ""
        outcome = f"{study.monitor} {trial.value:.4f}{pruned}"
    best = "".join(f"; best {each.value:.4f}, trial {each.number}" for each in study.ranking()[:1])
    if study.plan.trials is not None:
        spent = [each.duration.total_seconds() for each in trials if each.duration is not None]
        seconds = min(seconds, sum(spent) / len(spent) * (study.plan.trials - len(spent)))
    return f"trial {number}: {outcome}{best}; {max(seconds, 0.0) / 60:.1f} minutes left"
