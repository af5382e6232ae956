"""How many wrong labels `rnnsent data suspects` finds: some labels of IMDB's training reviews are flipped first.

The flips are a table of corrections, so that a network trains on them, too: `--corrections`. Reviews that IMDB itself
labels wrongly count as false alarms here, so that the real precision is higher.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.tables import markdown
from rnnsent.config.loader import load_config
from rnnsent.data.corrections import text_ids
from rnnsent.data.dataset import Dataset
from rnnsent.data.sources import load_dataset
from rnnsent.evaluation.suspects import UNLIKELY, Suspects, find_suspects
from rnnsent.training.experiment import Request, train


@dataclass(frozen=True)
class Search:
    """What was found with some probabilities."""

    name: str
    checked: int  # labels of training reviews
    flipped: int  # of these
    found: list[bool]  # whether each suspect is flipped, the most suspicious first


def write_flips(dataset: Dataset, share: float, seed: int, path: Path) -> set[int]:
    """Write a table that flips a share of the training labels; return the rows, from 1."""
    train = dataset.indices["train"]
    rows = np.sort(np.random.default_rng(seed).choice(train, round(share * len(train)), replace=False))
    others = [dataset.label_names[1 - label] for label in dataset.rows.labels[rows]]
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["row", "correct_label", "text_id"])
        table.writerows(zip((rows + 1).tolist(), others, text_ids(dataset, rows.tolist()), strict=True))
    return set((rows + 1).tolist())


def search(data: str, share: float, seed: int, network: tuple[str, int] | None, folder: Path) -> list[Search]:
    """Flip labels, and look for them with the linear part and, if a config is given, with a network of some epochs."""
    config, epochs = network or ("gru", 1)
    plain = load_config(config, {"data.source": data, "data.fallback": None, "training.epochs": epochs})
    flips = folder / "flips.csv"
    dataset = load_dataset(plain.data)
    flipped = write_flips(dataset, share, seed, flips)
    flipped_config = replace(plain, data=replace(plain.data, corrections=str(flips)))
    train_rows = set((dataset.indices["train"] + 1).tolist())
    linear = find_suspects(flipped_config.data)
    results = [_search("linear part, out of fold", linear, train_rows, flipped)]
    if network is not None:
        run = train(flipped_config, Request(config, latest=False), run_dir=folder / "run")
        held_out = set((dataset.split_indices(plain.data.validation_split)["validation"] + 1).tolist())
        suspects = find_suspects(None, run)
        results.append(_search(f"`{config}`, its validation", suspects, held_out, flipped))
        results.append(_search("linear part, the same reviews", linear, held_out, flipped))
    return results


def _search(name: str, suspects: Suspects, rows: set[int], flipped: set[int]) -> Search:
    unlikely = [row.row for row in suspects.rows if row.reason == UNLIKELY and row.row in rows]
    found = [row in flipped for row in unlikely]
    return Search(name, len(rows), len(rows & flipped), found)


def table(results: list[Search]) -> str:
    """Return a row for each search."""
    head = ["probabilities of", "labels", "flipped", "suspects", "precision", "recall", "precision of as many"]
    rows = [
        [each.name, f"{each.checked:,}", f"{each.flipped:,}", f"{len(each.found):,}",
         f"{sum(each.found) / max(len(each.found), 1):.1%}", f"{sum(each.found) / max(each.flipped, 1):.1%}",
         f"{sum(each.found[: each.flipped]) / max(each.flipped, 1):.1%}"]
        for each in results
    ]  # fmt: skip
    return markdown(head, rows)
