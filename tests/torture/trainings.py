"""Small trainings to be tortured: what each trains, and how it is started.

Importing TensorFlow takes most of such a training. `Forked` therefore runs the command line in a fork of this process,
in which the import is over and nothing has been computed yet; `whole` runs it in a process of its own, so that what is
compared with has nothing to do with forks.
"""

from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

TEXTS = "texts.csv"  # in the folder of the torture; half of its rows have no label
BASE = [
    "data.source=sample", "data.fallback=null", "data.maxlen=40", "model.embedding_dim=8",
    "model.recurrent=[{cell: gru, units: 8}]", "training.epochs=2", "training.batch_size=256",
    "training.checkpoint_every=1", "training.calibrate=false",
]  # fmt: skip
UNLABELED = ["data.source=texts", f"data.path={TEXTS}", "data.unlabeled=true"]
LANGUAGE_MODEL = "model.language_model={epochs: 2, batch_size: 512, samples: 64}"
CASES = {
    "simple_rnn": ["model.recurrent=[{cell: simple_rnn, units: 8}]", "training.epochs=3"],
    "lstm": ["model.recurrent=[{cell: lstm, units: 8, dropout: 0.3}]", "training.ema=0.9", "training.epochs=3"],
    "bidirectional": ["model.recurrent=[{cell: gru, units: 8, bidirectional: true}]", "training.clip_norm=1.0"],
    "stock": ["training.engine=stock", "model.dropout=0.4"],
    "plateau": ["training.schedule={kind: plateau, patience: 1}", "training.ema=null", "training.epochs=3"],
    "early": ["training.early_stopping={patience: 2, min_delta: 1.0}", "training.epochs=6"],  # ends after the third
    "ngrams": ["model.ngrams={orders: 2, folds: 3}", "training.adversarial={kind: adversarial}"],
    "mixed": ["training.precision=mixed_float16", "training.checkpoint_every=1s", "training.batch_size=128"],
    "baseline": [*UNLABELED, "training.teacher=baseline"],
    "language_model": [LANGUAGE_MODEL],
    "teacher": [*UNLABELED, "training.teacher=self"],
    "everything": [
        *UNLABELED, LANGUAGE_MODEL, "ensemble=[{}, {dropout: 0.2}]", "model.vectors={word2vec: {epochs: 1}}",
        "model.ngrams={orders: 2, folds: 2, weights: [naive_bayes, regression]}", "training.teacher=self",
        "training.calibrate=true",
    ],
}  # fmt: skip


def write_texts(path: Path, rows: int = 4000) -> None:
    """Write texts that four words a side decide; every second one has no label."""
    rng = random.Random(0)
    words = {"good": ("splendid", "moving", "warm", "witty"), "bad": ("dreary", "hollow", "dull", "clumsy")}
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label"])
        for row in range(rows):
            label = rng.choice(sorted(words))
            text = rng.choices(words[label], k=3) + [f"word{rng.randrange(200)}" for _ in range(rng.randrange(5, 40))]
            writer.writerow([" ".join(rng.sample(text, len(text))), label if row % 2 else ""])


def arguments(name: str, run: Path) -> list[str]:
    """Return the arguments of `rnnsent` that train a case, or continue it."""
    if (run / "config.json").exists():
        return ["train", "--resume", str(run), "--quiet"]
    settings = [part for setting in [*BASE, *CASES[name]] for part in ("--set", setting)]
    return ["train", "--config", "gru", "--run-dir", str(run), "--quiet", *settings]


def cache() -> Path:
    """Return the folder of the cache."""
    return Path(os.environ["RNNSENT_CACHE"])


def remove(run: Path) -> None:
    """Remove a run, and what it or another one learned from texts without labels and left in the cache."""
    shutil.rmtree(run, ignore_errors=True)
    for name in ("language-model", "word2vec"):
        for entry in cache().glob(f"*{name}-*"):
            shutil.rmtree(entry)


def whole(name: str, run: Path) -> None:
    """Train a case to its end, undisturbed, in a process of its own."""
    remove(run)
    subprocess.run([sys.executable, "-m", "rnnsent", *arguments(name, run)], check=True, capture_output=True)


def enter(folder: Path) -> None:
    """Make `folder` the current folder, with a cache and texts of its own, and import what a training imports.

    Nothing is computed: threads that wait for work would be lost in a fork.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    os.environ["RNNSENT_CACHE"] = str(Path("cache").resolve())
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    write_texts(Path(TEXTS))
    import gensim.models  # noqa: F401
    import keras  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    import tensorflow  # noqa: F401

    import rnnsent.cli.commands.train
    import rnnsent.training.experiment
    import rnnsent.training.pretrain  # noqa: F401


class Forked:
    """`rnnsent` with some arguments, in a fork of this process; what it prints goes into the file `log`."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self._log = log
        self._code: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self._process = os.fork()
        if not self._process:
            _be_rnnsent(arguments, log)

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self._code is None:
            process, status = os.waitpid(self._process, os.WNOHANG)
            if process:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def finish(self, seconds: float = 300.0) -> None:
        """Wait until it ends.

        Raises:
            RuntimeError: if it fails, or still runs after that many seconds.
        """
        latest = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < latest:
            time.sleep(0.005)
        if self.kill() or self._code:
            raise RuntimeError(f"exit code {self._code}:\n{self._log.read_text()}")

    def kill(self) -> bool:
        """Kill it by SIGKILL; return whether it was still running."""
        if self.poll() is not None:
            return False
        os.kill(self._process, signal.SIGKILL)
        self._code = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        return self._code == -signal.SIGKILL


def _be_rnnsent(arguments: Sequence[str], log: Path) -> NoReturn:
    """Be the command line, in the child; never come back into the code of the parent."""
    code = 70
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.argv = ["rnnsent", *arguments]
        from rnnsent.cli.main import cli

        cli(list(arguments), prog_name="rnnsent")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
