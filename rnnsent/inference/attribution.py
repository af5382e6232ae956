"""Attribution: what each word adds to the log-odds of a label, log p / (1 - p).

Occlusion removes a word and takes the difference: J. Li, W. Monroe and D. Jurafsky, "Understanding neural networks
through representation erasure", arXiv:1612.08220, 2016.

Integrated gradients: M. Sundararajan, A. Taly and Q. Yan, "Axiomatic attribution for deep networks", ICML 2017. Word
vectors move in a straight line from a baseline to their own values, and the gradients of the log-odds are summed along
the way. The contributions add up to the log-odds of the text minus those of the baseline (completeness), which is
checked. The baseline of a word is the vector of the unknown word, so unknown words contribute exactly 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.vocabulary import FIRST_WORD, PAD, UNKNOWN
from rnnsent.errors import DataError
from rnnsent.models.weights import EMBEDDINGS

if TYPE_CHECKING:
    from rnnsent.inference.classifier import Classifier

Floats = NDArray[np.float64]
Ids = NDArray[np.int32]
Table = NDArray[np.float32]  # (entries, features), of vectors
Gradient = Callable[[Ids, Table], tuple[Floats, Floats]]  # ids (rows, time) → log-odds (rows,), their gradient by Table

MIN_PROBABILITY = 1e-7  # a float32 probability has no digits below this distance from 1
STEPS, MAX_STEPS = 32, 1024  # doubled until completeness holds
MAX_GAP, MAX_RELATIVE_GAP = 1e-3, 0.01  # logits, and share of the difference, that may be missing
BATCH_TOKENS = 2**14  # Keras keeps the states of all of them for the gradient


@dataclass(frozen=True, slots=True)
class Attribution:
    """The result of integrated gradients.

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
        """By how many logits the contributions miss their sum."""
        return float(self.contributions.sum()) - (self.logit - self.baseline_logit)

    @property
    def complete(self) -> bool:
        """Whether they add up."""
        return abs(self.gap) <= max(MAX_RELATIVE_GAP * abs(self.logit - self.baseline_logit), MAX_GAP)

    def to_dict(self) -> dict[str, float]:
        """Return all but the contributions."""
        return {"logit": self.logit, "baseline_logit": self.baseline_logit, "gap": self.gap, "steps": self.steps}


def log_odds(probabilities: Floats, label: int) -> Floats:
    """Return log p / (1 - p) of one label: (…, labels) → (…)."""
    others = np.delete(probabilities, label, axis=-1).sum(axis=-1)
    odds: Floats = np.log(np.maximum(probabilities[..., label], MIN_PROBABILITY) / np.maximum(others, MIN_PROBABILITY))
    return odds


def occluded(ids: Ids, words: slice, empty: Ids) -> Iterator[Ids]:
    """Yield `ids` without the first of `words`, without the second, …; `empty` instead of no ids."""
    for place in range(*words.indices(len(ids))):
        rest = np.delete(ids, place)
        yield rest if len(rest) else empty


