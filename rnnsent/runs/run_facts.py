"""What is said of a run in words: how far its training came, what its texts are called."""

from __future__ import annotations

from pathlib import Path

from rnnsent.errors import count
from rnnsent.runs.schemas import DataInfo, TrainingMetrics


def stopped(metrics: TrainingMetrics) -> str | None:
    """Return how far a training came that was stopped; None if it was not."""
    return f"training was stopped after {count(metrics.epochs, 'epoch')}" if metrics.interrupted else None


def source_name(data: DataInfo) -> str:
    """Return what the texts of a run are called: the name of their file, or their source."""
    return Path(data.file).name if data.source == "texts" and data.file else data.source


def unit_of(data: DataInfo) -> str:
    """Return what one of the texts of a run is called."""
    return "text" if data.source == "texts" and data.format != "aclimdb" else "review"
