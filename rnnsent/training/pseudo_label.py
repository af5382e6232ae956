"""Texts without a label that are trained on: labeled softly by a teacher, or used by a virtual adversary.

Source: D. Yarowsky, "Unsupervised word sense disambiguation rivaling supervised methods", ACL 1995; with soft labels.
"""

from __future__ import annotations

import logging

import numpy as np

from rnnsent.config import Config
from rnnsent.data.dataset import Dataset
from rnnsent.evaluation import baseline
from rnnsent.inference.predictor import by_label, load_predictor
from rnnsent.runs.directory import TEACHER, Run
from rnnsent.training.features import Features
from rnnsent.training.trainer import Session, train_network

logger = logging.getLogger(__name__)


def add_unlabeled(features: Features, dataset: Dataset, config: Config) -> Features:
    """Return the features with the texts without a label in `train`, if the config uses them from the start."""
    labels = len(features.split.label_names)
    if config.training.teacher == "baseline":
        assert dataset.unlabeled is not None and dataset.validation is not None
        logger.info("teacher: fitting the n-gram baseline on the labeled texts")
        teacher = baseline.fit(dataset.train, dataset.validation, labels)
        return features.with_pseudo_labels(by_label(teacher.probabilities(dataset.unlabeled).astype(np.float32)))
    if config.training.without_labels:
        logger.info("adversarial: %s texts without a label are trained on as well", f"{len(features.unlabeled):,}")
        return features.with_pseudo_labels(np.full((len(features.unlabeled), labels), np.nan, np.float32))
    return features


def self_train(run: Run, config: Config, session: Session, number: int) -> Features:
    """Train teacher `number`, from 1, in a folder of the run; return the features with the texts that it labeled."""
    logger.info("teacher: training a network on %s texts", f"{len(session.features.train):,}")
    trained = train_network(run.part(TEACHER, number), config, session, "teacher")
    if trained.stopped is not None:
        raise trained.stopped
    from rnnsent.models.builder import weights_of

    features = session.features
    predict = load_predictor(config, weights_of(trained.plain), features.ngram_weights, device=session.device.name)
    logger.info("teacher: labeling %s texts", f"{len(features.unlabeled):,}")
    return features.with_pseudo_labels(by_label(predict(features.unlabeled)))
