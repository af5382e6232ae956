"""Trains and judges the recipes with several seeds and prints the table of docs/results.md.

    RNNSENT_DATA=… python benchmarks/recipes.py FOLDER [--seeds N] [--gpu] [--set KEY=VALUE]…
        [--variant KEY=VALUE]… RECIPE…

Each run stays in FOLDER/RECIPE-SEED and is not made again; one that was stopped goes on. With variants the table is
another one: the recipe, and below it what each of them makes of it, in FOLDER/RECIPE,KEY=VALUE-SEED. Whatever is not as
its file says, by --set or as a variant, is judged by validation alone, so that nothing is chosen by what the test says.
Training looks for a GPU by itself; with --gpu the test reviews are judged there as well, through Keras.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

COLUMNS = ("recipe", "seeds", "validation, %", "test, %", "wall s", "peak MB", "parameters", "MB on disk")


def rnnsent(*arguments: str) -> dict[str, Any]:
    """Run a command of rnnsent that prints JSON."""
    command = [sys.executable, "-m", "rnnsent", *arguments, "--json"]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


def measured(
    folder: Path, recipe: str, seed: int, changes: Sequence[str], judging: Sequence[str] = ()
) -> dict[str, Any]:
    """Train and judge one recipe with one seed, unless that was done before; return its facts.

    `judging` are options of `rnnsent eval`.
    """
    run = folder / f"{','.join([recipe, *changes])}-{seed}".replace("/", "_")
    facts = run.with_suffix(run.suffix + ".json")
    if not facts.exists():
        print(f"{run}", file=sys.stderr)
        started = time.perf_counter()
        changed = [argument for change in changes for argument in ("--set", change)]
        if run.exists():  # it was stopped: its own seconds go on, though not those of starting twice
            trained = rnnsent("train", "--resume", str(run), "--quiet")
            wall = trained["seconds"]
        else:
            how = ("--config", recipe, "--seed", str(seed), "--run-dir", str(run), *changed)
            trained = rnnsent("train", *how, "--quiet")
            wall = time.perf_counter() - started
        test = None if changes else rnnsent("eval", str(run), *judging)["metrics"]
        size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
        facts.write_text(json.dumps({"trained": trained, "test": test, "wall": wall, "size": size}))
    found: dict[str, Any] = json.loads(facts.read_text())
    return found


def spread(values: list[float], digits: int = 2) -> str:
    """Return the mean, with the standard deviation where there are several."""
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):,.{digits}f}{deviation}"


def row(name: str, found: list[dict[str, Any]]) -> str:
    """Return one line of the table."""
    trained = [each["trained"] for each in found]
    tests = [each["test"] for each in found if each["test"] is not None]
    cells = [
        name,
        str(len(found)),
        spread([100 * each["validation"]["accuracy"]["value"] for each in trained]),
        spread([100 * each["accuracy"]["value"] for each in tests]) if tests else "–",
        spread([each["wall"] for each in found], 0),
        f"{max(each['peak_memory_mb'] for each in trained):,.0f}",
        f"{trained[0]['parameters']:,}",
        f"{mean(each['size'] for each in found) / 1e6:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def variants(folder: Path, recipe: str, seeds: int, changes: list[str], asked: list[str]) -> Iterator[str]:
    """Yield the lines of a table: what each variant makes of a recipe, with the same `changes`, on validation."""
    columns = "with | seeds | validation, % | difference | log loss | difference | wall s | peak MB"
    yield f"| {columns} |\n| :-- |" + " --: |" * columns.count("|")
    whole = None
    for variant in (None, *asked):
        own = [*changes, *([] if variant is None else [variant])]
        found = [measured(folder, recipe, seed, own) for seed in range(seeds)]
        judged = [each["trained"]["validation"] for each in found]
        right = [100 * each["accuracy"]["value"] for each in judged]
        loss = [each["log_loss"]["value"] for each in judged]
        whole = (mean(right), mean(loss)) if whole is None else whole
        differences = f"{mean(right) - whole[0]:+.2f}", f"{mean(loss) - whole[1]:+.4f}"
        name = f"`{recipe}`" if variant is None else f"`{variant}`"
        cells = [name, str(seeds), spread(right), differences[0], spread(loss, 4), differences[1]]
        cells.append(f"{median(each['wall'] for each in found):,.0f}")
        cells.append(f"{max(each['trained']['peak_memory_mb'] for each in found):,.0f}")
        yield "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--set", action="append", default=[], dest="changes")
    parser.add_argument("--variant", action="append", default=[], dest="variants")
    parser.add_argument("recipes", nargs="+")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.variants:
        for recipe in given.recipes:
            for line in variants(given.folder, recipe, given.seeds, given.changes, given.variants):
                print(line, flush=True)
        return
    judging = ("--backend", "keras", "--device", "gpu") if given.gpu else ()
    print("| " + " | ".join(COLUMNS) + " |\n|" + " :-- |" + " --: |" * (len(COLUMNS) - 1))
    for recipe in given.recipes:
        found = [measured(given.folder, recipe, seed, given.changes, judging) for seed in range(given.seeds)]
        print(row(f"`{recipe}`", found), flush=True)


if __name__ == "__main__":
    main()
