"""The story of one experiment: config → data → model → training → run directory."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnsent import environment, judgment, model_card, preparation, probes, run_root, runs, vectors
from rnnsent.batches import Batches
from rnnsent.config import Config
from rnnsent.configfile import dump_config
from rnnsent.data.download import Progress
from rnnsent.data.split import Split
from rnnsent.engine.device import Device, start
from rnnsent.engine.paths import NATIVE, LayerPath, choose, describe
from rnnsent.errors import Interrupted, count
from rnnsent.interruption import HeldSignals
from rnnsent.prediction import load_predictor
from rnnsent.preparation import Prepared, prepare
from rnnsent.requirements import require_trainable
from rnnsent.runs import RunDirectory, json_text
from rnnsent.trackers.following import Trackers
from rnnsent.vectors import WordVectors

if TYPE_CHECKING:
    from rnnsent.keeper import Keeper

logger = logging.getLogger(__name__)

Tell = Callable[[str], None]
Watching = Callable[["_Network"], list[Any]]  # who follows the training of a network


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
        Interrupted: after Ctrl-C; the best epoch so far has been kept.
    """
    require_trainable(config)
    run = run_root.create_run(name, run_dir, force=force)
    trackers = Trackers(run, config.training.trackers, tell)
    try:
        return _train_into(run, config, name, tell, observers, progress, trackers)
    except BaseException as error:
        trackers.end("stopped" if isinstance(error, KeyboardInterrupt | Interrupted) else "failed")
        # A folder without a single finished epoch is of no use to anybody.
        if not run.trained:
            run.discard()
        elif not run.finished:
            logger.warning("%s", run.unfinished())
        raise


def _train_into(
    run: RunDirectory,
    config: Config,
    name: str,
    tell: Tell,
    observers: Sequence[Any],
    progress: Progress | None,
    trackers: Trackers,
) -> Trained:
    started = time.perf_counter()
    reviews = prepare(config, tell, progress)
    config = reviews.config
    # A signal inside the import of TensorFlow, or the building of a graph, could be lost or take the process down.
    with HeldSignals("stopping as soon as Keras has started; once more stops at once"):
        device = start(config.training.device)
        tell(f"device: {device}")
    # Keras is imported from here on: after the data were parsed, so that their memory can be used again.
    run.write(runs.CONFIG, dump_config(config))
    run.write(runs.VOCABULARY, reviews.parts.vocabulary.to_json())
    facts = environment.describe(device, config.training.seed)
    run.write(runs.ENVIRONMENT, json_text(facts))
    trackers.begin(config, reviews.facts, facts)
    watching = _watching(observers, trackers, reviews)
    for number in range(config.training.teacher_rounds if config.training.teacher == "self" else 0):
        where = RunDirectory(run.file(f"{runs.TEACHER}/{number + 1}"))
        reviews = _taught_by_itself(where, config.members[0], reviews, device, tell, watching, started)
    if reviews.ratios is not None:
        run.write(runs.NGRAMS, reviews.ratios.to_npz())
    networks: list[_Network] = []
    for number, member in enumerate(config.members, start=1):
        where, title = (run, name) if config.ensemble is None else (run.member(number), f"{name}, network {number}")
        if config.ensemble is not None:
            tell(f"network {number} of {len(config.members)}")
        network = _Network(where, member, reviews, device, tell, title)
        if not networks:
            tell(f"run: {run}")
        stopped = network.train(watching(network), started, alone=not networks)
        if network.keeper.best_epoch is not None:
            networks.append(network)
        if stopped is not None:
            if config.ensemble is not None:
                stopped = _incomplete(run, number, len(config.members), len(networks), stopped)
            break

    with HeldSignals("the run is being completed, in seconds; once more leaves it unfinished") as signals:
        facts = _completed(run, config, reviews, networks, started, tell, trackers, interrupted=stopped is not None)
        run_root.mark_latest(run)
        if stopped is not None:
            signals.forget()  # it asked for what is happening anyway
    if stopped is not None:
        raise stopped
    return Trained(run, facts)


