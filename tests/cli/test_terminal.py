"""What the terminal shows: options given twice, names of runs, one screen of an evaluation, the fallback."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rnnsent.cli.main import cli
from rnnsent.cli.options import Command
from rnnsent.config.loader import load_config, training_name
from rnnsent.runs.directory import METRICS, Run
from rnnsent.runs.registry import mark_latest
from tests.conftest import rnnsent


@pytest.fixture
def run(finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "run")
    return Path("run")


def commands(group: click.Group) -> Iterator[click.Command]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield from commands(command) if isinstance(command, click.Group) else [command]


def test_every_command_refuses_an_option_given_twice() -> None:
    assert all(isinstance(command, Command) for command in commands(cli))


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        ("train lstm --seed 1 --data sample --seed 2", "--seed"),
        ("train gru --label-map 1:a --label-map 2:b", "--label-map"),
        ("predict run --output=a.csv --input x.csv --output=b.csv", "--output"),
        ("eval run --split test --split validation", "--split"),
        ("report run -o a.html --output b.html", "--output"),
        ("config show lstm --epochs 1 --epochs 1", "--epochs"),
        ("data info x.csv --header --no-header", "--header"),
    ],
)
def test_option_given_twice_is_refused(arguments: str, option: str) -> None:
    result = rnnsent(*arguments.split())
    assert result.exit_code == 2 and f"{option}: given 2 times; give it once" in result.stderr


def test_options_that_may_be_repeated_stay() -> None:
    settings = ["--set", "training.epochs=2", "--set", "training.seed=3", "--set", "training.seed=4"]
    assert "seed: 4" in rnnsent("config", "show", "lstm", *settings, "--data", "a.csv", "--data", "b.csv").stdout


@pytest.mark.parametrize("text", ["-1 of 10", "--- no ---", "--never, ever again", "- dull"])
@pytest.mark.parametrize("command", ["predict", "trace"])
def test_text_that_begins_with_a_dash(command: str, text: str, sample_run: Path) -> None:
    refused = rnnsent(command, str(sample_run), text)
    assert refused.exit_code == 2 and f"as in: rnnsent {command} RUN -- '{text}'" in refused.stderr
    assert rnnsent(command, str(sample_run), "--", text).exit_code == 0


def test_predict_reads_stdin_as_trace_does(sample_run: Path) -> None:
    from click.testing import CliRunner

    for arguments in (["predict", str(sample_run), "-"], ["predict", str(sample_run), "--input", "-"]):
        result = CliRunner().invoke(cli, arguments, input="a good film\na dull one\n", prog_name="rnnsent")
        assert result.exit_code == 0 and len(result.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("config", "overrides", "name"),
    [
        ("lstm", {"model.recurrent.0.cell": "gru"}, "gru"),
        ("lstm", {"model.recurrent.0.units": 7, "training.epochs": 2}, "lstm"),
        ("gru", {"model.recurrent.0.bidirectional": True}, "bigru"),
        ("gru", {"model.recurrent.1": {"cell": "lstm", "units": 4}}, "gru-lstm"),
        ("bilstm", {"training.epochs": 1}, "bilstm"),
        ("notebook/lstm", {"model.recurrent": [{"cell": "simple_rnn", "units": 4}]}, "simple_rnn"),
    ],
)
def test_training_is_named_by_what_it_is(config: str, overrides: dict[str, object], name: str) -> None:
    assert training_name(config, load_config(config, overrides), overrides) == name


def test_first_lines_of_training_explain_themselves(
    tiny_config: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    layer = "model.recurrent.1={cell: lstm, units: 4}"
    result = rnnsent("train", "tiny.yaml", "--epochs", "1", "--name", "mine", "--set", layer)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("runs/mine-")
    (config,) = Path("runs").glob("mine-*/config.yaml")
    assert len(load_config(str(config)).model.recurrent) == 2
    for words in ("a rebuilt imdb.npz, not Keras' own", "plots/curves.png", "* marks the best", "95 % interval"):
        assert words in result.stderr
    lines = [line for line in (result.stdout + result.stderr).splitlines() if not line.startswith("calibration")]
    lines = [line for line in lines if str(tiny_imdb) not in line]
    assert all(len(line) <= 80 for line in lines), lines


def test_eval_shows_one_screen(run: Path) -> None:
    for arguments in ([], ["--baseline"], ["--split", "validation"]):
        shown = rnnsent("eval", "run", *arguments).stdout.splitlines()
        assert len(shown) <= 22 and all(len(line) <= 80 for line in shown), shown
        assert shown[1].startswith(("  accuracy ", "  only 24")) and "where it is weak" in "\n".join(shown)
    assert len(rnnsent("eval", "run", "--full").stdout.splitlines()) > 40
    assert len(rnnsent("eval", "run", "--worst", "9").stdout.splitlines()) > 22
    rows = list(csv.reader(Path("run/evaluations/test-confusion.csv").read_text().splitlines()))
    assert rows[0] == ["label", "predicted negative", "predicted positive"] and sum(map(int, rows[1][1:])) == 60


def test_eval_of_many_labels_fits_a_screen() -> None:
    labels = [f"a label with a long name, number {number}" for number in range(70)]
    rows = [f"text {number % 70} {number};{labels[number % 70]};{labels[number % 50]}" for number in range(700)]
    Path("p.csv").write_text("\n".join(["text;label;predicted", *rows]) + "\n")
    shown = rnnsent("eval", "--predictions", "p.csv").stdout
    assert "most frequent confusions, 4 of" in shown
    assert len(shown.splitlines()) <= 22 and max(map(len, shown.splitlines()[1:])) <= 80
    assert max(map(len, rnnsent("eval", "--predictions", "p.csv", "--full").stdout.splitlines()[1:])) <= 80


def test_fallback_is_said_in_every_command(sample_run: Path) -> None:
    shutil.copytree(sample_run, "run")
    metrics = Path("run", METRICS)
    metrics.write_text(metrics.read_text().replace('"fallback_used": false', '"fallback_used": true'))
    Run(Path("run")).finish()
    shutil.copytree("run", "other")
    for command in ("eval run", "summary run", "predict run fine", "trace run fine", "report run", "compare run other"):
        stderr = rnnsent(*command.split()).stderr
        assert stderr.count("WARNING: run: trained on the built-in SAMPLE reviews") == 1, stderr
    assert "SAMPLE" in rnnsent("eval", "run", "--json").stdout
    report = rnnsent("report", "run")
    assert report.stdout == "run/report.html\n" and "report.html" not in report.stderr


def test_latest_is_named_alike_by_all_commands(run: Path) -> None:
    shutil.copytree("run", "runs/tiny-1")
    mark_latest(Run(Path("runs/tiny-1")))
    for command in ("eval runs/latest", "eval", "predict runs/latest fine", "trace runs/latest fine", "summary"):
        assert "run: runs/tiny-1 (the latest)\n" in rnnsent(*command.split()).stderr
