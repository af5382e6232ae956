"""The columns of tables of predictions, which `predict` writes and `eval --predictions` reads."""

ROW, LABEL, PROBABILITY = "row", "label", "probability"
PROBABILITY_OF = "probability of "  # before a label: the column of its probability
PROBABILITIES = "probabilities"  # instead of these in JSON: {label: probability}
WARNINGS = ("unknown_share", "truncated", "blank")
ABSTAINED = "abstained"
