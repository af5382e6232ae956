"""Plots of a run, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rnnsent.observers import EpochFacts

TRAIN, VALIDATION = "#0072b2", "#d55e00"  # told apart by people who see fewer colors (Okabe and Ito's palette)


def curves(history: Sequence[EpochFacts], title: str, best_epoch: int | None = None) -> bytes:
    """Draw loss and accuracy by epoch, training against validation; the epoch that was kept is marked."""
    # Figure without pyplot: no global state, no display, safe in any thread.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(9, 3.8), dpi=120, layout="constrained")
    figure.suptitle(title)
    epochs = [facts.epoch for facts in history]
    for axes, name, label in zip(figure.subplots(1, 2), ("loss", "accuracy"), ("Loss", "Accuracy"), strict=True):
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
        axes.legend(frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
