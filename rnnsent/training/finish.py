"""The end of a training: calibration, figures on validation, the files of the run that only now can be written."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from rnnsent.config.sections import Config
from rnnsent.evaluation.metrics import part_accuracies, score
from rnnsent.evaluation.predictions import Predictions
from rnnsent.inference import calibration
from rnnsent.inference.predictor import load_predictor
from rnnsent.models.linear import blend
from rnnsent.models.summary import summarize
from rnnsent.runs import directory
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import DataInfo, LinearInfo, TrainingMetrics
from rnnsent.training.checkpoint import CheckpointFolder
from rnnsent.training.environment import peak_memory_mb
from rnnsent.training.trainer import Session, TrainedNetwork

logger = logging.getLogger(__name__)


def finish(run: Run, config: Config, session: Session, networks: Sequence[TrainedNetwork], data: DataInfo) -> None:
    """Calibrate, evaluate on validation, write metrics.json and the manifest."""
    first, texts, features = networks[0], session.features.split.validation, session.features
    device = session.device.name
    predict = load_predictor(config, run.weights(), features.ngram_weights, device=device)
    probabilities, _ = predict.parts(texts)
    linear, parts = None, []
    if config.model.linear is not None and features.linear is not None:
        network, of_linear = probabilities, features.linear.probabilities(texts)
        given = config.model.linear.weight
        weight = calibration.best_weight(texts.labels, network, of_linear) if given is None else given
        model = replace(features.linear, weight=weight)
        run.write(directory.LINEAR, directory.arrays_bytes(model.to_arrays()))
        predict = replace(predict, linear=model)
        linear = LinearInfo(ngrams=model.size, strength=model.config.strength or 0.0, weight=weight)
        logger.info("linear part: weight %g beside the network", weight)
        probabilities = blend(network, of_linear, weight)
        parts = part_accuracies(texts.labels, probabilities, {"network": network, "linear part": of_linear})
    if config.training.calibrate:
        result = calibration.fit_calibration(texts.labels, probabilities)
        logger.info("calibration: %s", result)
        run.write_record(directory.CALIBRATION, result)
    table, summary = summarize(config, features.rows)
    run.write(directory.SUMMARY, table)
    run.write_record(directory.SUMMARY_JSON, summary)
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
        peak_memory_mb=round(peak_memory_mb(), 1),
        parameters=summary.parameters,
        networks=[network.info() for network in networks] if ensemble else None,
        embeddings=first.initial.embeddings,
        language_model=first.initial.language_model,
        parent=None if session.initial_run is None else session.initial_run.info(predict, features.split, device),
        pseudo_labels=features.pseudo_labels,
        linear=linear,
        parts=parts,
    )
    run.write_record(directory.METRICS, metrics)
    if not metrics.interrupted:
        for folder in run.path.rglob(directory.CHECKPOINTS):
            CheckpointFolder(folder, run.training).keep_newest()
    run.finish()
