"""What the JSON files of a run hold: records come back as they were, and what is wrong names file and key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rnnsent.errors import RunError
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import Environment, PretrainInfo, TrainingMetrics, parse, to_dict, to_json
from tests.conftest import rnnsent


def test_records_come_back_as_they_were(finished_run: Path) -> None:
    run = Run(finished_run)
    assert parse(TrainingMetrics, to_json(run.metrics), "metrics.json") == run.metrics
    assert parse(Environment, to_dict(run.environment), "environment.json") == run.environment
    assert run.read("metrics.json").decode() == to_json(run.metrics)


WRONG: list[tuple[tuple[str, ...], Any, str]] = [
    (("parameters",), None, "parameters: input should be a valid integer"),
    (("epochs",), 2.5, "epochs: input should be a valid integer"),
    (("validation", "f1", "low"), "high", "validation.f1.low: input should be a valid number"),
    (("data", "source"), 3, "data.source: input should be a valid string"),
    (("data", "counts", "test", "positive"), [], "data.counts.test.positive: input should be a valid integer"),
    (("engine",), "native", "engine: input should be"),
]


@pytest.mark.parametrize(("keys", "value", "message"), WRONG)
def test_what_is_wrong_names_file_and_key(finished_run: Path, keys: tuple[str, ...], value: Any, message: str) -> None:
    shutil.copytree(finished_run, "run")
    metrics = json.loads(Path("run/metrics.json").read_text())
    holder = metrics
    for key in keys[:-1]:
        holder = holder[key]
    holder[keys[-1]] = value
    Path("run/metrics.json").write_text(json.dumps(metrics))
    Run(Path("run")).finish()
    with pytest.raises(RunError) as raised:
        Run(Path("run")).metrics  # noqa: B018
    assert str(raised.value).startswith(f"run/metrics.json: {message}") and "\n" not in str(raised.value)
    result = rnnsent("report", "run")
    assert result.exit_code == 1 and f"run/metrics.json: {message}" in result.stderr


@pytest.mark.parametrize("content", [b"", b"[", b"[1]", b"\xff", b'{"loss": NaN}', b"[" * 100_000])
def test_what_is_no_json_or_lacks_keys_is_named(content: bytes) -> None:
    with pytest.raises(RunError, match=r"^language_model\.json: "):
        parse(PretrainInfo, content, "language_model.json")