def _incomplete(run: RunDirectory, number: int, asked: int, kept: int, stopped: Interrupted) -> Interrupted:
    """Return the message for an ensemble that was stopped while network `number` was trained."""
    return Interrupted(
        f"stopped in network {number} of {asked}; {run} is finished with {count(kept, 'network')}: the mean of what "
        "was trained so far",
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
) -> Prepared:
    """Train a network that is kept in `run`, and return the reviews with the texts that it labeled.

    Source: D. Yarowsky, "Unsupervised word sense disambiguation rivaling supervised methods", ACL 1995; soft labels.
    """
    tell(f"teacher: a network is trained on {len(reviews.train):,} texts")
    network = _Network(run, config, reviews, device, tell, "teacher")
    stopped = network.train(watching(network), started, alone=True)
    if stopped is not None:
        raise Interrupted("stopped while the teacher was trained; there was nothing to keep", stopped.exit_code)
    from rnnsent.models import weights_of

    assert reviews.parts.unlabeled is not None
    teacher = load_predictor(config, weights_of(network.plain), reviews.ratios)
    taught = preparation.taught(reviews, teacher(reviews.parts.unlabeled))
    tell(f"teacher: {len(reviews.parts.unlabeled):,} texts without a label were labeled; training begins anew, on all")
    return taught


class _Network:
    """One network of a run: built, trained, kept.

    Args:
        run: where it is kept.
        config: of this network alone.
        reviews: what it is trained on.
        device: where.
        tell: told how its layers run.
        title: above its curves.
    """

    def __init__(
        self, run: RunDirectory, config: Config, reviews: Prepared, device: Device, tell: Tell, title: str
    ) -> None:
        self.config, self._reviews, self._device = config, reviews, device
        begin = None if config.model.vectors is None else _vectors(config, reviews, tell)
        with HeldSignals("stopping as soon as the network is built; once more stops at once"):
            self.paths: tuple[LayerPath, ...] = choose(config, device)
            tell(describe(self.paths))

            from rnnsent.keeper import Keeper
            from rnnsent.models import model_for, set_embedding, summary_text

            training = config.training
            self._model = model_for(
                config,
                num_words=reviews.rows,
                precision=training.precision,
                seed=training.seed,
                native=[layer.path == NATIVE for layer in self.paths],
                adversarial=training.adversarial,
            )
            self.facts: dict[str, Any] = {}
            if begin is not None:
                set_embedding(self._model, begin.table)
                self.facts = {"found": begin.found, "words": begin.words, **begin.facts}
            self.plain = model_for(config, num_words=reviews.rows)
            self.keeper: Keeper = Keeper(run, self.plain, title=title)
            run.write(runs.SUMMARY, summary_text(self.plain))

    def course(self) -> dict[str, Any]:
        """Return how it was trained, for metrics.json."""
        return {
            "epochs": len(self.keeper.history),
            "best_epoch": self.keeper.best_epoch,
            **self.keeper.best_facts,
            "engine": {layer.layer: {"path": layer.path, "because": layer.because} for layer in self.paths},
        }

    def train(self, observers: Sequence[Any], started: float, *, alone: bool) -> Interrupted | None:
        """Train it; return why it was stopped early, if it was.

        Args:
            observers: follow along.
            started: when the experiment began.
            alone: whether nothing is there that was trained before.

        Raises:
            Interrupted: if it was stopped before there was anything to keep.
        """
        from rnnsent.training import fit

        reviews, config = self._reviews, self.config
        try:
            fit(
                self._model,
                _batches(reviews.train, config, self._device, shuffle=True),
                _batches(reviews.validation, config, self._device, shuffle=False),
                config.training,
                label_names=reviews.parts.label_names,
                observers=[self.keeper, *observers],
                started=started,
            )
        except (KeyboardInterrupt, Interrupted) as interruption:
            return self.keeper.close_early(interruption, alone=alone)
        return None


def _watching(observers: Sequence[Any], trackers: Trackers, reviews: Prepared) -> Watching:
    vocabulary = reviews.parts.vocabulary
    return lambda network: [*observers, *trackers.follow(network.keeper.run, network.plain, vocabulary)]


