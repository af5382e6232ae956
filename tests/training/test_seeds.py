"""`train --seeds`: runs of their own, their mean and spread."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, stdev

import pytest

from rnnsent.cli.commands.train import _without
from rnnsent.config.loader import load_config
from rnnsent.training.seeds import Plan, SeedRun, begin, spreads, table
from tests.conftest import TINY_CONFIG, rnnsent
from tests.torture.sameness import compare


@pytest.mark.slow
def test_runs_and_spread(tiny_imdb: Path, tiny_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    given = ["--config", str(tiny_config), "--epochs", "1", "--seed", "3", "--run-dir", "runs-of-it", "--quiet"]
    found = rnnsent("train", *given, "--seeds", "2", "--eval", "--json")
    assert found.exit_code == 0, found.stderr
    (line,) = found.stdout.splitlines()
    values = json.loads(line)
    assert [each["seed"] for each in values["runs"]] == [3, 4]
    for split in ("validation", "test"):
        accuracies = []
        for each in values["runs"]:
            recorded = json.loads(Path(each["run"], "metrics.json").read_text())
            assert recorded[split] == each[split]
            accuracies.append(recorded[split]["accuracy"]["value"])
        assert values[split]["accuracy"] == pytest.approx({"mean": mean(accuracies), "sd": stdev(accuracies)})
    assert [each["run"] for each in values["runs"]] == ["runs-of-it/seed-3", "runs-of-it/seed-4"]


@pytest.fixture
def two_seeds(finished_run: Path, tiny_imdb: Path, tiny_config: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments of a training with two seeds; the first is trained already."""
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    given = ["--config", str(tiny_config), "--epochs", "1", "--run-dir", "both", "--quiet", "--seeds", "2", "--json"]
    config = load_config(str(tiny_config), {"training.epochs": 1}).to_dict()
    del config["training"]["seed"]
    begin(Path("both"), Plan(tuple(given[:4]), (0, 1), False, config), force=False)
    shutil.copytree(finished_run, "both/seed-0")
    return given


@pytest.mark.slow
def test_the_same_command_goes_on(two_seeds: list[str]) -> None:
    first = Path("both/seed-0/weights.npz").stat().st_mtime_ns
    found = rnnsent("train", *two_seeds)
    assert found.exit_code == 0, found.stderr
    assert Path("both/seed-0/weights.npz").stat().st_mtime_ns == first
    assert [each["run"] for each in json.loads(found.stdout)["runs"]] == ["both/seed-0", "both/seed-1"]
    # As a kill leaves it: without the manifest and what is written before it.
    for name in ("manifest.json", "metrics.json", "model_card.md"):
        Path("both/seed-1", name).unlink()
    again = rnnsent("train", "--resume", "both", "--quiet", "--json")
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout) == json.loads(found.stdout)
    judged = rnnsent("eval", "both", "--json")
    assert judged.exit_code == 0, judged.stderr
    values = json.loads(judged.stdout)
    assert [each["run"] for each in values["runs"]] == ["both/seed-0", "both/seed-1"]
    accuracies = [each["metrics"]["accuracy"]["value"] for each in values["runs"]]
    assert values["test"]["accuracy"] == pytest.approx({"mean": mean(accuracies), "sd": stdev(accuracies)})
    shown = rnnsent("eval", "both").stdout
    assert f"{mean(accuracies):.4f}" in next(line for line in shown.splitlines() if line.startswith("  mean"))
    compared = json.loads(rnnsent("compare", "both", "--json").stdout)
    assert [each["run"] for each in compared["runs"]] == ["both/seed-0", "both/seed-1"]
    assert rnnsent("report", "both", "-o", "both.html").exit_code == 0
    assert "2 runs, judged on the same" in Path("both.html").read_text()
    unclear = rnnsent("robustness", "both")
    assert unclear.exit_code == 1
    assert "holds a run for each seed; name one of them: both/seed-0, both/seed-1" in unclear.stderr


