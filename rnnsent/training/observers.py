"""What training tells those who follow along: the facts of its steps and epochs. Without Keras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from rnnsent.training.checkpoint import Checkpoint

POINTS_AN_EPOCH = 100  # as many a curve needs, whatever the size of the data


@dataclass(frozen=True, slots=True)
class EpochFacts:
    """What one epoch did.

    `seconds` is its training part, without validation; `elapsed` are the seconds from the beginning of the experiment
    to its end, with the reading of the data and all validation. `gradient_norm` is the mean over its steps of the norm
    of all gradients together, before clipping, and nan if no step was taken.
    """

    epoch: int  # from 1
    seconds: float
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    tokens_per_second: float
    elapsed: float = 0.0
    gradient_norm: float = 0.0
    largest_gradient_norm: float = 0.0

    def to_dict(self) -> dict[str, float]:
        """Return the facts by name, in the order of history.csv."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class StepLoss:
    """The loss of an epoch so far, after one of its steps: a point of the curve that checkpoints keep."""

    epoch: int  # from 1
    step: int  # from 1
    steps: int
    loss: float

    @property
    def place(self) -> int:
        """How many steps were over, if all epochs before had as many."""
        return (self.epoch - 1) * self.steps + self.step


@dataclass(frozen=True, slots=True)
class StepFacts:
    """Where training is within an epoch."""

    epoch: int
    step: int
    steps: int
    reviews: int  # of this epoch, so far
    tokens: int
    seconds: float
    loss: float
    accuracy: float

    @property
    def point(self) -> StepLoss | None:
        """A point of the curve, about `POINTS_AN_EPOCH` times an epoch; else None."""
        if self.step % max(self.steps // POINTS_AN_EPOCH, 1):
            return None
        return StepLoss(self.epoch, self.step, self.steps, self.loss)


class Observer:
    """Somebody who is told how training goes: the steps of an epoch, then the epoch, then the state after it."""

    def on_past(self, history: Sequence[EpochFacts], curve: Sequence[StepLoss]) -> None:
        """Training goes on, after the epochs of `history` and the steps of `curve`, of which the last may be later."""

    def on_step(self, facts: StepFacts) -> None:
        """A batch was trained on."""

    def on_epoch(self, facts: EpochFacts, best: bool, model: keras.Model) -> None:
        """An epoch was trained and validated; `model` holds the weights that were validated."""

    def on_state(self, checkpoint: Checkpoint) -> None:
        """The state between two steps from which training could go on; its arrays change with the next step."""
