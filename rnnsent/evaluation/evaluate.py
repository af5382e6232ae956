"""The judgment of a finished run on its own reviews, and that of the skeptic's baseline beside it."""

from __future__ import annotations

import csv
import hashlib
import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnnsent.config import Config
from rnnsent.data.dataset import Dataset, partition
from rnnsent.data.sources import load_dataset
from rnnsent.data.split import Split
from rnnsent.errors import DataError, RunError, count
from rnnsent.evaluation import baseline, metrics, multiclass, plots, slices
from rnnsent.evaluation.coverage import Coverage, coverage
from rnnsent.evaluation.error_analysis import Mistake, Places, surest_mistakes
from rnnsent.evaluation.metrics import Evaluation, LabelMetrics
from rnnsent.evaluation.run_data import own_reviews
from rnnsent.evaluation.slices import SliceAccuracy
from rnnsent.inference.batch import PROBABILITY_OF as OF
from rnnsent.inference.calibration import fit_calibration, log_loss
from rnnsent.inference.predictor import (
    Predictor,
    by_label,
    load_calibration,
    load_ngram_weights,
    load_predictor,
    most_probable,
)
from rnnsent.reporting import model_card
from rnnsent.runs import artifacts as stored
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory, json_text
from rnnsent.runs.run_facts import source_name, unit_of

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Judged:
    """The judgment of a run on one split."""

    run: RunDirectory
    split: str
    n: int
    metrics: dict[str, Any]
    confusion: list[list[int]]
    label_names: tuple[str, ...]
    seconds: float
    source: str
    by_label: tuple[LabelMetrics, ...] = ()
    slices: tuple[SliceAccuracy, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    baseline: dict[str, Any] | None = None  # the metrics of the skeptic's baseline on this split, if the run has them
    unsaved: RunError | None = None  # why the run does not hold this judgment
    unit: str = "review"  # what one of the texts is called


def judge(
    run: RunDirectory,
    split: str,
    *,
    data: Mapping[str, str | None] | None = None,
    backend: str = "auto",
    device: str = "auto",
    tell: Tell = lambda line: None,
) -> Judged:
    """Judge a finished run on its reviews, and write the result into the run.

    Args:
        run: what to judge.
        split: "test" or "validation".
        data: `source` and `path` of the reviews, where they are no longer where the run's config says.
        backend, device: those of `prediction.load_predictor`.
        tell: told what computes.

    Raises:
        RunError: if the run is unfinished or one of the files needed was changed.
        DataError: if its data cannot be had any more.
    """
    config, recorded, dataset = own_reviews(run, data, tell)
    weights = stored.load_weights(run)
    parts = partition(dataset, config.data)
    ratios, kept = load_ngram_weights(run), load_calibration(run)
    predictor = load_predictor(config, weights, ratios, backend=backend, device=device, calibration=kept)
    tell(f"backend: {predictor}")

    reviews = asked_for(str(run), split, parts.test, parts.validation)
    whole = whole_reviews(str(run), dataset, config, split)
    for doubt in _doubts(dataset, whole):
        tell(doubt)
    started = time.perf_counter()
    probabilities = predictor(reviews)
    seconds = time.perf_counter() - started
    evaluation = evaluate(reviews.labels, probabilities)
    predicted = most_probable(probabilities)
    right, sure = predicted == reviews.labels, by_label(probabilities)[np.arange(len(reviews)), predicted]
    about = dataset.provenance | {"source": dataset.source}
    judged = Judged(
        run=run,
        split=split,
        n=len(reviews),
        metrics=evaluation.to_dict(),
        confusion=evaluation.confusion,
        label_names=parts.label_names,
        seconds=seconds,
        source=source_name(about),
        unit=unit_of(about),
        by_label=evaluation.by_label,
        slices=_slices(dataset, whole, config, split, right),
        mistakes=surest_mistakes(reviews, probabilities, parts, Places.of(dataset, config, split)),
        coverage=tuple(coverage(right, sure)),
        baseline=(recorded.get("baseline") or {}).get(split),
    )
    numbers = None if dataset.numbers is None else dataset.numbers[split]
    which = {"reviews_sha256": _sha256(whole, numbers)}
    files: dict[str, str | bytes] = {
        runs.predictions(split): _prediction_rows(reviews.labels, probabilities, parts.label_names, numbers),
        runs.RELIABILITY.format(split=split): plots.reliability(sure, right, f"{run}: {split}"),
        runs.COVERAGE.format(split=split): plots.coverage(sure, right, f"{run}: {split}"),
    }

    def add(recorded: dict[str, Any]) -> None:
        recorded[split] = judged.metrics
        recorded["evaluations"] = recorded.get("evaluations", {}) | {split: _details(judged) | which}

    return replace(judged, unsaved=store(run, config, add, files, tell=tell))


def _doubts(dataset: Dataset, whole: Split) -> Iterator[str]:
    """Yield which rows are not judged, and which are but have nothing to be judged by."""
    dropped = (dataset.provenance.get("dropped") or {}).get("without a text", 0)
    if dropped:
        yield f"data: {count(dropped, 'row')} without a text left out, of all splits"
    blank = int((whole.lengths <= 1).sum())  # nothing but the start token
    if blank:
        yield f"{count(blank, 'text')} without words among them: what is said of no text is judged there"


def store(
    run: RunDirectory,
    config: Config,
    add: Callable[[dict[str, Any]], None],
    others: Mapping[str, str | bytes] | None = None,
    *,
    tell: Tell,
) -> RunError | None:
    """Add to metrics.json of a finished run, with the model card that follows from it.

    A card that somebody edited stays as it is.

    Args:
        run, config: where, and what it was trained with.
        add: adds to the values of metrics.json, as they are when nobody else writes them.
        others: files that go with them, by name.
        tell: told if the card stays.

    Returns:
        Why it could not be written: whoever waited for the figures should have them all the same.
    """
    try:
        with run.updating():
            recorded = stored.load_metrics(run, config)
            add(recorded)
            contents = {runs.METRICS: json_text(recorded), **(others or {})}
            if run.edited(runs.MODEL_CARD):
                tell(model_card.stays(run))
            else:
                contents[runs.MODEL_CARD] = model_card.of_run(run, config, recorded)
            run.update(contents)
    except RunError as error:
        return error
    return None


def _details(judged: Judged) -> dict[str, Any]:
    """Return what metrics.json says of a judgment besides its metrics; no words of the reviews."""
    return {
        "reviews": judged.n,
        "seconds": round(judged.seconds, 3),
        "confusion": judged.confusion,
        "by_label": {name: each.to_dict() for name, each in zip(judged.label_names, judged.by_label, strict=True)},
        "slices": [each.to_dict() for each in judged.slices],
        "coverage": [each.to_dict() for each in judged.coverage],
    }


def whole_reviews(name: str, dataset: Dataset, config: Config, split: str) -> Split:
    """Return the reviews of a split as they were loaded, whatever a network sees of them; errors as `asked_for`."""
    return asked_for(name, split, dataset.test, dataset.held_back(config.data.validation_split)[1])


def _sha256(whole: Split, numbers: Any | None) -> str:
    """Return what tells the reviews of a split from others of the same file: labels, lengths, places, in order."""
    digest = hashlib.sha256()
    for part in (whole.labels, whole.lengths, *([] if numbers is None else [numbers])):
        digest.update(np.ascontiguousarray(part, np.int64).data)
    return digest.hexdigest()


def _slices(dataset: Dataset, whole: Split, config: Config, split: str, right: Any) -> tuple[SliceAccuracy, ...]:
    ratings = None if dataset.ratings is None else dataset.ratings[split]
    return tuple(slices.accuracies(slices.slices_of(whole, dataset.vocabulary, config.data, ratings), right))


@dataclass(frozen=True)
class JudgedBaseline:
    """The judgment of the skeptic's baseline on one split, beside that of the run, if there is one."""

    name: str  # of the run, or of the reviews
    split: str
    n: int
    metrics: dict[str, Any]
    network: dict[str, Any] | None  # the metrics of the run on this split, if it was judged
    strength: float
    columns: int
    seconds: float
    unsaved: RunError | None = None


def judge_baseline(
    run: RunDirectory, split: str, *, data: Mapping[str, str | None] | None = None, tell: Tell = lambda line: None
) -> JudgedBaseline:
    """Fit the baseline on what a finished run was trained on, judge it, and write the result into the run.

    Args:
        run: whose reviews and split.
        split, data, tell: as for `judge`.

    Raises:
        RunError, DataError: as `judge`.
        RnnsentError: if scikit-learn is not installed.
    """
    config, recorded, dataset = own_reviews(run, data, tell)
    judged = replace(_judged_baseline(str(run), config, dataset, split, tell), network=recorded.get(split))
    facts = {"strength": judged.strength, "columns": judged.columns, "seconds": round(judged.seconds, 3)}

    def add(recorded: dict[str, Any]) -> None:
        before = recorded.get("baseline") or {"validation": None, "test": None}
        recorded["baseline"] = before | facts | {split: judged.metrics}

    return replace(judged, unsaved=store(run, config, add, tell=tell))


def judge_baseline_of(config: Config, split: str, *, tell: Tell = lambda line: None) -> JudgedBaseline:
    """Fit the baseline on the reviews that a config describes, where there is no run, and judge it.

    Args:
        config: its `data` section alone counts.
        split, tell: as for `judge`.

    Raises:
        DataError: if the reviews cannot be had.
        RnnsentError: if scikit-learn is not installed.
    """
    dataset = load_dataset(config.data.model_copy(update={"fallback": None}))
    return _judged_baseline(str(dataset.provenance.get("file", dataset.source)), config, dataset, split, tell)


def _judged_baseline(name: str, config: Config, dataset: Dataset, split: str, tell: Tell) -> JudgedBaseline:
    train, validation = dataset.held_back(config.data.validation_split)
    reviews = asked_for(name, split, dataset.test, validation)
    fitted = baseline.fit(train, validation, len(dataset.label_names), tell)
    values = evaluate(reviews.labels, fitted.probabilities(reviews)).to_dict()
    return JudgedBaseline(name, split, len(reviews), values, None, fitted.strength, fitted.columns, fitted.seconds)


def asked_for(name: str, split: str, test: Split, validation: Split) -> Split:
    """Return the test or the validation split, which must not be empty."""
    reviews = test if split == "test" else validation
    if not len(reviews):
        raise DataError(f"{name}: there is no {split} split: data.{split}_split is 0")
    return reviews


def calibrated(predictor: Predictor, validation: Split) -> tuple[Predictor, dict[str, Any]]:
    """Return a predictor that is calibrated on the validation reviews, and what calibration.json says of it."""
    before = predictor(validation)
    found = fit_calibration(validation.labels, before)
    losses = {
        f"log_loss_{when}": log_loss(validation.labels, values)
        for when, values in (("before", before), ("after", found(before)))
    }
    return replace(predictor, calibration=found), found.to_dict() | losses


def evaluate(labels: Any, probabilities: Any) -> Evaluation:
    """Return the metrics of predictions of two labels, probabilities (n,), or of more, (n, labels)."""
    function = metrics.evaluate if probabilities.ndim == 1 else multiclass.evaluate
    return function(labels, probabilities)


def _prediction_rows(labels: Any, probabilities: Any, names: Sequence[str], numbers: Any | None = None) -> str:
    """Return a row for each review, with the probability of the second of two labels, or of each of several.

    Where the line or row of its table is known, that comes last.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    several = probabilities.ndim == 2
    named = [f"{OF}{name}" for name in names] if several else ["probability"]
    writer.writerow(["review", "label", "predicted", *named, *(["line"] if numbers is not None else [])])
    columns = probabilities if several else probabilities[:, None]
    predicted = most_probable(probabilities).tolist()
    for index, (label, guess, row) in enumerate(zip(labels.tolist(), predicted, columns.tolist(), strict=True)):
        line = [] if numbers is None else [int(numbers[index])]
        writer.writerow([index, names[label], names[guess], *(f"{value:.6f}" for value in row), *line])
    return buffer.getvalue()
