"""The layers of a network, or of each network of an ensemble: text and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rnnsent.config import Config

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Layer:
    """A layer; None in its output shape stands for any size."""

    name: str
    type: str
    output_shape: list[int | None]
    parameters: int


@dataclass(frozen=True)
class Summary:
    """The layers of a network, or of each network of an ensemble.

    Attributes:
        text: Keras' own table, or tables.
        networks: of each network its layers.
        sizes: of each network its parameters.
    """

    text: str
    networks: list[list[Layer]]
    sizes: list[int]

    @property
    def parameters(self) -> int:
        """Of all networks together."""
        return sum(self.sizes)

    def to_json(self) -> str:
        """Return {"layers", "parameters"}; of an ensemble {"networks", "parameters"}, with the former for each."""
        each = [
            {"layers": [asdict(layer) for layer in layers], "parameters": size}
            for layers, size in zip(self.networks, self.sizes, strict=True)
        ]
        return json.dumps(each[0] if len(each) == 1 else {"networks": each, "parameters": self.parameters}) + "\n"


def summarize(config: Config, rows: int) -> Summary:
    """Return the layers of the networks of `config`, with `rows` words in the embedding. Keras must be started."""
    from rnnsent.models.builder import model_for

    return summarize_models([model_for(member, num_words=rows) for member in config.members])


def summarize_models(models: Sequence[keras.Model]) -> Summary:
    """Return the layers of one network, or of all of an ensemble."""
    from rnnsent.models.builder import summary_text

    tables = [summary_text(model) for model in models]
    if len(models) > 1:
        tables = [f"network {number} of {len(models)}\n{table}" for number, table in enumerate(tables, start=1)]
    networks = [
        [
            Layer(layer.name, type(layer).__name__, list(layer.output.shape), int(layer.count_params()))
            for layer in model.layers
        ]
        for model in models
    ]
    return Summary("\n".join(tables), networks, [int(model.count_params()) for model in models])
