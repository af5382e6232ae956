"""Progress bars on stderr, if that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rnnsent.errors import escaped

if TYPE_CHECKING:
    from rnnsent.config.sections import Config
    from rnnsent.data.download import Progress

REFRESH_SECONDS = 0.1  # a terminal cannot show more, and drawing costs time


@contextmanager
def reading_progress() -> Iterator[Progress | None]:
    """Yield a function that shows the bytes of a download or of a file; None if stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=Console(stderr=True), transient=True)
    tasks: dict[str, TaskID] = {}

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
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=12), TextColumn("{task.fields[facts]}"))
    console = Console(stderr=True, highlight=False)
    progress = Progress(*columns, console=console, transient=True, auto_refresh=False)
    task = progress.add_task("", facts="", total=1)
    epochs = config.training.epochs

    class BarCallback(keras.callbacks.Callback):  # type: ignore[misc]
        """Draws the bar while steps are trained, and takes it away before other output."""

        drawn = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch + 1

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            step, steps, now = batch + 1, self.params["steps"], time.perf_counter()
            if now - self.drawn < REFRESH_SECONDS and step < steps:
                return
            self.drawn = now
            progress.start()
            description, facts = f"{self.epoch}/{epochs}", _facts(logs, step, steps, epochs - self.epoch)
            progress.update(task, description=description, completed=step, total=steps, facts=facts, refresh=True)

        def on_test_begin(self, logs: Any = None) -> None:
            progress.stop()

        def on_train_end(self, logs: Any = None) -> None:
            progress.stop()

    return [BarCallback()]


def _facts(logs: Mapping[str, float], step: int, steps: int, epochs_left: int) -> str:
    seconds = max(logs["seconds"], 1e-9)
    left = timedelta(seconds=round(seconds / step * (steps - step + steps * epochs_left)))
    return (
        f"loss {logs['loss']:.3f} acc {logs['accuracy']:.3f}  {logs['texts'] / seconds:,.0f} texts/s "
        f"{logs['tokens'] / seconds / 1000:,.0f}k tok/s  {left} left"
    )
