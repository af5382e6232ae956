"""Decision thresholds: given or chosen on validation, in `eval`, `predict`, Python and the page of a run."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_recall_curve, precision_score, recall_score

import rnnsent as package
from rnnsent.data import sample
from rnnsent.errors import RnnsentError
from rnnsent.evaluation.evaluate import evaluation_of
from rnnsent.evaluation.metrics import score
from rnnsent.evaluation.predictions import Predictions
from rnnsent.evaluation.thresholds import choose_thresholds
from rnnsent.inference.thresholds import UNREACHABLE, counts_at, cross_fitted, decide, smallest_threshold
from rnnsent.runs.directory import Run
from tests.conftest import rnnsent


@pytest.fixture
def run(sample_run: Path) -> Run:
    return Run(Path(shutil.copytree(sample_run, "run")))


@pytest.fixture(scope="module")
def three(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on three labels, of which one is rare and one dominates."""
    folder = tmp_path_factory.mktemp("three")
    rng = np.random.default_rng(0)
    words = {"bad": ("dull", "grim"), "fine": ("warm", "kind"), "odd": ("blue", "warm")}
    with (folder / "t.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label", "split"])
        for number in range(500):
            label = str(rng.choice(list(words), p=[0.7, 0.2, 0.1]))
            text = " ".join(rng.permutation([*rng.choice([*words[label], "dull"], 2), *rng.choice(list("abcd"), 3)]))
            table.writerow([text, label, ("train", "train", "validation", "test")[number % 4]])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("RNNSENT_CACHE", str(cache))
        settings = ("--set", "training.learning_rate=0.02", "--set", "training.monitor=val_f1", "--epochs", "4")
        result = rnnsent("train", "gru", "--data", str(folder / "t.csv"), "--run-dir", "run", *settings)
    assert result.exit_code == 0, result.stderr
    return folder / "run"