def test_there_is_one_way_to_go_on_with_one_of_several_seeds(two_seeds: list[str]) -> None:
    Path("both/seed-0/manifest.json").unlink()
    Path("link").symlink_to("both/seed-0")
    again = ["train", "--config", two_seeds[1], "--run-dir", "both/seed-0"]
    for arguments in (["eval", "both"], ["eval", "both/seed-0"], ["summary", "link"], again):
        found = rnnsent(*arguments)
        assert found.exit_code == 1
        assert re.findall(r"--resume ([^\s;]+)", found.stderr) == ["both"], found.stderr


def test_a_signal_stops_the_seed_in_progress_and_says_how_to_go_on(two_seeds: list[str]) -> None:
    command = [sys.executable, "-m", "rnnsent", "train", *(each for each in two_seeds if each != "--quiet")]
    training = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert training.stderr is not None
    said = []
    for line in training.stderr:
        said.append(line)
        if line == "seed 1\n":
            break
    training.send_signal(signal.SIGTERM)
    output, rest = training.communicate(timeout=120)
    assert training.returncode == 143 and output == "", "".join(said) + rest
    assert "finished: both/seed-0; go on: rnnsent train --resume both" in rest
    assert set(re.findall(r"--resume (\S+)", rest)) == {"both"}


UNDISTURBED = ("--epochs", "12", "--quiet")


@pytest.fixture(scope="module")
def undisturbed(tiny_imdb: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of two seeds that nobody disturbed, trained in this process, and their config."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "tiny.yaml").write_text(TINY_CONFIG.replace("CELL", "gru"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSENT_DATA", str(tiny_imdb))
        patch.setenv("RNNSENT_CACHE", str(cache))
        for seed in (0, 1):
            given = ["--config", str(folder / "tiny.yaml"), *UNDISTURBED, "--seed", str(seed)]
            found = rnnsent("train", *given, "--run-dir", str(folder / f"seed-{seed}"))
            assert found.exit_code == 0, found.stderr
    return folder


