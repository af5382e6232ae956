"""Imports of Keras and Matplotlib that follow neither the settings files nor the variables of the user's machine."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType

from rnnsent.errors import DeviceError, RnnsentError

PRECISION = "float32"  # of Keras; `training.precision` is set for each layer
EPSILON = 1e-7  # Keras' default
VARIABLES = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")  # would end a training early


def import_keras(backend: str) -> ModuleType:
    """Import Keras on a backend.

    Raises:
        DeviceError: if that fails, or the program that imported Keras before has set it to another precision.
    """
    is_new = "keras" not in sys.modules
    # Keras imports pyplot if it can: this takes a second, and fails where a setting of Matplotlib is odd.
    is_blocked = "matplotlib" not in sys.modules
    if is_blocked:
        sys.modules["matplotlib"] = None  # type: ignore[assignment]
    try:
        with _environment(KERAS_BACKEND=backend, **dict.fromkeys(VARIABLES)):
            import keras
    except Exception as error:
        hint = "check keras.json in ~/.keras or $KERAS_HOME"
        raise DeviceError(f"Keras cannot be imported: {type(error).__name__}: {error}; {hint}") from error
    finally:
        if is_blocked:
            del sys.modules["matplotlib"]
    if is_new:  # keras.json may say something else
        keras.config.set_floatx(PRECISION)
        keras.config.set_dtype_policy(PRECISION)
        keras.config.set_epsilon(EPSILON)
        keras.config.set_max_epochs(None)
        keras.config.set_max_steps_per_epoch(None)
    precision = {keras.config.floatx(), keras.config.dtype_policy().name} - {PRECISION}
    if precision:
        hint = f"call keras.config.set_floatx and keras.config.set_dtype_policy with {PRECISION!r}"
        raise DeviceError(f"Keras is set to {precision.pop()} in this process; {hint}")
    assert isinstance(keras, ModuleType)
    return keras


def import_matplotlib() -> ModuleType:
    """Import Matplotlib, whatever backend $MPLBACKEND names and whatever a matplotlibrc file holds.

    Raises:
        RnnsentError: if that fails.
    """
    is_new = "matplotlib" not in sys.modules
    log = logging.getLogger("matplotlib")  # warns about settings that are not used here, and about its cache
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with _environment(MPLBACKEND=None):
            import matplotlib.figure
    except Exception as error:
        hint = "check the file matplotlibrc"
        raise RnnsentError(f"Matplotlib cannot be imported: {type(error).__name__}: {error}; {hint}") from error
    finally:
        log.setLevel(level)
    if is_new:
        with suppress(KeyError, ValueError):  # a notebook's own plots go to the backend that it has chosen
            matplotlib.rcParams["backend"] = os.environ["MPLBACKEND"]
    return matplotlib


@contextmanager
def _environment(**changes: str | None) -> Iterator[None]:
    """Set variables of the environment in the block; None unsets one."""
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    try:
        yield
    finally:
        _set(before)


def _set(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
