"""What a person sees while it works: a bar on a terminal, plain lines elsewhere, all on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rnnsent.cli.terminal import say
from rnnsent.errors import escaped
from rnnsent.training.observers import EpochFacts, Observer, StepFacts

if TYPE_CHECKING:
    from rnnsent.data.download import Progress


@contextmanager
def training_progress(epochs: int, *, quiet: bool = False) -> Iterator[Observer]:
    """Yield an observer of training that shows how it goes."""
    if quiet:
        yield Observer()
    elif sys.stderr.isatty():
        bar = _Bar(epochs)
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield _Lines(epochs)


@contextmanager
def reading_progress() -> Iterator[Progress | None]:
    """Yield what shows the bytes of a download, or of a file that is read, on a terminal.

    None elsewhere, where a line a chunk would be noise.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=Console(stderr=True), transient=True)
    tasks: dict[str, Any] = {}

    def show(name: str, done: int, total: int | None) -> None:
        if name not in tasks:
            tasks[name] = bars.add_task(escaped(name), total=total)
            bars.start()
        bars.update(tasks[name], completed=done)
        if done == total:
            bars.stop()  # at once: only one display can be alive, and training has its own

    try:
        yield show
    finally:
        bars.stop()


def epoch_line(facts: EpochFacts, epochs: int, best: bool) -> str:
    """Return one epoch in at most 80 columns."""
    return (
        f"epoch {facts.epoch:>{len(str(epochs))}}/{epochs} {facts.seconds:6.1f} s  "
        f"loss {_six(facts.loss)} acc {facts.accuracy:.4f}  "
        f"val_loss {_six(facts.val_loss)} val_acc {facts.val_accuracy:.4f}{' *' if best else ''}"
    )


def _six(loss: float) -> str:
    """Write a loss in six characters."""
    return f"{loss:.4f}" if loss < 9.99995 else f"{loss:#.5g}"


class _Lines(Observer):
    """A line an epoch."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def on_epoch(self, facts: EpochFacts, best: bool, model: Any) -> None:
        """Print the epoch."""
        say(epoch_line(facts, self._epochs, best))


class _Bar(Observer):
    """A bar for the epoch in progress, above it a line for each finished one."""

    REFRESH_S = 0.1  # a terminal cannot show more, and drawing costs time

    def __init__(self, epochs: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._epochs = epochs
        self._console = Console(stderr=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=12), TextColumn("{task.fields[facts]}"))
        self._progress = Progress(*columns, console=self._console, transient=True, auto_refresh=False)
        self._task = self._progress.add_task("", facts="", total=1)
        self._drawn = 0.0
        self._epoch_seconds: list[float] = []

    def on_step(self, facts: StepFacts) -> None:
        """Redraw the bar now and then."""
        now = time.perf_counter()
        if now - self._drawn < self.REFRESH_S and facts.step < facts.steps:
            return
        self._drawn = now
        self._progress.start()
        pace = facts.seconds / facts.step
        left = pace * (facts.steps - facts.step) + pace * facts.steps * (self._epochs - facts.epoch)
        text = (
            f"loss {facts.loss:.3f} acc {facts.accuracy:.3f}  {facts.reviews / facts.seconds:,.0f} rev/s "
            f"{facts.tokens / facts.seconds / 1000:,.0f}k tok/s  {_clock(left)} left"
        )
        self._progress.update(
            self._task,
            description=f"{facts.epoch}/{self._epochs}",
            completed=facts.step,
            total=facts.steps,
            facts=text,
            refresh=True,
        )

    def on_epoch(self, facts: EpochFacts, best: bool, model: Any) -> None:
        """Take the bar away, so that whatever else is said has a line of its own, and print the epoch."""
        self._progress.stop()
        self._console.print(epoch_line(facts, self._epochs, best), soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
