"""What tells two trainings apart when they are tortured: it has to see every difference, and nothing that is none."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rnnsent.runs.manifest import vouched_for

from rnnsent.json_files import sealed, unsealed
from rnnsent.runs.directory import RunDirectory
from tests.torture.sameness import compare

CHECKPOINT = "checkpoints/epoch-0001.npz"


def arrays(path: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    with np.load(path) as archive:
        found = dict(archive)
    change(found)
    np.savez(path, **found)


def texts(pattern: str, put: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        before = path.read_text()
        after = re.sub(pattern, put, before, count=1)
        assert after != before
        path.write_text(after)

    return change


def member(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            found = {each: archive.read(each) for each in archive.namelist()}
        found[name] = change(found[name])
        with zipfile.ZipFile(path, "w") as archive:
            for each, content in found.items():
                archive.writestr(each, content)

    return rewrite


def facts(key: str, value: object) -> Callable[[Path], None]:
    def change(found: dict[str, np.ndarray]) -> None:
        said = json.loads(found["facts"].tobytes()) | {key: value}
        found["facts"] = np.frombuffer(json.dumps(said).encode(), np.uint8)

    return lambda path: arrays(path, change)


def commanded(*words: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"command": ["rnnsent", "train", *words]}))

    return change


def resealed(name: str, value: Any) -> Callable[[Path], object]:
    """Return what changes a part of a file that vouches for itself."""

    def change(path: Path) -> None:
        path.write_text(json.dumps(sealed(unsealed(json.loads(path.read_text())) | {name: value})))

    return change


def altered(run: Path, name: str, change: Callable[[Path], object], folder: str = "altered") -> Path:
    """Change a file of a copy, and let its manifest agree; its card repeats what other files say."""
    copy = Path(folder, "run")  # of the same name, for its card's sake
    shutil.copytree(run, copy)
    change(copy / name)
    RunDirectory(copy).finish()
    return copy


def but_for_the_card(found: list[str]) -> list[str]:
    return [each for each in found if not each.endswith("model_card.md is not what its files say")]


DIFFERENCES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a weight": ("weights.npz", lambda path: arrays(path, lambda found: found.update({"more": np.zeros(1)}))),
    "a word": ("vocabulary.json", texts("}", " }")),
    "an epoch": ("history.csv", texts(r"\n1,([^,]*),", r"\n1,\1,1")),
    "the machine": ("environment.json", texts('"cores": ', '"cores": 9')),
    "the data": ("origin.json", resealed("data", {"train": "0"})),
    "a metric": ("metrics.json", texts('"value": 0', '"value": 1')),
    "the optimizer": (CHECKPOINT, lambda path: arrays(path, lambda found: found.pop("optimizer/000/iteration"))),
    "a counter": (CHECKPOINT, facts("best", None)),
    "a layer": ("model.keras", member("config.json", lambda content: content.replace(b'"units": ', b'"units": 1'))),
    "its weights": ("model.keras", member("model.weights.h5", lambda content: content + b"\0")),
    "a file too many": ("plots/more.png", lambda path: path.write_bytes(b"")),
    "a file too few": ("summary.txt", lambda path: path.unlink()),
}


@pytest.mark.parametrize("what", DIFFERENCES)
def test_differences_are_seen(what: str, finished_run: Path) -> None:
    name, change = DIFFERENCES[what]
    (found,) = but_for_the_card(compare(finished_run, altered(finished_run, name, change)))
    assert name in found


def test_a_card_of_its_own_is_seen(finished_run: Path) -> None:
    (found,) = compare(finished_run, altered(finished_run, "model_card.md", texts("validation", "test")))
    assert "model_card.md was edited" in found
    shutil.rmtree("altered")
    other = vouched_for((finished_run / "model_card.md").read_text().partition("<!--")[0].replace("validation", "test"))
    (found,) = compare(finished_run, altered(finished_run, "model_card.md", lambda path: path.write_text(other)))
    assert "model_card.md is not what its files say" in found


FREE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "nothing": ("weights.npz", lambda path: None),
    "seconds of an epoch": ("history.csv", texts(r"\n1,", r"\n1,1")),
    "identity": ("origin.json", resealed("training", "another")),
    "identity in a checkpoint": (CHECKPOINT, facts("training", "another")),
    "seconds in a checkpoint": (CHECKPOINT, facts("elapsed", 9.0)),
    "addresses in memory": (
        "model.keras",
        member("config.json", lambda content: re.sub(rb'("shared_object_id": )', rb"\g<1>1", content)),
    ),
}


@pytest.mark.parametrize("what", FREE)
def test_what_may_differ_may(what: str, finished_run: Path) -> None:
    name, change = FREE[what]
    assert but_for_the_card(compare(finished_run, altered(finished_run, name, change))) == []


@pytest.mark.parametrize(
    "words, same",
    [
        (["--run-dir", "there", "--epochs", "1"], True),
        (["--run-dir", "here", "--epochs", "2"], False),
        (["--resume", "here"], True),  # killed before its command was kept
    ],
)
def test_commands(words: list[str], same: bool, finished_run: Path) -> None:
    given = commanded("--run-dir", "here", "--epochs", "1")
    one = altered(finished_run, "environment.json", given, "one")
    other = altered(finished_run, "environment.json", commanded(*words), "other")
    found = but_for_the_card(compare(one, other))
    assert found == ([] if same else ["environment.json differs in its command"])
