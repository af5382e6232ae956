"""Files of a stranger's run that have no end, or none that is sane, are refused by name and never read whole.

What is shown of the others gives the terminal no orders.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from rnnsent.config.loader import load_config
from rnnsent.data import folders
from rnnsent.errors import ConfigError, DataError, RunError
from rnnsent.files import read_plain
from rnnsent.json_files import read_json
from rnnsent.reporting.page import is_report
from rnnsent.runs import artifacts as stored
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.registry import open_run
from rnnsent.training import checkpoint as checkpoints
from tests.conftest import rnnsent

KINDS = ["a pipe", "a device", "a terabyte"]


def put(path: Path, kind: str) -> Path:
    """Make a file that nobody should read whole; a terabyte of zeros takes no place on the disk."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 1 << 40)
    return path


def reason(kind: str) -> str:
    return "it has 1,099,511,627,776 bytes" if kind == "a terabyte" else "it is no file, but a pipe or a device"


@pytest.fixture
def killed(finished_run: Path) -> Path:
    """A run whose training was killed, and whose checkpoints are gone."""
    run = Path("run")
    shutil.copytree(finished_run, run)
    (run / "manifest.json").unlink()
    shutil.rmtree(run / "checkpoints")
    return run


@pytest.mark.parametrize("kind", KINDS)
def test_a_history_that_cannot_be_read_is_not_trained_over(
    killed: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    put(killed / "history.csv", kind)
    before = (killed / "weights.npz").read_bytes()
    result = rnnsent("train", "--resume", "run")
    assert result.exit_code == 1 and f"run/history.csv: cannot be read: {reason(kind)}" in result.stderr
    assert (killed / "weights.npz").read_bytes() == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["eval", "summary", "report"])
def test_a_killed_run_is_told_whatever_its_history_is(killed: Path, command: str, kind: str) -> None:
    put(killed / "history.csv", kind)
    result = rnnsent(command, "run")
    assert result.exit_code == 1 and "run: not a finished run" in result.stderr
    assert "Go on: rnnsent train --resume run" in result.stderr
    if kind == "a terabyte":  # the others are no files of the run
        told = "how many epochs are kept cannot be said: run/history.csv: cannot be read: it has 1,099,511,627,776"
        assert told in result.stderr


@pytest.mark.parametrize(
    ("content", "epochs"),
    [
        (b"", 0),
        (b"epoch,loss\n", 0),
        (b"epoch,loss\n1,0.5\n", 1),
        (b"epoch,loss\n1,0.5\n2,0", 2),
        (b"epoch,loss\n1,0.5\n\xff\n", 2),
    ],
)
def test_epochs_are_counted_whole_or_not(content: bytes, epochs: int) -> None:
    Path("history.csv").write_bytes(content)
    assert RunDirectory(Path()).epochs_in() == epochs


def test_no_history_is_no_epoch_but_one_that_is_gone_may_have_been_some() -> None:
    run = RunDirectory(Path("run"))
    assert run.epochs_in() == 0 and checkpoints.newest(run) is None
    Path("run").mkdir()
    run.file("history.csv").symlink_to("nowhere")
    with pytest.raises(RunError, match=r"run/history\.csv: cannot be read: No such file"):
        checkpoints.newest(run)


def test_a_history_has_no_more_epochs_than_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnsent.config.section.MAX_EPOCHS", 2)
    run = RunDirectory(Path())
    row = "{},0.5,0.5,0.5,0.5\n"
    head = "epoch,loss,accuracy,val_loss,val_accuracy\n"
    run.file("history.csv").write_text(head + row.format(1) + "\r\n" * 99 + row.format(2))
    assert [epoch.epoch for epoch in stored.load_history(run, "history.csv")] == [1, 2]
    run.file("history.csv").write_text(head + "".join(map(row.format, (1, 2, 3))))
    with pytest.raises(RunError, match=r"history\.csv:4: more than 2 epochs, which no training has"):
        stored.load_history(run, "history.csv")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"../gone", r"runs/latest: names gone, which is not there any more"),
        (b"\xff\xfe", r"runs/latest: names runs/.*, which is not there any more"),
        (b"x" * 300, r"x: cannot be read: File name too long"),
        (b"x/" * 2049, r"runs/latest: cannot be read: it has 4,098 bytes, 4,096 are allowed"),
    ],
    ids=["gone", "no text", "a long name", "a long path"],
)
def test_what_the_latest_run_is_called_is_looked_at(content: bytes, found: str) -> None:
    Path("runs").mkdir()
    Path("runs/latest").write_bytes(content)
    with pytest.raises(RunError, match=found):
        open_run(None)
    result = rnnsent("summary")
    assert result.exit_code == 1 and "fault of rnnsent" not in result.stderr


@pytest.mark.parametrize("command", ["eval", "summary", "report"])
def test_the_name_of_a_run_may_be_too_long(command: str) -> None:
    result = rnnsent(command, "x" * 300)
    assert result.exit_code == 1 and f"{'x' * 300}: cannot be read: File name too long" in result.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_note_of_the_latest_run_is_not_read(kind: str) -> None:
    put(Path("runs/latest"), kind)
    with pytest.raises(RunError, match="there is no" if kind == "a pipe" else r"runs/latest"):
        open_run(None)


