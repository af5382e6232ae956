"""The command line: help, JSON, exit codes, and what each command imports."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import rnnsent as package
from rnnsent.evaluation.metrics import metrics_of
from rnnsent.runs.directory import Run
from rnnsent.runs.registry import mark_latest
from tests.conftest import REPOSITORY, rnnsent

COMMANDS = ["", "train", "eval", "compare", "baseline", "predict", "trace", "robustness", "report", "verify", "summary"]
COMMANDS += ["data", "data info", "config", "config check", "config show", "config schema", "config list", "reference"]
TENSORFLOW = ("tensorflow", "keras")
HEAVY = (*TENSORFLOW, "pydantic", "ruamel", "matplotlib", "sklearn", "rich", "ssl", "http")


@pytest.fixture
def run(finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "run")
    mark_latest(Run(Path("run")))
    return Path("run")


def output(*arguments: str, code: int = 0) -> str:
    result = rnnsent(*arguments)
    assert result.exit_code == code, result.stderr
    return result.stdout


def values(*arguments: str, code: int = 0) -> Any:
    """Return the JSON of a command, which is one line."""
    text = output(*arguments, "--json", code=code)
    assert text.count("\n") == 1
    return json.loads(text)


def imported(*commands: str, modules: tuple[str, ...]) -> str:
    """Run commands in a new process; return their exit codes and which of `modules` were imported."""
    code = f"""
import shlex, sys
from click.testing import CliRunner
from rnnsent.cli.main import cli
codes = [CliRunner().invoke(cli, shlex.split(command)).exit_code for command in {commands!r}]
print(*sorted(set(codes)), [name for name in {modules!r} if name in sys.modules])
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_narrow_and_in_the_docs(command: str) -> None:
    text = output(*command.split(), "--help")
    assert max(map(len, text.splitlines())) <= 80 and "..." not in text.replace("]...", "").replace("RUN...", "")
    assert f"```\n{text}```" in (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")


def test_help_imports_nothing_heavy() -> None:
    helps = [f"{command} --help" for command in COMMANDS]
    assert imported(*helps, modules=(*HEAVY, "numpy", "rnnsent.api", "rnnsent.config")) == "0 []"


def test_predict_and_summary_import_no_framework_and_no_yaml(sample_run: Path) -> None:
    commands = [f"predict {sample_run} 'a good film'", f"predict {sample_run} 'a good film' --json"]
    assert imported(*commands, f"summary {sample_run}", f"summary {sample_run} --json", modules=HEAVY) == "0 []"


def test_config_and_data_commands_do_not_import_tensorflow() -> None:
    commands = ["config check lstm", "config show lstm", "config schema", "config list", "data info sample"]
    assert imported(*commands, modules=TENSORFLOW) == "0 []"


@pytest.mark.parametrize("option", ["--epochs 0", "--device gpu:7", "--set training.epoch=3"])
def test_train_checks_its_arguments_before_it_imports_tensorflow(option: str) -> None:
    assert imported(f"train --config lstm --data sample {option}", modules=TENSORFLOW) == "1 []"
    assert not Path("runs").exists() or not list(Path("runs").iterdir())


def test_version() -> None:
    assert output("--version") == f"rnnsent, version {package.__version__}\n"
    assert version("rnnsent") == package.__version__


def test_eval_json_has_what_eval_shows(run: Path) -> None:
    before = values("eval")
    assert (before["run"], before["split"], before["source"], before["n"]) == ("run", "test", "imdb", 120)
    assert (
        tuple(before["metrics"]) == tuple(metrics_of("classes"))
        and before["baseline"] is None
        and before["warnings"] == []
    )
    after = values("eval", "run", "--baseline", "--worst", "2")
    assert tuple(after["baseline"]) == tuple(metrics_of("classes")) and len(after["errors"]) == 2
    assert {"labels", "confusion", "slices", "coverage", "seconds"} <= set(after)
    text = output("eval", "run", "--full")
    assert after["baseline_comparison"]["verdict"][:20] in text
    for key in ("accuracy", "roc_auc"):
        assert f"{after['metrics'][key]['value']:.4f}" in text and f"{after['baseline'][key]['value']:.4f}" in text
    Run(run).verify()


def test_json_of_commands_on_a_run(run: Path) -> None:
    assert set(values("robustness", "run")) == {"run", "split", "n", "rows"}
    assert set(values("baseline", "run")) == {"run", "split", "n", "metrics"}
    assert values("verify", "run", "--backend", "numpy") == {
        "run": "run",
        "passed": True,
        "checks": values("verify", "run", "--backend", "numpy")["checks"],
    }
    shutil.copytree(run, "other")
    compared = values("compare", "run", "other")
    assert set(compared) == {"split", "n", "runs", "comparisons"} and compared["comparisons"][0]["same"]
    of_run, of_config = values("summary", "run"), values("summary", "--config", "notebook/lstm")
    assert of_run["parameters"] == sum(layer["parameters"] for layer in of_run["layers"])
    assert [layer["output_shape"] for layer in of_config["layers"]] == [[None, None, 32], [None, 32], [None, 1]]
    assert of_config["parameters"] == 320_000 + 4 * (32 * 32 + 32 * 32 + 32) + 33


def test_json_of_configs_and_data() -> None:
    assert values("config", "list")["notebook/lstm"] == "LSTM-32 as in the notebook"
    assert values("config", "show", "lstm")["model"]["recurrent"][0]["cell"] == "lstm"
    assert values("config", "check", "lstm") == {"file": "lstm", "problems": []}
    (problem,) = values("config", "check", "lstm", "--epochs", "0", code=1)["problems"]
    assert problem == {
        "place": "--set training.epochs=0",
        "key": "training.epochs",
        "rule": "must be at least 1",
        "given": "0",
        "hint": None,
    }
    facts = values("data", "info", "sample")
    assert facts["source"] == "sample" and facts["duplicates_between"] == 0
    shapes = values("reference")["shapes"]
    assert shapes["final_output_sequence"] == [100, 64] and shapes["state_t"] == [64]


def test_text_of_commands_fits_80_columns(run: Path) -> None:
    shutil.copytree(run, "other")
    for command in ("summary run", "data info sample", "compare run other", "baseline run", "robustness run"):
        assert max(map(len, output(*command.split()).splitlines())) <= 80
    assert "(100, 64)" in output("reference") and "(6400,)" in output("reference")


def test_summary_of_run_latest_and_config(run: Path, tiny_config: Path) -> None:
    texts = {output("summary", *arguments) for arguments in (["run"], [], ["--config", "tiny.yaml"])}
    assert len(texts) == 1 and "Total params: 921" in texts.pop()


def test_quiet_training_prints_its_result_and_warnings(tiny_config: Path) -> None:
    settings = ["--epochs", "1", "--set", "data.maxlen=5", "--set", "data.fallback=sample", "--quiet"]
    result = rnnsent("train", "--config", "tiny.yaml", *settings)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("runs/tiny-") and result.stdout.count("\n") == 1
    assert "FALLBACK" in result.stdout and "SAMPLE" in result.stderr
    assert "WARNING: " in result.stderr and "epoch 1/" not in result.stderr
    refused = rnnsent("train", "--config", "tiny.yaml", *settings, "--no-fallback", "--run-dir", "other")
    assert refused.exit_code == 1 and "RNNSENT_DATA" in refused.stderr and not Path("other").exists()


@contextmanager
def training(tiny_imdb: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "rnnsent", "train", "--config", "tiny.yaml", "--run-dir", "run"]
    environment = os.environ | {"RNNSENT_DATA": str(tiny_imdb)}
    arguments = [*command, "--epochs", "100000"]
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True) as process:
        yield process


