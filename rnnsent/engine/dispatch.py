"""Which way each recurrent layer runs, and why: cuDNN, the native kernel, or stock Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnnsent.config.sections import Config, RecurrentConfig
from rnnsent.engine import kernel
from rnnsent.errors import ConfigError, Problem

if TYPE_CHECKING:
    from rnnsent.engine.device import Device

NATIVE, CUDNN, STOCK = "native", "cudnn", "keras"


@dataclass(frozen=True, slots=True)
class LayerPath:
    """How one recurrent layer runs."""

    layer: str  # its place in the stack and its cell, "0:lstm"
    path: str  # "native", "cudnn" or "keras"
    because: str  # the reason

    def __str__(self) -> str:
        return f"{self.layer} on {self.path} ({self.because})"


def choose(config: Config, device: Device) -> tuple[LayerPath, ...]:
    """Return the path of every recurrent layer on `device`; ConfigError if `training.engine: native` is impossible."""
    return tuple(
        LayerPath(f"{index}:{layer.cell}", *_path(config, layer, device, f"model.recurrent.{index}"))
        for index, layer in enumerate(config.model.recurrent)
    )


def _path(config: Config, layer: RecurrentConfig, device: Device, key: str) -> tuple[str, str]:
    requested = config.training.engine
    if device.name != "cpu" and requested != "native":
        obstacle = _no_cudnn(config, layer, device)
        return (STOCK, obstacle) if obstacle else (CUDNN, "the fastest on a GPU")
    obstacle = _no_native(config, layer, device)
    if requested == "native" and obstacle:
        rule = f"must be auto or stock here: the native kernel does not run {key}: {obstacle}"
        raise ConfigError([Problem("", "training.engine", rule, "native")])
    if requested == "stock":
        return STOCK, "requested"
    if obstacle:
        return STOCK, obstacle
    return NATIVE, f"{'requested' if requested == 'native' else 'the fastest on a CPU'}, {kernel.level()}"


def _no_cudnn(config: Config, layer: RecurrentConfig, device: Device) -> str:
    """Return what keeps the layer from cuDNN, empty if nothing does."""
    if reason := _unusual(layer):
        return reason
    if not layer.kind.cudnn:
        return f"cuDNN has no {layer.kind.title}"
    if device.backend not in layer.kind.cudnn:
        return f"Keras reaches cuDNN's {layer.kind.title} from TensorFlow only"
    if device.backend == "jax" and config.data.padding != "notebook":  # keras/src/backend/jax/rnn.py
        return "Keras on JAX leaves cuDNN out where padding is masked"
    return ""


def _no_native(config: Config, layer: RecurrentConfig, device: Device) -> str:
    """Return what keeps the layer from the native kernel, empty if nothing does."""
    if device.name != "cpu":
        return f"it runs on a CPU, not on {device.name}"
    if device.backend != "tensorflow":
        return f"it is reached from TensorFlow, not from {device.backend}"
    if not kernel.available():
        return "it was not built; see docs/architecture.md"
    if config.training.precision != "float32":
        return f"precision: {config.training.precision}"
    if reason := _unusual(layer):
        return reason
    return f"it has no {layer.cell}" if layer.kind.native is None else ""


def _unusual(layer: RecurrentConfig) -> str:
    """Return which key of a layer is not as cuDNN and the native kernel have it, empty if none is."""
    dropout = f"recurrent_dropout: {layer.recurrent_dropout}" if layer.recurrent_dropout else ""
    return unusual_key(layer) or dropout


def unusual_key(layer: RecurrentConfig) -> str:
    """Return the same for a prediction, to which dropout does not matter."""
    if layer.activation != "tanh":
        return f"activation: {layer.activation}"
    return "reset_after: false" if layer.reset_after is False else ""
