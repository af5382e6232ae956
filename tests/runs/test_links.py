"""Links in a run of a stranger: nothing that a command writes goes through them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rnnsent.errors import RunError
from rnnsent.reporting.page import GENERATOR
from rnnsent.runs import artifacts as stored
from rnnsent.runs.directory import RunDirectory, waiting_runs
from rnnsent.runs.lock import Lock, is_locked
from rnnsent.runs.registry import create_run
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training.seeds import Plan, begin
from tests.conftest import rnnsent

SECRET = GENERATOR.encode()  # or a report would not take its place, link or not
WRITERS = {
    "eval": ["eval", "run"],
    "validation": ["eval", "run", "--split", "validation"],
    "report": ["report", "run"],
    "robustness": ["robustness", "run"],
    "resume": ["train", "--resume", "run", "--epochs", "2", "--allow-changes", "--quiet"],
}


@pytest.fixture(scope="module")
def judged(finished_run: Path, tiny_imdb: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("judged") / "run"
    shutil.copytree(finished_run, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSENT_DATA", str(tiny_imdb))
        patch.setenv("RNNSENT_CACHE", str(cache))
        result = rnnsent("eval", str(path))
    assert result.exit_code == 0, result.stderr
    return path


@pytest.fixture
def run(judged: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(judged, "run")
    return Path("run")


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def plant(run: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Put a link in the place of each file of the run, and of those that will be `names`; return where they lead."""
    for name in {*files(run), *names}:
        outside = Path("outside", name)
        outside.parent.mkdir(parents=True, exist_ok=True)
        if (run / name).is_file():
            (run / name).rename(outside)  # what is read through a link is what the manifest lists
        else:
            outside.write_bytes(SECRET)
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).symlink_to(outside.resolve())
    return files(Path("outside"))


@pytest.mark.parametrize("command", WRITERS)
def test_no_command_writes_through_a_link_to_a_file(run: Path, command: str) -> None:
    shutil.copytree(run, "plain")
    plain = rnnsent(*(argument.replace("run", "plain") for argument in WRITERS[command]))
    assert plain.exit_code == 0, plain.stderr
    written = [name for name, content in files(Path("plain")).items() if files(run).get(name) != content]
    assert written
    before = plant(run, written)
    result = rnnsent(*WRITERS[command])
    assert result.exit_code == 0, result.stderr
    assert files(Path("outside")) == before
    for name in written:
        assert (run / name).is_file() and not (run / name).is_symlink(), name


@pytest.mark.parametrize(
    ("name", "there"),
    [("plots", True), ("logs", True), ("checkpoints", True), ("members/1", True), ("teacher", True), ("plots", False)],
)
def test_no_command_writes_through_a_link_to_a_folder(run: Path, name: str, there: bool) -> None:
    if (run / name).is_dir():
        (run / name).rename("outside")
    elif there:
        Path("outside").mkdir()
    if there:
        Path("outside/epoch-0000.npz").write_bytes(SECRET)
        Path("outside/curves-old.png").write_bytes(SECRET)
    elif Path("outside").exists():
        shutil.rmtree("outside")
    before = files(Path("outside"))
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).symlink_to(Path("outside").resolve())
    for command in ("eval", "resume") if there else ("resume",):  # what is missing is noticed before
        result = rnnsent(*WRITERS[command])
        assert result.exit_code == 1 and "Traceback" not in result.stderr
        assert f"run/{name}: is a link, through which files of the run would be written elsewhere" in result.stderr
    assert files(Path("outside")) == before and Path("outside").exists() == there


def test_a_run_that_is_replaced_takes_its_links_with_it(run: Path) -> None:
    (run / "plots").rename("outside")
    (run / "plots").symlink_to(Path("outside").resolve())
    before = files(Path("outside"))
    replaced = rnnsent("train", "--config", str(run / "config.yaml"), "--run-dir", "run", "--force", "--quiet")
    assert replaced.exit_code == 0, replaced.stderr
    assert files(Path("outside")) == before and (run / "plots").is_dir() and not (run / "plots").is_symlink()


