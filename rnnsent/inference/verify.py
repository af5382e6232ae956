"""Texts whose encoding and answers are kept in a run, so that a later installation can be held against them.

They are not anybody's reviews: a run can be given away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnsent.config import Config
from rnnsent.config.loader import load_config
from rnnsent.data.dataset import Split
from rnnsent.data.vocabulary import FIRST_WORD, Vocabulary
from rnnsent.engine.device import start
from rnnsent.errors import ConfigError, RunError, count
from rnnsent.inference.classifier import Classifier
from rnnsent.inference.predictor import (
    Predictor,
    averaged,
    by_label,
    by_model,
    load_ngram_weights,
    load_predictor,
    member_weights,
)
from rnnsent.models.network import EMBEDDINGS, Weights
from rnnsent.models.ngram_weights import NgramRatios
from rnnsent.runs import artifacts as stored
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory

FORMAT = 1
TOLERANCE = 1e-5  # what backends may differ by
BACKENDS = ("native", "numpy", "keras")

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


def written(
    config: Config, vocabulary: Vocabulary, weights: Weights, ratios: NgramRatios | None = None
) -> dict[str, Any]:
    """Return what is kept in a run: each text, its ids and the probability of each label."""
    if not vocabulary.words:
        return {"format": FORMAT, "probes": []}
    classifier = Classifier(vocabulary, load_predictor(config, weights, ratios))
    texts = (*TEXTS, *_of_words(vocabulary))
    ids = [classifier.encode(text).ids for text in texts]
    found = classifier.probabilities(ids)
    return {
        "format": FORMAT,
        "backend": classifier.predictor.backend,
        "probes": [
            {"text": text, "ids": each.tolist(), "probabilities": row.tolist()}
            for text, each, row in zip(texts, ids, found, strict=True)
        ],
    }


def _of_words(vocabulary: Vocabulary) -> list[str]:
    """Return texts of words that the network knows: the most frequent, and some of every frequency."""
    known = vocabulary.words[: max(vocabulary.size - FIRST_WORD, 1)]
    return [" ".join(known[:40]), " ".join(known[:: max(len(known) // 40, 1)])]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was verified: what, whether it holds, and the figure behind that."""

    name: str
    passed: bool
    found: str


def verify(
    run: RunDirectory, backends: tuple[str, ...] = BACKENDS, tell: Callable[[Check], None] = lambda check: None
) -> list[Check]:
    """Check the files of a run, its encoder on the probes, and that all backends give the answers it was finished with.

    Args:
        run: a finished one.
        backends: which to compare; one that cannot run here is reported so, and fails nothing.
        tell: told of every check as it is done.

    Raises:
        RunError: if the run is unfinished, or has no probes.
    """
    checks: list[Check] = []

    def note(name: str, passed: bool, found: str) -> None:
        checks.append(Check(name, passed, found))
        tell(checks[-1])

    try:
        run.verify()
    except RunError as error:
        note("files", False, str(error))
        return checks
    edited = f"; {runs.MODEL_CARD} was edited since" if run.edited(runs.MODEL_CARD) else ""
    whole = count(len(run.manifest()) - bool(edited), "file")
    note("files", True, f"{whole} as the run was finished with{edited}")
    kept = _kept(run)
    if not kept:
        note("encoder", True, "no probes: the run knows no words")
        return checks
    config, vocabulary = load_config(str(run.file(runs.CONFIG))), Vocabulary.load(run.file(runs.VOCABULARY))
    weights, ratios = stored.load_weights(run), load_ngram_weights(run)
    _verify_encoder(Classifier(vocabulary, load_predictor(config, weights, ratios, backend="numpy")), kept, note)
    known = min(len(array) for name, array in weights.items() if name.endswith(EMBEDDINGS))
    labels = len(config.data.label_names)
    if any(max(probe["ids"]) >= known or len(probe["probabilities"]) != labels for probe in kept):
        raise RunError(f"{run.file(runs.PROBES)}: is of another network than this run's")
    for backend in backends:
        try:
            predictor = load_predictor(config, weights, ratios, backend=backend, device="cpu")
        except ConfigError as error:
            note(backend, True, f"not compared, it cannot run here: {error.problems[0].rule}")
            continue
        _compare(backend, predictor, kept, note)
    if "keras" in backends:
        try:
            _compare(runs.MODEL, _saved(run, config, weights, ratios), kept, note)
        except RunError as error:
            note(runs.MODEL, False, str(error))
    return checks


def _kept(run: RunDirectory) -> list[Mapping[str, Any]]:
    if not run.file(runs.PROBES).is_file():
        raise RunError(f"{run}: has no {runs.PROBES}: it was trained by an older rnnsent; its files are as they were")
    values = run.read_json(runs.PROBES)
    probes: list[Mapping[str, Any]] = values.get("probes", [])
    if values.get("format") != FORMAT or not isinstance(probes, list) or not all(map(_is_probe, probes)):
        raise RunError(f"{run.file(runs.PROBES)}: is of another format than this rnnsent reads")
    return probes


def _is_probe(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        return False
    ids, probabilities = value.get("ids"), value.get("probabilities")
    return (
        isinstance(ids, list)
        and all(isinstance(each, int) and 0 <= each < 2**31 for each in ids)
        and bool(ids)
        and isinstance(probabilities, list)
        and all(isinstance(each, float | int) and 0 <= each <= 1 for each in probabilities)
    )


def _verify_encoder(classifier: Classifier, kept: list[Mapping[str, Any]], note: Callable[..., None]) -> None:
    other = [probe["text"] for probe in kept if classifier.encode(probe["text"]).ids.tolist() != probe["ids"]]
    found = f"{len(other)} of {len(kept)} probes are encoded otherwise, the first: {other[0][:40]!r}" if other else ""
    note("encoder", not other, found or f"{len(kept)} probes are encoded as they were")


def _saved(run: RunDirectory, config: Config, weights: Weights, ratios: NgramRatios | None) -> Predictor:
    """Return what predicts with `model.keras`, which is for those who load it without rnnsent.

    Raises:
        RunError: if the file is not one of such a network; see `keras_archive`.
    """
    start("cpu")
    from rnnsent.models import keras_archive
    from rnnsent.models.builder import model_for

    names = [runs.MODEL] if config.ensemble is None else runs.member_files(run.manifest(), runs.MODEL)
    if len(names) != len(config.members):
        raise RunError(f"{run}: {len(names)} of {len(config.members)} networks are saved for Keras")
    saved = []
    for number, (name, member) in enumerate(zip(names, config.members, strict=True), start=1):
        own = weights if config.ensemble is None else member_weights(weights, number)
        model = keras_archive.load(run.file(name), model_for(member, num_words=len(own[EMBEDDINGS])))
        saved.append(Predictor("keras", "as saved", member, by_model(model), ratios))
    return saved[0] if config.ensemble is None else averaged(config, saved, ratios)


def _compare(name: str, predictor: Predictor, kept: list[Mapping[str, Any]], note: Callable[..., None]) -> None:
    split = Split.from_sequences([probe["ids"] for probe in kept], np.zeros(len(kept), np.int64))
    found = by_label(predictor(split))
    largest = float(np.abs(found - np.array([probe["probabilities"] for probe in kept])).max())
    note(name, largest <= TOLERANCE, f"largest difference {largest:.1e}, {TOLERANCE:.0e} is allowed")
