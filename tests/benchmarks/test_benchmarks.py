"""The measurements, made small: that they measure what they say. How fast anything is, is no business of a test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks.__main__ import command
from benchmarks.breakdown import Breakdown, breakdown
from benchmarks.growth import Cost, Setting, growth
from benchmarks.milestones import Course, as_json, kept_in, of_run, require_same_data
from benchmarks.race import Lane, Race, race
from benchmarks.scale import over_sizes
from benchmarks.tables import breakdown_table, growth_table, milestones_table, race_table, scale_table
from rnnsent.errors import RnnsentError, RunError
from rnnsent.runs.registry import open_run
from tests.conftest import needs_kernel

pytestmark = needs_kernel


def bench(*arguments: str) -> Result:
    """Run `python -m benchmarks` in this process."""
    return CliRunner().invoke(command, list(arguments))


def test_medians_leave_out_the_first_round() -> None:
    keras = Lane("keras", [90.0, 10.0, 30.0, 20.0], [0.6, 0.8, 0.874, 0.7], [9.0, 4.0, 2.0], 0.85, 1300.0)
    ours = Lane("rnnsent", [5.0, 2.0, 2.0, 2.0], [0.7, 0.88, 0.875, 0.9], [9.0, 0.5, 0.5], 0.86, 800.0)
    assert (keras.epoch_seconds, keras.prediction_seconds, keras.seconds_to_book) == (20.0, 3.0, None)
    assert ours.seconds_to_book == 7.0
    run = Race("lstm", [keras, ours], {"torch": "torch is not installed"})
    assert run.ratios(ours) == (10.0, 6.0)
    lines = race_table([run]).splitlines()
    assert "| lstm: rnnsent, batched by length | 2.00 | 10.0 | 0.50 | 6.0 | 800 | 90.00% | 86.00% | 7.0 |" in lines
    assert any("PyTorch, padded | torch is not installed" in line for line in lines)


@pytest.mark.slow
def test_a_race_on_the_command_line_holds_rnnsent_to_a_ratio() -> None:
    arguments = ["race", "--cell", "lstm", "--data", "sample", "--peer", "keras", "--epochs", "1"]
    result = bench(*arguments, "--predictions", "1", "--require", "1e9")
    assert result.exit_code == 1
    assert "less than 1e+09 times as fast as stock Keras" in result.stderr
    rows = [line for line in result.stdout.splitlines() if line.startswith("| lstm")]
    assert len(rows) == 3
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert float(cells[1]) > 0 and float(cells[3]) > 0 and float(cells[5].replace(",", "")) > 100
        assert 30 < float(cells[6].rstrip("%")) <= 100


def test_a_contestant_that_fails_is_named() -> None:
    with pytest.raises(RnnsentError, match="the notebook's form failed"):
        race("lstm", ["rnnsent-notebook"], "nowhere", 1, 1, print)


@pytest.mark.slow
def test_growth_measures_each_setting_once() -> None:
    told: list[str] = []
    found = growth("simple_rnn", told.append, {"units": (3,), "maxlen": (7,)}, rounds=1)
    assert [cost.setting.units for cost in found["units"]] == [3]
    assert [cost.setting.maxlen for cost in found["maxlen"]] == [7]
    assert len(told) == 2
    assert all(cost.stock[0] > 0 and cost.rnnsent[0] > 0 for each in found.values() for cost in each)
    assert growth_table(found).count("\n") == 3
    turns = Cost(Setting(units=3), (30.0, 40.0, 35.0), (3.0, 2.0, 7.0))
    assert growth_table({"units": [turns]}).splitlines()[2] == "| units 3 | 35 | 3.0 | 10.0 | 5.0 … 20.0 |"


def test_a_breakdown_names_its_parts() -> None:
    found = breakdown("gru", "sample")
    assert found.step > max(found.parts.values()) > 0
    assert min(found.parts.values()) > 0
    table = breakdown_table([Breakdown("lstm", 10.0, {"input": 5.0, "optimizer": 4.0})])
    assert "| rest: Keras and TensorFlow | 6.00 |" in table  # the input is made meanwhile


@pytest.mark.slow
def test_scale_counts_what_it_trained_on() -> None:
    (found,) = over_sizes((2000,), print)
    assert found.reviews == 1000 and found.tokens > 100_000
    assert found.seconds > 0 and found.own_mb > 50
    assert scale_table([found]).splitlines()[2].startswith("| 1,000 |")


def test_milestones_say_when_an_accuracy_was_first_passed() -> None:
    course = Course("run", (10.0, 20.0, 30.0), (0.86, 0.9, 0.88), 1234)
    assert [course.reached(accuracy) for accuracy in (0.85, 0.86, 0.875, 0.91)] == [10.0, 10.0, 20.0, None]
    assert milestones_table([course]).splitlines()[2] == "| run | 10 | 20 | 20 | – | – | 90.00% | 1,234 |"


def test_milestones_of_a_run_are_what_its_history_says(finished_run: Path) -> None:
    found = of_run(open_run(finished_run))
    row = (finished_run / "history.csv").read_text().splitlines()[-1].split(",")
    assert len(found.seconds) == 1 and found.seconds[0] > float(row[1]) > 0  # reading and validation are in it
    shown = bench("milestones", str(finished_run), "--png", "m.png")
    assert shown.exit_code == 0, shown.stderr
    assert Path("m.png").read_bytes().startswith(b"\x89PNG") and f"{found.accuracies[0]:.2%}" in shown.stdout
    assert found.reviews == 24
    other = Course("other", (1.0,), (0.5,), 24, "another digest")
    with pytest.raises(RunError, match="other was trained on other data than"):
        require_same_data([found, Course("stock Keras", (1.0,), (0.5,), 5000), other])
    with pytest.raises(RunError, match="other was validated on 25 reviews"):
        require_same_data([found, Course("other", (1.0,), (0.5,), 25, found.digest)])
    with pytest.raises(RunError, match="other was validated on other reviews"):
        require_same_data([found, Course("other", (1.0,), (0.5,), 24, found.digest, "otherwise")])
    require_same_data([found, Course("stock Keras", (1.0,), (0.5,), 5000), found])
    assert bench("milestones").exit_code == 2


def test_milestones_remember_what_was_measured_before(finished_run: Path) -> None:
    """One of many can be measured again, and takes the place of what had its name."""
    before = [Course("other", (1.0, 2.0), (0.86, 0.9), 5000), Course(finished_run.name, (7777.0,), (0.99,), 24)]
    Path("courses.json").write_text(as_json([*before, Course("last", (3.0,), (0.5,), 5000)]))
    command = ["milestones", "--courses", "courses.json"]
    alone = bench(*command)
    assert alone.exit_code == 0, alone.stderr
    assert "7777" in alone.stdout
    shown = bench(*command, str(finished_run), "--png", "m.png")
    assert shown.exit_code == 0, shown.stderr
    rows = shown.stdout.splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["other", finished_run.name, "last"]
    assert "7777" not in shown.stdout and Path("m.png").exists()
    assert f"{finished_run.name}: what courses.json has of it is of before, and replaced" in shown.stderr
    assert kept_in(Path("courses.json"))[1] == of_run(open_run(finished_run))


def test_runs_of_one_name_are_told_apart(finished_run: Path) -> None:
    for folder in ("one", "other"):
        shutil.copytree(finished_run, Path(folder) / "seed-0")
    shown = bench("milestones", "one/seed-0", "other/seed-0")
    assert shown.exit_code == 0, shown.stderr
    rows = shown.stdout.splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["one/seed-0", "other/seed-0"]


def test_milestones_need_something_to_show() -> None:
    assert bench("milestones").exit_code == 2
    assert bench("milestones", "--courses", "nowhere.json").exit_code == 2
    wrong = bench("milestones", "--stock", "lstm", "--png", "notes.txt")
    assert wrong.exit_code == 1 and "notes.txt: unknown output format; use .png" in wrong.stderr
    assert bench("milestones", "nowhere").exit_code == 1
