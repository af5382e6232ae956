"""Robustness: the accuracy on texts unlike those of training: of other lengths, with typos, negations, other topics.

These figures are not for choosing a model: one that is tuned to these texts is not better on others. The challenge set
was written for rnnsent. It shows what a model does, and is too small to compare models that are close.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import LABELS
from rnnsent.data.dataset import Split
from rnnsent.evaluation.slices import Slice, accuracies, by_length
from rnnsent.runs.schemas import RobustnessEvaluation, SliceAccuracy

if TYPE_CHECKING:
    from rnnsent.evaluation.run_data import RunData
    from rnnsent.inference.classifier import Classifier

TYPO_SHARES = (0.01, 0.05, 0.10)
LETTERS = "abcdefghijklmnopqrstuvwxyz"

CHALLENGES = "challenge set"
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


def evaluate_robustness(data: RunData, split: str, classifier: Classifier) -> RobustnessEvaluation:
    """Evaluate the robustness of a run on one of its splits; errors as `RunData.texts`."""
    return RobustnessEvaluation(**vars(data.origin(split)), rows=measure(classifier, data.texts(split)))


def measure(classifier: Classifier, texts: Split, seed: int = 0) -> list[SliceAccuracy]:
    """Return the accuracy on texts, by length and with typos; of films also on the challenge set.

    Args:
        classifier: of a run with words.
        texts: before truncation, in the ids of its vocabulary.
        seed: of the typos.
    """
    right, vocabulary = classifier.right(texts), classifier.vocabulary
    rows = accuracies([Slice("all texts", "all texts", np.ones(len(texts), np.bool_)), *by_length(texts)], right)
    words = [texts.spelled(index) for index in range(len(texts))]
    for share in TYPO_SHARES:
        rng = np.random.default_rng([seed, int(share * 1000)])
        changed = Split.from_words(vocabulary, [with_typos(text, share, rng) for text in words], texts.labels)
        rows += _accuracy(classifier, "typos", f"in {share:.0%} of the words", changed)
    if tuple(classifier.label_names) == LABELS:
        for name, challenges in challenge_set().items():
            split = Split.from_words(
                vocabulary,
                [vocabulary.words_of(text) for text, _ in challenges],
                np.array([positive for _, positive in challenges], np.int64),
            )
            rows += _accuracy(classifier, CHALLENGES, name, split)
    return rows


def _accuracy(classifier: Classifier, group: str, name: str, texts: Split) -> list[SliceAccuracy]:
    members: NDArray[np.bool_] = np.ones(len(texts), np.bool_)
    return accuracies([Slice(group, name, members)], classifier.right(texts))


def with_typos(words: Sequence[str], share: float, rng: np.random.Generator) -> list[str]:
    """Return `words` with a typo in about `share` of them.

    Two letters are exchanged, or one is left out, doubled or replaced, with equal probability. Words of one letter
    stay, and so do some others: equal letters may be exchanged, or one replaced by itself.
    """
    result = list(words)
    for place in np.flatnonzero(rng.random(len(result)) < share).tolist():
        word = result[place]
        if len(word) < 2:
            continue
        kind, at = int(rng.integers(4)), int(rng.integers(len(word) - 1))
        letter = LETTERS[int(rng.integers(len(LETTERS)))]
        result[place] = (
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at + 1 :],
            word[: at + 1] + word[at:],
            word[:at] + letter + word[at + 1 :],
        )[kind]
    return result


def challenge_set() -> dict[str, list[tuple[str, bool]]]:
    """Return {name: [(text, whether it is positive)]}, half of them positive.

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
