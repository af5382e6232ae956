"""What is on disk after each epoch, and after one that was interrupted while it was written."""

from __future__ import annotations

import csv
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rnnsent import files
from rnnsent.config import Config
from rnnsent.config.loader import parse_config
from rnnsent.errors import Interrupted
from rnnsent.evaluation import plots
from rnnsent.models.builder import build_model
from rnnsent.models.weights import weights_of
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory
from rnnsent.runs.registry import create_run
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training.checkpoint import Checkpoint
from rnnsent.training.keras_state import capture
from rnnsent.training.observers import EpochFacts
from rnnsent.training.run_writer import Keeper

STATE = f"{runs.CHECKPOINTS}/epoch-0002.npz"


def network() -> Config:
    return parse_config("model: {embedding_dim: 3, recurrent: [{cell: simple_rnn, units: 2}]}", "test")


def facts(epoch: int, val_accuracy: float = 0.5) -> EpochFacts:
    return EpochFacts(epoch, 1.5, 0.7, 0.5, 0.6, val_accuracy, 1e-3, 1234.5)


@pytest.fixture
def model() -> keras.Model:
    """A network in training, without the training."""
    model = build_model(network(), 10, seed=0)
    model.compile(optimizer=keras.optimizers.Adam(), loss="binary_crossentropy")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(create_run("x", tmp_path / "run"), build_model(network(), 10), title="test")


def change(model: keras.Model, value: float) -> None:
    model.set_weights([np.full_like(weight, value) for weight in model.get_weights()])


