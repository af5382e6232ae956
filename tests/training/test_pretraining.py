"""A language model in training: stopped anywhere it ends with the same bits; what it was made with; what ends it."""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnsent.errors import Interrupted, TrainingError
from rnnsent.signals import listening
from rnnsent.training import checkpoint as checkpoints
from rnnsent.training import pretraining
from rnnsent.training.pretrain import Trained
from rnnsent.training.pretraining import Pretraining, Progress
from tests.conftest import rnnsent
from tests.walks import CONFIG, config, trained

THREE_STEPS = ("batch_size: 16 -> batch_size: 80", "epochs: 3 -> epochs: 2")
EVERY_STEP = ("batch_size: 64} -> batch_size: 64, checkpoint_every: 1}", *THREE_STEPS)


class Killed(BaseException):
    """As by SIGKILL: whatever is in memory is gone."""


def killed_after_a_state(self: Progress, state: Any) -> None:
    keep(self, state)
    raise Killed


def killed_while_writing(path: Path, facts: Any, arrays: Any) -> None:
    path.write_bytes(b"half of it")
    raise Killed


keep = Progress.keep


@pytest.fixture
def in_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], None]:
    """Returns a function that lets something happen at the end of a step, counted over all epochs from 1."""
    sound = Pretraining.require_sound

    def arrange(step: int, act: Callable[[], None]) -> None:
        taken = 0

        def require_sound(self: Pretraining, *where: Any) -> None:
            nonlocal taken
            taken += 1
            if taken == step:
                act()
            sound(self, *where)

        monkeypatch.setattr(Pretraining, "require_sound", require_sound)

    return arrange


def assert_same(one: Trained, other: Trained) -> None:
    assert one.loss == other.loss and one.epochs == other.epochs and set(one.weights) == set(other.weights)
    for name, value in one.weights.items():
        np.testing.assert_array_equal(value, other.weights[name])


@pytest.mark.slow
def test_killed_after_every_step_it_ends_with_the_same_bits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    undisturbed = trained(tmp_path / "whole", monkeypatch, config(*THREE_STEPS))
    told: list[str] = []
    for kill in range(6):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Progress, "keep", killed_after_a_state)
            trained(tmp_path / "killed", monkeypatch, config(*EVERY_STEP), tell=told.append)
        if kill in (1, 3):
            with monkeypatch.context() as patch, pytest.raises(Killed):
                patch.setattr(checkpoints, "save", killed_while_writing)
                trained(tmp_path / "killed", monkeypatch, config(*EVERY_STEP), tell=told.append)
    ended = trained(tmp_path / "killed", monkeypatch, config(*EVERY_STEP), tell=told.append)
    places = [line.removeprefix("language model: goes on after ") for line in told if "goes on" in line]
    assert list(dict.fromkeys(places)) == [
        "0 epochs and 1 step", "0 epochs and 2 steps", "0 epochs and 3 steps",
        "1 epoch and 1 step", "1 epoch and 2 steps", "1 epoch and 3 steps",
    ]  # fmt: skip
    assert_same(ended, undisturbed)
    assert len(list((tmp_path / "killed").iterdir())) == 1  # what was kept on the way is gone


def test_stopped_after_any_epoch_it_ends_with_the_same_bits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", monkeypatch, config())

    def stop(line: str) -> None:
        if "goes on" not in line:
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "stopped", monkeypatch, config(), tell=stop)
    told: list[str] = []
    ended = trained(tmp_path / "stopped", monkeypatch, config(), tell=told.append)
    assert [line.partition(",")[0] for line in told] == [
        "language model: goes on after 2 epochs",
        "language model: epoch 3 of 3",
    ]
    assert_same(ended, whole)
    assert len(list((tmp_path / "stopped").iterdir())) == 1  # what was kept on the way is gone
    again = trained(tmp_path / "stopped", monkeypatch, config())
    assert again.cached and again.seconds == ended.seconds and again.epochs == ended.epochs
    assert not trained(tmp_path / "stopped", monkeypatch, config("samples: 64 -> samples: 32")).cached


