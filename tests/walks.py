"""A small language model of texts in which it is known what may follow, for the tests of how it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnsent.config.loader import parse_config
from rnnsent.config.sections import Config
from rnnsent.data.dataset import Split
from rnnsent.engine.dispatch import NATIVE
from rnnsent.training import pretrain as language_model

ROWS = 13
CONFIG = """\
data: {source: sample, num_words: 13, maxlen: 40}
model:
  embedding_dim: 6
  language_model: {epochs: 3, batch_size: 16, learning_rate: 2e-2, samples: 64}
  recurrent: [{cell: gru, units: 8, bidirectional: true}]
training: {epochs: 1, batch_size: 64}
"""


def config(*changes: str) -> Config:
    text = CONFIG
    for change in changes:
        old, new = change.split(" -> ")
        assert old in text
        text = text.replace(old, new)
    return parse_config(text, "c.yaml")


def walks(count: int = 200) -> Split:
    """Return texts in which after each word, and before it, one of two may stand."""
    rng = np.random.default_rng(0)
    sequences = []
    for _ in range(count):
        steps = rng.integers(1, 3, int(rng.integers(8, 30)))
        sequences.append([1, *(3 + (rng.integers(10) + np.cumsum(steps)) % 10)])
    return Split.from_sequences(sequences, np.zeros(count, np.int64))


def trained(cache: Path, monkeypatch: pytest.MonkeyPatch, asked: Config, **options: Any) -> language_model.Trained:
    monkeypatch.setenv("RNNSENT_CACHE", str(cache))
    return language_model.train([walks()], asked, ROWS, None, options.pop("path", NATIVE), **options)
