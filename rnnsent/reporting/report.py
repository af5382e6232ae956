"""The page of one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rnnsent.errors import count
from rnnsent.evaluation.coverage import coverage
from rnnsent.evaluation.evaluate import evaluate
from rnnsent.reporting import about, charts, explained
from rnnsent.reporting.blocks import Block, Cell, Charts, Figure, Headline, Page, Paragraph, Section, Table
from rnnsent.reporting.facts import Facts
from rnnsent.reporting.model_card import TITLES
from rnnsent.reporting.texts import Texts
from rnnsent.reporting.wording import difference, duration, figure, interval, percent, points


def title(metric: str) -> str:
    """Return what a metric is called on a page."""
    return TITLES.get(metric, metric.replace("_", " "))


def page(facts: Facts, texts: Texts) -> Page:
    """Return all that is said of one run."""
    sections = [
        Section("answer", "How good it is", list(headline(facts))),
        Section("task", "What was trained on what", list(about.task(facts))),
        Section("training", "Training", list(training([facts]))),
        Section("errors", "Which labels it takes for which", list(confusion(facts))),
        Section("thresholds", "Hits and false alarms", list(operating([facts]))),
        Section("calibration", "What its probabilities mean", list(calibration(facts))),
        Section("parts", "Where it is better and worse", list(parts(facts))),
        Section("mistakes", "The surest mistakes", list(explained.mistakes(texts, facts.unit))),
        Section("traces", "How answers come about", list(explained.traces(texts, facts.unit))),
        Section("reproduce", "How to reproduce it", list(about.reproduction(facts))),
    ]
    judged = f"Judged on {count(facts.reviews, f'{facts.split} {facts.unit}')} of {about.source(facts)}"
    return Page(facts.name, f"{judged}. Network: {about.network(facts)}.", about.notes(facts), sections)


def headline(facts: Facts) -> Iterator[Block]:
    """Yield the accuracy in large, what a skeptic would use beside it, and whether the network is worth it."""
    accuracy, beside = facts.measured["accuracy"], facts.baseline
    figures = [Figure("of the answers are right", percent(accuracy["value"]), _ends(accuracy))]
    if beside is not None:
        apart, low, high = difference(accuracy, beside["accuracy"])
        skeptic = beside["accuracy"]
        figures.append(Figure("by n-grams, without a network", percent(skeptic["value"]), _ends(skeptic)))
        figures.append(Figure("points between them", points(apart), f"95 % interval {points(low)} … {points(high)}"))
    yield Headline(figures)
    yield verdict(facts)
    told = "; beside them those of n-grams and logistic regression" if beside else ""
    yield Table(
        f"All figures on {count(facts.reviews, f'{facts.split} {facts.unit}')}{told}",
        ["", "value", "95 % interval", *(["n-grams"] if beside else [])],
        [_row(name, estimate, beside) for name, estimate in facts.measured.items()],
    )
    if labels := facts.details.get("by_label"):
        rows = [
            [name, f"{each['reviews']:,}", *(interval(each[key]) for key in ("precision", "recall", "f1"))]
            for name, each in labels.items()
        ]
        yield Table(
            "Of each label, with 95 % intervals", ["label", f"{facts.unit}s", "precision", "recall", "F1"], rows
        )


def _ends(estimate: Mapping[str, Any]) -> str:
    return f"95 % interval {estimate['low'] * 100:.1f} … {percent(estimate['high'])}"


def _row(name: str, estimate: Mapping[str, Any], beside: Mapping[str, Any] | None) -> list[str]:
    other = ((beside or {}).get(name) or {}).get("value")
    last = ["–" if other is None else figure(other)] if beside else []
    if estimate["value"] is None:
        return [title(name), "–", "not defined", *last]
    return [title(name), figure(estimate["value"]), f"{figure(estimate['low'])} … {figure(estimate['high'])}", *last]


def verdict(facts: Facts) -> Paragraph:
    """Return whether the network is worth it, in a sentence or two."""
    accuracy, beside = facts.measured["accuracy"], facts.baseline
    commonest = int(np.bincount(facts.labels).argmax())
    share = percent(float((facts.labels == commonest).mean()))
    blind = f"Always answering “{facts.label_names[commonest]}” would be right in {share}."
    if beside is None:
        skeptic = "What a skeptic would use instead, n-grams and logistic regression, was not judged on the same texts:"
        return Paragraph(f"{blind} {skeptic}", "lead", about.eval_command(facts, "baseline"))
    apart, low, high = difference(accuracy, beside["accuracy"])
    seconds = facts.metrics["baseline"].get("seconds")
    fitting = "" if seconds is None else f", n-grams {duration(seconds)}"
    cost = f"The network took {duration(facts.metrics['seconds'])} to train{fitting}."
    if low > 0:
        fewer = percent(apart / max(1 - beside["accuracy"]["value"], 1e-9), 0)
        judgment = f"Worth it where accuracy counts: {fewer} fewer mistakes than n-grams, more than chance explains."
    elif high < 0:
        judgment = "Not worth it: n-grams make fewer mistakes without a network, and chance does not explain that."
    else:
        judgment = "Not shown to be worth it: chance may explain the difference to n-grams, which need no network."
    return Paragraph(f"{judgment} {cost} {blind}", "lead")


def training(several: Sequence[Facts]) -> Iterator[Block]:
    """Yield curves by epoch, time to accuracy, and what training took."""
    timed = charts.time_to_accuracy(several)
    drawn = [charts.learning(several, "loss"), charts.learning(several, "accuracy")]
    yield Charts([*drawn, *([timed] if timed else [])])
    if timed is None:
        yield Paragraph("When each epoch ended was not recorded by the version that trained it.", "note")
    if len(several) == 1:
        facts = several[0].metrics
        yield Paragraph(
            f"{count(facts['epochs'], 'epoch')} in {duration(facts['seconds'])}, reading and validation included; "
            f"at most {facts['peak_memory_mb']:,.0f} MB of memory.",
            "note",
        )


def confusion(facts: Facts) -> Iterator[Block]:
    """Yield the confusion matrix with counts and shares."""
    counts = facts.details.get("confusion")
    if not counts:
        yield _judge_again(facts)
        return
    names = facts.label_names
    rows: list[list[str | Cell]] = []
    for label, row in enumerate(counts):
        shares = [number / max(sum(row), 1) for number in row]
        cells = zip(row, shares, strict=True)
        rows.append(
            [
                names[label],
                *(Cell(f"{n:,} ({percent(share)})", share, at == label) for at, (n, share) in enumerate(cells)),
            ]
        )
    caption = f"{facts.unit.capitalize()}s by label (rows) and answer (columns), with shares of each row"
    yield Table(caption, ["label", *(f"answer: {name}" for name in names)], rows)
    wrong = [(n, row, at) for row, each in enumerate(counts) for at, n in enumerate(each) if row != at]
    most, label, answer = max(wrong)
    if most:
        yield Paragraph(f"Commonest mistake: {names[label]} taken for {names[answer]}, {count(most, 'time')}.")


def operating(several: Sequence[Facts]) -> Iterator[Block]:
    """Yield ROC and precision-recall curves."""
    drawn = charts.operating(several)
    yield Charts(drawn) if drawn else Paragraph("All texts have one label, so there are no such curves.", "note")
    if len(several[0].label_names) == 2 or not drawn:
        return
    if len(several) > 1:
        yield Paragraph(
            "Means over the labels, each against all others; the page of one run has a curve for each.", "note"
        )
        return
    measured = several[0].measured
    names = [name for name in ("roc_auc", "pr_auc") if name in measured]
    areas = ", ".join(f"{title(name)} {interval(measured[name], '{:.4f}')}" for name in names)
    yield Paragraph(f"Each label against all others; means over the labels: {areas}.")


def calibration(facts: Facts) -> Iterator[Block]:
    """Yield reliability, calibration error, what calibration changed, and accuracy against coverage."""
    yield Charts([charts.reliability([facts]), charts.coverage([facts])])
    names = [name for name in ("ece", "brier", "log_loss") if name in facts.measured]
    head, rows = ["", "value", "95 % interval"], [_row(name, facts.measured[name], None) for name in names]
    if (before := facts.uncalibrated) is not None:
        measured = evaluate(facts.labels, before[:, 1] if len(facts.label_names) == 2 else before).to_dict()
        head = [*head, "before calibration"]
        rows = [[*row, figure(measured[name]["value"] or 0.0)] for name, row in zip(names, rows, strict=True)]
    yield Table("How far probabilities are off", head, rows)
    if facts.calibration.texts:
        yield Paragraph(f"Calibrated: {facts.calibration}.", "note")
    else:
        yield Paragraph("The version that trained it did not calibrate probabilities.", "note")
    if "ece" not in names:
        yield _judge_again(facts)
    table = facts.details.get("coverage") or [each.to_dict() for each in coverage(facts.right, facts.confidence)]
    answered = [
        [percent(each["share"]), f"{each['reviews']:,}", figure(each["least"]), interval(each["accuracy"])]
        for each in table
    ]
    head = ["answered", f"{facts.unit}s", "from a probability of", "right"]
    yield Table("What is gained by leaving out the least sure answers", head, answered)


def parts(facts: Facts) -> Iterator[Block]:
    """Yield the accuracy on parts of the reviews, and on other texts."""
    drawn = [chart for chart in (charts.slices([facts]), charts.robustness(facts)) if chart]
    if drawn:
        yield Charts(drawn)
    if not facts.details.get("slices"):
        yield _judge_again(facts)
    if not facts.robustness:
        other = "Typing errors, negations and texts of other kinds were not measured:"
        yield Paragraph(other, "note", about.eval_command(facts, "robustness"))


def _judge_again(facts: Facts) -> Paragraph:
    return Paragraph("An older version judged it, which did not measure all:", "note", about.eval_command(facts))
