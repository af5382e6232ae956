"""The layers of a network with their shapes and parameters, known from its config alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from rnnsent.config.sections import Config
from rnnsent.errors import count
from rnnsent.models.weights import EMBEDDINGS, output_of, weight_shapes
from rnnsent.runs.schemas import EnsembleSummary, LayerSummary, NetworkSummary

POOLINGS = {"last": "last state", "mean_max": "mean and max pooling"}


def architecture(config: Config) -> str:
    """Return the layers of a network in a line; of an ensemble how many networks it has, and their cells."""
    if not config.members:
        return "logistic regression on n-grams"
    if config.ensemble is None:
        return " → ".join(_layer_names(config))
    cells = dict.fromkeys(layer.kind.title for member in config.members for layer in member.model.recurrent)
    return f"ensemble of {len(config.members)} networks ({', '.join(cells)})"


def _layer_names(config: Config) -> Iterator[str]:
    """Yield the layers of one network."""
    model = config.model
    ngrams = "" if model.ngrams is None else f" + {count(model.ngrams.orders, 'order')} of n-gram weights"
    yield f"Embedding({model.embedding_dim}){ngrams}"
    for layer in model.recurrent:
        name = f"{layer.kind.title}({layer.units})"
        yield f"Bidirectional({name})" if layer.bidirectional else name
    yield POOLINGS.get(model.pooling, f"{model.pooling} pooling")
    yield from (f"Dense({dense.units}, {dense.activation})" for dense in model.dense)
    yield output_of(config.data)[1]


def summarize(config: Config, rows: int) -> tuple[str, NetworkSummary | EnsembleSummary]:
    """Return the layers of the model that `config` describes, with the rows of the embedding.

    They are a table, or one for each network of an ensemble, and what summary.json holds.
    """
    layers = [tuple(_layers(member, rows)) for member in config.members]
    tables = [_table(*pair) for pair in zip(layers, config.members, strict=True)]
    networks = tuple(NetworkSummary(stack, sum(layer.parameters for layer in stack)) for stack in layers)
    if not networks:
        return f"{architecture(config)}, without a network\n", NetworkSummary((), 0)
    if len(networks) == 1:
        return tables[0], networks[0]
    tables = [f"network {number} of {len(tables)}\n{table}" for number, table in enumerate(tables, start=1)]
    return "\n".join(tables), EnsembleSummary(networks, sum(network.parameters for network in networks))


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
    pooled_width = width * (2 if model.pooling == "mean_max" else 1)
    if model.dropout:
        yield "dropout", "Dropout", (None, pooled_width)
    for index, dense in enumerate(model.dense):
        yield f"dense_{index}", "Dense", (None, dense.units)
        if dense.dropout:
            yield f"dense_{index}_dropout", "Dropout", (None, dense.units)
    if model.head:
        yield "output", "Dense", (None, output_of(config.data)[0])


def _table(network: tuple[LayerSummary, ...], config: Config) -> str:
    """Return the table that `keras.Model.summary` prints of a chain of layers."""
    total = sum(layer.parameters for layer in network)
    non_trainable = 0
    if config.model.vectors is not None and not config.model.vectors.trainable:
        non_trainable = next(layer.parameters for layer in network if layer.name == EMBEDDINGS.partition("/")[0])
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
        f" Trainable params: {total - non_trainable:,} ({_size(total - non_trainable)})",
        f" Non-trainable params: {non_trainable:,} ({_size(non_trainable)})",
    ]
    return "\n".join(lines) + "\n"


def _rule(marks: str, widths: tuple[int, int, int]) -> str:
    return marks[0] + marks[2].join(marks[1] * width for width in widths) + marks[3]


def _row(border: str, cells: tuple[str, str, str], widths: tuple[int, int, int]) -> str:
    layer, shape, parameters = (width - 2 for width in widths)
    text = border.join((f" {cells[0]:{layer}} ", f" {cells[1]:{shape}} ", f" {cells[2]:>{parameters}} "))
    return border + text + border


def _size(parameters: int) -> str:
    """Return the bytes of float32 numbers as Keras writes them."""
    size, unit = 4.0 * parameters, "B"
    for larger in ("KB", "MB", "GB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.2f} {unit}"
