"""Texts without a label that are trained on: labeled softly by a teacher, or used by a virtual adversary.

Source: D. Yarowsky, "Unsupervised word sense disambiguation rivaling supervised methods", ACL 1995; with soft labels.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from rnnsent.config.sections import Config
from rnnsent.data.dataset import Dataset
from rnnsent.engine.device import Device
from rnnsent.evaluation import baseline
from rnnsent.inference.predictor import by_label, load_predictor
from rnnsent.training.features import Features

if TYPE_CHECKING:
    from rnnsent.training.trainer import TrainedNetwork

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


def label_texts(features: Features, teacher: TrainedNetwork, device: Device) -> Features:
    """Return the features with the texts without a label in `train`, labeled by a network."""
    from rnnsent.models.weights import weights_of

    config = teacher.config
    predict = load_predictor(config, weights_of(teacher.plain), features.ngram_weights, device=device.name)
    logger.info("teacher: labeling %s texts", f"{len(features.unlabeled):,}")
    return features.with_pseudo_labels(by_label(predict(features.unlabeled)))
