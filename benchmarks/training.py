"""The very `fit` of `rnnsent train`, without a run."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import keras

from rnnsent.config.sections import TrainingConfig
from rnnsent.data.batching import Batches
from rnnsent.training.callbacks import FiniteCallback, HistoryCallback, Tracked
from rnnsent.training.checkpoint import CheckpointFolder
from rnnsent.training.fit import FitData, compile_model, fit


def fit_model(
    model: Any, train: Batches, validation: Batches, config: TrainingConfig, callback: keras.callbacks.Callback
) -> None:
    """Train a network of two labels; `callback` gets the completed logs of each epoch."""
    compile_model(model, config, 2, len(train))
    with tempfile.TemporaryDirectory(prefix="rnnsent-bench-") as folder:
        tracked = Tracked(
            folder=CheckpointFolder(Path(folder), "benchmark"),
            history=HistoryCallback(None, train, "", time.perf_counter(), None),
            finite=FiniteCallback(train, "", None),
        )
        fit(model, FitData(train, validation), config, tracked, [callback])
