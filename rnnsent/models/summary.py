"""The layers of a network with their shapes and parameters, known from its config alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from rnnsent.config.sections import Config
from rnnsent.models.weights import EMBEDDINGS, output_of, weight_shapes


@dataclass(frozen=True)
class LayerSummary:
    """A layer as Keras lists it; None in a shape stands for any size."""

    name: str
    type: str
    output_shape: tuple[int | None, ...]
    parameters: int


@dataclass(frozen=True)
class Summary:
    """The layers of a model, or of each network of an ensemble."""

    text: str  # a table, or one for each network
    networks: tuple[tuple[LayerSummary, ...], ...]  # the layers of each network

    @property
    def parameters(self) -> int:
        """Of all networks together."""
        return sum(layer.parameters for network in self.networks for layer in network)

    def to_dict(self) -> dict[str, object]:
        """Return layers and parameters for JSON; of an ensemble those of each network."""
        networks = [
            {"layers": list(map(asdict, network)), "parameters": sum(layer.parameters for layer in network)}
            for network in self.networks
        ]
        return networks[0] if len(networks) == 1 else {"networks": networks, "parameters": self.parameters}


def summarize(config: Config, rows: int) -> Summary:
    """Return the layers of the model that `config` describes, with so many rows of the embedding."""
    networks = tuple(tuple(_layers(member, rows)) for member in config.members)
    tables = [_table(network, member) for network, member in zip(networks, config.members, strict=True)]
    if len(tables) > 1:
        tables = [f"network {number} of {len(tables)}\n{table}" for number, table in enumerate(tables, start=1)]
    return Summary("\n".join(tables), networks)


def _layers(config: Config, rows: int) -> Iterator[LayerSummary]:
    parameters: Counter[str] = Counter()
    for name, shape in weight_shapes(config, rows).items():
        parameters[name.partition("/")[0]] += math.prod(shape)
    for name, kind, output in _shapes(config):
        yield LayerSummary(name, kind, output, parameters[name])


def _shapes(config: Config) -> Iterator[tuple[str, str, tuple[int | None, ...]]]:
    """Yield name, type and output shape of each layer."""
    model = config.model
    yield "embedding", "Embedding", (None, None, model.embedding_dim)
    if model.embedding_dropout:
        yield "embedding_dropout", "SpatialDropout1D", (None, None, model.embedding_dim)
    width = 0
    for index, (name, layer) in enumerate(zip(model.layer_names, model.recurrent, strict=True)):
        width = layer.units * (2 if layer.bidirectional else 1)
        kind = "Bidirectional" if layer.bidirectional else layer.kind.title
        yield name, kind, (None, None, width) if model.returns_sequence(index) else (None, width)
    if model.pooling in ("mean", "mean_max"):
        yield "mean", "GlobalAveragePooling1D", (None, width)
    if model.pooling == "attention":
        yield "attention", "Dense", (None, None, 1)
    pooled = width * (2 if model.pooling == "mean_max" else 1)
    if model.dropout:
        yield "dropout", "Dropout", (None, pooled)
    for index, dense in enumerate(model.dense):
        yield f"dense_{index}", "Dense", (None, dense.units)
        if dense.dropout:
            yield f"dense_{index}_dropout", "Dropout", (None, dense.units)
    if model.head:
        yield "output", "Dense", (None, output_of(len(config.data.label_names))[0])


def _table(network: tuple[LayerSummary, ...], config: Config) -> str:
    """Return the table that `keras.Model.summary` prints of a chain of layers."""
    total = sum(layer.parameters for layer in network)
    fixed = 0
    if config.model.vectors is not None and not config.model.vectors.trainable:
        fixed = next(layer.parameters for layer in network if layer.name == EMBEDDINGS.partition("/")[0])
    cells = [(f"{layer.name} ({layer.type})", str(layer.output_shape), f"{layer.parameters:,}") for layer in network]
    first = max(35, *(len(name) + 2 for name, _, _ in cells))
    widths = (first, max(61 - first, *(len(shape) + 2 for _, shape, _ in cells)), 15)
    lines = [
        'Model: "rnnsent"',
        _rule("┏━┳┓", widths),
        _row("┃", ("Layer (type)", "Output Shape", "Param #"), widths),
        _rule("┡━╇┩", widths),
        f"\n{_rule('├─┼┤', widths)}\n".join(_row("│", row, widths) for row in cells),
        _rule("└─┴┘", widths),
        f" Total params: {total:,} ({_size(total)})",
        f" Trainable params: {total - fixed:,} ({_size(total - fixed)})",
        f" Non-trainable params: {fixed:,} ({_size(fixed)})",
    ]
    return "\n".join(lines) + "\n"


def _rule(marks: str, widths: tuple[int, int, int]) -> str:
    return marks[0] + marks[2].join(marks[1] * width for width in widths) + marks[3]


def _row(border: str, cells: tuple[str, str, str], widths: tuple[int, int, int]) -> str:
    layer, shape, parameters = (width - 2 for width in widths)
    text = border.join((f" {cells[0]:{layer}} ", f" {cells[1]:{shape}} ", f" {cells[2]:>{parameters}} "))
    return border + text + border


def _size(parameters: int) -> str:
    """Return the bytes of so many float32 numbers as Keras writes them."""
    size, unit = 4.0 * parameters, "B"
    for larger in ("KB", "MB", "GB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.2f} {unit}"
