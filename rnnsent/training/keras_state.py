"""A model in training ↔ the arrays of a checkpoint: weights, optimizer, random generators, metrics, best weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from rnnsent.data.batching import Batch
from rnnsent.errors import RunError, count
from rnnsent.models.weights import require_shapes, weights_of
from rnnsent.training.checkpoint import Checkpoint

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
        model: compiled, its optimizer built.
        checkpoint: of the same model.
        batch: any; the metrics have no variables before they have seen one.

    Raises:
        RunError: if the checkpoint is of another model.
    """
    inputs, targets = batch
    model.test_on_batch(list(inputs) if len(inputs) > 1 else inputs[0], targets)
    require_same_variables(model, model.optimizer, checkpoint)
    _assign(model.weights, list(checkpoint.under("model").values()), "weights")
    _assign(_random(model), list(checkpoint.under("random").values()), "random generators")
    _assign(model.optimizer.variables, list(checkpoint.under("optimizer").values()), "variables of the optimizer")


def require_same_variables(model: keras.Model, optimizer: keras.optimizers.Optimizer, checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint of another model, or of one that another optimizer trains.

    Args:
        model: as in training.
        optimizer: built for it.
        checkpoint: that would be restored.

    Raises:
        RunError: naming what differs.
    """
    wanted = {weight.path.removeprefix(f"{model.name}/"): tuple(weight.shape) for weight in model.weights}
    try:
        require_shapes(wanted, checkpoint.under("model"))
    except RunError as error:
        raise RunError(f"the checkpoint is of another model: {error}") from None
    drawing, drew = len(_random(model)), len(checkpoint.under("random"))
    if drawing != drew:
        rule = f"{count(drawing, 'random generator')}, the checkpoint has {drew}: dropout is not where it was"
        raise RunError(f"the checkpoint is of another model: it needs {rule}")
    held = [(_kind(variable.name), tuple(variable.shape)) for variable in optimizer.variables]
    kept = [(_kind(name.partition("/")[2]), array.shape) for name, array in checkpoint.under("optimizer").items()]
    if held != kept:
        has, needs = ({kind for kind, _ in each} for each in (kept, held))
        odd = (("has", has - needs), ("lacks", needs - has))
        differ = " and ".join(f"{word} {', '.join(sorted(kinds))}" for word, kinds in odd if kinds)
        raise RunError(f"the checkpoint is of another optimizer: it {differ or 'was for other weights'}")


def _kind(name: str) -> str:
    """Return what an optimizer's variable is, of the weight that its name begins with: its momentum, say.

    Keras numbers the names of variables that were given none.
    """
    if name in ("learning_rate", "gradient_norms", "step_counter", "dynamic_scale"):  # of no weight
        return name
    return re.sub(r"_\d+$", "", name).rpartition("_")[2]


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
        next(arguments[-1])  # on JAX the state, which stays as it is, stands before the iterator
        return logs if keras.backend.backend() == "tensorflow" else (logs, arguments[0])

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
