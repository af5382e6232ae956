"""Event files that TensorBoard reads: a training that goes on keeps those it finds, as far as it goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rnnsent.files import atomic_path


class Earlier:
    """What stands in the event files of a folder before they are written on.

    Args:
        folder: of one run of TensorBoard; it need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self._files = sorted(folder.glob("*.tfevents.*"))

    @property
    def has_graph(self) -> bool:
        """Whether a graph is among it."""
        return any(event.graph_def for file in self._files for event in _events(file))

    def steps(self, tag: str) -> set[int]:
        """Return the steps of a curve."""
        found = (event for file in self._files for event in _events(file))
        return {event.step for event in found if any(value.tag == tag for value in event.summary.value)}

    def keep(self, wanted: Callable[[str, int], bool]) -> None:
        """Take points out of the curves: those whose tag and step are not wanted. Everything else stays as it is."""
        for file in self._files:
            events = list(_events(file))
            kept = [event for event in events if all(wanted(value.tag, event.step) for value in event.summary.value)]
            if len(kept) < len(events):
                _write(file, kept)

    def forget(self) -> None:
        """Remove the files."""
        for file in self._files:
            file.unlink()


def _events(file: Path) -> Iterator[Any]:
    """Yield the events of a file, up to where a kill has torn it."""
    import tensorflow as tf

    try:
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            yield tf.compat.v1.Event.FromString(record)
    except tf.errors.DataLossError:
        return


def _write(file: Path, events: list[Any]) -> None:
    import tensorflow as tf

    with atomic_path(file) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
        for event in events:
            writer.write(event.SerializeToString())
