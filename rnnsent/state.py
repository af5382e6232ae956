"""A model in training ↔ the arrays of a checkpoint: weights, optimizer, random generators, metrics, best weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from rnnsent.batches import Batch
from rnnsent.checkpoints import Checkpoint
from rnnsent.errors import RunError
from rnnsent.models import weights_of

Arrays = dict[str, NDArray[Any]]


def capture(model: keras.Model, best: Sequence[NDArray[Any]], metrics: Sequence[NDArray[Any]]) -> Arrays:
    """Return all that a model in training consists of.

    Args:
        model: compiled, with the weights as trained, not their average.
        best: weights of the best epoch so far, in the order of `model.get_weights()`; empty: none is over.
        metrics: what its metrics had summed up of the epoch; empty: what they hold now.
    """
    synchronize(model)
    weights = weights_of(model)
    arrays: Arrays = {f"model/{name}": value for name, value in weights.items()}
    # By number: Keras counts the names of optimizers and generators on, from one model of a process to the next.
    for prefix, variables in (("random", _random(model)), ("optimizer", model.optimizer.variables)):
        for number, variable in enumerate(variables):
            arrays[f"{prefix}/{number:03d}/{variable.name}"] = ops.convert_to_numpy(variable)
    for number, value in enumerate(metrics or map(ops.convert_to_numpy, model.metrics_variables)):
        arrays[f"metrics/{number:03d}"] = value
    for (name, value), array in zip(weights.items(), best, strict=False):
        if not np.array_equal(value, array):
            arrays[f"best/{name}"] = np.asarray(array, np.float32)
    return arrays


def synchronize(model: keras.Model) -> None:
    """Let the variables of a model in training hold what its last step left: JAX trains on copies."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


def best_weights(checkpoint: Checkpoint) -> Arrays:
    """Return the weights of the best epoch by name, in the order of `model.weights`; empty before the first is over."""
    if checkpoint.facts["best"] is None:
        return {}
    return checkpoint.under("model") | checkpoint.under("best")


def restore(model: keras.Model, checkpoint: Checkpoint, batch: Batch) -> None:
    """Put weights, generators and optimizer back as they were.

    Args:
        model: compiled.
        checkpoint: of the same model.
        batch: any; the metrics have no variables before they have seen one.

    Raises:
        RunError: if the checkpoint is of another model.
    """
    inputs, targets = batch
    model.test_on_batch(list(inputs) if len(inputs) > 1 else inputs[0], targets)
    model.optimizer.build(model.trainable_variables)
    _assign(model.weights, list(checkpoint.under("model").values()), "weights")
    _assign(_random(model), list(checkpoint.under("random").values()), "random generators")
    _assign(model.optimizer.variables, list(checkpoint.under("optimizer").values()), "variables of the optimizer")


def enter_epoch(model: keras.Model, checkpoint: Checkpoint) -> None:
    """Go on in the middle of an epoch that Keras believes to begin.

    The metrics get back what they had summed up; the steps that are over only take their batch from the iterator.
    """
    _assign(model.metrics_variables, list(checkpoint.under("metrics").values()), "metrics")
    logs = model.get_metrics_result()
    train, left = model.train_function, checkpoint.step

    def step(*arguments: Any) -> Any:
        nonlocal left
        if not left:
            return train(*arguments)
        left -= 1
        if keras.backend.backend() == "tensorflow":
            next(arguments[0])
            return logs
        return logs, arguments[0]

    model.train_function = step


def _random(model: keras.Model) -> list[Any]:
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def _assign(variables: Sequence[Any], arrays: Sequence[NDArray[Any]], what: str) -> None:
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [array.shape for array in arrays]:
        raise RunError(f"the checkpoint is of another model: its {what} have other shapes")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