@pytest.mark.parametrize("kind", KINDS)
def test_every_reader_of_a_run_looks_at_what_a_file_is(kind: str) -> None:
    run = RunDirectory(Path("run"))
    run.path.mkdir()
    run.file("config.yaml").write_text("model: {}\n")
    run.finish()
    for name in ("summary.txt", "predictions-test.csv"):
        with pytest.raises(RunError, match=rf"{name}: cannot be read: {reason(kind)}"):
            stored.read_text(put(run.file(name), kind))
    with pytest.raises(RunError, match=rf"history\.csv: cannot be read: {reason(kind)}"):
        stored.load_history(RunDirectory(put(run.file("history.csv"), kind).parent), "history.csv")
    run.update({"ngrams.npz": b""})
    put(run.file("ngrams.npz"), kind)
    with pytest.raises(RunError, match=rf"ngrams\.npz: cannot be read: .*{reason(kind)}"):
        stored.load_ratios(run)
    assert not is_report(put(run.file("report.html"), kind))
    with pytest.raises((OSError, ValueError), match=reason(kind)):
        read_json(put(Path("a.json"), kind))
    with pytest.raises(DataError, match=r"1\.txt: (cannot be read: it is no file|has more than)"):
        folders.read_text(put(Path("1.txt"), kind), None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_does_not_wait_for_a_pipe(finished_run: Path, kind: str) -> None:
    shutil.copytree(finished_run, "run")
    put(Path("run/report.html"), kind)
    result = rnnsent("report", "run")
    assert result.exit_code == 1 and "run/report.html: is there and is not a report of rnnsent" in result.stderr


@pytest.mark.parametrize(
    ("kind", "found"),
    [("a pipe", "a pipe or a device"), ("a device", "a pipe or a device"), ("a terabyte", "are allowed")],
)
def test_a_config_is_a_file_of_some_pages(kind: str, found: str) -> None:
    with pytest.raises(ConfigError, match=found):
        load_config(str(put(Path("a.yaml"), kind)))


def test_lines_of_a_config_may_end_as_elsewhere() -> None:
    Path("a.yaml").write_bytes(b"model:\r\n  recurrent:\r\n    - cell: gru\r\ntraining:\r\n  epochs: 3\r\n")
    assert load_config("a.yaml").training.epochs == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has files that have no bytes and never end")
def test_a_file_that_says_it_has_no_bytes_gives_none() -> None:
    """Such as a link to the page map of the process that reads it: hundreds of gigabytes."""
    Path("endless.json").symlink_to("/proc/self/pagemap")
    assert read_plain(Path("endless.json"), 1000) == b""
    with pytest.raises(ValueError, match="Expecting value"):
        read_json(Path("endless.json"))


HARMLESS = "Model: “größer”\n┏━━━┓\n"


@pytest.mark.parametrize("order", ["\x1b]0;owned\x07", "\x1b[2J", "\r", "\x9b2J", "\u202e", "\u2028"])
def test_a_summary_gives_the_terminal_no_orders(finished_run: Path, order: str) -> None:
    shutil.copytree(finished_run, "run")
    open_run(Path("run")).update({"summary.txt": HARMLESS + order + "\n"})
    result = rnnsent("summary", "run")
    assert result.exit_code == 0 and result.stdout.startswith(HARMLESS) and result.stdout.endswith("\n")
    assert not {char for char in result.stdout if not char.isprintable()} - {"\n"}


def test_a_summary_is_text(finished_run: Path) -> None:
    shutil.copytree(finished_run, "run")
    assert rnnsent("summary", "run").stdout == Path("run/summary.txt").read_text()
    open_run(Path("run")).update({"summary.txt": b"Model\xff"})
    result = rnnsent("summary", "run")
    assert result.exit_code == 1 and "run/summary.txt: is not UTF-8 text (byte 5)" in result.stderr
    open_run(Path("run")).update({"summary.txt": b"\n" * ((16 << 20) + 1)})
    result = rnnsent("summary", "run")
    assert result.exit_code == 1 and "summary.txt: cannot be read: it has 16,777,217 bytes" in result.stderr


LABELS = ("a\x1b]0;owned\x07", "b\u202e")
OF_ODD_LABELS = """\
data: {source: texts, path: t.csv, num_words: 50, maxlen: 10, test_split: 0.4}
model: {embedding_dim: 2, recurrent: [{cell: gru, units: 2}]}
training: {epochs: 1}
"""


def test_labels_give_the_terminal_no_orders() -> None:
    with Path("t.csv").open("w", newline="") as stream:
        rows = [(f"film {number} is {'good' if number % 2 else 'bad'}", LABELS[number % 2]) for number in range(80)]
        csv.writer(stream).writerows([("text", "label"), *rows])
    Path("t.yaml").write_text(OF_ODD_LABELS)
    trained = rnnsent("train", "--config", "t.yaml", "--run-dir", "run")
    assert trained.exit_code == 0 and "always answering a\\x1b]0;owned\\x07 would" in trained.stderr, trained.stderr
    assert not {char for char in trained.stderr if not char.isprintable()} - set("\n")
    for arguments in (["data", "info", "t.csv"], ["eval", "run"], ["predict", "run", "a good film"]):
        result = rnnsent(*arguments)
        assert result.exit_code == 0, result.stderr
        assert "a\ufffd]0;owned\ufffd" in result.stdout or "b\ufffd" in result.stdout, arguments
        assert not {char for char in result.stdout if not char.isprintable()} - set("\n\t\u00a0"), arguments
    again = rnnsent("train", "--resume", "run")
    assert again.exit_code == 0 and not {char for char in again.output if not char.isprintable()} - set("\n")
    for arguments in (["predict", "run", "a good film", "--json"], ["trace", "run", "a good film", "--json"]):
        result = rnnsent(*arguments)
        assert result.exit_code == 0 and result.stdout.rstrip("\n").isprintable(), arguments
        assert any(label in json.loads(result.stdout).values() for label in LABELS), arguments
