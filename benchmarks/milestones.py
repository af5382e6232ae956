"""How long it takes until a validation accuracy is passed: what runs recorded, beside the notebook in stock Keras."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

from benchmarks.race import Worker
from rnnsent.errors import RunError
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import parse, to_json

# Okabe and Ito's palette, which people who see fewer colors can tell apart, and a marker each.
COLORS = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
STOCK_REVIEWS = 5000  # the last of the training reviews, as in the notebook
DRAWN_BY = {
    "validation_split",
    "test_split",
    "split_seed",
    "split_column",
    "group_column",
    "label_map",
    "drop_duplicates",
}
ACCURACIES = (0.85, 0.875, 0.89, 0.91, 0.92)


@dataclass(frozen=True, slots=True)
class Course:
    """How the validation accuracy of one training rose.

    Attributes:
        name: of the run, or of the peer.
        seconds: from the beginning of the experiment to the end of each epoch, data and validation included.
        accuracies: of validation, after each.
        reviews: how many those are.
        digest: of the data; None for a peer.
        drawn: by which settings validation reviews were chosen.
    """

    name: str
    seconds: tuple[float, ...]
    accuracies: tuple[float, ...]
    reviews: int
    digest: str | None = None
    drawn: str = ""

    def reached(self, accuracy: float) -> float | None:
        """Return after how many seconds the accuracy was passed; None if it never was."""
        for seconds, found in zip(self.seconds, self.accuracies, strict=True):
            if found >= accuracy:
                return seconds
        return None


def of_run(run: Run) -> Course:
    """Return the course of a finished run.

    Word vectors and a language model that it took from the cache count with what they took then. The accuracy of an
    ensemble is known at its end only: its course is that one point.

    Raises:
        RunError: if it is unfinished.
    """
    run.verify()
    metrics = run.metrics
    begun = (metrics.embeddings, metrics.language_model)
    before = sum(each.seconds or 0.0 for each in begun if each is not None and each.cached)
    points = [(epoch.elapsed, epoch.val_accuracy) for epoch in run.history()]
    points = points or [(metrics.seconds, metrics.validation["accuracy"].value or 0.0)]
    seconds = tuple(before + elapsed for elapsed, _ in points)
    drawn = json.dumps([getattr(run.config.data, key) for key in sorted(DRAWN_BY)])
    accuracies = tuple(accuracy for _, accuracy in points)
    name = run.path.resolve().name
    return Course(name, seconds, accuracies, metrics.validation_texts, metrics.data.sha256, drawn)


@dataclass(frozen=True)
class _File:
    courses: list[Course]


def kept_in(path: Path) -> list[Course]:
    """Return the courses that a file has from earlier measurements; none if it is not there.

    Raises:
        RunError: if it is not what `as_json` made.
    """
    return parse(_File, path.read_bytes(), path).courses if path.exists() else []


def as_json(courses: Sequence[Course]) -> str:
    """Return courses as `kept_in` reads them."""
    return to_json(_File(list(courses)))


def told_apart(courses: Sequence[Course], paths: Sequence[Path]) -> list[Course]:
    """Return the courses of the runs at `paths`, those of one name called by their folders as well."""
    names = [course.name for course in courses]
    return [
        replace(course, name=f"{path.resolve().parent.name}/{course.name}") if names.count(course.name) > 1 else course
        for course, path in zip(courses, paths, strict=True)
    ]


def newest(courses: Iterable[Course]) -> list[Course]:
    """Return the last course of each name, in the order in which names first came."""
    return list({course.name: course for course in courses}.values())


def require_same_data(courses: Sequence[Course]) -> None:
    """Require that all runs were trained on the same data and validated on the same reviews of it.

    Otherwise their accuracies say nothing of each other.

    Raises:
        RunError: naming the first that was not.
    """
    known = [course for course in courses if course.digest is not None]
    for course in known[1:]:
        if course.digest != known[0].digest:
            raise RunError(f"{course.name} was trained on other data than {known[0].name}: they cannot be compared")
        if course.reviews != known[0].reviews:
            those = f"{course.name} was validated on {course.reviews:,} reviews, {known[0].name} on"
            raise RunError(f"{those} {known[0].reviews:,}: train both with the same data.validation_split")
        if course.drawn != known[0].drawn:
            others = f"{course.name} was validated on other reviews than {known[0].name}"
            raise RunError(f"{others}: {known[0].drawn}, and {course.drawn}")


def of_stock_keras(cell: str, epochs: int, tell: Callable[[str], None]) -> Course:
    """Train the notebook's network of a cell in stock Keras, and return its course."""
    started = time.perf_counter()
    seconds, accuracies = [], []
    with Worker("keras", cell, "imdb", epochs) as worker:
        for epoch in range(epochs):
            found = worker.ask("epoch")
            seconds.append(time.perf_counter() - started)
            accuracies.append(found["accuracy"])
            tell(f"stock Keras, {cell}, epoch {epoch + 1} of {epochs}: {found['accuracy']:.2%}, {seconds[-1]:.0f} s")
    return Course(f"stock Keras, {cell}", tuple(seconds), tuple(accuracies), STOCK_REVIEWS)


def plot(courses: Sequence[Course]) -> bytes:
    """Draw all courses, seconds on a logarithmic axis; PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    for course, (color, marker) in zip(courses, cycle(zip(COLORS, MARKERS, strict=True)), strict=False):
        shown = [100 * accuracy for accuracy in course.accuracies]
        axes.plot(course.seconds, shown, label=course.name, color=color, marker=marker, markersize=5)
    axes.set(xscale="log", xlabel="Seconds since the start", ylabel="Validation accuracy, %", title="Time to accuracy")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
