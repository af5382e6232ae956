"""What each word of a text adds to the log-odds of a label, log p / (1 - p): by occlusion or integrated gradients.

Occlusion takes the word out of the text and looks at the difference: J. Li, W. Monroe and D. Jurafsky, "Understanding
neural networks through representation erasure", arXiv:1612.08220, 2016.

Integrated gradients: M. Sundararajan, A. Taly and Q. Yan, "Axiomatic attribution for deep networks", ICML 2017. The
vector of every word is moved in a straight line from a baseline to the word's own, and the gradient of the log-odds is
summed along the way. The contributions add up to the log-odds of the text less those of the baseline (completeness),
which is checked.

The baseline of a word is the vector of the unknown word: a text of the same length of which the network knows nothing.
The zero vector would be no word at all, and nothing that the network met in training. It follows that unknown words
contribute exactly 0. The start token and padding stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.vocabulary import FIRST_WORD, PAD, UNKNOWN
from rnnsent.errors import DataError
from rnnsent.inference.calibration import NONE, Calibration

if TYPE_CHECKING:
    from rnnsent.config import Config

Floats = NDArray[np.float64]
Ids = NDArray[np.int32]
# ids (rows, time) and the table they point into (entries, features) → log-odds (rows,), gradient by the table.
Gradient = Callable[[Ids, NDArray[np.float32]], tuple[Floats, Floats]]

FLOOR = 1e-7  # a float32 probability has no digits below this distance from 1

TABLE = "embedding/embeddings"
STEPS, MOST_STEPS = 32, 1024  # doubled until completeness holds
TOLERANCE = 0.01  # share of the difference that may be missing
LEAST = 1e-3  # logits that may be missing in any case: the difference itself can be 0
BATCH_TOKENS = 2**14  # Keras keeps the states of all of them for the gradient


@dataclass(frozen=True, slots=True)
class Attribution:
    """What integrated gradients found.

    Attributes:
        contributions: float64 (words,), in logits.
        logit: of the text.
        baseline_logit: of a text of unknown words.
        steps: points at which the gradient was taken.
    """

    contributions: Floats
    logit: float
    baseline_logit: float
    steps: int

    @property
    def gap(self) -> float:
        """How far the contributions are from adding up, in logits."""
        return float(self.contributions.sum()) - (self.logit - self.baseline_logit)

    @property
    def complete(self) -> bool:
        """Whether they add up to 1 %."""
        return abs(self.gap) <= max(TOLERANCE * abs(self.logit - self.baseline_logit), LEAST)

    def facts(self) -> dict[str, float]:
        """Return logit, baseline_logit, gap and steps."""
        return {
            "logit": self.logit,
            "baseline_logit": self.baseline_logit,
            "gap": self.gap,
            "steps": self.steps,
        }


def log_odds(probabilities: Floats, label: int) -> Floats:
    """Return log p / (1 - p) of one label: (…, labels) → (…)."""
    others = np.delete(probabilities, label, axis=-1).sum(axis=-1)
    found: Floats = np.log(np.maximum(probabilities[..., label], FLOOR)) - np.log(np.maximum(others, FLOOR))
    return found


def occluded(ids: Ids, words: slice, empty: Ids) -> Iterator[Ids]:
    """Yield `ids` without the first of `words`, without the second, …; `empty` where nothing is left."""
    for place in range(*words.indices(len(ids))):
        rest = np.delete(ids, place)
        yield rest if len(rest) else empty


def integrated_gradients(
    config: Config,
    weights: Mapping[str, NDArray[np.float32]],
    ids: Ids,
    label: int,
    words: slice = slice(None),
    calibration: Calibration = NONE,
) -> Attribution:
    """Return what each word adds to log p / (1 - p) of a label, by Keras, on either of its backends.

    Args:
        config: of the network.
        weights: arrays by name, as in weights.npz.
        ids: int32 (time,), of the text.
        label: which one is explained; for a single sigmoid output 1 is what it stands for.
        words: which of the ids are words; the others stay as they are.
        calibration: of the run; what is explained are its logits.
    """
    if config.ensemble is not None:
        raise DataError("integrated gradients are not there for ensembles; occlusion is")
    if config.channels:
        raise DataError("integrated gradients are not there for networks that read n-grams; occlusion is")
    table = weights[TABLE]
    target = table[ids].astype(np.float64)
    baseline = target.copy()
    baseline[words] = table[UNKNOWN]
    rows = max(min(STEPS, BATCH_TOKENS // len(ids)), 1)
    length = config.data.maxlen if config.data.padding == "notebook" and config.data.maxlen else len(ids)
    gradient = _gradient(config, weights, FIRST_WORD + rows * len(ids), label, calibration)
    path = _Path(baseline, target, table, rows, length, gradient)
    ends = path.run(np.array([0.0, 1.0]))[0]
    steps = STEPS
    while True:
        slopes = path.run((np.arange(steps) + 0.5) / steps)[1] / steps  # the midpoint rule
        contributions = ((target - baseline) * slopes).sum(axis=1)[words]
        found = Attribution(contributions, float(ends[1]), float(ends[0]), steps)
        if found.complete or steps >= MOST_STEPS:
            return found
        steps *= 2


@dataclass(frozen=True, slots=True)
class _Path:
    """The way from the baseline to the text; a point on it is a row of ids with a table entry for each place."""

    baseline: Floats  # (time, features)
    target: Floats
    table: NDArray[np.float32]
    rows: int  # points in a batch
    length: int  # what ids are padded to, on the left: only the notebook's form has any
    gradient: Gradient

    def run(self, alphas: Floats) -> tuple[Floats, Floats]:
        """Return the log-odds at each point, (alphas,), and the sum of their gradients, (time, features)."""
        time = len(self.target)
        ids = np.full((self.rows, self.length), PAD, np.int32)
        ids[:, self.length - time :] = FIRST_WORD + np.arange(self.rows * time).reshape(self.rows, time)
        found = []
        slopes = np.zeros_like(self.target)
        for start in range(0, len(alphas), self.rows):
            part = alphas[start : start + self.rows]
            points = np.repeat(self.target[None], self.rows, axis=0)  # batches of one shape: what is left over is idle
            points[: len(part)] = self.baseline + part[:, None, None] * (self.target - self.baseline)
            entries = np.concatenate([self.table[:FIRST_WORD], points.reshape(-1, self.target.shape[1])])
            values, by_entry = self.gradient(ids, entries.astype(np.float32))
            found.append(values[: len(part)])
            slopes += by_entry[FIRST_WORD:].reshape(points.shape)[: len(part)].sum(axis=0)
        return np.concatenate(found), slopes


def _gradient(
    config: Config, weights: Mapping[str, NDArray[np.float32]], entries: int, label: int, calibration: Calibration
) -> Gradient:
    """Return what computes log-odds and their gradient by the embedding table, of `entries` rows."""
    from rnnsent.engine.device import start

    backend = start().backend
    from rnnsent.models.builder import model_for, set_weights

    model = model_for(config, num_words=entries)
    set_weights(model, {**weights, TABLE: np.zeros((entries, weights[TABLE].shape[1]), np.float32)})
    # Before sigmoid or softmax: their float32 outputs have no slope left where the network is sure.
    model.get_layer("output").activation = lambda logits: (logits - calibration.shift) / calibration.temperature
    model.trainable = True
    for variable in model.trainable_variables:
        variable.trainable = variable is model.get_layer("embedding").embeddings
    return (_by_tensorflow if backend == "tensorflow" else _by_jax)(model, label)


def _from_outputs(outputs: Any, label: int) -> Any:
    """Return log p / (1 - p) of a label: (rows, 1) or (rows, labels), before sigmoid or softmax → (rows,)."""
    from keras import ops

    if outputs.shape[-1] == 1:
        return outputs[:, 0] if label == 1 else -outputs[:, 0]
    others = [at for at in range(outputs.shape[-1]) if at != label]
    return outputs[:, label] - ops.logsumexp(ops.take(outputs, others, axis=1), axis=1)


def _by_tensorflow(model: Any, label: int) -> Gradient:
    import tensorflow as tf

    embeddings = model.get_layer("embedding").embeddings

    def differentiated(ids: Any) -> Any:
        with tf.GradientTape() as tape:
            values = _from_outputs(model(ids, training=False), label)
        return values, tf.convert_to_tensor(tape.gradient(values, embeddings.value))

    compiled = tf.function(differentiated)

    def gradient(ids: Ids, table: NDArray[np.float32]) -> tuple[Floats, Floats]:
        embeddings.assign(table)
        values, slopes = compiled(tf.constant(ids))
        return values.numpy().astype(np.float64), slopes.numpy().astype(np.float64)

    return gradient


def _by_jax(model: Any, label: int) -> Gradient:
    import jax

    fixed = [variable.value for variable in model.non_trainable_variables]

    def total(table: Any, ids: Any) -> Any:
        outputs, _ = model.stateless_call([table], fixed, ids, training=False)
        values = _from_outputs(outputs, label)
        return values.sum(), values

    differentiated = jax.jit(jax.value_and_grad(total, has_aux=True))

    def gradient(ids: Ids, table: NDArray[np.float32]) -> tuple[Floats, Floats]:
        (_, values), slopes = differentiated(table, ids)
        return np.asarray(values, np.float64), np.asarray(slopes, np.float64)

    return gradient