def stored(run: RunDirectory, name: str = runs.WEIGHTS) -> dict[str, Any]:
    with np.load(run.file(name), allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def exported(run: RunDirectory) -> dict[str, Any]:
    return weights_of(keras.models.load_model(run.file(runs.MODEL)))


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_the_best_epoch_is_kept_as_weights_and_as_model(keeper: Keeper, model: keras.Model) -> None:
    best: dict[str, Any] = {}
    for epoch, is_best in ((1, True), (2, True), (3, False)):
        change(model, epoch / 10)
        keeper.on_epoch(facts(epoch), is_best, model)
        best = weights_of(model) if is_best else best
        assert_same(stored(keeper.run), best)
        assert_same(exported(keeper.run), best)
        assert_same(weights_of(keeper.best_model), best)
    assert keeper.best_epoch == 2
    assert {value.dtype for value in stored(keeper.run).values()} == {np.dtype(np.float32)}


def checkpoint(model: keras.Model, epoch: int, best: int = 1) -> Checkpoint:
    history = [facts(number).to_dict() for number in range(1, epoch + 1)]
    known = {"history": history, "best": best, "callbacks": {}, "learning_rate": 1e-3, "seconds": 0.0, "elapsed": 1.0}
    return Checkpoint(epoch, 0, known, capture(model, model.get_weights(), []))


def test_the_two_newest_checkpoints_hold_weights_and_optimizer(keeper: Keeper, model: keras.Model) -> None:
    for epoch in (1, 2, 3):
        change(model, epoch / 10)
        keeper.on_epoch(facts(epoch), epoch == 1, model)
        keeper.on_state(checkpoint(model, epoch))
    assert checkpoints.names(keeper.run) == ["checkpoints/epoch-0002.npz", "checkpoints/epoch-0003.npz"]
    found = checkpoints.newest(keeper.run)
    assert found is not None and (found.epoch, found.step) == (3, 0)
    assert_same(found.under("model"), weights_of(model))
    # Adam: the step, the rate, and two moments for each weight.
    assert len(found.under("optimizer")) == 2 + 2 * len(model.weights)


def test_a_training_that_goes_on_writes_anew_what_was_there(keeper: Keeper, model: keras.Model, tmp_path: Path) -> None:
    keeper.on_epoch(facts(1), True, model)
    best = weights_of(model)
    kept = checkpoint(model, 1)
    change(model, 0.5)
    keeper.on_epoch(facts(2), True, model)  # and killed before its checkpoint
    again = Keeper(keeper.run, keeper.best_model, "again")
    again.go_on(kept)
    assert_same(stored(keeper.run), best)
    assert_same(exported(keeper.run), best)
    assert again.best_epoch == 1 and keeper.run.file(runs.HISTORY).read_text().count("\n") == 2


def test_history_has_a_row_for_each_epoch(keeper: Keeper, model: keras.Model) -> None:
    for epoch, accuracy in ((1, 0.5), (2, 0.8765432)):
        keeper.on_epoch(facts(epoch, accuracy), True, model)
    text = keeper.run.file(runs.HISTORY).read_text()
    names = (
        "epoch,seconds,loss,accuracy,val_loss,val_accuracy,learning_rate,tokens_per_second,elapsed,"
        "gradient_norm,largest_gradient_norm"
    )
    assert text.splitlines()[0] == names
    first, second = csv.DictReader(text.splitlines())
    assert (first["epoch"], second["epoch"]) == ("1", "2")
    assert float(second["val_accuracy"]) == pytest.approx(0.876543)
    assert float(second["learning_rate"]) == 1e-3 and float(second["tokens_per_second"]) == 1234.5
    assert keeper.run.file(runs.CURVES).read_bytes().startswith(b"\x89PNG")


def test_curves_are_drawn_at_once_and_at_the_end_and_do_not_hold_up_short_epochs(
    keeper: Keeper, model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, shown = [time.perf_counter()], list[int]()

    def curves(history: list[EpochFacts], *arguments: Any) -> bytes:
        shown.append(len(history))
        seconds[0] += 0.25
        return b"\x89PNG"

    monkeypatch.setattr(plots, "curves", curves)
    monkeypatch.setattr("time.perf_counter", lambda: seconds[0])
    for epoch in range(1, 11):  # of 9 seconds: drawing may take as long as 0.5 % of the time
        seconds[0] += 9.0
        keeper.on_epoch(facts(epoch), False, model)
    assert shown == [1, 7]
    assert keeper.run.file(runs.CURVES).read_bytes() == b"\x89PNG"
    keeper.draw()
    keeper.draw()
    assert shown == [1, 7, 10]


@pytest.mark.parametrize(("interruption", "code"), [(KeyboardInterrupt(), 130), (Interrupted("terminated", 143), 143)])
def test_the_message_of_an_interruption_says_what_was_kept(
    keeper: Keeper, model: keras.Model, interruption: BaseException, code: int
) -> None:
    with pytest.raises(Interrupted, match="stopped before the first step") as nothing:
        keeper.close_early(interruption)
    assert nothing.value.exit_code == code
    keeper.on_epoch(facts(1), True, model)
    keeper.on_epoch(facts(2), False, model)
    keeper.on_state(checkpoint(model, 2))
    kept = keeper.close_early(interruption)
    assert kept.exit_code == code
    assert "stopped after 2 epochs" in str(kept) and "the best epoch, 1" in str(kept)


class Terminated(BaseException):
    pass


@pytest.fixture
def terminating() -> Iterator[None]:
    def raise_it(number: int, frame: Any) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, raise_it)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("terminating")
@pytest.mark.parametrize(
    ("number", "raised", "name"),
    [
        (signal.SIGINT, KeyboardInterrupt, STATE),
        (signal.SIGINT, KeyboardInterrupt, runs.WEIGHTS),
        (signal.SIGTERM, Terminated, runs.WEIGHTS),
        (signal.SIGINT, KeyboardInterrupt, runs.HISTORY),
    ],
)
def test_an_interruption_waits_until_the_whole_epoch_is_written(
    keeper: Keeper,
    model: keras.Model,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    raised: type[BaseException],
    name: str,
) -> None:
    keeper.on_epoch(facts(1), True, model)
    change(model, 0.25)
    real = files.atomic_path

    def atomic_path(target: Path) -> AbstractContextManager[Path]:
        if target == keeper.run.file(name):
            signal.raise_signal(number)
        return real(target)

    monkeypatch.setattr(runs, "atomic_path", atomic_path)
    monkeypatch.setattr(files, "atomic_path", atomic_path)
    monkeypatch.setattr(plots, "curves", lambda *arguments: b"quickly")
    with pytest.raises(raised):
        keeper.on_epoch(facts(2), True, model)
        keeper.on_state(checkpoint(model, 2))
    assert keeper.best_epoch == 2
    if name == STATE:
        assert keeper.run.file(name).is_file()
    assert keeper.run.file(runs.HISTORY).read_text().count("\n") == 3
    assert_same(stored(keeper.run), weights_of(model))
    assert_same(exported(keeper.run), weights_of(model))
    with pytest.raises(raised):  # from here on at once again
        signal.raise_signal(number)
