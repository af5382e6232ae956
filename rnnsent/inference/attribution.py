"""Attribution: what each word adds to the log-odds of a label, log p / (1 - p).

Occlusion removes a word and takes the difference: J. Li, W. Monroe and D. Jurafsky, "Understanding neural networks
through representation erasure", arXiv:1612.08220, 2016.

Integrated gradients: M. Sundararajan, A. Taly and Q. Yan, "Axiomatic attribution for deep networks", ICML 2017. The
baseline of a word is the vector of the unknown word. That the contributions add up to the log-odds of the text minus
those of the baseline (completeness) is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.data.tokenizer import FIRST_WORD, PAD, UNKNOWN
from rnnsent.errors import DataError
from rnnsent.models.weights import EMBEDDINGS

if TYPE_CHECKING:
    from rnnsent.inference.classifier import Classifier

Floats = NDArray[np.float64]
Ids = NDArray[np.int32]
Table = NDArray[np.float32]  # (entries, features), of vectors
Differentiated = Callable[[Ids, Table], tuple[Floats, Floats]]  # ids (rows, time) → log-odds (rows,), gradient by Table

MIN_PROBABILITY = 1e-7  # a float32 probability has no digits below this distance from 1
STEPS, MAX_STEPS = 32, 1024  # doubled until completeness holds
MAX_GAP, MAX_RELATIVE_GAP = 1e-3, 0.01  # logits, and share of the difference, that may be missing
BATCH_TOKENS = 2**14  # Keras keeps the states of all of them for the gradient


@dataclass(frozen=True, slots=True)
class Attribution:
    """The result of integrated gradients."""

    contributions: Floats  # (words,), in logits
    logit: float  # of the text
    baseline_logit: float  # of a text of unknown words
    steps: int  # points at which the gradient was taken

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


def log_odds(probabilities: Floats, label: int, independent: bool = False) -> Floats:
    """Return log p / (1 - p) of one label: (…, labels) → (…); `independent` says that a text may have several."""
    others = 1 - probabilities[..., label] if independent else np.delete(probabilities, label, axis=-1).sum(axis=-1)
    odds: Floats = np.log(np.maximum(probabilities[..., label], MIN_PROBABILITY) / np.maximum(others, MIN_PROBABILITY))
    return odds


def occluded(ids: Ids, words: slice, empty: Ids) -> Iterator[Ids]:
    """Yield `ids` without the first of `words`, without the second, …; `empty` instead of no ids."""
    for place in range(*words.indices(len(ids))):
        rest = np.delete(ids, place)
        yield rest if len(rest) else empty


def integrated_gradients(model: Classifier, ids: Ids, label: int, words: slice = slice(None)) -> Attribution:
    """Return the integrated gradients of the calibrated log-odds of a label, by Keras on TensorFlow or JAX.

    Args:
        model: the classifier of a run.
        ids: int32 (time,), of the text.
        label: its index.
        words: which of the ids are words; the others stay as they are.

    Raises:
        DataError: if the model reads n-grams, or is an ensemble.
    """
    config, table = model.config, model.predictor.weights.get(EMBEDDINGS)
    if config.ensemble is not None or table is None:
        raise DataError("integrated gradients are not available for ensembles; occlusion is")
    if config.model.linear is not None:
        raise DataError("integrated gradients are not available for models with a linear part; occlusion is")
    if model.predictor.subwords is not None:
        raise DataError("integrated gradients are not available for networks that read sub-words; occlusion is")
    if config.channels:
        raise DataError("integrated gradients are not available for networks that read n-grams; occlusion is")
    target = table[ids].astype(np.float64)
    baseline = target.copy()
    baseline[words] = table[UNKNOWN]
    rows = max(min(STEPS, BATCH_TOKENS // len(ids)), 1)
    gradient = _gradient(model, label, rows, len(ids))
    baseline_logit, logit = (float(gradient(vectors[None])[0][0]) for vectors in (baseline, target))
    steps = STEPS
    while True:
        positions = ((np.arange(steps) + 0.5) / steps)[:, None, None]  # the midpoint rule
        points = (baseline + positions[start : start + rows] * (target - baseline) for start in range(0, steps, rows))
        slopes = sum((gradient(part)[1].sum(axis=0) for part in points), np.zeros_like(target)) / steps
        contributions = ((target - baseline) * slopes).sum(axis=1)[words]
        attribution = Attribution(contributions, logit, baseline_logit, steps)
        if attribution.complete or steps >= MAX_STEPS:
            return attribution
        steps *= 2


def _gradient(classifier: Classifier, label: int, rows: int, time: int) -> Callable[[Floats], tuple[Floats, Floats]]:
    """Return a function of vectors: up to (rows, time, features) → log-odds (rows,), and their gradients, as vectors.

    Vectors reach the network as entries of the embedding table, one for each place, so that it is the model as built.
    """
    from rnnsent.engine.device import start

    backend = start().backend
    from rnnsent.models.builder import build_model
    from rnnsent.models.weights import set_weights

    config, calibration = classifier.config, classifier.predictor.calibration
    table = classifier.predictor.weights[EMBEDDINGS]
    model = build_model(config, FIRST_WORD + rows * time)
    entries = np.zeros((FIRST_WORD + rows * time, table.shape[1]), np.float32)
    set_weights(model, {**classifier.predictor.weights, EMBEDDINGS: entries})
    # Before sigmoid or softmax: their float32 outputs have no slope left if the network is confident.
    model.get_layer("output").activation = lambda logits: (logits - calibration.shift) / calibration.temperature
    model.trainable = True
    for variable in model.trainable_variables:
        variable.trainable = variable is model.get_layer("embedding").embeddings
    from_logits = partial(_from_logits, label=label, independent=config.data.targets == "multi")
    differentiate = (_by_tensorflow if backend == "tensorflow" else _by_jax)(model, from_logits)
    length = config.data.maxlen if config.data.padding == "notebook" and config.data.maxlen else time
    ids = np.full((rows, length), PAD, np.int32)
    ids[:, length - time :] = FIRST_WORD + np.arange(rows * time).reshape(rows, time)

    def gradient(vectors: Floats) -> tuple[Floats, Floats]:
        number = len(vectors)  # batches of one shape: spare rows are ignored
        entries[:FIRST_WORD] = table[:FIRST_WORD]
        entries[FIRST_WORD : FIRST_WORD + number * time] = vectors.reshape(number * time, -1)
        values, slopes = differentiate(ids, entries)
        return values[:number], slopes[FIRST_WORD:].reshape(rows, time, -1)[:number]

    return gradient


def _from_logits(outputs: Any, label: int, independent: bool) -> Any:
    """Return log p / (1 - p) of a label, (rows,), from outputs before sigmoid or softmax, (rows, 1 or labels)."""
    from keras import ops

    if outputs.shape[-1] == 1:
        return outputs[:, 0] if label == 1 else -outputs[:, 0]
    if independent:
        return outputs[:, label]
    others = [at for at in range(outputs.shape[-1]) if at != label]
    return outputs[:, label] - ops.logsumexp(ops.take(outputs, others, axis=1), axis=1)


def _by_tensorflow(model: Any, from_logits: Callable[[Any], Any]) -> Differentiated:
    import tensorflow as tf

    embeddings = model.get_layer("embedding").embeddings

    @tf.function  # type: ignore[untyped-decorator]
    def differentiated(ids: Any) -> Any:
        with tf.GradientTape() as tape:
            values = from_logits(model(ids, training=False))
        return values, tf.convert_to_tensor(tape.gradient(values, embeddings.value))

    def gradient(ids: Ids, table: Table) -> tuple[Floats, Floats]:
        embeddings.assign(table)
        values, slopes = differentiated(tf.constant(ids))
        return values.numpy().astype(np.float64), slopes.numpy().astype(np.float64)

    return gradient


def _by_jax(model: Any, from_logits: Callable[[Any], Any]) -> Differentiated:
    import jax

    constants = [variable.value for variable in model.non_trainable_variables]

    def total(table: Any, ids: Any) -> Any:
        outputs, _ = model.stateless_call([table], constants, ids, training=False)
        values = from_logits(outputs)
        return values.sum(), values

    differentiate = jax.jit(jax.value_and_grad(total, has_aux=True))

    def gradient(ids: Ids, table: Table) -> tuple[Floats, Floats]:
        (_, values), slopes = differentiate(table, ids)
        return np.asarray(values, np.float64), np.asarray(slopes, np.float64)

    return gradient
