"""Several libraries on the same task in turns: each a process, one of them at work at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, Any

from benchmarks.contestants import NAMES
from rnnsent.errors import RnnsentError

BOOK_ACCURACY = 0.875  # the validation accuracy of the book's LSTM after ten epochs


@dataclass
class Lane:
    """What one contestant did."""

    name: str
    epochs: list[float] = field(default_factory=list)  # seconds, training part only
    accuracies: list[float] = field(default_factory=list)  # of validation, after each epoch
    predictions: list[float] = field(default_factory=list)  # seconds, all test reviews
    test_accuracy: float = 0.0
    peak_memory_mb: float = 0.0

    @property
    def epoch_seconds(self) -> float:
        """The median epoch; the first, in which libraries compile, counts only where it is alone."""
        return median(self.epochs[1:] or self.epochs)

    @property
    def prediction_seconds(self) -> float:
        """The median prediction, without the first."""
        return median(self.predictions[1:] or self.predictions)

    @property
    def seconds_to_book(self) -> float | None:
        """Training seconds until the validation accuracy of the book's LSTM was reached, None if it was not."""
        for index, accuracy in enumerate(self.accuracies):
            if accuracy >= BOOK_ACCURACY:
                return sum(self.epochs[: index + 1])
        return None


@dataclass(frozen=True)
class Race:
    """All lanes of one cell; the first that ran is what the others are compared with."""

    cell: str
    lanes: list[Lane]
    absent: dict[str, str]  # name → why

    def ratios(self, lane: Lane) -> tuple[float, float]:
        """Return how many times faster than the first lane an epoch and a prediction were."""
        first = self.lanes[0]
        return first.epoch_seconds / lane.epoch_seconds, first.prediction_seconds / lane.prediction_seconds


class Worker:
    """A contestant in a process of its own, which does what it is asked: "epoch", "predict", "finish"."""

    def __init__(self, name: str, cell: str, source: str, epochs: int) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", name, cell, source, str(epochs)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self._name = name
        here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}  # benchmarks is not installed
        self._process = subprocess.Popen(command, text=True, env=here, **pipes)
        try:
            self.ready = self._answer()
        except RnnsentError:
            self.__exit__()
            raise

    def ask(self, word: str) -> dict[str, Any]:
        """Return what the contestant answers to one of its words."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # what became of it is said by the answer that does not come
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        stdout: IO[str] | None = self._process.stdout
        assert stdout is not None and self._process.stderr is not None
        line = stdout.readline()
        if not line:
            said = self._process.stderr.read().strip().splitlines()
            raise RnnsentError(f"{NAMES[self._name]} failed: {said[-1] if said else 'without a word'}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()


def race(
    cell: str, names: Sequence[str], source: str, epochs: int, predictions: int, tell: Callable[[str], None]
) -> Race:
    """Let the contestants train and predict in turns, the order turned round each time.

    Args:
        cell: "simple_rnn", "lstm" or "gru".
        names: of contestants.NAMES; the first is the one to compare with.
        source: of the reviews, "imdb" or "sample".
        epochs, predictions: how many of each.
        tell: told of each epoch.

    Raises:
        RnnsentError: if a contestant fails.
    """
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        absent: dict[str, str] = {}
        for name in names:
            worker = stack.enter_context(Worker(name, cell, source, epochs))
            if worker.ready["ready"]:
                workers[name] = worker
            else:
                absent[name] = worker.ready["because"]
        lanes = {name: Lane(name) for name in workers}
        for turn in range(epochs):
            for name in _order(workers, turn):
                found = workers[name].ask("epoch")
                lanes[name].epochs.append(found["seconds"])
                lanes[name].accuracies.append(found["accuracy"])
                tell(f"{cell}, epoch {turn + 1}: {NAMES[name]}: {found['seconds']:.2f} s, {found['accuracy']:.2%}")
        for turn in range(predictions + 1):
            for name in _order(workers, turn):
                lanes[name].predictions.append(workers[name].ask("predict")["seconds"])
        for name, worker in workers.items():
            found = worker.ask("finish")
            lanes[name].test_accuracy, lanes[name].peak_memory_mb = found["accuracy"], found["peak_memory_mb"]
    return Race(cell, list(lanes.values()), absent)


def _order(workers: dict[str, Worker], turn: int) -> list[str]:
    names = list(workers)
    return names if turn % 2 == 0 else names[::-1]
