"""The search space: ranges of a config that are refused, and the ready one of each shipped config."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnsent.config.loader import dump_config, load_config, parse_config, shipped_names, with_values
from rnnsent.config.ranges import tried_values
from rnnsent.config.sections import Config
from rnnsent.errors import ConfigError
from rnnsent.tuning.search_space import own_parameters, search_space, trial_config
from tests.conftest import parsed, rnnsent

MODEL = "model: {recurrent: [{cell: lstm}]}\n"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("training.lr: {low: 1, high: 2}", "training.lr: unknown key (did you mean learning_rate?)"),
        (
            "training.learning_rate: {low: 1, high: 1e9}",
            "training.learning_rate: must be at most 1000000.0, not 1000000000.0",
        ),
        ("training.learning_rate: {lo: 1, high: 2}", "training.learning_rate.lo: unknown key (did you mean low?)"),
        ("training.learning_rate: {low: 2, high: 1}", 'low must be less than high (here: {"low": 2.0, "high": 1.0})'),
        ("training.learning_rate: {low: 1, high: 1}", "low must be less than high"),
        ("training.learning_rate: {low: 0, high: 1, log: true}", "low must be greater than 0 with log: true"),
        ("training.learning_rate: {low: -1, high: 1}", "must be greater than 0"),
        ("training.learning_rate: {low: a, high: 1}", 'training.learning_rate.low: must be a number, not "a"'),
        ("training.learning_rate: {low: .nan, high: 1}", "low: must be a finite number"),
        ("training.learning_rate: {low: 1}", "needs low and high, or choices"),
        ("training.learning_rate: {}", "needs low and high, or choices"),
        ("training.learning_rate: 3", "must be a section with keys of its own, not 3"),
        ("training.learning_rate: [1, 2]", "must be a section with keys of its own"),
        ("model.recurrent.0.units: {low: 1.5, high: 3}", "must be a whole number, not 1.5"),
        ("model.recurrent.1.units: {choices: [3, 4]}", "model.recurrent.1.cell: is missing"),
        ("model.recurrent.4.units: {choices: [3, 4]}", "there is no item 4 to set"),
        ("model.recurrent.0.cell: {choices: [gru, lstn]}", 'not "lstn" (did you mean lstm?)'),
        ("model.recurrent.0.reset_after: {choices: [true, false]}", "only cell: gru has this key"),
        ("model.dropout: {low: 0, high: 1}", "must be less than 1.0"),
        ("model.dropout: {choices: [0.1]}", "model.dropout.choices: must have at least 2 items"),
        ("model.dropout: {choices: [0.1, 0.1]}", "must name each choice once"),
        ("model.dropout: {low: 0.1, high: 0.2, choices: [0.1, 0.2]}", "needs low and high, or choices"),
        ("model.dropout: {choices: [0.1, 0.2], log: true}", "log only works with low and high"),
        ("model.pooling: {low: 1, high: 2}", "takes no numbers; list its choices"),
        ("training.seed: {low: 1, high: 9}", "cannot be searched"),
        ("training.monitor: {choices: [val_loss, val_accuracy]}", "cannot be searched"),
        ("data.path: {choices: [a.csv, b.csv]}", "cannot be searched"),
        ("data.validation_split: {low: 0.1, high: 0.5}", "cannot be searched"),
        ("training: {choices: [{}, {seed: 1}]}", "cannot be searched"),
        ("{}", "search: must have at least 1 item"),
    ],
)
def test_bad_range_is_one_message_with_its_line(entry: str, message: str) -> None:
    Path("bad.yaml").write_text(f"{MODEL}search:\n  {entry}\n")
    for command in (["config", "check", "bad.yaml"], ["tune", "bad.yaml", "--trials", "1"]):
        result = rnnsent(*command)
        assert result.exit_code == 1
        (line,) = result.stderr.removeprefix("Error: ").splitlines()
        assert line.startswith("bad.yaml:") and message in line and "search" in line


def test_search_is_kept_by_the_config_and_read_again() -> None:
    text = f"{MODEL}search:\n  model.ngrams: {{choices: [null, {{orders: 2}}]}}\n  data.maxlen: {{low: 50, high: 60}}\n"
    config = parse_config(text, "test")
    assert parse_config(dump_config(config), "again") == config
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.search is not None
    assert tried_values("data.maxlen", config.search["data.maxlen"]) == (50, 60)
    trial = trial_config(config, config.search, {"model.ngrams": '{"orders": 2}', "data.maxlen": 55})
    assert trial.model.ngrams is not None and trial.model.ngrams.orders == 2 and trial.data.maxlen == 55
    assert trial.search is None


def test_two_bad_ranges_are_two_messages() -> None:
    with pytest.raises(ConfigError) as error:
        parsed(f"{MODEL}search:\n  model.dropout: {{low: 0, high: 2}}\n  training.epochs: {{choices: [0, 1]}}\n")
    assert len(error.value.problems) == 2


@pytest.mark.parametrize("name", [name for name in shipped_names() if name not in ("best_ensemble", "linear")])
def test_ready_space_of_shipped_configs_holds_their_values_and_no_other_network(name: str) -> None:
    config = load_config(name)
    space = search_space(config)
    for key, values in space.items():
        for value in tried_values(key, values):
            with_values(config, {key: value})
    own = own_parameters(config, space)
    assert own.keys() == space.keys()
    assert trial_config(config, space, own) == config
    assert {"training.learning_rate", "training.batch_size"} <= space.keys()
    cells = [layer.cell for layer in config.model.recurrent]
    assert ("model.recurrent.0.cell" in space) == (cells in (["gru"], ["lstm"]) and config.model.language_model is None)
    if config.model.vectors is not None:
        assert "model.embedding_dim" not in space  # the vectors would be trained for each trial
    if config.model.language_model is not None:
        assert not {f"model.recurrent.0.{key}" for key in ("units", "bidirectional")} & space.keys()


def test_first_trial_takes_the_values_of_the_config_that_the_space_holds() -> None:
    ranges = "model.dropout: {low: 0.1, high: 0.2}, data.maxlen: {choices: [500, null]}"
    config = parsed(f"{MODEL}search: {{{ranges}, model.dense: {{choices: [[], [{{units: 4}}]]}}}}\n")
    assert config.search is not None
    assert own_parameters(config, config.search) == {"data.maxlen": 500, "model.dense": "[]"}
