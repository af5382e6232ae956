"""`train --seeds`: runs of their own, their mean and spread."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, stdev

import pytest

from rnnsent.config.loader import load_config
from rnnsent.runs.registry import open_run, runs_of
from rnnsent.runs.schemas import Estimate, Plan
from rnnsent.training.seeds import begin, spreads, table
from tests.conftest import rnnsent


@pytest.fixture
def arguments(finished_run: Path, tiny_imdb: Path, tiny_config: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments of a training with two seeds; the first is trained already."""
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    begin(Path("both"), load_config(str(tiny_config), {"training.epochs": 1}), Plan([0, 1], False), force=False)
    shutil.copytree(finished_run, "both/seed-0")
    return ["--config", str(tiny_config), "--epochs", "1", "--run-dir", "both", "--seeds", "2"]


@pytest.mark.slow
def test_same_command_trains_what_is_missing_and_gives_mean_and_spread(arguments: list[str]) -> None:
    before = Path("both/seed-0/weights.safetensors").stat().st_mtime_ns
    found = rnnsent("train", *arguments, "--eval", "--quiet", "--json")
    assert found.exit_code == 0, found.stderr
    (line,) = found.stdout.splitlines()
    values = json.loads(line)
    assert [(each["seed"], each["run"]) for each in values["runs"]] == [(0, "both/seed-0"), (1, "both/seed-1")]
    for split in ("validation", "test"):
        accuracies = [each[split]["accuracy"]["value"] for each in values["runs"]]
        assert values[split]["accuracy"] == pytest.approx({"mean": mean(accuracies), "sd": stdev(accuracies)})
    recorded = [open_run(path).metrics.validation["accuracy"].value for path in runs_of(Path("both"))]
    assert recorded == [each["validation"]["accuracy"]["value"] for each in values["runs"]]
    assert Path("both/seed-0/weights.safetensors").stat().st_mtime_ns == before
    Path("both/seed-1/manifest.json").unlink()  # as a kill leaves it
    again = rnnsent("train", "--resume", "both", "--quiet", "--json")
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["validation"] == values["validation"]
    assert rnnsent("compare", "both").exit_code == 0


def trained_until(line: str, arguments: list[str]) -> tuple[subprocess.Popen[str], list[str]]:
    command = [sys.executable, "-m", "rnnsent", "train", *arguments]
    training = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert training.stderr is not None
    lines = []
    for each in training.stderr:
        lines.append(each)
        if each.startswith(line):
            return training, lines
    pytest.fail("".join(lines))


def test_signal_stops_the_seed_in_progress_and_says_how_to_continue(arguments: list[str]) -> None:
    training, lines = trained_until("seed 1", arguments)
    training.send_signal(signal.SIGTERM)
    output, rest = training.communicate(timeout=120)
    assert training.returncode == 143 and output == "", "".join(lines) + rest
    assert "finished: both/seed-0; continue: rnnsent train --resume both" in rest


@pytest.mark.slow
def test_after_a_kill_the_same_command_ends_with_the_same_bits(arguments: list[str]) -> None:
    training, _ = trained_until("seed 1", arguments)
    while not list(Path("both").glob("seed-1/checkpoints/*")):
        assert training.poll() is None
        time.sleep(0.001)
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(training.pid)], capture_output=True, text=True)
    os.kill(int(children.stdout.split()[0]), signal.SIGKILL)
    _, rest = training.communicate(timeout=120)
    assert training.returncode == 1 and "continue: rnnsent train --resume both" in rest
    again = subprocess.run([sys.executable, "-m", "rnnsent", "train", *arguments], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    once = rnnsent("train", *arguments[:4], "--seed", "1", "--run-dir", "once")
    assert once.exit_code == 0, once.stderr
    weights = [Path(run, "weights.safetensors").read_bytes() for run in ("both/seed-1", "once")]
    assert weights[0] == weights[1]


def test_other_runs_are_left_alone(arguments: list[str], finished_run: Path) -> None:
    other = rnnsent("train", *arguments, "--set", "model.embedding_dim=9")
    assert other.exit_code == 1 and "both: holds runs of another config" in other.stderr
    Path("both/seeds.json").unlink()
    unknown = rnnsent("train", *arguments)
    assert unknown.exit_code == 1 and "both/seed-0: exists already" in unknown.stderr
    shutil.copytree(finished_run, "run")
    in_a_run = rnnsent("train", *("run" if each == "both" else each for each in arguments))
    assert in_a_run.exit_code == 1 and "run: is a run" in in_a_run.stderr


@pytest.mark.parametrize("content", ["", '{"seeds": [0]}', '{"seeds": ["x"], "evaluate": false}', "[" * 100_000])
def test_damaged_plan_is_named(content: str) -> None:
    Path("plan").mkdir()
    Path("plan/seeds.json").write_text(content)
    refused = rnnsent("train", "--resume", "plan")
    assert refused.exit_code == 1 and refused.stderr.startswith("Error: plan/seeds.json: ")


def test_usage(tiny_config: Path) -> None:
    assert rnnsent("train", "--config", str(tiny_config), "--eval").exit_code == 2
    assert rnnsent("train", "--config", str(tiny_config), "--seeds", "1").exit_code == 2
    Path("both").mkdir()
    Path("both/seeds.json").write_text("{}")
    assert rnnsent("train", "--resume", "both", "--epochs", "3").exit_code == 2


def test_table_is_narrow_and_leaves_out_what_is_undefined(arguments: list[str]) -> None:
    runs = [open_run(Path("both/seed-0"))] * 2
    metrics = [{"accuracy": Estimate(value), "roc_auc": Estimate(area)} for value, area in ((0.9, 0.95), (0.8, None))]
    spread = spreads(metrics)
    assert list(spread) == ["accuracy"] and spread["accuracy"].mean == pytest.approx(0.85)
    assert spread["accuracy"].sd == pytest.approx(stdev([0.9, 0.8]))
    lines = table(runs, "validation")
    assert len(lines) == 5 and max(map(len, lines)) <= 80 and lines[-1].split()[:2] == ["sd", "0.0000"]
