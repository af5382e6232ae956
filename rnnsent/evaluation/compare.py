"""Runs side by side: their evaluations on the same texts, how they differ, how they were made, and what they cost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rnnsent.errors import DataError
from rnnsent.evaluation.evaluate import evaluation_of
from rnnsent.evaluation.predictions import Predictions
from rnnsent.evaluation.run_data import Source, load_run_data
from rnnsent.evaluation.significance import Comparison, compare
from rnnsent.evaluation.slices import slices_of
from rnnsent.runs import directory
from rnnsent.runs.directory import Run
from rnnsent.runs.run_facts import stopped
from rnnsent.runs.schemas import Evaluation, to_dict

logger = logging.getLogger(__name__)

# What predicting needs, of the run or of the networks in it.
NEEDED = (directory.SETTINGS, directory.VOCABULARY, directory.CALIBRATION, directory.NGRAM_WEIGHTS, directory.WEIGHTS)

Differences = dict[str, tuple[object, object]]  # {key: (of the first run, of the other)}


@dataclass(frozen=True)
class ComparedRun:
    """A run with its evaluation.

    Attributes:
        run: a finished one.
        evaluation, predictions: for the split.
        costs: seconds, epochs, peak_memory_mb, parameters; megabytes of what predicting needs, and of the whole run.
    """

    run: Run
    evaluation: Evaluation
    predictions: Predictions
    costs: dict[str, float]

    @property
    def stopped(self) -> str | None:
        """How far its training came, if it was stopped."""
        return stopped(self.run.metrics)


@dataclass(frozen=True)
class RunComparison:
    """Runs, each except the first compared with the first.

    Attributes:
        split: "test" or "validation".
        runs: in order.
        comparisons: of each run except the first.
        differences: of its config and environment, too.
        texts, places: {index: words, place in the file} of the texts in `flips`.
    """

    split: str
    runs: list[ComparedRun]
    comparisons: list[Comparison]
    differences: list[Differences]
    texts: dict[int, str]
    places: dict[int, str]


def compare_runs(runs: Sequence[Run], split: str, *, data: Source | None = None) -> RunComparison:
    """Compare finished runs on the same texts; those that were not evaluated on the split yet are evaluated now.

    Args:
        runs: two or more.
        split: "test" or "validation".
        data: `source` and `path` of the texts, if they are no longer where the first config says.

    Raises:
        RunError: if a run is unfinished or was changed.
        DataError: if the runs have other texts in the split, or these are not available any more.
    """
    compared = [_compared_run(run, split, data) for run in runs]
    first, *others = compared
    for other in others:
        _require_same_texts(first, other, split)
        if other.stopped:
            logger.info("%s: %s", other.run, other.stopped)
    texts = load_run_data(first.run, data)
    configs = [each.run.config.data for each in compared]
    slices = slices_of(texts.texts(split), texts.dataset.vocabulary, configs, texts.stars(split))
    comparisons = compare([each.predictions for each in compared], slices)
    flipped = sorted({flip.index for comparison in comparisons for flip in comparison.flips})
    whole, vocabulary = texts.texts(split), texts.dataset.vocabulary
    return RunComparison(
        split=split,
        runs=compared,
        comparisons=comparisons,
        differences=[_differences(first.run, other.run) for other in others],
        texts={index: vocabulary.decode(whole.sequence(index)) for index in flipped},
        places={index: texts.place(split, index) for index in flipped},
    )


def _compared_run(run: Run, split: str, data: Source | None) -> ComparedRun:
    evaluation, predictions = evaluation_of(run, split, data)
    sizes = {name: run.file(name).stat().st_size / 1e6 for name in run.manifest()}
    costs = {
        "seconds": run.metrics.seconds,
        "epochs": float(run.metrics.epochs),
        "peak_memory_mb": run.metrics.peak_memory_mb,
        "parameters": float(run.metrics.parameters),
        "mb_to_predict": sum(size for name, size in sizes.items() if _needed(name)),
        "mb_on_disk": sum(sizes.values()),
    }
    return ComparedRun(run, evaluation, predictions, costs)


def _needed(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return file in NEEDED and (not folder or (folder.startswith(directory.MEMBERS) and file == directory.WEIGHTS))


def _require_same_texts(first: ComparedRun, other: ComparedRun, split: str) -> None:
    """Require that two runs were evaluated on the same texts in the same order."""
    names = [each.run.config.data.label_names for each in (first, other)]
    if first.evaluation.data == other.evaluation.data and names[0] == names[1]:
        return
    data = [each.run.metrics.data for each in (first, other)]
    if data[0].sha256 != data[1].sha256:
        files = " and ".join(f"{each.file or each.source} (SHA-256 {str(each.sha256)[:12]}…)" for each in data)
        reason = f"other files: {files}"
    elif names[0] != names[1]:
        reason = f"other labels: {', '.join(names[0])} and {', '.join(names[1])}"
    else:
        reason = "other splits of one file (data.split_seed, validation_split, group_column, …)"
    raise DataError(f"{first.run} and {other.run} cannot be compared, their {split} texts differ: {reason}")


def _differences(first: Run, other: Run) -> Differences:
    configs = differing(first.config.to_dict(), other.config.to_dict())
    machines = differing(
        to_dict(first.environment), to_dict(other.environment), ignore=lambda key: key in ("command", "seed")
    )
    return {f"config.{key}": pair for key, pair in configs.items()} | {
        f"environment.{key}": pair for key, pair in machines.items()
    }


def flattened(values: Any, prefix: str = "") -> dict[str, object]:
    """Return nested mappings and lists of mappings as {"a.b.0": value}."""
    pairs: list[tuple[object, object]]
    if isinstance(values, dict):
        pairs = list(values.items())
    elif isinstance(values, list) and any(isinstance(item, dict) for item in values):
        pairs = list(enumerate(values))
    else:
        return {prefix: values}
    flat: dict[str, object] = {}
    for key, value in pairs:
        flat |= flattened(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


def differing(first: Any, other: Any, ignore: Callable[[str], bool] = lambda key: False) -> Differences:
    """Return the keys of nested values that differ, with both values; None if one lacks the key."""
    one, two = flattened(first), flattened(other)
    return {key: (one.get(key), two.get(key)) for key in one | two if one.get(key) != two.get(key) and not ignore(key)}
