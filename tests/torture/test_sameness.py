"""What tells two trainings apart when they are tortured: it has to see every difference, and nothing that is none."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from rnnsent.runs.directory import Run, arrays_bytes, read_arrays
from tests.torture.sameness import compare

CHECKPOINT = "checkpoints/epoch-0001.safetensors"


def altered(run: Path, name: str, pattern: str, put: str) -> Path:
    """Change a file of a copy, and let its manifest agree."""
    shutil.copytree(run, "altered")
    path = Path("altered", name)
    if pattern:
        before = path.read_bytes()
        path.write_bytes(re.sub(pattern.encode(), put.encode(), before, count=1))
        assert path.read_bytes() != before
    elif name.endswith(".safetensors"):
        path.write_bytes(arrays_bytes({key: each * 2 for key, each in read_arrays(path).items()}))
    elif path.exists():
        path.unlink()
    else:
        path.write_bytes(b"")
    Run(Path("altered")).finish()
    return Path("altered")


DIFFERENCES = [
    ("weights.safetensors", "", ""), (CHECKPOINT, "", ""), (CHECKPOINT, r"(best_epoch..: )1", r"\g<1>2"),
    ("vocabulary.json", "word7", "word8"), ("history.csv", r"\n1,([^,]*),", r"\n1,\1,1"), ("summary.txt", "", ""),
    ("environment.json", '"cores": ', '"cores": 9'), ("metrics.json", '"value": 0', '"value": 1'),
    ("plots/more.png", "", ""), ("config.yaml", "seed: 0", "seed: 1"), ("model.keras", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "pattern", "put"), DIFFERENCES)
def test_differences_are_seen(name: str, pattern: str, put: str, finished_run: Path) -> None:
    (found,) = compare(finished_run, altered(finished_run, name, pattern, put))
    assert name in found


@pytest.mark.parametrize(
    ("name", "pattern", "put"),
    [
        ("history.csv", r"\n1,", r"\n1,1"), ("metrics.json", '"seconds": ', '"seconds": 1'),
        ("fingerprint.json", '"training": "..', '"training": "xx'),
        ("environment.json", '"command": .', '"command": ["x",'),
    ],
)  # fmt: skip
def test_what_may_differ_may(name: str, pattern: str, put: str, finished_run: Path) -> None:
    assert compare(finished_run, altered(finished_run, name, pattern, put)) == []
