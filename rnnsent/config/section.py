"""What all sections of the config have in common."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal, Self

from rnnsent.errors import ConfigError, Problem


class Limits:
    """Bounds of a value; pydantic, which is slow to import, reads them when a file is validated."""

    __is_annotated_types_grouped_metadata__ = True  # the protocol of annotated_types.GroupedMetadata

    def __init__(self, **limits: Any) -> None:
        self._limits = limits

    def __iter__(self) -> Iterator[Any]:
        from pydantic import Field

        return iter(Field(**self._limits).metadata)


# The upper bounds are far more than anybody trains, and too little to take all memory or to overflow.
Count = Annotated[int, Limits(ge=1, le=10**9)]
Fraction = Annotated[float, Limits(ge=0.0, lt=1.0)]
Positive = Annotated[float, Limits(gt=0.0, le=1e6)]
Share = Annotated[float, Limits(gt=0.0, lt=1.0)]
Units = Annotated[int, Limits(ge=1, le=2**14)]
BatchSize = Annotated[int, Limits(ge=1, le=2**20)]
Seed = Annotated[int, Limits(ge=0, lt=2**32)]
Activation = Literal["tanh", "sigmoid", "relu", "gelu", "elu", "selu", "silu", "softplus", "softsign", "linear"]
Pooling = Literal["last", "mean", "max", "mean_max", "attention"]
MAX_LAYERS = 64


@dataclass(frozen=True, kw_only=True)
class Section:
    """Base of all sections. The docstring after each field is its description in the schema and in docs/config.md."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "strict": True, "extra": "forbid", "allow_inf_nan": False, "use_attribute_docstrings": True
    }  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the section as JSON has it."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the section that `to_dict` gave; its values are not validated.

        Raises:
            ConfigError: if there is an unknown key or a required one is missing.
        """
        types = {field.name: field.type for field in fields(cls)}
        try:
            return cls(**{key: _typed(types[key], value) for key, value in values.items()})
        except (AttributeError, KeyError, TypeError) as error:
            rule = f"not a config of this version of rnnsent: {type(error).__name__}: {error}"
            raise ConfigError([Problem(cls.__name__, "", rule)]) from None


def section_of(annotation: Any) -> type[Section] | None:
    """Return the section class inside an annotation such as `tuple[X, ...]` or `X | None`, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(section_of, getattr(annotation, "__args__", ()))), None)


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, dict) else value


def _typed(annotation: Any, value: Any) -> Any:
    section = section_of(annotation)
    if isinstance(value, list):
        return tuple(section.from_dict(item) if section else item for item in value)
    return section.from_dict(value) if section and value is not None else value
