"""Check the files of a run, and that every backend gives the same probabilities for the same texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnnsent.data.dataset import Ids
from rnnsent.data.tokenizer import FIRST_WORD
from rnnsent.errors import ConfigError, RunError, count
from rnnsent.inference.classifier import load
from rnnsent.runs.directory import Run

TOLERANCE = 1e-5  # between the probabilities of two backends
REFERENCE = "numpy"
BACKENDS = (REFERENCE, "native", "keras")

TEXTS = (
    "",
    "...!?",
    "A quiet film, and a good one.",
    "It wasn't bad; it just wasn't worth the money I didn't have.",
    "The first hour drags. But then, out of nowhere, it becomes wonderful!",
    "SHOUTING, whispering and 10/10 for 3.5 hours of well-made nonsense.<br /><br />Seen twice.",
    "Caf\u00e9 au lait, na\u00efve \u00e9tude \u2013 cafe\u0301 again, \u201cquoted\u201d and l\u2019\u00e9t\u00e9.",
    "\u0444\u0438\u043b\u044c\u043c \u043e\u0442\u043b\u0438\u0447\u043d\u044b\u0439 \u6620\u753b\u306f\u826f\u3044 "
    "\u0441\u0443\u043f\u0435\u0440 \ud55c\uad6d\uc5b4",
    "\U0001f600\U0001f44d\U0001f3fd great :-) &amp; terrible &lt;3",
    "a\x85b c\xa0d e\tf\ng\u200bh",
    "zqxv " * 30,
    "the best and the worst of all films " * 200,
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was verified: what, whether it holds, and the figure behind that."""

    name: str
    passed: bool
    found: str


def verify(run: Run, backends: tuple[str, ...] = BACKENDS) -> Iterator[Check]:
    """Yield a check of the files of a finished run, then one of each backend against the NumPy reference.

    Networks are built from the run's config and filled with its plain weights.

    Args:
        run: a finished one.
        backends: those of `BACKENDS` to compare; one that cannot run here is reported so, and fails nothing.

    Raises:
        RunError: if the run is unfinished.
    """
    try:
        run.verify()
    except RunError as error:
        yield Check("files", False, str(error))
        return
    yield Check("files", True, f"{count(len(run.manifest()), 'file')} as the run was finished with")
    reference = load(run, backend=REFERENCE)
    samples = _drawn(reference.vocabulary.size, run.config.data.maxlen)
    sequences = [*(reference.encode(text).ids for text in TEXTS), *samples]
    expected = reference.probabilities(sequences)
    for backend in backends:
        try:
            classifier = load(run, backend=backend, device="cpu")
        except ConfigError as error:
            yield Check(backend, True, f"not compared, it cannot run here: {error.problems[0].rule}")
            continue
        largest = float(np.abs(classifier.probabilities(sequences) - expected).max())
        figure = f"largest difference {largest:.1e} from {REFERENCE} on {count(len(sequences), 'text')}"
        yield Check(backend, largest <= TOLERANCE, f"{figure}, {TOLERANCE:.0e} is allowed")


def _drawn(words: int, maxlen: int | None) -> list[Ids]:
    """Return two texts of words that the network knows, which those of `TEXTS` need not be."""
    rng = np.random.default_rng(0)
    length = min(40, maxlen or 40)
    return [rng.integers(min(FIRST_WORD, words - 1), words, length).astype(np.int32) for _ in range(2)]
