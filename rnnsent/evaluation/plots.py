"""Plots of a run, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.evaluation.intervals import proportion
from rnnsent.evaluation.measures import calibration_bins
from rnnsent.inference.calibration import coverage as calibrated_coverage
from rnnsent.runs.schemas import Epoch as EpochFacts

Floats = NDArray[np.floating[Any]]

TRAIN, VALIDATION = "#0072b2", "#d55e00"  # told apart by people who see fewer colors (Okabe and Ito's palette)


def curves(history: Sequence[EpochFacts], title: str, best_epoch: int | None = None) -> bytes:
    """Draw loss and accuracy by epoch, training against validation; the epoch that was kept is marked."""
    # Figure without pyplot: no global state, no display, safe in any thread.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(9, 3.8), dpi=120, layout="constrained")
    figure.suptitle(title)
    epochs = [facts.epoch for facts in history]
    both = figure.subplots(1, 2)
    for axes, name, label in zip(both, ("loss", "accuracy"), ("Loss", "Accuracy"), strict=True):
        for prefix, color, series in (("", TRAIN, "training"), ("val_", VALIDATION, "validation")):
            values = [getattr(facts, prefix + name) for facts in history]
            axes.plot(epochs, values, color=color, marker="o" if prefix else "s", markersize=4, label=series)
        axes.set(xlabel="Epoch", ylabel="Cross-entropy" if name == "loss" else label, title=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(0.5, max(epochs) + 0.5)
        axes.grid(alpha=0.25)
        if name == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            by_accuracy = max(history, key=lambda facts: facts.val_accuracy)
            best = next((facts for facts in history if facts.epoch == best_epoch), by_accuracy)
            axes.axhline(best.val_accuracy, color=VALIDATION, linestyle=":", linewidth=1)
            axes.plot(
                best.epoch,
                best.val_accuracy,
                "*",
                color=VALIDATION,
                markersize=13,
                label=f"kept {best.val_accuracy:.1%}, epoch {best.epoch}",
            )
    # One for both, where no line runs; to look for room within the axes takes long on a busy machine.
    figure.legend(handles=both[1].get_legend_handles_labels()[0], loc="outside lower center", ncols=3, frameon=False)
    return _png(figure)


def reliability(confidence: Floats, right: NDArray[np.bool_], title: str) -> bytes:
    """Draw the share of right answers against the probability that they were given, with 95 % Wilson intervals.

    Args:
        confidence: (n,), the probability of the predicted label.
        right: (n,), whether it is the real one.
        title: above it.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(5.2, 4.6), dpi=120, layout="constrained")
    axes = figure.subplots()
    low = float(confidence.min())
    axes.plot([low, 1], [low, 1], color="0.5", linestyle="--", linewidth=1, label="as said")
    points = reliability_points(confidence, right)
    said, shares = ([point[k] for point in points] for k in (0, 1))
    ends = [[value - low for _, value, low, _ in points], [high - value for _, value, _, high in points]]
    axes.errorbar(said, shares, yerr=ends, fmt="o-", color=TRAIN, markersize=4, capsize=2, label="as found")
    axes.set(xlabel="Probability of the predicted label", ylabel="Share that is right", title=title)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="upper left")
    return _png(figure)


def reliability_points(confidence: Floats, right: NDArray[np.bool_]) -> list[tuple[float, float, float, float]]:
    """Return, for each bin of as many reviews, mean probability, share of right answers and its Wilson interval."""
    bins = calibration_bins(confidence, np.ones(len(confidence), np.int64))
    points = []
    for number in np.unique(bins):
        inside = bins == number
        share = proportion(int(right[inside].sum()), int(inside.sum()))
        assert share.value is not None and share.low is not None and share.high is not None
        points.append((float(confidence[inside].mean()), share.value, share.low, share.high))
    return points


def coverage(confidence: Floats, right: NDArray[np.bool_], title: str) -> bytes:
    """Draw the accuracy of the surest answers against how many of the reviews are answered; as `reliability`."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(5.2, 4.6), dpi=120, layout="constrained")
    axes = figure.subplots()
    shares = tuple(float(share) for share in np.linspace(0.05, 1, 96))
    found = calibrated_coverage(right, confidence, shares)
    answered = [each.share for each in found]
    values, lows, highs = ([getattr(each.accuracy, name) for each in found] for name in ("value", "low", "high"))
    axes.plot(answered, values, color=TRAIN, label="accuracy")
    axes.fill_between(answered, lows, highs, color=TRAIN, alpha=0.2, linewidth=0, label="95 % interval")
    axes.set(xlabel="Share of the reviews that are answered", ylabel="Accuracy of the answers", title=title)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower left")
    return _png(figure)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
