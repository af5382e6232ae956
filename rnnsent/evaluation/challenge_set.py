"""The challenge set: texts with two labels that are hard: negations, contrasts, and reviews of other things than films.

They were written for rnnsent. They show what a model does, and are too few to compare models that are close.
"""

from __future__ import annotations

from importlib.resources import files
from itertools import product

Challenge = tuple[str, bool]  # a text, and whether it is positive

PRAISE = ("good", "great", "funny", "moving", "convincing", "worth watching", "well acted", "original")
BLAME = ("bad", "boring", "dull", "predictable", "a waste of time", "badly written", "confusing", "disappointing")
SUBJECTS = ("The film is", "The story was", "I found the second half", "The ending is")
DENIALS = ("not {}", "never {}", "not at all {}", "anything but {}")
TURNS = (
    "The first hour is {}, but then it becomes {} and stays so.",
    "Everybody told me that it was {}. It is {}.",
    "Although the beginning is {}, the whole is {}.",
    "I expected something {} and got something {}.",
)


def all_challenges() -> dict[str, list[Challenge]]:
    """Return {name: texts}, half of them positive.

    A negation turns the word that decides. A contrast says one thing first, and then the other, which decides. The
    others are reviews of restaurants, devices, hotels, books, software and services.
    """
    negations = [
        (f"{subject} {denial.format(word)}.", positive)
        for subject, denial, (words, positive) in product(SUBJECTS, DENIALS, ((PRAISE, False), (BLAME, True)))
        for word in words
    ]
    contrasts = [
        (turn.format(first, second), positive)
        for turn, (start, end, positive) in product(TURNS, ((BLAME, PRAISE, True), (PRAISE, BLAME, False)))
        for first, second in zip(start, end, strict=True)
    ]
    lines = files("rnnsent.evaluation").joinpath("other_topics.tsv").read_text(encoding="utf-8").splitlines()
    others = [(text, label == "positive") for label, text in (line.split("\t") for line in lines)]
    return {"negations": negations, "contrasts": contrasts, "not about films": others}
