"""The recurrent cells: the one table that config, kernel, builder, NumPy layers and reports read.

It lies in the lowest room, because the config checks `cell:` against it, and every other room may import it. Keras
layers and NumPy steps are therefore given by their place, "module:name", and looked up when they are used.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass, field
from typing import Annotated, Any


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A recurrent cell."""

    # place of its Keras layer, which takes units, activation, dropout, recurrent_dropout, return_sequences, dtype and
    # name. The weights in it are called `CELL_cell/kernel`, `…/recurrent_kernel` and `…/bias`
    layer: str
    step: str  # place of its NumPy step: (x W + b, states, weights, activation) → new states, the output first
    # column blocks of the kernel, (features, gates * units), and the recurrent kernel, (units, gates * units)
    gates: int
    states: int = 1  # how many arrays (batch, units) go from step to step, the output included
    biases: int = 1  # 1: the bias is (gates * units,). 2: it is (2, gates * units), and the step adds the second row
    # its number in `Layer.cell` of engine/native/layer.h; None: the native kernel does not have it
    native: int | None = None
    cudnn: tuple[str, ...] = ()  # the backends from which Keras reaches it in cuDNN
    options: dict[str, object] = field(default_factory=dict)  # further arguments of the Keras layer
    reset_before: Cell | None = None  # the variant for `reset_after: false`; None: the cell has no such key

    @property
    def title(self) -> str:
        """The name of the Keras layer."""
        return self.layer.rpartition(":")[2]

    def keras_layer(self, **arguments: Any) -> Any:
        """Return a new Keras layer."""
        return pkgutil.resolve_name(self.layer)(**arguments, **self.options)

    def numpy_step(self) -> Any:
        """Return the NumPy step."""
        return pkgutil.resolve_name(self.step)


_STEPS = "rnnsent.models.numpy_layers:"

CELLS = {
    "simple_rnn": Cell(layer="keras.layers:SimpleRNN", step=f"{_STEPS}simple_rnn_step", gates=1, native=0),
    "lstm": Cell(
        layer="keras.layers:LSTM", step=f"{_STEPS}lstm_step", gates=4, states=2, native=1, cudnn=("tensorflow", "jax")
    ),
    "gru": Cell(
        layer="keras.layers:GRU",
        step=f"{_STEPS}gru_step",
        gates=3,
        biases=2,
        native=2,
        cudnn=("tensorflow",),
        options={"reset_after": True},
        reset_before=Cell(
            layer="keras.layers:GRU", step=f"{_STEPS}gru_reset_before_step", gates=3, options={"reset_after": False}
        ),
    ),
}


class _KnownCell:
    """Checks a name when a config is read: cells may have been added since this module was imported."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._check, core_schema.str_schema())

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "enum": list(CELLS)}

    @staticmethod
    def _check(name: str) -> str:
        if name not in CELLS:
            from pydantic_core import PydanticCustomError

            *names, last = map(repr, CELLS)
            # As pydantic reports any other choice, with which it shares rule and suggestion.
            raise PydanticCustomError("literal_error", "unknown cell", {"expected": f"{', '.join(names)} or {last}"})
        return name


CellName = Annotated[str, _KnownCell()]
