"""Wrong input at the command line: one clear message, an exit code, and nothing written or changed."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnsent.runs.directory import Run
from rnnsent.runs.registry import create_run
from tests.conftest import Evil, rnnsent

LONG = "x" * 300


def snapshot() -> dict[str, str]:
    files = (path for path in Path().rglob("*") if path.is_file() and path.parts[0] != "keras")  # Keras' own folder
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


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


def write_arrays(name: str, rows: list[Any], labels: list[int]) -> None:
    column = np.empty(len(rows), dtype=object)
    column[:] = rows
    np.savez(name, x_train=column, y_train=labels, x_test=column, y_test=labels)


@pytest.fixture
def run(finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "run")
    return Path("run")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("trian", "'train'"),
        ("config chek lstm", "No such command 'chek'"),
        ("eval --jsn", "--json"),
        ("eval --split train", "'train' is not one of 'test', 'validation'"),
        ("eval --device tpu", "unknown device: 'tpu'; use auto, cpu, gpu or gpu:N"),
        ("eval --label-column x", "--label-column only works with --predictions"),
        ("eval --predictions x.csv --baseline", "--baseline needs the texts of a run"),
        ("train", "CONFIG or --from says what to train, --resume which run to continue, --data alone which table"),
        ("train --confg x", "--config"),
        ("train --config lstm --resume runs/x", "give one of them"),
        ("train lstm --resume runs/x", "give one of them"),
        ("train lstm --config gru", "two configs: lstm and --config gru; use one of them"),
        ("train lstm --name a/b", "not a name: 'a/b'"),
        ("train lstm --name .", "not a name: '.'"),
        ("train --resume nowhere --name x", "--resume only takes --epochs, --quiet, --json"),
        ("predict somewhere -5stars", "A TEXT that begins with a dash goes after --"),
        ("trace somewhere --oh", "No such option '--oh'"),
        ("train --resume nowhere --run-dir x", "--resume only takes --epochs, --quiet, --json"),
        ("train --resume nowhere --seed 3", "the config of a run cannot change"),
        ("train --config lstm --epochs many", "'many' is not a valid integer"),
        ("train --config lstm --force", "--force only works with --run-dir"),
        ("train --config lstm --eval", "--eval only works with --seeds"),
        ("train --config lstm --data sample --set data.path=x", "two sources of data: sample and --set data.path"),
        ("train --config lstm --label-map 3", "not a map of labels: 3; use a form such as '1-4: negative"),
        ("data info sample --set data.source=imdb", "two sources of data: sample and --set data.source"),
        ("summary --config lstm somewhere", "RUN and --config both name a network; use one of them"),
        ("summary somewhere --epochs 3", "--set only works with --config: the settings of a finished run cannot"),
        ("baseline somewhere --text-column t", "--text-column only works with --config: the settings of a finished"),
        ("baseline somewhere --config lstm", "RUN and --config both name the data; use one of them"),
        ("compare", "Missing argument 'RUN RUN...'"),
        ("report --card runs/a runs/b --quiet", "--quiet"),
    ],
)
def test_wrong_use(arguments: str, message: str) -> None:
    assert message in refused(*arguments.split(), code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --resume nowhere", "nowhere: no such run directory"),
        ("train --config lstn", "did you mean lstm?"),
        ("train --config broken.yaml", "broken.yaml:1: broken YAML"),
        ("train --config long.yaml", LONG[:200]),
        ("train --config lstm --set training.epoch=3", "did you mean epochs?"),
        ("train --config lstm --set training.epochs", "must look like training.epochs=3"),
        ("train --config lstm --epochs 0", "must be at least 1, not 0"),
        ("train --config lstm --track tensorbord", "must be one of tensorboard, mlflow, wandb"),
        ("train --config lstm --data nowhere.npz", "nowhere.npz: no such file"),
        ("train --config lstm --data torn.npz", "torn.npz: damaged or not an .npz"),
        ("train --config lstm --data foreign.npz", "y_train, x_test, y_test; it holds a"),
        ("train --config lstm --data one_class.npz", "nothing to learn: the labels of the training texts are"),
        ("train --config lstm --data empty.npz", "empty.npz: x_train: review 0 is empty; leave out"),
        ("train --config lstm --data sample --device gpu:7", "device gpu:7 is not there: no GPU was found"),
        ("train --config lstm --data sample --run-dir file/run", "file/run: "),
        ("train --config lstm --data sample --run-dir file", "file: is a file"),
        ("train --config lstm --data sample --run-dir thesis", "thesis: is not empty and not a run: it holds"),
        ("train --config lstm --data sample --run-dir thesis --force", "it holds chapter.tex"),
        ("train --config notebook/embedding_simple_rnn", "model.head: must be true to train"),
        ("eval", "there is no runs/latest"),
        ("eval nowhere", "nowhere: no such run directory"),
        ("eval thesis", "thesis: not a run directory, it has no config.json"),
        ("trace nowhere text", "nowhere: no such run directory"),
        ("data info torn.npz", "torn.npz: damaged"),
        (f"data info {LONG}.csv", LONG[:200]),
        (f"config check {LONG}", LONG[:200]),
        (f"eval --predictions {LONG}.csv", LONG[:200]),
    ],
)
def test_wrong_input(arguments: str, message: str, tiny_imdb: Path) -> None:
    Path("broken.yaml").write_text("model: {")
    Path("long.yaml").write_text(f"data: {{source: texts, path: {LONG}}}\nmodel: {{recurrent: [{{cell: gru}}]}}\n")
    Path("file").write_text("mine")
    Path("thesis").mkdir()
    Path("thesis/chapter.tex").write_text("mine")
    Path("torn.npz").write_bytes((tiny_imdb / "imdb.npz").read_bytes()[:900])
    np.savez("foreign.npz", a=np.arange(3))
    write_arrays("one_class.npz", [[5]] * 20, [1] * 20)
    write_arrays("empty.npz", [[], *([word] for word in range(5, 16))], [0, 1] * 6)
    assert message in refused(*arguments.split())


@pytest.mark.parametrize("command", ["data info", "train --config lstm --data"])
def test_a_pickle_that_wants_to_run_something(command: str) -> None:
    write_arrays("evil.npz", [Evil()], [1])
    assert "evil.npz: refused, its pickle is not a plain array" in refused(*command.split(), "evil.npz")
    assert not Path("owned").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("eval run/metrics.json", "is a file; a run is the folder"),
        ("eval run --device gpu", "device gpu is not there: no GPU was found"),
        ("eval run --data sample", "sample: not the texts that run was trained on"),
        ("eval run --data nosuch", "--data nosuch: no such file or folder, and no source (imdb, sample)"),
        ("baseline run --data nosuch", "--data nosuch: no such file or folder"),
        ("robustness run --data sample", "sample: not the texts that run was trained on"),
        ("compare run", "compare needs two runs: 1 given; name one more"),
        (f"predict run --input {LONG}.csv", LONG[:200]),
        (f"predict run --input texts.txt --output {LONG}.csv", LONG[:200]),
        ("predict run --input texts.txt --output x.xlsx", "x.xlsx: unknown output format; use .csv, .tsv or .jsonl"),
        ("report run -o page.txt", "page.txt: unknown output format; use .html or .htm"),
        ("report run --card -o page.html", "page.html: unknown output format; use .md"),
        ("train --config run/config.yaml --run-dir run", "run: holds a run; choose another --run-dir, or --force"),
    ],
)
def test_wrong_use_of_a_run(run: Path, arguments: str, message: str) -> None:
    Path("texts.txt").write_text("w1 w2\n")
    assert message in refused(*arguments.split(), code=2 if arguments == "compare run" else 1)


@pytest.mark.parametrize("command", ["train --config", "config check", "config show", "summary --config"])
def test_all_problems_of_a_config_are_named_with_their_lines(command: str) -> None:
    Path("bad.yaml").write_text(
        "data: {source: imdb, num_wrds: 100}\nmodel:\n  recurrent:\n    - {cell: lstm, units: many}\n"
        "training:\n  epochs: 0\n"
    )
    lines = refused(*command.split(), "bad.yaml").removeprefix("Error: ").splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("bad.yaml:1: data.num_wrds: unknown key") and "did you mean num_words?" in lines[0]
    assert lines[1].startswith('bad.yaml:4: model.recurrent.0.units: must be a whole number, not "many"')
    assert lines[2].startswith("bad.yaml:6: training.epochs: must be at least 1, not 0")


@pytest.mark.parametrize("command", ["eval", "summary", "summary --json"])
@pytest.mark.parametrize("change", ["manifest.json", "summary.txt"])
def test_a_run_that_is_unfinished_or_changed(run: Path, command: str, change: str) -> None:
    verb, *flags = command.split()
    if change == "manifest.json":
        (run / change).unlink()
        message = refused(verb, "run", *flags)
        assert "run: not a finished run, it has no manifest.json" in message
        assert "Continue: rnnsent train --resume run" in message
    else:
        (run / change).write_text("lies")
        assert f"run: {change} was changed after training" in refused(verb, "run", *flags)


def test_a_run_of_another_name_is_suggested() -> None:
    Path("runs/lstm-2026-01-01-1").mkdir(parents=True)
    result = rnnsent("eval", "runs/lstm-2026-01-01-2")
    assert result.exit_code == 1 and "did you mean runs/lstm-2026-01-01-1?" in result.stderr


def test_a_run_whose_data_are_gone_stays_as_it_is(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RNNSENT_DATA")
    assert "Ways to get the reviews" in refused("eval", "run")


def test_other_texts_are_refused_with_the_commands_for_them(run: Path) -> None:
    rows = [f"word{30 + number % 7} {number},{'ab'[number % 2]}" for number in range(40)]
    Path("her texts.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    message = refused("eval", "run", "--data", "her texts.csv")
    assert "rnnsent predict run --input 'her texts.csv' --keep LABEL --output" in message
    assert re.search(r"rnnsent eval --predictions \S+ --label-column LABEL", message)


def test_one_training_at_a_time_writes_a_run(tiny_config: Path, tiny_imdb: Path) -> None:
    first = create_run("tiny", Path("run"))
    arguments = ["train", "--config", str(tiny_config), "--data", str(tiny_imdb), "--run-dir", "run"]
    assert "another training is writing this run now" in refused(*arguments)
    first.write("config.json", "{}")
    assert "another training is writing this run now" in refused(*arguments, "--force")
    assert "it is being trained now" in refused("eval", "run")


def test_a_run_is_not_replaced_from_inside(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = (run / "config.yaml").resolve()
    monkeypatch.chdir(run / "plots")
    message = refused("train", "--config", str(config), "--epochs", "1", "--run-dir", "..", "--force")
    assert "cannot be replaced from inside it" in message
    Run(config.parent).verify()


@pytest.mark.parametrize(
    ("backend", "message"),
    [("torch", "rnnsent runs on tensorflow or jax"), ("bogus", "rnnsent runs on"), ("jax", "it is not installed")],
)
def test_a_keras_backend_that_cannot_be_used(
    run: Path, backend: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setattr("rnnsent.engine.device.installed", lambda name: False)
    assert f"KERAS_BACKEND={backend}: " in (found := refused("eval", "run", "--backend", "keras")) and message in found


def test_labels_of_class_weights_are_checked_before_training() -> None:
    rows = "".join(f"text {number} here,{'good' if number % 2 else 'bad'}\n" for number in range(40))
    Path("d.csv").write_text(f"text,label\n{rows}")
    message = refused("train", "--config", "gru", "--data", "d.csv", "--set", "training.class_weights={god: 2.0}")
    assert "training.class_weights: must name every label once: bad, good" in message
