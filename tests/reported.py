"""Runs for tests of reports: small, trained in seconds, judged on their test reviews."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import SAMPLE_CONFIG, rnnsent

LABELS = ("<script>alert(1)</script>", 'a "quoted" & mild one', "naïve \u202eback")
WORDS = (("awful", "bad", "dull"), ("middling", "so-so", "passable"), ("great", "moving", "lovely"))
FILLER = ("the", "film", "was", "<b>bold</b>", "&amp;", "\x07bell", "漢字", "🙂", "שלום", "a" * 80, "plot")

TICKETS = """\
data: {source: texts, path: tickets.csv, num_words: 60, maxlen: 30, fallback: null}
model: {embedding_dim: 8, recurrent: [{cell: gru, units: 8, bidirectional: true}], pooling: mean_max}
training: {epochs: 3, batch_size: 16, learning_rate: 2e-2}
"""
ENSEMBLE = SAMPLE_CONFIG + "ensemble: [{}, {recurrent: [{cell: lstm, units: 6}]}]\n"


def judged_sample(folder: Path, cache: Path, config: str = SAMPLE_CONFIG, name: str = "sample") -> Path:
    """Return the folder of a run on the sample reviews."""
    (folder / f"{name}.yaml").write_text(config)
    return _judged(folder, cache, name)


def judged_tickets(folder: Path, cache: Path) -> Path:
    """Return the folder of a run on texts and three labels that hold all that a page could trip over."""
    rng = np.random.default_rng(0)
    with (folder / "tickets.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for number in range(240):
            said = [str(rng.choice(WORDS[number % 3] if rng.random() < 0.4 else FILLER)) for _ in range(20)]
            said[0] = WORDS[(number + (rng.random() < 0.2)) % 3][0]
            writer.writerow([" ".join(said), LABELS[number % 3]])
    (folder / "tickets.yaml").write_text(TICKETS)
    return _judged(folder, cache, "tickets")


def _judged(folder: Path, cache: Path, name: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("RNNSENT_CACHE", str(cache))
        result = rnnsent("train", "--config", f"{name}.yaml", "--run-dir", str(folder / name))
        assert result.exit_code == 0, result.stderr
        assert rnnsent("eval", str(folder / name)).exit_code == 0
    return folder / name