@pytest.mark.parametrize(
    ("number", "raised", "code"), [(signal.SIGINT, Interrupted, 130), (signal.SIGTERM, Interrupted, 143)]
)
def test_a_signal_lets_the_step_end_and_keeps_its_state(
    number: int, raised: type[BaseException], code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_step: Any
) -> None:
    in_step(5, lambda: signal.raise_signal(number))
    with pytest.raises(Interrupted) as stopped, listening():
        trained(tmp_path, monkeypatch, config(*THREE_STEPS))  # which keeps states every 60 seconds
    assert stopped.value.exit_code == code
    assert str(stopped.value) == (
        "stopped in the language model after 1 epoch and 2 steps; the cache keeps its state: the same command, or any "
        "of the same network and texts, goes on there"
    )
    told: list[str] = []
    assert len(trained(tmp_path, monkeypatch, config(*THREE_STEPS), tell=told.append).epochs) == 2
    assert told[0] == "language model: goes on after 1 epoch and 2 steps"


@pytest.mark.slow
def test_the_command_that_was_stopped_in_it_goes_on_there(in_step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small = CONFIG.replace("num_words: 13", "num_words: 200").replace("epochs: 3", "epochs: 1")
    Path("c.yaml").write_text(small.replace("batch_size: 16", "batch_size: 400"))
    monkeypatch.setenv("RNNSENT_CACHE", "whole")
    assert rnnsent("train", "--config", "c.yaml", "--run-dir", "whole-run").exit_code == 0
    monkeypatch.setenv("RNNSENT_CACHE", "stopped")
    in_step(2, lambda: signal.raise_signal(signal.SIGTERM))
    stopped = rnnsent("train", "--config", "c.yaml", "--run-dir", "run")
    assert stopped.exit_code == 143
    assert "run: removed, as there is nothing of a network yet\n" in stopped.stderr and not Path("run").exists()
    assert "stopped in the language model after 0 epochs and 2 steps; the cache keeps its state" in stopped.stderr
    done = rnnsent("train", "--config", "c.yaml", "--run-dir", "run")
    assert done.exit_code == 0 and "language model: goes on after 0 epochs and 2 steps\n" in done.stderr
    assert Path("run/weights.npz").read_bytes() == Path("whole-run/weights.npz").read_bytes()


def test_each_epoch_has_norms_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = trained(tmp_path, monkeypatch, config("batch_size: 16 -> batch_size: 1000"))
    assert [epoch["epoch"] for epoch in found.epochs] == [1, 2, 3]
    assert all(epoch["gradient_norm"] == epoch["largest_gradient_norm"] > 0 for epoch in found.epochs)  # of one step
    assert len({epoch["gradient_norm"] for epoch in found.epochs}) == 3
    assert found.epochs[-1]["loss"] == found.loss


@pytest.mark.parametrize(
    ("every", "state"),
    [
        ("60s", "No state of it was kept before"),
        ("1", r"The last good state is \S+-within/state.npz, after 0 epochs and "),
    ],
)
def test_a_loss_that_is_no_number_names_step_batch_and_last_good_state(
    every: str, state: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changes = ("learning_rate: 2e-2 -> learning_rate: 1e30", EVERY_STEP[0].replace(": 1}", f": {every}}}"))
    named = (
        r"the (loss|norm of the gradient) became (nan|inf) in epoch 1 of 3 of the language model, step \d+ \(a batch "
        r"of 16 texts: [\d, ]+, …\): lower model.language_model.learning_rate \(now 1e\+30\)\.\n  "
    )
    with pytest.raises(TrainingError, match=named + state):
        trained(tmp_path, monkeypatch, config(*changes))


def test_a_state_that_is_damaged_is_named_and_an_older_one_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_step: Any, caplog: pytest.LogCaptureFixture
) -> None:
    undisturbed = trained(tmp_path / "whole", monkeypatch, config(*THREE_STEPS))
    in_step(5, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Interrupted), listening():
        trained(tmp_path / "stopped", monkeypatch, config(*THREE_STEPS))
    (state,) = (tmp_path / "stopped").glob("*-within/state.npz")
    facts, arrays = checkpoints.load(state)
    spoilt = next(name for name in arrays if name.endswith("velocity"))
    arrays[spoilt][...] = np.inf
    checkpoints.save(state, facts, arrays)
    told: list[str] = []
    with caplog.at_level(logging.WARNING):
        ended = trained(tmp_path / "stopped", monkeypatch, config(*THREE_STEPS), tell=told.append)
    assert f"{state}: damaged: {spoilt} holds a number that is NaN or infinite" in caplog.text
    assert told[0] == "language model: goes on after 1 epoch"
    assert_same(ended, undisturbed)


def test_where_nothing_can_be_written_it_is_said_and_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        found = trained(tmp_path / "cache", monkeypatch, config(*EVERY_STEP))
    assert caplog.text.count("the state of the language model is not kept: ") == 1
    assert not found.cached and len(found.epochs) == 2


THEN, NOW = (
    {"numpy": "2.0", "tensorflow": version, "threads": threads} for version, threads in (("2.15", 4), ("2.21", 2))
)
ELSEWHERE = ", made with tensorflow 2.15 (here 2.21), threads 4 (here 2)"


def test_what_was_made_elsewhere_is_used_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def train(here: dict[str, Any] | None) -> Trained:
        return trained(tmp_path, monkeypatch, config(*THREE_STEPS), here=here)

    made = train(THEN)
    assert made.made_with == (THEN,) and made.elsewhere == "" and not made.cached
    again = train(THEN)
    assert again.cached and again.elsewhere == "" and again.facts() | {"cached": False} == made.facts()
    other = train(NOW)
    assert other.cached and other.elsewhere == ELSEWHERE and other.made_with == (THEN,)
    assert train(None).elsewhere == ""


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_an_entry_that_knows_nothing_of_its_making_is_used_and_nothing_is_claimed(
    damage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = trained(tmp_path, monkeypatch, config(*THREE_STEPS), here=THEN)
    (about,) = tmp_path.glob("*/about.json")
    if damage == "gone":  # as older versions wrote it
        about.unlink()
    else:
        about.write_text(about.read_text().replace("2.15", "2.16"))
    found = trained(tmp_path, monkeypatch, config(*THREE_STEPS), here=NOW)
    assert found.cached and found.elsewhere == "" and found.made_with == (None,) and found.epochs == ()
    assert (f"{about} is damaged" in caplog.text) == (damage == "changed")
    np.testing.assert_array_equal(found.weights["embedding/embeddings"], made.weights["embedding/embeddings"])
    assert json.loads(json.dumps(found.facts()))["made_with"] == [None]


@pytest.mark.parametrize("known", [True, False])
def test_a_training_that_goes_on_elsewhere_says_so(
    known: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stop(line: str) -> None:
        raise Killed

    with pytest.raises(Killed):
        trained(tmp_path, monkeypatch, config(*THREE_STEPS), here=THEN, tell=stop)
    if not known:  # as older versions wrote it
        (about,) = tmp_path.glob("*-after-1/about.json")
        about.unlink()
    told: list[str] = []
    ended = trained(tmp_path, monkeypatch, config(*THREE_STEPS), here=NOW, tell=told.append)
    assert told[0] == f"language model: goes on after 1 epoch{ELSEWHERE if known else ''}"
    assert ended.made_with == (THEN if known else None, NOW)
    assert [epoch["epoch"] for epoch in ended.epochs] == ([1, 2] if known else [2])
    assert ended.elsewhere == (ELSEWHERE if known else "")


def test_a_path_that_made_it_is_told_by_name() -> None:
    assert pretraining.made_elsewhere([{"engine": "keras"}, None], {"engine": "native"}) == (
        ", made with engine keras (here native)"
    )
