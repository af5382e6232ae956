"""The progress bars on a terminal."""

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
from typing import Any

import pytest

from rnnsent.cli.progress import reading_progress, training_bar
from rnnsent.config.loader import load_config


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


def facts(texts: int, tokens: int, seconds: float, loss: float, accuracy: float) -> dict[str, Any]:
    return {"texts": texts, "tokens": tokens, "seconds": seconds, "loss": loss, "accuracy": accuracy}


@pytest.mark.parametrize(
    ("epoch", "epochs", "step", "steps", "logs", "expected"),
    [
        (1, 8, 50, 200, facts(6400, 1_536_000, 10.0, 0.6931, 0.5123),
         ["1/8", "loss 0.693", "acc 0.512", "640 texts/s", "154k tok/s", "0:05:10 left"]),
        (10, 99, 1000, 10_000, facts(512_000, 123_456_000, 12.8, 0.0123, 0.9987),
         ["10/99", "loss 0.012", "acc 0.999", "40,000 texts/s", "9,645k tok/s", "3:11:47 left"]),
    ],
    ids=["CPU", "GPU"],
)  # fmt: skip
def test_training_bar_shows_every_figure_in_80_columns(
    epoch: int,
    epochs: int,
    step: int,
    steps: int,
    logs: dict[str, Any],
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def action() -> None:
        (bar,) = training_bar(load_config("lstm", {"training.epochs": epochs}))
        bar.set_params({"steps": steps})
        bar.on_epoch_begin(epoch - 1)
        bar.on_train_batch_end(step - 1, logs)
        bar.on_test_begin()

    lines = on_a_terminal(action, monkeypatch)
    assert max(map(len, lines)) <= 80
    bar = next(line for line in lines if "left" in line)
    assert [part for part in expected if part not in bar] == []


def test_reading_progress_shows_bytes_and_escapes_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(name: str, *steps: int) -> list[str]:
        def action() -> None:
            with reading_progress() as show:
                assert show is not None
                for done in steps:
                    show(name, done, 1_000_000)

        return on_a_terminal(action, monkeypatch)

    assert any("imdb.npz" in line and "1.0/1.0 MB" in line for line in read("imdb.npz", 500_000, 1_000_000))
    assert any("[red]a\\x1b]0;b\\x07.csv" in line for line in read("[red]a\x1b]0;b\x07.csv", 500_000))


def test_no_progress_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with reading_progress() as show:
        assert show is None
    assert training_bar(load_config("lstm")) == []
    assert capsys.readouterr() == ("", "")
