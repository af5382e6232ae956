"""What was measured, as tables in Markdown. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks.breakdown import Breakdown
from benchmarks.contestants import NAMES
from benchmarks.growth import Cost
from benchmarks.milestones import ACCURACIES, Course
from benchmarks.race import Race
from benchmarks.scale import Scale


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with its first column to the left and the others to the right."""
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def race_table(races: Sequence[Race]) -> str:
    """Return a row for each contestant of each cell; ratios are to the first of the cell."""
    head = ["", "s/epoch", "times", "s/prediction", "times", "peak MB", "validation", "test", "s to 87.5 %"]
    rows = []
    for race in races:
        for lane in race.lanes:
            epoch, prediction = race.ratios(lane)
            reached = lane.seconds_to_book
            rows.append(
                [
                    f"{race.cell}: {NAMES[lane.name]}",
                    f"{lane.epoch_seconds:.2f}",
                    f"{epoch:.1f}",
                    f"{lane.prediction_seconds:.2f}",
                    f"{prediction:.1f}",
                    f"{lane.peak_memory_mb:,.0f}",
                    f"{max(lane.accuracies):.2%}",
                    f"{lane.test_accuracy:.2%}",
                    "–" if reached is None else f"{reached:.1f}",
                ]
            )
        rows += [[f"{race.cell}: {NAMES[name]}", why, *["–"] * 7] for name, why in race.absent.items()]
    return markdown(head, rows)


def growth_table(costs: dict[str, list[Cost]]) -> str:
    """Return a row for each value of each dimension: medians of the turns, and the least and the largest ratio."""
    rows = [
        [f"{name} {getattr(cost.setting, name)}", f"{median(cost.stock):.0f}", f"{median(cost.rnnsent):.1f}",
         f"{median(cost.ratios):.1f}", f"{cost.ratios[0]:.1f} … {cost.ratios[-1]:.1f}"]
        for name, each in costs.items()
        for cost in each
    ]  # fmt: skip
    return markdown(["", "stock Keras, ms/step", "rnnsent, ms/step", "times", "least … most"], rows)


def breakdown_table(found: Sequence[Breakdown]) -> str:
    """Return a row for each part of a step, a column for each cell."""
    rows = [["whole step", *(f"{each.step:.2f}" for each in found)]]
    rows += [[name, *(f"{each.parts[name]:.2f}" for each in found)] for name in found[0].parts]
    rows += [["rest: Keras and TensorFlow", *(f"{each.rest:.2f}" for each in found)]]
    return markdown(["ms", *(each.cell for each in found)], rows)


def scale_table(found: Sequence[Scale]) -> str:
    """Return a row for each number of reviews."""
    rows = [
        [f"{each.reviews:,}", f"{each.tokens:,}", f"{each.seconds:.1f}", f"{each.tokens / each.seconds / 1e6:.1f}",
         f"{each.own_mb:,.0f}"]
        for each in found
    ]  # fmt: skip
    return markdown(["reviews", "tokens", "s/epoch", "million tokens/s", "own memory, MB"], rows)


def milestones_table(courses: Sequence[Course]) -> str:
    """Return a row for each training: seconds until each accuracy was passed, and the best."""
    rows = []
    for course in courses:
        reached = [course.reached(accuracy) for accuracy in ACCURACIES]
        cells = ["–" if seconds is None else f"{seconds:.0f}" for seconds in reached]
        rows.append(
            [course.name, *cells, f"{max(course.accuracies):.2%}", f"{course.reviews:,}" if course.reviews else "–"]
        )
    seconds_to = [f"s to {100 * accuracy:g} %" for accuracy in ACCURACIES]
    return markdown(["", *seconds_to, "best", "validation reviews"], rows)