def child_of(process: int) -> int | None:
    """Return the process that another has started and not waited for yet."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False)
    return int(found.stdout.split()[0]) if found.stdout.split() else None


def killed_in_training(command: list[str], run: Path, whom: str) -> str:
    """Start a training with several seeds, and kill it, or its child, in the training of `run`; return what it said."""
    training = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while not list(run.glob("checkpoints/epoch-*.npz")):
        assert training.poll() is None, training.communicate()[1]
        time.sleep(0.001)
    child = child_of(training.pid)
    assert child is not None
    os.kill(child if whom == "child" else training.pid, signal.SIGKILL)
    assert whom == "parent" or not (run / "manifest.json").exists()
    said = training.communicate(timeout=120)[1]  # of a parent: until its child, which it cannot stop, is over as well
    assert training.returncode == (1 if whom == "child" else -signal.SIGKILL)
    return said


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["child", "parent"])
def test_after_a_kill_the_same_command_ends_with_the_same_bits(
    whom: str, undisturbed: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    given = ["--config", str(undisturbed / "tiny.yaml"), *UNDISTURBED, "--run-dir", "both", "--seeds", "2"]
    config = load_config(str(undisturbed / "tiny.yaml"), {"training.epochs": 12}).to_dict()
    del config["training"]["seed"]
    begin(Path("both"), Plan(tuple(given[:-4]), (0, 1), False, config), force=False)
    shutil.copytree(undisturbed / "seed-0", "both/seed-0")
    command = [sys.executable, "-m", "rnnsent", "train", *given]
    said = killed_in_training(command, Path("both/seed-1"), whom)
    if whom == "child":
        assert "finished: both/seed-0; go on: rnnsent train --resume both" in said and "Traceback" not in said
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    for seed in (0, 1):
        found = set(compare(undisturbed / f"seed-{seed}", Path(f"both/seed-{seed}")))
        # The command of the undisturbed ones is pytest's.
        assert found <= {f"{name} differs in its command" for name in ("environment.json", "origin.json")}


def test_other_runs_are_left_alone(two_seeds: list[str], finished_run: Path) -> None:
    other = rnnsent("train", *two_seeds, "--set", "model.embedding_dim=9")
    assert other.exit_code == 1 and other.stdout == ""
    assert "both: holds runs of another config" in other.stderr and "model.embedding_dim: 8 → 9" in other.stderr
    Path("both/seeds.json").unlink()
    unknown = rnnsent("train", *two_seeds)
    assert unknown.exit_code == 1 and "both/seed-0: is there already" in unknown.stderr
    shutil.copytree(finished_run, "run")
    in_a_run = rnnsent("train", *("run" if each == "both" else each for each in two_seeds))
    assert in_a_run.exit_code == 1 and "run: is a run" in in_a_run.stderr
    Path("both/seeds.json").write_text("[]")
    damaged = rnnsent("train", "--resume", "both")
    assert damaged.exit_code == 1 and "both/seeds.json: cannot be read" in damaged.stderr


def test_usage(tiny_config: Path) -> None:
    assert rnnsent("train", "--config", str(tiny_config), "--eval").exit_code == 2
    assert rnnsent("train", "--config", str(tiny_config), "--seeds", "1").exit_code == 2
    Path("both").mkdir()
    Path("both/seeds.json").write_text("{}")
    assert rnnsent("train", "--resume", "both", "--epochs", "3").exit_code == 2


def test_arguments_are_passed_on_but_for_some() -> None:
    given = ["--config", "x", "--seeds", "3", "--seed=4", "--set", "a=--seeds", "--json", "--run-dir", "d"]
    assert _without(given, {"--seeds": 1, "--seed": 1, "--run-dir": 1, "--json": 0}) == [
        "--config", "x", "--set", "a=--seeds",
    ]  # fmt: skip


def test_the_table_is_narrow_and_leaves_out_what_is_undefined() -> None:
    def of(accuracy: float, area: float | None) -> dict[str, dict[str, float | None]]:
        return {"accuracy": {"value": accuracy}, "roc_auc": {"value": area}}

    runs = [SeedRun(0, "a", of(0.9, 0.95)), SeedRun(1, "b", of(0.8, None))]
    assert spreads(runs, "validation") == {"accuracy": pytest.approx({"mean": 0.85, "sd": stdev([0.9, 0.8])})}
    lines = table(runs, "validation")
    assert "roc_auc" not in lines[0] and len(lines) == 5 and max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"arguments": ["--help"]}, "did something else than it was to do; what is passed on in plan/seeds.json?"),
        ({"arguments": ["--config", "a\0b"]}, "its arguments or seeds cannot be those of a training"),
        ({"seeds": [10**399]}, "its arguments or seeds cannot be those of a training"),
        ({"seeds": [-1]}, "its arguments or seeds cannot be those of a training"),
    ],
)
def test_a_plan_of_a_stranger_is_refused(changed: dict[str, object], told: str) -> None:
    Path("plan").mkdir()
    plan = {"arguments": [], "seeds": [0], "judge": False, "config": {}}
    Path("plan/seeds.json").write_text(json.dumps(plan | changed))
    refused = rnnsent("train", "--resume", "plan")
    assert refused.exit_code == 1 and told in refused.stderr and "Traceback" not in refused.stderr


@pytest.mark.parametrize("content", ['{"arguments": [], "seeds": [1e400], "judge": true, "config": {}}', "[" * 100_000])
def test_a_plan_that_is_damaged_is_named(content: str) -> None:
    Path("plan").mkdir()
    Path("plan/seeds.json").write_text(content)
    refused = rnnsent("train", "--resume", "plan")
    assert refused.exit_code == 1 and "plan/seeds.json: cannot be read" in refused.stderr, refused.stderr
