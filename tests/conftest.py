"""What all tests share: a folder of their own, no network, and a small data set in the form of imdb.npz."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before anything imports TensorFlow: its start-up lines are not what a test report is about.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rnnsent.cli.options import overrides
from rnnsent.config.loader import parse_config
from rnnsent.config.sections import Config
from rnnsent.data import download
from rnnsent.engine import kernel

REPOSITORY = Path(__file__).parent.parent
POSITIVE, NEGATIVE = range(4, 14), range(14, 24)  # ranks of words that decide; 24 to 49 are filler


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One flat cache for the whole session: its keys tell data sets apart."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test in an empty folder, without the user's data, caches or network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNSENT_CACHE", str(cache))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("RNNSENT_DATA", raising=False)
    monkeypatch.setattr(download, "BASE_URL", "http://127.0.0.1:9/")  # the discard port: nobody listens


@pytest.fixture(scope="session", autouse=True)
def heard() -> None:
    """Let Ctrl-C be heard, by child processes as well: a shell lets what it starts in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Where there is a compiler, a kernel that is not there is a fault.
needs_kernel = pytest.mark.skipif(
    not kernel.available() and shutil.which("cc") is None, reason="there is no C compiler, and so no kernel"
)


def write_imdb(folder: Path, reviews: int = 120, seed: int = 0) -> Path:
    """Write a small imdb.npz and its word index: 2 × `reviews` reviews that ten words a side decide."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, Any] = {}
    for part in ("train", "test"):
        labels = rng.permutation(np.arange(reviews) % 2)
        sequences = []
        for label in labels:
            length = int(rng.integers(5, 40))
            words = rng.integers(24, 50, length)
            deciding = rng.random(length) < 0.4
            words[deciding] = rng.choice(POSITIVE if label else NEGATIVE, int(deciding.sum()))
            sequences.append([int(word) for word in words])
        column = np.empty(reviews, dtype=object)
        column[:] = sequences
        arrays |= {f"x_{part}": column, f"y_{part}": labels.astype(np.int64)}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "imdb.npz", **arrays, allow_pickle=True)
    index = {f"word{rank}": rank for rank in range(1, 50)}
    (folder / "imdb_word_index.json").write_text(json.dumps(index))
    return folder / "imdb.npz"


@pytest.fixture(scope="session")
def tiny_imdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small imdb.npz: 120 + 120 reviews, 49 words."""
    return write_imdb(tmp_path_factory.mktemp("tiny")).parent


@pytest.fixture(scope="session")
def real_imdb() -> Iterator[Path]:
    """The folder of the real reviews; tests that need them say so where they are not."""
    for folder in (os.environ.get("RNNSENT_DATA"), REPOSITORY.parent / "shared" / "data"):
        if folder and (Path(folder) / "imdb.npz").is_file():
            yield Path(folder).resolve()
            return
    pytest.skip("the real reviews are neither in $RNNSENT_DATA nor in ../shared/data")


class Evil:
    """An object whose pickle writes a file called `owned` when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("owned"), "by a pickle"))


def rnnsent(*arguments: str) -> Result:
    """Run the command line in this process."""
    from rnnsent.cli.main import cli

    return CliRunner().invoke(cli, list(arguments), prog_name="rnnsent")


def parsed(text: str, *settings: str) -> Config:
    """Return the config that a YAML text describes, with settings as those of `--set`."""
    return parse_config(text, "test", overrides(settings))


TINY_CONFIG = """\
data: {source: imdb, num_words: 60, maxlen: 30}
model:
  embedding_dim: 8
  recurrent:
    - {cell: CELL, units: 8}
training: {epochs: 3, batch_size: 16, optimizer: adam, learning_rate: 2e-2, clip_norm: 1.0}
"""


@pytest.fixture
def tiny_config(tmp_path: Path) -> Path:
    """A config file that trains on `tiny_imdb` in about a second."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY_CONFIG.replace("CELL", "gru"))
    return path


def trained(config: Path, cache: Path, *arguments: str) -> Path:
    """Train a config in its own folder, with the cache of the session, and return the run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(config.parent)
        patch.setenv("RNNSENT_CACHE", str(cache))
        result = rnnsent("train", "--config", config.name, "--run-dir", "run", *arguments)
    assert result.exit_code == 0, result.stderr
    return config.parent / "run"


@pytest.fixture(scope="session")
def finished_run(tiny_imdb: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch of `tiny_config` on `tiny_imdb`; to be copied by whoever changes it."""
    config = tmp_path_factory.mktemp("finished") / "tiny.yaml"
    config.write_text(TINY_CONFIG.replace("CELL", "gru"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNSENT_DATA", str(tiny_imdb))
        return trained(config, cache, "--epochs", "1")


SAMPLE_CONFIG = """\
data: {source: sample, num_words: 300, maxlen: 40}
model: {embedding_dim: 8, recurrent: [{cell: gru, units: 8}]}
training: {epochs: 1, batch_size: 128, learning_rate: 2e-2}
"""


@pytest.fixture(scope="module")
def sample_run(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch on the sample reviews, which knows their words; each module has its own."""
    config = tmp_path_factory.mktemp("sample") / "small.yaml"
    config.write_text(SAMPLE_CONFIG)
    return trained(config, cache)
