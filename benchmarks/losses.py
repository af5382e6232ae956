"""What each recipe loses on texts that are not as in training: `rnnsent robustness` of several runs as one table.

RNNSENT_DATA=… python benchmarks/losses.py RUN…

What a run was asked before is in its metrics.json, and is not measured again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def rows_of(run: str) -> list[dict[str, Any]]:
    """Return the rows of one run."""
    before = json.loads((Path(run) / "metrics.json").read_text()).get("robustness") or {}
    if "test" in before:
        kept: list[dict[str, Any]] = before["test"]
        return kept
    command = [sys.executable, "-m", "rnnsent", "robustness", run, "--json"]
    found: list[dict[str, Any]] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["rows"]
    return found


def main(given: list[str]) -> None:
    """Measure and print: the accuracy on all reviews, and what is lost on the others, in points."""
    measured = [rows_of(run) for run in given]
    names = [f"`{Path(run).name.rpartition('-')[0]}`" for run in given]
    print("| " + " | ".join(["", "texts", *names]) + " |\n| :-- |" + " --: |" * (len(names) + 1))
    for place, row in enumerate(measured[0]):
        # Quarters by length are of other lengths in other runs: maxlen differs, the reviews do not.
        name = row["name"] if row["group"] in ("all", "written for it") else f"{row['group']}: {row['name']}"
        cells = [f"{100 * each[place]['accuracy']:.2f} %" for each in measured]
        if place:
            cells = [
                f"{cell} ({100 * (each[place]['accuracy'] - each[0]['accuracy']):+.2f})"
                for cell, each in zip(cells, measured, strict=True)
            ]
        print("| " + " | ".join([name, f"{row['texts']:,}", *cells]) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
