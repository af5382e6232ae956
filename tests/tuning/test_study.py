"""The folder of a study and its journal: what is refused, what a kill leaves, what is pruned."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from rnnsent.config.loader import load_config
from rnnsent.tuning.folder import TuningPlan, open_folder
from rnnsent.tuning.search import _train_trial
from rnnsent.tuning.study import MAX_RETRIES, STARTUP_TRIALS, Study
from tests.conftest import rnnsent
from tests.tuning.conftest import write_table

INFINITY = float("inf")
RATE = "training.learning_rate"
RANGE = FloatDistribution(1e-9, 1e-1, log=True)


@pytest.fixture
def study(config: str) -> Study:
    """A study without a trial, whose queue holds the values of the config."""
    loaded = load_config(config, {"search": {RATE: {"low": 1e-9, "high": 1e-1, "log": True}}})
    return Study(*open_folder(loaded, TuningPlan("small", 20, 10.0, 1), Path("S")))


def test_killed_trial_is_retried_twice_and_a_living_one_is_left_alone(study: Study) -> None:
    living, killed = study.begin_trial(INFINITY), study.begin_trial(INFINITY)
    assert living is not None and killed is not None
    parameters = killed.optuna.params
    for _ in range(MAX_RETRIES):
        killed.lock.release()  # as a kill does
        killed = study.begin_trial(INFINITY)
        assert killed is not None and killed.optuna.params == parameters
    killed.lock.release()
    other = study.begin_trial(INFINITY)
    assert other is not None and other.optuna.params != parameters
    states = [trial.state for trial in study.study.get_trials()]
    assert states == [TrialState.RUNNING, *[TrialState.FAIL] * (MAX_RETRIES + 1), TrialState.RUNNING]
    assert study.is_shared and [trial.number for trial in study.trials] == [0, MAX_RETRIES + 2]


def test_trial_worse_than_the_median_is_pruned_after_an_epoch(study: Study) -> None:
    for _ in range(STARTUP_TRIALS):
        values = {1: 0.9, 2: 0.95}
        trial = create_trial(value=0.95, params={RATE: 0.02}, distributions={RATE: RANGE}, intermediate_values=values)
        study.study.add_trial(trial)
    first = study.begin_trial(INFINITY)  # in the queue from the beginning
    assert first is not None and first.optuna.params == {RATE: 0.02}
    study.end_trial(first, 0.9)
    study.study.enqueue_trial({RATE: 1e-9})
    pruned = study.begin_trial(INFINITY)
    assert pruned is not None
    _train_trial(study, pruned, lambda config: ())
    trial = study.trials[-1]
    assert trial.state == TrialState.PRUNED and list(trial.intermediate_values) == [1]
    assert not list(pruned.folder.rglob("*.safetensors"))


def test_trial_in_progress_is_stopped_when_the_time_is_up(study: Study) -> None:
    first = study.begin_trial(INFINITY)
    assert first is not None and first.deadline == INFINITY  # without a complete trial there would be no result
    study.end_trial(first, 0.9)
    late = study.begin_trial(time.monotonic() + 0.01)
    assert late is not None
    _train_trial(study, late, lambda config: ())
    assert study.trials[-1].state == TrialState.PRUNED and not study.trials[-1].intermediate_values
    assert study.begin_trial(time.monotonic()) is None


def test_time_of_earlier_trials_counts_once_and_pauses_do_not(study: Study) -> None:
    hour = datetime(2026, 1, 1, 12)
    for begin, end in ((0, 60), (30, 90), (500, 560)):  # seconds
        trial = create_trial(value=0.5, params={RATE: 0.02}, distributions={RATE: RANGE})
        trial.datetime_start, trial.datetime_complete = (hour + timedelta(seconds=second) for second in (begin, end))
        study.study.add_trial(trial)
    assert study.deadline() - time.monotonic() == pytest.approx(600 - 150, abs=1)


@pytest.mark.parametrize("rest", ['{"op_code":5,"trial_id":0,"par', "{", "[1,"])
def test_half_a_line_at_the_end_of_the_journal_is_dropped(study: Study, rest: str) -> None:
    assert len(study.study.get_trials()) == 1
    with Path("S/journal.log").open("a") as file:
        file.write(rest)
    again = Study(study.path, study.config, study.plan)
    assert again.begin_trial(INFINITY) is not None
    assert len(again.study.get_trials()) == 1


@pytest.mark.parametrize("line", ["x", "[]", '{"op_code": 99}', '{"op_code": 4}', "[" * 100_000, "\udcff"])
def test_damaged_journal_is_named(study: Study, line: str) -> None:
    assert study.study.get_trials()
    with Path("S/journal.log").open("ab") as file:
        file.write(line.encode(errors="surrogateescape") + b"\n{}\n")
    result = rnnsent("tune", "--resume", "S")
    assert result.exit_code == 1 and "Error: S/journal.log: is damaged: " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("content", ["", "{}", '{"name": 1}', "[" * 100_000])
def test_damaged_plan_is_named(study: Study, content: str) -> None:
    Path("S/tuning.json").write_text(content)
    result = rnnsent("tune", "--resume", "S")
    assert result.exit_code == 1 and result.stderr.startswith("Error: S/tuning.json: ")


def test_other_folders_configs_and_data_are_refused(config: str) -> None:
    def refused(*arguments: str) -> str:
        result = rnnsent("tune", *arguments)
        assert result.exit_code == 1, result.output
        return result.stderr.splitlines()[-1]

    write_table(Path("table.csv"), "fine")
    limit = [config, "--trials", "1"]
    options = [*limit, "--seeds", "1", "--epochs", "1", "--data", "table.csv", "--study-dir"]
    assert rnnsent("tune", *options, "S").exit_code == 0
    assert "S: holds a study of another config; choose another" in refused(*options, "S", "--set", "model.dropout=0.1")
    write_table(Path("table.csv"), "dull")
    assert "S: its data changed since it began" in refused(*options, "S")
    assert "S: its data changed since it began" in refused("--resume", "S")
    Path("other").mkdir()
    Path("other/thesis.tex").touch()
    assert "other: is not empty and not a study: it holds thesis.tex" in refused(*limit, "--study-dir", "other")
    assert "table.csv: is a file" in refused(*limit, "--study-dir", "table.csv")
    for path in ("nowhere", "other", "table.csv", "S/trials/0"):
        assert f"{path}: not a study, it has no tuning.json" in refused("--resume", path)
    alone = refused(*limit, "--set", "search=null", "--set", "model.recurrent=[]", "--set", "model.linear={}")
    assert alone == "Error: model.recurrent: must have at least 1 layer: a search is for a network (here: [])"
    ensemble = refused(*limit, "--set", "ensemble=[{}, {}]")
    assert ensemble == "Error: ensemble: must be null: a search is for one network; use --set ensemble=null"
