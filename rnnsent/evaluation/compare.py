"""Runs on the same texts: whether they differ (paired intervals, tests, slices), how they were made, what they cost."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnsent.config.sections import Targets
from rnnsent.data.splitting import texts_of
from rnnsent.display import DisplayMixin
from rnnsent.errors import DataError
from rnnsent.evaluation.intervals import discordant, holm, mcnemar, paired_difference, percentiles
from rnnsent.evaluation.metrics import METRICS, Sample, metrics_of
from rnnsent.evaluation.predictions import EvaluatedRun, Floats, Predictions
from rnnsent.evaluation.run_data import Source, load_run_data
from rnnsent.evaluation.slices import Slice, slices_of
from rnnsent.runs import directory
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import Estimate, flattened, to_dict

logger = logging.getLogger(__name__)

ALPHA = 0.05
MIN_DISCORDANT = 10  # texts of a label that one model alone has right; simulated by benchmarks/coverage.py --pairs
MAX_FLIPS = 20

Differences = dict[str, tuple[object, object]]  # {key: (of the first run, of the other)}


@dataclass(frozen=True, slots=True)
class SliceDifference:
    """The accuracies on a slice, their difference, and McNemar's p-value, corrected for the number of slices (Holm)."""

    group: str
    name: str
    texts: int
    first: float
    other: float
    difference: Estimate
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether the accuracies differ."""
        return self.p_value < ALPHA


@dataclass(frozen=True, slots=True)
class Flip:
    """A text that one model alone has right: whether the other has, and both probabilities of its real label."""

    index: int
    better: bool
    first: float
    other: float


@dataclass(frozen=True)
class Comparison:
    """Two models on the same texts; differences are those of the other minus the first."""

    texts: int
    values: dict[str, tuple[float | None, float | None]]  # {metric: (of the first, of the other)}; None where undefined
    differences: dict[str, Estimate]  # {metric: difference with its interval}
    # texts that one of them alone has right
    only_first: int
    only_other: int
    p_value: float  # of McNemar's exact test, corrected if several models are compared with the first (Holm)
    slices: list[SliceDifference]  # the same for parts of the texts
    flips: list[Flip]  # texts whose probability moved most, most first
    discordant: list[int]  # (labels,), texts of each label that one of them alone has right
    same: bool  # whether all probabilities are equal, so that there is nothing to test

    @property
    def significant(self) -> bool:
        """Whether the accuracies differ."""
        return self.p_value < ALPHA


@dataclass(frozen=True)
class RunComparison(DisplayMixin):
    """Runs, each except the first compared with the first."""

    runs: Sequence[EvaluatedRun]
    # of each run: seconds, memory, parameters; megabytes of what predicting needs, and of all
    costs: list[dict[str, float]]
    # of each run except the first; the latter of config and environment
    comparisons: list[Comparison]
    differences: list[Differences]
    # {index: words, place in the file} of the texts in `flips`
    texts: dict[int, str]
    places: dict[int, str]


def compare_runs(evaluated: Sequence[EvaluatedRun], data: Source | None = None) -> RunComparison:
    """Compare finished runs on the same texts.

    Args:
        evaluated: two runs or more, on the same split.
        data: `source` and `path` of the texts, if they are no longer where the first config says.

    Raises:
        RunError: if a run was changed.
        DataError: if the runs have other texts in the split, or these are not available any more.
    """
    first, *others = evaluated
    for other in others:
        _require_same_texts(first, other)
        if reason := other.run.metrics.stopped:
            logger.info("%s: %s", other.run, reason)
    run_data, split = load_run_data(first.run, data), first.record.split
    texts, vocabulary = run_data.texts(split), run_data.dataset.vocabulary
    slices = slices_of(texts, vocabulary, [result.run.config.data for result in evaluated], run_data.stars(split))
    comparisons = compare([result.predictions for result in evaluated], slices)
    indices = sorted({flip.index for comparison in comparisons for flip in comparison.flips})
    return RunComparison(
        runs=evaluated,
        costs=[_costs(result.run) for result in evaluated],
        comparisons=comparisons,
        differences=[_differences(first.run, other.run) for other in others],
        texts={index: vocabulary.decode(texts.sequence(index)) for index in indices},
        places={index: run_data.place(split, index) for index in indices},
    )


def compare(
    predictions: Sequence[Predictions], slices: Sequence[Slice], *, seed: int = 0, resamples: int = 1000
) -> list[Comparison]:
    """Compare every model except the first with the first.

    Args:
        predictions: two or more, for the same texts in the same order.
        slices: parts of these texts.
        seed, resamples: of the bootstrap; the difference of accuracies has the interval of `paired_difference`.
    """
    first, *others = predictions
    names, draws = compared_metrics(first.targets), _bootstrap(predictions, seed, resamples)
    scores = np.array([_values(Sample(model), names) for model in predictions])
    p_values = holm([mcnemar(*discordant(first.right, other.right)) for other in others])
    slice_rows = _slice_differences(first, others, slices)
    comparisons = []
    for number, other in enumerate(others, start=1):
        change, samples = scores[number] - scores[0], draws[:, number] - draws[:, 0]
        differences = {name: percentiles(change[k], samples[:, k]) for k, name in enumerate(names)}
        only_first, only_other = discordant(first.right, other.right)
        same = first.same_as(other)
        if not same:
            differences["accuracy"] = paired_difference(only_first, only_other, len(first))
        comparisons.append(
            Comparison(
                texts=len(first),
                values={name: (_defined(scores[0, k]), _defined(scores[number, k])) for k, name in enumerate(names)},
                differences=differences,
                only_first=only_first,
                only_other=only_other,
                p_value=p_values[number - 1],
                slices=slice_rows[(number - 1) * len(slices) : number * len(slices)],
                flips=_flips(first, other),
                discordant=texts_of(first.labels[first.right != other.right], first.size).tolist(),
                same=same,
            )
        )
    return comparisons


def compared_metrics(targets: Targets = "classes") -> list[str]:
    """Return the metrics of one kind of labels that have intervals, and so can be compared."""
    return [name for name, metric in metrics_of(targets).items() if metric.interval]


def _values(sample: Sample, names: Sequence[str]) -> list[float]:
    return [METRICS[name].function(sample) for name in names]


def _bootstrap(predictions: Sequence[Predictions], seed: int, resamples: int) -> Floats:
    """Return the metrics of each model in each sample, (samples, models, metrics).

    A sample weighs the texts in the same way for all models, since what is hard for one is hard for others (B. Efron
    and R. Tibshirani, "An introduction to the bootstrap", 1993, chapter 8). The prior of `intervals.prior_texts` is
    drawn for each model by itself: two that agree on a few texts need not agree on all.
    """
    first = predictions[0]
    # Generators of their own: a comparison of two models does not depend on which others are compared.
    texts, *priors = (np.random.default_rng([seed, stream]) for stream in (0, 1, *[2] * (len(predictions) - 1)))
    same = [first.same_as(model) for model in predictions]
    names = compared_metrics(first.targets)
    draws = np.empty((resamples, len(predictions), len(names)))
    for row in draws:
        weights = texts.standard_exponential(len(first))
        for number, model in enumerate(predictions):
            sample = Sample.drawn(model, weights, priors[number])
            row[number] = row[0] if number and same[number] else _values(sample, names)
    return draws


def _slice_differences(
    first: Predictions, others: Sequence[Predictions], slices: Sequence[Slice]
) -> list[SliceDifference]:
    """Return the slices, in order, of each other model after the other."""
    pairs = [(part, first.right[part.members], other.right[part.members]) for other in others for part in slices]
    p_values = holm([mcnemar(*discordant(before, after)) for _, before, after in pairs])
    return [
        SliceDifference(
            group=part.group,
            name=part.name,
            texts=len(before),
            first=float(before.mean()),
            other=float(after.mean()),
            difference=paired_difference(*discordant(before, after), len(before)),
            p_value=p_value,
        )
        for (part, before, after), p_value in zip(pairs, p_values, strict=True)
    ]


def _flips(first: Predictions, other: Predictions) -> list[Flip]:
    indices = np.flatnonzero(first.right != other.right)
    changes = np.abs(other.of_real - first.of_real)[indices]
    return [
        Flip(index, bool(other.right[index]), float(first.of_real[index]), float(other.of_real[index]))
        for index in indices[np.argsort(-changes, kind="stable")[:MAX_FLIPS]].tolist()
    ]


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def paired_warning(discordant: Mapping[str, int]) -> str:
    """Return a warning that intervals of a paired bootstrap may be too narrow; empty if they are not.

    Args:
        discordant: of each label, how many of its texts one of the two models alone has right.
    """
    few = ", ".join(f"{number} of {name}" for name, number in discordant.items() if number < MIN_DISCORDANT)
    return few and (
        f"Few texts are right in one run alone ({few}): with fewer than {MIN_DISCORDANT} of a label all intervals but "
        "that of accuracy may be too narrow, and contain the true difference in 85 to 93 % of cases instead of 95"
    )


def _costs(run: Run) -> dict[str, float]:
    sizes = {name: run.file(name).stat().st_size / 1e6 for name in run.manifest()}
    return {
        "seconds": run.metrics.seconds,
        "epochs": float(run.metrics.epochs),
        "peak_memory_mb": run.metrics.peak_memory_mb,
        "parameters": float(run.metrics.parameters),
        "mb_to_predict": sum(sizes[name] for name in run.listed(directory.PREDICTING)),
        "mb_on_disk": sum(sizes.values()),
    }


def _require_same_texts(first: EvaluatedRun, other: EvaluatedRun) -> None:
    """Require that two runs were evaluated on the same texts in the same order."""
    names = [result.run.config.data.label_names for result in (first, other)]
    if first.record.data == other.record.data and names[0] == names[1]:
        return
    data = [result.run.metrics.data for result in (first, other)]
    if data[0].sha256 != data[1].sha256:
        files = " and ".join(f"{info.file or info.source} (SHA-256 {str(info.sha256)[:12]}…)" for info in data)
        reason = f"other files: {files}"
    elif names[0] != names[1]:
        reason = f"other labels: {', '.join(names[0])} and {', '.join(names[1])}"
    else:
        reason = "other splits of one file (data.split_seed, validation_split, group_column, …)"
    raise DataError(
        f"{first.run} and {other.run} cannot be compared, their {first.record.split} texts differ: {reason}"
    )


def _differences(first: Run, other: Run) -> Differences:
    one, two = ({"config": run.config.to_dict(), "environment": to_dict(run.environment)} for run in (first, other))
    return differing(one, two, ignore=("environment.command", "environment.seed"))


def differing(first: Any, other: Any, ignore: Sequence[str] = ()) -> Differences:
    """Return the keys of nested values that differ, with both values; None if one lacks the key."""
    one, two = flattened(first), flattened(other)
    keys = (key for key in one | two if not key.startswith(tuple(ignore)))
    return {key: (one.get(key), two.get(key)) for key in keys if one.get(key) != two.get(key)}
