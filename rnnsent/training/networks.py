"""The networks of a run: teachers, which label texts, and the one or more that are kept."""

from __future__ import annotations

import logging
from dataclasses import replace

from rnnsent.config.sections import Config
from rnnsent.errors import Interrupted
from rnnsent.runs.directory import TEACHER, Run
from rnnsent.training import resume
from rnnsent.training.initial_run import without_pretraining
from rnnsent.training.pseudo_label import label_texts
from rnnsent.training.trainer import Session, TrainedNetwork, train_network

logger = logging.getLogger(__name__)


def teach(run: Run, config: Config, session: Session) -> Session:
    """Train the teachers, if the config has any; return the session with the texts that they labeled.

    Raises:
        Interrupted: if the training of one was stopped.
    """
    for number in range(1, config.training.teaching_networks + 1):
        logger.info("teacher: training a network on %s texts", f"{len(session.features.train):,}")
        teacher = _train_network(run.part(TEACHER, number), config.members[0], session, "teacher")
        if teacher.stopped is not None:
            raise teacher.stopped
        session = replace(session, features=label_texts(session.features, teacher, session.device))
    return session


def train_networks(run: Run, config: Config, session: Session, name: str) -> list[TrainedNetwork]:
    """Train the networks of a run, one after the other; the last one may have been stopped.

    Raises:
        Interrupted: if there is nothing that could be used: of an ensemble, all networks are needed.
    """
    networks: list[TrainedNetwork] = []
    for place, (folder, member) in enumerate(zip(resume.network_runs(run, config), config.members, strict=True), 1):
        title = name if config.ensemble is None else f"{name}, network {place}"
        if config.ensemble is not None:
            logger.info("network %d of %d", place, len(config.members))
        own = replace(session, features=session.features.of_network(place))
        network = _train_network(folder, member, own, title, place)
        if network.stopped is not None and config.ensemble is not None:
            raise Interrupted(
                f"{network.stopped}, in network {place} of {len(config.members)}; continue: rnnsent train --resume "
                f"{run.address}",
                network.stopped.exit_code,
            )
        networks.append(network)
    return networks


def _train_network(run: Run, config: Config, session: Session, title: str, place: int = 1) -> TrainedNetwork:
    from rnnsent.training.pretrain import initial_weights

    if session.initial_run is None:
        initial = initial_weights(run, config, session.features, session.device)
    else:
        initial = initial_weights(run, without_pretraining(config), session.features, session.device)
        layers, subwords = session.initial_run.layers(place, session.features.split)
        initial = replace(initial, layers=layers, subwords=subwords)
    return train_network(run, config, session, title, initial)
