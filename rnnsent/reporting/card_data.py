"""What a model card says of the data that a network was trained on: where they are from, what they are good for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from rnnsent.config import Config
from rnnsent.reporting.markdown import code, table, text

MAAS = (
    "Maas, Daly, Pham, Huang, Ng, Potts: Learning Word Vectors for Sentiment Analysis, ACL 2011 "
    "(<https://ai.stanford.edu/~amaas/data/sentiment/>)"
)


SENTIMENTS = frozenset(("negative", "neutral", "positive", "neg", "neu", "pos", "mixed"))


@dataclass(frozen=True)
class Domain:
    """What follows from where the texts are from.

    Attributes:
        name: of the data set.
        texts: what the network is for: "for …".
        intended, foreign: what it may be used for, and what is none of its business.
        limits: sentences.
        language: as the hub writes it; None where rnnsent does not know.
        hub: the name of the data set there.
        unit: what its texts are called.
        sentiment: whether its labels say whether something is liked.
    """

    name: str
    texts: str
    intended: str
    foreign: str
    limits: tuple[str, ...] = ()
    language: str | None = None
    hub: str | None = None
    unit: str = "reviews"
    sentiment: bool = True


def domain(config: Config, metrics: Mapping[str, Any]) -> Domain:
    """Return what follows from where the texts of a run are from."""
    source = _source(metrics)
    if source == "sample":
        return Domain(
            "sample reviews of rnnsent",
            "film reviews that rnnsent wrote itself",
            "Trying rnnsent out. Its texts are made by a small grammar: no figure here says anything about real ones.",
            "any real text",
            language="en",
        )
    if source == "own":
        file = text(PurePath(str(metrics["data"].get("file", ""))).name)
        return Domain(
            file,
            f"texts like those of {file}",
            f"Texts of the language, the kind and the time of those in {file}, labeled with the same thing in mind.",
            "other languages, other kinds of text, labels that mean something else",
            _contradicting(metrics),
            unit="texts",
            sentiment=SENTIMENTS.issuperset(name.lower() for name in config.data.label_names),
        )
    films = " A validation review may be about a film that training reviews are about, too."
    return Domain(
        "IMDB reviews",
        "English film reviews",
        "English film reviews as people wrote them on IMDB until 2011, and research on such networks.",
        "other languages, which are unknown words to it; other kinds of text, on which its figures say nothing",
        (
            "Reviews of five and six stars are not among its data, so it has seen nothing that is neither good nor bad."
            + (films if source == "imdb" else ""),
        ),
        "en",
        "stanfordnlp/imdb",
    )


def data_section(config: Config, metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the section on the data."""
    data = metrics["data"]
    yield "## Data\n"
    if data.get("fallback_used"):
        yield "**The reviews that the config asks for could not be had; these took their place.**\n"
    yield from (f"- {line}" for line in _whence(config, metrics))
    if data.get("file"):
        rebuilt = "" if data.get("official_file", True) else ", not the file that Keras distributes"
        yield f"- file: {code(PurePath(str(data['file'])).name)}{rebuilt}"
    if data.get("sha256"):
        yield f"- SHA-256: {code(data['sha256'])}"
    yield f"- splits: {_splits(config, metrics)}"
    dropped = data.get("dropped") or {}
    if dropped:
        yield "- rows left out: " + ", ".join(f"{text(why)} {number:,}" for why, number in dropped.items())
    for split, number in (data.get("also in training") or {}).items():
        yield f"- **{number:,} texts of {split} stand in training too**: figures are better than on new texts"
    if data.get("unlabeled"):
        yield f"- texts without a label: {data['unlabeled']:,}"
    yield ""
    counts = data.get("counts")
    if counts:
        names = config.data.label_names
        rows = [
            [split, f"{sum(each.values()):,}", *(f"{each[name]:,}" for name in names)] for split, each in counts.items()
        ]
        yield from table(["split", domain(config, metrics).unit, *map(text, names)], rows)
        yield ""


def _source(metrics: Mapping[str, Any]) -> str:
    """Return "imdb", "aclimdb", "sample" or "own"."""
    source = str(metrics["data"]["source"])
    return source if source != "texts" else "aclimdb" if metrics["data"].get("format") == "aclimdb" else "own"


def _whence(config: Config, metrics: Mapping[str, Any]) -> Iterator[str]:
    source, data = _source(metrics), metrics["data"]
    if source == "sample":
        yield "source: written by rnnsent, by rule; nobody's words"
        yield "labels: those that each text was written for"
        yield "terms: those of rnnsent"
        return
    if source == "own":
        column = data.get("label column")
        yield f"source: texts of the owner{f', their label in the column {text(str(column))}' if column else ''}"
        if config.data.label_map:
            pairs = ", ".join(f"{text(old)} → {text(new)}" for old, new in config.data.label_map.items())
            yield f"labels as they were given, mapped: {pairs}"
        yield "terms: for the owner of the texts to say; rnnsent knows none"
        return
    yield f"source: 50,000 film reviews of IMDB; {MAAS}"
    stars = (
        "the stars themselves" if config.data.label_column == "rating" else "negative up to 4 of 10, positive from 7"
    )
    yield f"labels: by the stars that the reviewer gave: {stars}; at most 30 reviews of a film"
    yield "terms: the data set states no license; the reviews are their authors'. For research: cite the paper"


def _splits(config: Config, metrics: Mapping[str, Any]) -> str:
    how = metrics["data"].get("splits")
    if isinstance(how, Mapping):
        return "; ".join(f"{name} {text(str(each))}" for name, each in how.items())
    return (
        f"test as the data set has it; validation: the last {config.data.validation_split:.0%} of its training reviews"
    )


def _contradicting(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    number = metrics["data"].get("contradicting")
    return (f"{number:,} texts occur again with another label.",) if number else ()