@pytest.mark.parametrize("leads_to", ["a file", "nothing", "a pipe"])
def test_a_lock_that_is_a_link_is_neither_followed_nor_removed(run: Path, leads_to: str) -> None:
    target = Path("target").resolve()
    if leads_to == "a file":
        target.write_bytes(SECRET)
    elif leads_to == "a pipe":
        os.mkfifo(target)
    (run / ".lock").symlink_to(target)
    assert not is_locked(run)
    for arguments in (*WRITERS.values(), ["train", "--config", "gru", "--run-dir", "run", "--force"]):
        result = rnnsent(*arguments)
        assert result.exit_code == 1 and "run/.lock: is a link, and a lock is none; remove it" in result.stderr
    assert target.exists() == (leads_to != "nothing") and (run / ".lock").is_symlink()


def test_a_lock_that_is_a_pipe_holds_nobody_up(run: Path) -> None:
    os.mkfifo(run / ".lock")
    assert not is_locked(run)
    held = Lock(run)
    assert is_locked(run)
    held.release()


def of_seeds(arguments: Sequence[str] = ()) -> Plan:
    plan = Plan(("--config", "gru", *arguments), (0, 1), False, {})
    begin(Path("both"), plan, force=False)
    return plan


def test_the_run_of_a_seed_is_not_elsewhere(run: Path) -> None:
    of_seeds()
    Path("both/seed-0").symlink_to(run.resolve())
    before = files(run)
    for arguments in (["train", "--resume", "both"], ["eval", "both"], ["report", "both", "-o", "x.html"]):
        result = rnnsent(*arguments)
        assert result.exit_code == 1 and "both/seed-0: is a link" in result.stderr
    assert files(run) == before


@pytest.mark.parametrize("argument", ["--resume", "--run-dir=run", "--force", "--", "--seeds"])
def test_the_plan_of_a_folder_of_seeds_does_not_say_where_to_write(run: Path, argument: str) -> None:
    before = files(run)
    of_seeds([argument, "run"])
    result = rnnsent("train", "--resume", "both")
    assert result.exit_code == 1
    odd = argument.partition("=")[0]
    assert f"both/seeds.json: refused: it passes on {odd}" in result.stderr
    assert files(run) == before and not Path("both/seed-0").exists()


def test_a_waiting_run_that_is_a_link_is_none(run: Path) -> None:
    Path("other.replaced-1").symlink_to(run.resolve())
    assert waiting_runs(Path("other")) == []


def test_what_is_not_linked_is_written_as_ever(tmp_path: Path) -> None:
    """A run may be named by a link: somebody typed it."""
    run = create_run("x", tmp_path / "run")
    run.write("config.yaml", "model: {}\n")
    run.finish()
    Path("latest").symlink_to(run.path)
    linked = replace(run, path=Path("latest"), lock=None)
    with linked.updating():
        linked.update({"metrics.json": "{}"})
    assert set(run.manifest()) == {"config.yaml", "metrics.json"}
    Path(run.path, "plots").symlink_to(tmp_path)
    with pytest.raises(RunError, match="plots: is a link"), linked.updating():
        pass


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_has_no_end_is_not_read(kind: str) -> None:
    """A link to a device, which an archive may hold, has no size that could be bounded."""

    def put(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
        return path

    run = RunDirectory(Path("run"))
    put(run.file("language_model.json"))
    with pytest.raises(RunError, match=r"language_model\.json: cannot be read: .*it is no file"):
        run.read_json("language_model.json")
    put(run.file("checkpoints/epoch-0001.npz"))
    with pytest.raises(RunError, match=r"epoch-0001\.npz: cannot be read: .*it is no file"):
        checkpoints.read(run, "checkpoints/epoch-0001.npz")
    put(run.file("history.csv"))
    with pytest.raises(RunError, match=r"history\.csv: cannot be read: it is no file"):
        stored.load_history(run, "history.csv")
    Path("reviews/neg").mkdir(parents=True)
    Path("reviews/neg/1.txt").write_text("bad")
    put(Path("reviews/pos/1.txt"))
    result = rnnsent("data", "info", "reviews")
    assert result.exit_code == 1 and "reviews/pos/1.txt: cannot be read: it is no file" in result.stderr
