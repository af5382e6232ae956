"""The page: load → split → features → run → model → fit → finish."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rnnsent.config.loader import dump_config
from rnnsent.config.sections import Config
from rnnsent.data.dataset import split_dataset
from rnnsent.data.download import Progress
from rnnsent.data.rows import Rows, row_errors
from rnnsent.data.sources import load_dataset
from rnnsent.engine.device import start
from rnnsent.errors import Interrupted, RunError
from rnnsent.runs import directory, registry
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import Fingerprint
from rnnsent.signals import DeferredSignals
from rnnsent.training import environment, recipe, resume
from rnnsent.training.features import Features, data_info, fit_features, log_data, resolve
from rnnsent.training.finish import finish
from rnnsent.training.initial_run import open_initial_run
from rnnsent.training.networks import teach, train_networks
from rnnsent.training.pseudo_label import add_unlabeled
from rnnsent.training.requirements import require_trainable
from rnnsent.training.trainer import CallbackFactory, Session

logger = logging.getLogger(__name__)

STARTING = "stopping as soon as Keras has started; once more stops at once"
FINISHING = "finishing the run, in seconds; once more leaves it unfinished"


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    name: str  # of the training; names the run where no folder is given, and stands above the curves
    callbacks: CallbackFactory = lambda config: ()  # makes the Keras callbacks of the user for each network
    progress: Progress | None = None  # follows a download or the reading of texts
    rows: Rows | None = None  # to train on instead of files
    given: Collection[str] | None = None  # keys that the recipe for tables may not change; None: no recipe is chosen
    latest: bool = True  # whether `runs/latest` names the run from then on
    trial: bool = False  # of a search: does not log the data, for which texts of the test are read


def train(config: Config, request: Request, *, run_dir: Path | None = None, force: bool = False) -> Run:
    """Train what `config` describes and return the finished run.

    Args:
        config: the experiment.
        request: name, callbacks, progress.
        run_dir: where the run goes; None: `runs/NAME-DATE-N`.
        force: replace the run in `run_dir`.

    Raises:
        RnnsentError: whatever is wrong with config, data, device or disk.
        Interrupted: after Ctrl-C; `resume_training` continues, and the best epoch so far can be used.
    """
    require_trainable(config)
    run = registry.create_run(request.name, run_dir, force=force)
    with _guarded(run), row_errors(run.file(directory.DATA)):
        if request.rows is not None:
            with run.writing(directory.DATA) as path:
                config = replace(config, data=request.rows.write(path, config.data))
        elif run.replaced.is_dir() and config.data.path == str(run.file(directory.DATA).resolve()):
            run.write(directory.DATA, Run(run.replaced).read(directory.DATA))  # a run with rows starts over
        return _train(run, config, request)


def resume_training(path: Path, request: Request, epochs: int | None = None) -> Run:
    """Continue the training of a run; it ends with the bits of one that was never stopped.

    Args:
        path: of the run.
        request: callbacks and progress.
        epochs: total number; None: as the config says.

    Raises:
        RnnsentError, Interrupted: as `train`.
    """
    run = registry.open_run(path)
    run = replace(run, lock=directory.acquire(run.path))
    with _guarded(run):
        config = resume.resumed_config(run, epochs)
        if run.finished and not run.metrics.interrupted and config == run.config:
            logger.info("%s is finished; train more: --epochs N", run)
            return run
        return _train(run, config, request)


def _train(run: Run, config: Config, request: Request) -> Run:
    start_time, requested = time.perf_counter(), config.data.source
    if run.file(directory.DATA).is_file():
        config = replace(config, data=replace(config.data, path=str(run.file(directory.DATA))))
    if request.given is not None:
        config = recipe.fitted(config, load_dataset(config.data, progress=request.progress), request.given)
    config, initial_run = open_initial_run(config, run)
    dataset = load_dataset(config.data, progress=request.progress, words=initial_run.words if initial_run else ())
    config = resolve(config, dataset)
    if initial_run is not None:
        config = initial_run.united(config, dataset)
    require_trainable(config)  # more of it is known now
    split = split_dataset(dataset, config.data, cross_validation=config.training.cross_validation)
    if not request.trial:
        log_data(dataset, split, config)
    features = add_unlabeled(fit_features(dataset, split, config), dataset, config)
    # Keras is imported from here on; a signal inside that import could be lost or take the process down.
    with DeferredSignals(STARTING):
        device = start(config.training.device)
        logger.info("device: %s", device)
    info = environment.describe(device, config.training.seed)
    fingerprint = resume.fingerprint(request.name, config, split, device, info)
    run, fingerprint = _begin(run, config, features, fingerprint)
    run.write_record(directory.ENVIRONMENT, info)
    if config.members:
        logger.info(
            "epochs: val_ is on the validation texts; * marks the best one so far, by\n  %s: its weights are kept",
            config.training.monitor,
        )
    session = teach(run, config, Session(features, device, request.callbacks, start_time, initial_run))
    networks = train_networks(run, config, session, fingerprint.name)
    with DeferredSignals(FINISHING):
        finish(run, config, session, networks, data_info(dataset, split, config, requested))
        if request.latest:
            registry.mark_latest(run)
    stop = networks[-1].stopped if networks else None
    if stop is not None:
        raise Interrupted(f"{stop}; continue: rnnsent train --resume {run.address}", stop.exit_code)
    return run


def _begin(run: Run, config: Config, features: Features, fingerprint: Fingerprint) -> tuple[Run, Fingerprint]:
    """Write what a run begins with; of one that is resumed, return its own fingerprint, if it is still the same."""
    if run.file(directory.FINGERPRINT).is_file():
        fingerprint = resume.require_same(run, fingerprint)
        logger.info("%s: resumed", run)
        run.reopen()
    elif run.resumable:
        raise RunError(f"{run.file(directory.FINGERPRINT)}: is missing; {directory.RESTORE}")
    logger.info("run: %s", run)  # whoever stops what takes long should know which one to resume
    for network in resume.network_runs(run, config)[:1]:
        logger.info("plots: %s", network.file(directory.CURVES))
    run.write(directory.VOCABULARY, features.split.vocabulary.to_json())  # before `num_words`, which follows from it
    run.write(directory.CONFIG, dump_config(config))
    run.write_record(directory.SETTINGS, config)
    run.write_record(directory.FINGERPRINT, fingerprint)
    run.write(directory.SPLIT, _indices(features))
    if features.ngram_weights is not None:
        run.write(directory.NGRAM_WEIGHTS, directory.arrays_bytes(features.ngram_weights.to_arrays()))
    return replace(run, training=fingerprint.training), fingerprint


def _indices(features: Features) -> bytes:
    buffer, folds = io.BytesIO(), {} if features.folds is None else {directory.FOLDS: features.folds}
    np.savez_compressed(buffer, **features.split.indices, **folds)  # type: ignore[arg-type]
    return buffer.getvalue()


@contextmanager
def _guarded(run: Run) -> Iterator[None]:
    """Release the run in the end; after a failure remove one in which nothing was trained, or say what is left."""
    new = not run.file(directory.FINGERPRINT).is_file()
    try:
        yield
    except BaseException as error:
        if new and not run.resumable:
            with DeferredSignals():  # half of a folder would be worse
                run.discard()
            if isinstance(error, KeyboardInterrupt | Interrupted):
                logger.info("%s: removed, nothing was trained yet", run)
        elif not run.finished:
            logger.warning("%s", run.status())
        raise
    finally:
        run.release()
