"""Progress bars on stderr, where that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rnnsent.errors import escaped

if TYPE_CHECKING:
    from rnnsent.config.sections import Config
    from rnnsent.data.download import Progress

REFRESH_SECONDS = 0.1  # a terminal cannot show more, and drawing costs time


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


def training_bar(config: Config) -> Sequence[Any]:
    """Return the Keras callback that draws a bar for each epoch, if stderr is a terminal."""
    if not sys.stderr.isatty():
        return []
    import keras

    bar, epochs = _Bar(), config.training.epochs

    class BarCallback(keras.callbacks.Callback):  # type: ignore[misc]
        """Draws the bar while steps are trained."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch + 1

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            bar.show(self.epoch, epochs, batch + 1, self.params["steps"], logs)

        def on_test_begin(self, logs: Any = None) -> None:
            bar.close()

        def on_train_end(self, logs: Any = None) -> None:
            bar.close()

    return [BarCallback()]


class _Bar:
    """A bar for the epoch in progress; it goes before whatever else is printed."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(bar_width=12), TextColumn("{task.fields[facts]}"))
        console = Console(stderr=True, highlight=False)
        self._progress = Progress(*columns, console=console, transient=True, auto_refresh=False)
        self._task = self._progress.add_task("", facts="", total=1)
        self._drawn = 0.0

    def show(self, epoch: int, epochs: int, step: int, steps: int, logs: dict[str, float]) -> None:
        """Redraw the bar now and then."""
        now = time.perf_counter()
        if now - self._drawn < REFRESH_SECONDS and step < steps:
            return
        self._drawn = now
        self._progress.start()
        seconds = max(logs["seconds"], 1e-9)
        left = seconds / step * (steps - step + steps * (epochs - epoch))
        facts = (
            f"loss {logs['loss']:.3f} acc {logs['accuracy']:.3f}  {logs['texts'] / seconds:,.0f} texts/s "
            f"{logs['tokens'] / seconds / 1000:,.0f}k tok/s  {_clock(left)} left"
        )
        self._progress.update(
            self._task, description=f"{epoch}/{epochs}", completed=step, total=steps, facts=facts, refresh=True
        )

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