def test_sigterm_keeps_the_best_epoch_and_exits_with_143(tiny_imdb: Path, tiny_config: Path) -> None:
    with training(tiny_imdb) as process:
        deadline = time.monotonic() + 90
        while not Path("run/plots/curves.png").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert errors.splitlines()[-1].endswith("continue: rnnsent train --resume run")
    assert json.loads(Path("run/metrics.json").read_text())["interrupted"] is True


def test_ctrl_c_while_keras_starts_leaves_nothing(tiny_imdb: Path, tiny_config: Path) -> None:
    with training(tiny_imdb) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("data:"):
            assert process.poll() is None
        time.sleep(0.3)  # in the middle of an import that takes seconds
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "stopping as soon as Keras has started" in errors and "Traceback" not in errors
    assert not Path("run").exists()


@pytest.mark.parametrize("command", ["config schema", "reference", "trace RUN 'a good film' --backend numpy"])
def test_a_closed_output_ends_with_141(command: str, sample_run: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # as `| head` does, only sooner
    shell = f"{sys.executable} -m rnnsent {command.replace('RUN', str(sample_run))}"
    done = subprocess.run(shell, shell=True, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def broken(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def load_config(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr("rnnsent.config.loader.load_config", load_config)


def test_a_bug_is_one_message_or_with_debug_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, ZeroDivisionError("a fault"))
    result = rnnsent("config", "check", "lstm")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: unexpected ZeroDivisionError: a fault\n") and "--debug" in result.stderr
    assert isinstance(rnnsent("--debug", "config", "check", "lstm").exception, ZeroDivisionError)


def test_ctrl_c_in_any_command(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, KeyboardInterrupt())
    result = rnnsent("config", "check", "lstm")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "Interrupted\n")
