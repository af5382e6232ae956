"""How often the 95 % intervals hold the truth, over simulated reviews, and prints the table of docs/experiments.md.

    python benchmarks/coverage.py [--samples 2000] [--reviews 1000]

Reviews are drawn from a world in which everything is known: logits of two normal distributions, and probabilities that
are sharper than they should be. The truth is what four million of them give. It takes some minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnsent import metrics

TRUTH_REVIEWS = 4_000_000
RESAMPLES = 500
DISTANCE, SPREAD = 2.6, 1.0  # about 90 % accuracy
SHARPENED = 1.3  # as networks that were trained too long are


def world(reviews: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw labels and probabilities, (reviews,)."""
    labels = rng.integers(0, 2, reviews)
    signal = rng.normal(DISTANCE * (labels - 0.5), SPREAD)
    return labels, 1 / (1 + np.exp(-SHARPENED * DISTANCE / SPREAD**2 * signal))


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--reviews", type=int, default=1000)
    given = parser.parse_args()
    truth = metrics.evaluate(*world(TRUTH_REVIEWS, np.random.default_rng(1)), resamples=0).to_dict()
    held = dict.fromkeys(truth, 0)
    widths: dict[str, list[float]] = {name: [] for name in truth}
    for sample in range(given.samples):
        rng = np.random.default_rng([2, sample])
        found: dict[str, Any] = metrics.evaluate(*world(given.reviews, rng), resamples=RESAMPLES, seed=sample).to_dict()
        for name, estimate in found.items():
            held[name] += estimate["low"] <= truth[name]["value"] <= estimate["high"]
            widths[name].append(estimate["high"] - estimate["low"])
        if sample % 200 == 199:
            print(f"{sample + 1} samples", file=sys.stderr)
    print("| metric | truth | held, % | mean width |\n| :-- | --: | --: | --: |")
    for name, count in held.items():
        print(
            f"| {name} | {truth[name]['value']:.4f} | {100 * count / given.samples:.1f} | {np.mean(widths[name]):.4f} |"
        )


if __name__ == "__main__":
    main()
