"""The search space: that of the config or a ready one, as Optuna's distributions, and the config of each trial."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from rnnsent.config.loader import with_values
from rnnsent.config.ranges import number_type, tried_values
from rnnsent.config.sections import Config, RangeConfig

Space = Mapping[str, RangeConfig]  # by the dotted key of a config
Parameters = Mapping[str, Any]  # a value for each key, as Optuna has it

GATED = ("lstm", "gru")
LEARNING_RATE_FACTOR = 5.0  # of the ready range, up and down from the config
MAX_DROPOUT = 0.6


def search_space(config: Config) -> Space:
    """Return the `search` section of a config, or the ready search space."""
    return dict(_ready_ranges(config)) if config.search is None else config.search


def _ready_ranges(config: Config) -> Iterator[tuple[str, RangeConfig]]:
    """Yield the keys that make sense for a network, and values around its own.

    What would be trained again for each trial stays as it is: word vectors and language models.
    """
    model, training = config.model, config.training
    pretrained = model.language_model is not None
    if model.vectors is None and not pretrained:
        yield "model.embedding_dim", _choices(model.embedding_dim, 32, 64, 128)
    for index, layer in enumerate(model.recurrent):
        if index or not pretrained:
            yield f"model.recurrent.{index}.units", _choices(layer.units, 32, 64, 128)
    first, last = model.recurrent[0], model.recurrent[-1]
    if len(model.recurrent) == 1 and not pretrained:
        yield "model.recurrent.0.bidirectional", RangeConfig(choices=(False, True))
        if first.cell in GATED and first.reset_after is None:
            yield "model.recurrent.0.cell", RangeConfig(choices=GATED)
    if last.return_sequences is None:
        yield (
            "model.pooling",
            RangeConfig(choices=tuple(dict.fromkeys((model.pooling, "last", "mean_max", "attention")))),
        )
    if model.ngrams is not None:
        yield "model.ngrams.orders", RangeConfig(choices=(1, 2, 3))
    elif config.data.source == "texts" and config.data.padding != "notebook" and not pretrained:
        yield "model.ngrams", RangeConfig(choices=(None, {"orders": 2}, {"orders": 3}))
    # Without n-grams both drop the same, and that of the layer is faster.
    place = "model.recurrent.0.dropout" if model.ngrams is None else "model.embedding_dropout"
    yield place, RangeConfig(low=0.0, high=MAX_DROPOUT)
    yield "model.dropout", RangeConfig(low=0.0, high=MAX_DROPOUT)
    rate = training.learning_rate
    yield (
        "training.learning_rate",
        RangeConfig(low=rate / LEARNING_RATE_FACTOR, high=min(rate * LEARNING_RATE_FACTOR, 1e6), log=True),
    )
    yield "training.batch_size", _choices(training.batch_size, 32, 64, 128)


def _choices(*values: int) -> RangeConfig:
    return RangeConfig(choices=tuple(sorted(set(values))))


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the space for Optuna."""
    return {key: _distribution(key, values) for key, values in space.items()}


def _distribution(key: str, values: RangeConfig) -> BaseDistribution:
    if values.choices is not None:
        return CategoricalDistribution(tuple(map(_label, values.choices)))
    low, high = tried_values(key, values)
    kind = IntDistribution if number_type(key) is int else FloatDistribution
    return kind(low, high, log=values.log)


def _label(choice: Any) -> Any:
    """Return a choice as Optuna stores it: sections and lists as JSON."""
    return json.dumps(choice) if isinstance(choice, dict | list) else choice


def trial_config(config: Config, space: Space, parameters: Parameters) -> Config:
    """Return the config of a trial.

    Raises:
        ConfigError: if values that are valid by themselves cannot go together.
    """
    return with_values(config, {key: _value(space[key], value) for key, value in parameters.items()})


def _value(values: RangeConfig, parameter: Any) -> Any:
    return next((choice for choice in values.choices or () if _label(choice) == parameter), parameter)


def own_parameters(config: Config, space: Space) -> dict[str, Any]:
    """Return the values that the config itself has, if the space holds them: the first trial."""
    parameters = {}
    for key, distribution in distributions(space).items():
        value: Any = config.to_dict()
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else value[int(part)] if value else None
        if isinstance(distribution, CategoricalDistribution):
            is_inside = _label(value) in distribution.choices
        else:
            assert isinstance(distribution, IntDistribution | FloatDistribution)
            is_inside = isinstance(value, int | float) and distribution.low <= value <= distribution.high
        if is_inside:
            parameters[key] = _label(value)
    return parameters
