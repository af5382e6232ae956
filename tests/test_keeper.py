"""What is on disk after each epoch, and after one that was interrupted while it was written."""

from __future__ import annotations

import csv
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from rnnsent import plots, runs
from rnnsent.config import ModelConfig
from rnnsent.configfile import parse_config
from rnnsent.errors import Interrupted
from rnnsent.keeper import Keeper
from rnnsent.models import build_model, weights_of
from rnnsent.observers import EpochFacts
from rnnsent.run_root import create_run
from rnnsent.runs import RunDirectory


def network() -> ModelConfig:
    return parse_config("model: {embedding_dim: 3, recurrent: [{cell: simple_rnn, units: 2}]}", "test").model


def facts(epoch: int, val_accuracy: float = 0.5) -> EpochFacts:
    return EpochFacts(epoch, 1.5, 0.7, 0.5, 0.6, val_accuracy, 1e-3, 1234.5)


@pytest.fixture
def model() -> keras.Model:
    """A network in training, without the training."""
    model = build_model(network(), num_words=10, seed=0)
    model.compile(optimizer=keras.optimizers.Adam(), loss="binary_crossentropy")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(create_run("x", tmp_path / "run"), build_model(network(), num_words=10), title="test")


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


def test_the_two_newest_checkpoints_hold_weights_and_optimizer(keeper: Keeper, model: keras.Model) -> None:
    for epoch in (1, 2, 3):
        change(model, epoch / 10)
        keeper.on_epoch(facts(epoch), epoch == 1, model)
        keeper.on_state(epoch, model)
    names = [path.name for path in sorted(keeper.run.file(runs.CHECKPOINTS).iterdir())]
    assert names == ["epoch-0002.npz", "epoch-0003.npz"]
    arrays = stored(keeper.run, runs.checkpoint(3))
    weights = {name.removeprefix("model/"): value for name, value in arrays.items() if name.startswith("model/")}
    assert_same(weights, weights_of(model))
    # Adam: the step, the rate, and two moments for each weight.
    assert sum(name.startswith("optimizer/") for name in arrays) == 2 + 2 * len(model.weights)


def test_history_has_a_row_for_each_epoch(keeper: Keeper, model: keras.Model) -> None:
    for epoch, accuracy in ((1, 0.5), (2, 0.8765432)):
        keeper.on_epoch(facts(epoch, accuracy), True, model)
    text = keeper.run.file(runs.HISTORY).read_text()
    names = "epoch,seconds,loss,accuracy,val_loss,val_accuracy,learning_rate,tokens_per_second,elapsed"
    assert text.splitlines()[0] == names
    first, second = csv.DictReader(text.splitlines())
    assert (first["epoch"], second["epoch"]) == ("1", "2")
    assert float(second["val_accuracy"]) == pytest.approx(0.876543)
    assert float(second["learning_rate"]) == 1e-3 and float(second["tokens_per_second"]) == 1234.5
    assert keeper.run.file(runs.CURVES).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("interruption", "code"), [(KeyboardInterrupt(), 130), (Interrupted("terminated", 143), 143)])
def test_the_message_of_an_interruption_says_what_was_kept(
    keeper: Keeper, model: keras.Model, interruption: BaseException, code: int
) -> None:
    with pytest.raises(Interrupted, match="before the first epoch was over") as nothing:
        keeper.close_early(interruption)
    assert nothing.value.exit_code == code
    keeper.on_epoch(facts(1), True, model)
    keeper.on_epoch(facts(2), False, model)
    kept = keeper.close_early(interruption)
    assert kept.exit_code == code
    assert "2 whole epochs" in str(kept) and "the best, epoch 1" in str(kept)


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
        (signal.SIGINT, KeyboardInterrupt, runs.checkpoint(2)),
        (signal.SIGINT, KeyboardInterrupt, runs.WEIGHTS),
        (signal.SIGTERM, Terminated, runs.WEIGHTS),
        (signal.SIGINT, KeyboardInterrupt, runs.CURVES),
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
    real: Callable[[RunDirectory, str, bytes | str], None] = RunDirectory.write

    def write(self: RunDirectory, written: str, content: bytes | str) -> None:
        if written == name:
            signal.raise_signal(number)
        real(self, written, content)

    monkeypatch.setattr(RunDirectory, "write", write)
    monkeypatch.setattr(plots, "curves", lambda *arguments: b"quickly")
    with pytest.raises(raised):
        keeper.on_epoch(facts(2), True, model)
        keeper.on_state(2, model)
    assert keeper.best_epoch == 2
    if name == runs.checkpoint(2):
        assert keeper.run.file(name).is_file()
    assert keeper.run.file(runs.HISTORY).read_text().count("\n") == 3
    assert_same(stored(keeper.run), weights_of(model))
    assert_same(exported(keeper.run), weights_of(model))
    with pytest.raises(raised):  # from here on at once again
        signal.raise_signal(number)
