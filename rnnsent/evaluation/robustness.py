"""Robustness: the accuracy on texts unlike those of training: of other lengths, with typos, negations, other topics.

These figures are not for choosing a model: one that is tuned to these texts is not better on others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnsent.config.sections import LABELS
from rnnsent.data.dataset import Split
from rnnsent.evaluation import challenge_set
from rnnsent.evaluation.run_data import RunData
from rnnsent.evaluation.slices import Slice, accuracies, by_length
from rnnsent.inference.classifier import Classifier
from rnnsent.runs.schemas import RobustnessEvaluation, SliceAccuracy

CHALLENGES = "challenge set"
TYPO_SHARES = (0.01, 0.05, 0.10)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def evaluate_robustness(data: RunData, split: str, classifier: Classifier) -> RobustnessEvaluation:
    """Evaluate the robustness of a run on one of its splits.

    Args:
        data: of the run.
        split: "test" or "validation".
        classifier: of the run.

    Raises:
        DataError: if the split is empty.
    """
    return RobustnessEvaluation(**vars(data.origin(split)), rows=measure(classifier, data.texts(split)))


def measure(classifier: Classifier, texts: Split, seed: int = 0) -> list[SliceAccuracy]:
    """Return the accuracy on texts, by length and with typos; of films also on the challenge set.

    Args:
        classifier: of a run with words.
        texts: before truncation, in the ids of its vocabulary.
        seed: of the typos.
    """
    right = classifier.labels_of(texts) == texts.labels
    rows = accuracies([Slice("all texts", "all texts", np.ones(len(texts), np.bool_)), *by_length(texts)], right)
    words = [classifier.vocabulary.decode(texts.sequence(index)).split(" ") for index in range(len(texts))]
    for share in TYPO_SHARES:
        rng = np.random.default_rng([seed, int(share * 1000)])
        ids = [classifier.vocabulary.encode_words(with_typos(each, share, rng)) for each in words]
        rows.append(_row(classifier, "typos", f"in {share:.0%} of the words", ids, texts.labels))
    if tuple(classifier.label_names) == LABELS:
        for name, challenges in challenge_set.all_challenges().items():
            ids = [classifier.vocabulary.encode(text) for text, _ in challenges]
            labels = np.array([positive for _, positive in challenges], np.int64)
            rows.append(_row(classifier, CHALLENGES, name, ids, labels))
    return rows


def with_typos(words: Sequence[str], share: float, rng: np.random.Generator) -> list[str]:
    """Return `words` with a typo in about `share` of them.

    Two letters are exchanged, or one is left out, doubled or replaced, with equal probability. Words of one letter
    stay, and so do some others: equal letters may be exchanged, or one replaced by itself.
    """
    changed = list(words)
    for place in np.flatnonzero(rng.random(len(changed)) < share).tolist():
        word = changed[place]
        if len(word) < 2:
            continue
        kind, at = int(rng.integers(4)), int(rng.integers(len(word) - 1))
        letter = LETTERS[int(rng.integers(len(LETTERS)))]
        changed[place] = (
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at + 1 :],
            word[: at + 1] + word[at:],
            word[:at] + letter + word[at + 1 :],
        )[kind]
    return changed


def _row(
    classifier: Classifier, group: str, name: str, ids: Sequence[NDArray[np.int32]], labels: NDArray[np.int64]
) -> SliceAccuracy:
    right = classifier.labels_of(Split.from_sequences(ids, labels)) == labels
    return accuracies([Slice(group, name, np.ones(len(labels), np.bool_))], right)[0]
