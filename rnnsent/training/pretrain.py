"""A language model of the texts, whose embedding and first recurrent layer a network begins with.

It is trained by the same `fit`, with the same checkpoints, as a network; no label is looked at. The result is kept in
the cache, under a key made of texts, shape and versions, and so are the checkpoints on the way.

Source: A. Dai and Q. Le, "Semi-supervised sequence learning", NeurIPS 2015; in both directions at once, as M. Peters et
al., "Deep contextualized word representations", NAACL 2018.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import Config, LanguageModelConfig, ModelConfig, ScheduleConfig, TrainingConfig
from rnnsent.data.batching import Batches
from rnnsent.data.cache import cache_root, cached_arrays, stored_arrays
from rnnsent.data.dataset import Split
from rnnsent.engine.device import Device
from rnnsent.engine.dispatch import NATIVE, LayerPath, choose
from rnnsent.errors import Interrupted
from rnnsent.models.builder import build_model
from rnnsent.models.weights import embedding_of, weights_of
from rnnsent.runs.directory import CHECKPOINTS, EMBEDDINGS, LANGUAGE_MODEL, Run
from rnnsent.runs.schemas import EmbeddingInfo, Epoch, PretrainInfo
from rnnsent.training.callbacks import FiniteCallback, HistoryCallback, Tracked
from rnnsent.training.checkpoint import CheckpointFolder
from rnnsent.training.environment import versions
from rnnsent.training.features import Features, InitialWeights, word_vectors
from rnnsent.training.fit import FitData, fit, optimizer_for
from rnnsent.training.sampled_softmax import SampledSoftmax

logger = logging.getLogger(__name__)

SEED = 0  # the same for all networks, whatever their seeds
Table = NDArray[np.float32] | None


def initial_weights(run: Run, config: Config, features: Features, device: Device) -> InitialWeights:
    """Return what a network begins with: word vectors, and layers trained as a language model.

    Args:
        run: of the network; one that has checkpoints is resumed, and begins with nothing.
        config: of the network.
        features: of the training.
        device: where.

    Raises:
        TrainingError: if loss, gradient or a weight is no longer finite.
        Interrupted: after a signal; the state after the step in progress is in the cache.
    """
    resumed = bool(CheckpointFolder(run.file(CHECKPOINTS), run.training).names())
    if resumed and config.model.vectors is not None and not config.model.reads_subwords:
        vectors = InitialWeights(embeddings=run.read_record(EMBEDDINGS, EmbeddingInfo))
    else:
        vectors = InitialWeights() if resumed and config.model.vectors is None else word_vectors(config, features)
        if vectors.embeddings is not None:
            run.write_record(EMBEDDINGS, vectors.embeddings)
    if config.model.language_model is None:
        return vectors
    if resumed:
        return replace(vectors, language_model=run.read_record(LANGUAGE_MODEL, PretrainInfo))
    weights = pretrain(features, config, vectors.table, choose(config, device)[0], device)
    assert weights.language_model is not None
    run.write_record(LANGUAGE_MODEL, weights.language_model)
    return replace(vectors, layers=weights.layers, language_model=weights.language_model)


def pretrain(features: Features, config: Config, table: Table, path: LayerPath, device: Device) -> InitialWeights:
    """Train the embedding and the first recurrent layer of a network as a language model, or take them from the cache.

    Args:
        features: whose texts are read.
        config: of the network, with `model.language_model`.
        table: word vectors to begin with, (rows, width); None: random ones.
        path: what runs the recurrent layer.
        device: where.

    Raises:
        TrainingError, Interrupted: as `initial_weights`.
    """
    texts, rows = features.all_texts, features.rows
    batches = _batches(texts, config, device.multiple)
    key = _key(batches, config, rows, table, path)
    cache = stored_arrays(key)
    if cache is None:
        trunk, model = _model(config, rows, table, path)
        arrays = cached_arrays(key, lambda: _train(trunk, model, config, batches, key))
    else:
        arrays = cache
    weights = {name.replace("~", "/"): np.array(array) for name, array in arrays.items()}
    loss, seconds = weights.pop("_facts").tolist()
    source = "from the cache" if cache is not None else "trained"
    logger.info("language model: %s, loss %.4f", source, loss)
    info = PretrainInfo(loss=loss, seconds=seconds, cached=cache is not None)
    return InitialWeights(layers=weights, language_model=info)


def _train(
    trunk: keras.Model, model: keras.Model, config: Config, batches: Batches, key: str
) -> dict[str, NDArray[Any]]:
    """Return what the cache keeps: the weights of `trunk`, by names without slashes, loss and seconds."""
    settings = config.model.language_model
    assert settings is not None
    training = _settings(config, settings)
    model.compile(optimizer=optimizer_for(training, len(batches)), loss=_identity, jit_compile="auto")
    model.optimizer.build(model.trainable_variables)
    folder = CheckpointFolder(cache_root() / f"{key}-checkpoints", key)
    begin = folder.newest()
    if begin is not None:
        logger.info("language model: resumed %s", begin.position)
    start_time = time.perf_counter() - (0.0 if begin is None else begin.elapsed)
    history = HistoryCallback(None, batches, "", start_time, begin)
    advice = f"lower model.language_model.learning_rate (now {settings.learning_rate:g})"
    finite = FiniteCallback(batches, advice, begin)
    tracked = Tracked(folder=folder, history=history, finite=finite)
    try:
        fit(model, FitData(batches), training, tracked, [_Progress(history)])
    except (KeyboardInterrupt, Interrupted) as error:
        code = error.exit_code if isinstance(error, Interrupted) else 130
        raise Interrupted("stopped in the language model; the same command continues it", code) from None
    last: Epoch = history.history[-1]
    folder.clear()
    arrays: dict[str, NDArray[Any]] = {name.replace("/", "~"): array for name, array in weights_of(trunk).items()}
    return {**arrays, "_facts": np.array([last.loss, last.elapsed])}


class _Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """Logs the epochs."""

    def __init__(self, history: HistoryCallback) -> None:
        super().__init__()
        self._history = history

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log an epoch."""
        last, epochs = self._history.history[-1], self.params["epochs"]
        logger.info("language model: epoch %d/%d %.1f s  loss %.4f", last.epoch, epochs, last.seconds, last.loss)


