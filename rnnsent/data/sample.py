"""The built-in corpus: film reviews written by a seeded grammar, so that everything runs without any data.

A review mixes neutral sentences with opinion sentences, which come down on the side of its label. Single words do not
tell it, because they appear plain, negated, outweighed and attributed to others. `sample_grammar.txt` has the phrases.

Of `random.Random` only `random()` is used, whose sequence Python guarantees: the corpus is the same bytes everywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from configparser import ConfigParser
from itertools import chain
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, TypeVar

GRAMMAR: Final = Path(__file__).with_name("sample_grammar.txt")
TRAIN_REVIEWS: Final = 6000
TEST_REVIEWS: Final = 2000
TRAIN_SEED: Final = 1
TEST_SEED: Final = 2


class Review(NamedTuple):
    """One labeled review; `label` is 1 for positive and 0 for negative, an index into `LABELS`."""

    text: str
    label: int


_Option = TypeVar("_Option")
_Views = tuple[Sequence[str], Sequence[str]]  # the aspects that the narrator dislikes, and those that they like

_OPINION_SHARE: Final = 0.6
_CONCEDED: Final = 2  # aspects on which the narrator thinks the opposite of the verdict

# A review has as many words as a random point of one of these equally likely ranges, and then its last sentences.
_LENGTHS: Final = ((15, 24), (24, 48), (48, 80), (80, 120), (120, 320))


def _options(text: str) -> tuple[str, ...]:
    """Split at bars, else templates at line ends, else at white space, where `_` stands for a space within a word."""
    if "|" in text:
        return tuple(" ".join(option.split()) for option in text.split("|"))
    if "{" in text:
        return tuple(line.strip() for line in text.strip().splitlines())
    return tuple(word.replace("_", " ") for word in text.split())


def _grammar() -> ConfigParser:
    """Return the lists of phrases of each section of the grammar file."""
    parser = ConfigParser(delimiters=(":",), comment_prefixes=("#",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their case
    parser.read_string(GRAMMAR.read_text(encoding="utf-8"))
    return parser


def _rules() -> dict[str, tuple[str, ...]]:
    """Name every list: opinions by their polarity ("noun 1"), those of an aspect after it too ("story adj 0")."""
    grammar = _grammar()
    rules = {name: _options(text) for name, text in chain(grammar["templates"].items(), grammar["neutral"].items())}
    for name, text in grammar["opinions"].items():
        for polarity, words in enumerate(text.split("/")):
            rules[f"{name} {polarity}"] = _options(words)
    for aspect, text in grammar["aspects"].items():
        one, many, *adjectives = map(_options, text.split("/"))
        rules |= {f"{aspect} one": one, f"{aspect} many": many, f"{aspect} any": one + many}
        for polarity, own in enumerate(adjectives):
            rules[f"{aspect} adj {polarity}"] = own + rules[f"general {polarity}"]
    return rules


FORMS: Final = {form: float(share) for form, share in _grammar()["forms"].items()}  # how often each is used
_RULES: Final = _rules()
_ALL_ASPECTS: Final = tuple(_grammar()["aspects"])
_SLOT: Final = re.compile(r"\{([+-]?)(@?)([a-z ]+)\}")


def digest() -> str:
    """Return the SHA-256 of the grammar: another one is another corpus, and tests hold the code to the same texts."""
    return hashlib.sha256(GRAMMAR.read_bytes()).hexdigest()


def generate_reviews(count: int, seed: int) -> list[Review]:
    """Return `count` different reviews, half of them positive, in an order that carries no information.

    The same `count`, an even number, and `seed` give the same reviews on every machine.
    """
    rng = Random(seed)
    labels: dict[str, int] = {}
    while len(labels) < count:
        # The label follows from how many there are, so a text written twice leaves the balance as it is.
        label = len(labels) % 2
        labels.setdefault(_review(rng, label), label)
    return [Review(text, label) for text, label in _shuffled(rng, tuple(labels.items()))]


def opinion_sentence(rng: Random, polarity: int, form: str) -> str:
    """Return a sentence in one of `FORMS`; the narrator likes the film (`polarity` 1) or not (0)."""
    return _polish(_write(rng, f"{form} sentence", polarity, _views(rng, polarity)))


def _review(rng: Random, label: int) -> str:
    views = _views(rng, label)
    low, high = _pick(rng, _LENGTHS)
    wanted = low + rng.random() * (high - low)
    sentences = [_write(rng, "opening", label, views)]
    length = len(sentences[0].split())
    while length < wanted:
        rule = f"{_pick_form(rng)} sentence" if rng.random() < _OPINION_SHARE else "neutral"
        sentences.append(_write(rng, rule, label, views))
        length += len(sentences[-1].split())
    sentences.append(_write(rng, "verdict", label, views))
    return _polish(" ".join(sentences))


def _views(rng: Random, label: int) -> _Views:
    """Deal the aspects into disliked and liked ones, once for a review, so that it does not contradict itself."""
    aspects = _shuffled(rng, _ALL_ASPECTS)
    conceded, decisive = aspects[:_CONCEDED], aspects[_CONCEDED:]
    return (conceded, decisive) if label else (decisive, conceded)


def _write(rng: Random, rule: str, polarity: int, views: _Views) -> str:
    """Expand a rule of the grammar for a narrator who likes (1) or dislikes (0) what the phrase is about."""
    options = _RULES[rule]
    point = rng.random()
    if "{" not in options[0]:
        # Few words are common and many rare, as in any language; evenly spread ones take a network far longer.
        point *= point
    template = options[int(point * len(options))]
    if "{" not in template:
        return template
    aspect = _pick(rng, views[polarity])
    pieces = _SLOT.split(template)  # a text, then sign, scope and name of a slot, then a text again
    for place in range(1, len(pieces), 4):
        sign, scope, name = pieces[place : place + 3]
        side = 1 - polarity if sign == "-" else polarity
        key = f"{aspect} {name}" if scope else name
        sided = f"{key} {side}"
        pieces[place : place + 3] = (_write(rng, sided if sided in _RULES else key, side, views), "", "")
    return "".join(pieces)


def _pick(rng: Random, options: Sequence[_Option]) -> _Option:
    return options[int(rng.random() * len(options))]


def _pick_form(rng: Random) -> str:
    point = rng.random()
    for form, share in FORMS.items():
        point -= share
        if point < 0:
            return form
    return "plain"  # the shares are floats, whose sum may fall short of 1 by a rounding error


def _shuffled(rng: Random, options: Sequence[_Option]) -> list[_Option]:
    deck = list(options)
    for last in range(len(deck) - 1, 0, -1):
        other = int(rng.random() * (last + 1))
        deck[last], deck[other] = deck[other], deck[last]
    return deck


def _polish(text: str) -> str:
    text = re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)
    text = re.sub(r"\bi\b", "I", text)
    return re.sub(r"(?:^|[.?!] )[a-z]", lambda match: match[0].upper(), text)
