"""Probabilities of texts, by one of three backends that agree to 1e-5.

native: the C kernel, without Keras. numpy: the NumPy reference. keras: the Keras model, on a CPU or a GPU.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.batching import Batches
from rnnsent.data.dataset import Split
from rnnsent.engine import kernel
from rnnsent.engine.dispatch import unusual_key
from rnnsent.errors import ConfigError, Problem, RunError, count
from rnnsent.inference.calibration import NONE, Calibration
from rnnsent.models.linear import LinearModel, blend
from rnnsent.models.network import Network, runs_on_kernel
from rnnsent.models.subwords import Subwords
from rnnsent.models.weights import EMBEDDINGS, Weights, with_rows
from rnnsent.runs.directory import (
    CALIBRATION,
    HELD_OUT,
    LINEAR,
    MEMBERS,
    NGRAM_WEIGHTS,
    SUBWORDS,
    Run,
    read_arrays,
)

if TYPE_CHECKING:
    from rnnsent.config.sections import Config, Targets
    from rnnsent.models.ngram_weights import NgramWeights

Floats = NDArray[np.float32]

BACKENDS = ("auto", "native", "numpy", "keras")

# Of a batch, padding included. Nothing is kept for gradients, so large batches cost less.
MAX_TOKENS = 2**18
MAX_TEXTS = 4096
MAX_BYTES = 8 << 30  # of the inputs and outputs of the widest layer


# Batches, and vectors (ids, width) of ids beyond the embedding → probabilities in the order of the batches.
Compute = Callable[[Batches, Floats | None], Floats]


NETWORK, LINEAR_PART = "network", "linear part"
Parts = Mapping[str, Floats]  # the probabilities of NETWORK, of LINEAR_PART, or of both


@dataclass(frozen=True)
class Predictor:
    """A network with its weights, ready to predict."""

    backend: str  # "native", "numpy" or "keras"
    reason: str  # why that one, and what it runs on
    config: Config  # of the run
    compute: Compute
    ngram_weights: NgramWeights | None = None  # inputs of a network that reads n-grams
    linear: LinearModel | None = None  # what its answers are mixed with
    subwords: Subwords | None = None  # that unknown words are read by
    calibration: Calibration = NONE  # of what `compute` returns
    multiple: int = 1  # of the lengths of batches; above 1, for a compiler, batches also have equally many texts
    weights: Weights = field(default_factory=dict, repr=False)  # by name, as in the run

    def __str__(self) -> str:
        return f"{self.backend} ({self.reason})"

    def __call__(self, split: Split) -> Floats:
        """Return calibrated probabilities in the order of `split`, float32.

        Returns:
            Of two labels that of label 1, (texts,); of more, or several a text, that of each, (texts, labels). See
            `by_label`.
        """
        return self.calibration(self.mixed(self.parts(split)))

    def mixed(self, parts: Parts) -> Floats:
        """Return the probabilities of the parts as one, before calibration."""
        if len(parts) == 1:
            [probabilities] = parts.values()
            return probabilities
        assert self.linear is not None
        return blend(parts[NETWORK], parts[LINEAR_PART], self.linear.weight, self.linear.independent)

    def decide(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """Return what is predicted from calibrated probabilities, see the function `decide`."""
        return decide(probabilities, self.config.data.targets, self.calibration.thresholds)

    def parts(self, split: Split) -> Parts:
        """Return the probabilities of the parts of the model, without calibration."""
        network = {NETWORK: self.network(split)} if self.config.members else {}
        return network if self.linear is None else {**network, LINEAR_PART: self.linear.probabilities(split)}

    def network(self, split: Split) -> Floats:
        """Return the probabilities of the network; n-gram weights are looked up, unless the texts have some."""
        outputs = self.config.data.outputs
        probabilities = np.empty((len(split), outputs) if outputs > 1 else len(split), np.float32)
        if not len(split):
            return probabilities
        if not self.config.channels:
            split = replace(split, channels=None)
        elif split.channels is None and self.ngram_weights is not None:
            split = self.ngram_weights.onto(split)
        vectors = None
        if self.subwords is not None:  # after the n-grams, to which these words are unknown
            rows = min(len(array) for name, array in self.weights.items() if name.endswith(EMBEDDINGS))
            split, found = self.subwords.extend(split, rows)
            vectors = found if len(found) else None
        batches = self._batches(split)
        probabilities[np.concatenate(batches.order(0))] = self.compute(batches, vectors)
        return probabilities

    def _batches(self, split: Split) -> Batches:
        if self.config.data.targets == "multi" and split.labels.ndim == 1:  # not known, but of that shape
            split = replace(split, labels=np.zeros((len(split), self.config.data.outputs), np.int8))
        batches = Batches.from_config(split, self.config, shuffle=False, multiple=self.multiple)
        tokens = _max_tokens(self.config)
        if self.multiple == 1:
            return replace(batches, batch_size=MAX_TEXTS, batch_tokens=tokens)
        longest = batches.padded_length(np.arange(len(split)))
        return replace(batches, batch_size=min(max(tokens // longest, 1), MAX_TEXTS), batch_tokens=None)


def _max_tokens(config: Config) -> int:
    """Return how many words a batch may have, by the widest layer."""
    widths = [
        max(
            member.model.embedding_dim + member.channels,
            *(layer.kind.gates * layer.units * (1 + layer.bidirectional) for layer in member.model.recurrent),
        )
        for member in config.members
    ]
    return min(MAX_TOKENS, MAX_BYTES // (4 * max(widths)))


def by_label(probabilities: Floats) -> Floats:
    """Return the probability of every label, (texts, labels), from either form of what a predictor returns."""
    return probabilities if probabilities.ndim == 2 else np.stack([1 - probabilities, probabilities], axis=-1)


def decide(
    probabilities: NDArray[np.floating[Any]], targets: Targets = "classes", thresholds: Sequence[float] = ()
) -> NDArray[np.int64]:
    """Return the predicted labels, (texts,), from either form; of two, label 1 if its probability is above 0.5.

    Of several labels a text those above their thresholds, by default 0.5, are 1, (texts, labels).
    """
    if targets == "multi" or probabilities.ndim == 1:
        return (probabilities > (thresholds or 0.5)).astype(np.int64)
    labels: NDArray[np.int64] = probabilities.argmax(axis=1)
    return labels


def load_ngram_weights(run: Run) -> NgramWeights | None:
    """Return the n-gram weights of a finished run; None if it has none.

    Raises:
        RunError: if the file is damaged.
    """
    if not run.file(NGRAM_WEIGHTS).is_file():
        return None
    from rnnsent.models.ngram_weights import NgramWeights

    return NgramWeights.from_arrays(read_arrays(run.file(NGRAM_WEIGHTS)))


def load_linear(run: Run) -> LinearModel | None:
    """Return the linear part of a finished run; None if it has none.

    Raises:
        RunError: if the file is damaged.
    """
    config = run.config.model.linear
    if config is None:
        return None
    return LinearModel.from_arrays(read_arrays(run.file(LINEAR)), config)


def load_subwords(run: Run) -> Subwords | None:
    """Return the vectors of character n-grams of a finished run; None if it has none.

    Raises:
        RunError: if the file is damaged.
    """
    return Subwords.from_arrays(read_arrays(run.file(SUBWORDS))) if run.file(SUBWORDS).is_file() else None


def validation_parts(run: Run, predictor: Predictor, texts: Split) -> Parts:
    """Return what `parts` does, for the validation texts of a run by parts of the model that were not fitted on them.

    Args:
        run: a finished one.
        predictor: of the run.
        texts: all its validation texts.

    Raises:
        RunError: if the file is damaged.
    """
    if not run.file(HELD_OUT).is_file():
        return predictor.parts(texts)
    return read_arrays(run.file(HELD_OUT))


def load_calibration(run: Run) -> Calibration:
    """Return the calibration of a finished run; `NONE` if it was not calibrated.

    Raises:
        RunError: if the file is damaged.
    """
    if not run.file(CALIBRATION).is_file():
        return NONE
    values = json.loads(run.read(CALIBRATION))
    return Calibration(**values | {"thresholds": tuple(values.get("thresholds", ()))})


def load_run_predictor(run: Run, *, backend: str = "auto", device: str = "auto", calibrated: bool = True) -> Predictor:
    """Return the predictor of a finished run whose files were verified, as `load_predictor`."""
    calibration = load_calibration(run) if calibrated else NONE
    predictor = load_predictor(
        run.config, run.weights(), load_ngram_weights(run), backend=backend, device=device, calibration=calibration
    )
    return replace(predictor, linear=load_linear(run), subwords=load_subwords(run))


def load_predictor(
    config: Config,
    weights: Weights,
    ngram_weights: NgramWeights | None = None,
    *,
    backend: str = "auto",
    device: str = "auto",
    calibration: Calibration = NONE,
) -> Predictor:
    """Return a predictor with the network of a run.

    Args:
        config: of the run.
        weights: arrays by name, as in the run.
        ngram_weights: needed if the config has `model.ngrams`.
        backend: one of BACKENDS. auto takes native, or numpy if the kernel cannot run a layer; keras only for a GPU or
            `training.engine: stock`.
        device: "auto", "cpu", "gpu" or "gpu:N"; native and numpy always use the CPU.
        calibration: of the run.

    Raises:
        ConfigError: if the backend cannot run this network here, or not on this device.
        DeviceError: if the requested GPU is not there.
        RunError: if the weights do not fit the config.
    """
    if not config.members:
        return Predictor("linear", "logistic regression, without a network", config, _nothing, calibration=calibration)
    make = _single if config.ensemble is None else _ensemble
    predictor = make(config, weights, ngram_weights, backend, device)
    return replace(predictor, calibration=calibration, weights=weights)


def _single(
    config: Config, weights: Weights, ngram_weights: NgramWeights | None, backend: str, device: str
) -> Predictor:
    width = 0 if ngram_weights is None else ngram_weights.unseen.size
    if config.channels not in (0, width):
        raise RunError(f"the n-gram weights have {width} numbers a word, the config needs {config.channels}")
    ngram_weights = ngram_weights if config.channels else None
    obstacle = _kernel_obstacle(config, device)
    if backend == "native" and obstacle:
        possible = "keras" if device.startswith("gpu") else "keras or numpy"
        raise ConfigError([Problem("", "backend", f"must be {possible} here: {obstacle}", "native")])
    if backend == "numpy" and device.startswith("gpu"):
        raise ConfigError([Problem("", "backend", f"must be keras on {device}", "numpy")])
    needs_keras = device.startswith("gpu") or config.training.engine == "stock"
    if backend == "keras" or (backend == "auto" and needs_keras):
        predictor = _on_keras(config, weights, device)
        reason = predictor.reason if backend == "keras" else f"{obstacle}, {predictor.reason}"
        return replace(predictor, reason=reason, ngram_weights=ngram_weights)
    compute = _by_network(config, weights, native=backend != "numpy")
    if backend == "numpy" or obstacle:
        reason = "requested" if backend == "numpy" else f"{obstacle}; --backend keras may be faster"
        return Predictor("numpy", reason, config, compute, ngram_weights)
    reason = f"{kernel.level()}, {count(kernel.default_threads(), 'thread')}, without Keras"
    return Predictor("native", reason, config, compute, ngram_weights)


def _nothing(batches: Batches, vectors: Floats | None) -> Floats:
    raise AssertionError("there is no network")


def member_weights(weights: Weights, number: int) -> dict[str, Floats]:
    """Return the weights of one network of an ensemble, from 1, by the names that it uses itself."""
    prefix = f"{MEMBERS}/{number}/"
    return {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}


def _ensemble(
    config: Config, weights: Weights, ngram_weights: NgramWeights | None, backend: str, device: str
) -> Predictor:
    members = [
        _single(member, member_weights(weights, number), ngram_weights, backend, device)
        for number, member in enumerate(config.members, start=1)
    ]
    return averaged(config, members, ngram_weights)


def averaged(config: Config, members: Sequence[Predictor], ngram_weights: NgramWeights | None) -> Predictor:
    """Return a predictor that averages the probabilities of the networks of an ensemble."""

    def compute(batches: Batches, vectors: Floats | None = None) -> Floats:
        plain = replace(batches, split=replace(batches.split, channels=None))
        outputs = [member.compute(batches if member.config.channels else plain, vectors) for member in members]
        mean: Floats = np.mean(outputs, axis=0, dtype=np.float32)
        return mean

    backend = " and ".join(dict.fromkeys(member.backend for member in members))
    reasons = "; ".join(dict.fromkeys(member.reason for member in members))
    multiple = max(member.multiple for member in members)
    reason = f"{len(members)} networks: {reasons}"
    return Predictor(backend, reason, config, compute, ngram_weights, multiple=multiple)


def _kernel_obstacle(config: Config, device: str) -> str:
    """Return why the native kernel cannot run a network, empty if it can."""
    if device.startswith("gpu"):
        return f"device: {device}"
    if config.training.engine == "stock":
        return "training.engine: stock"
    if not kernel.available():
        return "the native kernel was not built; see docs/architecture.md"
    for index, layer in enumerate(config.model.recurrent):
        if not runs_on_kernel(layer):
            setting = unusual_key(layer) or f"cell: {layer.cell}"
            return f"the native kernel does not run model.recurrent.{index}, {setting}"
    return ""


def _by_network(config: Config, weights: Weights, *, native: bool) -> Compute:
    network = Network(config, weights, native=native)

    def compute(batches: Batches, vectors: Floats | None = None) -> Floats:
        extended = network if vectors is None else Network(config, with_rows(weights, vectors), native=native)
        return np.concatenate([extended.probabilities(*inputs) for inputs, _ in batches.epoch(0)])

    return compute


def _on_keras(config: Config, weights: Weights, device: str) -> Predictor:
    from rnnsent.engine.device import start
    from rnnsent.engine.dispatch import NATIVE, choose

    target = start(device)
    paths = choose(config, target)
    from rnnsent.models.builder import rebuild_model

    native = [layer.path == NATIVE for layer in paths]
    model = rebuild_model(config, weights, native=native)
    how = f"on {target}, engine: {', '.join(map(str, paths))}"
    from rnnsent.engine.device import require_own_threads
    from rnnsent.engine.keras_data import keras_batches

    def compute(batches: Batches, vectors: Floats | None = None) -> Floats:
        require_own_threads()
        used = model if vectors is None else rebuild_model(config, with_rows(weights, vectors), native=native)
        outputs: Floats = used.predict(keras_batches(batches), verbose=0)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    return Predictor("keras", how, config, compute, multiple=target.multiple)
