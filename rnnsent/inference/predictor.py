"""Reviews → probabilities, in the order of the reviews, by one of three backends that agree to 1e-5.

native: `inference` on the C kernel, without Keras. numpy: `inference` on the NumPy reference. keras: the model in
Keras, on a CPU or a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.config import Config, RecurrentConfig
from rnnsent.data.batching import Batches
from rnnsent.data.split import Split
from rnnsent.engine import kernel
from rnnsent.engine.dispatch import NATIVE, choose, describe
from rnnsent.errors import ConfigError, DataError, Problem, RunError, count
from rnnsent.inference.calibration import NONE, Calibration
from rnnsent.models.network import Network, Weights, runs_on_kernel
from rnnsent.models.ngram_weights import NgramRatios
from rnnsent.runs.directory import MEMBERS

Floats = NDArray[np.float32]

BACKENDS = ("auto", "native", "numpy", "keras")

# In a batch, padding included. Nothing is kept for gradients, so batches are large: fewer calls cost less.
PREDICTED_TOKENS = 2**18
PREDICTED_REVIEWS = 4096
MOST_BYTES = 8 << 30  # of what the widest layer reads or computes of a batch


@dataclass(frozen=True)
class Predictor:
    """A network with its weights, ready to predict.

    Attributes:
        backend: "native", "numpy" or "keras".
        because: for people: why that one, and on what it runs.
        config: of the run.
        compute: batches → probabilities, as the call gives them, in the order of the batches.
        ratios: of the n-grams, where the network reads those too.
        calibration: of the run; what is computed goes through it.
        multiple: lengths of batches are rounded up to a multiple of it. Above 1 a compiler is to see few shapes, and
            all batches have equally many reviews, but for the last.
    """

    backend: str
    because: str
    config: Config
    compute: Callable[[Batches], Floats]
    ratios: NgramRatios | None = None
    calibration: Calibration = NONE
    multiple: int = 1

    def __str__(self) -> str:
        return f"{self.backend} ({self.because})"

    def __call__(self, split: Split) -> Floats:
        """Return the calibrated probability of label 1 for each review of `split`, float32 (reviews,), in its order.

        Of three labels or more, that of each: (reviews, labels); `by_label` makes one form of both.

        Raises:
            DataError: if a review is so long that the network would need more than `MOST_BYTES` for it.
        """
        labels = len(self.config.data.label_names)
        probabilities = np.empty((len(split), labels) if labels > 2 else len(split), np.float32)
        if not len(split):
            return probabilities
        if self.ratios is not None:
            split = self.ratios.onto(split)
        batches = self._batches(split)
        _require_memory(batches, self.config)
        probabilities[np.concatenate(batches.order(0))] = self.compute(batches)
        return self.calibration(probabilities)

    def _batches(self, split: Split) -> Batches:
        batches = Batches.from_config(split, self.config, shuffle=False, multiple=self.multiple)
        tokens = min(PREDICTED_TOKENS, _most_tokens(self.config))
        if self.multiple == 1:
            return replace(batches, batch_size=PREDICTED_REVIEWS, batch_tokens=tokens)
        longest = batches.padded_length(np.arange(len(split)))
        return replace(batches, batch_size=min(max(tokens // longest, 1), PREDICTED_REVIEWS), batch_tokens=None)


def _most_tokens(config: Config) -> int:
    """Return for how many words at a time there is memory, by the widest layer of all networks."""
    widths = [
        max(member.model.embedding_dim + member.channels, *(_width(layer) for layer in member.model.recurrent))
        for member in config.members
    ]
    return MOST_BYTES // (4 * max(widths))


def _width(layer: RecurrentConfig) -> int:
    """Return how many numbers a layer computes for a word."""
    return kernel.GATES[layer.cell] * layer.units * (2 if layer.bidirectional else 1)


def _require_memory(batches: Batches, config: Config) -> None:
    longest, most = int(batches.split.lengths.max()), _most_tokens(config)
    padded = batches.fixed_length or longest
    if padded > most:
        why = "data.maxlen of the run, to which padding: notebook pads" if batches.fixed_length else "its own"
        raise DataError(
            f"a text of {padded:,} words ({why}) would take more than {MOST_BYTES:,} bytes in this network, which "
            f"reads {most:,} at most"
        )


def by_label(probabilities: Floats) -> Floats:
    """Return the probability of every label, (reviews, labels), for either form of what a predictor gives."""
    if probabilities.ndim == 2:
        return probabilities
    return np.stack([1 - probabilities, probabilities], axis=-1)


def most_probable(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Return the label that is predicted, (reviews,); of two, 1 is where its probability is above one half."""
    several = probabilities.ndim == 2
    found: NDArray[np.int64] = probabilities.argmax(axis=1) if several else (probabilities > 0.5).astype(np.int64)
    return found


