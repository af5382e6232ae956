"""What metrics.json says of a run, in words: how far its training came, and what its texts are called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnsent.errors import count


def stopped(recorded: Mapping[str, Any]) -> str | None:
    """Return how far a training came that somebody stopped, of what metrics.json says; None where nobody did."""
    if not recorded.get("interrupted"):
        return None
    whole = recorded.get("networks_asked_for")
    networks = f", with {len(recorded['networks'])} of {whole} networks" if whole else ""
    return f"training was stopped after {count(recorded['epochs'], 'epoch')}{networks}"


def source_name(data: Mapping[str, Any]) -> str:
    """Return what the reviews of a run are called, for people, of what metrics.json says about the data."""
    return Path(data["file"]).name if data["source"] == "texts" and data.get("file") else str(data["source"])


def unit_of(data: Mapping[str, Any]) -> str:
    """Return what one of the texts of a run is called, for people, of what metrics.json says about the data."""
    return "text" if data.get("source") == "texts" and data.get("format") != "aclimdb" else "review"
