"""What all sections of the config have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


Activation = Literal["tanh", "sigmoid", "relu", "gelu", "elu", "selu", "silu", "softplus", "softsign", "linear"]


class Section(BaseModel):
    """Base of all sections: strict types, no unknown keys, no later change, no infinities."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)
