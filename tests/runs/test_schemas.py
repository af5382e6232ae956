"""What the files of a run say is checked key by key; the manifest of a stranger's run fits whatever they say."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rnnsent.errors import RunError
from rnnsent.evaluation.compare import read_predictions
from rnnsent.runs import artifacts as stored
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory
from tests.conftest import rnnsent
from tests.fuzz import seeds
from tests.fuzz.readers import OF_A_RUN, READERS, told
from tests.reported import judged_sample

KeyPath = tuple[str | int, ...]
MISSING = object()
OTHER_TYPES: tuple[Any, ...] = (MISSING, None, True, "text", "", -7, 1e14, [], {}, [[1]], {"x": {}})


def places(tree: Any, at: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield where every value of nested mappings and lists is."""
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in inside:
        yield (*at, key)
        yield from places(value, (*at, key))


def changed(tree: Any, at: KeyPath, value: Any) -> Any:
    """Return a copy with another value at a place, or without it."""
    found = copy.deepcopy(tree)
    holder = found
    for key in at[:-1]:
        holder = holder[key]
    if value is MISSING:
        del holder[at[-1]]
    else:
        holder[at[-1]] = value
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["metrics", "environment"])
def test_whatever_key_is_missing_or_of_another_type_is_named_or_does_no_harm(name: str) -> None:
    reader = READERS[name]
    whole = json.loads(reader.whole[0])
    refused = 0
    for at in places(whole):
        for value in OTHER_TYPES:
            Path(reader.file).write_text(json.dumps(changed(whole, at, value)))
            try:
                reader.read(Path(reader.file))
            except RunError as error:
                refused += 1
                key = next(part for part in at if isinstance(part, str))
                assert str(error).startswith(f"{reader.file}: ") and key in str(error), (at, value)
                assert "\n" not in str(error) and len(str(error)) < 200
    assert refused > 100


