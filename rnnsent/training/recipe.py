"""The recipe for a table of texts: what `rnnsent train --data FILE` changes in configs/table.yaml, and why.

Each rule looks at the table and changes keys of the config. The rules were made on the validation texts of five tables
(docs/research-log.md), never on test texts.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnnsent.config.sections import Config, Targets
from rnnsent.data.dataset import Dataset
from rnnsent.data.splitting import texts_of
from rnnsent.errors import count, installed

logger = logging.getLogger(__name__)

NAME = "table"  # of the config that the rules change

VALIDATION_TEXTS, VALIDATION_SHARES = 1000, (0.1, 0.2)  # without cross-validation
LONGEST = (20, 600)  # words that are read of a text
VECTOR_WORDS, VECTOR_EPOCHS = 6_000_000, (3, 40)  # words that word2vec reads in all, and how often each text
MANY_WORDS = 4_000_000  # from here on one network takes as long as five may
MIN_UNLABELED = 0.1  # texts without a label, as a share of those with one, that word vectors gain from


@dataclass(frozen=True)
class TableFacts:
    """What the rules look at."""

    texts: int  # that are labeled, to train and to validate on
    words: int  # in them
    long: int  # words of a text of which 99 in 100 are no longer
    labels: dict[str, int]  # texts of each
    unlabeled: int  # texts without a label
    validated: bool = False  # whether a column says which texts validate
    targets: Targets = "classes"  # what the labels are

    @classmethod
    def of(cls, dataset: Dataset) -> TableFacts:
        """Look at a table as loaded; its test texts are left alone."""
        rows = np.concatenate([dataset.indices.get(name, np.empty(0, np.int64)) for name in ("train", "validation")])
        lengths = dataset.rows.lengths[rows] - 1
        counts = texts_of(dataset.rows.labels[rows], len(dataset.label_names)).tolist()
        return cls(
            texts=len(rows),
            words=int(lengths.sum()),
            long=int(np.quantile(lengths, 0.99)),
            labels=dict(zip(dataset.label_names, counts, strict=True)),
            unlabeled=(dataset.provenance.get("dropped") or {}).get("without a label", 0),
            validated=dataset.provenance["splits"]["validation"] == "given",
            targets=dataset.targets,
        )


def choose(facts: TableFacts, networks: int = 1, *, folds: bool = True) -> tuple[dict[str, Any], list[str]]:
    """Return the keys of the config to change, and in at most five lines why.

    Args:
        facts: about the table.
        networks: how many there may be.
        folds: whether each of several may be validated on a fold of its own.
    """
    maxlen = min(max(math.ceil(facts.long / 10) * 10, LONGEST[0]), LONGEST[1])
    epochs = min(max(round(VECTOR_WORDS / max(facts.words, 1)), VECTOR_EPOCHS[0]), VECTOR_EPOCHS[1])
    share = round(min(max(VALIDATION_TEXTS / facts.texts, VALIDATION_SHARES[0]), VALIDATION_SHARES[1]), 3)
    validation = "a column says which texts validate" if facts.validated else f"{share:.0%} of the texts validate"
    size = "one network" if networks == 1 else f"{networks} networks"
    if facts.words >= MANY_WORDS:
        networks, size = 1, f"one network ({facts.words / 1e6:.0f} million words)"
    changes: dict[str, Any] = {
        "data.validation_split": share,
        "data.maxlen": maxlen,
        "model.vectors.word2vec.epochs": epochs,
        **({"ensemble": None} if networks == 1 else {}),
    }
    if networks > 1 and folds and not facts.validated:
        changes |= {"training.cross_validation": True, "data.validation_split": 0.0}
        validation = f"each network is validated on one of {networks} folds"
    labels = f"{len(facts.labels)} {'ordered ' if facts.targets == 'ordered' else ''}labels"
    labels += ", several a text" if facts.targets == "multi" else ""
    reasons = [
        f"{facts.texts:,} labeled texts, {labels}: {size} and n-grams",
        f"{validation}; {maxlen} words a text are read",
    ]
    if facts.unlabeled >= MIN_UNLABELED * facts.texts:
        changes["data.unlabeled"] = True
        reasons.append(f"{count(facts.unlabeled, 'text')} without a label: word vectors learn from them")
    missing = []
    if not installed("sklearn"):
        changes["model.linear"] = None
        missing.append("no linear part without scikit-learn")
    if not installed("gensim"):
        changes["model.vectors"] = None
        del changes["model.vectors.word2vec.epochs"]
        missing.append("no word2vec without gensim")
    if missing:
        reasons.append(f"{', '.join(missing)}: pip install 'rnnsent[recipes]'")
    return changes, reasons


def fitted(config: Config, dataset: Dataset, given: Collection[str] = ()) -> Config:
    """Return the config with the keys that the rules change, except those that were `given`, and log why."""
    folds = {"data.validation_split", "training.cross_validation"}.isdisjoint(given)
    changes, reasons = choose(TableFacts.of(dataset), len(config.members), folds=folds)
    for line in ("recipe: " + reasons[0], *("  " + reason for reason in reasons[1:])):
        logger.info("%s", line)
    for key, value in changes.items():
        if not any(key == name or key.startswith(f"{name}.") or name.startswith(f"{key}.") for name in given):
            config = _with(config, key.split("."), value)
    return config


def _with(section: Any, path: list[str], value: Any) -> Any:
    inner = value if len(path) == 1 else _with(getattr(section, path[0]), path[1:], value)
    return replace(section, **{path[0]: inner})
