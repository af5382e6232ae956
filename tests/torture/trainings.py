"""Small trainings to be tortured: what each trains, and how it is started.

Importing TensorFlow takes most of such a training. `Forked` therefore runs the command line in a fork of this process,
in which the import is over and nothing has been computed yet; `whole` runs it in a process of its own, so that what is
compared with has nothing to do with forks.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from rnnsent.config.loader import load_config
from rnnsent.runs import directory as runs

TINY = ["data.source=sample", "data.fallback=null", "data.maxlen=40", "model.embedding_dim=8"]
QUICK = ["training.epochs=3", "training.batch_size=256", "training.checkpoint_every=1", "training.calibrate=false"]
TEXTS = "texts.csv"  # in the folder of the torture; half of its rows have no label
UNLABELED = ["data.source=texts", f"data.path={TEXTS}", "data.unlabeled=true"]

EARLY = "vectors"  # the case that stops by itself
CASES = {
    "simple_rnn": ("simple_rnn", ["model.recurrent=[{cell: simple_rnn, units: 8}]"]),
    "lstm": ("lstm", ["model.recurrent=[{cell: lstm, units: 8, dropout: 0.3}]"]),
    "gru": ("gru", ["model.recurrent=[{cell: gru, units: 8, bidirectional: true}]", "training.clip_norm=1.0"]),
    "stock": ("gru", ["model.recurrent=[{cell: gru, units: 4}]", "training.engine=stock", "model.dropout=0.4"]),
    "plateau": (
        "lstm",
        [
            "model.recurrent=[{cell: lstm, units: 8}]",
            "training.schedule={kind: plateau, patience: 1}",
            "training.ema=null",
        ],
    ),
    "ensemble": (
        "gru",
        [
            "model.recurrent=[{cell: gru, units: 8}]",
            "ensemble=[{}, {recurrent: [{cell: lstm, units: 8}]}]",
            "training.epochs=2",
        ],
    ),
    "ngrams": (
        "gru",
        [
            "model.recurrent=[{cell: gru, units: 8}]",
            "model.ngrams={orders: 2, folds: 3}",
            "training.adversarial={kind: adversarial}",
        ],
    ),
    "language_model": (
        "gru",
        [
            "model.recurrent=[{cell: gru, units: 8, bidirectional: true}]",
            "model.language_model={epochs: 4, batch_size: 512, samples: 64}",
            "training.epochs=2",
        ],
    ),
    "teacher": (
        "gru",
        ["model.recurrent=[{cell: gru, units: 8}]", *UNLABELED, "training.teacher=self", "training.epochs=2"],
    ),
    "baseline": (
        "lstm",
        [
            "model.recurrent=[{cell: lstm, units: 8}]",
            *UNLABELED,
            "training.teacher=baseline",
            "training.word_dropout=0.1",
            "training.epochs=2",
        ],
    ),
    EARLY: (  # the third epoch is the last one: none can be better by 1 than the first
        "gru",
        [
            "model.recurrent=[{cell: gru, units: 8}]",
            "model.vectors={word2vec: {epochs: 1}}",
            "model.ngrams={orders: 2, folds: 2, weights: [regression]}",
            "training.early_stopping={patience: 2, min_delta: 1.0}",
            "training.epochs=6",
        ],
    ),
    "mixed": (
        "gru",
        [
            "model.recurrent=[{cell: gru, units: 8, dropout: 0.3}]",
            "training.precision=mixed_float16",
            "training.checkpoint_every=1s",
            "training.batch_size=128",
            "training.epochs=2",
        ],
    ),
    "everything": (
        "gru",
        [
            "model.recurrent=[{cell: gru, units: 8}]",
            "ensemble=[{}, {dropout: 0.2}]",
            "model.vectors={word2vec: {epochs: 1}}",
            "model.ngrams={orders: 2, folds: 2, weights: [naive_bayes, regression]}",
            "model.language_model={epochs: 2, batch_size: 512, samples: 64}",
            *UNLABELED,
            "training.teacher=self",
            "training.trackers=[tensorboard, mlflow]",
            "training.calibrate=true",
            "training.epochs=2",
        ],
    ),
}


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


def arguments(name: str, run: Path, *changes: str) -> list[str]:
    """Return the arguments of `rnnsent` that train a case, with changes of its config, or let it go on."""
    config, settings = CASES[name]
    if (run / "config.yaml").exists():
        return ["train", "--resume", str(run), "--quiet"]
    found = ["train", "--config", config, "--run-dir", str(run), "--quiet"]
    return found + [part for setting in [*TINY, *QUICK, *settings, *changes] for part in ("--set", setting)]


def cache() -> Path:
    """Return the folder of the cache."""
    return Path(os.environ["RNNSENT_CACHE"])


def remove(run: Path) -> None:
    """Remove a run, and what it or another one learned from texts without labels and left in the cache."""
    shutil.rmtree(run, ignore_errors=True)
    for name in ("language-model", "word2vec"):
        for entry in cache().glob(f"*{name}-*"):
            shutil.rmtree(entry)


def whole(name: str, run: Path, *changes: str) -> None:
    """Train a case to its end, undisturbed, in a process of its own."""
    remove(run)
    subprocess.run([sys.executable, "-m", "rnnsent", *arguments(name, run, *changes)], check=True, capture_output=True)


def stopped_early(run: Path) -> bool:
    """Return whether a run by itself has fewer epochs than it might have had."""
    epochs = len((run / runs.HISTORY).read_text().splitlines()) - 1
    return epochs < load_config(str(run / runs.CONFIG)).training.epochs


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return what every torture is asked for: a folder, and the seed of its chances; each adds its own."""
    found = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("folder", type=Path)
    found.add_argument("--seed", type=int, default=0)
    return found


