from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rnnsent.cli.options import overrides
from rnnsent.config.loader import (
    dump_config,
    find_config,
    json_schema,
    load_config,
    parse_config,
    shipped_names,
)
from rnnsent.config.sections import Config
from rnnsent.errors import ConfigError
from tests.conftest import REPOSITORY, rnnsent

MINIMAL = "model: {recurrent: [{cell: lstm}]}\n"
OPEN = "model: {recurrent: [{cell: lstm}], "


def problems(text: str, *settings: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "x.yaml", overrides(settings))
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_configs_are_valid_and_survive_a_round_trip(name: str) -> None:
    config = load_config(name)
    assert parse_config(dump_config(config), "dumped") == config


def test_the_shipped_schema_is_that_of_the_code() -> None:
    assert json.loads((REPOSITORY / "configs" / "schema.json").read_text()) == json_schema()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "model: {recurrent: [{cell: lstm, unit: 3}]}",
            "x.yaml:1: model.recurrent.0.unit: unknown key (did you mean units?)",
        ),
        (f"{MINIMAL}data:\n  num_words: many", 'x.yaml:3: data.num_words: must be a whole number, not "many"'),
        (f"{MINIMAL}data: {{source: imbd}}", 'x.yaml:2: data.source: must be one of imdb, sample, texts, not "imbd"'),
        (f"{MINIMAL}training: {{epochs: 0}}", "x.yaml:2: training.epochs: must be at least 1, not 0"),
        (f"{MINIMAL}training: {{epochs: 2.5}}", "x.yaml:2: training.epochs: must be a whole number, not 2.5"),
        (f"{MINIMAL}training: {{ema: 1.0}}", "x.yaml:2: training.ema: must be less than 1.0, not 1.0"),
        (f"{MINIMAL}training: {{calibrate: on}}", 'x.yaml:2: training.calibrate: must be true or false, not "on"'),
        (f"{MINIMAL}training: 3", "x.yaml:2: training: must be a section with keys of its own, not 3"),
        (
            f"{MINIMAL}training: {{device: tpu}}",
            'x.yaml:2: training.device: must be auto, cpu, gpu or gpu:N, not "tpu"',
        ),
        ("model: {}", "x.yaml:1: model.recurrent: is missing and has no default"),
        ("data: {}", "x.yaml: model: is missing and has no default"),
        ("", "x.yaml: is empty; a config has at least a `model:` section"),
        ("- 1", "x.yaml:1: must be a mapping of keys to values"),
        ("model: {a: 1\nb", "x.yaml:2: broken YAML: expected ',' or '}', but got '<stream end>'"),
        (MINIMAL + MINIMAL, "x.yaml:2: broken YAML: found duplicate key"),
        ("model: !!python/object:os.system {}", "x.yaml:1: YAML tags are not allowed (here: tag:yaml.org"),
        ("model: &a [*a]", "x.yaml:1: model.0: is nested too deeply"),
    ],
)
def test_a_problem_names_place_key_rule_and_value(text: str, expected: str) -> None:
    assert problems(text)[0].startswith(expected)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (
            "model: {recurrent: [{cell: lstm, return_sequences: false}, {cell: gru}]}",
            "model.recurrent.0.return_sequences",
        ),
        ("model: {recurrent: [{cell: lstm, reset_after: true}]}", "model.recurrent.0.reset_after"),
        (
            "model: {recurrent: [{cell: lstm, return_sequences: false}], pooling: max}",
            "model.recurrent.0.return_sequences",
        ),
        ("model: {recurrent: [{cell: lstm, return_sequences: true}]}", "model.recurrent.0.return_sequences"),
        (f"{MINIMAL}data: {{padding: notebook, maxlen: null}}", "data.maxlen"),
        (f"{MINIMAL}data: {{source: sample, path: here}}", "data.path"),
        (f"{MINIMAL}training: {{schedule: {{kind: plateau, warmup_steps: 3}}}}", "training.schedule.warmup_steps"),
        (f"{MINIMAL}training: {{schedule: {{factor: 0.1}}}}", "training.schedule.factor"),
        (f"{MINIMAL}training: {{schedule: {{kind: cosine, patience: 9}}}}", "training.schedule.patience"),
        (f"{MINIMAL}training: {{schedule: {{final_fraction: 0.5}}}}", "training.schedule.final_fraction"),
        (f"{MINIMAL}training: {{class_weights: {{good: 1.0}}}}", "training.class_weights"),
    ],
)
def test_values_that_cannot_go_together(text: str, key: str) -> None:
    (problem,) = problems(text)
    assert f": {key}: " in problem


