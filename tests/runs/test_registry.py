"""The folder of all runs: where a new one goes, which one is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnsent.errors import RunError
from rnnsent.runs.directory import Run
from rnnsent.runs.registry import LATEST, create_run, mark_latest, open_run, runs_of
from tests.runs.test_directory import finished


def test_runs_are_named_after_config_and_day_and_numbered() -> None:
    first, second = create_run("lstm"), create_run("lstm")
    assert first.path.parent == Path("runs") and first.path.name.startswith("lstm-20")
    assert first.path.name.endswith("-1") and second.path.name.endswith("-2")


def test_folder_in_use_is_not_touched(tmp_path: Path) -> None:
    run = create_run("x", tmp_path / "run")
    run.write("config.json", "{}")
    for force in (False, True):
        with pytest.raises(RunError, match="another training is writing this run now"):
            create_run("x", run.path, force=force)
    run.release()
    with pytest.raises(RunError, match=r"holds a run; continue it: rnnsent train --resume .*, or --force to replace"):
        create_run("x", run.path)
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "run", Path("/proc/run")):
        with pytest.raises(RunError, match=r"is a file|cannot be written"):
            create_run("x", path, force=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_replaced_run_goes_when_the_new_one_is_finished_and_comes_back_when_it_fails(tmp_path: Path) -> None:
    old = finished(tmp_path / "run")
    create_run("x", old.path, force=True).discard()
    old.verify()
    new = create_run("x", old.path, force=True)
    new.write("config.json", "{ }")
    new.finish()
    assert set(new.manifest()) == {"config.json"} and [path.name for path in tmp_path.iterdir()] == ["run"]


def test_latest_run() -> None:
    with pytest.raises(RunError, match="no run given and there is no runs/latest"):
        open_run(None)
    run = finished(Path("elsewhere") / "run")
    mark_latest(run)
    assert open_run(None) == Run(run.path)
    LATEST.unlink()
    LATEST.write_text("../elsewhere/run")  # where links cannot be made
    assert open_run(None) == Run(run.path)
    run.path.rename("elsewhere/moved")
    with pytest.raises(RunError, match="runs/latest: names elsewhere/run, which is not there any more"):
        open_run(None)


def test_what_is_no_run_is_named_with_what_was_meant() -> None:
    finished(Path("runs/lstm-1"))
    with pytest.raises(RunError, match=r"lstm-l: no such run directory; did you mean runs/lstm-1\?"):
        open_run(Path("lstm-l"))
    with pytest.raises(RunError, match=r"config.json: is a file; a run is the folder .*; did you mean runs/lstm-1\?"):
        open_run(Path("runs/lstm-1/config.json"))
    with pytest.raises(RunError, match=r"not a run directory, it has no config\.json"):
        open_run(Path())


def test_folder_of_seeds_stands_for_its_runs() -> None:
    for seed in (10, 2):
        finished(Path(f"both/seed-{seed}"))
    Path("both/seeds.json").write_text("{}")
    assert runs_of(Path("both")) == [Path("both/seed-2"), Path("both/seed-10")]
    with pytest.raises(RunError, match="both: holds a run for each seed; name one of them: both/seed-2, both/seed-10"):
        open_run(Path("both"))
