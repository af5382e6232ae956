"""The page of several runs, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rnnsent.errors import count
from rnnsent.evaluation.compare import Compared
from rnnsent.evaluation.comparison import Comparison, flattened
from rnnsent.reporting import about, charts
from rnnsent.reporting import report as single
from rnnsent.reporting.blocks import Block, Charts, Folded, Page, Paragraph, Section, Table
from rnnsent.reporting.facts import Facts
from rnnsent.reporting.wording import duration, figure, interval, percent, points

SHOWN = ("accuracy", "roc_auc", "log_loss", "brier", "ece")
MOVED = ("f1", "roc_auc", "log_loss", "brier")  # whose differences are shown besides
ONE_SEED = (
    "All this is about these runs, one training each. Others of the same configs, with other seeds, may compare "
    "otherwise."
)
OPEN = 8  # rows of a table that is not folded
FLIPS = 5  # reviews that are shown of each run
LETTERS = 300  # of the end of such a review
LEFT_OUT = ("environment.command", "environment.seed")  # are in the config, or say nothing


def page(several: Sequence[Facts], compared: Compared) -> Page:
    """Return all that is said of several runs.

    Args:
        several: of each run.
        compared: what came of comparing all with the first.
    """
    reliable = Charts([charts.reliability(several), charts.coverage(several)])
    sections = [
        Section("answer", "How good they are", list(headline(several))),
        Section("pairs", "Whether they differ", list(comparisons(several, compared))),
        Section("differences", "What differs between them", list(differences(several))),
        Section("training", "Training", list(single.training(several))),
        Section("cost", "What they cost", list(cost(several, compared))),
        Section("thresholds", "Hits and false alarms", list(single.operating(several))),
        Section("calibration", "What their probabilities mean", [reliable]),
        Section("parts", "Where they are better and worse", list(parts(several, compared))),
        Section("reproduce", "How to reproduce them", list(reproduction(several))),
    ]
    first = several[0]
    notes = dict.fromkeys(f"{facts.name}: {note}" for facts in several for note in about.notes(facts))
    judged = f"judged on the same {count(first.reviews, f'{first.split} {first.unit}')} of {about.source(first)}"
    return Page(" · ".join(facts.name for facts in several), f"{len(several)} runs, {judged}.", list(notes), sections)


def headline(several: Sequence[Facts]) -> Iterator[Block]:
    """Yield the figures side by side."""
    names = [name for name in SHOWN if any(name in facts.measured for facts in several)]
    rows = [[facts.name, *(_told(facts.measured, name) for name in names)] for facts in several]
    beside = [(facts.name, facts.baseline) for facts in several if facts.baseline]
    alike = all(figures == beside[0][1] for _, figures in beside)
    for name, figures in beside[:1] if alike else beside:
        whose = "" if alike else f", beside {name}"  # fitted on the training reviews of each
        rows.append([f"n-grams, no network{whose}", *(_told(figures, each) for each in names)])
    best = max(several, key=lambda facts: facts.measured["accuracy"]["value"])
    yield Paragraph(f"Most accurate: {best.name}, {interval(best.measured['accuracy'])}.", "lead")
    caption = f"On {count(several[0].reviews, f'{several[0].split} {several[0].unit}')}, with 95 % intervals"
    yield Table(caption, ["run", *(single.title(name) for name in names)], rows)
    if not beside:
        skeptic = "What a skeptic would use instead, n-grams and logistic regression, was not judged on the same texts:"
        yield Paragraph(skeptic, "note", about.eval_command(several[0], "baseline"))


def _told(measured: Mapping[str, Any], name: str) -> str:
    if name not in measured:
        return "–"
    return interval(measured[name]) if name == "accuracy" else interval(measured[name], "{:.4f}")


def comparisons(several: Sequence[Facts], compared: Compared) -> Iterator[Block]:
    """Yield whether each run differs from the first, review by review."""
    first, *others = several
    pairs = list(zip(others, compared.comparisons, strict=True))
    yield Paragraph(" ".join(_verdict(first.name, facts.name, each) for facts, each in pairs), "lead")
    rows = [
        [facts.name, _points(each), f"{each.only_other:,}", f"{each.only_first:,}", _p_value(each)]
        for facts, each in pairs
    ]
    head = ["run", "points of accuracy", "it alone is right", f"{first.name} alone is right", "McNemar's p"]
    corrected = ", corrected for the number of runs (Holm)" if len(pairs) > 1 else ""
    yield Table(f"Each less {first.name}, on the same texts; exact test, two-sided{corrected}", head, rows)
    table = [
        [facts.name, *(interval(each.differences[name].to_dict(), "{:+.4f}") for name in MOVED)]
        for facts, each in pairs
    ]
    caption = f"Each less {first.name}, with 95 % intervals of a paired bootstrap"
    yield Table(caption, ["run", *(single.title(name) for name in MOVED)], table)
    yield Paragraph(ONE_SEED, "note")
    for facts, each in pairs:
        if flips := _flips(each, compared, first.name, facts.name):
            yield Folded(f"Texts about which {first.name} and {facts.name} differ most", [flips])


def _verdict(first: str, other: str, each: Comparison) -> str:
    if each.same:
        return f"{other} and {first} gave each text the same probabilities, to the last digit: nothing can be tested."
    if not each.differ:
        return f"{other} and {first} are not told apart by their accuracy on these texts."
    apart = each.differences["accuracy"].value or 0.0
    return f"{other} is {'more' if apart > 0 else 'less'} accurate than {first}, more than chance explains."


def _points(each: Comparison) -> str:
    found = each.differences["accuracy"]
    value, low, high = (points(end or 0.0, 2) for end in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"


def _p_value(each: Comparison) -> str:
    return "–" if each.same else "< 0.0001" if each.p_value < 1e-4 else f"{each.p_value:.4f}"


def _flips(each: Comparison, compared: Compared, first: str, other: str) -> Table | None:
    texts = compared.texts
    rows = [
        [
            f"{flip.review} {compared.places[flip.review]}".strip(),
            figure(flip.first),
            figure(flip.other),
            other if flip.better else first,
            texts[flip.review] if len(texts[flip.review]) <= LETTERS else f"… {texts[flip.review][-LETTERS:]}",
        ]
        for flip in each.flips[:FLIPS]
        if flip.review in texts
    ]
    head = ["text", first, other, "right", "its words, or their end"]
    return Table("Probability of the real label", head, rows, words=5) if rows else None


def differences(several: Sequence[Facts]) -> Iterator[Block]:
    """Yield the keys of configs and environments in which the runs differ."""
    flat = [flattened({"config": facts.config.to_dict(), "environment": dict(facts.environment)}) for facts in several]
    keys = [key for key in dict.fromkeys(key for each in flat for key in each) if key not in LEFT_OUT]
    told = [[key, *(_value(each, key) for each in flat)] for key in keys]
    rows = [row for row in told if len(set(row[1:])) > 1]
    if rows:
        yield Table("Keys with other values", ["key", *(facts.name for facts in several)], rows, words=1 + len(several))
    else:
        yield Paragraph("Nothing: configs and environments are the same.", "note")


def _value(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "–"


def cost(several: Sequence[Facts], compared: Compared) -> Iterator[Block]:
    """Yield time, memory and size."""
    rows = []
    for facts, contender in zip(several, compared.contenders, strict=True):
        costs, seconds = contender.costs, facts.details.get("seconds")
        rows.append(
            [
                facts.name,
                about.network(facts),
                f"{costs['epochs']:.0f}",
                duration(costs["seconds"]),
                f"{costs['peak_memory_mb']:,.0f}",
                f"{costs['parameters']:,.0f}",
                f"{costs['mb_to_predict']:,.1f}",
                f"{facts.reviews / seconds:,.0f}" if seconds else "–",
            ]
        )
    head = ["run", "network", "epochs", "training", "peak MB", "parameters", "MB to predict", "texts/s"]
    yield Table("Training and size; texts a second as the judgment went", head, rows, words=2)
    if len({str(facts.environment.get("processor")) for facts in several}) > 1:
        yield Paragraph("They were trained on different processors.", "note")


def parts(several: Sequence[Facts], compared: Compared) -> Iterator[Block]:
    """Yield the accuracy on parts of the reviews, and those on which a run surely differs from the first."""
    drawn = charts.slices(several)
    yield Charts([drawn]) if drawn else Paragraph("None of them was judged on parts of the texts.", "note")
    rows = [
        [
            facts.name,
            f"by {part.group}: {part.name}",
            f"{part.reviews:,}",
            percent(part.first),
            percent(part.other),
            interval(part.difference.to_dict(), "{:+.4f}"),
        ]
        for facts, each in zip(several[1:], compared.comparisons, strict=True)
        for part in each.parts
        if part.moved
    ]
    first = several[0].name
    if rows:
        head = ["run", "part", "texts", first, "this run", "difference"]
        caption = f"Parts on which a run differs from {first}; McNemar's test, corrected for the number of parts (Holm)"
        table = Table(caption, head, rows, words=2)
        yield table if len(rows) <= OPEN else Folded(f"{len(rows)} parts on which a run differs from {first}", [table])
    elif any(each.parts for each in compared.comparisons):
        yield Paragraph(f"On no part is a difference to {first} more than chance explains.", "note")


def reproduction(several: Sequence[Facts]) -> Iterator[Block]:
    """Yield of each run what it is and how it is trained again, folded."""
    for facts in several:
        accuracy = percent(facts.measured["accuracy"]["value"])
        yield Folded(f"{facts.name} ({accuracy})", [*about.task(facts), *about.reproduction(facts)])
