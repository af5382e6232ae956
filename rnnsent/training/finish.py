"""The end of a training: calibration, figures on validation, the files of the run that only now can be written."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import Config
from rnnsent.evaluation.metrics import part_accuracies, score
from rnnsent.evaluation.predictions import Predictions
from rnnsent.inference import calibration
from rnnsent.inference.predictor import LINEAR_PART, NETWORK, Predictor, load_predictor, member_weights
from rnnsent.models.summary import summarize
from rnnsent.runs import directory
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import DataInfo, LinearInfo, TrainingMetrics
from rnnsent.training.checkpoint import CheckpointFolder
from rnnsent.training.environment import peak_memory_mb
from rnnsent.training.features import Features, InitialWeights
from rnnsent.training.trainer import Session, TrainedNetwork

logger = logging.getLogger(__name__)


def finish(run: Run, config: Config, session: Session, networks: Sequence[TrainedNetwork], data: DataInfo) -> None:
    """Calibrate, evaluate on validation, write metrics.json and the manifest."""
    first, texts, features = next(iter(networks), None), session.features.split.validation, session.features
    initial, device = InitialWeights() if first is None else first.initial, session.device.name
    predict = load_predictor(config, run.weights() if networks else {}, features.ngram_weights, device=device)
    if initial.subwords is not None:
        run.write(directory.SUBWORDS, directory.arrays_bytes(initial.subwords.to_arrays()))
        predict = replace(predict, subwords=initial.subwords)
    held_out = {NETWORK: _network_probabilities(predict, features, device)} if networks else {}
    linear = None
    if config.model.linear is not None and features.linear is not None:
        model, held_out[LINEAR_PART] = features.linear
        weight = config.model.linear.weight
        if weight is None and networks:
            weight = calibration.best_weight(texts.labels, held_out[NETWORK], held_out[LINEAR_PART])
            logger.info("linear part: weight %g beside the network", weight)
        model = replace(model, weight=1.0 if weight is None else weight)
        run.write(directory.LINEAR, directory.arrays_bytes(model.to_arrays()))
        predict = replace(predict, linear=model)
        linear = LinearInfo(ngrams=model.size, strength=model.config.strength or 0.0, weight=model.weight)
    probabilities = predict.mixed(held_out)
    predictions = Predictions.of(texts.labels, probabilities, config.data.targets)
    if features.linear is not None or features.folds is not None:
        run.write(directory.HELD_OUT, directory.arrays_bytes(held_out))
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
        best_epoch=None if ensemble or first is None else first.best.epoch,
        interrupted=first is not None and networks[-1].stopped is not None,
        validation_texts=len(texts),
        # Not calibrated: on the texts that temperature and threshold were fitted on they look better than they are.
        validation=score(predictions).metrics,
        seconds=round(time.perf_counter() - (session.started if first is None else first.started), 3),
        peak_memory_mb=round(peak_memory_mb(), 1),
        parameters=summary.parameters,
        networks=[network.info() for network in networks] if ensemble else None,
        embeddings=initial.embeddings,
        language_model=initial.language_model,
        parent=None if session.initial_run is None else session.initial_run.info(predict, features.split, device),
        pseudo_labels=features.pseudo_labels,
        linear=linear,
        parts=part_accuracies(predictions, held_out) if len(held_out) > 1 else [],
    )
    run.write_record(directory.METRICS, metrics)
    if not metrics.interrupted:
        for folder in run.path.rglob(directory.CHECKPOINTS):
            CheckpointFolder(folder, run.training).keep_newest()
    run.finish()


def _network_probabilities(predict: Predictor, features: Features, device: str) -> NDArray[np.float32]:
    """Return the probabilities of the validation texts, each by the networks that were not trained on it."""
    if features.folds is None:
        return predict.network(features.validation)
    probabilities = np.empty(0, np.float32)
    for place, member in enumerate(predict.config.members, start=1):
        weights, texts = member_weights(predict.weights, place), features.of_network(place).validation
        predict_one = load_predictor(member, weights, features.ngram_weights, device=device)
        part = replace(predict_one, subwords=predict.subwords).network(texts)
        if place == 1:
            probabilities = np.empty((len(features.folds), *part.shape[1:]), np.float32)
        probabilities[features.folds == place - 1] = part
    return probabilities
