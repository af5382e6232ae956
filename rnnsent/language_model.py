"""A language model of the texts, with whose embedding and recurrent layer a network begins.

Source: A. Dai and Q. Le, "Semi-supervised sequence learning", NeurIPS 2015; in both directions at once, as M. Peters et
al., "Deep contextualized word representations", NAACL 2018. No label is looked at. What was trained is kept in the
cache, and so is every epoch on the way there.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from rnnsent.batches import Batches
from rnnsent.checkpoints import Checkpoint
from rnnsent.config import Config, LanguageModelConfig, ModelConfig, ScheduleConfig, TrainingConfig
from rnnsent.data.cache import Arrays, cached_arrays, forget, stored_arrays
from rnnsent.data.split import Split
from rnnsent.engine.feed import keras_batches
from rnnsent.engine.gradients import forgotten
from rnnsent.engine.kernel import flushed_denormals
from rnnsent.engine.paths import NATIVE
from rnnsent.errors import Interrupted, TrainingError, count
from rnnsent.foretelling import Foretelling
from rnnsent.interruption import HeldSignals
from rnnsent.models import build_model, embedding_of, set_embedding, weights_of
from rnnsent.state import capture, restore
from rnnsent.training import optimizer_of

SEED = 0  # the same for all networks, whatever their seeds

_REMEDY = "lower model.language_model.learning_rate"


@dataclass(frozen=True)
class Trained:
    """What a network begins with.

    Attributes:
        weights: float32, of the embedding and the first recurrent layer, by the names that `models.weights_of` gives
            them in the network; the kernel has a row for each number of a word vector.
        loss: mean surprise in nats over the last epoch, among the words of the sample.
        seconds: that training took.
        cached: whether it was there already.
    """

    weights: dict[str, NDArray[np.float32]]
    loss: float
    seconds: float
    cached: bool


def train(
    texts: Sequence[Split],
    config: Config,
    rows: int,
    table: NDArray[np.float32] | None,
    path: str,
    multiple: int = 1,
    tell: Callable[[str], None] = lambda line: None,
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

    Raises:
        TrainingError: if the loss is no longer a number.
        Interrupted, KeyboardInterrupt: after a signal; the epochs that are over are in the cache.
    """
    asked = config.model.language_model
    assert asked is not None
    batches = _batches(texts, config, asked, multiple)
    key = _key(batches, config, rows, table, path)
    trained = False

    def build() -> Arrays:
        nonlocal trained
        trained = True
        return _Training(config, asked, batches, rows, table, path, key, tell).run()

    found = cached_arrays(key, build)
    weights, loss, seconds = _unpacked(found)
    return Trained(weights, loss, seconds, not trained)


def _packed(arrays: Arrays, loss: float, seconds: float) -> Arrays:
    """Return what the cache keeps: names without slashes, as they become names of files."""
    named = {name.replace("/", "~"): array for name, array in arrays.items()}
    return {"_loss": np.array([loss]), "_seconds": np.array([seconds]), **named}


def _unpacked(stored: Arrays) -> tuple[dict[str, NDArray[Any]], float, float]:
    """Return arrays, loss and seconds of what `_packed` made."""
    arrays = {name.replace("~", "/"): np.array(array) for name, array in stored.items()}
    return arrays, float(arrays.pop("_loss")[0]), float(arrays.pop("_seconds")[0])


def _batches(texts: Sequence[Split], config: Config, asked: LanguageModelConfig, multiple: int) -> Batches:
    flat = np.concatenate([split.flat() for split in texts])
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([split.lengths for split in texts]))])
    whole = Split.from_offsets(flat, offsets, np.zeros(len(offsets) - 1, np.int64))
    side = "pre" if config.data.padding == "pre" else "post"
    return Batches(whole, asked.batch_size, seed=SEED, side=side, multiple=multiple)  # type: ignore[arg-type]


