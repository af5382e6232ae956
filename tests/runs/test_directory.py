"""The run directory: files, manifest, lock, evaluations."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnsent.errors import RunError
from rnnsent.runs import directory
from rnnsent.runs.directory import Run, acquire, is_locked, read_arrays
from rnnsent.runs.registry import create_run
from rnnsent.runs.schemas import BaselineEvaluation, Estimate
from tests.conftest import rnnsent


def finished(path: Path) -> Run:
    run = create_run("x", path)
    run.write("config.json", "{}\n")
    run.write("plots/curves.png", b"\x89PNG")
    run.finish()
    return run


def test_manifest_lists_every_file_and_notices_every_change(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    assert set(run.manifest()) == {"config.json", "plots/curves.png"}
    run.write("evaluations/test.json", "{}")  # what comes later is not of the run
    run.write("report.html", "")
    run.verify()
    before = run.sha256
    run.file("config.json").write_text("{ }\n")
    run.file("plots/curves.png").unlink()
    with pytest.raises(RunError, match=r"run: config.json was changed after training; plots/curves.png is missing; re"):
        run.verify()
    with pytest.raises(RunError, match=r"weights.safetensors is not in the manifest"):
        run.verify("weights.safetensors")
    run.finish()
    assert Run(run.path).sha256 != before


@pytest.mark.parametrize("content", ["", "[]", '{"files": 3}', '{"format": 1}'])
def test_damaged_manifest_is_named(tmp_path: Path, content: str) -> None:
    run = finished(tmp_path / "run")
    run.file("manifest.json").write_text(content)
    with pytest.raises(RunError, match=r"manifest.json: is not a manifest"):
        run.verify()


@pytest.mark.parametrize("command", ["predict", "eval", "trace"])
def test_commands_refuse_a_changed_run(finished_run: Path, command: str) -> None:
    shutil.copytree(finished_run, "run")
    weights = Path("run/weights.safetensors")
    weights.write_bytes(weights.read_bytes() + b"x")
    result = rnnsent(command, "run", *([] if command == "eval" else ["word4"]))
    assert result.exit_code == 1 and "weights.safetensors was changed after training" in result.stderr


def test_one_process_writes_a_run(tmp_path: Path) -> None:
    run = create_run("x", tmp_path / "run")
    assert is_locked(run.path)
    code = (
        "import sys; from pathlib import Path; from rnnsent.runs.directory import acquire; acquire(Path(sys.argv[1]))"
    )
    other = subprocess.run([sys.executable, "-c", code, str(run.path)], capture_output=True, text=True, check=False)
    assert other.returncode and "another training is writing this run now" in other.stderr
    run.release()
    assert not is_locked(run.path) and list(run.path.iterdir()) == []
    acquire(run.path).release()


def test_full_disk_keeps_what_was_written_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished(tmp_path / "run")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("rnnsent.files.os.fsync", full)
        with pytest.raises(RunError, match="run: the disk is full; what was written before is intact"):
            run.write("config.json", "new")
    run.verify()
    assert sorted(path.name for path in run.path.iterdir()) == ["config.json", "manifest.json", "plots"]


def test_evaluation_is_of_the_very_run_that_it_names(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    record = BaselineEvaluation(
        run=run.sha256, data="ab", date="2026-11-23T00:00:00Z", command=["rnnsent", "baseline"], split="test", texts=2,
        seconds=0.5, metrics={"accuracy": Estimate(0.5, 0.1, 0.9)}, strength=1.0, ngrams=9,
    )  # fmt: skip
    assert run.write_evaluation("baseline", record) == run.file("evaluations/test-baseline.json")
    assert run.evaluation("test", BaselineEvaluation, "baseline") == record
    assert run.evaluation("validation", BaselineEvaluation, "baseline") is None
    run.write("config.json", "{ }")
    run.finish()  # after more training
    assert Run(run.path).evaluation("test", BaselineEvaluation, "baseline") is None


def test_arrays_come_back_and_damage_is_named() -> None:
    arrays = {"a/b": np.arange(6, dtype=np.float32).reshape(2, 3).T, "c": np.zeros((0, 2)), "d": np.array(7, np.int64)}
    Path("a.safetensors").write_bytes(directory.arrays_bytes(arrays, {"note": "x"}))
    for name, array in read_arrays(Path("a.safetensors")).items():
        np.testing.assert_array_equal(array, arrays[name])
    Path("a.safetensors").write_bytes(b"x" * 50)
    with pytest.raises(RunError, match=r"a\.safetensors: is damaged: .*; restore it from a copy, or train again"):
        read_arrays(Path("a.safetensors"))
    with pytest.raises(RunError, match=r"b\.safetensors: cannot be read: no such file"):
        read_arrays(Path("b.safetensors"))


def test_history_names_file_and_line(finished_run: Path) -> None:
    shutil.copytree(finished_run, "run")
    run = Run(Path("run"))
    assert len(run.history()) == 1
    run.file("history.csv").write_text(run.file("history.csv").read_text().replace("\n1,", "\nx,"))
    with pytest.raises(RunError, match=r"run/history\.csv:2: epoch: input should be a valid integer"):
        run.history()
