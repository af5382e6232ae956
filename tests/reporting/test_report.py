"""The page that `rnnsent report` writes, without a browser; test_report_browser.py opens it in one."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from rnnsent.evaluation.intervals import Estimate
from rnnsent.inference.calibration import Calibration
from rnnsent.inference.trace import trace
from rnnsent.reporting import facts as facts_module
from rnnsent.reporting import texts
from rnnsent.reporting.drawing import Axis, Line, Row, dots, lines
from rnnsent.reporting.facts import Facts, gather
from rnnsent.reporting.page import STYLE, TEMPLATE
from rnnsent.reporting.points import Curve, mean_precision_recall, mean_roc, precision_recall, roc, thinned
from rnnsent.reporting.wording import difference
from rnnsent.runs import directory as runs
from rnnsent.runs.directory import RunDirectory
from tests.conftest import REPOSITORY, rnnsent
from tests.reported import LABELS, judged_sample, judged_tickets

ENDS = ("value", "low", "high")
EVIL = '<script>alert(1)</script> & "x" $x^{2$ \x07 \u202eback __y'


@pytest.fixture(scope="module")
def sample(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged_sample(tmp_path_factory.mktemp("report"), cache)


@pytest.fixture(scope="module")
def tickets(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged_tickets(tmp_path_factory.mktemp("report"), cache)


@pytest.fixture
def run(sample: Path, tmp_path: Path) -> RunDirectory:
    """A copy of the run on sample reviews."""
    return RunDirectory(Path(shutil.copytree(sample, tmp_path / "run")))


class Page(HTMLParser):
    """Tables, ids and texts of a page as a browser would have them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self._cell = False
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
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell:
            self.tables[-1][-1][-1] += data

    def rows(self) -> Iterator[list[str]]:
        yield from (row for table in self.tables for row in table)

    def table(self, head: list[str]) -> list[list[str]]:
        """Return the rows of the table with this head."""
        return next(table[1:] for table in self.tables if table[0] == head)

    def row(self, name: str) -> list[str]:
        """Return the first row of this name."""
        return next(row for row in self.rows() if row and row[0] == name)


def written(*arguments: str) -> Page:
    result = rnnsent("report", *arguments)
    assert result.exit_code == 0, result.stderr
    return Page(Path(result.stdout.strip()).read_text(encoding="utf-8"))


def change(run: RunDirectory, **values: Any) -> None:
    """Change what metrics.json says; None takes a key out."""
    recorded = run.read_json(runs.METRICS) | values
    run.update({runs.METRICS: runs.json_text({name: value for name, value in recorded.items() if value is not None})})


def test_the_figures_are_those_of_metrics_json(run: RunDirectory) -> None:
    page, recorded = written(str(run)), run.read_json(runs.METRICS)
    names = {"roc_auc": "ROC AUC", "f1": "F1", "mcc": "Matthews' correlation", "log_loss": "log loss"}
    for metric in ("accuracy", "precision", *names):
        estimate = recorded["test"][metric]
        value, low, high = (f"{estimate[key]:.4f}".replace("-", "−") for key in ("value", "low", "high"))
        assert page.row(names.get(metric, metric))[:3] == [names.get(metric, metric), value, f"{low} … {high}"]


def test_the_tables_are_those_of_the_judgment(run: RunDirectory) -> None:
    page, recorded = written(str(run)), run.read_json(runs.METRICS)
    details = recorded["evaluations"]["test"]
    for name, each in details["by_label"].items():
        told = [shown(each[key]) for key in ("precision", "recall", "f1")]
        assert page.row(name) == [name, f"{each['reviews']:,}", *told]
    matrix = page.table(["label", "answer: negative", "answer: positive"])
    assert [[number(cell.partition(" (")[0]) for cell in row[1:]] for row in matrix] == details["confusion"]
    answered = page.table(["answered", "reviews", "from a probability of", "right"])
    assert [row[1] for row in answered] == [f"{each['reviews']:,}" for each in details["coverage"]]
    assert [row[3] for row in answered] == [shown(each["accuracy"]) for each in details["coverage"]]
    layers = page.table(["layer", "arrays", "parameters"])
    assert sum(number(row[2]) for row in layers) == recorded["parameters"]


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


def shown(estimate: dict[str, float]) -> str:
    value, low, high = (f"{100 * estimate[key]:.1f}" for key in ("value", "low", "high"))
    return f"{value}\u00a0% [{low},\u00a0{high}]"


