"""A config with a small search space, and a table with a split column."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.conftest import TINY_CONFIG

SEARCH = """\
search:
  training.learning_rate: {low: 1e-3, high: 1e-1, log: true}
  model.recurrent.0.units: {choices: [4, 8]}
"""


@pytest.fixture
def config(tmp_path: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a config whose trials take a second, in the current folder."""
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    (tmp_path / "small.yaml").write_text(TINY_CONFIG.replace("CELL", "gru").replace("epochs: 3", "epochs: 2") + SEARCH)
    return "small.yaml"


def write_table(path: Path, test_words: str) -> Path:
    """Write a table of 80 texts to train, 40 to validate and 20 to test on, the last ones of `test_words`."""
    rng = random.Random(0)
    words = {"good": "fine great lovely moving", "bad": "dull poor awful boring"}
    lines = ["text,label,split"]
    for split, number in (("train", 80), ("validation", 40), ("test", 20)):
        for index in range(number):
            label = ("good", "bad")[index % 2]
            choices = [*words[label].split(), *["a", "film", "the", "plot", "with", "actors"]]
            text = rng.choices(choices, k=9) if split != "test" else rng.choices(test_words.split(), k=9)
            lines.append(f"{' '.join(text)} {index},{label},{split}")
    path.write_text("\n".join(lines) + "\n")
    return path
