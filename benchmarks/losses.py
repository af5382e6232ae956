"""What each recipe loses on texts that are not as in training: `rnnsent robustness` of several runs as one table.

RNNSENT_DATA=… python benchmarks/losses.py RUN…

Runs are called RECIPE-SEED, as benchmarks/recipes.py calls them; of a recipe with several seeds the mean and the
standard deviation are shown. What a run was asked before is in its metrics.json, and is not measured again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.recipes import spread

Rows = list[dict[str, Any]]


def rows_of(run: Path) -> Rows:
    """Return the rows of one run."""
    before = json.loads((run / "metrics.json").read_text()).get("robustness") or {}
    if "test" in before:
        kept: Rows = before["test"]
        return kept
    command = [sys.executable, "-m", "rnnsent", "robustness", str(run), "--json"]
    found: Rows = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["rows"]
    return found


def cell(seeds: list[Rows], place: int) -> str:
    """Return the accuracy of a recipe on some texts, and beside it how far that is from all reviews."""
    accuracies = [100 * rows[place]["accuracy"] for rows in seeds]
    if not place:
        return f"{spread(accuracies)} %"
    lost = [100 * (rows[place]["accuracy"] - rows[0]["accuracy"]) for rows in seeds]
    return f"{spread(accuracies)} % ({mean(lost):+.2f})"


def main(given: list[str]) -> None:
    """Measure and print: the accuracy on all reviews, and what is lost on the others, in points."""
    recipes: dict[str, list[Rows]] = {}
    for run in map(Path, given):
        recipes.setdefault(run.name.rpartition("-")[0], []).append(rows_of(run))
    names = [f"`{name}` ({len(seeds)})" for name, seeds in recipes.items()]
    print("| " + " | ".join(["", "texts", *names]) + " |\n| :-- |" + " --: |" * (len(names) + 1))
    for place, row in enumerate(next(iter(recipes.values()))[0]):
        # Quarters by length are of other lengths in other runs: maxlen differs, the reviews do not.
        name = row["name"] if row["group"] in ("all", "written for it") else f"{row['group']}: {row['name']}"
        cells = [cell(seeds, place) for seeds in recipes.values()]
        print("| " + " | ".join([name, f"{row['texts']:,}", *cells]) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
