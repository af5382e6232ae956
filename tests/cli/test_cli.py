from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnsent.evaluation.metrics import NAMES
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.registry import mark_latest
from tests.conftest import REPOSITORY, rnnsent, write_imdb

COMMANDS = [
    "",
    "train",
    "eval",
    "predict",
    "summary",
    "data",
    "data info",
    "reference",
    "config",
    "config check",
    "config show",
]
COMMANDS += ["config schema", "config list"]
HEAVY = ("tensorflow", "keras", "pydantic", "matplotlib", "numpy")


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rnnsent", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def stopped(number: int, awaited: str, data: Path, *settings: str) -> tuple[int, str]:
    """Train in a process of its own, send it a signal once the file `awaited` is there; return exit code and stderr."""
    command = [sys.executable, "-m", "rnnsent", "train", "--config", "tiny.yaml", "--run-dir", "run", *settings]
    pipes: dict[str, Any] = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=os.environ | {"RNNSENT_DATA": str(data)}, **pipes) as training:
        deadline = time.monotonic() + 90
        while not Path(awaited).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        training.send_signal(number)
        _, errors = training.communicate(timeout=60)
    return training.returncode, errors


@pytest.fixture
def trained(finished_run: Path, tiny_imdb: Path, tiny_config: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "run")
    mark_latest(RunDirectory(Path("run")))
    return Path("run")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_narrow_and_in_the_docs(command: str) -> None:
    result = rnnsent(*command.split(), "--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert f"```\n{result.stdout}```" in (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")


def test_no_help_imports_anything_heavy() -> None:
    code = f"""
import sys
from click.testing import CliRunner
from rnnsent.cli.main import cli
for command in {COMMANDS!r}:
    assert CliRunner().invoke(cli, [*command.split(), "--help"]).exit_code == 0, command
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_config_and_data_commands_do_not_load_tensorflow() -> None:
    code = """
import sys
from click.testing import CliRunner
from rnnsent.cli.main import cli
for command in ("config check lstm", "config show lstm", "config schema", "config list", "data info sample"):
    assert CliRunner().invoke(cli, command.split()).exit_code == 0, command
