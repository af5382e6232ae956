"""The run page and the comparison page."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from rnnsent.evaluation.compare import RunComparison, compare
from rnnsent.evaluation.evaluate import evaluation_of
from rnnsent.evaluation.intervals import proportion
from rnnsent.evaluation.predictions import EvaluatedRun
from rnnsent.evaluation.slices import Slice
from rnnsent.inference.trace import trace
from rnnsent.reporting.comparison_page import comparison_page
from rnnsent.reporting.curves import macro_average, precision_recall, roc
from rnnsent.reporting.facts import EvaluationFacts
from rnnsent.reporting.run_page import Example, Examples, difference, run_page
from rnnsent.reporting.trace_views import probability_chart, shaded_words
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import Estimate, Evaluation
from tests.conftest import rnnsent
from tests.reporting.written import HOSTILE, evaluate_run, write_baseline, write_robustness, write_run
from tests.traced import additive

HEADINGS = [
    "Results", "Confusion matrix", "ROC and precision–recall", "Decision thresholds", "Calibration", "Coverage",
    "Error analysis", "Robustness", "Attribution", "Training curves", "Model", "Data", "Environment",
]  # fmt: skip


class Page(HTMLParser):
    """Tags, attributes, tables, headings and text of a page as a browser has them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.tables: list[list[list[str]]] = []
        self.headings: list[str] = []
        self.text = ""
        self._into: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._into.append(self.tables[-1][-1])
        elif tag == "h2":
            self.headings.append("")
            self._into.append(self.headings)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "h2"):
            self._into.pop()

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._into:
            self._into[-1][-1] += data

    def rows(self) -> Iterator[list[str]]:
        yield from (row for table in self.tables for row in table)

    def row(self, name: str) -> list[str]:
        """Return the first row of this name, without it."""
        return next(row[1:] for row in self.rows() if row and row[0] == name)

    def table(self, *head: str) -> list[list[str]]:
        """Return the rows of the table with this head."""
        return next(table[1:] for table in self.tables if table[0] == list(head))

    def values(self, name: str) -> list[str]:
        """Return the values of an attribute."""
        return [value for key, value in self.attributes if key == name]


def share(estimate: Estimate) -> str:
    value, low, high = (f"{100 * (end or 0.0):.1f}" for end in (estimate.value, estimate.low, estimate.high))
    return f"{value}\u00a0% [{low},\u00a0{high}]"


def examples(labels: tuple[str, ...] = ("negative", "positive")) -> Examples:
    found = trace(additive({"good": 1.0, "bad": -2.0}, label_names=labels[:2]), "good <b>bold</b> &amp; bad film")
    example = Example("Error. Text 7", found.summary, shaded_words(found), probability_chart(found, "error-1"))
    return Examples([example], [])


def facts_of(evaluated: EvaluatedRun, name: str) -> EvaluationFacts:
    return EvaluationFacts(evaluated.run, name, evaluated.record, evaluated.predictions)


def rendered(run: Run) -> str:
    return run_page(facts_of(evaluation_of(run, "test"), run.path.name), examples(run.config.data.label_names))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return write_run(tmp_path / "run")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return rendered(write_run(tmp_path_factory.mktemp("pages") / "run", HOSTILE))


def test_page_shows_the_figures_of_the_evaluation(run: Run) -> None:
    page, evaluation = Page(rendered(run)), run.evaluation("test", Evaluation)
    assert evaluation is not None
    assert page.headings == HEADINGS
    for metric, name in (("accuracy", "accuracy"), ("roc_auc", "ROC AUC"), ("mcc", "Matthews correlation")):
        estimate = evaluation.metrics[metric]
        value, low, high = (f"{end:.4f}".replace("-", "−") for end in (estimate.value, estimate.low, estimate.high))
        assert page.row(name) == [value, f"{low} … {high}"]
    for label, each in evaluation.labels.items():
        assert page.row(label) == [f"{each.texts:,}", share(each.precision), share(each.recall), share(each.f1)]
    matrix = page.table("label", "predicted: negative", "predicted: positive")
    assert [[int(cell.partition(" (")[0]) for cell in row[1:]] for row in matrix] == evaluation.confusion
    covered = page.table("coverage", "texts", "threshold", "accuracy")
    assert [row[3] for row in covered] == [share(row.accuracy) for row in evaluation.coverage]
    assert page.row("architecture") == ["Embedding(8) → Bidirectional(GRU(4)) → last state → sigmoid"]


