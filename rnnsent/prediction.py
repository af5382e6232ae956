"""Reviews → probabilities, in the order of the reviews."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np
from numpy.typing import NDArray

from rnnsent.batches import Batches
from rnnsent.config import Config
from rnnsent.data.split import Split
from rnnsent.engine.feed import keras_batches
from rnnsent.models import build_model, set_weights

Weights = dict[str, NDArray[np.float32]]

PREDICTED_TOKENS = 2**18  # in a batch, padding included: nothing is kept for gradients, and fewer calls cost less
PREDICTED_REVIEWS = 4096


def rebuild_model(
    config: Config, weights: Weights, *, precision: str = "float32", native: Sequence[bool] = ()
) -> keras.Model:
    """Return the network of a run: built from its config, filled with its weights.

    Raises:
        RunError: if the weights are not those of the config.
    """
    rows = weights["embedding/embeddings"].shape[0] if "embedding/embeddings" in weights else 1
    model = model_for(config, num_words=rows, precision=precision, native=native)
    set_weights(model, weights)
    return model


def model_for(
    config: Config,
    *,
    num_words: int,
    precision: str = "float32",
    seed: int | None = None,
    native: Sequence[bool] = (),
) -> keras.Model:
    """Build the network that `config` describes, with the masking that its padding asks for."""
    return build_model(
        config.model,
        num_words=num_words,
        masked=config.data.padding != "notebook",
        right_padded=config.data.padding == "post",
        precision=precision,
        seed=seed,
        native=native,
    )


def predict(model: keras.Model, split: Split, config: Config) -> NDArray[np.float32]:
    """Return the probability of label 1 for each review of `split`, float32 (reviews,), in its order."""
    batches = replace(
        Batches.from_config(split, config, shuffle=False),
        batch_size=PREDICTED_REVIEWS,
        batch_tokens=PREDICTED_TOKENS,
    )
    predicted = model.predict(keras_batches(batches), verbose=0)
    probabilities = np.empty(len(split), np.float32)
    probabilities[np.concatenate(batches.order(0))] = predicted[:, 0]
    return probabilities
