"""What all sections of the config have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# What a config of a stranger may ask for: each far more than anybody trains, none enough to take all of a machine.
MOST_LENGTH = 2**17  # words of a text that are kept; the whole text is `maxlen: null`
MOST_WORDS = 10_000_000
MOST_UNITS = 2**14
MOST_LAYERS = 64
MOST_TEXTS = 2**20  # in a batch
MOST_EPOCHS = 1_000_000
MOST_STEPS = 10**9
MOST_SAMPLES = 2**16  # words that a right one is told apart from
MOST_PARTS = 1000  # folds, rounds, words to either side
LARGEST = 1e6  # of a weight, a size or a decay
HEAVIEST = 1e30  # of a label, in numbers of 32 bits
SMALLEST = 1e-9  # of a share that a rate falls to

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


Units = Annotated[int, Field(ge=1, le=MOST_UNITS)]
Activation = Literal["tanh", "sigmoid", "relu", "gelu", "elu", "selu", "silu", "softplus", "softsign", "linear"]


class Section(BaseModel):
    """Base of all sections: strict types, no unknown keys, no later change, no infinities."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)