print([name for name in ("tensorflow", "keras") if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_train_leaves_a_complete_run_and_eval_judges_it(trained: Path) -> None:
    manifest = json.loads((trained / "manifest.json").read_text())["files"]
    assert set(manifest) == {
        "config.yaml", "summary.txt", "vocabulary.json", "model.keras", "weights.npz", "checkpoints/epoch-0001.npz",
        "history.csv", "metrics.json", "calibration.json", "environment.json", "origin.json",
        "plots/curves.png", "model_card.md",
    }  # fmt: skip
    header = (
        "epoch,seconds,loss,accuracy,val_loss,val_accuracy,learning_rate,tokens_per_second,elapsed,"
        "gradient_norm,largest_gradient_norm"
    )
    assert (trained / "history.csv").read_text().splitlines()[0] == header
    assert (trained / "plots" / "curves.png").read_bytes().startswith(b"\x89PNG")
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["data"]["source"] == "imdb" and metrics["data"]["fallback_used"] is False
    assert metrics["test"] is None and metrics["parameters"] == 60 * 8 + 3 * (8 * 8 + 8 * 8 + 2 * 8) + 9
    with np.load(trained / "weights.npz", allow_pickle=False) as weights:
        assert "embedding/embeddings" in weights.files

    result = rnnsent("eval", "--json")
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    judged = json.loads(line)
    assert (judged["run"], judged["split"], judged["n"]) == ("run", "test", 120)
    assert tuple(judged["metrics"]) == NAMES
    with (trained / "predictions-test.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    share = sum(row["label"] == row["predicted"] for row in rows) / 120
    assert judged["metrics"]["accuracy"]["value"] == pytest.approx(share)
    assert json.loads((trained / "metrics.json").read_text())["test"] == judged["metrics"]
    assert rnnsent("eval", "run", "--split", "validation").exit_code == 0
    assert rnnsent("eval", "run").exit_code == 0  # judging again leaves the run in agreement with its manifest


def test_training_twice_gives_the_same_bytes(trained: Path, tiny_config: Path) -> None:
    assert rnnsent("train", "--config", str(tiny_config), "--run-dir", "again", "--epochs", "1").exit_code == 0
    with np.load(trained / "weights.npz") as first, np.load("again/weights.npz") as second:
        for name in first.files:
            np.testing.assert_array_equal(first[name], second[name])
    histories = [list(csv.DictReader(Path(name, "history.csv").read_text().splitlines())) for name in ("run", "again")]
    for row in (row for history in histories for row in history):
        del row["seconds"], row["tokens_per_second"], row["elapsed"]
    assert histories[0] == histories[1]


def test_summary_of_run_latest_and_config(trained: Path) -> None:
    texts = [rnnsent("summary", "run"), rnnsent("summary"), rnnsent("summary", "--config", "tiny.yaml")]
    assert len({result.stdout for result in texts}) == 1
    assert "Total params: 921" in texts[0].stdout
    assert max(map(len, texts[0].stdout.splitlines())) <= 80


def test_the_fallback_is_recorded_and_said_last(tiny_config: Path) -> None:
    settings = ["--set", "data.fallback=sample", "--epochs", "1", "--run-dir", "run", "--set", "data.maxlen=5"]
    result = rnnsent("train", "--config", str(tiny_config), *settings)
    assert result.exit_code == 0, result.stderr
    assert "SAMPLE" in result.stderr
    assert "FALLBACK" in result.stdout.splitlines()[-1]
    assert json.loads(Path("run/metrics.json").read_text())["data"]["fallback_used"] is True
    assert "sample" in rnnsent("eval", "run").stdout
    refused = rnnsent("train", "--config", str(tiny_config), *settings[:-4], "--no-fallback", "--run-dir", "other")
    assert refused.exit_code == 1 and "RNNSENT_DATA" in refused.stderr
    assert not Path("other").exists()


@pytest.mark.slow
def test_the_shipped_lstm_reads_the_sample_corpus() -> None:
    shortly = ("--epochs", "12", "--run-dir", "run", "--quiet")  # of forty at most, after which it is beyond 95 %
    assert rnnsent("train", "--config", "lstm", "--data", "sample", *shortly).exit_code == 0
    accuracy = json.loads(rnnsent("eval", "run", "--json").stdout)["metrics"]["accuracy"]["value"]
    assert accuracy >= 0.75


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["trian"], 2, "Did you mean"),
        (["train", "--confg", "x"], 2, "--config"),
        (["train"], 2, "--config says what to train, --resume which run is to go on"),
        (["train", "--config", "lstm", "--resume", "runs/x"], 2, "give one of them"),
        (["train", "--resume", "nowhere"], 1, "nowhere: no such run directory"),
        (["train", "--resume", "nowhere", "--run-dir", "x"], 2, "--resume goes on in its own folder"),
        (["train", "--config", "lstm", "--allow-changes"], 2, "--allow-changes is for --resume"),
        (["train", "--config", "lstn"], 1, "did you mean lstm?"),
        (["train", "--config", "broken.yaml"], 1, "broken.yaml:1: broken YAML"),
        (["train", "--config", "lstm", "--set", "training.epoch=3"], 1, "did you mean epochs?"),
        (["train", "--config", "lstm", "--epochs", "0"], 1, "must be at least 1, not 0"),
        (["train", "--config", "lstm", "--data", "nowhere.npz"], 1, "nowhere.npz: no such file"),
        (["train", "--config", "lstm", "--data", "torn.npz"], 1, "torn.npz: damaged or not an .npz"),
        (["train", "--config", "lstm", "--data", "foreign.npz"], 1, "y_train, x_test, y_test; it holds a"),
        (["train", "--config", "lstm", "--data", "one_class.npz"], 1, "there is nothing to learn"),
        (["train", "--config", "lstm", "--data", "sample", "--device", "gpu:7"], 1, "device gpu:7 is not there"),
        (["train", "--config", "lstm", "--data", "sample", "--run-dir", "broken.yaml/run"], 1, "cannot be written"),
        (["train", "--config", "notebook/embedding_simple_rnn"], 1, "model.head: must be true to train"),
        (["eval"], 1, "there is no runs/latest"),
        (["eval", "nowhere"], 1, "nowhere: no such run directory"),
        (["summary", "--config", "lstm", "somewhere"], 2, "not both"),
        (["data", "info", "torn.npz"], 1, "damaged"),
    ],
)
def test_a_mistake_gives_one_clear_message(arguments: list[str], code: int, message: str, tiny_imdb: Path) -> None:
    Path("broken.yaml").write_text("model: {")
    Path("torn.npz").write_bytes((tiny_imdb / "imdb.npz").read_bytes()[:900])
    np.savez("foreign.npz", a=np.arange(3))
    column = np.empty(20, dtype=object)
    column[:] = [[5]] * 20
    labels = np.ones(20, np.int64)
    np.savez("one_class.npz", x_train=column, y_train=labels, x_test=column, y_test=labels)
    before = sorted(path.name for path in Path().iterdir())
    result = rnnsent(*arguments)
    assert result.exit_code == code, result.stderr
    assert message in result.stderr and "Traceback" not in result.stderr
    assert result.stderr.count("Error:") == 1 and "unexpected" not in result.stderr
    assert result.stdout == ""
    after = sorted(path.name for path in Path().iterdir() if path.name not in ("runs", "keras"))  # Keras' own folder
    assert after == before
    assert not Path("runs").exists() or not list(Path("runs").iterdir())


