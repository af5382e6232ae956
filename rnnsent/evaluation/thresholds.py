"""The thresholds with which a run decides: those that are given, and those that reach a precision on validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rnnsent.errors import RnnsentError
from rnnsent.evaluation.evaluate import evaluation_of
from rnnsent.evaluation.intervals import proportion
from rnnsent.evaluation.run_data import Source
from rnnsent.inference.predictor import load_calibration
from rnnsent.inference.thresholds import UNREACHABLE, Flags, cross_fitted, numbered, smallest_threshold
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import Estimate


@dataclass(frozen=True)
class Choice:
    """The threshold of a label that was chosen on validation, and what it reaches there, cross-fitted."""

    label: str
    threshold: float
    requested: float  # the precision to reach
    precision: Estimate
    recall: Estimate

    def __str__(self) -> str:
        reached = ", ".join(f"{name} {_shown(getattr(self, name))}" for name in ("precision", "recall"))
        return f"for precision {self.requested:g} of {self.label}; on validation, cross-fitted: {reached}"


def choose_thresholds(
    run: Run, given: Mapping[str, float], precisions: Mapping[str, float], source: Source | None = None
) -> tuple[dict[str, float], list[Choice]]:
    """Return the thresholds of a run, and how those that were not given were chosen.

    Args:
        run: a finished one.
        given: {label: threshold}.
        precisions: {label: precision} of labels whose smallest threshold that reaches it is chosen.
        source: as for `evaluate`.

    Raises:
        RnnsentError: if there is no such label, a number is not between 0 and 1, or no threshold reaches a precision.
    """
    data = run.config.data
    names, fixed, requested = data.label_names, numbered(given, data), numbered(precisions, data)
    if not requested:
        return dict(given), []
    # The calibration and the choice use the same texts; the temperature, one number, does not change their order.
    predictions = evaluation_of(run, "validation", source).predictions.calibrated(load_calibration(run))
    labels, probabilities = predictions.labels, predictions.probabilities
    chosen: dict[int, float] = {}
    for label, precision in requested.items():
        members, scores = predictions.members(label), probabilities[:, label]
        chosen[label], best = smallest_threshold(members, scores, precision)
        if chosen[label] == UNREACHABLE:
            reason = f"no threshold reaches it on the {len(labels):,} validation texts; the highest is {best:.4f}"
            raise RnnsentError(f"precision {precision:g} of {names[label]}: {reason}")

    def choose(rows: Flags) -> dict[int, float]:
        return fixed | {
            label: smallest_threshold(predictions.members(label)[rows], probabilities[rows, label], precision)[0]
            for label, precision in requested.items()
        }

    decisions, choices = cross_fitted(probabilities, choose), []
    for label, precision in requested.items():
        real, predicted = predictions.members(label), decisions == label
        hits = int(np.sum(real & predicted))
        reached = proportion(hits, int(predicted.sum())), proportion(hits, int(real.sum()))
        choices.append(Choice(names[label], chosen[label], precision, *reached))
    return dict(given) | {names[label]: value for label, value in chosen.items()}, choices


def _shown(estimate: Estimate) -> str:
    if estimate.value is None:
        return "undefined"
    return f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"