def test_the_same_run_gives_the_same_bytes_and_keeps_its_manifest(run: RunDirectory) -> None:
    pages = []
    for _ in range(2):
        assert rnnsent("report", str(run)).exit_code == 0
        pages.append(run.file(runs.REPORT).read_bytes())
    assert pages[0] == pages[1]
    run.verify()
    assert run.has(runs.REPORT)
    run.file(runs.REPORT).unlink()
    run.verify()  # whoever throws the page away breaks nothing
    written(str(run))
    assert run.file(runs.REPORT).read_bytes() == pages[0]


def test_nothing_is_loaded_or_run_and_everything_is_escaped(tickets: Path) -> None:
    text = Path(rnnsent("report", str(tickets), "-o", "page.html").stdout.strip()).read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "img", "iframe", "object", "b>alert", "foreignobject", "metadata"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    outside = {value for name, value in page.attributes if name in ("href", "src") and not value.startswith("#")}
    assert outside == {"data:,"}
    assert not re.search(r"url\((?!#)", text)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in str(page.attributes)
    assert LABELS[0] in page.text and LABELS[1] in page.text  # shown as they are
    assert "naïve \ufffdback" in page.text  # without what turns the direction
    assert not [char for char in text if not char.isprintable() and char not in "\n\u00a0\u200b\u2060"]


def test_ids_are_unique_and_lead_somewhere(run: RunDirectory) -> None:
    page = written(str(run))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    referred = [value[1:] for name, value in page.attributes if name == "href" and value.startswith("#")]
    referred += [found for _, value in page.attributes for found in re.findall(r"url\(#([\w-]+)\)", value)]
    assert referred and set(referred) <= set(ids)


def test_what_stands_beside_it_says_whether_it_is_worth_it(run: RunDirectory) -> None:
    assert f"rnnsent baseline {run}" in written(str(run)).text
    accuracy = run.read_json(runs.METRICS)["test"]["accuracy"]["value"]
    for value, verdict in ((accuracy - 0.2, "Worth it"), (accuracy, "Not shown"), (accuracy + 0.2, "Not worth it")):
        beside = {"test": {"accuracy": {"value": value, "low": value - 0.02, "high": value + 0.02}}, "seconds": 3.0}
        change(run, baseline=beside)
        page = written(str(run))
        assert verdict in page.text
        assert page.row("accuracy")[3] == f"{value:.4f}"


