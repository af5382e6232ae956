"""`rnnsent eval`: what it writes beside a run, shows, and gives as JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rnnsent.config.sections import DataConfig
from rnnsent.evaluation.evaluate import evaluation_of, most_confident_errors
from rnnsent.evaluation.metrics import METRICS, Metric, Sample
from rnnsent.evaluation.predictions import Predictions, read_csv
from rnnsent.files import sha256
from rnnsent.reporting.tables import confusion_table
from rnnsent.runs.directory import CALIBRATION, Run
from rnnsent.runs.schemas import Evaluation
from tests.conftest import rnnsent


@pytest.fixture
def run(finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    return Run(Path(shutil.copytree(finished_run, "run")))


def test_evaluations_are_written_beside_a_run_that_stays_as_it_is(run: Run) -> None:
    before = {path: sha256(path) for path in run.path.rglob("*") if path.is_file()}
    shown = rnnsent("eval", "run")
    assert shown.exit_code == 0, shown.stderr
    assert {path: sha256(path) for path in before} == before
    added = {path.relative_to(run.path).as_posix() for path in set(run.path.rglob("*.*")) - set(before)}
    names = ("test.json", "test-predictions.csv", "test-confusion.csv", "test-reliability.png", "test-coverage.png")
    assert added == {f"evaluations/{name}" for name in names}
    record = run.evaluation("test", Evaluation)
    assert record is not None and record.run == run.sha256 and record.texts == 120
    assert (run.path / "evaluations/test-coverage.png").read_bytes().startswith(b"\x89PNG")
    run.verify()


def test_eval_json_has_what_eval_shows(run: Run) -> None:
    linear = json.loads(rnnsent("baseline", "run", "--json").stdout)["metrics"]
    values = json.loads(rnnsent("eval", "run", "--json", "--worst", "2").stdout)
    assert set(values) == {
        "run", "split", "source", "n", "metrics", "parts", "labels", "confusion", "slices", "coverage", "seconds",
        "errors", "warnings", "baseline", "baseline_comparison", "thresholds", "decisions",
    }  # fmt: skip
    assert (values["run"], values["split"], values["n"], values["baseline"]) == ("run", "test", 120, linear)
    assert len(values["errors"]) == 2
    for error in values["errors"]:
        assert error["label"] != error["predicted"] and error["probability"] >= 0.5 and error["text"]
    shown = rnnsent("eval", "run", "--full").stdout.splitlines()
    assert all(len(line) <= 80 for line in shown[1:])
    for name, figures in values["labels"].items():
        row = next(n for n, line in enumerate(shown) if line.split()[:2] == [name, f"{figures['texts']:,}"])
        estimates = [figures[key] for key in ("precision", "recall", "f1")]
        assert shown[row].split()[2:] == [f"{each['value']:.4f}" for each in estimates]
        ends = " ".join(f"{each['low']:.3f} … {each['high']:.3f}" for each in estimates)
        assert " ".join(shown[row + 1].split()) == ends
    accuracy = next(line for line in shown if line.split()[:1] == ["accuracy"] and "%" not in line).split()
    assert accuracy[1] == f"{values['metrics']['accuracy']['value']:.4f}"
    assert accuracy[-1] == f"{linear['accuracy']['value']:.4f}"
    ece = next(line for line in shown if line.split()[:1] == ["ece"])
    assert "…" not in ece and values["metrics"]["ece"]["low"] is None and values["metrics"]["ece"]["value"] > 0


def test_validation_is_scored_as_in_metrics_json_without_calibration(run: Run) -> None:
    assert run.file(CALIBRATION).is_file()
    result = json.loads(rnnsent("eval", "run", "--split", "validation", "--json").stdout)
    values, note = result["metrics"], "scored without calibration, which was fitted on these texts"
    assert note in result["warnings"] and list(values) == list(run.metrics.validation)
    for name, estimate in run.metrics.validation.items():
        expected = [estimate.value, estimate.low, estimate.high]
        assert list(values[name].values()) == [None if each is None else pytest.approx(each) for each in expected]
    assert note in rnnsent("eval", "run", "--split", "validation").stdout
    assert note not in rnnsent("eval", "run").stdout
    assert rnnsent("report", "run", "--split", "validation", "-o", "page.html").exit_code == 0
    assert note in Path("page.html").read_text(encoding="utf-8")


def test_eval_can_be_quiet(run: Run) -> None:
    quiet, loud = rnnsent("eval", "run", "--quiet"), rnnsent("eval", "run")
    assert quiet.exit_code == 0 and quiet.stderr == "", quiet.stderr
    assert "backend: " in loud.stderr and loud.stdout.splitlines()[:5] == quiet.stdout.splitlines()[:5]


def test_a_new_metric_is_in_eval_json_and_report(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def specificity(sample: Sample) -> float:
        return float(sample.confusion[0, 0] / sample.confusion[0].sum())

    monkeypatch.setitem(METRICS, "specificity", Metric(specificity, labels_only=True))
    values = json.loads(rnnsent("eval", "run", "--json").stdout)
    (tn, fp), estimate = values["confusion"][0], values["metrics"]["specificity"]
    assert estimate["value"] == pytest.approx(tn / (tn + fp)) and estimate["low"] < tn / (tn + fp) < estimate["high"]
    assert any(line.split()[:1] == ["specificity"] for line in rnnsent("eval", "run", "--full").stdout.splitlines())
    assert rnnsent("report", "run").exit_code == 0
    assert "specificity" in Path("run/report.html").read_text()
    assert "specificity" in json.loads(rnnsent("compare", "run", "run", "--json").stdout)["comparisons"][0]["metrics"]


def test_evaluation_of_reads_what_was_written_for_this_very_run(run: Run) -> None:
    first, again = evaluation_of(run, "validation"), evaluation_of(run, "validation")
    assert again.record == first.record == run.evaluation("validation", Evaluation)
    np.testing.assert_array_equal(again.predictions.probabilities, first.predictions.probabilities)
    path = run.path / "evaluations/validation.json"
    path.write_text(path.read_text().replace(run.sha256, "0" * 64))  # of the run before more training
    assert run.evaluation("validation", Evaluation) is None
    evaluation_of(run, "validation")
    assert run.evaluation("validation", Evaluation) is not None
    table = run.path / "evaluations/validation-predictions.csv"
    for damage in ("positive,negative", "positive,what"):
        table.write_text(table.read_text().replace("positive,positive", damage, 1).replace(",0.5", ",0.4"))
        read = evaluation_of(run, "validation").predictions
        np.testing.assert_array_equal(read.probabilities, first.predictions.probabilities)


@pytest.mark.parametrize("size", [2, 3])
def test_predictions_are_read_without_loss(size: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels, names = rng.integers(0, size, 50), ["a", 'b "c", d', "e"][:size]
    given = rng.dirichlet(np.ones(size), 50).astype(np.float32)
    predictions = Predictions.of(labels, given[:, 1] if size == 2 else given)
    path = tmp_path / "p.csv"
    path.write_text(predictions.to_csv(DataConfig(labels=tuple(names)), list(range(2, 52))))
    read = read_csv(path, DataConfig(labels=tuple(names)))
    assert read.same_as(predictions) and read.labels.tolist() == labels.tolist()


def test_most_confident_errors_come_first() -> None:
    predictions = Predictions.of([0, 0, 1, 1], [0.9, 0.6, 0.05, 0.8])
    errors = most_confident_errors(predictions, DataConfig(labels=("no", "yes")), lambda index: f"line {index}")
    assert [(error.index, error.label, error.predicted, error.place) for error in errors] == [
        (2, "yes", "no", "line 2"), (0, "no", "yes", "line 0"), (1, "no", "yes", "line 1"),
    ]  # fmt: skip


def test_run_on_a_table_names_lines_and_counts_training_texts() -> None:
    rows = [f"{word}{' film' * n},{word}" for n in range(20) for word in ("bad", "good")]
    Path("films.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    trained = rnnsent("train", "--config", "gru", "--data", "films.csv", "--epochs", "1", "--run-dir", "films")
    assert trained.exit_code == 0, trained.stderr
    errors = json.loads(rnnsent("eval", "films", "--json", "--worst", "20").stdout)["errors"]
    assert errors
    for error in errors:
        file, _, line = error["place"].partition(", line ")
        assert file == "films.csv"
        text, _, label = Path("films.csv").read_text().splitlines()[int(line) - 1].partition(",")
        assert (error["text"], error["label"]) == (text, label)

    table = [f"{row},{'0.9' if row.endswith('good') else '0.2'}" for row in rows]
    Path("p.csv").write_text("\n".join(["text,label,probability", *table, "another one,good,0.7"]) + "\n")
    evaluated = rnnsent("eval", "films", "--predictions", "p.csv", "--json")
    # One fifth of the rows is for the test.
    assert "WARNING: films was trained on 32 of the 41 texts in p.csv\n" in evaluated.stderr
    assert "films was trained on 32 of the 41 texts in p.csv" in json.loads(evaluated.stdout)["warnings"]
    assert json.loads(evaluated.stdout)["n"] == 41 and "trained" not in rnnsent("eval", "--predictions", "p.csv").stderr
    Path("q.csv").write_text("label,probability\ngood,0.7\nbad,0.2\n")
    assert "it is unknown if films was trained" in rnnsent("eval", "films", "--predictions", "q.csv").stderr


def test_of_many_labels_the_most_frequent_confusions_are_shown() -> None:
    names = [f"label {number}" for number in range(25)]
    confusion = np.diag(np.full(25, 70))
    confusion[3, 7], confusion[9, 2] = 30, 10
    lines = confusion_table(names, confusion.tolist())
    assert lines[1:] == [
        "  most frequent confusions, 2 of 2: real → predicted (share of real)",
        "          30  label 3 → label 7 (30.0%)",
        "          10  label 9 → label 2 (12.5%)",
    ]
    assert len(confusion_table(["a", "b"], [[1, 2], [3, 4]])) == 4
