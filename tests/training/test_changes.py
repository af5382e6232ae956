"""A training that goes on with changes: what cannot be is refused before a file is touched, what was is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnnsent.json_files import sealed as sealed_json
from rnnsent.runs import directory as runs
from rnnsent.runs import schemas as records
from rnnsent.runs import sealed
from rnnsent.runs.directory import RunDirectory
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training.checkpoint import Checkpoint
from rnnsent.training.run_writer import Keeper
from tests.conftest import TINY_CONFIG, rnnsent, write_imdb


def contents(run: Path) -> dict[str, bytes]:
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def resume(*arguments: str, allowed: bool = True) -> str:
    """Let the training of `run` go on, and return what was told."""
    found = rnnsent("train", "--resume", "run", *arguments, *(["--allow-changes"] if allowed else []))
    assert found.exit_code == 0, found.stderr
    return found.stderr


def refused(*arguments: str, allowed: bool = True, run: str = "run") -> str:
    """Try to, and return the refusal; not a byte of the run is another one afterwards, and no file is more or less."""
    before = contents(Path(run))
    found = rnnsent("train", "--resume", run, *arguments, *(["--allow-changes"] if allowed else []))
    assert found.exit_code == 1, found.stderr
    assert contents(Path(run)) == before
    return found.stderr


def origin(run: str = "run") -> dict[str, object]:
    return sealed.read(RunDirectory(Path(run)), runs.ORIGIN, records.Origin)


@pytest.fixture
def trained(finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "run")
    return Path("run")


TEXTS = [f"{'warm' if row % 2 else 'dull'} w{row % 7} w{row % 5}" for row in range(60)]


def write_texts(change: Callable[[list[str]], list[str]] = list) -> None:
    rows = change([f"{row},{'yes' if 'warm' in row else 'no'}\n" for row in TEXTS])
    Path("d.csv").write_text("body,verdict\n" + "".join(rows))


@pytest.fixture
def of_texts() -> Path:
    """A finished run on texts whose words are known."""
    write_texts()
    own = "source: texts, path: d.csv, text_column: body, label_column: verdict"
    Path("own.yaml").write_text(TINY_CONFIG.replace("CELL", "gru").replace("source: imdb", own))
    found = rnnsent("train", "--config", "own.yaml", "--run-dir", "run", "--epochs", "1")
    assert found.exit_code == 0, found.stderr
    return Path("run")


CHECKPOINT = "run/checkpoints/epoch-0001.npz: "


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.recurrent.0.units=13", "kernel has the shape (8, 24), the config needs (8, 39)"),
        ("model.embedding_dim=9", "embeddings has the shape (60, 8), the config needs (60, 9)"),
        ("model.ngrams={orders: 1}", "kernel has the shape (8, 24), the config needs (9, 24)"),
        ("model.pooling=mean_max", "output/kernel has the shape (8, 1), the config needs (16, 1)"),
        ("model.dense=[{units: 4}]", "they differ in dense_0/bias, dense_0/kernel"),
        ("model.dropout=0.5", "needs 2 random generators, the checkpoint has 1: dropout is not where it was"),
        ("data.num_words=30", "the rows of the embedding stand for words; row 30 stood for 'word27', and now for no "),
        ("training.optimizer=rmsprop", "of another optimizer: it has momentum."),
        ("training.optimizer=nadam", "of another optimizer: it lacks variable."),
        ("training.ema=0.9", "of another optimizer: it lacks average."),
        ("training.schedule={kind: cosine}", "of another optimizer: it has learning_rate."),
        ("training.class_weights={good: 1}", "training.class_weights: must name every label once"),
    ],
)
def test_what_is_not_of_the_network_of_the_checkpoint_is_refused(
    change: str, message: str, finished: bool, trained: Path
) -> None:
    if not finished:
        (trained / "manifest.json").unlink()
    found = refused("--set", change, "--epochs", "2")
    assert message in found
    if not change.startswith(("training.class_weights", "data.")):
        assert CHECKPOINT in found
    if "class_weights" not in change:
        assert "or train anew with another --run-dir; nothing of this run was touched" in found


def test_an_optimizer_that_keeps_as_many_arrays_of_something_else_is_refused(
    tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Momentum is no mean of squares, though of the same shape."""
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    Path("tiny.yaml").write_text(TINY_CONFIG.replace("CELL", "gru").replace("adam", "sgd"))
    assert rnnsent("train", "--config", "tiny.yaml", "--run-dir", "run", "--epochs", "1").exit_code == 0
    found = refused("--set", "training.optimizer=rmsprop", "--epochs", "2")
    assert "of another optimizer: it has momentum and lacks velocity." in found


