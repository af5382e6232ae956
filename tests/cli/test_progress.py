from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
import threading
from collections.abc import Callable

import pytest
from rnnsent.training.observers import EpochFacts, StepFacts

from rnnsent.cli.progress import epoch_line, reading_progress, training_progress


def epoch(number: int = 1, loss: float = 0.6931, seconds: float = 12.3) -> EpochFacts:
    return EpochFacts(number, seconds, loss, 0.5, loss, 0.5, 1e-3, 1.0)


@pytest.mark.parametrize("best", [False, True])
@pytest.mark.parametrize("loss", [0.0, 0.6931, 9.99999, 16.118, float("nan")])
@pytest.mark.parametrize(("number", "epochs"), [(1, 1), (3, 10), (100, 100), (999, 999)])
def test_an_epoch_fits_into_80_columns(number: int, epochs: int, loss: float, best: bool) -> None:
    line = epoch_line(epoch(number, loss, seconds=9999.9), epochs, best)
    assert len(line) <= 80
    assert line.startswith(f"epoch {number:>{len(str(epochs))}}/{epochs} ") and line.endswith(" *") == best


def test_plain_lines_go_to_stderr_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with training_progress(2) as observer:
        observer.on_step(StepFacts(1, 1, 2, 8, 80, 0.1, 0.7, 0.5))
        observer.on_epoch(epoch(), True, None)
        observer.on_epoch(epoch(2), False, None)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [epoch_line(epoch(), 2, True), epoch_line(epoch(2), 2, False)]


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with training_progress(1, quiet=True) as observer:
        observer.on_step(StepFacts(1, 1, 2, 8, 80, 0.1, 0.7, 0.5))
        observer.on_epoch(epoch(), True, None)
    assert capsys.readouterr() == ("", "")


def on_a_terminal(action: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run `action` with a terminal of 80 columns as stderr; return the states of its lines, without escapes."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS", raising=False)
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shown = io.BytesIO()

    def read() -> None:
        try:
            while chunk := os.read(leader, 4096):
                shown.write(chunk)
        except OSError:  # the other end is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(follower, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        action()
    reader.join()
    os.close(leader)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue().decode())
    return [line.rstrip() for line in re.split(r"[\r\n]+", plain)]


@pytest.mark.parametrize(
    ("step", "epochs", "expected"),
    [
        (
            StepFacts(1, 50, 200, 6400, 1_536_000, 10.0, 0.6931, 0.5123),
            8,
            ["1/8", "loss 0.693", "acc 0.512", "640 rev/s", "154k tok/s", "5:10 left"],
        ),
        # As fast as a GPU gets, and as long as anybody waits.
        (
            StepFacts(10, 1000, 10_000, 512_000, 123_456_000, 12.8, 0.0123, 0.9987),
            99,
            ["10/99", "loss 0.012", "acc 0.999", "40,000 rev/s", "9,645k tok/s", "3:11:47 left"],
        ),
    ],
    ids=["CPU", "GPU"],
)
def test_the_bar_shows_every_figure_in_80_columns(
    step: StepFacts, epochs: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def action() -> None:
        with training_progress(epochs) as observer:
            observer.on_step(step)
            observer.on_epoch(epoch(step.epoch), True, None)

    lines = on_a_terminal(action, monkeypatch)
    assert max(map(len, lines)) <= 80
    bar = next(line for line in lines if "left" in line)
    for part in expected:
        assert part in bar
    assert any(line.startswith(epoch_line(epoch(step.epoch), epochs, True)) for line in lines)


def test_a_download_has_a_bar_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with reading_progress() as nothing:
        assert nothing is None
    assert capsys.readouterr() == ("", "")

    def action() -> None:
        with reading_progress() as show:
            assert show is not None
            show("imdb.npz", 500_000, 1_000_000)
            show("imdb.npz", 1_000_000, 1_000_000)

    assert any("imdb.npz" in line and "1.0/1.0 MB" in line for line in on_a_terminal(action, monkeypatch))

    def of_an_odd_file() -> None:
        with reading_progress() as show:
            assert show is not None
            show("[red]a\x1b]0;b\x07.csv", 500, 1000)

    assert any("[red]a\\x1b]0;b\\x07.csv" in line for line in on_a_terminal(of_an_odd_file, monkeypatch))
