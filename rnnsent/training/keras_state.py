"""A model in training ↔ the arrays of a checkpoint: weights, optimizer, random generators, metrics, best weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from rnnsent.data.batching import Batch
from rnnsent.errors import RunError
from rnnsent.models.weights import weights_of
from rnnsent.training.checkpoint import Checkpoint

Arrays = dict[str, NDArray[Any]]


def capture(model: keras.Model, best: Sequence[NDArray[Any]], metrics: Sequence[NDArray[Any]]) -> Arrays:
    """Return all that a model in training consists of, as copies.

    Args:
        model: compiled, with the weights as trained, not their average.
        best: weights of the best epoch so far, in the order of `model.get_weights()`; empty: no epoch is complete.
        metrics: what its metrics had summed up of the epoch; empty: what they hold now.
    """
    synchronize(model)
    weights = weights_of(model)
    arrays: Arrays = {f"model/{name}": value for name, value in weights.items()}
    # By number: Keras counts the names of optimizers and generators on, from one model of a process to the next.
    for prefix, variables in (("random", _generators(model)), ("optimizer", model.optimizer.variables)):
        for number, variable in enumerate(variables):
            arrays[f"{prefix}/{number:03d}"] = np.array(ops.convert_to_numpy(variable))
    for number, value in enumerate(metrics or metric_values(model)):
        arrays[f"metrics/{number:03d}"] = value
    for (name, value), array in zip(weights.items(), best, strict=False):
        if not np.array_equal(value, array):
            arrays[f"best/{name}"] = np.asarray(array, np.float32)
    return arrays


def metric_values(model: keras.Model) -> list[NDArray[Any]]:
    """Return what the metrics have summed up."""
    return [np.array(ops.convert_to_numpy(variable)) for variable in model.metrics_variables]


def synchronize(model: keras.Model) -> None:
    """Let the variables of a model in training hold what its last step left: JAX trains on copies."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


def best_weights(checkpoint: Checkpoint) -> Arrays:
    """Return the weights of the best epoch by name, in the order of `model.weights`; empty before the first."""
    return {} if checkpoint.best_epoch is None else checkpoint.under("model") | checkpoint.under("best")


def restore(model: keras.Model, checkpoint: Checkpoint, batch: Batch) -> None:
    """Put weights, generators and optimizer back as they were.

    Args:
        model: compiled, its optimizer built.
        checkpoint: of the same model.
        batch: any; the metrics have no variables before they have seen one.

    Raises:
        RunError: if the checkpoint is of another model or optimizer.
    """
    inputs, targets = batch
    model.test_on_batch(list(inputs) if len(inputs) > 1 else inputs[0], targets)
    _assign(model.weights, checkpoint, "model")
    _assign(_generators(model), checkpoint, "random")
    _assign(model.optimizer.variables, checkpoint, "optimizer")


def enter_epoch(model: keras.Model, checkpoint: Checkpoint) -> None:
    """Continue in the middle of an epoch that Keras believes to begin.

    The metrics get back what they had summed up; the steps that are done only take their batch from the iterator.
    """
    _assign(model.metrics_variables, checkpoint, "metrics")
    logs = model.get_metrics_result()
    train, steps = model.train_function, checkpoint.step

    def step(*arguments: Any) -> Any:
        nonlocal steps
        if not steps:
            return train(*arguments)
        steps -= 1
        next(arguments[-1])  # on JAX the state, which stays as it is, stands before the iterator
        return logs if keras.backend.backend() == "tensorflow" else (logs, arguments[0])

    model.train_function = step


def _generators(model: keras.Model) -> list[Any]:
    """Return the states of the random generators: all variables that are no weights."""
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def _assign(variables: Sequence[Any], checkpoint: Checkpoint, prefix: str) -> None:
    arrays = list(checkpoint.under(prefix).values())
    if [tuple(variable.shape) for variable in variables] != [array.shape for array in arrays]:
        raise RunError(f"the checkpoint {checkpoint.position} is of another network: its {prefix} has other shapes")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
