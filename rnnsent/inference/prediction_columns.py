"""The columns of tables of predictions, which `predict` writes and `eval --predictions` reads."""

from __future__ import annotations

from collections.abc import Sequence

ROW, LABEL, PROBABILITY = "row", "label", "probability"
PROBABILITY_OF = "probability of "  # before a label: the column of its probability
PROBABILITIES = "probabilities"  # instead of these in JSON: {label: probability}
INPUT_PREFIX = "input "  # before the name of a kept column that has that of another
WARNINGS = ("unknown_share", "truncated", "blank")
ABSTAINED = "abstained"
NONE = "(none)"  # what a reader sees instead of several labels


def prediction_columns(labels: Sequence[str]) -> list[str]:
    """Return the columns of a prediction for a text: label, probabilities, warnings."""
    return [LABEL, PROBABILITY, *(f"{PROBABILITY_OF}{label}" for label in labels), *WARNINGS]
