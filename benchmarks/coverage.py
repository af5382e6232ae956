"""Simulate how often the 95 % intervals contain the truth, and print the tables of docs/research-log.md.

    python benchmarks/coverage.py [--samples 1000] [--texts 30 100 300 1000] [--pairs]

Texts are drawn from worlds in which everything is known: logits of two normal distributions, whose distance decides how
many texts are easy, and probabilities that are right, or too confident. The truth is what two million texts give. With
--pairs the intervals are those of the differences between two models, one of which is better, as `rnnsent compare`
shows them. It takes minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from rnnsent.evaluation.compare import compare, compared_metrics
from rnnsent.evaluation.metrics import METRICS, Sample, score
from rnnsent.evaluation.predictions import Predictions
from rnnsent.runs.schemas import Estimate

TRUTH_TEXTS = 2_000_000
RESAMPLES = 500
# Name → how far apart the labels are, which decides the accuracy; how much too sharp probabilities are.
WORLDS = {"77 % right": (1.5, 1.3), "90 % right": (2.6, 1.3), "98 % right": (4.1, 1.3), "98 %, calibrated": (4.1, 1.0)}
GAIN = 0.3  # in distance, of the better of two networks
TOGETHER = 0.8  # correlation of what two networks see in a review

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]
Found = dict[str, Estimate]


def world(texts: int, distance: float, sharpened: float, rng: np.random.Generator) -> tuple[Labels, Floats]:
    """Draw labels and probabilities, (texts,)."""
    labels = rng.integers(0, 2, texts)
    return labels, _probabilities(labels, rng.normal(size=texts), distance, sharpened)


def _probabilities(labels: Labels, noise: Floats, distance: float, sharpened: float) -> Floats:
    found: Floats = 1 / (1 + np.exp(-sharpened * distance * (distance * (labels - 0.5) + noise)))
    return found


def single(texts: int, distance: float, sharpened: float, seed: int) -> Found:
    """Evaluate texts that are drawn."""
    labels, probabilities = world(texts, distance, sharpened, np.random.default_rng([2, seed]))
    resamples = 0 if texts == TRUTH_TEXTS else RESAMPLES
    metrics = score(Predictions.of(labels, probabilities), resamples=resamples, seed=seed).metrics
    return {name: metrics[name] for name in compared_metrics()}


def pair(texts: int, distance: float, sharpened: float, seed: int) -> Found:
    """Compare two models on texts that are drawn."""
    rng = np.random.default_rng([2, seed])
    labels, shared = rng.integers(0, 2, texts), rng.normal(size=texts)
    models = []
    for apart in (distance, distance + GAIN):
        noise = np.sqrt(TOGETHER) * shared + np.sqrt(1 - TOGETHER) * rng.normal(size=texts)
        models.append(Predictions.of(labels, _probabilities(labels, noise, apart, sharpened)))
    if texts == TRUTH_TEXTS:
        one, two = map(Sample, models)
        functions = {name: METRICS[name].function for name in compared_metrics()}
        return {name: Estimate(function(two) - function(one)) for name, function in functions.items()}
    (comparison,) = compare(models, [], resamples=RESAMPLES, seed=seed)
    return comparison.differences


def rows(draw: Callable[[int, float, float, int], Found], samples: int, sizes: list[int]) -> Iterator[str]:
    """Yield a line of the table for each world and number of texts."""
    for name, (distance, sharpened) in WORLDS.items():
        truth = draw(TRUTH_TEXTS, distance, sharpened, 1_000_000)
        for texts in sizes:
            started = time.perf_counter()
            held: dict[str, list[bool]] = {metric: [] for metric in truth}
            for sample in range(samples):
                for metric, found in draw(texts, distance, sharpened, sample).items():
                    value = truth[metric].value
                    if value is not None and found.low is not None and found.high is not None:
                        held[metric].append(found.low <= value <= found.high)
            print(f"{name}, {texts}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
            shares = " | ".join(f"{100 * np.mean(each):.1f}" for each in held.values())
            yield f"| {name} | {texts:,} | {shares} |"


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--texts", type=int, nargs="+", default=[30, 100, 300, 1000])
    parser.add_argument("--pairs", action="store_true")
    given = parser.parse_args()
    names = compared_metrics()
    print(f"| held, % | texts | {' | '.join(names)} |\n| :-- | --: |{' --: |' * len(names)}")
    for line in rows(pair if given.pairs else single, given.samples, given.texts):
        print(line, flush=True)


if __name__ == "__main__":
    main()