def _vectors(config: Config, reviews: Prepared, tell: Tell) -> WordVectors:
    """Return the word vectors that a network begins with."""
    asked, width, seed = config.model.vectors, config.model.embedding_dim, config.training.seed
    assert asked is not None
    if asked.path is not None:
        found = vectors.load(Path(asked.path), reviews.parts.vocabulary, reviews.rows, width, seed)
        tell(f"vectors: {found.found:,} of {found.words:,} words are in {asked.path}")
        return found
    assert asked.word2vec is not None
    parts = reviews.parts
    texts = [parts.train, *([parts.unlabeled] if parts.unlabeled is not None else [])]
    # The same for all networks, whatever their seeds.
    found = vectors.trained(texts, parts.vocabulary, reviews.rows, width, asked.word2vec, 0, tell)
    whence = "of the cache" if found.facts["cached"] else f"trained in {found.facts['seconds']:.0f} s"
    tell(f"vectors: {found.found:,} of {found.words:,} words have one, {whence}")
    return found


def _completed(
    run: RunDirectory,
    config: Config,
    reviews: Prepared,
    networks: Sequence[_Network],
    started: float,
    tell: Tell,
    trackers: Trackers,
    *,
    interrupted: bool,
) -> dict[str, Any]:
    """Write what is known when training is over, and the manifest; return what metrics.json says."""
    from rnnsent.summaries import of_models

    asked = len(config.members)
    if config.ensemble is not None and len(networks) < asked:
        config = config.model_copy(update={"ensemble": config.ensemble[: len(networks)]})
        run.write(runs.CONFIG, dump_config(config))
    summary = of_models([network.plain for network in networks])
    if config.ensemble is not None:
        run.write(runs.SUMMARY, summary.text)
    weights = runs.read_weights(run, run.trained)
    predictor = load_predictor(config, weights, reviews.ratios)
    validation = reviews.parts.validation
    if config.training.calibrate:
        predictor, calibrated = judgment.calibrated(predictor, validation)
        run.write(runs.CALIBRATION, json_text(calibrated))
        tell(f"calibration: {predictor.calibration}")
    first = networks[0]
    facts = {
        "data": reviews.facts,
        "engine": {layer.layer: {"path": layer.path, "because": layer.because} for layer in first.paths},
        "epochs": sum(len(network.keeper.history) for network in networks),
        "best_epoch": first.keeper.best_epoch if config.ensemble is None else None,
        "interrupted": interrupted,
        "validation_reviews": len(validation),
        "validation": judgment.evaluate(validation.labels, predictor(validation)).to_dict(),
        "test": None,
        "baseline": None,
        "seconds": round(time.perf_counter() - started, 3),
        "peak_memory_mb": round(environment.peak_memory_mb(), 1),
        "parameters": summary.parameters,
    }
    if config.ensemble is not None:
        facts["networks_asked_for"] = asked
        facts["networks"] = [network.course() for network in networks]
    if first.facts:
        facts["vectors"] = first.facts
    _write_metrics(run, facts, trackers)
    run.write(runs.MODEL_CARD, model_card.of_run(run, config, facts))
    run.write(runs.PROBES, json_text(probes.written(config, reviews.parts.vocabulary, weights, reviews.ratios)))
    run.finish()
    return facts


def _write_metrics(run: RunDirectory, facts: dict[str, Any], trackers: Trackers) -> None:
    """Write metrics.json, let the trackers end, and note which of them failed, be it at the very end."""
    facts |= {"trackers": trackers.facts} if trackers.facts else {}
    run.write(runs.METRICS, json_text(facts))
    trackers.end("stopped" if facts["interrupted"] else "finished", facts)
    if facts.get("trackers", {}) != trackers.facts:
        facts["trackers"] = trackers.facts
        run.write(runs.METRICS, json_text(facts))


def _batches(split: Split, config: Config, device: Device, *, shuffle: bool) -> Batches:
    if not config.channels:  # though other networks of the ensemble may read them
        split = replace(split, channels=None)
    # XLA, which JAX always goes through, compiles anew for every shape it sees.
    return Batches.from_config(split, config, shuffle=shuffle, multiple=1 if device.backend == "tensorflow" else 50)