def test_everything_is_reported_at_once_in_the_order_of_lines() -> None:
    text = "model:\n  recurrent:\n    - {cell: lstm, unit: 3}\n    - {cell: lstn}\n  poling: max\n"
    found = problems(f"{text}training:\n  epochs: none\n", "training.seed=-1", "model.recurrent.7.units=2")
    assert [problem.rpartition(": ")[0].split(": ")[:2] for problem in found] == [
        ["x.yaml:3", "model.recurrent.0.unit"],
        ["x.yaml:4", "model.recurrent.1.cell"],
        ["x.yaml:5", "model.poling"],
        ["x.yaml:7", "training.epochs"],
        ["--set model.recurrent.7.units=2", "model.recurrent.7.units"],
        ["--set training.seed=-1", "training.seed"],
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (f"{MINIMAL}trainig: {{epochs: 3}}", "did you mean training?"),
        (f"{MINIMAL}data: {{batch_size: 3}}", "did you mean training.batch_size?"),
        (f"{MINIMAL}training: {{zzz: 3}}", "valid keys: epochs, batch_size"),
        (f"{MINIMAL}training: {{learning_rate: '1e-3'}}", "write it without quotes"),
        (f"{MINIMAL}training: {{calibrate: 'Off'}}", "write false without quotes"),
        (f"{MINIMAL}training: {{optimizer: adm}}", "did you mean adam?"),
        (f"{MINIMAL}training: {{precision: float16}}", "did you mean mixed_float16?"),
        (f"{MINIMAL}training: {{clip_norm: None}}", "write null"),
        (f"{MINIMAL}training: {{calibrate: 'true'}}", "write true without quotes"),
        (f"{MINIMAL}training: {{schedule: cosine}}", "its keys: kind, warmup_steps"),
        ("model: {recurrent: {cell: gru}}", "each item begins with a dash"),
        (f"{MINIMAL}units: 3", "did you mean model.recurrent.0.units?"),
        (f"{MINIMAL}training: {{lr: 3}}", "did you mean learning_rate?"),
        (f"{MINIMAL}training: {{BS: 3}}", "did you mean batch_size?"),
        (f"{MINIMAL}lr: 3", "did you mean training.learning_rate?"),
        (f"{OPEN}hidden_size: 3}}", "did you mean model.recurrent.0.units?"),
        (f"{OPEN}emb_dim: 3}}", "did you mean embedding_dim?"),
        (f"{MINIMAL}ensemble: [{{cell: lstm}}]", "did you mean ensemble.0.recurrent.0.cell?"),
        (f"{OPEN}ngrams: 2}}", "its keys: weights, orders"),
        (f"{OPEN}ngrams: {{weights: regresion}}}}", "write [regresion]"),
        (f"{OPEN}vectors: glove.txt}}", "its keys: path, word2vec"),
        (f"{MINIMAL}training: {{trackers: [mlflow, tensorbord]}}", "did you mean tensorboard?"),
        (f"{MINIMAL}training: {{trackers: tensorbord}}", "write [tensorbord]"),
        (f"{MINIMAL}training: {{trackers: 7}}", "each item begins with a dash"),
    ],
)
def test_a_problem_hints_at_what_was_meant(text: str, hint: str) -> None:
    (problem,) = problems(text)
    assert f"({hint}" in problem


def test_several_faults_in_one_list_have_their_own_numbers() -> None:
    found = problems(MINIMAL + "ensemble:\n- [1]\n- {recurrent: [{}]}\n- {units: 3}\n- {seed: -1}\n")
    assert [each.partition(": ")[2].partition(":")[0] for each in found] == [
        "ensemble.0", "ensemble.1.recurrent.0.cell", "ensemble.2.units", "ensemble.3.seed"
    ]  # fmt: skip