def load_predictor(
    config: Config,
    weights: Weights,
    ratios: NgramRatios | None = None,
    *,
    backend: str = "auto",
    device: str = "auto",
    calibration: Calibration = NONE,
) -> Predictor:
    """Return what predicts with the network of a run.

    Args:
        config: of the run.
        weights: arrays by name, as in weights.npz.
        ratios: of the n-grams, where the config has `model.ngrams`; a network that reads none leaves them.
        backend: one of BACKENDS. auto does without Keras, on the native kernel and where that cannot run a layer in
            NumPy, unless a GPU or `training.engine: stock` was asked for.
        device: "auto", "cpu", "gpu" or "gpu:N"; the first three are the same to native and numpy, which use the CPU.
        calibration: of the run; by default its probabilities stay as they are.

    Raises:
        ConfigError: if the backend cannot run this network here, or not on this device.
        DeviceError: if a GPU was asked for that is not there.
        RunError: if the weights are not those of the config.
    """
    make = _one if config.ensemble is None else _ensemble
    return replace(make(config, weights, ratios, backend, device), calibration=calibration)


def _one(config: Config, weights: Weights, ratios: NgramRatios | None, backend: str, device: str) -> Predictor:
    if config.channels and (ratios is None or ratios.unseen.size != config.channels):
        held = "no numbers" if ratios is None else f"{ratios.unseen.size} numbers"
        raise RunError(f"the n-grams have {held} a word, the config needs {config.channels}")
    ratios = ratios if config.channels else None
    hindrance = _no_native(config, device)
    if backend == "native" and hindrance:
        can = "keras" if device.startswith("gpu") else "keras or numpy"
        raise ConfigError([Problem("", "backend", f"must be {can} here: {hindrance}", "native")])
    if backend == "numpy" and device.startswith("gpu"):
        raise ConfigError([Problem("", "backend", f"must be keras on {device}", "numpy")])
    wants_keras = device.startswith("gpu") or config.training.engine == "stock"
    if backend == "keras" or (backend == "auto" and wants_keras):
        return replace(_on_keras(config, weights, device, "" if backend == "keras" else hindrance), ratios=ratios)
    network = Network(config, weights, native=backend != "numpy")
    if backend == "numpy" or hindrance:
        reason = "asked for" if backend == "numpy" else f"{hindrance}; --backend keras may be faster"
        return Predictor("numpy", reason, config, _by_network(network), ratios)
    reason = f"{kernel.level()}, {count(kernel.default_threads(), 'thread')}, without Keras"
    return Predictor("native", reason, config, _by_network(network), ratios)


def member_weights(weights: Weights, number: int) -> dict[str, Floats]:
    """Return the weights of one network of an ensemble, from 1, by the names that they have in its own weights.npz."""
    prefix = f"{MEMBERS}/{number}/"
    return {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}


def _ensemble(config: Config, weights: Weights, ratios: NgramRatios | None, backend: str, device: str) -> Predictor:
    members = [
        load_predictor(member, member_weights(weights, number), ratios, backend=backend, device=device)
        for number, member in enumerate(config.members, start=1)
    ]
    return averaged(config, members, ratios)


def averaged(config: Config, members: Sequence[Predictor], ratios: NgramRatios | None) -> Predictor:
    """Return what gives the mean of the probabilities that the networks of an ensemble give."""

    def compute(batches: Batches) -> Floats:
        plain = replace(batches, split=replace(batches.split, channels=None))
        found = [member.compute(batches if member.config.channels else plain) for member in members]
        mean: Floats = np.mean(found, axis=0, dtype=np.float32)
        return mean

    backends = dict.fromkeys(member.backend for member in members)
    reasons = dict.fromkeys(member.because for member in members)
    reason = f"{len(members)} networks: {'; '.join(reasons)}"
    multiple = max(member.multiple for member in members)
    return Predictor(" and ".join(backends), reason, config, compute, ratios, multiple=multiple)


def _no_native(config: Config, device: str) -> str:
    """Return what keeps a network from the native kernel, empty if nothing does."""
    if device.startswith("gpu"):
        return f"device: {device}"
    if config.training.engine == "stock":
        return "training.engine: stock"
    if not kernel.available():
        return "the native kernel was not built; see docs/architecture.md"
    for index, layer in enumerate(config.model.recurrent):
        if not runs_on_kernel(layer):
            what = "reset_after: false" if layer.activation == "tanh" else f"activation: {layer.activation}"
            return f"the native kernel does not run model.recurrent.{index}, {what}"
    return ""


def _by_network(network: Network) -> Callable[[Batches], Floats]:
    def compute(batches: Batches) -> Floats:
        return np.concatenate([network.probabilities(*inputs) for inputs, _ in batches.epoch(0)])

    return compute


def _on_keras(config: Config, weights: Weights, device: str, because: str) -> Predictor:
    from rnnsent.engine.device import start

    chosen = start(device)
    paths = choose(config, chosen)
    from rnnsent.models.builder import rebuild_model

    model = rebuild_model(config, weights, native=[layer.path == NATIVE for layer in paths])
    reason = ", ".join(part for part in (because, f"on {chosen}", describe(paths)) if part)
    return Predictor("keras", reason, config, by_model(model), multiple=chosen.multiple)


def by_model(model: Any) -> Callable[[Batches], Floats]:
    """Return what computes the probabilities of batches with a Keras model."""
    from rnnsent.engine.keras_data import keras_batches

    def compute(batches: Batches) -> Floats:
        found: Floats = model.predict(keras_batches(batches), verbose=0)
        return found[:, 0] if found.shape[1] == 1 else found

    return compute
