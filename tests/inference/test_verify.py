"""What `rnnsent verify` holds a run against."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnsent.inference import verify as probes
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.registry import open_run
from tests.conftest import rnnsent


@pytest.fixture
def run(finished_run: Path) -> Path:
    shutil.copytree(finished_run, "run")
    return Path("run")


def test_a_finished_run_is_as_it_was(run: Path) -> None:
    result = rnnsent("verify", "run")
    assert result.exit_code == 0, result.stderr
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [
        ["ok", name] for name in ("files", "encoder", "native", "numpy", "keras", "model.keras")
    ]
    found = json.loads(rnnsent("verify", "run", "--json", "--backend", "numpy").stdout)
    assert found["passed"] and [check["name"] for check in found["checks"]] == ["files", "encoder", "numpy"]


def test_probes_hold_what_the_run_answers(run: Path) -> None:
    kept = json.loads((run / "probes.json").read_text())["probes"]
    assert [probe["text"] for probe in kept[:-2]] == list(probes.TEXTS)
    assert kept[-2]["text"].startswith("word1 word2 word3 ")
    assert kept[0]["ids"] == [1] and all(abs(sum(probe["probabilities"]) - 1) < 1e-6 for probe in kept)
    assert max(len(probe["ids"]) for probe in kept) == 30  # maxlen


def change(name: str, edit: Callable[[Any], None]) -> None:
    """Change a JSON file of the run, and its hash in the manifest with it."""
    values = json.loads(Path("run", name).read_text())
    edit(values)
    open_run(Path("run")).update({name: json.dumps(values)})


def test_a_changed_file_fails(run: Path) -> None:
    (run / "vocabulary.json").write_text("{}")
    result = rnnsent("verify", "run")
    assert result.exit_code == 1 and "vocabulary.json was changed" in result.stdout
    assert "not as it was finished: files" in result.stderr


def test_another_encoder_fails(run: Path) -> None:
    change(runs.VOCABULARY, lambda values: values["words"].__setitem__(slice(None), values["words"][::-1]))
    change(runs.PROBES, lambda values: values["probes"].append({"text": "word1 word2", "ids": [1, 4, 5]} | FLAT))
    result = rnnsent("verify", "run", "--backend", "numpy")
    assert result.exit_code == 1 and "FAILED encoder" in result.stdout
    assert "3 of 15 probes are encoded otherwise, the first: 'word1 word2 word3" in result.stdout


FLAT = {"probabilities": [0.5, 0.5]}


def test_other_answers_fail(run: Path) -> None:
    change(runs.PROBES, lambda values: values["probes"][2].update(probabilities=[0.9, 0.1]))
    result = rnnsent("verify", "run", "--backend", "numpy", "--json")
    assert result.exit_code == 1
    assert [check["passed"] for check in json.loads(result.stdout)["checks"]] == [True, True, False]


def test_another_model_in_the_saved_file_fails(run: Path) -> None:
    import keras

    model = keras.models.load_model("run/model.keras", compile=False)
    model.set_weights([weight * 1.5 for weight in model.get_weights()])
    model.save("run/model.keras")
    RunDirectory(run).finish()
    result = rnnsent("verify", "run", "--backend", "keras")
    assert result.exit_code == 1 and "FAILED model.keras" in result.stdout
    assert "ok     keras " in result.stdout


def test_a_run_without_probes_says_so(run: Path) -> None:
    (run / "probes.json").unlink()
    RunDirectory(run).finish()
    result = rnnsent("verify", "run")
    assert result.exit_code == 1 and "has no probes.json: it was trained by an older rnnsent" in result.stderr


@pytest.mark.parametrize("probability", [10**400, 1.5, -0.1, "1"])
def test_a_probe_whose_probability_is_none_is_refused(run: Path, probability: Any) -> None:
    change(runs.PROBES, lambda values: values["probes"][2].update(probabilities=[0.5, probability]))
    result = rnnsent("verify", "run")
    assert result.exit_code == 1 and "probes.json: is of another format than this rnnsent reads" in result.stderr
