from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rnnsent.runs.lock import Lock

import rnnsent
from rnnsent.errors import RunError
from rnnsent.runs import directory as runs
from rnnsent.runs import registry as run_root
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.registry import create_run, open_run
from tests.fuzz import seeds


def finished(path: Path) -> RunDirectory:
    run = create_run("x", path)
    run.write(runs.CONFIG, "model: {}\n")
    run.write(runs.METRICS, "{}\n")
    run.finish()
    return run


def test_runs_are_named_after_config_and_day_and_numbered() -> None:
    first, second = create_run("lstm"), create_run("lstm")
    assert first.path.parent == Path("runs") and first.path.name.startswith("lstm-20")
    assert first.path.name.endswith("-1") and second.path.name.endswith("-2")


def test_the_manifest_covers_every_file_and_notices_every_change(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    assert set(run.manifest()) == {runs.CONFIG, runs.METRICS}
    run.verify()
    run.file(runs.CONFIG).write_text("model: {a: 1}\n")
    run.file(runs.METRICS).unlink()
    with pytest.raises(RunError, match=r"config.yaml was changed after training; metrics.json is missing"):
        run.verify()
    os.mkfifo(run.file(runs.METRICS))
    with pytest.raises(RunError, match=r"metrics.json is no file any more"):
        run.verify()
    run.file(runs.METRICS).unlink()
    other = create_run("x", tmp_path / "other")
    for number in range(5):
        other.write(f"{number}.txt", str(number))
    other.finish()
    other.file("0.txt").unlink()
    with pytest.raises(RunError, match=r"other: 0.txt is missing\. Restore"):
        other.verify()
    other.file(runs.MANIFEST).write_bytes(run.file(runs.MANIFEST).read_bytes())
    with pytest.raises(RunError, match=r"config.yaml is missing; metrics.json is missing; or manifest.json is another"):
        other.verify()


def test_what_several_processes_write_at_once_is_all_there_and_never_looks_damaged(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")

    def write(writer: int) -> None:  # a lock is one of an open file: threads are as good as processes
        for number in range(8):
            with run.updating():
                recorded = run.read_json(runs.METRICS)
                run.update({runs.METRICS: json.dumps(recorded | {f"{writer}-{number}": number})})

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, writer) for writer in range(4)]
        while not all(each.done() for each in writers):
            run.verify()
        for each in writers:
            each.result()
    run.verify()
    assert {f"{writer}-{number}" for writer in range(4) for number in range(8)} <= set(run.read_json(runs.METRICS))


def test_a_run_that_somebody_writes_for_long_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished(tmp_path / "run")
    monkeypatch.setattr(runs, "UPDATE_SECONDS", 0.05)
    training = Lock(run.path)
    with pytest.raises(RunError, match="another training is writing this run now"), run.updating():
        pass
    training.release()
    with run.updating():
        run.update({"more.txt": "x"})
    run.verify()


@pytest.mark.parametrize("content", ["", "[]", '{"files": 3}', '{"format": 1}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, content: str) -> None:
    run = finished(tmp_path / "run")
    run.file(runs.MANIFEST).write_text(content)
    with pytest.raises(RunError, match=r"manifest.json: damaged.*or delete it: train --resume"):
        run.verify()


def test_a_folder_in_use_is_not_touched_without_force(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    with pytest.raises(RunError, match="is not empty; choose another --run-dir, or --force"):
        create_run("x", run.path)
    run.verify()


@pytest.mark.parametrize("foreign", ["thesis.tex", "src/code.py"])
def test_force_replaces_nothing_but_runs(tmp_path: Path, foreign: str) -> None:
    run = finished(tmp_path / "run")
    run.file(foreign).parent.mkdir(exist_ok=True)
    run.file(foreign).write_text("mine")
    with pytest.raises(RunError, match=r"--force replaces runs only.*it holds (thesis.tex|src)"):
        create_run("x", run.path, force=True)
    assert run.file(foreign).read_text() == "mine"


def test_a_replaced_run_goes_when_the_new_one_is_finished_and_comes_back_when_it_fails(tmp_path: Path) -> None:
    old = finished(tmp_path / "run")
    create_run("x", old.path, force=True).discard()
    old.verify()
    new = create_run("x", old.path, force=True)
    new.write(runs.CONFIG, "model: {new: 1}\n")
    new.finish()
    assert set(new.manifest()) == {runs.CONFIG}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_crash_in_an_update_leaves_a_run_that_agrees_with_its_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(tmp_path / "run")
    real: Callable[[RunDirectory, str, bytes | str], None] = RunDirectory.write
    contents = {runs.METRICS: '{"test": 1}\n', "predictions-test.csv": "new\n"}
    for crash_at in range(4):  # predictions, manifest, metrics, manifest
        left = crash_at

        def write(self: RunDirectory, name: str, content: bytes | str) -> None:
            nonlocal left
            if left == 0:
                raise RunError("power cut")
            left -= 1
            real(self, name, content)

        monkeypatch.setattr(RunDirectory, "write", write)
        with pytest.raises(RunError, match="power cut"):
            run.update(contents)
        monkeypatch.setattr(RunDirectory, "write", real)
        run.verify()
    run.update(contents)
    run.verify()
    assert json.loads(run.file(runs.METRICS).read_text()) == {"test": 1}


def test_the_latest_run() -> None:
    with pytest.raises(RunError, match="no run given and there is no runs/latest"):
        open_run(None)
    run = finished(Path("elsewhere") / "run")
    run_root.mark_latest(run)
    assert open_run(None).path == run.path
    run_root.LATEST.unlink()
    run_root.LATEST.write_text("../elsewhere/run")
    assert open_run(None).path == run.path


@pytest.mark.parametrize("path", ["missing", "."])
def test_what_is_no_run(path: str) -> None:
    with pytest.raises(RunError, match=r"no such run directory|not a run directory"):
        open_run(Path(path))


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "run", Path("/proc/run")):
        with pytest.raises(RunError, match=r"is a file|cannot be written"):
            create_run("x", path)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_that_cannot_make_room_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = finished(tmp_path / "run")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("rnnsent.files.os.fsync", full)
    with pytest.raises(RunError, match="the disk is full; what was written before is intact"):
        create_run("x", old.path, force=True)
    with pytest.raises(RunError, match="the disk is full"):
        old.update({runs.METRICS: "{}"})
    monkeypatch.undo()
    old.verify()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["config.yaml", "manifest.json", "metrics.json", "run"]


def test_a_file_that_the_manifest_does_not_know_is_named(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    with pytest.raises(RunError, match=r"weights.npz is not in the manifest"):
        run.verify(runs.WEIGHTS)


@pytest.mark.parametrize(("content", "message"), [("{", "cannot be read"), ("[1]", "is not a JSON object")])
def test_a_json_file_that_is_none_is_named(tmp_path: Path, content: str, message: str) -> None:
    run = finished(tmp_path / "run")
    run.file(runs.METRICS).write_text(content)
    with pytest.raises(RunError, match=f"metrics.json: {message}"):
        run.read_json(runs.METRICS)


def test_another_runs_manifest_is_suspected_by_whoever_looks_at_few_files(finished_run: Path) -> None:
    shutil.copytree(finished_run, "run")
    files = RunDirectory(Path("run")).manifest()
    for name in ("config.yaml", "weights.npz"):
        files[name] = ["00"]
    Path("run/manifest.json").write_bytes(seeds.manifest(files))
    with pytest.raises(RunError, match=r"weights\.npz was changed after training; or manifest\.json is another run's"):
        rnnsent.load("run")