def integrated_gradients(model: Classifier, ids: Ids, label: int, words: slice = slice(None)) -> Attribution:
    """Return the integrated gradients of a text, computed by Keras on TensorFlow or JAX.

    Args:
        model: the classifier of a run; its calibrated logits are explained.
        ids: int32 (time,), of the text.
        label: which one is explained.
        words: which of the ids are words; the others stay as they are.

    Raises:
        DataError: if the model has inputs that are not word vectors, or is an ensemble.
    """
    config, table = model.config, model.predictor.weights.get(EMBEDDINGS)
    if config.ensemble is not None or table is None:
        raise DataError("integrated gradients are not available for ensembles; occlusion is")
    if config.channels:
        raise DataError("integrated gradients are not available for networks that read n-grams; occlusion is")
    target = table[ids].astype(np.float64)
    baseline = target.copy()
    baseline[words] = table[UNKNOWN]
    rows = max(min(STEPS, BATCH_TOKENS // len(ids)), 1)
    length = config.data.maxlen if config.data.padding == "notebook" and config.data.maxlen else len(ids)
    path = _Path(baseline, target, table, rows, length, _gradient(model, FIRST_WORD + rows * len(ids), label))
    baseline_logit, logit = path.run(np.array([0.0, 1.0]))[0].tolist()
    steps = STEPS
    while True:
        slopes = path.run((np.arange(steps) + 0.5) / steps)[1] / steps  # the midpoint rule
        contributions = ((target - baseline) * slopes).sum(axis=1)[words]
        attribution = Attribution(contributions, logit, baseline_logit, steps)
        if attribution.complete or steps >= MAX_STEPS:
            return attribution
        steps *= 2


@dataclass(frozen=True, slots=True)
class _Path:
    """The way from the baseline to the text; each point on it is a row of ids with table entries of its own.

    Attributes:
        baseline, target: (time, features).
        table: the vectors of the network.
        rows: points in a batch.
        length: to which ids are padded, on the left, as `padding: notebook` does.
        gradient: of the network.
    """

    baseline: Floats
    target: Floats
    table: Table
    rows: int
    length: int
    gradient: Gradient

    def run(self, positions: Floats) -> tuple[Floats, Floats]:
        """Return the log-odds at positions from 0 to 1, and the sum of their gradients, (time, features)."""
        time = len(self.target)
        ids = np.full((self.rows, self.length), PAD, np.int32)
        ids[:, self.length - time :] = FIRST_WORD + np.arange(self.rows * time).reshape(self.rows, time)
        values, slopes = [], np.zeros_like(self.target)
        for start in range(0, len(positions), self.rows):
            part = positions[start : start + self.rows]
            points = np.repeat(self.target[None], self.rows, axis=0)  # batches of one shape: spare rows are ignored
            points[: len(part)] = self.baseline + part[:, None, None] * (self.target - self.baseline)
            entries = np.concatenate([self.table[:FIRST_WORD], points.reshape(-1, self.target.shape[1])])
            logits, by_entry = self.gradient(ids, entries.astype(np.float32))
            values.append(logits[: len(part)])
            slopes += by_entry[FIRST_WORD:].reshape(points.shape)[: len(part)].sum(axis=0)
        return np.concatenate(values), slopes


def _gradient(classifier: Classifier, entries: int, label: int) -> Gradient:
    """Return a function that computes log-odds and their gradient by an embedding table of `entries` rows."""
    from rnnsent.engine.device import start

    backend = start().backend
    from rnnsent.models.weights import set_weights

    model = build_model(classifier.config, entries)
    table = np.zeros((entries, classifier.predictor.weights[EMBEDDINGS].shape[1]), np.float32)
    set_weights(model, {**classifier.predictor.weights, EMBEDDINGS: table})
    # Before sigmoid or softmax: their float32 outputs have no slope left if the network is confident.
    calibration = classifier.predictor.calibration
    model.get_layer("output").activation = lambda logits: (logits - calibration.shift) / calibration.temperature
    model.trainable = True
    for variable in model.trainable_variables:
        variable.trainable = variable is model.get_layer("embedding").embeddings
    return (_by_tensorflow if backend == "tensorflow" else _by_jax)(model, label)


def _from_logits(outputs: Any, label: int) -> Any:
    """Return log p / (1 - p) of a label, (rows,), from outputs before sigmoid or softmax, (rows, 1 or labels)."""
    from keras import ops

    if outputs.shape[-1] == 1:
        return outputs[:, 0] if label == 1 else -outputs[:, 0]
    others = [at for at in range(outputs.shape[-1]) if at != label]
    return outputs[:, label] - ops.logsumexp(ops.take(outputs, others, axis=1), axis=1)


def _by_tensorflow(model: Any, label: int) -> Gradient:
    import tensorflow as tf

    embeddings = model.get_layer("embedding").embeddings

    @tf.function  # type: ignore[untyped-decorator]
    def differentiated(ids: Any) -> Any:
        with tf.GradientTape() as tape:
            values = _from_logits(model(ids, training=False), label)
        return values, tf.convert_to_tensor(tape.gradient(values, embeddings.value))

    def gradient(ids: Ids, table: Table) -> tuple[Floats, Floats]:
        embeddings.assign(table)
        values, slopes = differentiated(tf.constant(ids))
        return values.numpy().astype(np.float64), slopes.numpy().astype(np.float64)

    return gradient


def _by_jax(model: Any, label: int) -> Gradient:
    import jax

    fixed = [variable.value for variable in model.non_trainable_variables]

    def total(table: Any, ids: Any) -> Any:
        outputs, _ = model.stateless_call([table], fixed, ids, training=False)
        values = _from_logits(outputs, label)
        return values.sum(), values

    differentiated = jax.jit(jax.value_and_grad(total, has_aux=True))

    def gradient(ids: Ids, table: Table) -> tuple[Floats, Floats]:
        (_, values), slopes = differentiated(table, ids)
        return np.asarray(values, np.float64), np.asarray(slopes, np.float64)

    return gradient