def enter(folder: Path) -> None:
    """Make `folder` the place of a torture: the current folder, with a cache and texts of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    os.environ["RNNSENT_CACHE"] = str(Path("cache").resolve())
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{Path('mlflow.db').resolve()}"
    write_texts(Path(TEXTS))


def import_all() -> None:
    """Import what a training imports, and compute nothing: threads that wait for work would be lost in a fork."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import gensim.models  # noqa: F401
    import keras  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import mlflow.store.tracking.sqlalchemy_store
    import mlflow.tracking  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    import tensorboard.plugins.projector  # noqa: F401
    import tensorflow  # noqa: F401

    import rnnsent.cli.commands.train
    import rnnsent.training.experiment  # noqa: F401


class Forked:
    """`rnnsent` with some arguments, in a fork of this process; what it says goes into the file `log`.

    Before that, `prelude` is called in the fork.
    """

    def __init__(self, arguments: Sequence[str], log: Path, prelude: Callable[[], None] = lambda: None) -> None:
        self._log = log
        self._code: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self._process = os.fork()
        if not self._process:
            _be_rnnsent(arguments, log, prelude)

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self._code is None:
            process, status = os.waitpid(self._process, os.WNOHANG)
            if process:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def wait(self, seconds: float = 300.0) -> int:
        """Return the exit code as soon as there is one.

        Raises:
            TimeoutError: if it still runs after so many seconds; it is killed then.
        """
        latest = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > latest:
                self.kill()
                raise TimeoutError(f"it hung:\n{self.said()}")
            time.sleep(0.005)
        assert self._code is not None
        return self._code

    def kill(self) -> bool:
        """Kill it by SIGKILL; return whether it was still running."""
        if self.poll() is not None:
            return False
        os.kill(self._process, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def said(self) -> str:
        """Return what it has said so far."""
        return self._log.read_text()


def _be_rnnsent(arguments: Sequence[str], log: Path, prelude: Callable[[], None]) -> NoReturn:
    """Be the command line, in the child; never come back into the code of the parent."""
    code = 70
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.argv = ["rnnsent", *arguments]
        from rnnsent.cli.main import cli

        prelude()
        cli(list(arguments), prog_name="rnnsent")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