@pytest.mark.parametrize("name", ["config.yaml", "weights.npz", "metrics.json", "manifest.json"])
def test_eval_refuses_a_run_with_missing_or_changed_files(trained: Path, name: str) -> None:
    path = trained / name
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    changed = rnnsent("eval", "run")
    assert changed.exit_code == 1 and name in changed.stderr and changed.stderr.count("Error:") == 1
    path.unlink()
    missing = rnnsent("eval", "run")
    assert missing.exit_code == 1 and name in missing.stderr
    path.write_bytes(content)
    assert rnnsent("eval", "run").exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_training_keeps_its_best_epoch(tmp_path: Path, tiny_config: Path, number: int, code: int) -> None:
    data = write_imdb(tmp_path / "big", reviews=2000).parent
    found, errors = stopped(number, "run/plots/curves.png", data, "--epochs", "500")
    assert found == code, errors
    assert "run holds the best epoch" in errors and "Traceback" not in errors
    assert errors.splitlines()[-1].endswith("go on: rnnsent train --resume run")
    assert json.loads(Path("run/metrics.json").read_text())["interrupted"] is True
    assert process("eval", "run", "--json", env=os.environ | {"RNNSENT_DATA": str(data)}).returncode == 0


SLOWLY = ("--set", "training.batch_size=1", "--set", "training.checkpoint_every=20", "--epochs", "500")


@pytest.mark.slow
def test_a_training_stopped_in_its_first_epoch_can_go_on(tmp_path: Path, tiny_config: Path) -> None:
    data = write_imdb(tmp_path / "big", reviews=4000).parent
    found, errors = stopped(signal.SIGINT, "run/checkpoints", data, *SLOWLY)
    assert found == 130, errors
    assert errors.splitlines()[-1].startswith("Interrupted: stopped after 0 epochs and ") and "Traceback" not in errors
    assert "Go on: rnnsent train --resume run" in errors
    assert not Path("run/weights.npz").exists()
    done = process("train", "--resume", "run", "--epochs", "1", env=os.environ | {"RNNSENT_DATA": str(data)})
    assert done.returncode == 1
    assert "config.training.epochs: 500 → 1" in done.stderr and "--allow-changes" in done.stderr


