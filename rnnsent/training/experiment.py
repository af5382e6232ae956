"""The page: load → split → features → run → model → fit → finish."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rnnsent.config.loader import dump_config
from rnnsent.config.sections import Config
from rnnsent.data.dataset import Partition, split_dataset
from rnnsent.data.download import Progress
from rnnsent.data.sources import load_dataset
from rnnsent.engine.device import start
from rnnsent.errors import Interrupted, RunError
from rnnsent.evaluation.metrics import score
from rnnsent.evaluation.predictions import Predictions
from rnnsent.inference import calibration
from rnnsent.inference.predictor import load_predictor
from rnnsent.runs import directory, registry
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import DataInfo, Fingerprint, TrainingMetrics
from rnnsent.signals import DeferredSignals
from rnnsent.training import environment, resume
from rnnsent.training.checkpoint import CheckpointFolder
from rnnsent.training.features import Features, data_info, fit_features, log_data, resolve
from rnnsent.training.pseudo_label import add_unlabeled, label_texts
from rnnsent.training.requirements import require_trainable
from rnnsent.training.trainer import CallbackFactory, Session, TrainedNetwork, train_network

logger = logging.getLogger(__name__)

STARTING = "stopping as soon as Keras has started; once more stops at once"
FINISHING = "finishing the run, in seconds; once more leaves it unfinished"


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    name: str  # of the training; names the run where no folder is given, and stands above the curves
    callbacks: CallbackFactory = lambda config: ()  # makes the Keras callbacks of the user for each network
    progress: Progress | None = None  # follows a download or the reading of texts


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
    with _guarded(run):
        return _train(run, config, request)


def resume_training(path: Path, request: Request, epochs: int | None = None) -> Run:
    """Continue the training of a run; it ends with the bits of one that was never stopped.

    Args:
        path: of the run.
        request: callbacks and progress.
        epochs: train so many in all; None: as many as the config says.

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
    started, requested = time.perf_counter(), config.data.source
    dataset = load_dataset(config.data, progress=request.progress)
    config = resolve(config, dataset)
    require_trainable(config)  # more of it is known now
    split = split_dataset(dataset, config.data)
    log_data(dataset, split, config)
    features = add_unlabeled(fit_features(dataset, split, config), dataset, config)
    # Keras is imported from here on; a signal inside that import could be lost or take the process down.
    with DeferredSignals(STARTING):
        device = start(config.training.device)
        logger.info("device: %s", device)
    info = environment.describe(device, config.training.seed)
    found = resume.fingerprint(request.name, config, split, device, info)
    run, found = _begin(run, config, features, found)
    run.write_record(directory.ENVIRONMENT, info)
    session = Session(features, device, request.callbacks, started)
    for number in range(1, config.training.teaching_networks + 1):
        logger.info("teacher: training a network on %s texts", f"{len(session.features.train):,}")
        teacher = _train_network(run.part(directory.TEACHER, number), config.members[0], session, "teacher")
        if teacher.stopped is not None:
            raise teacher.stopped
        session = replace(session, features=label_texts(session.features, teacher, device))
    networks = _train_networks(run, config, session, found.name)
    with DeferredSignals(FINISHING):
        data = data_info(dataset, split, config, requested)
        _finish(run, config, session, networks, data)
        registry.mark_latest(run)
    stopped = networks[-1].stopped
    if stopped is not None:
        raise Interrupted(f"{stopped}; continue: rnnsent train --resume {run.address}", stopped.exit_code)
    return run


