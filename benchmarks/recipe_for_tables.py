"""Trains the recipe for tables beside TF-IDF with logistic regression, and prints the table of docs/results.md.

    python benchmarks/recipe_for_tables.py FOLDER [--seeds N] [--rows N,N,0] [--set KEY=VALUE]… TABLE…

Each TABLE has the columns text, label and split. `--rows` takes that many training rows, drawn by label and seed, for a
learning curve; 0 takes all. Runs stay in FOLDER and are not made again; their test rows are evaluated once.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline, make_union

from benchmarks.recipes import spread
from rnnsent.evaluation.intervals import discordant, paired_difference

Rows = list[dict[str, str]]
STRENGTHS = {"logisticregression__C": [1.0, 3.0, 10.0, 30.0]}  # chosen by cross-validation on the training rows
WORDS = {"ngram_range": (1, 2), "sublinear_tf": True, "min_df": 1}
CHARACTERS = {"analyzer": "char_wb", "ngram_range": (2, 5), "sublinear_tf": True, "min_df": 2}


def read(path: Path) -> Rows:
    """Return the rows of a table."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sampled(rows: Rows, number: int, seed: int) -> Rows:
    """Return the test rows, and `number` of the others, drawn by label; all rows as they are if it is 0."""
    if not number:
        return rows
    test = [row for row in rows if row["split"] == "test"]
    train = [row for row in rows if row["split"] != "test"]
    labels = [row["label"] for row in train]
    train, _ = train_test_split(train, train_size=number, random_state=seed, stratify=labels)
    return [{**row, "split": "train"} for row in train] + test


def linear(rows: Rows, *, characters: bool) -> np.ndarray[Any, Any]:
    """Return which test rows TF-IDF with logistic regression has right."""
    features = [TfidfVectorizer(**WORDS), *([TfidfVectorizer(**CHARACTERS)] if characters else [])]
    model = GridSearchCV(make_pipeline(make_union(*features), LogisticRegression(max_iter=1000)), STRENGTHS)
    train, test = ([row for row in rows if (row["split"] == "test") == tested] for tested in (False, True))
    model.fit([row["text"] for row in train], [row["label"] for row in train])
    found: np.ndarray[Any, Any] = model.predict([row["text"] for row in test]) == [row["label"] for row in test]
    return found


def measured(folder: Path, path: Path, number: int, seed: int, changes: Sequence[str]) -> dict[str, Any]:
    """Train and evaluate once; return accuracies, F1, seconds, and the differences from both linear models."""
    name = f"{path.stem}-{number or 'all'}-{seed}"
    facts = folder / f"{name}.json"
    if not facts.exists():
        rows, table, run = sampled(read(path), number, seed), folder / f"{name}.csv", folder / name
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["text", "label", "split"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        command, started = [sys.executable, "-m", "rnnsent"], time.perf_counter()
        settings = [argument for change in changes for argument in ("--set", change)]
        train = ["train", "--data", str(table), "--seed", str(seed), "--run-dir", str(run), "--quiet", "--force"]
        subprocess.run([*command, *train, *settings], check=True)
        seconds = time.perf_counter() - started
        output = subprocess.run([*command, "eval", str(run), "--json"], check=True, stdout=subprocess.PIPE).stdout
        found = json.loads(output)
        predictions = read(run / "evaluations" / "test-predictions.csv")
        right = np.array([row["label"] == row["predicted"] for row in predictions])
        result = {"accuracy": found["metrics"]["accuracy"]["value"], "f1": found["metrics"]["f1"]["value"]}
        for column, characters in (("words", False), ("characters", True)):
            other = linear(rows, characters=characters)
            difference = paired_difference(*discordant(other, right), len(right))
            result |= {column: float(other.mean()), f"difference {column}": vars(difference)}
        validation = json.loads((run / "metrics.json").read_text())["validation"]["accuracy"]["value"]
        facts.write_text(json.dumps({**result, "validation": validation, "seconds": seconds}))
    values: dict[str, Any] = json.loads(facts.read_text())
    return values


def row(path: Path, number: int, found: list[dict[str, Any]]) -> str:
    """Return one line of the table; the difference is that of the first seed from the better linear model."""
    better = "characters" if found[0]["characters"] > found[0]["words"] else "words"
    difference = found[0][f"difference {better}"]
    cells = [path.stem, f"{number:,}" if number else "all"]
    cells += [
        spread([100 * each[key] for each in found]) for key in ("validation", "accuracy", "f1", "words", "characters")
    ]
    value, low, high = (100 * difference[key] for key in ("value", "low", "high"))
    return " | ".join(
        [*cells, f"{value:+.1f} ({low:+.1f} to {high:+.1f})", f"{mean(each['seconds'] for each in found):.0f}"]
    )


def main() -> None:
    """Print the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", default="0")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    names = ["table", "rows", "validation", "test", "F1", "TF-IDF words", "and characters", "difference", "wall s"]
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for path in arguments.tables:
        for number in map(int, arguments.rows.split(",")):
            seeds = range(arguments.seeds)
            found = [measured(arguments.folder, path, number, seed, arguments.changes) for seed in seeds]
            print(f"| {row(path, number, found)} |", flush=True)


if __name__ == "__main__":
    main()