@pytest.mark.slow
def test_a_training_stopped_before_its_first_step_leaves_nothing(tmp_path: Path, tiny_config: Path) -> None:
    data = write_imdb(tmp_path / "big", reviews=4000).parent
    found, errors = stopped(signal.SIGINT, "run/config.yaml", data, "--set", "training.batch_size=1")
    assert found == 130, errors
    assert errors.splitlines()[-1].startswith("Interrupted") and "Traceback" not in errors
    assert not Path("run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_training_stopped_while_keras_starts_leaves_nothing(
    tiny_imdb: Path, tiny_config: Path, number: int, code: int
) -> None:
    command = [sys.executable, "-m", "rnnsent", "train", "--config", "tiny.yaml", "--run-dir", "run", "--epochs", "500"]
    environment = os.environ | {"RNNSENT_DATA": str(tiny_imdb)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as training:
        assert training.stderr is not None
        while not training.stderr.readline().startswith("data:"):
            assert training.poll() is None
        time.sleep(0.3)  # in the middle of an import that takes seconds
        training.send_signal(number)
        _, errors = training.communicate(timeout=60)
    assert training.returncode == code, errors
    assert "stopping as soon as Keras has started" in errors and "Traceback" not in errors
    assert not Path("run").exists()


@pytest.mark.slow
def test_training_says_nothing_but_its_own_lines(tiny_imdb: Path, tiny_config: Path) -> None:
    done = process("train", "--config", "tiny.yaml", "--epochs", "2", env=os.environ | {"RNNSENT_DATA": str(tiny_imdb)})
    starts = [line.split()[0] for line in done.stderr.splitlines()]
    assert starts == ["data:", "data:", "device:", "run:", "engine:", "epoch", "epoch", "calibration:", "judge"]
    assert done.stderr.splitlines()[1].endswith("few to choose the epoch by; data.validation_split says how many")
    assert f"({tiny_imdb}/imdb.npz, not Keras' own file)" in done.stderr
    assert len(done.stdout.splitlines()) == 1 and "data: imdb" in done.stdout


@pytest.mark.slow
def test_the_bar_shows_pace_in_80_columns(tiny_imdb: Path, tiny_config: Path) -> None:
    import pty

    code = "import sys; from rnnsent.__main__ import main; sys.argv = ['rnnsent', *sys.argv[1:]]; main()"
    leader, follower = pty.openpty()
    environment = os.environ | {"RNNSENT_DATA": str(tiny_imdb), "COLUMNS": "80", "TERM": "xterm"}
    command = [sys.executable, "-c", code, "train", "--config", "tiny.yaml", "--epochs", "2"]
    training = subprocess.Popen(command, env=environment, stderr=follower, stdout=subprocess.DEVNULL)
    os.close(follower)
    shown = b""
    while True:
        try:
            chunk = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    assert training.wait() == 0
    text = shown.decode()
    for part in ("loss", "acc", "rev/s", "tok/s", "left", "epoch 2/2"):
        assert part in text, part


def test_reference_prints_the_shapes() -> None:
    assert "(100, 64)" in rnnsent("reference").stdout and "(6400,)" in rnnsent("reference").stdout


def test_data_info_of_the_sample() -> None:
    facts = json.loads(rnnsent("data", "info", "sample", "--json").stdout)
    assert facts["source"] == "sample" and facts["duplicates_between"] == 0
    assert max(map(len, rnnsent("data", "info", "sample").stdout.splitlines())) <= 80


def test_json_of_configs_and_summaries(trained: Path) -> None:
    def printed(*arguments: str, code: int = 0) -> Any:
        result = rnnsent(*arguments, "--json")
        assert result.exit_code == code, result.stderr
        assert result.stdout.count("\n") == 1
        return json.loads(result.stdout)

    assert "notebook/lstm" in printed("config", "list")
    assert printed("config", "show", "lstm")["model"]["recurrent"][0]["cell"] == "lstm"
    assert printed("config", "check", "lstm") == {"file": "lstm", "problems": []}
    (problem,) = printed("config", "check", "lstm", "--epochs", "0", code=1)["problems"]
    assert problem == {
        "place": "--set training.epochs=0",
        "key": "training.epochs",
        "rule": "must be at least 1",
        "given": "0",
        "hint": None,
    }
    of_run, of_config = printed("summary", "run"), printed("summary", "--config", "notebook/lstm")
    assert of_run["parameters"] == sum(layer["parameters"] for layer in of_run["layers"])
    assert [layer["output_shape"] for layer in of_config["layers"]] == [[None, None, 32], [None, 32], [None, 1]]
    assert of_config["parameters"] == 320_000 + 4 * (32 * 32 + 32 * 32 + 32) + 33
