"""The machine around a command: settings of other libraries, names that are not UTF-8, encodings, forks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest
from click.testing import CliRunner

from rnnsent.cli.main import cli
from rnnsent.engine import device
from rnnsent.errors import DeviceError
from rnnsent.evaluation import plots
from rnnsent.runs.directory import Run
from tests.conftest import rnnsent

RC = "font.size: 30\nfont.family: serif\naxes.grid: False\nbackend: nonsense\nno colon\nlines.linewidth: broad\n"
JSON = {"floatx": "float64", "epsilon": 1e-2, "backend": "torch", "image_data_format": "channels_first"}


def process(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rnnsent", *arguments]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def picture(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("plain") / "trace.png"
    assert rnnsent("trace", str(finished_run), "word5 word15 $x^2$", "--png", str(path)).exit_code == 0
    return path.read_bytes()


@pytest.mark.parametrize(
    ("variables", "rc"),
    [
        ({"MPLBACKEND": "module://nowhere.backend"}, ""),
        ({"MPLBACKEND": "Qt9Agg"}, "text.usetex: True\n"),
        ({}, RC),
        ({"MATPLOTLIBRC": "other"}, ""),
    ],
    ids=["module", "backend", "folder", "variable"],
)
def test_plots_follow_no_settings_of_matplotlib(
    variables: dict[str, str], rc: str, finished_run: Path, picture: bytes
) -> None:
    Path("matplotlibrc" if rc else "other").write_text(rc or f"{RC}text.usetex: True\n")
    done = process("trace", str(finished_run), "word5 word15 $x^2$", "--png", "trace.png", **variables)
    assert (done.returncode, done.stderr) == (0, "written: trace.png\n")
    assert Path("trace.png").read_bytes() == picture


def test_a_matplotlib_that_cannot_be_imported_costs_the_plots_alone(finished_run: Path, tiny_imdb: Path) -> None:
    shutil.copytree(finished_run, "run")
    Path("matplotlibrc").write_bytes(b"font.size: 9  # caf\xe9\n")
    done = process("eval", "run", RNNSENT_DATA=str(tiny_imdb))
    assert done.returncode == 0 and done.stderr.count("not drawn: Matplotlib cannot be imported") == 2
    done = process("trace", "run", "word5", "--png", "trace.png")
    assert done.returncode == 1 and done.stderr.startswith("Error: Matplotlib cannot be imported: UnicodeDecodeError")


def test_training_follows_no_settings_of_keras_and_matplotlib(
    finished_run: Path, tiny_config: Path, tiny_imdb: Path
) -> None:
    Path("home").mkdir()
    Path("home/keras.json").write_text(json.dumps(JSON))
    Path("matplotlibrc").write_text(RC)
    variables = {
        "KERAS_HOME": "home", "KERAS_BACKEND": "", "KERAS_MAX_STEPS_PER_EPOCH": "1", "TF_USE_LEGACY_KERAS": "1",
        "MPLBACKEND": "module://nowhere.backend", "RNNSENT_DATA": str(tiny_imdb),
    }  # fmt: skip
    done = process("train", "--config", str(tiny_config), "--epochs", "1", "--run-dir", "run", **variables)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    for name in ("weights.safetensors", "plots/curves.png"):
        assert Path("run", name).read_bytes() == (finished_run / name).read_bytes(), name


@pytest.mark.parametrize("text", ["[1]", '{"epsilon": "small"}'])
def test_settings_that_keras_refuses_are_named(text: str, finished_run: Path) -> None:
    Path("home").mkdir()
    Path("home/keras.json").write_text(text)
    done = process("predict", str(finished_run), "word5", "--backend", "keras", KERAS_HOME="home")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Keras cannot be imported: ") and "check keras.json" in done.stderr


@pytest.mark.parametrize("precision", ["float16", "float64", "mixed_bfloat16"])
def test_another_precision_of_the_program_is_refused(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keras.config.floatx(), keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(precision)
        with pytest.raises(DeviceError, match=f"Keras is set to {precision} in this process; call keras.config"):
            device.start("cpu")
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def test_plots_that_fail_are_warnings(
    finished_run: Path, tiny_imdb: Path, tiny_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> bytes:
        raise ZeroDivisionError("no axis")

    for name in ("curves", "reliability", "coverage_curve"):
        monkeypatch.setattr(plots, name, fail)
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    trained = rnnsent("train", "--config", str(tiny_config), "--run-dir", "run")
    assert trained.exit_code == 0
    assert trained.stderr.count("WARNING") == 1 and "run/plots/curves.png: not drawn: no axis" in trained.stderr
    evaluated = rnnsent("eval", "run", "--json")
    assert evaluated.exit_code == 0 and json.loads(evaluated.stdout)["n"] == 120
    assert evaluated.stderr.count("not drawn") == 2 and Path("run/evaluations/test.json").is_file()


NAME = "caf\udce9"  # what Python makes of the bytes caf\xe9


def test_a_run_whose_name_is_not_utf8(tiny_imdb: Path, tiny_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    monkeypatch.setattr(sys, "argv", ["rnnsent", "train", "--run-dir", NAME])
    config = tiny_config.rename(f"{NAME}.yaml")
    trained = rnnsent("train", "--config", str(config), "--epochs", "1", "--run-dir", NAME)
    assert trained.exit_code == 0 and "rnnsent eval $'caf\\xe9'" in trained.stderr and "not drawn" not in trained.stderr
    for command in (["eval"], ["baseline"], ["report"], ["verify"], ["trace", "word5", "--json"], ["predict", "word5"]):
        result = rnnsent(command[0], NAME, *command[1:])
        assert result.exit_code == 0 and "not drawn" not in result.stderr, result.stderr
    resumed = rnnsent("train", "--resume", NAME, "--epochs", "2")
    assert resumed.exit_code == 0, resumed.stderr
    assert Run(Path(NAME)).environment.command[-1] == "caf\\udce9"
    for file in Path(NAME).rglob("*"):
        if file.suffix in (".json", ".csv", ".html", ".yaml"):
            file.read_text("utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--config", "gru", "--data", "don\udcc3.csv"),
        ("data", "info", "x/\udcff\udcfe/y.jsonl"),
        ("train", "--config", "gru", "--data", "a.csv", "--data", "b\udce9.csv"),
        ("train", "--config", "gru", "--data", "a.csv", "--label-column", "\udce9tiquette"),
        ("train", "--config", "gru", "--data", "a.csv", "--test", "te\udce9st.csv"),
    ],
)
def test_values_of_a_config_that_are_not_utf8_are_refused(arguments: tuple[str, ...]) -> None:
    result = rnnsent(*arguments)
    assert result.exit_code == 1 and "is not UTF-8; rename the file, folder or column" in result.stderr
    assert result.stderr.count("\n") == 1 and not Path("runs").exists()


@pytest.mark.parametrize("command", ["predict", "trace"])
@pytest.mark.parametrize(("text", "place"), [("caf\udce9 is fine", 4), ("\udcff", 1), ("fine \udcc3", 6)])
def test_a_text_that_is_not_utf8_is_refused(command: str, text: str, place: int, finished_run: Path) -> None:
    result = rnnsent(command, str(finished_run), text)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: TEXT: is not UTF-8 text, at byte {place}\n"


def test_a_text_of_utf8_that_the_locale_does_not_know_is_read(finished_run: Path) -> None:
    assert rnnsent("predict", str(finished_run), "word5 \udcc3\udca9").exit_code == 0


@pytest.mark.parametrize("charset", ["latin-1", "cp1252", "iso8859-7", "koi8-r"])
def test_what_stdout_cannot_hold_is_escaped(charset: str, finished_run: Path) -> None:
    note = "é ✓ 😀 Ωж"
    Path("x.jsonl").write_text(json.dumps({"text": "word5", "note": note}) + "\n")
    arguments = ["predict", str(finished_run), "--input", "x.jsonl", "--keep", "note", "--json"]
    result = CliRunner(charset=charset).invoke(cli, arguments)
    assert result.exit_code == 0 and note in json.loads(result.stdout_bytes.decode(charset)).values()
    assert CliRunner(charset=charset).invoke(cli, ["summary", str(finished_run)]).exit_code == 0


def test_a_current_folder_that_is_gone(tiny_imdb: Path, tiny_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    gone, run = Path("gone").resolve(), str(Path("run").resolve())
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    trained = rnnsent("train", "--config", str(tiny_config), "--epochs", "1", "--run-dir", run)
    assert trained.exit_code == 0 and "runs/latest cannot be written" in trained.stderr
    assert rnnsent("eval", run).exit_code == 0


FORKS = """
import logging, os, sys
import rnnsent
from rnnsent.errors import RnnsentError
logging.disable()
config, run = sys.argv[1:]
settings = {"training.epochs": 1}
rnnsent.train(config, settings, run_dir=run)
inherited = rnnsent.load(run, backend="keras")
expected = rnnsent.load(run).predict(["word5"])[0].label
attempts = {
    "train": lambda: rnnsent.train(config, settings, run_dir="other"),
    "load": lambda: rnnsent.load(run, backend="keras"),
    "inherited": lambda: inherited.predict(["word5"]),
    "trace": lambda: rnnsent.load(run).trace("word5", "integrated-gradients"),
    "native": lambda: rnnsent.load(run).predict(["word5"])[0].label == expected,
    "numpy": lambda: rnnsent.load(run, backend="numpy").predict(["word5"])[0].label == expected,
}
for name, attempt in attempts.items():
    if not os.fork():
        try:
            print(name, attempt(), flush=True)
        except RnnsentError as error:
            print(name, error, flush=True)
        os._exit(0)
    os.wait()
"""


def test_forks_of_a_process_that_uses_keras(tiny_imdb: Path, tiny_config: Path) -> None:
    command = [sys.executable, "-c", FORKS, str(tiny_config), "run"]
    environment = os.environ | {"RNNSENT_DATA": str(tiny_imdb)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert lines.pop("native") == lines.pop("numpy") == "True"
    assert len(lines) == 4 and all("spawn" in line for line in lines.values()), done.stdout
    assert not Path("other").exists()
