"""The folder of a study: its config, what was asked for, and whether the same command has begun it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from rnnsent.config.loader import dump_config, load_config
from rnnsent.config.sections import Config
from rnnsent.data.dataset import split_dataset
from rnnsent.data.download import Progress
from rnnsent.data.sources import load_dataset
from rnnsent.errors import ConfigError, Problem, RnnsentError, RunError, installed
from rnnsent.files import disk_errors, write_atomic
from rnnsent.runs.directory import CONFIG, LOCK
from rnnsent.runs.registry import new_folder
from rnnsent.runs.schemas import parse, to_json
from rnnsent.training.features import log_data, resolve
from rnnsent.training.requirements import require_trainable

logger = logging.getLogger(__name__)

ROOT = Path("tunes")
PLAN = "tuning.json"
RESULT = "result.json"  # of a finished study


@dataclass(frozen=True)
class TuningPlan:
    """tuning.json: what was asked for."""

    name: str  # of the trainings
    # when the search ends; one of them may be None
    trials: int | None
    minutes: float | None
    seeds: int  # with which each of the best trials is trained
    data: str = ""  # SHA-256 of the data


def read_folder(path: Path) -> tuple[Config, TuningPlan]:
    """Return config and plan of a study.

    Raises:
        RnnsentError: if there is none.
    """
    if not _is_study(path):
        raise RunError(f"{path}: not a study, it has no {PLAN}; --resume names a folder that `rnnsent tune` made")
    return load_config(str(path / CONFIG)), parse(TuningPlan, (path / PLAN).read_bytes(), path / PLAN)


def open_folder(
    config: Config, plan: TuningPlan, path: Path | None = None, progress: Progress | None = None
) -> tuple[Path, Config, TuningPlan]:
    """Make the folder of a study, or open the one of the same config and data; load and log the data.

    Args:
        config: what each trial changes; returned as it was resolved.
        plan: returned with the data's SHA-256.
        path: None: an unfinished study of the same config and plan in `tunes/`, else `tunes/NAME-DATE-N`.
        progress: follows the reading of texts.

    Raises:
        RnnsentError: without Optuna; whatever is wrong with config or data; if the folder holds something else.
    """
    if not installed("optuna"):
        raise RnnsentError("rnnsent tune needs Optuna: pip install 'rnnsent[tune]'")
    if config.ensemble is not None:
        rule = "must be null: a search is for one network; use --set ensemble=null"
        raise ConfigError([Problem("", "ensemble", rule)])
    if not config.members:
        raise ConfigError(
            [Problem("", "model.recurrent", "must have at least 1 layer: a search is for a network", "[]")]
        )
    require_trainable(config)
    dataset = load_dataset(config.data, progress=progress)
    resolved = resolve(config, dataset)
    log_data(dataset, split_dataset(dataset, resolved.data), resolved)
    if dataset.source == config.data.source:  # else each run says that a fallback was used
        config = resolved
    plan = replace(plan, data=str(dataset.provenance["sha256"]))
    path = path or _unfinished(config, plan) or new_folder(plan.name, ROOT)
    if path.exists() and not path.is_dir():
        raise RunError(f"{path}: is a file; --study-dir names a folder")
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        with folder_lock(path):
            _require_same(path, config, plan)
            (path / RESULT).unlink(missing_ok=True)
            write_atomic(path / PLAN, to_json(plan))
            write_atomic(path / CONFIG, dump_config(config))
    return path, config, plan


def folder_lock(path: Path) -> FileLock:
    """Return the lock of the files that processes share; one that is killed holds it no more."""
    return FileLock(path / LOCK)


def _is_study(path: Path) -> bool:
    return (path / PLAN).is_file() and (path / CONFIG).is_file()


def _unfinished(config: Config, plan: TuningPlan) -> Path | None:
    """Return the newest study that the same command has begun and that is not finished."""
    paths = [path for path in ROOT.glob("*/") if _is_study(path) and not (path / RESULT).exists()]
    for path in sorted(paths, key=lambda path: (path / PLAN).stat().st_mtime, reverse=True):
        try:
            if read_folder(path) == (config, plan):
                logger.info("study: %s goes on; --study-dir begins another one", path)
                return path
        except RnnsentError:  # of another version
            continue
    return None


def _require_same(path: Path, config: Config, plan: TuningPlan) -> None:
    """Require that a folder is empty, or holds a study of this config and these data."""
    if not _is_study(path):
        names = sorted(entry.name for entry in path.iterdir() if entry.name not in (LOCK, PLAN, CONFIG))
        if names:
            raise RunError(f"{path}: is not empty and not a study: it holds {names[0]}; choose another --study-dir")
        return
    old_config, old_plan = read_folder(path)
    if old_plan.data != plan.data:
        raise RunError(f"{path}: its data changed since it began; restore them, or choose another --study-dir")
    if old_config != config:
        raise RunError(f"{path}: holds a study of another config; choose another --study-dir")