def _begin(run: Run, config: Config, features: Features, found: Fingerprint) -> tuple[Run, Fingerprint]:
    """Write what a run begins with; of one that is resumed, return its own fingerprint, if it is still the same."""
    if run.file(directory.FINGERPRINT).is_file():
        found = resume.require_same(run, found)
        logger.info("%s: resumed", run)
        run.reopen()
    elif run.resumable:
        raise RunError(f"{run.file(directory.FINGERPRINT)}: is missing; {directory.RESTORE}")
    logger.info("run: %s", run)  # whoever stops what takes long should know which one to resume
    run.write(directory.CONFIG, dump_config(config))
    run.write_record(directory.SETTINGS, config)
    run.write_record(directory.FINGERPRINT, found)
    run.write(directory.VOCABULARY, features.split.vocabulary.to_json())
    run.write(directory.SPLIT, _indices(features.split))
    if features.ngram_weights is not None:
        run.write(directory.NGRAM_WEIGHTS, directory.arrays_bytes(features.ngram_weights.to_arrays()))
    return replace(run, training=found.training), found


def _indices(split: Partition) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **split.indices)  # type: ignore[arg-type]
    return buffer.getvalue()


def _train_networks(run: Run, config: Config, session: Session, name: str) -> list[TrainedNetwork]:
    """Train the networks of a run, one after the other; the last one may have been stopped.

    Raises:
        Interrupted: if there is nothing that could be used: of an ensemble, all networks are needed.
    """
    networks: list[TrainedNetwork] = []
    for place, (folder, member) in enumerate(zip(resume.network_runs(run, config), config.members, strict=True), 1):
        title = name if config.ensemble is None else f"{name}, network {place}"
        if config.ensemble is not None:
            logger.info("network %d of %d", place, len(config.members))
        network = _train_network(folder, member, session, title)
        if network.stopped is not None and config.ensemble is not None:
            raise Interrupted(
                f"{network.stopped}, in network {place} of {len(config.members)}; continue: rnnsent train --resume "
                f"{run.address}",
                network.stopped.exit_code,
            )
        networks.append(network)
    return networks


def _train_network(run: Run, config: Config, session: Session, title: str) -> TrainedNetwork:
    from rnnsent.training.pretrain import initial_weights

    initial = initial_weights(run, config, session.features, session.device)
    return train_network(run, config, session, title, initial)


def _finish(run: Run, config: Config, session: Session, networks: Sequence[TrainedNetwork], data: DataInfo) -> None:
    """Calibrate, evaluate on validation, write metrics.json and the manifest."""
    from rnnsent.models.summary import summarize

    first, texts = networks[0], session.features.split.validation
    predict = load_predictor(config, run.weights(), session.features.ngram_weights, device=session.device.name)
    probabilities = predict(texts)
    if config.training.calibrate:
        fitted = calibration.fit_calibration(texts.labels, probabilities)
        logger.info("calibration: %s", fitted)
        run.write_record(directory.CALIBRATION, fitted)
    summary = summarize(config, session.features.rows)
    run.write(directory.SUMMARY, summary.text)
    run.write(directory.SUMMARY_JSON, json.dumps(summary.to_dict()) + "\n")
    ensemble = config.ensemble is not None
    metrics = TrainingMetrics(
        data=data,
        engine={
            f"network {number}, {layer}" if ensemble else layer: engine
            for number, network in enumerate(networks, 1)
            for layer, engine in network.engine.items()
        },
        epochs=sum(len(network.history) for network in networks),
        best_epoch=None if ensemble else first.best.epoch,
        interrupted=networks[-1].stopped is not None,
        validation_texts=len(texts),
        # Not calibrated: on the texts that temperature and threshold were fitted on they look better than they are.
        validation=score(Predictions.of(texts.labels, probabilities)).metrics,
        seconds=round(time.perf_counter() - first.started, 3),
        peak_memory_mb=round(environment.peak_memory_mb(), 1),
        parameters=summary.parameters,
        networks=[network.info() for network in networks] if ensemble else None,
        embeddings=first.initial.embeddings,
        language_model=first.initial.language_model,
        pseudo_labels=session.features.pseudo_labels,
    )
    run.write_record(directory.METRICS, metrics)
    if not metrics.interrupted:
        for folder in run.path.rglob(directory.CHECKPOINTS):
            CheckpointFolder(folder, run.training).keep_newest()
    run.finish()


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
