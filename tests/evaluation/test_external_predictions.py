"""`eval --predictions`: what other programs predicted."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as sk

from rnnsent.errors import DataError
from rnnsent.evaluation.external_predictions import read_predictions
from tests.conftest import rnnsent


def test_two_labels_against_scikit_learn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    probabilities = np.round(np.clip(rng.normal(0.35 + 0.3 * labels, 0.2), 0, 1), 4)
    rows = [f"{'good' if label else 'bad'},{value}" for label, value in zip(labels, probabilities, strict=True)]
    path = tmp_path / "p.csv"
    path.write_text("\n".join(["sentiment,y_score", *rows]))
    found = rnnsent("eval", "--predictions", str(path), "--json")
    assert found.exit_code == 0, found.stderr
    judged = json.loads(found.stdout)
    assert (judged["predictions"], judged["n"]) == (str(path), 200)
    values = {name: estimate["value"] for name, estimate in judged["metrics"].items()}
    assert values["accuracy"] == pytest.approx(sk.accuracy_score(labels, probabilities > 0.5))
    assert values["roc_auc"] == pytest.approx(sk.roc_auc_score(labels, probabilities))
    turned = json.loads(rnnsent("eval", "--predictions", str(path), "--positive", "bad", "--json").stdout)
    assert turned["metrics"]["roc_auc"]["value"] == pytest.approx(1 - values["roc_auc"])
    shown = rnnsent("eval", "--predictions", str(path)).stdout
    assert shown.startswith(f"{path}: 200 predictions; the probability is that of good")
    assert all(len(line) <= 80 for line in shown.splitlines()[1:])


def test_several_labels_as_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    rows = [("a", [0.7, 0.2, 0.1]), ("b", [0.3, 0.6, 0.1]), ("c", [0.2, 0.5, 0.3]), ("c", [0.1, 0.1, 0.8])]
    lines = [
        json.dumps({"label": label} | {f"probability of {name}": p for name, p in zip("abc", values, strict=True)})
        for label, values in rows
    ]
    path.write_text("\n".join(lines))
    found = read_predictions(path)
    assert found.label_names == ("a", "b", "c")
    assert found.predictions.labels.tolist() == [0, 1, 2, 2]
    np.testing.assert_allclose(found.predictions.probabilities, [values for _, values in rows])
    shown = rnnsent("eval", "--predictions", str(path))
    assert "accuracy            0.7500" in shown.stdout


def test_a_runs_own_predictions(finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    import shutil

    shutil.copytree(finished_run, "run")
    of_run = json.loads(rnnsent("eval", "run", "--json").stdout)["metrics"]
    of_table = json.loads(rnnsent("eval", "--predictions", "run/evaluations/test-predictions.csv", "--json").stdout)[
        "metrics"
    ]
    assert {name: each["value"] for name, each in of_table.items()} == pytest.approx(
        {name: each["value"] for name, each in of_run.items()}, abs=1e-7
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label,probability\n1,0.5\n0,1.5\n", ":3: probability must be a number from 0 to 1, not '1.5'"),
        ("label,probability\n1,x\n", ":2: probability must be a number from 0 to 1, not 'x'"),
        ("label,probability\n1,0.5\n,0.5\n", ":3: has no label"),
        ("label,probability\n1,0.5\n", "column 'label' holds 1 label (1); with"),
        ("label,probability\n1,0.5\n2,0.5\n3,0.5\n", "Of more labels each needs a column 'probability of LABEL'"),
        ("label,probability\n", "holds no rows"),
        ("a,b\n1,2\n", "no column for the real label"),
        ("label,b\n1,2\n", "no column for the probability"),
        ("label,predicted\n1,0.7\n0,0.1\n", ":2: no column for the probability, and predicted says 0.7, which is no"),
        ("label,predicted\n1,1\n0,\n", ":3: has no predicted"),
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
        read_predictions(path)
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
        ("neg pos", ["--positive", "pos"], "pos"),
        ("neg pos", ["--probability-column", "probability of neg"], "neg"),
        ("neg", [], "neg"),
        ("pos", ["--positive", "pos"], "pos"),
    ],
)
def test_the_positive_label_of_columns_called_after_labels(columns: str, arguments: list[str], positive: str) -> None:
    rows = [("neg", 0.1), ("neg", 0.3), ("neg", 0.9), ("pos", 0.6), ("pos", 0.2), ("pos", 0.8), ("pos", 0.7)]
    lines = [",".join(["label", *(f"probability of {name}" for name in columns.split())])]
    for label, p in rows:
        lines.append(",".join([label, *(f"{p if name == 'pos' else 1 - p:.1f}" for name in columns.split())]))
    Path("p.csv").write_text("\n".join(lines) + "\n")
    shown = rnnsent("eval", "--predictions", "p.csv", *arguments)
    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout.startswith(f"p.csv: 7 predictions; the probability is that of {positive}\n")
    found = json.loads(rnnsent("eval", "--predictions", "p.csv", *arguments, "--json").stdout)
    precision = sk.precision_score([name for name, _ in rows], ["pos" if p > 0.5 else "neg" for _, p in rows],
                                   pos_label=positive)  # fmt: skip
    assert found["metrics"]["precision"]["value"] == pytest.approx(precision)


def test_coverage_and_most_confident_errors_by_line() -> None:
    rows = [("neg", 0.1), ("neg", 0.9), ("neg", 0.6), ("pos", 0.05), ("pos", 0.8)]
    Path("p.csv").write_text("\n".join(["label,probability", *(f"{name},{p}" for name, p in rows)]) + "\n")
    found = json.loads(rnnsent("eval", "--predictions", "p.csv", "--worst", "2", "--json").stdout)
    assert found["confusion"] == [[1, 2], [1, 1]]
    assert found["labels"]["pos"]["texts"] == 2 and found["labels"]["pos"]["recall"]["value"] == 0.5
    assert found["labels"]["pos"]["recall"]["low"] < 0.5 < found["labels"]["pos"]["recall"]["high"]
    assert [(each["texts"], each["accuracy"]["value"]) for each in found["coverage"]][-1] == (3, 1 / 3)
    places = [(each["index"], each["place"]) for each in found["errors"]]
    assert places == [(3, "p.csv, line 5"), (1, "p.csv, line 3")]
    shown = rnnsent("eval", "--predictions", "p.csv", "--worst", "1").stdout
    assert "  by coverage" in shown
    assert "text 3 (p.csv, line 5): pos, predicted neg at 0.9500" in shown and "line 3" not in shown


def test_several_labels_have_no_positive_one() -> None:
    Path("p.csv").write_text("label,probability of a,probability of b,probability of c\na,0.5,0.3,0.2\n")
    found = rnnsent("eval", "--predictions", "p.csv", "--positive", "b")
    assert found.exit_code == 1 and "a positive label is one of two; here are columns of 3 labels" in found.stderr


def test_predicted_labels_alone_against_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    real = rng.integers(0, 3, 300)
    said = np.where(rng.random(300) < 0.6, real, rng.integers(0, 3, 300))
    Path("p.csv").write_text("\n".join(["label,y_pred", *(f"l{a},l{b}" for a, b in zip(real, said, strict=True))]))
    found = json.loads(rnnsent("eval", "--predictions", "p.csv", "--json").stdout)
    values = {name: estimate["value"] for name, estimate in found["metrics"].items()}
    precision, recall, f1, _ = sk.precision_recall_fscore_support(real, said, average="macro")
    assert values == pytest.approx(
        {"accuracy": sk.accuracy_score(real, said), "precision": precision, "recall": recall, "f1": f1}
        | {"balanced_accuracy": sk.balanced_accuracy_score(real, said), "mcc": sk.matthews_corrcoef(real, said)}
    )
    assert found["confusion"] == sk.confusion_matrix(real, said).tolist()
    assert found["coverage"] == found["errors"] == []
    shown = rnnsent("eval", "--predictions", "p.csv").stdout
    assert "log loss, Brier score" in " ".join(shown.split()) and "log_loss" not in shown and "by coverage" not in shown


def test_two_predicted_labels_have_a_positive_one() -> None:
    rows = [("no", "no"), ("no", "yes"), ("yes", "yes"), ("yes", "no"), ("yes", "no")]
    Path("p.csv").write_text("\n".join(["truth,says", *(f"{a},{b}" for a, b in rows)]))
    arguments = ["eval", "--predictions", "p.csv", "--predicted-column", "says"]
    assert "precision and recall are those of yes" in rnnsent(*arguments).stdout
    for positive, recall in (("yes", 1 / 3), ("no", 1 / 2)):
        found = json.loads(rnnsent(*arguments, "--positive", positive, "--json").stdout)
        assert found["metrics"]["recall"]["value"] == pytest.approx(recall)
    assert "labeled maybe; labels: no, yes" in rnnsent(*arguments, "--positive", "maybe").stderr
    refused = rnnsent(*arguments, "--probability-column", "says")
    assert refused.exit_code == 1 and "exclude each other" in refused.stderr


@pytest.mark.parametrize("before", ["", "p_", "prob_", "proba_", "probability_"])
def test_columns_may_be_called_after_the_labels(before: str, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    rows = [("b", 0.2, 0.5, 0.3), ("a", 0.6, 0.3, 0.1), ("c", 0.3, 0.3, 0.4)]
    head = ",".join(["id,label,predicted", *(f"{before}{name}" for name in "abc")])
    path.write_text("\n".join([head, *(f"1,{','.join(map(str, [row[0], 'a', *row[1:]]))}" for row in rows)]))
    found = read_predictions(path)
    assert found.label_names == ("a", "b", "c") and not found.labels_only
    assert found.predictions.labels.tolist() == [1, 0, 2]
    np.testing.assert_allclose(found.predictions.probabilities, [row[1:] for row in rows])
    path.write_text(f"label,{before}yes\nno,0.25\nyes,0.75\n")
    one = read_predictions(path)
    assert one.label_names == ("no", "yes") and one.predictions.probabilities[:, 1].tolist() == [0.25, 0.75]


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


ANSWERS = [  # what is so, and how probable calm was said to be
    ("calm", 0.9), ("calm", 0.8), ("angry", 0.1), ("angry", 0.3), ("angry", 0.2), ("calm", 0.4), ("calm", 0.7),
]  # fmt: skip


def write_answers(name: str, column: str = "mood") -> None:
    """Write predictions as `predict --keep` does."""
    with Path(name).open("w") as stream:
        write = csv.writer(stream).writerow
        if name.endswith(".csv"):
            write(["row", column, "label", "probability", "probability of angry", "probability of calm", "truncated"])
        for number, (real, p) in enumerate(ANSWERS, start=1):
            said, sure = "calm" if p > 0.5 else "angry", max(p, 1 - p)
            if name.endswith(".csv"):
                write([number, real, said, sure, 1 - p, p, False])
            else:
                row = {"row": number, column: real, "label": said, "probability": sure}
                stream.write(json.dumps(row | {"probabilities": {"angry": 1 - p, "calm": p}}) + "\n")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_answers_of_predict_are_judged_by_the_probability_of_each_label(name: str) -> None:
    write_answers(name)
    labels = [real == "calm" for real, _ in ANSWERS]
    for arguments in ([], ["--probability-column", "probability of calm"], ["--positive", "calm"]):
        found = rnnsent("eval", "--predictions", name, "--label-column", "mood", "--json", *arguments)
        assert found.exit_code == 0, found.stderr
        values = {metric: each["value"] for metric, each in json.loads(found.stdout)["metrics"].items()}
        assert values["accuracy"] == pytest.approx(6 / 7)
        assert values["roc_auc"] == pytest.approx(sk.roc_auc_score(labels, [p for _, p in ANSWERS]))
        assert values["log_loss"] == pytest.approx(sk.log_loss(labels, [p for _, p in ANSWERS]))
    one = rnnsent("eval", "--predictions", name, "--label-column", "mood", "--predicted-column", "label", "--json")
    assert json.loads(one.stdout)["metrics"]["accuracy"]["value"] == pytest.approx(6 / 7)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_answers_of_predict_are_not_judged_against_themselves(name: str) -> None:
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


@pytest.mark.parametrize("header", ["mood,label,probability", "mood,Label,Probability", "id,mood,label,probability"])
def test_answers_of_which_columns_were_cut_are_not_judged_by_the_predicted_labels_probability(header: str) -> None:
    start = "7," if header.startswith("id") else ""
    Path("cut.csv").write_text(f"{header}\n{start}calm,calm,0.9\n{start}angry,angry,0.8\n")
    found = rnnsent("eval", "--predictions", "cut.csv", "--label-column", "mood")
    assert found.exit_code == 1 and "is that of the predicted label" in found.stderr


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_real_label_that_was_called_label_is_found_under_the_name_that_keep_gave_it(name: str) -> None:
    write_answers(name, column="input label")
    found = rnnsent("eval", "--predictions", name, "--label-column", "label", "--json")
    assert json.loads(found.stdout)["metrics"]["accuracy"]["value"] == pytest.approx(6 / 7)


def test_answers_without_the_real_label_or_the_probability_of_each() -> None:
    Path("a.jsonl").write_text('{"label": "a", "probability": 0.9, "probabilities": {"a": 0.9, "b": 0.1}, "row": 1}\n')
    found = rnnsent("eval", "--predictions", "a.jsonl")
    assert found.exit_code == 1 and "which predict --keep NAME adds" in found.stderr
    Path("a.csv").write_text("row,mood,label,probability\n1,a,b,0.6\n2,b,b,0.9\n")
    found = rnnsent("eval", "--predictions", "a.csv", "--label-column", "mood")
    assert (
        found.exit_code == 1
        and "use --predicted-column label, or --probability-column probability if it is" in found.stderr
    )
    for arguments in (["--predicted-column", "label"], ["--probability-column", "probability"]):
        assert rnnsent("eval", "--predictions", "a.csv", "--label-column", "mood", *arguments).exit_code == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"mood": "a", "label": "b", "probability": 0.9, "unknown_share": 0.1, "row": ROW}\n'),
        ("a.jsonl", '{"mood": "a", "label": "b", "probability": 0.9, "probabilities": null, "row": ROW}\n'),
        ("a.csv", "mood,label,probability,unknown_share\n"),
    ],
)
def test_answers_that_lost_the_probability_of_each_label(name: str, content: str) -> None:
    rows = ["a,b,0.9,0.0\n", "b,b,0.8,0.0\n"] if name == "a.csv" else [content.replace("ROW", "1")]
    Path(name).write_text((content if name == "a.csv" else "") + "".join(rows))
    assert "in which label is the predicted label" in rnnsent("eval", "--predictions", name).stderr
    for arguments in ([], ["--probability-column", "probability"]):
        found = rnnsent("eval", "--predictions", name, "--label-column", "mood", *arguments)
        assert found.exit_code == 1 and "use --predicted-column label\n" in found.stderr


def test_the_object_of_probabilities_may_be_missing_in_the_first_rows(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"target": "a", "probability": 0.7}\n{"target": "b", "probabilities": {"a": 0.7, "b": 0.3}}\n')
    with pytest.raises(DataError, match=r":1: probability of a must be a number from 0 to 1, not None"):
        read_predictions(path)


def test_probabilities_in_an_object_that_lacks_a_label(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"target": "a", "probabilities": {"a": 0.7, "b": 0.3}}\n{"target": "b", "probabilities": [1]}\n')
    with pytest.raises(DataError, match=r":2: probability of a must be a number from 0 to 1, not None"):
        read_predictions(path)


def test_labels_of_a_table_can_be_called_as_the_probabilities_are(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("stars,probability of bad,probability of good\n5,0.1,0.9\n1,0.8,0.2\n3,0.5,0.5\n4,0.7,0.3\n")
    plain = rnnsent("eval", "--predictions", str(path), "--label-column", "stars")
    assert plain.exit_code == 1 and "--label-map '5: …'" in plain.stderr
    given = ("eval", "--predictions", str(path), "--label-column", "stars", "--label-map")
    judged = rnnsent(*given, "1-2: bad, 4-5: good", "--json")
    assert judged.exit_code == 0, judged.stderr
    facts = json.loads(judged.stdout)
    assert facts["n"] == 3 and facts["metrics"]["accuracy"]["value"] == pytest.approx(2 / 3)
    wrong = rnnsent(*given, "1-2 bad, 4-5: good")
    assert wrong.exit_code == 2 and "not a map of labels" in wrong.stderr
    assert rnnsent(*given, "1-2: {a: b}").exit_code == 2
    assert rnnsent("eval", "run", "--label-map", "1: a").exit_code == 2


def test_texts_that_the_run_was_trained_on_are_counted() -> None:
    rows = [f"{word}{' film' * n},{word}" for n in range(20) for word in ("bad", "good")]
    Path("films.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    trained = rnnsent("train", "--config", "gru", "--data", "films.csv", "--epochs", "1", "--run-dir", "films")
    assert trained.exit_code == 0, trained.stderr
    table = [f"{row},{'0.9' if row.endswith('good') else '0.2'}" for row in rows]
    Path("p.csv").write_text("\n".join(["text,label,probability", *table, "another one,good,0.7"]) + "\n")
    evaluated = rnnsent("eval", "films", "--predictions", "p.csv", "--json")
    # One fifth of the rows is for the test.
    assert "WARNING: films was trained on 32 of the 41 texts in p.csv\n" in evaluated.stderr
    assert json.loads(evaluated.stdout)["n"] == 41 and "trained" not in rnnsent("eval", "--predictions", "p.csv").stderr
    Path("q.csv").write_text("label,probability\ngood,0.7\nbad,0.2\n")
    assert "it is unknown if films was trained" in rnnsent("eval", "films", "--predictions", "q.csv").stderr