def test_page_loads_nothing_and_escapes_everything(hostile: str) -> None:
    page = Page(hostile)
    assert not {"script", "img", "iframe", "object", "b>", "metadata", "foreignobject"} & set(page.tags)
    assert page.tags.count("style") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    outside = {value for name in ("href", "src", "xlink:href") for value in page.values(name) if value[0] != "#"}
    assert outside == {"data:,"}
    assert not re.search(r"url\((?!#)|@import|https?:", hostile)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page.values("content")
    assert HOSTILE[0] in page.text and HOSTILE[1] in page.text
    assert "__naïve \ufffdback|`x`" in page.text
    assert not [char for char in hostile if not char.isprintable() and char not in "\n\u00a0\u200b"]


def test_page_is_accessible(hostile: str) -> None:
    page = Page(hostile)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    used = [value[1:] for value in page.values("href") if value.startswith("#")]
    used += re.findall(r"url\(#([\w-]+)\)", hostile)
    assert used and set(used) <= set(ids)
    assert hostile.count("<svg") == hostile.count('role="img" aria-label="')
    assert page.tags.count("table") == page.tags.count("caption")
    assert page.tags.count("th") == len(page.values("scope"))


def test_charts_have_the_colors_of_the_page(hostile: str) -> None:
    charts = "".join(re.findall(r"<svg.*?</svg>", hostile, re.DOTALL))
    assert set(re.findall(r"(?:fill|stroke): ?([^;\"]+)", charts)) <= {
        "none", "currentColor", "var(--rule)", *(f"var(--s{number})" for number in range(1, 7))
    }  # fmt: skip
    assert HOSTILE[1].replace('"', '"').replace("&", "&amp;") in charts


def test_same_run_gives_the_same_bytes_whatever_the_rc_file(run: Run) -> None:
    first = rendered(run)
    with matplotlib.rc_context({"font.size": 30.0, "lines.linewidth": 9.0, "svg.fonttype": "path"}):
        assert rendered(run) == first


@pytest.mark.parametrize(("accuracy", "verdict"), [(0.1, "The network is more"), (0.99, "regression is more")])
def test_baseline_stands_beside_the_network(run: Run, accuracy: float, verdict: str) -> None:
    assert f"rnnsent baseline {run}" in Page(rendered(run)).text
    write_baseline(run, accuracy)
    page = Page(rendered(run))
    assert verdict in page.text and "rnnsent baseline" not in page.text
    assert page.row("accuracy")[2] == f"{accuracy:.4f}"


def test_baseline_that_chance_explains(run: Run) -> None:
    evaluation = run.evaluation("test", Evaluation)
    assert evaluation is not None
    write_baseline(run, evaluation.metrics["accuracy"].value or 0.0)
    assert "Chance may explain" in rendered(run)


def test_robustness_is_shown_if_it_was_measured(run: Run) -> None:
    assert f"rnnsent robustness {run}" in Page(rendered(run)).text
    write_robustness(run, "<i>negations</i>", Estimate(0.31, 0.2, 0.5))
    page = Page(rendered(run))
    assert "Lowest: written for it, <i>negations</i>, 31.0\u00a0% [20.0,\u00a050.0] of 64 texts" in page.text
    assert "rnnsent robustness" not in page.text


def test_slice_that_is_merely_small_is_not_called_the_lowest(run: Run) -> None:
    assert "Lowest: length, weak, 70.0\u00a0% [67.0,\u00a073.0] of 900 texts; highest: length, strong" in rendered(run)


def test_validation_is_said_to_be_optimistic(run: Run) -> None:
    evaluate_run(run, "validation")
    text = run_page(facts_of(evaluation_of(run, "validation"), "run"), Examples([], [], unavailable="no texts: <b>"))
    assert "figures on them are optimistic" in text and "no texts: &lt;b&gt;" in text
    assert f"rnnsent eval {run} --split validation" in text


def compared(runs: list[Run], names: list[str]) -> str:
    evaluated = [evaluation_of(run, "test") for run in runs]
    everything = np.ones(len(evaluated[0].predictions), np.bool_)
    comparisons = compare([each.predictions for each in evaluated], [Slice("length", "all", everything)])
    differences: list[dict[str, tuple[Any, Any]]] = [{"config.model.recurrent.0.units": (4, 4 + n)} for n in (1, 2)]
    texts = {flip.index: "x" * 1000 + HOSTILE[0] for each in comparisons for flip in each.flips}
    comparison = RunComparison(
        evaluated, [], comparisons, differences[: len(comparisons)], texts, dict.fromkeys(texts, "")
    )
    return comparison_page([facts_of(*pair) for pair in zip(evaluated, names, strict=True)], comparison)