@pytest.mark.parametrize(
    ("at", "value", "told"),
    [
        (("parameters",), MISSING, "parameters: is missing"),
        (("parameters",), 10**400, "parameters: must be at most 1000000000000000, not 1" + 36 * "0" + "..."),
        (("seconds",), "3", "seconds: must be a number, not '3'"),
        (("epochs",), 2.5, "epochs: must be a whole number, not 2.5"),
        (("interrupted",), 1, "interrupted: must be true or false, not 1"),
        (("validation",), None, "validation: must be a mapping, not null"),
        (("validation", "accuracy"), MISSING, "validation: must have an accuracy"),
        (("validation", "f1", "low"), MISSING, "validation.f1: has a value and must have low and high"),
        (("data", "source"), "web", "data.source: must be one of imdb, sample, texts, not 'web'"),
        (("data", "counts", "test", "positive"), MISSING,
         "data.counts: must count the reviews of each label: negative, positive"),
        (("evaluations", "test", "confusion"), [[1, 2]],
         "evaluations.test.confusion: must have a row for each label, with 2 numbers"),
        (("evaluations", "test", "slices", 0, "accuracy", "high"), None,
         "evaluations.test.slices.0.accuracy.high: must be a number, not null"),
        (("networks",), [], "networks: must be as many as in the config, 2"),
        (("networks",), MISSING, "networks: is missing"),
        (("data", "splits"), "\ud800", "cannot be read: it holds half a character"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_metrics_json_is_told(at: KeyPath, value: Any, told: str) -> None:
    Path(runs.METRICS).write_text(json.dumps(changed(seeds.METRICS, at, value)))
    with pytest.raises(RunError) as raised:
        stored.load_metrics(RunDirectory(Path()), OF_A_RUN)
    assert str(raised.value).startswith(f"{runs.METRICS}: {told}")


def test_infinity_is_refused_where_nobody_relies_on_the_number() -> None:
    text = json.dumps(seeds.METRICS | {"somebody's own": 1.5})
    Path(runs.METRICS).write_text(text)
    assert stored.load_metrics(RunDirectory(Path()))["somebody's own"] == 1.5
    Path(runs.METRICS).write_text(text.replace("1.5}", "1e999}"))
    with pytest.raises(RunError, match=r"metrics\.json: is not what JSON can say"):
        stored.load_metrics(RunDirectory(Path()))


def test_what_an_older_version_did_not_write_is_not_missed() -> None:
    needed = {"data", "engine", "epochs", "best_epoch", "interrupted", "validation", "seconds", "peak_memory_mb"}
    metrics = {name: value for name, value in seeds.METRICS.items() if name in needed | {"parameters"}}
    metrics["data"] = {"source": "imdb", "fallback_used": False}
    Path(runs.METRICS).write_text(json.dumps(metrics))
    Path(runs.ENVIRONMENT).write_text("{}")
    run = RunDirectory(Path())
    assert told(run, stored.load_metrics(run, OF_A_RUN), stored.load_environment(run))


HISTORY = "epoch,loss,accuracy,val_loss,val_accuracy,elapsed\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HISTORY.encode(), "history.csv: holds no epoch"),
        (b"", "history.csv: holds no epoch"),
        (b"epoch,loss\n1,0.5\n", "history.csv:2: accuracy: is missing"),
        (f"{HISTORY}1,0.5,0.7,0.6,0.7,3\n2,x,0.7,0.6,0.7,3\n".encode(),
         "history.csv:3: loss: must be a number, not 'x'"),
        (f"{HISTORY}1,0.5,0.7\n".encode(), "history.csv:2: val_loss: must be a number, not null"),
        (f"{HISTORY}1,nan,0.7,0.6,0.7,3\n".encode(), "history.csv:2: loss: must be a finite number, not 'nan'"),
        (f"{HISTORY}1,0.5,7,0.6,0.7,3\n".encode(), "history.csv:2: accuracy: must be at most 1.0, not '7'"),
        (b"epoch\n\xff\n", "history.csv: is not UTF-8 text (byte 6)"),
        (b"epoch\n" + b"x" * 200_000 + b"\n", "history.csv: has a line of more than 10,000 characters"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_history_csv_is_told(content: bytes, said: str) -> None:
    Path(runs.HISTORY).write_bytes(content)
    with pytest.raises(RunError) as raised:
        stored.load_history(RunDirectory(Path()), runs.HISTORY)
    assert str(raised.value) == said


def test_when_epochs_of_an_older_run_ended_is_not_known() -> None:
    Path(runs.HISTORY).write_text("epoch,loss,accuracy,val_loss,val_accuracy\n1,0.5,0.7,0.6,0.7\n")
    (epoch,) = stored.load_history(RunDirectory(Path()), runs.HISTORY)
    assert epoch.elapsed is None and epoch.val_accuracy == 0.7


def test_predictions_that_are_no_text_are_refused() -> None:
    Path("p.csv").write_bytes(b"review,label\n0,\xff\n")
    with pytest.raises(RunError, match=r"p\.csv: is not UTF-8 text \(byte 15\)"):
        read_predictions(stored.read_text(Path("p.csv")), ("negative", "positive"), "p.csv")


@pytest.fixture(scope="module")
def judged(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged_sample(tmp_path_factory.mktemp("records"), cache)


@pytest.fixture
def forge(judged: Path) -> Callable[[str, KeyPath, Any], None]:
    """Change what a file of a run says, with a manifest that vouches for it."""
    shutil.copytree(judged, "run")

    def forged(file: str, at: KeyPath, value: Any) -> None:
        run = RunDirectory(Path("run"))
        run.update({file: json.dumps(changed(run.read_json(file), at, value))})

    return forged


def refused(said: str, *arguments: str) -> None:
    result = rnnsent(*arguments)
    assert result.exit_code == 1, result.output
    assert [line for line in result.stderr.splitlines() if line.startswith("Error")] == [f"Error: {said}"]
    assert "fault of rnnsent" not in result.stderr and result.stdout == ""


JUDGING = (
    ("eval", "run"), ("report", "run", "--force"), ("compare", "run", "run"), ("robustness", "run"),
    ("baseline", "run"), ("train", "--resume", "run"),
)  # fmt: skip
READING = (("predict", "run", "a film"), ("trace", "run", "a film"), ("eval", "run"), ("report", "run", "--force"))


@pytest.mark.parametrize("arguments", JUDGING, ids=lambda arguments: arguments[0])
def test_every_command_that_reads_metrics_json_names_file_and_key(
    forge: Callable[[str, KeyPath, Any], None], arguments: tuple[str, ...]
) -> None:
    forge(runs.METRICS, ("validation", "accuracy", "low"), "high")
    refused("run/metrics.json: validation.accuracy.low: must be a number, not 'high'", *arguments)


def test_every_command_that_reads_calibration_json_names_file_and_key(
    forge: Callable[[str, KeyPath, Any], None],
) -> None:
    forge(runs.CALIBRATION, ("threshold",), MISSING)
    for arguments in READING:
        needed = "it must have temperature > 0, threshold between 0 and 1, texts"
        refused(f"run/calibration.json: not a calibration; {needed}", *arguments)


def test_every_command_that_reads_environment_json_names_file_and_key(
    forge: Callable[[str, KeyPath, Any], None],
) -> None:
    forge(runs.ENVIRONMENT, ("packages",), [1])
    said = "run/environment.json: packages: must be a mapping, not a list"
    refused(said, "report", "run", "--force")
    refused(said, "compare", "run", "run")
    assert said in rnnsent("eval", "run").stderr  # which has its figures all the same, and says what it could not write


def test_a_report_names_file_and_line_of_a_history(judged: Path) -> None:
    shutil.copytree(judged, "run")
    run = RunDirectory(Path("run"))
    run.update({runs.HISTORY: run.file(runs.HISTORY).read_text().replace("val_loss", "loss of validation")})
    refused("run/history.csv:2: val_loss: is missing", "report", "run", "--force")


def test_who_only_asks_for_answers_needs_no_metrics(forge: Callable[[str, KeyPath, Any], None], judged: Path) -> None:
    forge(runs.METRICS, ("validation",), MISSING)
    for command in ("predict", "trace"):
        before, after = (rnnsent(command, str(run), "a fine film", "--json") for run in (judged, "run"))
        assert after.exit_code == 0 and after.stdout == before.stdout
