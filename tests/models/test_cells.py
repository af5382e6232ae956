"""A new cell without a native kernel is one entry in the table of cells and its NumPy step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import pytest
from keras import ops

from rnnsent.config.cells import CELLS, Cell
from rnnsent.models.numpy_layers import Activation, Array, RecurrentWeights, State, sigmoid
from tests.conftest import rnnsent


@keras.saving.register_keras_serializable()
class MinimalGatedCell(keras.layers.Layer):  # type: ignore[misc]
    """The minimal gated unit (Zhou et al. 2016): one gate, f, and a candidate."""

    def __init__(self, units: int, activation: str = "tanh", **options: Any) -> None:
        super().__init__(**options)
        self.units = self.state_size = self.output_size = units
        self.activation = keras.activations.get(activation)

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 2 * self.units), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(self.units, 2 * self.units), name="recurrent_kernel")
        self.bias = self.add_weight(shape=(2 * self.units,), name="bias", initializer="ones")

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        (hidden,) = states
        projected = ops.matmul(inputs, self.kernel) + self.bias
        gate, candidate = (self.recurrent_kernel[:, : self.units], self.recurrent_kernel[:, self.units :])
        forget = ops.sigmoid(projected[:, : self.units] + ops.matmul(hidden, gate))
        new = self.activation(projected[:, self.units :] + ops.matmul(forget * hidden, candidate))
        hidden = (1 - forget) * hidden + forget * new
        return hidden, [hidden]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "activation": self.activation.__name__}


def minimal_gated(*, units: int, activation: str, dtype: str, name: str, return_sequences: bool, **options: Any) -> Any:
    cell = MinimalGatedCell(units, activation, dtype=dtype, name="mgu_cell")
    return keras.layers.RNN(cell, return_sequences=return_sequences, dtype=dtype, name=name)


def step(projected: Array, state: State, weights: RecurrentWeights, activation: Activation) -> State:
    (hidden,) = state
    units = hidden.shape[-1]
    forget = sigmoid(projected[:, :units] + hidden @ weights.recurrent_kernel[:, :units])
    new = activation(projected[:, units:] + (forget * hidden) @ weights.recurrent_kernel[:, units:])
    return ((1 - forget) * hidden + forget * new,)


CONFIG = """\
data: {source: sample, num_words: 300, maxlen: 40}
model: {embedding_dim: 8, recurrent: [{cell: mgu, units: 8, bidirectional: true}, {cell: mgu, units: 6}]}
training: {epochs: 1, batch_size: 128, learning_rate: 2e-2}
"""


@pytest.fixture
def mgu(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Cell(layer=f"{__name__}:minimal_gated", step=f"{__name__}:step", gates=2)
    monkeypatch.setitem(CELLS, "mgu", entry)
    Path("mgu.yaml").write_text(CONFIG)


@pytest.mark.usefixtures("mgu")
def test_a_new_cell_goes_through_every_command() -> None:
    trained = rnnsent("train", "--config", "mgu.yaml", "--run-dir", "run", "--json")
    assert trained.exit_code == 0, trained.stderr
    assert "0:mgu on keras (it has no mgu)" in trained.stderr
    evaluated = rnnsent("eval", "run", "--json")
    assert evaluated.exit_code == 0, evaluated.stderr
    summary = json.loads(rnnsent("summary", "run", "--json").stdout)
    mgu, stacked = summary["layers"][1:3]
    assert (mgu["parameters"], stacked["parameters"]) == (2 * (8 + 8 + 1) * 16, (16 + 6 + 1) * 12)
    verified = rnnsent("verify", "run")
    assert verified.exit_code == 0, verified.stderr
    assert "does not run model.recurrent.0, cell: mgu" in evaluated.stderr + verified.stderr
    assert [line.split()[:2] for line in verified.stdout.splitlines()] == [
        ["ok", name] for name in ("files", "numpy", "native", "keras")
    ]
    reported = rnnsent("report", "run")
    assert reported.exit_code == 0, reported.stderr


@pytest.mark.usefixtures("mgu")
def test_the_native_engine_refuses_a_cell_that_it_does_not_have() -> None:
    refused = rnnsent("train", "--config", "mgu.yaml", "--set", "training.engine=native")
    assert refused.exit_code == 1 and "does not run model.recurrent.0: it has no " in refused.stderr


def test_an_unknown_cell_is_refused_with_the_names_of_the_table() -> None:
    Path("mgu.yaml").write_text(CONFIG)
    refused = rnnsent("config", "check", "mgu.yaml")
    assert refused.exit_code == 1
    assert "model.recurrent.0.cell: must be one of simple_rnn, lstm, gru" in refused.stderr
