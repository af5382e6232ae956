"""The story of one experiment: config → data → model → training → run directory."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rnnsent.config import Config
from rnnsent.config.loader import NO_OVERRIDES, dump_config
from rnnsent.data.download import Progress
from rnnsent.engine.device import Device, start
from rnnsent.errors import ConfigError, DataError, DeviceError, Interrupted, RunError, count
from rnnsent.inference.predictor import load_predictor
from rnnsent.models.requirements import require_trainable
from rnnsent.runs import artifacts as stored
from rnnsent.runs import directory as runs
from rnnsent.runs import registry as run_root
from rnnsent.runs.directory import RunDirectory, json_text
from rnnsent.runs.manifest import RESTORE
from rnnsent.signals import HeldSignals
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training import environment
from rnnsent.training import features as preparation
from rnnsent.training import fingerprint as origin
from rnnsent.training.features import Prepared, prepare
from rnnsent.training.finalize import completed
from rnnsent.training.loggers.following import Trackers
from rnnsent.training.resume import require_possible
from rnnsent.training.trainer import Network, places

logger = logging.getLogger(__name__)

Tell = Callable[[str], None]
_NOT_BEGUN = (ConfigError, DataError, DeviceError, RunError)  # of a training that goes on: nothing has become of it
Watching = Callable[[Network], list[Any]]  # who follows the training of a network


@dataclass(frozen=True)
class Trained:
    """A finished training: where it is, and what metrics.json says."""

    run: RunDirectory
    metrics: dict[str, Any] = field(repr=False)


def train(
    config: Config,
    name: str,
    *,
    run_dir: Path | None = None,
    force: bool = False,
    tell: Tell = lambda line: None,
    observers: Sequence[Any] = (),
    progress: Progress | None = None,
) -> Trained:
    """Train what `config` describes and leave a complete run directory.

    A training that is stopped or killed can go on, see `resume`.

    Args:
        config: the experiment.
        name: names the run directory where `run_dir` does not.
        run_dir: where the run goes; None chooses `runs/NAME-DATE-N`.
        force: replace the run in `run_dir`.
        tell: told, in lines for people, what is being used and why.
        observers: `training.Observer`s that follow along.
        progress: follows a download.

    Raises:
        RnnsentError: whatever is wrong with config, data, device or disk.
        Interrupted: after Ctrl-C; the state between two steps and the best epoch so far have been kept.
    """
    require_trainable(config)
    run = run_root.create_run(name, run_dir, force=force)
    return _guarded(_Training(run, config, name, None, tell, observers, progress))


def resume(
    path: Path,
    overrides: Mapping[str, object] = NO_OVERRIDES,
    *,
    allow_changes: bool = False,
    tell: Tell = lambda line: None,
    observers: Callable[[Config], Sequence[Any]] = lambda config: (),
    progress: Progress | None = None,
) -> Trained:
    """Let the training of a run go on where it was stopped or killed; it ends with the bits of one that never was.

    Of a run that is finished nothing is trained, unless something was changed.

    Args:
        path: of the run.
        overrides: of its config, as for `load_config`.
        allow_changes: go on although config, data, versions or machine are not what they were.
        tell: told, in lines for people, what is being used and why.
        observers: given the config, `training.Observer`s that follow along.
        progress: follows a download.

    Raises:
        RnnsentError: whatever is wrong with run, config, data, device or disk.
        Interrupted: as `train`.
    """
    run = run_root.reopen_run(path)
    try:
        then = origin.read(run)
        config = origin.config_of(run, overrides)
        require_trainable(config)
        if _nothing_to_do(run, config, then):
            tell(f"{run} is finished: there is nothing to go on with; {_more(run, config, then)}")
            return Trained(run, stored.load_metrics(run))
        name = run.path.name if then is None else then["name"]
        return _guarded(_Training(run, config, name, _Again(then, allow_changes), tell, observers(config), progress))
    finally:
        run.release()


def _nothing_to_do(run: RunDirectory, config: Config, then: origin.Origin | None) -> bool:
    """Return whether a run came to its end, and nothing is asked of it that is new; it has to be whole then."""
    if not run.finished or then is None or stored.load_metrics(run)["interrupted"]:
        return False
    run.verify()
    return not origin.changes(then, {**then, "config": config.to_dict()})


def _more(run: RunDirectory, config: Config, then: origin.Origin | None) -> str:
    """Return how a finished run can be trained on: more epochs alone do nothing where early stopping ended it."""
    stopped = False
    if then is not None and config.training.early_stopping is not None:
        of_training = replace(run, training=then["training"])
        states = (checkpoints.newest(each) for each in places(of_training, config))
        stopped = any(state is not None and checkpoints.ended_early(state, config.training) for state in states)
    more = "more: --epochs N --allow-changes"
    return f"early stopping ended it; {more} --set training.early_stopping=null" if stopped else more


@dataclass(frozen=True)
class _Again:
    """A training that goes on: what it came from, if that is known, and whether that may have changed."""

    then: origin.Origin | None
    allow_changes: bool


@dataclass(frozen=True)
class _Training:
    """What a training was asked for."""

    run: RunDirectory
    config: Config
    name: str
    again: _Again | None
    tell: Tell
    observers: Sequence[Any]
    progress: Progress | None


def _guarded(training: _Training) -> Trained:
    run, config = training.run, training.config
    trackers = Trackers(run, config.training.trackers, training.tell)
    try:
        return _train_into(training, trackers)
    except BaseException as error:
        trackers.end("stopped" if isinstance(error, KeyboardInterrupt | Interrupted) else "failed")
        # A folder without a single step is of no use to anybody.
        if training.again is None and not run.trained and not run.resumable:
            with HeldSignals():  # half of a folder would be worse
                run.discard()
            if isinstance(error, KeyboardInterrupt | Interrupted):
                training.tell(f"{run}: removed, as there is nothing of a network yet")
        elif not run.finished and (training.again is None or not isinstance(error, _NOT_BEGUN)):
            logger.warning("%s", run.unfinished())
        raise
    finally:
        run.release()


def _train_into(training: _Training, trackers: Trackers) -> Trained:
    started = time.perf_counter()
    name, tell = training.name, training.tell
    reviews = prepare(training.config, tell, training.progress)
    config = reviews.config
    require_trainable(config)  # of which more is known now
    # A signal inside the import of TensorFlow, or the building of a graph, could be lost or take the process down.
    with HeldSignals("stopping as soon as Keras has started; once more stops at once"):
        device = start(config.training.device)
        tell(f"device: {device}")
    # Keras is imported from here on: after the data were parsed, so that their memory can be used again.
    facts = environment.describe(device, config.training.seed)
    run = _begin_run(training, reviews, device, facts)
    tell(f"run: {run}")  # whoever stops what takes long should know which one to go on with
    trackers.begin(config, reviews.facts, facts)
    watching = _watching(training.observers, trackers, reviews)
    begun_with: dict[str, Any] = {}  # vectors and language model, as the first network that needed them came by them
    for number in range(1, config.training.teaching_networks + 1):
        where = run.teacher(number)
        reviews, facts = _taught_by_itself(where, config.members[0], reviews, device, tell, watching, started)
        begun_with = facts | begun_with
    if reviews.ratios is not None:
        run.write(runs.NGRAMS, reviews.ratios.to_npz())
    networks: list[Network] = []
    for number, (where, member) in enumerate(zip(places(run, config), config.members, strict=True), start=1):
        title = name if config.ensemble is None else f"{name}, network {number}"
        if config.ensemble is not None:
            tell(f"network {number} of {len(config.members)}")
        network = Network(where, member, reviews, device, tell, title)
        begun_with = network.facts | begun_with
        started = min(started, network.started)
        stopped = network.train(watching(network), started, alone=not networks)
        if network.keeper.best_epoch is not None:
            networks.append(network)
        if stopped is not None:
            if config.ensemble is not None:
                stopped = _incomplete(run, number, len(config.members), len(networks), stopped)
            break

    # Whoever stopped it has sent one signal already: another one does not wait.
    held = HeldSignals("the run is being completed, in seconds; once more leaves it unfinished")
    with held if stopped is None else nullcontext():
        early = stopped is not None
        facts = completed(run, config, reviews, networks, begun_with, started, tell, trackers, interrupted=early)
        run_root.mark_latest(run)
    if stopped is not None:
        again = f"rnnsent train --resume {runs.to_resume(run.path)}"
        raise Interrupted(f"{stopped}; go on: {again}", stopped.exit_code)
    return Trained(run, facts)


def _require_as_many_epochs(run: RunDirectory, config: Config) -> None:
    """Refuse to cut a training short that has come further already."""
    trained = max(map(checkpoints.newest_epoch, places(run, config)))
    asked = config.training.epochs
    if asked < trained:
        raise RunError(f"{run}: {count(trained, 'epoch')} are over, which is more than training.epochs: {asked}")


def _begin_run(training: _Training, reviews: Prepared, device: Device, facts: dict[str, Any]) -> RunDirectory:
    """Write what a run begins with, and return it; of one that goes on, check first that it is the same."""
    run, config, again = training.run, reviews.config, training.again
    identity = None
    if again is not None and again.then is not None:
        identity = again.then["training"]
        facts["command"] = again.then["command"]  # it tells how the run came about, not what went on with it
    now = origin.of_training(training.name, config, reviews, device, facts, identity)
    if again is not None:
        now = _gone_on(training, again, now, reviews, device)
    run.write(runs.CONFIG, dump_config(config))
    origin.write(run, now)
    run.write(runs.VOCABULARY, reviews.parts.vocabulary.to_json())
    run.write(runs.ENVIRONMENT, json_text(facts))
    return replace(run, training=now["training"])


def _gone_on(
    training: _Training, again: _Again, now: origin.Origin, reviews: Prepared, device: Device
) -> origin.Origin:
    """Let a run be trained on, if that can be; return what it comes from, with all that was changed meanwhile."""
    run, then = training.run, again.then
    if then is None and run.resumable:
        lost = "is missing: nobody knows whether it would be the same training"
        raise RunError(f"{run.file(runs.ORIGIN)}: {lost}. {RESTORE}")
    changed: dict[str, str] = {}
    if then is not None:
        then = origin.with_words(run, then)
        changed = origin.require_same(run, then, now, allowed=again.allow_changes)
    _require_as_many_epochs(run, reviews.config)
    if then is not None:
        require_possible(replace(run, training=now["training"]), then, changed, reviews, device)
        now = origin.with_changes(now, then, changed.values())
    training.tell(f"{run}: training goes on" + (", with changes:" if changed else ""))
    for line in changed.values():
        training.tell(line)
    if "data.validation" in changed and any(map(checkpoints.newest_epoch, places(run, reviews.config))):
        training.tell("  the epochs before keep the figures of their own validation reviews, and are compared by those")
    removed = run.begin_again(reviews.config.training.trackers)
    if removed:
        training.tell(
            f"{', '.join(removed)}: removed, of the network as it was; rnnsent eval and report make them anew"
        )
    return now


def _incomplete(run: RunDirectory, number: int, asked: int, kept: int, stopped: Interrupted) -> Interrupted:
    """Return the message for an ensemble that was stopped while network `number` was trained."""
    mean = ": the mean of what was trained so far" if kept > 1 else ""
    return Interrupted(
        f"stopped in network {number} of {asked}; {run} is finished with {count(kept, 'network')}{mean}",
        stopped.exit_code,
    )


def _taught_by_itself(
    run: RunDirectory,
    config: Config,
    reviews: Prepared,
    device: Device,
    tell: Tell,
    watching: Watching,
    started: float,
) -> tuple[Prepared, dict[str, Any]]:
    """Train a network that is kept in `run`; return the reviews with the texts it labeled, and what it began with.

    Source: D. Yarowsky, "Unsupervised word sense disambiguation rivaling supervised methods", ACL 1995; soft labels.
    """
    tell(f"teacher: a network is trained on {len(reviews.train):,} texts")
    network = Network(run, config, reviews, device, tell, "teacher")
    started = min(started, network.started)
    stopped = network.train(watching(network), started, alone=True)
    if stopped is not None:
        raise Interrupted("stopped while the teacher was trained", stopped.exit_code)
    from rnnsent.models.builder import weights_of

    assert reviews.parts.unlabeled is not None
    teacher = load_predictor(config, weights_of(network.plain), reviews.ratios, device=device.name)
    taught = preparation.taught(reviews, teacher(reviews.parts.unlabeled))
    tell(f"teacher: {len(reviews.parts.unlabeled):,} texts without a label were labeled; training begins anew, on all")
    return taught, network.facts


def _watching(observers: Sequence[Any], trackers: Trackers, reviews: Prepared) -> Watching:
    vocabulary = reviews.parts.vocabulary
    return lambda network: [*observers, *trackers.follow(network.keeper.run, network.plain, vocabulary)]
