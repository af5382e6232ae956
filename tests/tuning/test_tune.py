"""`rnnsent tune`: the whole search, what it leaves, how it goes on, and that it is fair."""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rnnsent.config.loader import load_config
from rnnsent.data import dataset
from rnnsent.data.dataset import Partition
from rnnsent.errors import TrainingError
from rnnsent.runs.directory import Run
from rnnsent.training import experiment
from rnnsent.tuning import runs, search
from tests.conftest import rnnsent
from tests.tuning.conftest import write_table


def rows(study: str) -> list[dict[str, str]]:
    with Path(study, "trials.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tune(*arguments: str) -> dict[str, Any]:
    """Return the line of JSON that a search ends with, in this process."""
    result = rnnsent("tune", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    values: dict[str, Any] = json.loads(line)
    return values


def started(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rnnsent", "tune", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait_for(path: str, process: subprocess.Popen[str]) -> None:
    while not Path(path).exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)


def test_search_ends_with_table_plots_best_config_and_seeds(config: str) -> None:
    shown = rnnsent("tune", config, "--trials", "3", "--seeds", "2", "--study-dir", "S")
    assert shown.exit_code == 0, shown.stderr
    assert "trial 0: val_accuracy" in shown.stderr and "minutes left" in shown.stderr
    assert "epoch 1/2" not in shown.stderr
    assert shown.stdout.count("seed-") == 2 and "\n  sd " in shown.stdout and "p = " in shown.stdout
    assert "best run: S/best" in shown.stdout and max(map(len, shown.stdout.splitlines())) <= 80
    assert [row["state"] for row in rows("S")] == ["complete"] * 3
    assert rows("S")[0]["training.learning_rate"] == "0.02"  # the config's own comes first
    for name in ("history", "importance", "parallel_coordinate"):
        assert Path("S", f"{name}.png").read_bytes().startswith(b"\x89PNG")
    values = json.loads(Path("S/result.json").read_text())
    best, second = values["best"], values["second"]
    assert set(best["runs"]) == {f"S/trials/{best['trial']}/seed-{seed}" for seed in (0, 1)}
    worse = ({0, 1, 2} - {best["trial"], second["trial"]}).pop()
    assert not list(Path(f"S/trials/{worse}").rglob("*.safetensors"))
    assert Path(f"S/trials/{worse}/seed-0/history.csv").is_file()
    assert best["mean"] == pytest.approx(sum(best["runs"].values()) / 2)
    saved = load_config("S/best.yaml")
    assert saved == Run(Path("S/best")).config and saved.search is None
    assert saved.training.learning_rate == best["parameters"]["training.learning_rate"]
    assert rnnsent("eval", "S/best").exit_code == 0
    assert rnnsent("eval", f"S/trials/{best['trial']}").exit_code == 0  # a folder of seeds
    assert Path("runs/latest").resolve() == Path("S/best").resolve()

    before = {path: path.stat().st_mtime_ns for path in Path("S").rglob("*.safetensors") if "best" not in path.parts}
    assert tune(config, "--trials", "3", "--seeds", "2", "--study-dir", "S") == values
    more = tune("--resume", "S", "--trials", "4")
    assert more["trials"] == 4 and len(rows("S")) == 4
    assert all(path.stat().st_mtime_ns == time for path, time in before.items() if path.exists())


def test_best_config_trains_the_best_run_again(config: str) -> None:
    tune(config, "--trials", "2", "--seeds", "1", "--study-dir", "S", "--epochs", "1")
    assert rnnsent("train", "--config", "S/best.yaml", "--run-dir", "again").exit_code == 0
    weights = [Path(run, "weights.safetensors").read_bytes() for run in ("S/best", "again")]
    assert weights[0] == weights[1]


def test_ready_search_space_is_searched_without_a_search_section(config: str) -> None:
    values = tune(config, "--trials", "2", "--seeds", "1", "--epochs", "1", "--set", "search=null")
    assert values["study"].startswith("tunes/small-") and values["study"].endswith("-1")
    assert {"model.pooling", "model.recurrent.0.cell", "training.batch_size"} <= set(values["best"]["parameters"])


def test_the_same_values_whatever_the_test_texts_are(monkeypatch: pytest.MonkeyPatch, config: str) -> None:
    write_table(Path("one.csv"), "fine great lovely")
    write_table(Path("other.csv"), "dull 12345 awful zzz")
    found = []
    for name in ("one", "other"):
        tune(config, "--data", f"{name}.csv", "--trials", "3", "--seeds", "1", "--study-dir", name)
        found.append([{key: value for key, value in row.items() if key != "seconds"} for row in rows(name)])
    assert found[0] == found[1]


def test_no_trial_reads_a_text_of_the_test(monkeypatch: pytest.MonkeyPatch, config: str) -> None:
    class Labels:
        """Stands for the test split: its labels may be counted, and nothing else."""

        def __init__(self, labels: Any) -> None:
            self.labels = labels

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"a trial reads {name} of the test")

    def split(*arguments: Any, **options: Any) -> Partition:
        partition = real(*arguments, **options)
        return replace(partition, test=Labels(partition.test.labels))  # type: ignore[arg-type]

    real = dataset.split_dataset
    monkeypatch.setattr(experiment, "split_dataset", split)
    write_table(Path("table.csv"), "fine great")
    arguments = ["--data", "table.csv", "--trials", "2", "--seeds", "2", "--epochs", "1"]
    assert tune(config, *arguments, "--set", "model.ngrams={orders: 2}")["trials"] == 2


def test_time_ends_the_search_and_the_first_trial_is_completed(config: str) -> None:
    values = tune(config, "--minutes", "0.0001", "--seeds", "1", "--study-dir", "S")
    assert values["trials"] == 1 and values["second"] is None and values["difference"] is None
    again = tune("--resume", "S", "--minutes", "0.0001")
    assert again == values
    assert tune("--resume", "S", "--trials", "2")["trials"] == 2


def test_failed_trials_are_left_out_and_said(monkeypatch: pytest.MonkeyPatch, config: str) -> None:
    def fails_first(*arguments: Any) -> Run:
        if "trial 0" in arguments[2]:
            raise TrainingError("the loss became nan")
        return runs.train_run(*arguments)

    monkeypatch.setattr(search, "train_run", fails_first)
    result = rnnsent("tune", config, "--trials", "2", "--seeds", "1", "--epochs", "1", "--study-dir", "S")
    assert result.exit_code == 0 and "trial 0: failed: the loss became nan" in result.stderr
    assert [row["state"] for row in rows("S")] == ["fail", "complete"]
    none = rnnsent("tune", config, "--trials", "1", "--epochs", "1", "--study-dir", "T")
    assert none.exit_code == 1
    assert none.stderr.endswith("Error: T: no trial is complete; the loss became nan\n")


def test_values_that_cannot_go_together_are_a_failed_trial(config: str) -> None:
    pooling, returns = "{choices: [last, mean]}", "{choices: [null, false]}"
    space = f"search={{model.pooling: {pooling}, model.recurrent.0.return_sequences: {returns}}}"
    arguments = ["--trials", "6", "--seeds", "1", "--epochs", "1", "--study-dir", "S"]
    result = rnnsent("tune", config, "--set", space, *arguments)
    assert result.exit_code == 0, result.stderr
    failed = [row for row in rows("S") if row["state"] == "fail"]
    assert failed and all("under pooling: mean" in row["error"] for row in failed)


def test_interrupt_gives_the_trial_back_and_says_how_to_continue(config: str) -> None:
    process = started(config, "--trials", "2", "--seeds", "1", "--study-dir", "S", "--set", "training.epochs=2000")
    wait_for("S/trials/0/seed-0/history.csv", process)
    process.send_signal(signal.SIGINT)
    output, messages = process.communicate(timeout=120)
    assert process.returncode == 130 and output == "", messages
    assert messages.endswith("Interrupted: stopped after 0 trials; continue: rnnsent tune --resume S\n")
    assert not Path("S/trials/0").exists()
    process = started("--resume", "S")
    wait_for("S/trials/1/seed-0/history.csv", process)  # of the same parameters
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 143
    lines = [json.loads(line) for line in Path("S/journal.log").read_text().splitlines()]
    fixed = [line["system_attrs"]["fixed_params"] for line in lines if "fixed_params" in line.get("system_attrs", {})]
    assert len(fixed) == 3 and fixed[0] == fixed[1] == fixed[2]


@pytest.mark.slow
def test_kill_in_the_middle_and_the_same_command_goes_on(config: str) -> None:
    arguments = [config, "--trials", "3", "--seeds", "1"]
    for number in (1, 2):  # the second one is killed while it tries again what the first did
        process = started(*arguments)
        while not (folders := list(Path().glob(f"tunes/*/trials/{number}/seed-0/checkpoints/*"))):
            assert process.poll() is None, process.communicate()
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    (study,) = Path("tunes").iterdir()
    assert folders[0].is_relative_to(study)
    result = rnnsent("tune", *arguments)
    assert result.exit_code == 0, result.stderr
    assert "goes on" in result.stderr and "trial 2: its process was killed; retried" in result.stderr
    table = rows(str(study))
    assert [row["trial"] for row in table] == ["0", "3", "4"] and {row["state"] for row in table} == {"complete"}
    assert not (study / "trials/1").exists() and not (study / "trials/2").exists()
    whole = rows(tune(config, "--trials", "1", "--seeds", "1", "--study-dir", "whole")["study"])
    assert {**whole[0], "seconds": ""} == {**table[0], "seconds": ""}


@pytest.mark.slow
def test_processes_share_a_study(config: str) -> None:
    arguments = [config, "--trials", "6", "--seeds", "2", "--study-dir", "S", "--json"]
    processes = [started(*arguments), started(*arguments)]
    ended = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ended
    outputs = [output for output, _ in ended if output]
    assert outputs and set(outputs) == {Path("S/result.json").read_text()}
    assert len(rows("S")) == 6 and {row["state"] for row in rows("S")} <= {"complete", "pruned"}
    numbers = [line.split(":")[0] for _, messages in ended for line in messages.splitlines() if "minutes left" in line]
    assert sorted(numbers) == [f"trial {number}" for number in range(6)]


def test_fallback_is_said(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RNNSENT_DATA")
    arguments = [config, "--set", "data.fallback=sample", "--trials", "1", "--seeds", "1", "--epochs", "1"]
    result = rnnsent("tune", *arguments, "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["fallback_used"] is True
    assert (
        result.stderr.count("THE IMDB REVIEWS ARE NOT HERE") == 1
        and "WARNING: trained on the built-in" in result.stderr
    )
    refused = rnnsent("tune", *arguments, "--no-fallback")
    assert refused.exit_code == 1 and refused.stderr.startswith("Error: ")


def test_kill_while_the_best_are_trained_with_further_seeds(config: str) -> None:
    arguments = [config, "--trials", "1", "--seeds", "2", "--epochs", "1", "--study-dir", "S"]
    values = tune(*arguments)
    for path in ("S/result.json", "S/trials/0/seed-1/manifest.json", "S/best/weights.safetensors"):
        Path(path).unlink()  # as a kill leaves it
    Path("S/trials/.lock").touch()
    Path("S/.best").mkdir()
    assert tune(*arguments) == values
    assert rnnsent("eval", "S/best").exit_code == 0 and not Path("S/.best").exists()


def test_optuna_is_heard_through_the_log_of_rnnsent(config: str, caplog: pytest.LogCaptureFixture) -> None:
    result = rnnsent("tune", config, "--trials", "1", "--seeds", "1", "--epochs", "1")
    assert result.exit_code == 0 and "[I " not in result.stderr
    assert [type(each).__name__ for each in logging.getLogger("optuna").handlers] == ["_Forward"]


def test_optuna_missing_is_one_message(monkeypatch: pytest.MonkeyPatch, config: str) -> None:
    monkeypatch.setattr("rnnsent.tuning.folder.installed", lambda module: False)
    result = rnnsent("tune", config, "--trials", "1")
    assert result.exit_code == 1
    assert result.stderr == "Error: rnnsent tune needs Optuna: pip install 'rnnsent[tune]'\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "CONFIG says what to tune"),
        (["small.yaml"], "--minutes or --trials"),
        (["small.yaml", "--config", "gru", "--trials", "1"], "two configs"),
        (["small.yaml", "--resume", "S", "--trials", "1"], "CONFIG says what to tune"),
        (["--resume", "S", "--epochs", "2"], "--resume only takes"),
        (["--resume", "S", "--study-dir", "T"], "--resume only takes"),
        *[
            (["small.yaml", "--minutes", value], "not a time")
            for value in ("0", "-1", "nan", "inf", "five", "1e3", "²")
        ],
        (["small.yaml", "--trials", "0"], "0 is not in the range"),
        (["small.yaml", "--trials", "1", "--seeds", "0"], "0 is not in the range"),
    ],
)
def test_usage(arguments: list[str], message: str) -> None:
    result = rnnsent("tune", *arguments)
    assert result.exit_code == 2 and message in result.stderr and len(result.stderr.splitlines()) <= 6