def _key(batches: Batches, config: Config, rows: int, table: NDArray[np.float32] | None, path: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(np.ascontiguousarray(batches.split.tokens).tobytes())
    digest.update(np.ascontiguousarray(batches.split.lengths).tobytes())
    digest.update(b"" if table is None else np.ascontiguousarray(table).tobytes())
    digest.update(_trunk(config.model).model_dump_json().encode())
    backend, precision = keras.backend.backend(), config.training.precision
    digest.update(f"{rows} {batches.side} {batches.multiple} {path} {backend} {precision} {SEED}".encode())
    return f"language-model-1-{digest.hexdigest()}"


def _trunk(model: ModelConfig) -> ModelConfig:
    """Return what a network and its language model have in common: the embedding and the first recurrent layer."""
    first = model.recurrent[0].model_copy(update={"return_sequences": True, "dropout": 0.0})
    return ModelConfig(
        embedding_dim=model.embedding_dim, recurrent=[first], head=False, language_model=model.language_model
    )


class _Training:
    """A language model in training."""

    def __init__(
        self,
        config: Config,
        asked: LanguageModelConfig,
        batches: Batches,
        rows: int,
        table: NDArray[np.float32] | None,
        path: str,
        key: str,
        tell: Callable[[str], None],
    ) -> None:
        self._asked, self._batches, self._key, self._tell = asked, batches, key, tell
        self._trunk = build_model(
            _trunk(config.model),
            num_words=rows,
            right_padded=config.data.padding == "post",
            precision=config.training.precision,
            seed=SEED,
            native=[path == NATIVE],
        )
        if table is not None:
            set_embedding(self._trunk, table)
        directions = 2 if config.model.recurrent[0].bidirectional else 1
        foretelling = Foretelling(embedding_of(self._trunk), directions, asked.samples, SEED)
        tokens, states = self._trunk.inputs[0], self._trunk.outputs[0]
        self._model = keras.Model(tokens, foretelling([states, tokens]), name="language_model")
        self._optimizer = optimizer_of(
            TrainingConfig(
                epochs=asked.epochs,
                learning_rate=asked.learning_rate,
                schedule=ScheduleConfig(kind="cosine"),
                clip_norm=1.0,
                precision=config.training.precision,
            ),
            len(batches),
        )

    def run(self) -> Arrays:
        """Train all epochs that are not in the cache, and return what the network begins with."""
        with (
            HeldSignals("stopping when this step is over; once more stops at once") as signals,
            flushed_denormals(),
            forgotten(),
        ):
            self._model.compile(optimizer=self._optimizer, loss=_surprise, jit_compile="auto")
            begin, loss, seconds = self._begin()
            for epoch in range(begin, self._asked.epochs):
                started = time.perf_counter()
                loss = self._epoch(epoch, signals)
                seconds += time.perf_counter() - started
                place = f"epoch {epoch + 1} of {self._asked.epochs}"
                if not math.isfinite(loss):
                    raise TrainingError(f"the language model's loss became {loss} in {place}: {_REMEDY}")
                self._keep(epoch + 1, loss, seconds)
                self._tell(f"language model: {place}, loss {loss:.4f}, {seconds:.0f} s")
        for epoch in range(1, self._asked.epochs + 1):
            forget(self._state_key(epoch))
        return _packed(weights_of(self._trunk), loss, seconds)

    def _epoch(self, epoch: int, signals: HeldSignals) -> float:
        try:
            history = self._model.fit(
                keras_batches(self._batches, lambda: epoch),
                epochs=epoch + 1,
                initial_epoch=epoch,
                callbacks=[_Delivering(signals)],
                verbose=0,
                shuffle=False,  # the batches come in their own order
            )
        except (KeyboardInterrupt, Interrupted) as interruption:
            code = interruption.exit_code if isinstance(interruption, Interrupted) else 130
            over = f"{count(epoch, 'epoch')} of it {'is' if epoch == 1 else 'are'} in the cache"
            raise Interrupted(f"stopped in the language model; {over}: the same command goes on there", code) from None
        return float(history.history["loss"][-1])

    def _begin(self) -> tuple[int, float, float]:
        """Go on after the last epoch that is in the cache; return how many are over, the loss, the seconds so far."""
        for epoch in range(self._asked.epochs, 0, -1):
            stored = stored_arrays(self._state_key(epoch))
            if stored is not None:
                arrays, loss, seconds = _unpacked(stored)
                restore(self._model, Checkpoint(epoch, 0, {}, arrays), self._batches.batch(self._batches.order(0)[0]))
                self._tell(f"language model: goes on after {count(epoch, 'epoch')}")
                return epoch, loss, seconds
        return 0, math.nan, 0.0

    def _keep(self, epoch: int, loss: float, seconds: float) -> None:
        state = _packed(capture(self._model, (), ()), loss, seconds)
        cached_arrays(self._state_key(epoch), lambda: state)
        forget(self._state_key(epoch - 1))

    def _state_key(self, epoch: int) -> str:
        return f"{self._key}-after-{epoch}"


class _Delivering(keras.callbacks.Callback):  # type: ignore[misc]
    """Lets signals take effect between two steps."""

    def __init__(self, signals: HeldSignals) -> None:
        super().__init__()
        self._signals = signals

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Let those that came in take effect."""
        self._signals.deliver()


def _surprise(targets: Any, surprise: Any) -> Any:
    """Return what the model gives: it is the loss itself."""
    return surprise