def evaluated(*arguments: str) -> dict[str, Any]:
    result = rnnsent("eval", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def random_scores(seed: int, texts: int = 300, labels: int = 3) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return labels and probabilities that know something of them; many are equal."""
    rng = np.random.default_rng(seed)
    real = rng.integers(0, labels, texts)
    probabilities = rng.dirichlet(np.ones(labels), texts) + 0.7 * np.eye(labels)[real]
    return real, np.round(probabilities / probabilities.sum(axis=1, keepdims=True), 2)


# What is decided.


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [
        ({1: 0.3}, [1, 0, 1, 1]),
        ({0: 0.7}, [1, 2, 1, 1]),  # the most probable of the others
        ({0: 0.2, 1: 0.3}, [0, 0, 1, 1]),  # the largest ratio of several
        ({2: 0.25}, [0, 2, 1, 1]),
        ({0: 0.9, 1: 0.8, 2: 0.9}, [0, 0, 1, 1]),  # none is reached: the largest ratio
    ],
)
def test_rule_of_several_labels(thresholds: dict[int, float], expected: list[int]) -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.2, 0.3], [0.1, 0.8, 0.1], [0.3, 0.6, 0.1]])
    if 2 in thresholds and 0 in thresholds:
        probabilities[3] = [0.1, 0.8, 0.1]
    assert decide(probabilities, thresholds).tolist() == expected


@pytest.mark.parametrize("threshold", [0.01, 0.3, 0.5, 0.77])
def test_two_labels_are_decided_by_either_as_by_scikit_learn(threshold: float) -> None:
    real, probabilities = random_scores(0, labels=2)
    for label in (0, 1):
        predicted = np.where(probabilities[:, label] >= threshold, label, 1 - label)
        predictions = Predictions.of(real, probabilities).decided({label: threshold})
        metrics = score(predictions, resamples=2).metrics
        assert (predictions.predicted == predicted).all()
        for name, function in (("accuracy", accuracy_score), ("recall", recall_score), ("f1", f1_score)):
            assert metrics[name].value == pytest.approx(function(real, predicted))
        assert metrics["roc_auc"] == score(Predictions.of(real, probabilities), resamples=2).metrics["roc_auc"]
        assert (predictions.confidence == probabilities[np.arange(300), predicted]).all()


@pytest.mark.parametrize("label", [0, 1, 2])
def test_curve_is_that_of_scikit_learn(label: int) -> None:
    real, probabilities = random_scores(label)
    members, scores = real == label, probabilities[:, label]
    precision, recall, thresholds = precision_recall_curve(members, scores)
    texts, hits = counts_at(members, scores, thresholds)
    np.testing.assert_allclose(hits / texts, precision[:-1])
    np.testing.assert_allclose(hits / members.sum(), recall[:-1])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("target", [0.3, 0.6, 0.8, 0.95])
def test_smallest_threshold_is_that_of_scikit_learn(seed: int, target: float) -> None:
    real, probabilities = random_scores(seed)
    members, scores = real == 1, probabilities[:, 1]
    precision, _, thresholds = precision_recall_curve(members, scores)
    threshold, best = smallest_threshold(members, scores, target)
    assert best == pytest.approx(precision[:-1].max())
    reaching = thresholds[(precision[:-1] >= target) & (thresholds > 0)]
    if not len(reaching):
        assert threshold == UNREACHABLE
        return
    assert ((scores >= threshold) == (scores >= reaching[0])).all() and 0 < threshold < 1


@pytest.mark.parametrize("scores", [[1.0, 1 - 2**-24], [0.3, 0.3 + 1e-9], [1e-8, 0.5], [0.0, 1e-12]])
def test_threshold_between_close_probabilities_is_between(scores: list[float]) -> None:
    low, high = sorted(scores)
    threshold, best = smallest_threshold(np.array([False, True]), np.array([low, high]), 0.9)
    assert low < threshold <= high and 0 < threshold < 1 and best == 1


def test_cross_fitted_choice_never_sees_the_text() -> None:
    seen: list[np.ndarray[Any, Any]] = []
    probabilities = np.tile([0.4, 0.6], (23, 1))

    def choose(rows: np.ndarray[Any, Any]) -> dict[int, float]:
        seen.append(rows)
        return {1: 0.7 if len(seen) == 2 else 0.5}

    decisions = cross_fitted(probabilities, choose)
    assert len(seen) == 5 and (np.sum(seen, axis=0) == 4).all()
    assert (decisions == np.where(seen[1], 1, 0)).all()


# On the command line and in Python.


def test_eval_shows_the_decisions_and_writes_none(run: Run) -> None:
    before = evaluated("run")
    written = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    result = evaluation_of(run, "test")
    scores, real = result.predictions.probabilities[:, 1], result.predictions.labels
    values = evaluated("run", "--threshold", "0.3")
    assert values["decisions"] == {"thresholds": {"positive": 0.3}, "chosen": []}
    assert values["confusion"][1][1] == int(((scores >= 0.3) & (real == 1)).sum())
    for name, function in (("precision", precision_score), ("f1", f1_score)):
        assert values["metrics"][name]["value"] == pytest.approx(function(real, scores >= 0.3))
    assert values["metrics"]["log_loss"] == before["metrics"]["log_loss"] and not before["decisions"]["thresholds"]
    assert values["thresholds"] == before["thresholds"]
    assert evaluated("run", "--threshold", "negative=0.7")["confusion"] == values["confusion"]
    assert {path: path.read_bytes() for path in written} == written
    shown = rnnsent("eval", "run", "--threshold", "positive=0.3", "--full").stdout
    assert "threshold of positive: 0.3" in shown and "by threshold of negative" in shown
    row = next(line.split() for line in shown.splitlines() if line.split()[:2] == ["probability", "0.30"])
    figures = before["thresholds"]["negative"][3]
    assert row[2:] == [
        f"{figures['texts']:,}",
        *(f"{figures[key]['value']:.4f}" for key in ("precision", "recall")),
        f"{figures['f1']:.4f}",
    ]


def test_precision_is_chosen_on_calibrated_validation(run: Run) -> None:
    values = evaluated("run", "--precision", "positive=0.6")
    (choice,) = values["decisions"]["chosen"]
    validation = evaluation_of(run, "validation").predictions
    calibration = json.loads((run.path / "calibration.json").read_text())
    logits = np.log(validation.probabilities[:, 1]) - np.log(validation.probabilities[:, 0])
    shift = np.log(calibration["threshold"]) - np.log1p(-calibration["threshold"])
    scores = 1 / (1 + np.exp(-(logits - shift) / calibration["temperature"]))
    precision, _, thresholds = precision_recall_curve(validation.labels == 1, scores)
    expected = thresholds[precision[:-1] >= 0.6][0]
    assert choice["threshold"] == pytest.approx(expected, abs=2e-3) and choice["threshold"] <= expected + 1e-6
    assert choice["precision"]["low"] <= choice["precision"]["value"] <= choice["precision"]["high"]
    test = evaluation_of(run, "test").predictions
    expected = precision_score(test.labels, test.probabilities[:, 1] >= choice["threshold"])
    assert values["metrics"]["precision"]["value"] == pytest.approx(expected)
    shown = rnnsent("eval", "run", "--precision", "0.6")
    line = (
        f"threshold of positive: {choice['threshold']:.6g}, for precision 0.6 of positive; on validation, cross-fitted"
    )
    assert line in " ".join(shown.stdout.split())
    assert all(len(row) <= 80 for row in shown.stdout.splitlines())


def test_validation_is_decided_by_calibrated_probabilities(run: Run) -> None:
    values = evaluated("run", "--split", "validation", "--threshold", "0.4")
    row = next(row for row in values["thresholds"]["positive"] if row["threshold"] == 0.4)
    assert sum(line[1] for line in values["confusion"]) == row["texts"]
    assert any("calibration was fitted on these texts" in warning for warning in values["warnings"])
    plain = evaluated("run", "--split", "validation")
    assert plain["thresholds"] == values["thresholds"] and plain["metrics"]["log_loss"] != values["metrics"]["log_loss"]


def test_predict_decides_as_eval_does(run: Run) -> None:
    texts = [review.text for review in sample.generate_reviews(60, 5)]
    Path("t.txt").write_text("\n".join(text.replace("\n", " ") for text in texts) + "\n")
    classifier = package.load(run)
    plain = classifier.predict(texts)
    for threshold in (0.35, 0.45, 0.55):
        expected = ["positive" if each.probabilities["positive"] >= threshold else "negative" for each in plain]
        predictions = classifier.predict(texts, thresholds={"positive": threshold})
        assert [each.label for each in predictions] == expected
        assert [each.probability for each in predictions] == [each.probabilities[each.label] for each in predictions]
        frame = classifier.predict_frame(texts, thresholds={"positive": threshold})
        assert frame["label"].tolist() == expected
        shown = rnnsent("predict", "run", "--input", "t.txt", "--threshold", f"positive={threshold}")
        assert [line.split("\t")[0] for line in shown.stdout.splitlines()] == expected
        options = ("--threshold", f"{threshold}", "--output", "o.csv", "--force")
        assert rnnsent("predict", "run", "--input", "t.txt", *options).exit_code == 0
        assert [row["label"] for row in csv.DictReader(Path("o.csv").read_text().splitlines())] == expected
    chosen = rnnsent("predict", "run", texts[0], "--precision", "positive=0.6")
    assert chosen.exit_code == 0 and "for precision 0.6 of positive" in chosen.stderr
    abstained = rnnsent("predict", "run", *texts[:20], "--threshold", "0.2", "--abstain-below", "0.4").stdout
    assert "abstain" in abstained or min(each.probabilities["positive"] for each in plain[:20]) > 0.4


def test_three_labels(three: Path) -> None:
    run = Run(three)
    thresholds, choices = choose_thresholds(run, {"odd": 0.2}, {"fine": 0.5})
    assert set(thresholds) == {"odd", "fine"} and [choice.label for choice in choices] == ["fine"]
    result = evaluation_of(run, "test").predictions
    values = evaluated(str(three), "--threshold", "odd=0.2", "--precision", "fine=0.5")
    expected = decide(result.probabilities, {2: 0.2, 1: thresholds["fine"]})
    assert [sum(row[label] for row in values["confusion"]) for label in range(3)] == np.bincount(
        expected, minlength=3
    ).tolist()
    history = (three / "history.csv").read_text().splitlines()
    assert history[0].endswith(",val_f1") and len(history) == 5
    assert rnnsent("report", str(three), "--split", "validation", "--output", "r.html").exit_code == 0
    page = Path("r.html").read_text(encoding="utf-8")
    assert all(f"Threshold of {label}" in page for label in ("bad", "fine", "odd")) and "Highest F1 at" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--threshold", "good=0.3"), "no such label: good; use bad, fine, odd"),
        (("--precision", "Bad=0.3"), "no such label: Bad; use bad, fine, odd"),
        (("--threshold", "fine=0"), "fine=0: use LABEL=P, with P above 0 and below 1"),
        (("--threshold", "fine=1"), "fine=1: use LABEL=P, with P above 0 and below 1"),
        (("--precision", "fine=nan"), "fine=nan: use LABEL=P"),
        (("--precision", "odd=-0.5"), "odd=-0.5: use LABEL=P"),
        (("--threshold", "fine"), "fine: use LABEL=P"),
        (("--threshold", "fine="), "fine=: use LABEL=P"),
        (("--threshold", "0.4"), "--threshold 0.4: which label; use --threshold LABEL=0.4"),
        (("--precision", "0.9"), "--precision 0.9: which label; use --precision LABEL=0.9"),
        (("--threshold", "fine=0.4", "--threshold", "fine=0.5"), "fine=0.5: a second number for fine; give one"),
        (("--threshold", "odd=0.4", "--precision", "odd=0.5"), "--threshold and --precision of odd: give one of them"),
    ],
)
@pytest.mark.parametrize("command", ["eval", "predict"])
def test_what_cannot_be_decided_is_one_message(
    three: Path, options: tuple[str, ...], message: str, command: str
) -> None:
    result = rnnsent(command, str(three), *(["a text"] if command == "predict" else []), *options)
    assert result.exit_code != 0 and message in " ".join(result.stderr.split()), result.stderr
    assert result.stderr.count("Error") <= 1 and "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["eval", "predict"])
def test_a_precision_that_no_threshold_reaches_names_the_highest(run: Run, command: str) -> None:
    validation = evaluation_of(run, "validation").predictions
    precision, *_ = precision_recall_curve(validation.labels == 1, validation.probabilities[:, 1])
    for option in ("0.9999", "positive=0.999"):
        result = rnnsent(command, "run", *(["a text"] if command == "predict" else []), "--precision", option)
        reason = f"no threshold reaches it on the {len(validation):,} validation texts; the highest is "
        assert result.exit_code == 1 and f"{reason}{precision[:-1].max():.4f}" in result.stderr, result.stderr


def test_a_bare_number_and_its_label_are_two(run: Run) -> None:
    result = rnnsent("eval", "run", "--threshold", "0.4", "--threshold", "positive=0.3")
    assert result.exit_code == 2 and "a second number for positive" in result.stderr


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [({"good": 0.3}, "no such label"), ({"positive": 1.0}, "below 1"), ({"positive": float("nan")}, "below 1")],
)
def test_python_refuses_the_same(run: Run, thresholds: dict[str, float], message: str) -> None:
    with pytest.raises(RnnsentError, match=message):
        package.load(run).predict(["a text"], thresholds=thresholds)


def test_thresholds_need_one_run(run: Run) -> None:
    Path("p.csv").write_text("label,probability\ngood,0.7\nbad,0.2\n")
    result = rnnsent("eval", "--predictions", "p.csv", "--threshold", "0.4")
    assert result.exit_code == 2 and "need a run; they do not work with --predictions" in result.stderr
    Path("seeds").mkdir()
    for seed in (0, 1):
        shutil.copytree(run.path, f"seeds/seed-{seed}")
    Path("seeds/seeds.json").write_text('{"seeds": [0, 1], "evaluate": false}')
    result = rnnsent("eval", "seeds", "--precision", "0.9")
    assert result.exit_code == 2 and "are for one run: name seeds/seed-N" in result.stderr