def test_overrides_come_after_the_file_and_the_last_wins() -> None:
    text = f"{MINIMAL}training: {{epochs: 3, learning_rate: 1e-3}}"
    settings = [
        "training.epochs=4",
        "training.epochs=5",
        "model.recurrent.0.units=7",
        "training.early_stopping.patience=2",
    ]
    config = parse_config(text, "x", overrides(settings))
    assert (config.training.epochs, config.training.learning_rate) == (5, 1e-3)
    assert config.model.recurrent[0].units == 7
    assert config.training.early_stopping is not None and config.training.early_stopping.patience == 2


def test_config_list_describes_each_shipped_config_in_80_columns() -> None:
    lines = rnnsent("config", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == shipped_names()
    assert all(len(line) <= 80 and len(line.split()) > 1 for line in lines)


@pytest.mark.parametrize("name", ["lstm", "lstm.yaml", "configs/lstm.yaml", "notebook/lstm", "notebook/lstm.yaml"])
def test_shipped_configs_are_found_by_name(name: str) -> None:
    assert isinstance(load_config(name), Config)


def test_a_file_comes_before_a_shipped_config() -> None:
    Path("lstm").write_text(MINIMAL)
    assert find_config("lstm") == Path("lstm")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file, and no shipped config of that name (did you mean lstm?)"),
        (b"model: \xff", "is not UTF-8 text"),
        (
            b" " * (2 << 20),
            "cannot be read: it has 2,097,152 bytes, 262,144 are allowed",
        ),
    ],
)
def test_files_that_are_no_config(content: bytes | None, message: str) -> None:
    if content is not None:
        Path("lstmm").write_bytes(content)
    with pytest.raises(ConfigError, match="lstmm: ") as caught:
        load_config("lstmm")
    assert message in str(caught.value)


def test_a_folder_is_no_config() -> None:
    Path("somewhere").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        load_config("somewhere")


def test_a_file_of_ones_own_is_meant_rather_than_a_shipped_config() -> None:
    Path("lstm.yaml").write_text("model: {recurrent: [{cell: lstm}]}\n")
    Path("mine.yaml").write_text("model: {recurrent: [{cell: lstm}]}\n")
    for given, meant in (("lstm.yml", "lstm.yaml"), ("mine", "mine.yaml"), ("gruu", "gru")):
        found = rnnsent("config", "check", given)
        assert found.exit_code == 1 and f"(did you mean {meant}?)" in found.stderr


@pytest.mark.parametrize("text", ['"\\uD800": 3', 'data: {path: "\\uD800"}'])
def test_half_a_character_is_refused(text: str) -> None:
    assert problems(text) == ["x.yaml: holds a character that is no text"]


def test_a_config_survives_json() -> None:
    config = load_config("best_ensemble")
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert Config.from_dict({"model": {"recurrent": [{"cell": "gru"}]}}) == parse_config(
        MINIMAL.replace("lstm", "gru"), ""
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [({}, "model"), ({"model": {"recurrent": [{}]}}, "cell"), ({"model": 3}, "int"), ({"modle": {}}, "modle")],
)
def test_a_config_of_another_shape_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"not a config of this version of rnnsent: .*{message}"):
        Config.from_dict(values)


def test_importing_the_config_imports_no_pydantic() -> None:
    heavy = "{'pydantic', 'ruamel', 'numpy', 'annotated_types'}"
    code = f"import sys, rnnsent.config.sections; print(*{heavy} & set(sys.modules))"
    assert not subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("setting", "rule"),
    [
        ("data.maxlen=10000000000", "data.maxlen: must be at most 131072"),
        ("data.num_words=1000000000", "data.num_words: must be at most 10000000"),
        ("model.embedding_dim=1000000", "model.embedding_dim: must be at most 16384"),
        ("model.recurrent.0.units=1000000", "model.recurrent.0.units: must be at most 16384"),
        ("training.epochs=1000000000000", "training.epochs: must be at most 1000000"),
        ("training.batch_size=10000000", "training.batch_size: must be at most 1048576"),
    ],
)
def test_config_has_bounds(setting: str, rule: str) -> None:
    (problem,) = problems(MINIMAL, setting)
    assert rule in problem
