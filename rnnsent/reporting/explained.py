"""What is said of texts: the surest mistakes with their words shaded, and how answers come about word by word."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnsent.errors import count
from rnnsent.reporting import charts
from rnnsent.reporting import html as pages
from rnnsent.reporting.blocks import Block, Charts, Folded, Legend, Paragraph, Shaded
from rnnsent.reporting.texts import Explained, Followed, Texts
from rnnsent.reporting.wording import sure

OPEN = 3  # mistakes that are not folded
NAMED = 5  # words that are named below a text
LEAST = 0.005  # what is less is zero in two decimals


def mistakes(texts: Texts, unit: str) -> Iterator[Block]:
    """Yield the surest mistakes with their words shaded; `unit` is what one of the texts is called."""
    if texts.unread or not texts.mistakes:
        yield Paragraph(texts.unread or "Not one answer is wrong.", "note")
        return
    yield Legend()
    blocks = [_shaded(mistake, texts.ending, unit) for mistake in texts.mistakes]
    yield from blocks[:OPEN]
    if blocks[OPEN:]:
        yield Folded(f"{len(blocks) - OPEN} more", blocks[OPEN:])


def _shaded(mistake: Explained, ending: bool, unit: str) -> Shaded:
    values = mistake.contributions.tolist()
    words = pages.shaded(mistake.words, mistake.known, values, title=lambda place: f"{values[place]:+.2f}")
    order = np.argsort(-mistake.contributions, kind="stable")[:NAMED].tolist()
    named = [f"“{mistake.words[at]}” {values[at]:+.2f}" for at in order if values[at] > LEAST]
    where = f" ({mistake.place})" if mistake.place else ""
    return Shaded(
        f"{unit.capitalize()} {mistake.review}{where}: {mistake.label}, taken for {mistake.predicted}",
        f"Probability {sure(mistake.probability)}. {_extent(mistake, ending)}",
        words,
        f"Spoke most for {mistake.predicted}, in logits: {', '.join(named)}." if named else "",
    )


def _extent(mistake: Explained, ending: bool) -> str:
    told = f"{count(mistake.read, 'word')} read"
    if mistake.cut:
        told += f", {mistake.cut:,} {'before' if ending else 'after'} them cut off"
    if len(mistake.words) < mistake.read:
        told += f"; shown are the {'last' if ending else 'first'} {len(mistake.words):,}"
    return f"{told}."


def traces(texts: Texts, unit: str) -> Iterator[Block]:
    """Yield how the network came to some answers."""
    if texts.unread or not texts.followed:
        yield Paragraph(texts.unread or "No text is short enough to be followed word by word.", "note")
        return
    yield Paragraph("The probability of the final label after each word. The dotted line is one half.", "note")
    yield Charts(
        [charts.course(number, _about(each, unit), each.trace) for number, each in enumerate(texts.followed, 1)]
    )


def _about(each: Followed, unit: str) -> str:
    answer = f"answer {each.trace.label} at {sure(each.trace.probability)}"
    return f"{each.kind}. {unit.capitalize()} {each.review}: {each.label}, {answer}"
