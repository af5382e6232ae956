"""Plots as PNG bytes: training curves, reliability diagram, coverage curve."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.evaluation.coverage import coverage
from rnnsent.evaluation.intervals import proportion
from rnnsent.evaluation.metrics import confidence_bins
from rnnsent.evaluation.predictions import Predictions
from rnnsent.runs.schemas import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAIN, VALIDATION = "#0072b2", "#d55e00"  # distinct to the color-blind (Okabe and Ito's palette)


def curves(history: Sequence[Epoch], title: str, best_epoch: int | None = None) -> bytes:
    """Draw loss and accuracy by epoch, training against validation; the kept epoch is marked."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = _figure(9, 3.8)
    figure.suptitle(title)
    epochs = [row.epoch for row in history]
    both = figure.subplots(1, 2)
    for axes, name, label in zip(both, ("loss", "accuracy"), ("Loss", "Accuracy"), strict=True):
        for prefix, color, series in (("", TRAIN, "training"), ("val_", VALIDATION, "validation")):
            values = [getattr(row, prefix + name) for row in history]
            axes.plot(epochs, values, color=color, marker="o" if prefix else "s", markersize=4, label=series)
        axes.set(xlabel="Epoch", ylabel="Cross-entropy" if name == "loss" else label, title=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(0.5, max(epochs) + 0.5)
        axes.grid(alpha=0.25)
    by_accuracy = max(history, key=lambda row: row.val_accuracy)
    best = next((row for row in history if row.epoch == best_epoch), by_accuracy)
    kept = {"color": VALIDATION, "markersize": 13, "label": f"kept {best.val_accuracy:.1%}, epoch {best.epoch}"}
    both[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    both[1].axhline(best.val_accuracy, color=VALIDATION, linestyle=":", linewidth=1)
    both[1].plot(best.epoch, best.val_accuracy, "*", **kept)
    # Outside the axes: to search for room inside them takes long on a busy machine.
    figure.legend(handles=both[1].get_legend_handles_labels()[0], loc="outside lower center", ncols=3, frameon=False)
    return _png(figure)


def reliability(predictions: Predictions, title: str) -> bytes:
    """Draw the accuracy against the confidence, in 15 bins of equal width with 95 % Wilson intervals."""
    figure = _figure(5.2, 4.6)
    axes = figure.subplots()
    lowest = float(predictions.confidence.min())
    axes.plot([lowest, 1], [lowest, 1], color="0.5", linestyle="--", linewidth=1, label="perfect calibration")
    points = reliability_points(predictions.confidence, predictions.right)
    confidence, accuracy, low, high = map(np.array, zip(*points, strict=True))
    ends = [accuracy - low, high - accuracy]
    axes.errorbar(confidence, accuracy, yerr=ends, fmt="o-", color=TRAIN, markersize=4, capsize=2, label="observed")
    _finish(axes, xlabel="Confidence", ylabel="Accuracy", title=title)
    return _png(figure)


def reliability_points(
    confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]
) -> list[tuple[float, float, float, float]]:
    """Return mean confidence, accuracy and its Wilson interval for each bin of the confidence that is not empty."""
    bins = confidence_bins(confidence)
    points = []
    for number in np.unique(bins):
        inside = bins == number
        share = proportion(int(right[inside].sum()), int(inside.sum()))
        assert share.value is not None and share.low is not None and share.high is not None
        points.append((float(confidence[inside].mean()), share.value, share.low, share.high))
    return points


def coverage_curve(predictions: Predictions, title: str) -> bytes:
    """Draw the accuracy of the most confident predictions against their share of the texts."""
    figure = _figure(5.2, 4.6)
    axes = figure.subplots()
    rows = coverage(predictions.right, predictions.confidence, np.linspace(0.05, 1, 96).tolist())
    shares = [row.share for row in rows]
    values, lows, highs = ([getattr(row.accuracy, name) for row in rows] for name in ("value", "low", "high"))
    axes.plot(shares, values, color=TRAIN, label="accuracy")
    axes.fill_between(shares, lows, highs, color=TRAIN, alpha=0.2, linewidth=0, label="95 % interval")
    _finish(axes, xlabel="Coverage", ylabel="Accuracy", title=title)
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    # Without pyplot: no global state, no display, safe in any thread.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def _finish(axes: Axes, **labels: str) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.set(**labels)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
