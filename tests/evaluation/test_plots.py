from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from rnnsent.evaluation.plots import curves
from rnnsent.runs.schemas import Epoch


def epoch(number: int, *figures: float) -> Epoch:
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    others = dict.fromkeys(
        ("seconds", "learning_rate", "tokens_per_second", "elapsed", "gradient_norm", "largest_gradient_norm"), 1.0
    )
    return Epoch(epoch=number, **dict(zip(names, figures, strict=True)), **others)


HISTORY = [epoch(1, 0.7, 0.5, 0.65, 0.6), epoch(2, 0.5, 0.8, 0.55, 0.75), epoch(3, 0.3, 0.9, 0.60, 0.7)]


@pytest.mark.parametrize("epochs", [1, 3])
def test_curves_are_a_png_of_some_size(epochs: int) -> None:
    png = curves(HISTORY[:epochs], "lstm")
    assert png.startswith(b"\x89PNG\r\n\x1a\n") and png.rstrip().endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", png[16:24])
    assert width > 800 and height > 300


def test_both_curves_and_the_best_epoch_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **kwargs: drawn.append(self))
    curves(HISTORY, "lstm", 3)
    (figure,) = drawn
    assert figure.get_suptitle() == "lstm"
    lines: dict[str, dict[str, Any]] = {
        axes.get_title(): {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in axes.get_lines()}
        for axes in figure.axes
    }
    assert lines["Loss"] == {"training": [0.7, 0.5, 0.3], "validation": [0.65, 0.55, 0.6]}
    assert lines["Accuracy"]["training"] == [0.5, 0.8, 0.9]
    assert lines["Accuracy"]["validation"] == [0.6, 0.75, 0.7]
    assert lines["Accuracy"]["kept 70.0%, epoch 3"] == [0.7]
