"""One run of a study: trained without its own log lines, and its value."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnsent.config.sections import Config
from rnnsent.runs.directory import Run
from rnnsent.training import experiment
from rnnsent.training.experiment import Request
from rnnsent.training.seeds import seed_path
from rnnsent.training.trainer import CallbackFactory

ROOMS = ("data", "engine", "evaluation", "inference", "models", "runs", "training")


def train_run(config: Config, folder: Path, name: str, callbacks: CallbackFactory) -> Run:
    """Train a run in the folder of its trial."""
    with quiet():
        run_dir = seed_path(folder, config.training.seed)
        return experiment.train(config, Request(name, callbacks, latest=False, trial=True), run_dir=run_dir)


@contextmanager
def quiet() -> Iterator[None]:
    """Hide what the rooms below log, warnings too: what holds for all trials was logged when the study began."""
    loggers = [logging.getLogger(f"rnnsent.{room}") for room in ROOMS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def best_value(run: Run, monitor: str) -> float:
    """Return the monitored validation metric of the epoch that a run has kept."""
    best_epoch = run.metrics.best_epoch
    assert best_epoch is not None  # of one network
    return float(getattr(run.history()[best_epoch - 1], monitor))