def _batches(texts: Sequence[Split], config: Config, multiple: int) -> Batches:
    settings = config.model.language_model
    assert settings is not None
    flat = np.concatenate([split.flat() for split in texts])
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([split.lengths for split in texts]))])
    all_texts = Split.from_offsets(flat, offsets, np.zeros(len(offsets) - 1, np.int64))
    return Batches(all_texts, settings.batch_size, seed=SEED, multiple=multiple)


def _key(batches: Batches, config: Config, rows: int, table: Table, path: LayerPath) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in (batches.split.tokens, batches.split.lengths, np.empty(0) if table is None else table):
        digest.update(np.ascontiguousarray(array).data)
    digest.update(json.dumps(asdict(_trunk(config.model))).encode())
    rest = (rows, batches.multiple, path.path, keras.backend.backend(), config.training.precision, versions())
    digest.update(repr(rest).encode())
    return f"language-model-2-{digest.hexdigest()}"


def _trunk(model: ModelConfig) -> ModelConfig:
    """Return what a network and its language model have in common: the embedding and the first recurrent layer."""
    first = replace(model.recurrent[0], return_sequences=True, dropout=0.0)
    return ModelConfig(
        embedding_dim=model.embedding_dim, recurrent=(first,), head=False, language_model=model.language_model
    )


def _model(config: Config, rows: int, table: Table, path: LayerPath) -> tuple[keras.Model, keras.Model]:
    """Return the layers that a network begins with, and the language model around them."""
    settings = config.model.language_model
    assert settings is not None
    trunk_config = replace(config, model=_trunk(config.model), training=replace(config.training, adversarial=None))
    trunk = build_model(trunk_config, rows, native=[path.path == NATIVE], seed=SEED, training=True)
    if table is not None:
        embedding_of(trunk).assign(table)
    directions = 2 if config.model.recurrent[0].bidirectional else 1
    loss = SampledSoftmax(embedding_of(trunk), directions, settings.samples, SEED)
    tokens, states = trunk.inputs[0], trunk.outputs[0]
    return trunk, keras.Model(tokens, loss([states, tokens]), name="language_model")


def _settings(config: Config, asked: LanguageModelConfig) -> TrainingConfig:
    return TrainingConfig(
        epochs=asked.epochs,
        learning_rate=asked.learning_rate,
        schedule=ScheduleConfig(kind="cosine"),
        clip_norm=1.0,
        precision=config.training.precision,
        checkpoint_every=config.training.checkpoint_every,
    )


def _identity(targets: Any, loss: Any) -> Any:
    """Return what the model gives: it is the loss itself."""
    return loss
