"""Bad input at the command line: one clear message, an exit code, and nothing lost of what was there before."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.registry import create_run
from tests.conftest import Evil, rnnsent


def snapshot(folder: Path = Path()) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def refused(*arguments: str, code: int = 1) -> str:
    """Run a command that must fail with one message and change nothing; return the message."""
    before = snapshot()
    result = rnnsent(*arguments)
    assert result.exit_code == code, result.stderr
    assert result.stdout == ""
    assert result.stderr.count("Error:") == 1
    assert "Traceback" not in result.stderr and "unexpected" not in result.stderr
    assert snapshot() == before
    assert not Path("runs").exists() or not list(Path("runs").iterdir())
    return result.stderr


@pytest.fixture
def run(finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "run")
    return Path("run")


@pytest.mark.parametrize("command", ["data info", "train --config lstm --data"])
def test_a_pickle_that_wants_to_run_something(command: str) -> None:
    column = np.empty(1, dtype=object)
    column[0] = Evil()
    np.savez("evil.npz", x_train=column, y_train=[1], x_test=column, y_test=[1])
    message = refused(*command.split(), "evil.npz")
    assert "evil.npz: refused, its pickle is not a plain array" in message
    assert not Path("owned").exists()


LONG = "x" * 300


@pytest.mark.parametrize(
    "command",
    ["data info", "config check", "eval --predictions", "predict run --input", "predict run --output", "report run -o"],
)
@pytest.mark.parametrize("name", [LONG + ".csv", "loop/t.csv"])
def test_a_path_that_the_system_refuses(run: Path, command: str, name: str) -> None:
    Path("loop").symlink_to("loop")
    Path("t.txt").write_text("w1 w2\n")
    given = ["--input", "t.txt"] if "--output" in command else []
    assert name[:200] in refused(*command.split(), name, *given)


def test_a_config_that_names_such_a_path(run: Path) -> None:
    Path("c.yaml").write_text(f"data: {{source: texts, path: {LONG}}}\nmodel: {{recurrent: [{{cell: gru}}]}}\n")
    assert LONG[:200] in refused("train", "--config", "c.yaml")


@pytest.mark.parametrize("command", ["train --config", "config check", "config show", "summary --config"])
def test_everything_wrong_with_a_config_is_told_at_once(command: str) -> None:
    Path("bad.yaml").write_text(
        "data: {source: imdb, num_wrds: 100}\nmodel:\n  recurrent:\n    - {cell: lstm, units: many}\n"
        "training:\n  epochs: 0\n"
    )
    lines = refused(*command.split(), "bad.yaml").removeprefix("Error: ").splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("bad.yaml:1: data.num_wrds: unknown key") and "did you mean num_words?" in lines[0]
    assert lines[1].startswith('bad.yaml:4: model.recurrent.0.units: must be a whole number, not "many"')
    assert lines[2].startswith("bad.yaml:6: training.epochs: must be at least 1, not 0")


@pytest.mark.parametrize("place", ["/proc/run", "file/run", "file"])
def test_output_that_cannot_be_written(place: str) -> None:
    Path("file").write_text("mine")
    message = refused("train", "--config", "lstm", "--data", "sample", "--run-dir", place)
    assert message.startswith(f"Error: {place}: ")


def test_a_folder_with_something_else_in_it_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("thesis").mkdir()
    Path("thesis/chapter.tex").write_text("mine")
    arguments = ["train", "--config", "lstm", "--data", "sample", "--run-dir", "thesis"]
    assert "thesis: is not empty, and no run: it has no config.yaml, it holds chapter.tex; " in refused(*arguments)
    assert "it holds chapter.tex" in refused(*arguments, "--force")
    monkeypatch.chdir("thesis")
    assert "thesis: is not empty, and no run: " in refused(*arguments[:-1], ".")
    assert "--force replaces runs only, and this is none: " in refused(*arguments[:-1], ".", "--force")


def test_an_empty_review(tiny_config: Path) -> None:
    column = np.empty(12, dtype=object)
    column[:] = [[], *([word] for word in range(5, 16))]
    np.savez("imdb.npz", x_train=column, y_train=[0, 1] * 6, x_test=column, y_test=[0, 1] * 6)
    message = refused("train", "--config", str(tiny_config), "--data", "imdb.npz")
    assert "imdb.npz: x_train: review 0 is empty; leave out" in message


@pytest.mark.parametrize("command", ["eval", "summary"])
def test_an_unfinished_run(run: Path, command: str) -> None:
    (run / "manifest.json").unlink()
    assert "run: not a finished run, it has no manifest.json" in refused(command, "run")


@pytest.mark.parametrize("command", ["eval", "summary", "summary --json"])
@pytest.mark.parametrize("name", ["summary.txt", "vocabulary.json", "history.csv"])
def test_a_run_with_a_changed_file(run: Path, command: str, name: str) -> None:
    (run / name).write_text("lies")
    verb, *flags = command.split()
    assert f"run: {name} was changed after training" in refused(verb, "run", *flags)


def test_an_unfinished_run_says_what_is_left_and_what_to_do(run: Path) -> None:
    (run / "manifest.json").unlink()
    message = refused("eval", "run")
    assert "1 whole epoch kept: the best in weights.npz" in message
    assert "Anew: rnnsent train --config run/config.yaml --run-dir run --force" in message
    (run / "history.csv").unlink()
    assert "Go on: rnnsent train --resume run" in message
    assert "kept in checkpoints/epoch-0001.npz; no epoch was over" in refused("eval", "run")
    shutil.rmtree(run / "checkpoints")
    assert "training has not come far enough to be kept" in refused("eval", "run")


def test_a_truncated_config_of_an_unfinished_run(run: Path) -> None:
    (run / "manifest.json").unlink()
    (run / "config.yaml").write_bytes((run / "config.yaml").read_bytes()[:300])
    message = refused("train", "--resume", "run")
    assert message.startswith("Error: run/config.yaml")


def test_a_tracker_that_there_is_not_names_the_one_that_was_meant() -> None:
    message = refused("train", "--config", "lstm", "--data", "sample", "--track", "tensorbord")
    assert 'training.trackers: must be one of tensorboard, mlflow, wandb, not "tensorbord" (did you mean' in message


def test_a_run_that_is_not_there_names_the_one_that_was_meant() -> None:
    Path("runs/lstm-2026-01-01-1").mkdir(parents=True)
    result = rnnsent("eval", "runs/lstm-2026-01-01-2")
    assert result.exit_code == 1
    assert "did you mean runs/lstm-2026-01-01-1?" in result.stderr


def test_a_file_of_a_run_is_no_run(run: Path) -> None:
    message = refused("eval", "run/metrics.json")
    assert "is a file; a run is the folder" in message and "did you mean run?" in message


def test_a_run_whose_data_are_gone_stays_as_it_is(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RNNSENT_DATA")
    assert "Ways to get the reviews" in refused("eval", "run")
    RunDirectory(run).verify()


@pytest.mark.parametrize("head", ["text,label", "what,label", "text,what"])
@pytest.mark.parametrize("command", ["eval", "robustness"])
def test_a_run_is_not_judged_on_other_texts_but_told_how_it_can_be(run: Path, head: str, command: str) -> None:
    rows = [f"word{30 + number % 7} {number},{'ab'[number % 2]}" for number in range(40)]
    Path("her texts.csv").write_text("\n".join([head, *rows]) + "\n")
    message = refused(command, "run", "--data", "her texts.csv")
    assert "hese are not the reviews that run was trained on and held its others back from" in message
    assert "rnnsent predict run --input 'her texts.csv' --keep LABEL --output answers.csv\n" in message
    assert "rnnsent eval --predictions answers.csv --label-column LABEL\n" in message
    named = set(re.findall(r"--[a-z-]+", message.split("To judge it on other texts")[0]))
    assert named <= {"--data"} and "data.text_column" not in message


@pytest.mark.parametrize("name", ["predictions-test.csv", "metrics.json", "manifest.json"])
def test_an_evaluation_that_cannot_be_written_leaves_the_run_whole(
    run: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target.name == name:
            raise OSError(28, "No space left on device")
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        result = rnnsent("eval", "run")
    assert result.exit_code == 1 and "Error: run: the disk is full" in result.stderr
    assert "accuracy" in result.stdout  # the figures are not lost
    RunDirectory(run).verify()
    assert rnnsent("eval", "run").exit_code == 0


@pytest.mark.parametrize("device", ["gpu", "gpu:7"])
def test_a_gpu_that_is_not_there(run: Path, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnsent.engine.device._tensorflow_gpus", lambda: [])
    assert f"device {device} is not there: no GPU was found" in refused("eval", "run", "--device", device)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evla"], "Did you mean eval?"),
        (["config", "chek", "lstm"], "No such command 'chek'"),
        (["eval", "--jsn"], "--json"),
        (["eval", "--split", "train"], "'train' is not one of 'test', 'validation'"),
        (["train", "--config", "lstm", "--epochs", "many"], "'many' is not a valid integer"),
        (["summary", "somewhere", "--epochs", "3"], "need --config"),
        (["eval", ""], "the name of the run is empty"),
        (["eval", "--device", "tpu"], "'tpu' is not auto, cpu, gpu or gpu:N"),
        (["train", "--config", "lstm", "--run-dir", ""], "the name of the run is empty"),
        (["train", "--config", "lstm", "--force"], "--force replaces the run in --run-dir"),
        (["train", "--config", "lstm", "--data", "sample", "--set", "data.path=x"], "both say which reviews"),
        (["data", "info", "sample", "--set", "data.source=imdb"], "SOURCE and --set data.source both say"),
    ],
)
def test_a_wrong_use_of_the_command_line(arguments: list[str], message: str) -> None:
    assert message in refused(*arguments, code=2)


def broken(error: BaseException) -> Any:
    def load_config(*arguments: Any) -> None:
        raise error

    return load_config


def test_a_fault_of_the_program_is_said_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnsent.config.loader.load_config", broken(ZeroDivisionError("a fault")))
    result = rnnsent("config", "check", "lstm")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: unexpected ZeroDivisionError: a fault\n") and "--debug" in result.stderr
    assert isinstance(rnnsent("--debug", "config", "check", "lstm").exception, ZeroDivisionError)


def test_ctrl_c_in_any_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnsent.config.loader.load_config", broken(KeyboardInterrupt()))
    result = rnnsent("config", "check", "lstm")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "Interrupted\n")


def without_a_reader(*arguments: str) -> tuple[int, str]:
    """Return exit code and stderr of a command whose output nobody reads, as after `| head`, only sooner."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "rnnsent", *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", ["config schema", "config list", "reference"])
