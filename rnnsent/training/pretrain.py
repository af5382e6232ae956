"""A language model of the texts, with whose embedding and recurrent layer a network begins.

Source: A. Dai and Q. Le, "Semi-supervised sequence learning", NeurIPS 2015; in both directions at once, as M. Peters et
al., "Deep contextualized word representations", NAACL 2018. No label is looked at. What was trained is kept in the
cache, and so is its state on the way there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rnnsent.config import Config, LanguageModelConfig, ModelConfig, ScheduleConfig, TrainingConfig
from rnnsent.data.batching import Batches
from rnnsent.data.cache import Arrays, cache_root, cached_arrays
from rnnsent.data.split import Split
from rnnsent.engine.dispatch import NATIVE
from rnnsent.errors import TrainingError
from rnnsent.models.builder import build_model, embedding_of, set_embedding, weights_of
from rnnsent.runs.numerics import first_not_finite
from rnnsent.training.environment import Surroundings
from rnnsent.training.fit import optimizer_of
from rnnsent.training.pretraining import Pretraining, Progress, known, made_elsewhere, packed, unpacked
from rnnsent.training.sampled_softmax import Foretelling

SEED = 0  # the same for all networks, whatever their seeds


@dataclass(frozen=True)
class Trained:
    """What a network begins with.

    Attributes:
        weights: float32, of the embedding and the first recurrent layer, by the names that `models.weights_of` gives
            them in the network; the kernel has a row for each number of a word vector.
        loss: mean surprise in nats over the last epoch, among the words of the sample.
        seconds: that training took.
        cached: whether it was there already.
        epochs: loss and norms of gradients of each, as far as they are known.
        made_with: the surroundings that it was trained in, one after the other; None are unknown.
        elsewhere: what was other in them than it is here, for people; empty if nothing was.
    """

    weights: dict[str, NDArray[np.float32]]
    loss: float
    seconds: float
    cached: bool
    epochs: tuple[dict[str, Any], ...] = ()
    made_with: tuple[Surroundings | None, ...] = (None,)
    elsewhere: str = ""

    def facts(self) -> dict[str, Any]:
        """Return what a run says of it: loss and norms of gradients in full, seconds to the thousandth."""
        return {
            "loss": round(self.loss, 6),
            "seconds": round(self.seconds, 3),
            "cached": self.cached,
            # In one order, whether they come from a state that was kept or not.
            "epochs": [dict(sorted(epoch.items())) for epoch in self.epochs],
            "made_with": [maker and dict(sorted(maker.items())) for maker in self.made_with],
        }


def train(
    texts: Sequence[Split],
    config: Config,
    rows: int,
    table: NDArray[np.float32] | None,
    path: str,
    multiple: int = 1,
    tell: Callable[[str], None] = lambda line: None,
    here: Surroundings | None = None,
) -> Trained:
    """Train the embedding and the first recurrent layer of a network to foretell words.

    Args:
        texts: reviews, in the ids of one vocabulary.
        config: of the network, with `model.language_model`.
        rows: of the embedding.
        table: word vectors to begin with, (rows, width); None: random ones.
        path: how the layer runs, see `engine.paths`.
        multiple: see `Batches`.
        tell: told after each epoch.
        here: the surroundings, see `environment.surroundings`; None: unknown.

    Raises:
        TrainingError: if loss, gradient or a weight is no longer a number.
        Interrupted, KeyboardInterrupt: after a signal; the state after the step in progress is in the cache.
    """
    asked = config.model.language_model
    assert asked is not None
    batches = _batches(texts, asked, multiple)
    key = _key(batches, config, rows, table, path)
    facts: dict[str, Any] = {}  # of the training, if there is one now

    def build() -> Arrays:
        trunk, training = _pretraining(config, asked, batches, rows, table, path, key, here, tell)
        facts.update(training.run())
        return packed(weights_of(trunk), facts["loss"], facts["seconds"])

    found = cached_arrays(key, build, lambda: {name: facts[name] for name in ("epochs", "made_with")})
    if (cache_root() / key).exists():
        Progress(key).clear(asked.epochs)
    weights, loss, seconds = unpacked(found)
    wrong = first_not_finite(weights)
    if wrong is not None:
        raise TrainingError(f"{cache_root() / key}: {wrong} holds NaN or infinity: remove it, to train it anew")
    making = facts or known(key)
    makers = making["made_with"]
    elsewhere = made_elsewhere(makers, here)
    return Trained(weights, loss, seconds, not facts, tuple(making["epochs"]), tuple(makers), elsewhere)


def _batches(texts: Sequence[Split], asked: LanguageModelConfig, multiple: int) -> Batches:
    flat = np.concatenate([split.flat() for split in texts])
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([split.lengths for split in texts]))])
    whole = Split.from_offsets(flat, offsets, np.zeros(len(offsets) - 1, np.int64))
    return Batches(whole, asked.batch_size, seed=SEED, multiple=multiple)


def _key(batches: Batches, config: Config, rows: int, table: NDArray[np.float32] | None, path: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(np.ascontiguousarray(batches.split.tokens).tobytes())
    digest.update(np.ascontiguousarray(batches.split.lengths).tobytes())
    digest.update(b"" if table is None else np.ascontiguousarray(table).tobytes())
    digest.update(json.dumps(_trunk(config.model).to_dict()).encode())
    backend, precision = keras.backend.backend(), config.training.precision
    digest.update(f"{rows} {batches.side} {batches.multiple} {path} {backend} {precision} {SEED}".encode())
    return f"language-model-1-{digest.hexdigest()}"


def _trunk(model: ModelConfig) -> ModelConfig:
    """Return what a network and its language model have in common: the embedding and the first recurrent layer."""
    first = replace(model.recurrent[0], return_sequences=True, dropout=0.0)
    return ModelConfig(
        embedding_dim=model.embedding_dim, recurrent=(first,), head=False, language_model=model.language_model
    )


def _pretraining(
    config: Config,
    asked: LanguageModelConfig,
    batches: Batches,
    rows: int,
    table: NDArray[np.float32] | None,
    path: str,
    key: str,
    here: Surroundings | None,
    tell: Callable[[str], None],
) -> tuple[keras.Model, Pretraining]:
    """Return the layers that a network begins with, and the training of the language model that they are part of."""
    trunk = build_model(
        _trunk(config.model),
        num_words=rows,
        precision=config.training.precision,
        seed=SEED,
        native=[path == NATIVE],
    )
    if table is not None:
        set_embedding(trunk, table)
    directions = 2 if config.model.recurrent[0].bidirectional else 1
    foretelling = Foretelling(embedding_of(trunk), directions, asked.samples, SEED)
    tokens, states = trunk.inputs[0], trunk.outputs[0]
    model = keras.Model(tokens, foretelling([states, tokens]), name="language_model")
    training = TrainingConfig(
        epochs=asked.epochs,
        learning_rate=asked.learning_rate,
        schedule=ScheduleConfig(kind="cosine"),
        clip_norm=1.0,
        precision=config.training.precision,
    )
    optimizer, every = optimizer_of(training, len(batches)), config.training.checkpoint_interval
    return trunk, Pretraining(model, optimizer, batches, asked, every, key, here, tell)
