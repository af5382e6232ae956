"""Judged runs side by side: what each said of the same reviews, how it was made, and what it cost."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnsent.config import Config
from rnnsent.config.loader import load_config
from rnnsent.errors import DataError, RunError
from rnnsent.evaluation import comparison, slices
from rnnsent.evaluation.comparison import Comparison, Judgment
from rnnsent.evaluation.error_analysis import Places
from rnnsent.evaluation.evaluate import Tell, whole_reviews
from rnnsent.evaluation.run_data import own_reviews
from rnnsent.inference.batch import PROBABILITY_OF as OF
from rnnsent.runs import artifacts as stored
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.run_facts import stopped, unit_of

NEEDED = (runs.CONFIG, runs.VOCABULARY, runs.CALIBRATION, runs.NGRAMS)  # to predict, besides the weights
COSTS = ("seconds", "epochs", "peak_memory_mb", "parameters")


@dataclass(frozen=True)
class Contender:
    """A finished run and its judgment of one split.

    Attributes:
        run: where it is.
        config: of it.
        recorded: what metrics.json says.
        judgment: what it said of the reviews.
        costs: seconds, epochs, peak_memory_mb, parameters; megabytes of what predicting needs, and of the whole run.
    """

    run: RunDirectory
    config: Config
    recorded: Mapping[str, Any]
    judgment: Judgment
    costs: dict[str, float]

    @property
    def stopped(self) -> str | None:
        """How far its training came, if somebody stopped it."""
        return stopped(self.recorded)


@dataclass(frozen=True)
class Compared:
    """Several runs, each but the first compared with the first.

    Attributes:
        split: "test" or "validation".
        contenders: the runs, in order.
        comparisons: one for each but the first.
        differences: of the configs and of versions and machine, key by key, one for each but the first.
        texts: the words of the reviews that flipped, by their place in the split.
        places: of these in their file, as `mistakes.Places` says it.
    """

    split: str
    contenders: tuple[Contender, ...]
    comparisons: tuple[Comparison, ...]
    differences: tuple[dict[str, tuple[Any, Any]], ...]
    texts: dict[int, str]
    places: dict[int, str]

    @property
    def unit(self) -> str:
        """What one of the texts is called."""
        return unit_of(self.contenders[0].recorded.get("data", {}))


def compare_runs(
    given: Sequence[RunDirectory], split: str, *, data: Mapping[str, str | None] | None = None, tell: Tell
) -> Compared:
    """Compare finished runs that were judged on the same reviews.

    Args:
        given: two or more.
        split: "test" or "validation".
        data: `source` and `path` of the reviews, where they are no longer where the first run's config says.
        tell: told if a run was stopped early.

    Raises:
        RunError: if one was not judged on the split, was changed, or on other reviews than the first.
        DataError: if the reviews cannot be had any more.
    """
    contenders = [contender(run, split) for run in given]
    for other in contenders[1:]:
        require_same_reviews(contenders[0], other, split)
        if other.stopped:
            tell(f"{other.run}: {other.stopped}")
    config, _, dataset = own_reviews(given[0], data, tell)
    reviews = whole_reviews(str(given[0]), dataset, config, split)
    if not np.array_equal(reviews.labels, contenders[0].judgment.labels):
        raise RunError(f"{given[0]}: {runs.predictions(split)} is not of these reviews; judge it again: rnnsent eval")
    ratings = None if dataset.ratings is None else dataset.ratings[split]
    parts = slices.slices_for(reviews, dataset.vocabulary, [each.config.data for each in contenders], ratings)
    found = comparison.compare([each.judgment for each in contenders], parts)
    flipped = sorted({flip.review for each in found for flip in each.flips})
    places = Places.of(dataset, config, split)
    return Compared(
        split,
        tuple(contenders),
        tuple(found),
        tuple(_differences(contenders[0], other) for other in contenders[1:]),
        {index: dataset.vocabulary.decode(reviews.sequence(index)) for index in flipped},
        {index: places[index] for index in flipped},
    )


def contender(run: RunDirectory, split: str) -> Contender:
    """Return a finished run as it was judged on a split.

    Raises:
        RunError: if it was not judged on the split, or was changed.
    """
    run.verify()
    name = runs.predictions(split)
    if not run.has(name):
        raise RunError(f"{run}: was not judged on the {split} reviews: rnnsent eval {run} --split {split}")
    config = load_config(str(run.file(runs.CONFIG)))
    recorded = stored.load_metrics(run, config)
    where = run.file(name)
    judgment = read_predictions(stored.read_text(where), config.data.label_names, str(where))
    files = {each: run.file(each).stat().st_size / 1e6 for each in run.manifest()}
    needed = [*NEEDED, *stored.weight_files(run)]
    costs = {key: float(recorded[key]) for key in COSTS}
    costs["mb_to_predict"] = sum(size for each, size in files.items() if each in needed)
    costs["mb_on_disk"] = sum(files.values())
    return Contender(run, config, recorded, judgment, costs)


def read_predictions(text: str, names: Sequence[str], where: str) -> Judgment:
    """Read a predictions file of a run: real and predicted labels, and probabilities.

    What was predicted is what the file says: beside one half its rounded probabilities may say another label.

    Args:
        text: of the file.
        names: of the labels, in the order of their numbers.
        where: the file, for messages.

    Raises:
        RunError: if it is something else.
    """
    columns = [f"{OF}{name}" for name in names] if len(names) > 2 else ["probability"]
    try:
        # A list of all rows would take a hundred times the bytes of the file.
        real, said, cells = array("q"), array("q"), array("d")
        for row in csv.DictReader(io.StringIO(text)):
            real.append(names.index(row["label"]))
            said.append(names.index(row["predicted"]))
            cells.extend(float(row[column]) for column in columns)
        labels, predicted = np.frombuffer(real, np.int64), np.frombuffer(said, np.int64)
        values = np.frombuffer(cells, np.float64).reshape(-1, len(columns))
        if not len(values) or not ((values >= 0) & (values <= 1)).all():
            raise ValueError("probabilities must lie in 0 … 1")
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise RunError(f"{where}: not the predictions of this run: {error}; judge it again: rnnsent eval") from None
    return Judgment(labels, np.concatenate([1 - values, values], axis=1) if len(names) == 2 else values, predicted)


def require_same_reviews(first: Contender, other: Contender, split: str) -> None:
    """Require that two runs were judged on the same reviews in the same order.

    Raises:
        DataError: saying why they were not.
    """
    hashes = [str(each.recorded.get("data", {}).get("sha256")) for each in (first, other)]
    names = [each.config.data.label_names for each in (first, other)]
    labels = [each.judgment.labels for each in (first, other)]
    which = [each.recorded.get("evaluations", {}).get(split, {}).get("reviews_sha256") for each in (first, other)]
    unknown = [str(each.run) for each, reviews in zip((first, other), which, strict=True) if reviews is None]
    if unknown:
        raise RunError(
            f"{unknown[0]}: was judged by an older rnnsent; again: rnnsent eval {unknown[0]} --split {split}"
        )
    why = None
    if hashes[0] != hashes[1]:
        files = [each.recorded.get("data", {}).get("file") or each.config.data.source for each in (first, other)]
        why = f"of other files: {files[0]} (SHA-256 {hashes[0][:12]}…) and {files[1]} ({hashes[1][:12]}…)"
    elif names[0] != names[1]:
        why = f"with other labels: {', '.join(names[0])} and {', '.join(names[1])}"
    elif len(labels[0]) != len(labels[1]):
        why = f"of which there are {len(labels[0]):,} and {len(labels[1]):,}: the config splits them otherwise"
    elif which[0] != which[1]:
        why = "that were drawn otherwise (data.split_seed, validation_split, group_column, …)"
    if why is not None:
        raise DataError(f"{first.run} and {other.run} cannot be compared: they were judged on {split} reviews {why}")


def _differences(first: Contender, other: Contender) -> dict[str, tuple[Any, Any]]:
    configs = [each.config.to_dict() for each in (first, other)]
    found = {f"config.{key}": pair for key, pair in comparison.differing(configs[0], configs[1]).items()}
    where = [stored.load_environment(each.run) for each in (first, other)]
    machines = comparison.differing(where[0], where[1], leave=lambda key: key in ("command", "seed"))
    return found | {f"environment.{key}": pair for key, pair in machines.items()}
