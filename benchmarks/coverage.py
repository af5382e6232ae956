"""How often the 95 % intervals hold the truth, over simulated reviews, and prints the tables of docs/research-log.md.

    python benchmarks/coverage.py [--samples 1000] [--reviews 30 100 300 1000] [--pairs]

Reviews are drawn from worlds in which everything is known: logits of two normal distributions, as far apart as makes
so many of them easy, and probabilities that are right, or sharper than they should be. The truth is what two million of
them give. With --pairs it is the differences of two networks, one of which is better, that `rnnsent compare` tells.
It takes minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.evaluation import comparison, metrics
from rnnsent.evaluation.multiclass import Weights

TRUTH_REVIEWS = 2_000_000
RESAMPLES = 500
# Name → how far apart the labels are, which decides the accuracy; how much too sharp probabilities are.
WORLDS = {"77 % right": (1.5, 1.3), "90 % right": (2.6, 1.3), "98 % right": (4.1, 1.3), "98 %, calibrated": (4.1, 1.0)}
GAIN = 0.3  # in distance, of the better of two networks
TOGETHER = 0.8  # correlation of what two networks see in a review

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]
Found = dict[str, dict[str, Any]]


def world(reviews: int, distance: float, sharpened: float, rng: np.random.Generator) -> tuple[Labels, Floats]:
    """Draw labels and probabilities, (reviews,)."""
    labels = rng.integers(0, 2, reviews)
    return labels, _answers(labels, rng.normal(size=reviews), distance, sharpened)


def _answers(labels: Labels, noise: Floats, distance: float, sharpened: float) -> Floats:
    found: Floats = 1 / (1 + np.exp(-sharpened * distance * (distance * (labels - 0.5) + noise)))
    return found


def single(reviews: int, distance: float, sharpened: float, seed: int) -> Found:
    """Judge reviews that are drawn."""
    labels, probabilities = world(reviews, distance, sharpened, np.random.default_rng([2, seed]))
    exact = reviews == TRUTH_REVIEWS
    return metrics.evaluate(labels, probabilities, resamples=0 if exact else RESAMPLES, seed=seed).to_dict()


def pair(reviews: int, distance: float, sharpened: float, seed: int) -> Found:
    """Compare two networks on reviews that are drawn."""
    rng = np.random.default_rng([2, seed])
    labels, shared = rng.integers(0, 2, reviews), rng.normal(size=reviews)
    judgments = []
    for apart in (distance, distance + GAIN):
        noise = np.sqrt(TOGETHER) * shared + np.sqrt(1 - TOGETHER) * rng.normal(size=reviews)
        second = _answers(labels, noise, apart, sharpened)
        judgments.append(comparison.Judgment(labels, np.stack([1 - second, second], axis=1)))
    if reviews == TRUTH_REVIEWS:
        one, two = (judgment.metrics(Weights(np.ones(reviews))) for judgment in judgments)
        return {name: {"value": b - a} for name, a, b in zip(comparison.METRICS, one, two, strict=True)}
    (found,) = comparison.compare(judgments, [], resamples=RESAMPLES, seed=seed)
    return {name: each.to_dict() for name, each in found.differences.items()}


def rows(draw: Callable[[int, float, float, int], Found], samples: int, sizes: list[int]) -> Iterator[str]:
    """Yield a line of the table for each world and number of reviews."""
    for name, (distance, sharpened) in WORLDS.items():
        truth = draw(TRUTH_REVIEWS, distance, sharpened, 1_000_000)
        for reviews in sizes:
            started = time.perf_counter()
            held: dict[str, list[bool]] = {metric: [] for metric in truth}
            for sample in range(samples):
                for metric, found in draw(reviews, distance, sharpened, sample).items():
                    if found["value"] is not None:
                        held[metric].append(found["low"] <= truth[metric]["value"] <= found["high"])
            print(f"{name}, {reviews}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
            shares = " | ".join(f"{100 * np.mean(each):.1f}" for each in held.values())
            yield f"| {name} | {reviews:,} | {shares} |"


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--reviews", type=int, nargs="+", default=[30, 100, 300, 1000])
    parser.add_argument("--pairs", action="store_true")
    given = parser.parse_args()
    names = comparison.METRICS if given.pairs else metrics.NAMES
    print(f"| held, % | reviews | {' | '.join(names)} |\n| :-- | --: |{' --: |' * len(names)}")
    for line in rows(pair if given.pairs else single, given.samples, given.reviews):
        print(line, flush=True)


if __name__ == "__main__":
    main()
