"""A training that is killed and resumed ends with the bits of one that never was."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from rnnsent.cli.options import overrides
from rnnsent.config.loader import parse_config
from rnnsent.config.sections import Config
from rnnsent.errors import RunError
from rnnsent.runs.directory import CHECKPOINTS, Run, acquire
from rnnsent.training.checkpoint import Checkpoint, CheckpointFolder
from rnnsent.training.experiment import Request, resume_training, train
from tests.conftest import SAMPLE_CONFIG, rnnsent
from tests.torture.trainings import write_texts

TIMES = {"seconds", "elapsed", "tokens_per_second"}
EVERY_STEP = ("training.epochs=2", "training.batch_size=800", "training.checkpoint_every=1", "training.calibrate=false")
TEXTS = ("data.source=texts", "data.path=texts.csv", "data.unlabeled=true", "data.num_words=150")
RECIPES = {
    "lstm": ("model.recurrent=[{cell: lstm, units: 8, dropout: 0.3}]", "training.ema=0.9",
             "training.schedule={kind: cosine, warmup_steps: 4}"),
    "rnn": ("model.recurrent=[{cell: simple_rnn, units: 8}]", "training.optimizer=nadam", "training.batch_tokens=9000",
            "training.class_weights=balanced"),
    "stock": ("training.engine=stock", "model.dropout=0.4"),
    "plateau": ("training.schedule={kind: plateau, patience: 1}", "training.early_stopping={patience: 2}",
                "training.learning_rate=1e-12", "training.epochs=4", "training.monitor=val_f1"),
    "adversarial": ("training.adversarial={kind: virtual}", "training.ema=0.5"),
    "ensemble": ("ensemble=[{}, {recurrent: [{cell: lstm, units: 4}]}]", "model.ngrams={orders: 2, folds: 3}"),
    "language_model": ("model.language_model={epochs: 2, batch_size: 2400, samples: 64}", "training.epochs=1"),
    "vectors": (*TEXTS, "model.vectors={word2vec: {epochs: 1}}", "training.epochs=1", "training.batch_size=200"),
    "teacher": (*TEXTS, "training.teacher=self", "training.epochs=1",
                "training.batch_size=200"),
}  # fmt: skip


class Killed(BaseException):
    """As by SIGKILL: what is in memory is gone."""


def config(*changes: str) -> Config:
    return parse_config(SAMPLE_CONFIG, "small", overrides((*EVERY_STEP, *changes)))


def kill_after(writes: int, lost: bool, patch: pytest.MonkeyPatch) -> None:
    """Kill a training at a later checkpoint: before one is written, which loses a step, or after."""
    write = CheckpointFolder.write

    def dying(self: CheckpointFolder, checkpoint: Checkpoint) -> None:
        nonlocal writes
        writes -= 1
        if writes >= 0 or not lost:
            write(self, checkpoint)
        if writes < 0:
            raise Killed

    patch.setattr(CheckpointFolder, "write", dying)


def without_times(run: Run) -> list[dict[str, float]]:
    return [
        {name: value for name, value in vars(epoch).items() if name not in TIMES}
        for network in run.networks
        for epoch in network.history()
    ]


def assert_same(one: Run, other: Run) -> None:
    mine, theirs = one.weights(), other.weights()
    assert list(mine) == list(theirs)
    for name in mine:
        np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)
    assert without_times(one) == without_times(other)
    assert one.metrics.validation == other.metrics.validation
    known = [run.metrics.embeddings for run in (one, other)]
    assert [each and (each.found, each.words) for each in known] == [known[1] and (known[1].found, known[1].words)] * 2


@pytest.mark.parametrize("recipe", RECIPES)
def test_resume_after_kills_at_random_steps_gives_same_bits(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_texts(Path("texts.csv"), 3000)
    chosen = config(*RECIPES[recipe])
    monkeypatch.setenv("RNNSENT_CACHE", str(Path("cache-1").resolve()))
    expected = train(chosen, Request("whole"), run_dir=Path("whole"))
    monkeypatch.setenv("RNNSENT_CACHE", str(Path("cache-2").resolve()))
    rng, kills, run = random.Random(recipe), 0, None
    while run is None:
        try:
            with pytest.MonkeyPatch.context() as patch:
                kill_after(rng.randrange(1, 6), rng.random() < 0.5, patch)
                if Path("killed/config.json").is_file():
                    run = resume_training(Path("killed"), Request("killed"))
                else:
                    run = train(chosen, Request("killed"), run_dir=Path("killed"))
        except Killed:
            kills += 1
            assert kills < 40
    assert kills > 0
    assert_same(run, expected)


@pytest.fixture
def trained(sample_run: Path) -> Path:
    shutil.copytree(sample_run, "run")
    return Path("run")


def test_resume_of_a_finished_run_changes_nothing(trained: Path) -> None:
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    result = rnnsent("train", "--resume", "run")
    assert result.exit_code == 0 and "run is finished; train more: --epochs N" in result.stderr
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before


def test_resume_with_more_epochs_equals_training_them_at_once(trained: Path) -> None:
    assert rnnsent("eval", "run").exit_code == 0
    result = rnnsent("train", "--resume", "run", "--epochs", "2")
    assert result.exit_code == 0, result.stderr
    assert (trained / "evaluations" / "test.json").is_file()
    once = rnnsent("train", "--config", "run/config.yaml", "--run-dir", "once")
    assert once.exit_code == 0, once.stderr
    assert_same(Run(trained), Run(Path("once")))
    fewer = rnnsent("train", "--resume", "run", "--epochs", "1")
    assert fewer.exit_code == 1 and "run has trained 2 epochs already" in fewer.stderr


def test_resume_takes_no_other_change(trained: Path) -> None:
    for arguments in (["--set", "training.epochs=2"], ["--data", "imdb"], ["--seed", "1"], ["--run-dir", "x"]):
        result = rnnsent("train", "--resume", "run", *arguments)
        assert result.exit_code == 2 and "the config of a run cannot change" in result.stderr
    path = trained / "config.yaml"
    path.write_text(path.read_text().replace("learning_rate: 0.02", "learning_rate: 0.5"))
    result = rnnsent("train", "--resume", "run")
    assert result.exit_code == 1 and "run/config.yaml: was edited" in result.stderr


def test_resume_refuses_other_data() -> None:
    write_texts(Path("texts.csv"), 400)
    train(config(*TEXTS, "training.epochs=1"), Request("run"), run_dir=Path("run"))
    Path("run/manifest.json").unlink()
    Path("texts.csv").write_text(Path("texts.csv").read_text().replace("splendid", "dreary", 5))
    with pytest.raises(RunError, match=r"run: cannot be resumed: its .*train.* data changed since it began"):
        resume_training(Path("run"), Request("run"))


def test_resume_with_other_versions_warns(trained: Path) -> None:
    (trained / "manifest.json").unlink()
    path = trained / "fingerprint.json"
    path.write_text(path.read_text().replace('"keras": "', '"keras": "9'))
    result = rnnsent("train", "--resume", "run")
    assert result.exit_code == 0 and "bits may differ" in result.stderr and "keras: 9" in result.stderr


def test_resume_waits_for_no_other_process(trained: Path) -> None:
    lock = acquire(trained)
    result = rnnsent("train", "--resume", "run")
    assert result.exit_code == 1 and "another training is writing this run now" in result.stderr
    lock.release()


def test_a_damaged_checkpoint_costs_only_itself(trained: Path) -> None:
    assert rnnsent("train", "--config", "run/config.yaml", "--epochs", "2", "--run-dir", "two").exit_code == 0
    newest = Path("two") / CHECKPOINTS / "epoch-0002.safetensors"
    shutil.copy(trained / CHECKPOINTS / "epoch-0001.safetensors", newest.with_name("epoch-0001.safetensors"))
    newest.write_bytes(newest.read_bytes()[:1000])
    Path("two/manifest.json").unlink()
    result = rnnsent("train", "--resume", "two")  # the older one is of another training
    assert result.exit_code == 1 and "no checkpoint is intact" in result.stderr
    assert "epoch-0002.safetensors: is damaged" in result.stderr and "belongs to another training" in result.stderr