def test_of_an_older_run_is_said_what_there_is(run: RunDirectory) -> None:
    recorded = run.read_json(runs.METRICS)
    old = {name: recorded["test"][name] for name in ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss")}
    history = run.file(runs.HISTORY).read_text().splitlines()
    place = history[0].split(",").index("elapsed")
    rows = [",".join(cell for at, cell in enumerate(row.split(",")) if at != place) for row in history]
    run.update({runs.HISTORY: "\n".join(rows) + "\n"})
    change(run, test=old, evaluations={"test": {"reviews": 1}}, robustness=None)
    page = written(str(run))
    for command in ("eval", "baseline", "robustness"):
        assert f"rnnsent {command} {run}" in page.text
    assert "Time to accuracy" not in page.text
    assert "was not recorded" in page.text


def test_robustness_is_drawn_where_it_was_measured(run: RunDirectory) -> None:
    rows = [{"group": "typing errors", "name": EVIL, "texts": 9, "accuracy": 0.31, "low": 0.2, "high": 0.5}]
    change(run, robustness={"test": rows})
    page = written(str(run))
    assert "Accuracy on other texts" in page.text and "31.0\u00a0% [20.0,\u00a050.0]" in page.text
    assert "rnnsent robustness" not in page.text


def test_mistakes_are_those_of_eval_and_words_contribute_what_a_trace_says(sample: Path) -> None:
    from rnnsent.evaluation import evaluate as judgment
    from rnnsent.inference import classifier

    run = RunDirectory(sample)
    found = texts.read(gather(run, "test", "run"), None, lambda line: None)
    # The probabilities of the predictions file have six decimals, so that the order of equal ones may differ.
    judged = {each.review: each for each in judgment.judge(run, "test").mistakes}
    assert len(found.mistakes) == texts.MISTAKES
    network = classifier.load(run)
    for mistake in found.mistakes:
        assert (mistake.label, mistake.predicted) == (judged[mistake.review].label, judged[mistake.review].predicted)
        followed = trace(network, " ".join(mistake.words))
        np.testing.assert_allclose(mistake.contributions, followed.contributions(), atol=1e-5)
    assert {each.kind.partition(":")[0] for each in found.followed} == {
        "Right, and as sure as usual", "One of the surest mistakes", "One of the least sure",
    }  # fmt: skip


def test_long_texts_and_slow_backends_are_cut_to_what_takes_seconds(
    sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = gather(RunDirectory(sample), "test", "run")
    monkeypatch.setattr(texts, "OCCLUDED", 7)
    shown = texts.read(run, None, lambda line: None).mistakes
    assert max(len(mistake.words) for mistake in shown) == 7
    assert max(mistake.read for mistake in shown) > 7
    monkeypatch.setattr(texts, "TOKENS", dict.fromkeys(texts.TOKENS, 1))
    assert len(texts.read(run, None, lambda line: None).mistakes) == 1


def test_texts_that_are_gone_are_left_out_and_it_is_said(tickets: Path, tmp_path: Path) -> None:
    copy = RunDirectory(Path(shutil.copytree(tickets, tmp_path / "run")))
    config = copy.file(runs.CONFIG).read_text().replace("tickets.csv", "nowhere.csv")
    copy.update({runs.CONFIG: config})
    result = rnnsent("report", str(copy))
    assert result.exit_code == 0
    assert "without texts" in result.stderr
    assert "The texts could not be read" in copy.file(runs.REPORT).read_text(encoding="utf-8")
    moved = rnnsent("report", str(copy), "--data", str(tickets.parent / "tickets.csv"))
    assert moved.exit_code == 0 and "without texts" not in moved.stderr
    assert rnnsent("report", str(copy), "--data", "nowhere.csv").exit_code == 1


def test_a_run_that_was_not_judged_is_not_judged(sample_run: Path) -> None:
    result = rnnsent("report", str(sample_run))
    assert result.exit_code == 1
    assert f"rnnsent eval {sample_run}" in result.stderr
    assert not (sample_run / "predictions-test.csv").exists()
    assert "--split validation" in result.stderr


def test_of_a_run_that_cannot_be_written_to_the_report_is_put_elsewhere(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)  # root may write anywhere
    refused = rnnsent("report", str(run))
    assert refused.exit_code == 1 and f"{run}: cannot be written to; --output FILE" in refused.stderr
    assert rnnsent("report", str(run), "--output", "page.html").exit_code == 0
    assert (tmp_path / "page.html").is_file()


def test_validation_is_reported_where_it_was_judged(run: RunDirectory) -> None:
    assert rnnsent("eval", str(run), "--split", "validation").exit_code == 0
    page = written(str(run), "--split", "validation")
    assert "on the kind side" in page.text
    assert "1,200 validation texts" in page.text


def test_only_pages_of_its_own_are_replaced(run: RunDirectory, tmp_path: Path) -> None:
    foreign = tmp_path / "mine.html"
    foreign.write_text("<p>mine</p>")
    refused = rnnsent("report", str(run), "-o", "mine.html")
    assert refused.exit_code == 1 and "--force" in refused.stderr
    assert foreign.read_text() == "<p>mine</p>"
    assert rnnsent("report", str(run), "-o", "mine.html", "--force").exit_code == 0
    assert rnnsent("report", str(run), "-o", "mine.html").exit_code == 0
    assert rnnsent("report", str(run), "-o", "page.txt").exit_code == 1
    run.file(runs.REPORT).write_text("mine")
    assert rnnsent("report", str(run)).exit_code == 1


def test_several_runs_stand_side_by_side_as_compare_compares_them(sample: Path, run: RunDirectory) -> None:
    name = runs.predictions("test")
    head, *rows = run.file(name).read_text().splitlines()
    turned = [row.split(",") for row in rows]
    first, second = sorted({row[1] for row in turned})
    other = {first: second, second: first}
    for row in turned[::7]:
        row[2:4] = other[row[2]], f"{1 - float(row[3]):.6f}"
    config = run.file(runs.CONFIG).read_text().replace("learning_rate: 0.02", "learning_rate: 0.03")
    run.update({runs.CONFIG: config, name: "\n".join([head, *map(",".join, turned)]) + "\n"})
    result = rnnsent("report", str(sample), str(run))
    assert result.stdout.strip() == "report.html"
    page = Page(Path("report.html").read_text(encoding="utf-8"))
    accuracy = shown(run.read_json(runs.METRICS)["test"]["accuracy"])
    assert {row[0]: row[1] for row in page.tables[0][1:]} == {sample.name: accuracy, "run": accuracy}
    compared = json.loads(rnnsent("compare", str(sample), str(run), "--json").stdout)["comparisons"][0]
    assert compared["only_first"] > 0
    head_of_pairs = ["run", "points of accuracy", "it alone is right", f"{sample.name} alone is right", "McNemar's p"]
    difference = compared["metrics"]["accuracy"]["difference"]
    points, low, high = (f"{100 * difference[key]:+.2f}".replace("-", "−") for key in ("value", "low", "high"))
    alone = [f"{compared[key]:,}" for key in ("only_other", "only_first")]
    assert page.table(head_of_pairs) == [["run", f"{points} [{low}, {high}]", *alone, f"{compared['p_value']:.4f}"]]
    assert page.row("config.training.learning_rate")[1:] == ["0.02", "0.03"]
    assert f"run and {sample.name} are not told apart" in page.text


def test_runs_on_other_reviews_are_not_compared(sample: Path, tickets: Path) -> None:
    result = rnnsent("report", str(sample), str(tickets))
    assert result.exit_code == 1
    assert "cannot be compared" in result.stderr
    assert not Path("report.html").exists()


def test_curves_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for n in (20, 500):
        positive = rng.random(n) < 0.4
        scores = np.round(np.clip(0.3 * positive + rng.random(n) * 0.7, 0, 1), 2)  # ties among them
        curve = roc(positive, scores)
        assert curve is not None
        alarms, hits, _ = sklearn_metrics.roc_curve(positive, scores, drop_intermediate=False)
        np.testing.assert_allclose(curve.x, alarms)
        np.testing.assert_allclose(curve.y, hits)
        found = precision_recall(positive, scores)
        assert found is not None
        precision, recall, _ = sklearn_metrics.precision_recall_curve(positive, scores)
        np.testing.assert_allclose(found.y, precision[:-1][::-1])
        np.testing.assert_allclose(found.x, recall[:-1][::-1])
    assert roc(np.ones(3, bool), np.ones(3)) is None
    assert precision_recall(np.zeros(3, bool), np.ones(3)) is None


def test_a_mean_of_curves_has_the_mean_area_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    labels = np.append(rng.integers(0, 3, 300), [0, 1, 2])
    scores = np.round(rng.dirichlet(np.ones(3), len(labels)) + 0.4 * np.eye(3)[labels], 1)  # ties among them
    scores /= scores.sum(axis=1, keepdims=True)
    sides = [(labels == label, scores[:, label]) for label in range(3)]
    mean = mean_roc([curve for side in sides if (curve := roc(*side)) is not None])
    area = sklearn_metrics.roc_auc_score(labels, scores, multi_class="ovr")
    assert np.trapezoid(mean.y, mean.x) == pytest.approx(area)
    assert (mean.x[0], mean.y[0], mean.x[-1], mean.y[-1]) == (0, 0, 1, 1)
    assert (np.diff(mean.x) >= 0).all() and (np.diff(mean.y) >= -1e-12).all()
    mean = mean_precision_recall([curve for side in sides if (curve := precision_recall(*side)) is not None])
    precision = sklearn_metrics.average_precision_score(np.eye(3)[labels], scores, average="macro")
    assert (np.diff(mean.x, prepend=0) * mean.y).sum() == pytest.approx(precision)


def test_several_runs_of_several_labels_have_a_curve_each(tickets: Path) -> None:
    result = rnnsent("report", str(tickets), str(tickets), "-o", "two.html")
    assert result.exit_code == 0, result.stderr
    page = Page(Path("two.html").read_text(encoding="utf-8"))
    assert "Means over the labels, each against all others" in page.text
    assert "review" not in page.text  # they are the user's own texts
    measured = RunDirectory(tickets).read_json(runs.METRICS)["test"]
    for name in ("roc_auc", "pr_auc"):
        value, low, high = (f"{measured[name][key]:.4f}" for key in ("value", "low", "high"))
        assert f"; area {value} [{low},\u00a0{high}]" in page.text


def test_a_thinned_curve_keeps_its_ends_and_its_area() -> None:
    x = np.linspace(0, 1, 5000)
    curve = Curve(x, x**0.1)
    thin = thinned(curve)
    assert len(thin.x) <= 200
    assert (thin.x[0], thin.x[-1]) == (0, 1)
    assert np.trapezoid(thin.y, thin.x) == pytest.approx(np.trapezoid(curve.y, curve.x), abs=1e-3)


def test_the_interval_of_a_difference_is_newcombes() -> None:
    # His table II: 56/70 less 48/80, method 10.
    from rnnsent.evaluation.intervals import proportion

    apart, low, high = difference(proportion(56, 70).to_dict(), proportion(48, 80).to_dict())
    assert (round(apart, 4), round(low, 4), round(high, 4)) == (0.2, 0.0524, 0.3339)


@pytest.mark.parametrize("labels", [2, 3])
def test_what_was_before_calibration_is_found_again(labels: int, run: RunDirectory) -> None:
    rng = np.random.default_rng(1)
    before = rng.dirichlet(np.ones(labels), 50)
    kept = Calibration(1.7, 0.42 if labels == 2 else 0.5, 50)
    after = kept(before[:, 1] if labels == 2 else before).astype(np.float64)
    found = gather(run, "test", "run")
    values = {
        **vars(found),
        "probabilities": after if labels == 3 else np.stack([1 - after, after], 1),
        "calibration": kept,
    }
    fields = facts_module.Facts.__dataclass_fields__
    again = Facts(**{name: value for name, value in values.items() if name in fields}).uncalibrated
    assert again is not None
    np.testing.assert_allclose(again, before, atol=1e-5)
    assert (
        Facts(**{name: getattr(found, name) for name in fields} | {"calibration": Calibration()}).uncalibrated is None
    )


def test_charts_take_any_text_and_leave_no_color_of_their_own() -> None:
    line = Line(EVIL, [0.0, 1.0], [0.0, 1.0], mark=0, low=[0.0, 0.5], high=[0.5, 1.0], band=True)
    drawn = [line, Line("__y", [0.0, 1.0], [1.0, 0.0], 5)]
    svg = lines("a", EVIL, drawn, Axis(EVIL, True), Axis("y"), diagonal="same")
    rows = [Row("by $", EVIL, [Estimate(0.5, 0.4, 0.6), None]), Row("by $", "b", [Estimate(None), None])]
    other = dots("b", "says", rows, ["one", EVIL], Axis("x", True), (0.5, "all"))
    for text in (svg, other):
        assert not re.search(r"#010[23]\d\d|DejaVu|<script|<style|xlink|\x07|\u202e", text)
        assert 'role="img"' in text and "currentColor" in text
    assert "__y" in svg and "$x^{2$" in svg
    assert set(re.findall(r' id="(\w)-', svg + other)) == {"a", "b"}
    assert svg == lines("a", EVIL, drawn, Axis(EVIL, True), Axis("y"), diagonal="same")


def test_the_template_is_in_the_wheel() -> None:
    tools = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert tools["package-data"]["rnnsent.reporting"] == [TEMPLATE]


def test_metrics_json_is_left_as_it_was(run: RunDirectory) -> None:
    before = run.file(runs.METRICS).read_text()
    written(str(run))
    assert json.loads(run.file(runs.METRICS).read_text()) == json.loads(before)


def test_a_part_that_is_merely_small_is_not_called_the_weakest(run: RunDirectory) -> None:
    parts = [
        {"group": "length", "name": name, "reviews": reviews, "accuracy": dict(zip(ENDS, ends, strict=True))}
        for name, reviews, ends in (
            ("tiny", 5, (0.6, 0.23, 0.88)),
            ("weak", 900, (0.7, 0.67, 0.73)),
            ("strong", 900, (0.9, 0.88, 0.92)),
        )
    ]
    details = run.read_json(runs.METRICS)["evaluations"]["test"] | {"slices": parts}
    change(run, evaluations={"test": details})
    told = "Weakest by length, weak: 70.0\u00a0% [67.0,\u00a073.0] of 900 reviews; strongest by length, strong: 90.0"
    assert told in written(str(run)).text


def test_series_stand_out_from_the_page_in_light_in_dark_and_on_paper() -> None:
    def light(color: str) -> float:
        shares = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return float(np.dot((0.2126, 0.7152, 0.0722), linear))

    for paper, block in zip(("#ffffff", "#15181c", "#ffffff"), STYLE.split("--s1: ")[1:], strict=True):
        colors = re.findall(r"#[0-9a-f]{6}", f"--s1: {block}".replace("#000;", "#000000;").partition("}")[0])[:6]
        assert len(set(colors)) == 6
        for color in colors:
            bright, dark = sorted((light(color), light(paper)), reverse=True)
            assert (bright + 0.05) / (dark + 0.05) >= 3, color
