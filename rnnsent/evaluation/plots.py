"""Plots as PNG bytes: training curves, reliability diagram, coverage curve."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnsent.engine.imports import import_matplotlib
from rnnsent.errors import printable
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import Coverage, Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

TRAIN, VALIDATION = "#0072b2", "#d55e00"  # distinct to the color-blind (Okabe and Ito's palette)


@contextmanager
def new_figure(width: float, height: float, settings: Mapping[str, Any] | None = None) -> Iterator[Figure]:
    """Yield an empty figure, in inches; import the rest of Matplotlib, draw and save before the block ends.

    No backend and no pyplot; see `default_settings`.
    """
    with default_settings(settings) as matplotlib:
        yield matplotlib.figure.Figure(figsize=(width, height), dpi=120, layout="constrained")


@contextmanager
def default_settings(settings: Mapping[str, Any] | None = None) -> Iterator[ModuleType]:
    """Yield Matplotlib without the settings of an rc file: what is drawn is the same on every machine.

    Args:
        settings: changes of Matplotlib's own defaults.
    """
    matplotlib = import_matplotlib()
    with matplotlib.rc_context(), warnings.catch_warnings():
        # Measured in a font that may lack a letter; a browser finds another font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        defaults = {name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")}
        defaults["text.parse_math"] = False  # titles and labels may hold dollars
        matplotlib.rcParams.update(defaults | dict(settings or {}))
        yield matplotlib


def write_plot(run: Run, name: str, draw: Callable[[], bytes]) -> bool:
    """Draw a plot into a file of a run; log a warning and return False if that fails."""
    try:
        run.write(name, draw())
    except Exception as error:
        logger.warning("%s: not drawn: %s", run.file(name), error)
        return False
    return True


def curves(history: Sequence[Epoch], title: str, best_epoch: int | None = None) -> bytes:
    """Draw loss and accuracy by epoch, training against validation; the kept epoch is marked."""
    with new_figure(9, 3.8) as figure:
        return _curves(figure, history, title, best_epoch)


def _curves(figure: Figure, history: Sequence[Epoch], title: str, best_epoch: int | None) -> bytes:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure.suptitle(printable(title))
    epochs = [row.epoch for row in history]
    panels = figure.subplots(1, 2)
    for axes, name, label in zip(panels, ("loss", "accuracy"), ("Loss", "Accuracy"), strict=True):
        for prefix, color, series in (("", TRAIN, "training"), ("val_", VALIDATION, "validation")):
            values = [getattr(row, prefix + name) for row in history]
            axes.plot(epochs, values, color=color, marker="o" if prefix else "s", markersize=4, label=series)
        axes.set(xlabel="Epoch", ylabel="Cross-entropy" if name == "loss" else label, title=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(0.5, max(epochs) + 0.5)
        axes.grid(alpha=0.25)
    by_accuracy = max(history, key=lambda row: row.val_accuracy)
    best = next((row for row in history if row.epoch == best_epoch), by_accuracy)
    style = {"color": VALIDATION, "markersize": 13, "label": f"kept {best.val_accuracy:.1%}, epoch {best.epoch}"}
    panels[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    panels[1].axhline(best.val_accuracy, color=VALIDATION, linestyle=":", linewidth=1)
    panels[1].plot(best.epoch, best.val_accuracy, "*", **style)
    # Outside the axes: to search for room inside them takes long on a busy machine.
    figure.legend(handles=panels[1].get_legend_handles_labels()[0], loc="outside lower center", ncols=3, frameon=False)
    return _png(figure)


def reliability(points: Sequence[Sequence[float]], title: str) -> bytes:
    """Draw accuracy against confidence; `points` are those of `metrics.reliability_points`."""
    with new_figure(5.2, 4.6) as figure:
        axes = figure.subplots()
        confidence, accuracy, low, high = np.array(points).T
        axes.plot([confidence[0], 1], [confidence[0], 1], color="0.5", linestyle="--", linewidth=1, label="calibrated")
        ends = [accuracy - low, high - accuracy]
        axes.errorbar(confidence, accuracy, yerr=ends, fmt="o-", color=TRAIN, markersize=4, capsize=2, label="observed")
        return _finish(axes, figure, xlabel="Confidence", ylabel="Accuracy", title=printable(title))


def coverage_curve(rows: Sequence[Coverage], title: str) -> bytes:
    """Draw the accuracy of the most confident predictions against their share of the texts."""
    with new_figure(5.2, 4.6) as figure:
        axes = figure.subplots()
        shares = [row.share for row in rows]
        values, lows, highs = ([getattr(row.accuracy, name) for row in rows] for name in ("value", "low", "high"))
        axes.plot(shares, values, color=TRAIN, label="accuracy")
        axes.fill_between(shares, lows, highs, color=TRAIN, alpha=0.2, linewidth=0, label="95 % interval")
        return _finish(axes, figure, xlabel="Coverage", ylabel="Accuracy", title=printable(title))


def _finish(axes: Axes, figure: Figure, **labels: str) -> bytes:
    from matplotlib.ticker import PercentFormatter

    axes.set(**labels)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
