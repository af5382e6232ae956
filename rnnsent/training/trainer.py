"""One network of a run: built on its device, trained or trained on, kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnsent.config import Config, TrainingConfig
from rnnsent.data.batching import Batches
from rnnsent.data.split import Split
from rnnsent.engine.device import Device
from rnnsent.engine.dispatch import NATIVE, LayerPath, choose, describe
from rnnsent.errors import Interrupted, TrainingError, count
from rnnsent.models import embeddings as vectors
from rnnsent.models.embeddings import WordVectors
from rnnsent.models.summary import summarize
from rnnsent.runs import directory as runs
from rnnsent.runs import schemas as records
from rnnsent.runs import sealed
from rnnsent.runs.directory import RunDirectory
from rnnsent.signals import HeldSignals, wants_out
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training.environment import surroundings
from rnnsent.training.features import Prepared

if TYPE_CHECKING:
    import keras

    from rnnsent.training.pretrain import Trained
    from rnnsent.training.run_writer import Keeper

Tell = Callable[[str], None]

MOST_LEFT = 0.05  # of the weights that training began with, in their average when it ends
ON = "to go on: --set training.early_stopping=null --allow-changes"


class Network:
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
        self.config, self._reviews, self.device = config, reviews, device
        pretrained = None if config.model.vectors is None else _vectors(config, reviews, tell)
        with HeldSignals("stopping as soon as the network is built; once more stops at once"):
            self.paths: tuple[LayerPath, ...] = choose(config, device)
            tell(describe(self.paths))
            self._batches = batches(reviews.train, config, device, shuffle=True)
            _tell_if_slow(config.training, len(self._batches), tell)
        self._begin = checkpoints.newest(run)
        self.facts: dict[str, Any] = {}
        foretold = self._language_model(run, pretrained, tell)
        with HeldSignals("stopping as soon as the network is built; once more stops at once"):
            from rnnsent.models.builder import build_model
            from rnnsent.models.weights import begin_with, embedding_of
            from rnnsent.training.run_writer import Keeper

            self._model = in_training(config, reviews.rows, device)
            if pretrained is not None:
                embedding_of(self._model).assign(pretrained.table)
                self.facts["vectors"] = {"found": pretrained.found, "words": pretrained.words, **pretrained.facts}
            if foretold is not None:
                begin_with(self._model, foretold.weights)
            self.plain = build_model(config, reviews.rows)
            self.keeper: Keeper = Keeper(run, self.plain, title=title)
            run.write(runs.SUMMARY, summarize(config, reviews.rows).text)
            self.started = time.perf_counter()  # as if all of it had been one process
            if self._begin is not None:
                self.started -= self._begin.facts["elapsed"]
                self.keeper.go_on(self._begin)
                tell(f"checkpoint: {self._begin.place}")
                over = self._begin.epoch >= config.training.epochs
                if not over and checkpoints.ended_early(self._begin, config.training):
                    trained = count(self._begin.epoch, "epoch")
                    advice = "" if run.teaches else f"; {ON}"  # of what is trained next, nobody knows yet
                    tell(f"early stopping had ended the training after {trained}: not one more is trained{advice}")

    def _language_model(self, run: RunDirectory, pretrained: WordVectors | None, tell: Tell) -> Trained | None:
        """Return the embedding and the recurrent layer that the network begins with, if it does not go on."""
        if self.config.model.language_model is None:
            return None
        if self._begin is not None:
            self.facts["language_model"] = sealed.read(run, runs.LANGUAGE_MODEL, records.Before)
            return None
        from rnnsent.training import pretrain as language_model

        path = self.paths[0].path
        found = language_model.train(
            _texts(self._reviews),
            self.config,
            self._reviews.rows,
            None if pretrained is None else pretrained.table,
            path,
            self.device.multiple,
            tell,
            surroundings(self.device, path),
        )
        whence = "from the cache" if found.cached else "ready"
        tell(f"language model: {whence}{found.elsewhere}, loss {found.loss:.4f}")
        facts = found.facts()
        sealed.write(run, runs.LANGUAGE_MODEL, facts)
        self.facts["language_model"] = facts
        return found

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
            TrainingError: if it cannot go on; names the last state from which it could.
        """
        from rnnsent.training.fit import fit

        reviews, config = self._reviews, self.config
        try:
            fit(
                self._model,
                self._batches,
                batches(reviews.validation, config, self.device, shuffle=False),
                config.training,
                label_names=reviews.parts.label_names,
                observers=[self.keeper, *observers],
                started=started,
                begin=self._begin,
            )
        except (KeyboardInterrupt, Interrupted) as interruption:
            if wants_out(interruption):
                raise
            self.keeper.draw()
            return self.keeper.close_early(interruption, alone=alone)
        except TrainingError as error:
            self.keeper.draw()
            raise TrainingError(f"{error}.\n  {self.keeper.last_state()}") from None
        self.keeper.draw()
        return None


def _tell_if_slow(training: TrainingConfig, steps: int, tell: Tell) -> None:
    """Say so where training is over before the rate has risen, or the average of weights has left the first ones."""
    warmup = training.schedule.warmup_steps
    if warmup > steps * training.epochs:
        never = (
            f"the learning rate rises over {count(warmup, 'step')}, and all there are is {steps * training.epochs:,}"
        )
        tell(f"training.schedule.warmup_steps: {never}: it never comes to {training.learning_rate:g}")
    if training.ema is not None:
        all_steps = steps * training.epochs
        left = training.ema**all_steps
        if left > MOST_LEFT:
            enough = math.floor(100 * MOST_LEFT ** (1 / all_steps)) / 100
            rule = f"lower it to {enough:g}, or set it to null" if enough else "set it to null"
            after = f"after all {count(all_steps, 'step')} the average will hold {left:.0%} of the first weights"
            tell(f"training.ema: {after}; {rule}")


def places(run: RunDirectory, config: Config) -> list[RunDirectory]:
    """Return where in a run the networks that answer are kept, in the order of `config.members`."""
    if config.ensemble is None:
        return [run]
    return [run.member(number) for number in range(1, len(config.members) + 1)]


def in_training(config: Config, rows: int, device: Device) -> keras.Model:
    """Build the network of `config`, with `rows` words, as it is trained on `device`."""
    from rnnsent.models.builder import build_model

    native = [layer.path == NATIVE for layer in choose(config, device)]
    return build_model(config, rows, native=native, seed=config.training.seed, training=True)


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
    # The same for all networks, whatever their seeds.
    found = vectors.train(_texts(reviews), parts.vocabulary, (reviews.rows, width), asked.word2vec, 0)
    whence = "of the cache" if found.facts["cached"] else f"trained in {found.facts['seconds']:.0f} s"
    tell(f"vectors: {found.found:,} of {found.words:,} words have one, {whence}")
    return found


def _texts(reviews: Prepared) -> list[Split]:
    """Return what may be learned from without labels."""
    parts = reviews.parts
    return [parts.train, *([parts.unlabeled] if parts.unlabeled is not None else [])]


def batches(split: Split, config: Config, device: Device, *, shuffle: bool) -> Batches:
    """Return the batches of a network: shuffled to train on, or in order to validate on."""
    if not config.channels:  # though other networks of the ensemble may read them
        split = replace(split, channels=None)
    return Batches.from_config(split, config, shuffle=shuffle, multiple=device.multiple)