def test_an_optimizer_that_keeps_the_same_goes_on(trained: Path) -> None:
    resume("--set", "training.optimizer=adamw", "--epochs", "2")
    assert len((trained / "history.csv").read_text().splitlines()) == 3


def test_a_change_that_no_epoch_is_left_for_is_refused(trained: Path) -> None:
    """The run would say that its weights come from it."""
    for change in ("training.learning_rate=0.5", "training.seed=9", "training.word_dropout=0.2"):
        told = refused("--set", change)
        assert f"no epoch is left that config.{change.partition('=')[0]} would have an effect on" in told
    assert "training goes on" in resume("--set", "training.calibrate=false")
    assert "training goes on" in resume("--set", "training.word_dropout=0.2", "--epochs", "2")


def test_a_change_of_a_network_that_is_complete_is_refused(tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    Path("two.yaml").write_text(TINY_CONFIG.replace("CELL", "gru") + "ensemble: [{}, {}]\n")
    assert rnnsent("train", "--config", "two.yaml", "--run-dir", "run", "--epochs", "1").exit_code == 0
    shutil.rmtree("run/members/2")  # as if it had been killed in the second
    Path("run/manifest.json").unlink()
    assert "config.ensemble.0.dropout would have an effect on" in refused("--set", "ensemble.0.dropout=0.1")
    assert "training goes on" in resume("--set", "ensemble.1.dropout=0.1")


def test_what_a_network_began_with_cannot_be_changed_afterwards(trained: Path) -> None:
    Path("v.txt").write_text("".join(f"word{number} 0 0 1 1 0 0 0 1\n" for number in range(1, 40)))
    found = refused("--set", "model.vectors={path: v.txt}", "--epochs", "2")
    assert "is what a network begins with, and there are weights that have begun" in found
    assert "config.model.language_model" in refused("--set", "model.language_model={epochs: 1}", "--epochs", "2")


def test_what_the_best_epoch_was_chosen_by_cannot_be_changed_afterwards(trained: Path) -> None:
    was, other = ("val_accuracy", "val_loss") if "val_accuracy" in Path("run/config.yaml").read_text() else (
        "val_loss", "val_accuracy")  # fmt: skip
    found = refused("--set", f"training.monitor={other}", "--epochs", "2")
    assert f"the best epoch so far, early stopping and a plateau went by training.monitor: {was}" in found


def test_one_network_of_several_is_enough_to_refuse(tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    Path("two.yaml").write_text(TINY_CONFIG.replace("CELL", "gru") + "ensemble: [{}, {}]\n")
    assert rnnsent("train", "--config", "two.yaml", "--run-dir", "run", "--epochs", "1").exit_code == 0
    second = ["--epochs", "2", "--set", "ensemble=[{}, {embedding_dim: 5}]"]
    assert "run/members/2/checkpoints/epoch-0001.npz: the weights do not belong" in refused(*second)
    assert "run/members/1: holds a network that the config would no longer have" in refused("--set", "ensemble=null")
    Path("run/manifest.json").unlink()
    shutil.copytree("run", "early")
    shutil.rmtree("early/members/1")
    shutil.rmtree("early/members/2/checkpoints")  # as if killed between its first weights and its first checkpoint
    assert "early/members/2: holds a network that" in refused("--set", "ensemble=null", run="early")
    shutil.rmtree("run/members/2")
    resume(*second)  # which has not begun


def test_the_network_that_teaches_is_looked_at_too(of_texts: Path) -> None:
    rows = [f"{row},\n" for row in TEXTS[:20]]
    write_texts(lambda labeled: labeled + rows)
    teaching = ["--set", "training.teacher=self", "--set", "data.unlabeled=true"]
    found = rnnsent("train", "--config", "own.yaml", "--run-dir", "taught", "--epochs", "1", *teaching)
    assert found.exit_code == 0, found.stderr
    shutil.rmtree("taught/checkpoints")
    Path("taught/manifest.json").unlink()
    Path("taught/history.csv").unlink()
    told = refused("--set", "training.optimizer=sgd", run="taught")
    assert "taught/teacher/1/checkpoints/epoch-0001.npz: the checkpoint is of another optimizer" in told


@pytest.mark.parametrize("known", [True, False])
def test_other_words_are_never_the_same_network(known: bool, of_texts: Path) -> None:
    if not known:  # older versions did not note it
        (of_texts / "manifest.json").unlink()
        kept = origin()
        data = {key: value for key, value in kept["data"].items() if key != "vocabulary"}  # type: ignore[attr-defined]
        sealed.write(RunDirectory(of_texts), runs.ORIGIN, {**kept, "data": data})
    write_texts(lambda rows: [row.replace("w5", "w9") for row in rows])
    found = refused("--epochs", "2")
    assert "run/vocabulary.json: the rows of the embedding stand for words; row " in found
    assert " stood for 'w5', and now for 'w9'" in found and "train anew with another --run-dir" in found
    assert "data.vocabulary: other words" in refused("--epochs", "2", allowed=False)
    write_texts()
    told = resume("--epochs", "2")
    assert "data.vocabulary" not in told  # they are the same, whether noted or not


def test_a_word_more_is_refused_and_a_run_without_a_checkpoint_may_have_it(of_texts: Path) -> None:
    write_texts(lambda rows: [*rows, "warm new,yes\n"])
    assert "the rows of the embedding stand for words" in refused("--epochs", "2")
    (of_texts / "manifest.json").unlink()
    shutil.rmtree(of_texts / "checkpoints")
    (of_texts / "history.csv").unlink()
    resume("--epochs", "2")


def test_words_whose_list_is_lost_are_not_taken_for_the_same(of_texts: Path) -> None:
    (of_texts / "manifest.json").unlink()
    vocabulary = of_texts / "vocabulary.json"
    vocabulary.write_text(vocabulary.read_text().replace("w5", "w8"))
    write_texts(lambda rows: [row.replace("w5", "w8") for row in rows])
    assert "run/vocabulary.json: is not what the training began with" in refused("--epochs", "2")


def test_other_labels_are_never_the_same_network(of_texts: Path) -> None:
    write_texts(lambda rows: [row.replace(",yes", ",fine") for row in rows])
    found = refused("--set", "data.labels=[fine, no]", "--epochs", "2")
    assert "stand for the labels no, yes, and these are others: fine, no" in found


def test_the_same_words_from_another_file_go_on(of_texts: Path) -> None:
    shutil.copy("d.csv", "other.csv")
    resume("--data", "other.csv", "--epochs", "2")


def test_epochs_before_were_compared_by_other_validation_reviews(trained: Path, tmp_path: Path) -> None:
    other = write_imdb(tmp_path / "other", seed=1).parent
    told = resume("--data", str(other), "--epochs", "2")
    assert "the epochs before keep the figures of their own validation reviews" in told
    assert "validation reviews" not in resume("--data", str(other), "--epochs", "3")


def test_a_run_remembers_with_what_it_went_on(trained: Path) -> None:
    card = trained / "model_card.md"
    assert "changes" not in origin() and "went on with changes" not in card.read_text()
    resume("--epochs", "2")
    assert origin()["changes"] == ["config.training.epochs: 1 → 2"]
    resume("--epochs", "3", "--set", "training.learning_rate=1e-3")
    both = ["config.training.epochs: 1 → 2", "config.training.epochs: 2 → 3"]
    assert origin()["changes"] == [*both, "config.training.learning_rate: 0.02 → 0.001"]
    (trained / "manifest.json").unlink()  # killed, and resumed as it is
    resume(allowed=False)
    assert origin()["changes"] == [*both, "config.training.learning_rate: 0.02 → 0.001"]
    told = [line for line in card.read_text().splitlines() if "went on with changes" in line]
    assert len(told) == 1
    assert all(change in told[0].replace("\\", "") for change in (*both, "learning_rate: 0.02 → 0.001"))
    assert rnnsent("eval", "run", "--split", "validation").exit_code == 0
    assert told[0] in card.read_text().splitlines()


def test_a_card_that_was_edited_outlives_any_number_of_kills(trained: Path) -> None:
    card = trained / "model_card.md"
    card.write_text(card.read_text() + "\nMaintained by Ada.\n")
    for _ in range(2):
        RunDirectory(trained).begin_again(())
        assert "Ada" in card.read_text()
    resume(allowed=False)
    assert "Ada" in card.read_text()


def test_a_card_that_nobody_edited_is_written_anew(trained: Path) -> None:
    card, before = trained / "model_card.md", (trained / "model_card.md").read_text()
    (trained / "manifest.json").unlink()  # killed at the very end
    RunDirectory(trained).begin_again(())
    assert not card.exists()
    resume("--epochs", "2")
    assert card.read_text() != before and "2 epochs" in card.read_text()


STOPPING = "training.early_stopping={patience: 1, min_delta: 0.9}"  # the second epoch is no better by that much


def test_after_early_stopping_more_epochs_are_had_without_it(tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    Path("tiny.yaml").write_text(TINY_CONFIG.replace("CELL", "gru"))
    begin = ["--config", "tiny.yaml", "--run-dir", "run", "--epochs", "5", "--set", STOPPING]
    assert rnnsent("train", *begin).exit_code == 0
    over = len(Path("run/history.csv").read_text().splitlines()) - 1
    assert over < 5
    hint = "early stopping ended it; more: --epochs N --allow-changes --set training.early_stopping=null"
    assert hint in resume(allowed=False)
    told = resume("--epochs", "6")
    assert f"early stopping had ended the training after {over} epochs: not one more is trained" in told
    told = resume("--epochs", "6", "--set", "training.early_stopping=null")
    assert "early stopping" not in told.replace("config.training.early_stopping", "")
    assert len(Path("run/history.csv").read_text().splitlines()) - 1 == 6
    assert "early stopping" not in resume(allowed=False)


class Killed(BaseException):
    """As by SIGKILL."""


@pytest.fixture
def in_an_epoch(tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that was killed after five of the six steps of its second epoch."""
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    Path("tiny.yaml").write_text(TINY_CONFIG.replace("CELL", "gru"))
    on_state = Keeper.on_state

    def killed(self: Keeper, checkpoint: Checkpoint) -> None:
        on_state(self, checkpoint)
        if (checkpoint.epoch, checkpoint.step) == (1, 5):
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Keeper, "on_state", killed)
        with pytest.raises(Killed):
            rnnsent("train", "--config", "tiny.yaml", "--run-dir", "run", "--set", "training.checkpoint_every=1")
    assert (Path("run") / "checkpoints" / "epoch-0001-step-000005.npz").is_file()
    return Path("run")


def test_an_epoch_that_now_has_fewer_steps_is_not_entered(in_an_epoch: Path) -> None:
    found = refused("--set", "training.batch_size=40")
    assert "epoch-0001-step-000005.npz: is after 5 steps of epoch 2, which has 3 steps with what was changed" in found
    resume("--set", "training.batch_size=20")  # as many as are over: validation is next
    history = (in_an_epoch / "history.csv").read_text().splitlines()
    assert len(history) == 4


def test_a_checkpoint_after_steps_that_no_epoch_has_is_damaged(in_an_epoch: Path) -> None:
    run = RunDirectory(in_an_epoch, training=str(origin()["training"]))
    last = checkpoints.newest(run)
    assert last is not None
    checkpoints.write(run, Checkpoint(1, 10**9, last.facts, last.arrays))
    found = refused(allowed=False)
    assert "damaged: it is after 1,000,000,000 steps of epoch 2, which has 6 steps" in found
    (in_an_epoch / "checkpoints" / "epoch-0001-step-1000000000.npz").write_bytes(b"")
    resume(allowed=False)  # the one before is whole, and nothing of the torn one counts


def test_weights_after_all_steps_of_an_epoch_go_on_with_its_validation(in_an_epoch: Path) -> None:
    shutil.copytree("run", "whole")
    assert rnnsent("train", "--resume", "whole").exit_code == 0
    run = RunDirectory(in_an_epoch, training=str(origin()["training"]))
    on_state, states = Keeper.on_state, list[Checkpoint]()

    def noted(self: Keeper, checkpoint: Checkpoint) -> None:
        states.append(checkpoint)
        on_state(self, checkpoint)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Keeper, "on_state", noted)
        assert rnnsent("train", "--resume", "run").exit_code == 0
    last = next(state for state in states if (state.epoch, state.step) == (1, 6))
    shutil.rmtree("run/checkpoints")
    Path("run/manifest.json").unlink()
    checkpoints.write(run, last)
    resume(allowed=False)
    with np.load("run/weights.npz") as mine, np.load("whole/weights.npz") as theirs:
        assert all(np.array_equal(mine[name], theirs[name]) for name in theirs.files)


def test_an_older_origin_that_says_nothing_of_changes_is_read(trained: Path) -> None:
    assert "changes" not in json.loads((trained / "origin.json").read_text())
    assert "there is nothing to go on with; more: --epochs N" in resume(allowed=False)


def test_changes_that_nobody_can_write_again_are_refused(trained: Path) -> None:
    (trained / "manifest.json").unlink()
    (trained / "origin.json").write_text(json.dumps(sealed_json({**origin(), "changes": ["\ud800"]})))
    assert "run/origin.json: cannot be read: it holds half a character" in refused("--epochs", "2")
