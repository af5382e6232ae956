"""One network of a run: built on its device, trained or resumed, kept."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rnnsent.config.sections import Config, TrainingConfig
from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Split
from rnnsent.engine.device import Device
from rnnsent.engine.dispatch import NATIVE, choose
from rnnsent.errors import Interrupted, TrainingError, count
from rnnsent.runs.directory import CHECKPOINTS, Run
from rnnsent.runs.schemas import Epoch, LayerEngine, NetworkInfo
from rnnsent.signals import DeferredSignals, wants_out
from rnnsent.training.checkpoint import Checkpoint, CheckpointFolder
from rnnsent.training.features import Features, InitialWeights
from rnnsent.training.initial_run import InitialRun

if TYPE_CHECKING:
    import keras

    from rnnsent.training.callbacks import HistoryCallback, Tracked

logger = logging.getLogger(__name__)

BUILDING = "stopping as soon as the network is built; once more stops at once"

CallbackFactory = Callable[[Config], Sequence[Any]]  # Keras callbacks for the training of a network


@dataclass(frozen=True)
class Session:
    """What the networks of one training share."""

    features: Features  # what they are trained on
    device: Device  # where
    callbacks: CallbackFactory  # of the user, made for each network
    started: float  # `time.perf_counter()` when the experiment began
    initial_run: InitialRun | None = None  # whose weights they begin with


@dataclass(frozen=True)
class TrainedNetwork:
    """A network after its training."""

    # its files and its own config
    run: Run
    config: Config
    plain: keras.Model  # in stock Keras, with the weights of its best epoch
    history: list[Epoch]  # its epochs
    best: Epoch  # the epoch that was kept
    engine: dict[str, LayerEngine]  # {layer: what ran it}
    started: float  # `Session.started`, as if all of its training had been in this process
    initial: InitialWeights  # what it began with
    stopped: Interrupted | None = None  # why training was stopped before its end

    def info(self) -> NetworkInfo:
        """Return what metrics.json says of it."""
        return NetworkInfo(
            epochs=len(self.history),
            best_epoch=self.best.epoch,
            val_accuracy=self.best.val_accuracy,
            val_loss=self.best.val_loss,
            engine=self.engine,
        )


def train_network(run: Run, config: Config, session: Session, title: str, initial: InitialWeights) -> TrainedNetwork:
    """Build a network, train it from its newest checkpoint on, and keep its best epoch in `run`.

    Args:
        run: of this network.
        config: of this network alone.
        session: what it shares with the others.
        title: above its curves.
        initial: what it begins with, if it is not resumed.

    Raises:
        Interrupted: if it was stopped before the first epoch was complete.
        TrainingError: if it cannot continue; names the last checkpoint.
    """
    from rnnsent.training.callbacks import HistoryCallback
    from rnnsent.training.fit import FitData, class_weights, compile_model, fit
    from rnnsent.training.loggers import finish_trackers, tracker_callbacks

    features, training = session.features, config.training
    paths = choose(config, session.device)
    logger.info("engine: %s", ",\n  ".join(map(str, paths)))
    train = batches(features.train, config, session.device, shuffle=True)
    validation = batches(features.validation, config, session.device, shuffle=False)
    steps, warmup = len(train) * training.epochs, training.schedule.warmup_steps
    if warmup > steps:
        logger.warning("training.schedule.warmup_steps: the rate rises over %d steps, training has %d", warmup, steps)
    folder = CheckpointFolder(run.file(CHECKPOINTS), run.training)
    begin = folder.newest()
    with DeferredSignals(BUILDING):
        from rnnsent.models.builder import build_model
        from rnnsent.models.weights import begin_with, embedding_of

        native = [layer.path == NATIVE for layer in paths]
        model = build_model(config, features.rows, native=native, seed=training.seed, training=True)
        if initial.table is not None:
            embedding_of(model).assign(initial.table)
        if initial.layers:
            begin_with(model, initial.layers)
        labels = features.split.label_names
        compile_model(model, training, len(labels), len(train), config.data.targets)
        plain = build_model(config, features.rows)
    start_time = session.started if begin is None else time.perf_counter() - begin.elapsed
    history = HistoryCallback(run, train, title, start_time, begin)
    tracked = _tracked(run, plain, training, history)
    _log_begin(begin, training)
    data = FitData(train, validation, class_weights(training, train.split.labels, labels))
    trackers = tracker_callbacks(training.trackers, run.path, config, run_id=run.training, run_name=title)
    stop = None
    try:
        fit(model, data, training, tracked, [*session.callbacks(config), *trackers])
    except (KeyboardInterrupt, Interrupted) as interruption:
        if wants_out(interruption):
            raise
        stop = _stopped(run, tracked, interruption)
    except TrainingError as error:
        checkpoints = folder.names()
        hint = f"the last checkpoint is {folder.path / checkpoints[-1]}" if checkpoints else "there is no checkpoint"
        raise TrainingError(f"{error}.\n  {hint[0].upper()}{hint[1:]}") from None
    finally:
        assert tracked.best is not None
        best = tracked.best.best
        tracked.history.draw(None if best is None else best.epoch)
        finish_trackers(trackers, {} if best is None else vars(best), sys.exception() or stop)
    assert best is not None
    engine = {layer.layer: LayerEngine(layer.path, layer.because) for layer in paths}
    return TrainedNetwork(run, config, plain, tracked.history.history, best, engine, start_time, initial, stop)


def batches(split: Split, config: Config, device: Device, *, shuffle: bool) -> Batches:
    """Return the batches of a network: shuffled to train on, or in order to validate on."""
    if not config.channels:  # though other networks of the ensemble may read them
        split = replace(split, channels=None)
    return Batches.from_config(split, config, shuffle=shuffle, multiple=device.multiple)


def _tracked(run: Run, plain: keras.Model, training: TrainingConfig, history: HistoryCallback) -> Tracked:
    from rnnsent.training.callbacks import BestWeightsCallback, EMACallback, FiniteCallback, Tracked
    from rnnsent.training.fit import counting_callbacks

    return Tracked(
        folder=CheckpointFolder(run.file(CHECKPOINTS), run.training),
        history=history,
        finite=FiniteCallback(history.train, _advice(training), history.begin),
        best=BestWeightsCallback(run, plain, training.monitor, history),
        ema=None if training.ema is None else EMACallback(),
        counting=counting_callbacks(training),
    )


def _advice(training: TrainingConfig) -> str:
    """Return what to change where numbers have grown too large: all that this training multiplies them by."""
    advice = f"lower training.learning_rate (now {training.learning_rate:g})"
    if training.class_weights is not None:
        advice += f" or training.class_weights (now {training.class_weights})"
    if training.adversarial is not None:
        advice += f" or training.adversarial.weight (now {training.adversarial.weight:g})"
    return f"{advice}, or set training.clip_norm (now {training.clip_norm})"


def _log_begin(begin: Checkpoint | None, training: TrainingConfig) -> None:
    if begin is None:
        return
    logger.info("checkpoint: %s", begin.position)
    if begin.epoch < training.epochs and begin.stopped_early(training):
        logger.info("early stopping ended the training after %s: no epoch is added", count(begin.epoch, "epoch"))


def _stopped(run: Run, tracked: Tracked, interruption: BaseException) -> Interrupted:
    """Return the message for a network whose training was stopped.

    Raises:
        Interrupted: at once, if no epoch is complete.
    """
    code = interruption.exit_code if isinstance(interruption, Interrupted) else 130
    position = tracked.folder.position
    if tracked.best is None or tracked.best.best is None:
        raise Interrupted(f"stopped {position}", code)
    return Interrupted(f"stopped {position}; {run} holds the best epoch, {tracked.best.best_epoch}", code)
