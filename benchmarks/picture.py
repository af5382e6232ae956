"""Draws docs/speed.png for the README from what docs/measured says of the races.

python benchmarks/picture.py
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "docs" / "measured"
PICTURE = ROOT / "docs" / "speed.png"

CELLS = {"simple_rnn": ("SimpleRNN", 4), "lstm": ("LSTM", 5), "gru": ("GRU", 4)}  # title, epochs of the race
LANES = {  # Okabe and Ito's colors, which all eyes tell from each other
    "stock Keras, the notebook's code": ("stock Keras", "#56b4e9"),
    "PyTorch, padded": ("PyTorch", "#e69f00"),
    "rnnsent, batched by length": ("rnnsent", "#009e73"),
}


@dataclass(frozen=True)
class Lane:
    """One library in the race of one cell.

    Attributes:
        epoch: seconds of an epoch.
        target: seconds of training until validation reached 87.5 %; None: it did not.
        total: seconds of all epochs of the race.
    """

    epoch: float
    target: float | None
    total: float


def read_race(cell: str) -> dict[str, Lane]:
    """Return the lanes of a race, {name: lane}, from its table."""
    lanes = {}
    for line in (MEASURED / f"race-{cell}.md").read_text(encoding="utf-8").splitlines():
        name, *values = (value.strip() for value in line.strip("|").split("|"))
        name = name.removeprefix(f"{cell}: ")
        if name in LANES:
            epoch, target = float(values[0]), values[-1]
            lanes[name] = Lane(epoch, None if target == "–" else float(target), epoch * CELLS[cell][1])
    return lanes


def read_milestone(accuracy: float = 0.875) -> float:
    """Return after how many seconds another training of stock Keras' LSTM reached an accuracy."""
    courses = json.loads((MEASURED / "milestones.json").read_text(encoding="utf-8"))["courses"]
    course = next(course for course in courses if course["name"] == "stock Keras, lstm")
    reached = zip(course["seconds"], course["accuracies"], strict=True)
    return float(next(seconds for seconds, value in reached if value >= accuracy))


def draw() -> Figure:
    """Return the picture: seconds an epoch, and seconds to 87.5 % validation accuracy."""
    figure = Figure(figsize=(10, 3.9), dpi=150, layout="constrained")
    epochs, targets = figure.subplots(1, 2)
    for place, cell in enumerate(CELLS):
        for number, (name, lane) in enumerate(read_race(cell).items()):
            y, color = place + (number - 1) * 0.27, LANES[name][1]
            epochs.barh(y, lane.epoch, 0.25, color=color)
            epochs.text(lane.epoch, y, f" {lane.epoch:.1f} s", va="center", fontsize=9)
            _draw_target(targets, y, lane, color)
    milestone, lstm = read_milestone(), list(CELLS).index("lstm") - 0.27
    targets.plot([milestone], [lstm], "|", color="#0072b2", markersize=11, markeredgewidth=2)
    targets.text(milestone, lstm, f"  another\n  run: {milestone:.0f} s", va="center", fontsize=8)
    for axes, title in ((epochs, "Seconds an epoch"), (targets, "Seconds to 87.5 % validation accuracy")):
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
        axes.set_yticks(range(len(CELLS)), [title for title, _ in CELLS.values()], fontsize=10)
        axes.invert_yaxis()
        axes.set_xlim(0, axes.get_xlim()[1] * 1.1)
        axes.set_xticks([])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.tick_params(left=False)
    figure.text(0.995, 0.02, "IMDB, 20,000 reviews, 2 cores of an AMD EPYC", ha="right", fontsize=8, color="#555555")
    handles = [Patch(color=color, label=label) for label, color in LANES.values()]
    handles.append(Patch(facecolor="white", edgecolor="gray", hatch="////", label="not reached in 4 (LSTM: 5) epochs"))
    figure.legend(handles=handles, loc="outside lower left", ncols=4, frameon=False, fontsize=9)
    return figure


def _draw_target(axes: Axes, y: float, lane: Lane, color: str) -> None:
    if lane.target is None:
        axes.barh(y, lane.total, 0.25, facecolor="white", edgecolor=color, hatch="////", linewidth=1)
        axes.text(lane.total, y, f" not in {lane.total:.0f} s", va="center", fontsize=9, color="#555555")
    else:
        axes.barh(y, lane.target, 0.25, color=color)
        axes.text(lane.target, y, f" {lane.target:.1f} s", va="center", fontsize=9)


if __name__ == "__main__":
    draw().savefig(PICTURE)
