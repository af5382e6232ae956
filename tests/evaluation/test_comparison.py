"""Comparisons against SciPy, scikit-learn and statsmodels, and through the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from scipy.stats import bootstrap
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from rnnsent.cli.commands.compare import verdict
from rnnsent.evaluation.comparison import METRICS, Judgment, compare, differing, holm
from rnnsent.evaluation.intervals import paired_doubts
from rnnsent.evaluation.multiclass import Weights
from rnnsent.evaluation.slices import Slice
from rnnsent.runs.directory import RunDirectory
from tests.conftest import rnnsent

N = 400


def judged(seed: int, strength: float, labels: Any, size: int = 2) -> Judgment:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(len(labels), size)) + strength * np.eye(size)[labels]
    return Judgment(labels, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))


def probabilities(seed: int, strength: float, labels: Any, size: int = 2) -> Any:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(len(labels), size)) + strength * np.eye(size)[labels]
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("size", [2, 3])
def test_metrics_of_any_weighting_are_those_of_scikit_learn(size: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, size, N)
    p = probabilities(1, 1.0, labels, size)
    counts = np.bincount(rng.integers(0, N, N), minlength=N)
    found = dict(zip(METRICS, Judgment(labels, p).metrics(Weights(counts.astype(float))), strict=True))
    rows = np.repeat(np.arange(N), counts)
    y, q = labels[rows], p[rows]
    guess = q.argmax(axis=1)
    macro = "binary" if size == 2 else "macro"
    one_hot = np.eye(size)[y]
    expected = {
        "accuracy": sk.accuracy_score(y, guess),
        "precision": sk.precision_score(y, guess, average=macro),
        "recall": sk.recall_score(y, guess, average=macro),
        "f1": sk.f1_score(y, guess, average=macro),
        "roc_auc": sk.roc_auc_score(y, q[:, 1] if size == 2 else q, multi_class="ovr"),
        "log_loss": sk.log_loss(y, q),
        "balanced_accuracy": sk.balanced_accuracy_score(y, guess),
        "mcc": sk.matthews_corrcoef(y, guess),
        "pr_auc": sk.average_precision_score(y if size == 2 else one_hot, q[:, 1] if size == 2 else q),
        "brier": sk.brier_score_loss(y, q[:, 1]) if size == 2 else ((q - one_hot) ** 2).sum(axis=1).mean(),
    }
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_pair_against_statsmodels_and_scipy() -> None:
    labels = np.random.default_rng(0).integers(0, 2, N)
    one, two = judged(1, 0.8, labels), judged(2, 1.6, labels)
    (found,) = compare([one, two], [])
    table = [[int((one.right & two.right).sum()), found.only_first], [found.only_other, 0]]
    assert found.p_value == pytest.approx(reference_mcnemar(table, exact=True).pvalue)
    gain = two.right.astype(float) - one.right
    assert found.differences["accuracy"].value == pytest.approx(gain.mean())
    assert found.differ and found.values["accuracy"] == (one.right.mean(), two.right.mean())
    losses = np.log(one.of_real) - np.log(two.of_real)
    for name, gains in (("accuracy", gain), ("log_loss", losses)):
        interval = bootstrap((gains,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0))
        low, high = interval.confidence_interval
        found_here = found.differences[name]
        # What is taken for granted of mistakes that were not seen widens them a little.
        assert [found_here.low, found_here.high] == pytest.approx([low, high], abs=(high - low) / 10)
    (same,) = compare([one, one], [])
    assert (same.p_value, same.differ, same.flips) == (1.0, False, ())
    assert all(each.low == each.high == 0 for each in same.differences.values())


def test_two_that_agree_on_few_reviews_need_not_agree_on_all() -> None:
    labels = np.tile([0, 1], 20)
    sure, less = (Judgment(labels, np.where(np.eye(2)[labels] == 1, p, 1 - p)) for p in (0.99, 0.9))
    half = Slice("g", "the first half", np.arange(40) < 20)
    (found,) = compare([sure, less], [half])
    assert found.only_first == found.only_other == 0 and not found.differ
    for estimate in (found.differences["accuracy"], found.differences["mcc"], found.parts[0].difference):
        assert estimate.low is not None and estimate.high is not None
        assert estimate.low < -0.02 and estimate.high > 0.02 and estimate.value == 0


def test_where_test_and_interval_disagree_the_verdict_says_which_counts() -> None:
    labels = np.tile([0, 1], 1000)

    def wrong_on(rows: slice) -> Judgment:
        said = labels.copy()
        said[rows] = 1 - said[rows]
        return Judgment(labels, np.where(np.eye(2)[said] == 1, 0.9, 0.1))

    (found,) = compare([wrong_on(slice(19)), wrong_on(slice(1992, None))], [])
    low = found.differences["accuracy"].low
    assert (found.only_first, found.only_other) == (8, 19) and not found.differ and low is not None and low > 0
    assert "does not tell the two runs apart" in verdict(found, many=False, unit="text")
    assert verdict(found, many=False, unit="text").endswith("it is the test, which is exact, that counts.")
    (found,) = compare([wrong_on(slice(8)), wrong_on(slice(1992, None))], [])
    assert "That leaves out 0" not in verdict(found, many=False, unit="text")


@pytest.mark.slow
def test_paired_intervals_hold_the_truth() -> None:
    """Of 200 samples 190 intervals should hold the true difference; fewer than 181 do with probability 0.0027.

    Percentiles of the bootstrap are a little short on few reviews (benchmarks/coverage.py --pairs): 174.
    """
    rng = np.random.default_rng(5)
    held = dict.fromkeys(METRICS, 0)
    for seed in range(200):
        labels = rng.integers(0, 2, 150)
        one, two = judged(2 * seed + 10, 1.0, labels), judged(2 * seed + 11, 1.5, labels)
        (found,) = compare([one, two], [], resamples=200, seed=seed)
        for name, difference in found.differences.items():
            assert difference.low is not None and difference.high is not None
            held[name] += difference.low <= TRUTH[name] <= difference.high
    assert held["accuracy"] >= 181 and min(held.values()) >= 174, held


def _truth() -> dict[str, float]:
    labels = np.random.default_rng(7).integers(0, 2, 400_000)
    once = Weights(np.ones(len(labels)))
    one, two = judged(8, 1.0, labels).metrics(once), judged(9, 1.5, labels).metrics(once)
    return {name: b - a for name, a, b in zip(METRICS, one, two, strict=True)}


TRUTH = _truth()


@pytest.mark.parametrize("seed", range(3))
def test_holm_is_that_of_statsmodels(seed: int) -> None:
    p_values = (np.random.default_rng(seed).random(6) ** 3).tolist()
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1])
    assert holm([]) == []


def test_a_pair_does_not_depend_on_who_else_is_asked_about() -> None:
    labels = np.random.default_rng(0).integers(0, 2, 60)
    first, second, third = (judged(seed, 1.0, labels) for seed in (1, 2, 3))
    (alone,), (_, beside) = compare([first, third], []), compare([first, second, third], [])
    assert alone.differences == beside.differences


def test_parts_and_flips() -> None:
    labels = np.zeros(200, np.int64)
    early = np.arange(200) < 50
    one = Judgment(labels, np.tile([0.9, 0.1], (200, 1)))
    worse = np.where(early[:, None], [0.2, 0.8], [0.8, 0.2]).astype(float)
    worse[7] = [0.01, 0.99]
    (found,) = compare([one, Judgment(labels, worse)], [Slice("g", "early", early), Slice("g", "late", ~early)])
    early_part, late_part = found.parts
    assert (early_part.first, early_part.other, early_part.difference.value) == (1.0, 0.0, -1.0)
    assert early_part.moved and not late_part.moved and late_part.p_value == 1.0
    assert found.flips[0].review == 7 and not found.flips[0].better and found.flips[0].other == pytest.approx(0.01)
    assert found.only_first == 50 and len(found.flips) == 20


def test_two_that_differ_on_few_reviews_of_a_label_are_doubted() -> None:
    labels = np.tile([0, 1], 100)
    right = np.where(np.eye(2)[labels] == 1, 0.9, 0.1)
    turned = right.copy()
    turned[:40:2], turned[1:19:2] = right[:40:2, ::-1], right[1:19:2, ::-1]  # 20 of label 0, 9 of label 1
    (found,) = compare([Judgment(labels, right), Judgment(labels, turned)], [], resamples=10)
    assert found.apart == (20, 9)
    why = paired_doubts(dict(zip(("bad", "good"), found.apart, strict=True))) or ""
    assert "(9 of good): with fewer than 10 of a label" in why
    assert paired_doubts({"bad": 10, "good": 10}) is None


def test_differing_keys() -> None:
    one = {"a": 1, "b": {"c": [1, 2], "d": [{"e": 1}]}, "only": None}
    two = {"a": 1, "b": {"c": [1, 3], "d": [{"e": 2}, {"e": 3}]}}
    assert differing(one, two) == {"b.c": ([1, 2], [1, 3]), "b.d.0.e": (1, 2), "b.d.1.e": (None, 3)}


@pytest.fixture
def two_runs(
    finished_run: Path, tiny_imdb: Path, tiny_config: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    shutil.copytree(finished_run, "one")
    trained = rnnsent("train", "--config", str(tiny_config), "--run-dir", "two", "--epochs", "3", "--seed", "5")
    assert trained.exit_code == 0, trained.stderr
    return "one", "two"


def test_the_command(two_runs: tuple[str, str]) -> None:
    unjudged = rnnsent("compare", *two_runs)
    assert unjudged.exit_code == 1 and "rnnsent eval one --split test" in unjudged.stderr
    for run in two_runs:
        assert rnnsent("eval", run).exit_code == 0
    found = rnnsent("compare", *two_runs, "--json")
    assert found.exit_code == 0, found.stderr
    (line,) = found.stdout.splitlines()
    values = json.loads(line)
    (pair,) = values["comparisons"]
    accuracies = [json.loads(Path(run, "metrics.json").read_text())["test"]["accuracy"]["value"] for run in two_runs]
    assert [pair["metrics"]["accuracy"][key] for key in ("first", "other")] == pytest.approx(accuracies)
    assert pair["differences"]["config.training.seed"] == [0, 5]
    assert values["runs"][1]["costs"]["epochs"] == 3
    shown = rnnsent("compare", *two_runs)
    assert shown.exit_code == 0 and all(len(row) <= 80 for row in shown.stdout.splitlines())
    assert shown.stdout.count("with other seeds, may compare") == 1
    assert "McNemar's exact test" in shown.stdout and "config.training.epochs: 1 → 3" in shown.stdout
    assert "intervals, that of accuracy apart, may be too narrow" in shown.stdout.replace("\n  ", " ")
    same = rnnsent("compare", "one", "one").stdout
    assert "too narrow" not in same  # one network: no difference at all
    assert "Both gave each review the same probabilities" in same and "McNemar" not in same
    three = rnnsent("compare", *two_runs, "one")
    assert three.stdout.count("with other seeds") == 1
    assert "corrected for the number of runs (Holm)" in three.stdout.replace("\n  ", " ")


def test_runs_that_were_stopped_say_so(two_runs: tuple[str, str]) -> None:
    other = RunDirectory(Path(two_runs[1]))
    metrics = other.read_json("metrics.json")
    assert metrics["interrupted"] is False
    other.update({"metrics.json": json.dumps(metrics | {"interrupted": True, "epochs": 3})})
    for arguments in (two_runs, two_runs[::-1]):
        assert rnnsent("eval", arguments[0]).exit_code == rnnsent("eval", arguments[1]).exit_code == 0
        found = rnnsent("compare", *arguments)
        assert f": {other} (training was stopped after 3 epochs)\n" in found.stdout
        assert found.stderr.count("training was stopped") == 1
    values = json.loads(rnnsent("compare", *two_runs, "--json").stdout)
    assert [each["interrupted"] for each in values["runs"]] == [False, True]
    assert values["comparisons"][0]["same"] is False


def test_other_reviews_are_refused(two_runs: tuple[str, str], sample_run: Path) -> None:
    for run in ("one", str(shutil.copytree(sample_run, "sample"))):
        assert rnnsent("eval", run).exit_code == 0
    found = rnnsent("compare", "one", "sample")
    assert (
        found.exit_code == 1 and "cannot be compared: they were judged on test reviews of other files" in found.stderr
    )
    assert rnnsent("compare", "one").exit_code == 2


def test_reviews_of_one_file_that_were_drawn_otherwise_are_refused(tmp_path: Path) -> None:
    # Sorted by label: whatever is drawn, the labels of the test reviews are the same ones in the same order.
    rows = [f"{word} film number {n},{word}" for word in ("bad", "good") for n in range(40)]
    Path("sorted.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    for seed in (1, 2):
        arguments = ["train", "--config", "gru", "--data", "sorted.csv", "--epochs", "1", "--run-dir", f"drawn-{seed}"]
        trained = rnnsent(*arguments, "--set", f"data.split_seed={seed}")
        assert trained.exit_code == 0, trained.stderr
        for split in ("test", "validation"):
            assert rnnsent("eval", f"drawn-{seed}", "--split", split).exit_code == 0
    for split in ("test", "validation"):
        found = rnnsent("compare", "drawn-1", "drawn-2", "--split", split)
        assert found.exit_code == 1 and "that were drawn otherwise (data.split_seed" in found.stderr
    assert rnnsent("report", "drawn-1", "drawn-2").exit_code == 1


def test_what_was_predicted_is_not_read_off_rounded_probabilities(two_runs: tuple[str, str]) -> None:
    for run in two_runs:
        assert rnnsent("eval", run).exit_code == 0
    accuracy = json.loads(Path("two/metrics.json").read_text())["test"]["accuracy"]["value"]
    # As if all logits had been within a millionth of the threshold, on either side.
    header, *rows = Path("two/predictions-test.csv").read_text().splitlines()
    close = [",".join([*row.split(",")[:3], "0.500000"]) for row in rows]
    assert header == "review,label,predicted,probability" and len({row.split(",")[2] for row in rows}) == 2
    RunDirectory(Path("two")).update({"predictions-test.csv": "\n".join([header, *close]) + "\n"})
    (pair,) = json.loads(rnnsent("compare", *two_runs, "--json").stdout)["comparisons"]
    assert pair["metrics"]["accuracy"]["other"] == pytest.approx(accuracy)


def test_a_tampered_predictions_file_is_noticed(two_runs: tuple[str, str]) -> None:
    for run in two_runs:
        assert rnnsent("eval", run).exit_code == 0
    path = Path("two/predictions-test.csv")
    path.write_text(path.read_text().replace("positive,", "negative,", 1))
    found = rnnsent("compare", *two_runs)
    assert found.exit_code == 1 and "predictions-test.csv was changed after training" in found.stderr