def test_comparison_shows_tests_and_differences(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"run{seed}", HOSTILE, seed=seed) for seed in range(3)]
    text = compared(runs, ["one", HOSTILE[0], "three"])
    page = Page(text)
    evaluations = [run.evaluation("test", Evaluation) for run in runs]
    accuracies = [share(each.metrics["accuracy"]) for each in evaluations if each]
    assert [row[1] for row in page.tables[0][1:]] == accuracies
    assert page.row("config.model.recurrent.0.units") == ["4", "5", "6"]
    tests = page.table("run", "percentage points", "only it is right", "only one is right", "p-value")
    assert [row[0] for row in tests] == [HOSTILE[0], "three"]
    assert "Means over the labels" in page.text and "script" not in page.tags
    assert "… " + "x" * 100 in page.text and "x" * 400 not in page.text
    ids = page.values("id")
    assert len(ids) == len(set(ids))


def test_run_without_difference_is_not_tested(run: Run) -> None:
    assert "two and one have the same predictions" in Page(compared([run, run], ["one", "two"])).text


@pytest.mark.parametrize("n", [20, 500])
def test_curves_are_those_of_scikit_learn(n: int) -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(n) < 0.4
    scores = np.round(np.clip(0.3 * positive + rng.random(n) * 0.7, 0, 1), 2)  # ties among them
    curve, precisions = roc(positive, scores), precision_recall(positive, scores)
    assert curve is not None and precisions is not None
    false_rate, true_rate, _ = sklearn_metrics.roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose([curve.x, curve.y], [false_rate, true_rate])
    precision, recall, _ = sklearn_metrics.precision_recall_curve(positive, scores)
    np.testing.assert_allclose([precisions.x, precisions.y], [recall[:-1][::-1], precision[:-1][::-1]])
    assert np.trapezoid(macro_average([curve, curve]).y, dx=1 / 500) == pytest.approx(
        sklearn_metrics.roc_auc_score(positive, scores), abs=0.01
    )


def test_curves_need_both_classes() -> None:
    assert roc(np.ones(3, bool), np.ones(3)) is None
    assert precision_recall(np.zeros(3, bool), np.ones(3)) is None


def test_interval_of_a_difference_is_newcombes() -> None:
    # His table II: 56/70 minus 48/80, method 10.
    found = difference(proportion(56, 70), proportion(48, 80))
    assert [round(end or 0.0, 4) for end in (found.value, found.low, found.high)] == [0.2, 0.0524, 0.3339]


def test_series_stand_out_in_light_dark_and_print(hostile: str) -> None:
    def luminance(color: str) -> float:
        shares = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in shares]
        return float(np.dot((0.2126, 0.7152, 0.0722), linear))

    blocks = re.findall(r"--s1: .*?}", hostile, re.DOTALL)
    for paper, block in zip(("#ffffff", "#15181c", "#ffffff"), blocks, strict=True):
        colors = re.findall(r"#[0-9a-f]{6}", block)
        assert len(set(colors)) == 6
        for color in colors:
            dark, bright = sorted((luminance(color), luminance(paper)))
            assert (bright + 0.05) / (dark + 0.05) >= 3, color


@pytest.fixture
def finished(finished_run: Path, tiny_imdb: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNSENT_DATA", str(tiny_imdb))
    return Path(shutil.copytree(finished_run, "finished"))


def test_report_evaluates_a_run_that_was_not_evaluated(finished: Path) -> None:
    result = rnnsent("report", str(finished))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(finished / "report.html")
    page = Page((finished / "report.html").read_text(encoding="utf-8"))
    evaluation = Run(finished).evaluation("test", Evaluation)
    assert evaluation is not None
    assert share(evaluation.metrics["accuracy"])[:4] in page.text
    assert len([value for value in page.values("class") if value.startswith(("for", "against"))]) > 100
    Run(finished).verify()
    several = rnnsent("report", str(finished), str(finished), "-o", "several.html")
    assert several.exit_code == 0, several.stderr
    assert "nothing to test" in Path("several.html").read_text(encoding="utf-8")


def test_report_says_what_is_wrong_with_its_arguments(finished: Path) -> None:
    assert rnnsent("report", str(finished), "-o", "page.txt").exit_code == 1
    assert rnnsent("report", "--card", str(finished), str(finished)).exit_code == 2
    assert rnnsent("report", str(finished), "--data", "nowhere.csv").exit_code == 1