def test_a_reader_that_goes_away_is_no_fault(command: str) -> None:
    assert without_a_reader(*command.split()) == (141, "")


def test_nor_is_it_of_a_trace(sample_run: Path) -> None:
    assert without_a_reader("trace", str(sample_run), "a good film", "--backend", "numpy") == (141, "")


def test_one_training_at_a_time_writes_a_run(tiny_config: Path, tiny_imdb: Path) -> None:
    first = create_run("tiny", Path("run"))
    arguments = ["train", "--config", str(tiny_config), "--data", str(tiny_imdb), "--run-dir", "run"]
    assert "another training is writing this run now" in refused(*arguments)
    first.write("config.yaml", "model: {}")
    assert "another training is writing this run now" in refused(*arguments, "--force")
    assert "it is being trained now" in refused("eval", "run")
    first.discard()
    done = rnnsent(*arguments, "--epochs", "1")
    assert done.exit_code == 0, done.stderr
    assert not Path("run/.lock").exists()


@pytest.mark.parametrize("place", [".", ".."])
def test_a_run_is_not_replaced_from_inside(run: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = (run / "config.yaml").resolve()
    monkeypatch.chdir(run if place == "." else run / "plots")
    message = refused("train", "--config", str(config), "--epochs", "1", "--run-dir", place, "--force")
    assert "a run is not replaced from inside it" in message
    RunDirectory(config.parent).verify()


def test_a_second_kill_leaves_word_of_the_run_that_waits(run: Path, tiny_config: Path) -> None:
    (run / "manifest.json").unlink()
    shutil.copytree(run, "run.replaced-7")
    assert "The run that it was to replace is in run.replaced-7" in refused("eval", "run")
    arguments = ["train", "--config", str(tiny_config), "--epochs", "1", "--run-dir", "run", "--force"]
    result = rnnsent(*arguments)
    assert result.exit_code == 0 and "WARNING: run.replaced-7 holds a run" in result.stderr
    assert Path("run.replaced-7").is_dir()


def test_a_training_that_goes_on_leaves_what_is_somebodys_own(run: Path) -> None:
    (run / "model_card.md").write_text("written by hand\n")
    backup = Path("run.replaced-by-me")
    shutil.copytree(run, backup)
    result = rnnsent("train", "--resume", "run", "--epochs", "9", "--allow-changes")
    assert result.exit_code == 0, result.stderr
    assert (run / "model_card.md").read_text() == "written by hand\n"
    assert (backup / "config.yaml").is_file()
    RunDirectory(run).verify()


def test_a_file_of_a_run_that_cannot_be_read(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("rnnsent.runs.manifest.sha256", denied)  # root may read everything
    assert ": cannot be read: Permission denied" in refused("eval", "run")


@pytest.mark.parametrize("backend", ["torch", "bogus"])
def test_a_backend_that_rnnsent_does_not_run_on(run: Path, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    message = refused("eval", "run", "--backend", "keras")
    assert f"KERAS_BACKEND={backend}: rnnsent runs on tensorflow or jax" in message


def test_a_backend_that_is_not_installed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr("rnnsent.engine.device.installed", lambda name: False)
    assert "KERAS_BACKEND=jax: it is not installed" in refused("eval", "run", "--backend", "keras")


def test_all_that_keeps_a_config_from_being_trained() -> None:
    Path("bad.yaml").write_text(
        "data:\n  encoding: cp1252\nmodel:\n  head: false\n  recurrent:\n    - {cell: lstm, activation: relu}\n"
        "training:\n  engine: native\n  precision: mixed_float16\n  class_weights: {pos: 1.0, neg: 2.0}\n"
    )
    lines = refused("train", "--config", "bad.yaml").removeprefix("Error: ").splitlines()
    keys = ["data.encoding", "model.head", "model.recurrent.0.activation", "training.precision"]
    assert [line.split(": ")[1] for line in lines] == [*keys, "training.class_weights"]
    assert [line.split(": ")[0] for line in lines] == [f"bad.yaml:{line}" for line in (2, 4, 6, 9, 10)]
    assert len(refused("config", "check", "bad.yaml").splitlines()) == 4  # without a head it can be summarized


def test_weights_of_labels_that_there_are_not_are_told_before_anything_is_trained() -> None:
    rows = "".join(f"text {number} here,{'good' if number % 2 else 'bad'}\n" for number in range(40))
    Path("d.csv").write_text(f"text,label\n{rows}")
    settings = ("training.class_weights={god: 2.0}", "model.language_model={epochs: 1}")
    said = refused(
        "train", "--config", "gru", "--data", "d.csv", *(each for key in settings for each in ("--set", key))
    )
    assert "training.class_weights: must name every label once: bad, good" in said and "language model" not in said
