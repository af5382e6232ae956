"""Who runs in a race: the notebook's code in stock Keras and in PyTorch, and rnnsent. One of them a process.

All of them train Embedding(10000, 32) → cell(32) → Dense(1) with RMSprop on the same reviews, at the batch size of the
notebook's config for the cell.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnsent.cli.options import overrides
from rnnsent.config.loader import load_config
from rnnsent.config.sections import Config
from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Partition, Split, split_dataset
from rnnsent.data.sources import load_dataset

NAMES = {
    "keras": "stock Keras, the notebook's code",
    "torch": "PyTorch, padded",
    "torch-packed": "PyTorch, packed",
    "rnnsent-notebook": "rnnsent, the notebook's form",
    "rnnsent": "rnnsent, batched by length",
}


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch gave: the seconds of its training part, and the validation accuracy after it."""

    seconds: float
    accuracy: float


class Contestant(Protocol):
    """A network in some library."""

    def train(self, epochs: int, after: Callable[[Epoch], None]) -> None:
        """Train so many epochs and call `after` each, which may take its time."""

    def predict(self) -> NDArray[Any]:
        """Return the probabilities of the test reviews."""


def contestant(name: str, cell: str, source: str) -> tuple[Contestant, Partition]:
    """Return the contestant `name` for a cell, and the reviews of `source` as it sees them.

    Raises:
        ImportError: if its library is not installed.
    """
    padding = "post" if name == "rnnsent" else "notebook"
    settings = [f"data.source={source}", "data.fallback=null", f"data.padding={padding}"]
    config = load_config(f"notebook/{cell}", overrides(settings))
    parts = split_dataset(load_dataset(config.data), config.data)
    made: Contestant
    if name == "keras":
        made = _StockKeras(cell, config, parts)
    elif name.startswith("torch"):
        made = _Torch(cell, config, parts, packed=name == "torch-packed")
    else:
        made = _Rnnsent(config, parts)
    return made, parts


def padded(split: Split, maxlen: int) -> NDArray[np.int32]:
    """Return the notebook's matrix: left-padded ids, (reviews, maxlen)."""
    return split.padded(np.arange(len(split)), maxlen, "pre")


class _StockKeras:
    def __init__(self, cell: str, config: Config, parts: Partition) -> None:
        from rnnsent.engine.device import start

        start("cpu")
        from keras import Sequential, layers

        cells = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
        self._model = Sequential([layers.Embedding(10_000, 32), cells[cell](32), layers.Dense(1, "sigmoid")])
        self._model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
        self._batch = config.training.batch_size
        self._train, self._validation, self._test = (
            padded(split, config.data.maxlen or 500) for split in (parts.train, parts.validation, parts.test)
        )
        self._labels = parts.train.labels.astype(np.float32)[:, None]
        self._validation_labels = parts.validation.labels.astype(np.float32)[:, None]

    def train(self, epochs: int, after: Callable[[Epoch], None]) -> None:
        for _ in range(epochs):
            started = time.perf_counter()
            self._model.fit(self._train, self._labels, batch_size=self._batch, verbose=0)
            seconds = time.perf_counter() - started
            found = self._model.evaluate(self._validation, self._validation_labels, batch_size=128, verbose=0)
            after(Epoch(seconds, float(found[1])))

    def predict(self) -> NDArray[Any]:
        found: NDArray[Any] = self._model.predict(self._test, batch_size=128, verbose=0)[:, 0]
        return found


class _Torch:
    def __init__(self, cell: str, config: Config, parts: Partition, *, packed: bool) -> None:
        import torch

        torch.manual_seed(0)
        self._torch, self._packed, self._parts = torch, packed, parts
        self._maxlen, self._batch = config.data.maxlen or 500, config.training.batch_size
        cells = {"simple_rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
        self._embedding = torch.nn.Embedding(10_000, 32)
        self._cell = cells[cell](32, 32, batch_first=True)
        self._head = torch.nn.Linear(32, 1)
        torch.nn.init.uniform_(self._embedding.weight, -0.05, 0.05)  # as in Keras
        layers = torch.nn.ModuleList([self._embedding, self._cell, self._head])
        self._optimizer = torch.optim.RMSprop(layers.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)  # Keras' defaults
        self._rng = np.random.default_rng(0)

    def _logits(self, split: Split, index: NDArray[np.int64]) -> Any:
        torch = self._torch
        if not self._packed:
            states, _ = self._cell(self._embedding(torch.from_numpy(split.padded(index, self._maxlen, "pre"))))
            return self._head(states[:, -1])[:, 0]
        lengths = split.lengths[index]
        ids = torch.from_numpy(split.padded(index, int(lengths.max()), "post"))
        sequence = torch.nn.utils.rnn.pack_padded_sequence(
            self._embedding(ids), torch.from_numpy(lengths), batch_first=True, enforce_sorted=False
        )
        _, last = self._cell(sequence)
        return self._head((last[0] if isinstance(last, tuple) else last)[0])[:, 0]

    def train(self, epochs: int, after: Callable[[Epoch], None]) -> None:
        torch, train = self._torch, self._parts.train
        labels = torch.from_numpy(train.labels.astype(np.float32))
        for _ in range(epochs):
            started = time.perf_counter()
            order = self._rng.permutation(len(train))
            for start in range(0, len(order), self._batch):
                index = order[start : start + self._batch]
                loss = torch.nn.functional.binary_cross_entropy_with_logits(self._logits(train, index), labels[index])
                self._optimizer.zero_grad()
                loss.backward()
                self._optimizer.step()
            seconds = time.perf_counter() - started
            validation = self._parts.validation
            after(Epoch(seconds, float(((self._probabilities(validation) > 0.5) == validation.labels).mean())))

    def _probabilities(self, split: Split) -> NDArray[Any]:
        torch = self._torch
        with torch.no_grad():
            found = [
                torch.sigmoid(self._logits(split, np.arange(start, min(start + 128, len(split))))).numpy()
                for start in range(0, len(split), 128)
            ]
        return np.concatenate(found)

    def predict(self) -> NDArray[Any]:
        return self._probabilities(self._parts.test)


class _Rnnsent:
    """The very `training.fit` of the train command."""

    def __init__(self, config: Config, parts: Partition) -> None:
        from rnnsent.engine.device import start
        from rnnsent.engine.dispatch import NATIVE, choose

        self._config, self._parts = config, parts
        paths = choose(config, start("cpu"))
        from rnnsent.models.builder import build_model

        native = [layer.path == NATIVE for layer in paths]
        self._model = build_model(config, 10_000, seed=0, native=native)
        self._trained: dict[str, NDArray[np.float32]] = {}

    def train(self, epochs: int, after: Callable[[Epoch], None]) -> None:
        import keras

        from benchmarks.training import fit_model
        from rnnsent.models.weights import weights_of

        def on_epoch_end(epoch: int, logs: Any) -> None:
            self._trained = weights_of(self._model)
            after(Epoch(logs["seconds"], logs["val_accuracy"]))

        train, validation = (
            Batches.from_config(split, self._config, shuffle=shuffle)
            for split, shuffle in ((self._parts.train, True), (self._parts.validation, False))
        )
        training = replace(self._config.training, epochs=epochs)
        fit_model(self._model, train, validation, training, keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end))

    def predict(self) -> NDArray[Any]:
        from rnnsent.inference.predictor import load_predictor

        return load_predictor(self._config, self._trained)(self._parts.test)
