"""Slices are what their names say, and those of a group are all texts together."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from rnnsent.config.loader import parse_config
from rnnsent.config.sections import DataConfig
from rnnsent.data.dataset import Split
from rnnsent.data.sources import load_dataset
from rnnsent.data.tokenizer import FIRST_WORD, START, UNKNOWN
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.evaluation.slices import slices_of

WORDS = ("the", "film", "not", "didn't", "good", "bad", "don't", "rare", "rarer")
VOCABULARY = Vocabulary(WORDS, None, "unknown", "a test", "unicode")


def split_of(*texts: str) -> Split:
    sequences = [VOCABULARY.encode(text) for text in texts]
    return Split.from_sequences(sequences, [0] * len(texts))


def parts(split: Split, config: DataConfig, ratings: list[int] | None = None) -> dict[str, dict[str, list[int]]]:
    found: dict[str, dict[str, list[int]]] = {}
    for each in slices_of(split, VOCABULARY, [config], None if ratings is None else np.array(ratings)):
        found.setdefault(each.group, {})[each.name] = np.flatnonzero(each.members).tolist()
    return found


def test_slices_are_what_their_names_say() -> None:
    split = split_of("good", "bad film", "the film didn't the the", "the not film bad", "the the the the", "don't")
    found = parts(split, DataConfig(maxlen=5, num_words=None), [10, 1, 0, 1, 7, 10])
    assert found["negation"]["no negation"] == [0, 1, 4]
    assert [0, 1, 4] not in list(found["negation"].values())[1:]
    assert sorted(number for part in list(found["negation"].values())[1:] for number in part) == [2, 3, 5]
    assert found["truncation"] == {"read whole": [0, 1, 3, 4, 5], "cut to 5 words": [2]}
    assert found["stars"] == {"unknown": [2], "1 star": [1, 3], "7 stars": [4], "10 stars": [0, 5]}
    assert found["length"]["1 word"] == [0, 5]


def test_slices_do_not_depend_on_the_order_of_configs() -> None:
    split = split_of("good rare rarer", "bad film zyx zyx", "the film didn't the the", "rarer the not", "the the the")
    wide, narrow, same = (DataConfig(maxlen=n, num_words=w) for n, w in ((None, None), (4, 7), (4, 7)))
    found = [slices_of(split, VOCABULARY, configs) for configs in ([wide, narrow], [narrow, wide])]
    told = [[(each.group, each.name, each.members.tolist()) for each in order] for order in found]
    assert told[0] == told[1]
    groups = list(dict.fromkeys(group for group, _, _ in told[0]))
    assert groups == ["length", "unknown words (of 7)", "unknown words (of all)", "truncation (at 4)", "negation"]
    alike = slices_of(split, VOCABULARY, [narrow, same])
    alone = slices_of(split, VOCABULARY, [narrow])
    assert [(each.group, each.name) for each in alike] == [(each.group, each.name) for each in alone]


def test_slices_that_differ_by_little_have_different_names() -> None:
    known, unknown = FIRST_WORD, UNKNOWN
    # 0, 1, 2 and 4 unknown words of 10,000: shares that are all "0.0 %" with one digit.
    sequences = [[START, *[unknown] * n, *[known] * (10_000 - n)] for n in (0, 1, 2, 4) for _ in range(2)]
    split = Split.from_sequences(sequences, [0] * len(sequences))
    configs = [DataConfig(maxlen=None), DataConfig(maxlen=500)]
    for found in (slices_of(split, VOCABULARY, configs[:1]), slices_of(split, VOCABULARY, configs)):
        named = {each.name: np.flatnonzero(each.members).tolist() for each in found if each.group == "unknown words"}
        assert named == {"0.00 %": [0, 1], "0.01 %": [2, 3], "0.02 %": [4, 5], "0.04 %": [6, 7]}


def test_unknown_words_are_those_without_a_vector() -> None:
    split = split_of("good good good good", "good rare rare good", "zyx rarer qq good", "the the the zyx")
    limit = FIRST_WORD + WORDS.index("rare")
    found = parts(split, DataConfig(num_words=limit))["unknown words"]
    assert list(found) == ["0.0 %", "25.0 %", "50.0 %", "75.0 %"]
    assert list(found.values()) == [[0], [3], [1], [2]]


def test_every_group_holds_every_text_once() -> None:
    rng = np.random.default_rng(0)
    sequences = [
        [START, *rng.choice([UNKNOWN, *range(FIRST_WORD, FIRST_WORD + len(WORDS))], rng.integers(0, 40))]
        for _ in range(200)
    ]
    split = Split.from_sequences(sequences, [0] * 200)
    found = slices_of(split, VOCABULARY, [DataConfig(maxlen=20)], rng.integers(0, 11, 200))
    groups = {each.group for each in found}
    assert groups == {"length", "unknown words", "truncation", "negation", "stars"}
    for group in groups:
        members = [each.members for each in found if each.group == group]
        assert len(members) > 1
        assert (np.sum(members, axis=0) == 1).all(), group
    for each in (each for each in found if each.group == "length"):
        low, high = (int(number) for number in re.findall(r"\d+", each.name))
        words = split.lengths[each.members] - 1
        assert (words.min(), words.max()) == (low, high)


def test_groups_of_one_slice_are_left_out() -> None:
    split = split_of("good film", "bad film")
    assert parts(split, DataConfig(maxlen=None)) == {}


def test_stars_come_from_a_map_of_labels(tmp_path: Path) -> None:
    stars = [1, 2, 9, 10] * 10
    rows = "".join(f'"a text number {row}",{star}\n' for row, star in enumerate(stars))
    path = tmp_path / "stars.csv"
    path.write_text("text,rating\n" + rows)
    text = (
        f"data: {{source: texts, path: {path}, fallback: null, label_map: {{1-2: bad, 9-10: good}}, maxlen: 9}}\n"
        "model: {recurrent: [{cell: gru}]}\n"
    )
    config = parse_config(text, "test")
    dataset = load_dataset(config.data)
    assert dataset.stars is not None and dataset.lines is not None
    assert dataset.stars.tolist() == [stars[line - 2] for line in dataset.lines.tolist()]
    plain = parse_config(text.replace(", label_map: {1-2: bad, 9-10: good}", ""), "test")
    assert load_dataset(plain.data).stars is None  # there the stars are the labels
