"""`eval --predictions`: what other programs predicted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk

from rnnsent.data.tables import open_table
from rnnsent.errors import DataError
from rnnsent.evaluation.external_predictions import read_predictions
from tests.conftest import rnnsent


def evaluated(*arguments: str) -> dict[str, Any]:
    result = rnnsent("eval", "--predictions", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def metrics(*arguments: str) -> dict[str, float]:
    return {name: estimate["value"] for name, estimate in evaluated(*arguments)["metrics"].items()}


def write(path: str, header: str, rows: Iterable[Sequence[object]]) -> None:
    Path(path).write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")


def test_two_labels_equal_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    probabilities = np.round(np.clip(rng.normal(0.35 + 0.3 * labels, 0.2), 0, 1), 4)
    write("p.csv", "sentiment,y_score", zip(np.where(labels, "good", "bad"), probabilities, strict=True))
    found, values = evaluated("p.csv"), metrics("p.csv")
    assert (found["predictions"], found["n"]) == ("p.csv", 200)
    assert values["accuracy"] == pytest.approx(sk.accuracy_score(labels, probabilities > 0.5))
    assert values["roc_auc"] == pytest.approx(sk.roc_auc_score(labels, probabilities))
    assert metrics("p.csv", "--positive", "bad")["roc_auc"] == pytest.approx(1 - values["roc_auc"])
    shown = rnnsent("eval", "--predictions", "p.csv").stdout
    assert shown.startswith("p.csv: 200 predictions; the probability is that of good")
    assert all(len(line) <= 80 for line in shown.splitlines()[1:])


def test_several_labels_as_jsonl() -> None:
    rows = [("a", [0.7, 0.2, 0.1]), ("b", [0.3, 0.6, 0.1]), ("c", [0.2, 0.5, 0.3]), ("c", [0.1, 0.1, 0.8])]
    lines = [
        json.dumps({"label": label} | {f"probability of {name}": p for name, p in zip("abc", values, strict=True)})
        for label, values in rows
    ]
    Path("p.jsonl").write_text("\n".join(lines))
    found = read_predictions(open_table(Path("p.jsonl")))
    assert found.label_names == ("a", "b", "c") and found.predictions.labels.tolist() == [0, 1, 2, 2]
    np.testing.assert_allclose(found.predictions.probabilities, [values for _, values in rows])
    assert metrics("p.jsonl")["accuracy"] == 0.75
    refused = rnnsent("eval", "--predictions", "p.jsonl", "--positive", "b")
    assert refused.exit_code == 1 and "positive label is one of two; there are 3 labels: a, b, c" in refused.stderr


def test_predictions_that_eval_wrote(finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "run")
    of_run = json.loads(rnnsent("eval", "run", "--json").stdout)["metrics"]
    expected = {name: each["value"] for name, each in of_run.items()}
    assert metrics("run/evaluations/test-predictions.csv") == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label,probability\n1,0.5\n0,1.5\n", ":3: probability must be a number from 0 to 1, not '1.5'"),
        ("label,probability\n1,0.5\n", "column 'label' holds 1 label (1); with"),
        ("label,probability\n1,0.5\n2,0.5\n3,0.5\n", "Of more labels each needs a column 'probability of LABEL'"),
        ("label,probability\n", "holds no rows"),
        ("a,b\n1,2\n", "no column for the real label"),
        ("label,b\n1,2\n", "no column for the probability"),
        ("label,predicted\n1,0.7\n0,0.1\n", ":2: no column for the probability, and predicted says 0.7, which is no"),
        ("label,predicted\n1,1\n", "holds 1 label; two or more are needed"),
        ("label,probability of a,probability of b\nc,0.5,0.5\n", ":2: labeled c, but no column is called"),
        ("label,probability of a,probability of b\na,0.5,0.9\n", ":2: the probabilities add up to 1.4"),
        ("label,probability of pos\npos,1.0\n", "holds 1 label (pos); with one column of probabilities"),
        ("label,probability of up\nno,0.1\nyes,0.9\n", "no row or column is labeled up; labels: no, yes"),
        ("label,probability of a,Probability of a\na,0.5,0.5\n", "two columns are of one label"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_predictions(open_table(path))
    assert message in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--probability-column", "xyzzy"], "no column is called xyzzy; it has: label, probability of neg, "),
        (
            ["--probability-column", "probability of po"],
            "called probability of po; did you mean probability of pos? It has: label, ",
        ),
        (["--positive", "good"], "no row or column is labeled good; labels: neg, pos"),
        (
            ["--probability-column", "probability of neg", "--positive", "pos"],
            "column 'probability of neg' is of neg, so the positive label cannot be pos",
        ),
    ],
)
def test_options_that_do_not_fit_the_table(arguments: list[str], message: str) -> None:
    Path("p.csv").write_text("label,probability of neg,probability of pos\nneg,0.7,0.3\npos,0.2,0.8\n")
    found = rnnsent("eval", "--predictions", "p.csv", *arguments)
    assert found.exit_code == 1 and found.stderr.count("\n") == 1, found.stderr
    assert message in found.stderr and "p.csv: " in found.stderr


@pytest.mark.parametrize(
    ("columns", "arguments", "positive"),
    [
        ("neg pos", [], "pos"),
        ("pos neg", [], "neg"),
        ("neg pos", ["--positive", "neg"], "neg"),
        ("neg pos", ["--probability-column", "probability of neg"], "neg"),
        ("neg", [], "neg"),
    ],
)
def test_columns_named_after_labels_say_which_is_positive(columns: str, arguments: list[str], positive: str) -> None:
    rows = [("neg", 0.1), ("neg", 0.3), ("neg", 0.9), ("pos", 0.6), ("pos", 0.2), ("pos", 0.8), ("pos", 0.7)]
    names = columns.split()
    header = ",".join(["label", *(f"probability of {name}" for name in names)])
    write("p.csv", header, [(label, *(p if name == "pos" else round(1 - p, 1) for name in names)) for label, p in rows])
    shown = rnnsent("eval", "--predictions", "p.csv", *arguments)
    assert shown.stdout.startswith(f"p.csv: 7 predictions; the probability is that of {positive}\n"), shown.stderr
    predicted = ["pos" if p > 0.5 else "neg" for _, p in rows]
    precision = sk.precision_score([name for name, _ in rows], predicted, pos_label=positive)
    assert metrics("p.csv", *arguments)["precision"] == pytest.approx(precision)


def test_coverage_and_most_confident_errors_by_line() -> None:
    write("p.csv", "label,probability", [("neg", 0.1), ("neg", 0.9), ("neg", 0.6), ("pos", 0.05), ("pos", 0.8)])
    found = evaluated("p.csv", "--worst", "2")
    assert found["confusion"] == [[1, 2], [1, 1]]
    recall = found["labels"]["pos"]["recall"]
    assert found["labels"]["pos"]["texts"] == 2 and recall["low"] < recall["value"] == 0.5 < recall["high"]
    assert [(each["texts"], each["accuracy"]["value"]) for each in found["coverage"]][-1] == (3, 1 / 3)
    places = [(each["index"], each["place"]) for each in found["errors"]]
    assert places == [(3, "p.csv, line 5"), (1, "p.csv, line 3")]
    shown = rnnsent("eval", "--predictions", "p.csv", "--worst", "1", "--full").stdout
    assert "  by coverage" in shown
    assert "text 3 (p.csv, line 5): pos, predicted neg at 0.9500" in shown and "line 3" not in shown


def test_predicted_labels_alone_equal_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    real = rng.integers(0, 3, 300)
    said = np.where(rng.random(300) < 0.6, real, rng.integers(0, 3, 300))
    write("p.csv", "label,y_pred", [(f"l{a}", f"l{b}") for a, b in zip(real, said, strict=True)])
    found = evaluated("p.csv")
    precision, recall, f1, _ = sk.precision_recall_fscore_support(real, said, average="macro")
    assert metrics("p.csv") == pytest.approx(
        {"accuracy": sk.accuracy_score(real, said), "precision": precision, "recall": recall, "f1": f1}
        | {"balanced_accuracy": sk.balanced_accuracy_score(real, said), "mcc": sk.matthews_corrcoef(real, said)}
    )
    assert found["confusion"] == sk.confusion_matrix(real, said).tolist()
    assert found["coverage"] == found["errors"] == []
    shown = rnnsent("eval", "--predictions", "p.csv").stdout
    assert "log loss, Brier score" in " ".join(shown.split()) and "log_loss" not in shown and "by coverage" not in shown


def test_two_predicted_labels_have_a_positive_one() -> None:
    write("p.csv", "truth,says", [("no", "no"), ("no", "yes"), ("yes", "yes"), ("yes", "no"), ("yes", "no")])
    arguments = ["p.csv", "--predicted-column", "says"]
    assert "precision and recall are those of yes" in rnnsent("eval", "--predictions", *arguments).stdout
    for positive, recall in (("yes", 1 / 3), ("no", 1 / 2)):
        assert metrics(*arguments, "--positive", positive)["recall"] == pytest.approx(recall)
    refused = rnnsent("eval", "--predictions", *arguments, "--probability-column", "says")
    assert refused.exit_code == 1 and "exclude each other" in refused.stderr


def test_columns_may_have_names_of_labels() -> None:
    rows = [("b", 0.2, 0.5, 0.3), ("a", 0.6, 0.3, 0.1), ("c", 0.3, 0.3, 0.4)]
    header = ",".join(["id,label,predicted", *"abc"])
    write("p.csv", header, [(1, label, "a", *values) for label, *values in rows])
    found = read_predictions(open_table(Path("p.csv")))
    assert found.label_names == ("a", "b", "c") and not found.labels_only
    assert found.predictions.labels.tolist() == [1, 0, 2]
    np.testing.assert_allclose(found.predictions.probabilities, [row[1:] for row in rows])
    write("p.csv", "label,yes", [("no", 0.25), ("yes", 0.75)])
    one = read_predictions(open_table(Path("p.csv")))
    assert one.label_names == ("no", "yes") and one.predictions.probabilities[:, 1].tolist() == [0.25, 0.75]


def test_rows_that_are_left_out_are_counted_and_labels_are_one_as_in_training() -> None:
    header = "label,probability of A,probability of B,probability of C"
    write("p.csv", header, [(label, 0.5, 0.3, 0.2) for label in ("A", "b", "C ", "", "B", "N/A", "a")])
    read = read_predictions(open_table(Path("p.csv")))
    assert read.predictions.labels.tolist() == [0, 1, 2, 1, 0]
    assert read.note == "2 rows left out: without a label: 2; read as one label: a as A, b as B"
    shown = rnnsent("eval", "--predictions", "p.csv", "--label-map", "A: A, B: B")
    assert "labeled C, not in --label-map: 1" in " ".join(shown.stdout.split()), shown.stdout
    values = json.loads(rnnsent("eval", "--predictions", "p.csv", "--label-map", "A: A, B: B", "--json").stdout)
    assert any("3 rows left out" in warning for warning in values["warnings"])


def test_usage() -> None:
    assert rnnsent("eval", "--predictions", "p.csv", "--baseline").exit_code == 2
    assert rnnsent("eval", "run", "--positive", "good").exit_code == 2
    missing = rnnsent("eval", "--predictions", "nowhere.csv")
    assert missing.exit_code == 1 and "nowhere.csv" in missing.stderr


@pytest.mark.parametrize("name", ["confidence", "score", "prediction"])
def test_what_may_be_the_answers_own_probability_has_to_be_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(f"label,{name}\nNEGATIVE,0.99\nPOSITIVE,0.98\n")
    found = rnnsent("eval", "--predictions", str(path))
    assert found.exit_code == 1 and "no column for the probability" in found.stderr
    assert rnnsent("eval", "--predictions", str(path), "--probability-column", name).exit_code == 0


ANSWERS = [  # the real label, and the predicted probability of calm
    ("calm", 0.9), ("calm", 0.8), ("angry", 0.1), ("angry", 0.3), ("angry", 0.2), ("calm", 0.4), ("calm", 0.7),
]  # fmt: skip


def write_answers(name: str, column: str = "mood") -> None:
    """Write predictions as `predict --keep` does."""
    rows = [(n, real, "calm" if p > 0.5 else "angry", max(p, 1 - p), 1 - p, p) for n, (real, p) in enumerate(ANSWERS)]
    if name.endswith(".csv"):
        write(name, f"row,{column},label,probability,probability of angry,probability of calm", rows)
        return
    lines = [
        {"row": n, column: real, "label": said, "probability": sure, "probabilities": {"angry": no, "calm": yes}}
        for n, real, said, sure, no, yes in rows
    ]
    Path(name).write_text("\n".join(map(json.dumps, lines)))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_table_of_predict_is_read_by_the_probability_of_each_label(name: str) -> None:
    write_answers(name)
    labels = [real == "calm" for real, _ in ANSWERS]
    for arguments in ([], ["--probability-column", "probability of calm"], ["--positive", "calm"]):
        values = metrics(name, "--label-column", "mood", *arguments)
        assert values["accuracy"] == pytest.approx(6 / 7)
        assert values["roc_auc"] == pytest.approx(sk.roc_auc_score(labels, [p for _, p in ANSWERS]))
        assert values["log_loss"] == pytest.approx(sk.log_loss(labels, [p for _, p in ANSWERS]))
    one = metrics(name, "--label-column", "mood", "--predicted-column", "label")
    assert one["accuracy"] == pytest.approx(6 / 7)
    write_answers(name, column="input label")  # as --keep calls a column that was called label
    assert metrics(name, "--label-column", "label")["accuracy"] == pytest.approx(6 / 7)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_table_of_predict_is_not_compared_with_itself(name: str) -> None:
    write_answers(name)
    for arguments in ([], ["--label-column", "label"], ["--predicted-column", "label"]):
        found = rnnsent("eval", "--predictions", name, *arguments)
        assert (found.exit_code, found.stdout, found.stderr.count("\n")) == (1, "", 1), found.stderr
        assert f"{name}: predictions of rnnsent predict, in which label is the predicted label" in found.stderr
        assert "name the column of the real one with --label-column, of mood\n" in found.stderr
    fixed = rnnsent("eval", "--predictions", name, "--label-column", "mood", "--probability-column", "probability")
    assert fixed.exit_code == 1 and "probability is that of the predicted label" in fixed.stderr
    assert "--probability-column 'probability of angry'" in fixed.stderr
    wrong = rnnsent("eval", "--predictions", name, "--label-column", "moood")
    assert wrong.exit_code == 1 and "did you mean mood?" in wrong.stderr


@pytest.mark.parametrize("header", ["mood,label,probability", "mood,Label,Probability", "mood,label,probability,blank"])
def test_table_of_predict_without_some_columns(header: str) -> None:
    write("cut.csv", header, [("a", "b", 0.6, 0)[: header.count(",") + 1], ("b", "b", 0.9, 0)[: header.count(",") + 1]])
    found = rnnsent("eval", "--predictions", "cut.csv", "--label-column", "mood")
    assert found.exit_code == 1 and "is that of the predicted label; use --predicted-column label, or" in found.stderr
    for arguments in (["--predicted-column", header.split(",")[1]], ["--probability-column", header.split(",")[2]]):
        assert rnnsent("eval", "--predictions", "cut.csv", "--label-column", "mood", *arguments).exit_code == 0


def test_probabilities_in_an_object_may_lack_a_label() -> None:
    Path("p.jsonl").write_text('{"t": "a", "probabilities": {"a": 0.7, "b": 0.3}}\n{"t": "b", "probabilities": [1]}\n')
    with pytest.raises(DataError, match=r":2: probability of a must be a number from 0 to 1, not None"):
        read_predictions(open_table(Path("p.jsonl")), label_column="t")


def test_labels_are_renamed_by_a_map() -> None:
    rows = [(5, 0.1, 0.9), (1, 0.8, 0.2), (3, 0.5, 0.5), (4, 0.7, 0.3)]
    write("p.csv", "stars,probability of bad,probability of good", rows)
    arguments = ("p.csv", "--label-column", "stars")
    plain = rnnsent("eval", "--predictions", *arguments)
    assert plain.exit_code == 1 and "--label-map '5: …'" in plain.stderr
    found = evaluated(*arguments, "--label-map", "1-2: bad, 4-5: good")
    assert found["n"] == 3 and found["metrics"]["accuracy"]["value"] == pytest.approx(2 / 3)
    wrong = rnnsent("eval", "--predictions", *arguments, "--label-map", "1-2 bad, 4-5: good")
    assert wrong.exit_code == 2 and "not a map of labels" in wrong.stderr


@pytest.mark.parametrize(
    ("names", "label_map"),
    [
        (("LABEL_0", "LABEL_1"), "LABEL_0: bad, LABEL_1: good"),
        (("0", "1"), "0: bad, 1: good, bad: bad, good: good"),
        (("False", "True"), "{false: bad, true: good}"),
        (("neg", "pos"), "neg: bad, pos: good, bad: bad, good: good"),
    ],
)
def test_predicted_labels_in_other_words_are_no_answers_until_they_are_mapped(
    names: tuple[str, str], label_map: str
) -> None:
    real = np.arange(60) % 2
    predicted = np.where(np.arange(60) < 15, 1 - real, real)
    write("p.csv", "label,guess", zip(np.where(real, "good", "bad"), np.array(names)[predicted], strict=True))
    refused = rnnsent("eval", "--predictions", "p.csv", "--predicted-column", "guess")
    assert refused.exit_code == 1 and "no label in common; --label-map" in refused.stderr
    mapped = metrics("p.csv", "--predicted-column", "guess", "--label-map", label_map)
    assert mapped["accuracy"] == 0.75


def test_a_map_that_fits_no_label_is_named() -> None:
    write("p.csv", "label,guess", [("good", "good"), ("bad", "good")])
    refused = rnnsent("eval", "--predictions", "p.csv", "--predicted-column", "guess", "--label-map", "x: y, z: u")
    assert refused.exit_code == 1 and "no row is left: labeled good, not in --label-map" in refused.stderr
