"""What a network loses on texts that are not as in training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rnnsent.data.dataset import Split
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.engine import kernel
from rnnsent.evaluation import challenge_set as challenges
from rnnsent.evaluation.robustness import measure, mistyped
from tests.conftest import rnnsent


def test_the_table_says_what_eval_says_and_adds_up(sample_run: Path) -> None:
    found = rnnsent("robustness", str(sample_run), "--json")
    assert found.exit_code == 0, found.stderr
    rows = json.loads(found.stdout)["rows"]
    evaluated = json.loads(rnnsent("eval", str(sample_run), "--json").stdout)
    judged = evaluated["metrics"]["accuracy"]
    assert (rows[0]["accuracy"], rows[0]["low"], rows[0]["high"]) == pytest.approx(tuple(judged.values()), abs=1e-5)
    lengths = [row for row in rows if row["group"] == "length"]
    assert sum(row["texts"] for row in lengths) == rows[0]["texts"] and len(lengths) == 4
    parts = [part for part in evaluated["slices"] if part["group"] == "length"]  # the same cuts
    assert [(row["name"], row["texts"]) for row in lengths] == [(part["name"], part["reviews"]) for part in parts]
    assert [row["accuracy"] for row in lengths] == pytest.approx([part["accuracy"]["value"] for part in parts])
    right = sum(row["accuracy"] * row["texts"] for row in lengths)
    assert right == pytest.approx(rows[0]["accuracy"] * rows[0]["texts"])
    assert [row["name"] for row in rows if row["group"] == "written for it"] == [
        "negations", "contrasts", "not about films",
    ]  # fmt: skip
    shown = rnnsent("robustness", str(sample_run)).stdout
    assert max(map(len, shown.splitlines())) <= 80 and f"{rows[0]['accuracy']:.2%}" in shown
    lost = 100 * (rows[-1]["accuracy"] - rows[0]["accuracy"])
    assert f"{lost:+.2f}" in next(line for line in shown.splitlines() if "not about films" in line)
    assert rnnsent("robustness", str(sample_run), "--json").stdout == found.stdout


def test_every_backend_finds_the_same_losses(sample_run: Path) -> None:
    by = {}
    backends = ["numpy", "keras", *(["native"] if kernel.available() else [])]
    for backend in backends:
        found = rnnsent("robustness", str(sample_run), "--json", "--split", "validation", "--backend", backend)
        assert found.exit_code == 0 and f"backend: {backend} (" in found.stderr
        by[backend] = json.loads(found.stdout)["rows"]
    for one, *others in zip(*by.values(), strict=True):
        assert {row["texts"] for row in others} == {one["texts"]}
        for row in others:  # a probability of one half may fall to either side
            assert row["accuracy"] == pytest.approx(one["accuracy"], abs=1.5 / one["texts"]), row["name"]
    refused = rnnsent("robustness", str(sample_run), "--backend", "numpy", "--device", "gpu")
    assert refused.exit_code == 1 and "backend: must be keras on gpu" in refused.stderr


class Counting:
    """A classifier that finds a text positive if a word stands in it."""

    label_names = ("bad", "good")

    def __init__(self, words: tuple[str, ...]) -> None:
        self.vocabulary = Vocabulary(words, None, "unknown")
        self.id = self.vocabulary.id_of(words[0])

    def labels_of(self, split: Split) -> np.ndarray:
        return np.array([int(self.id in split.sequence(index)) for index in range(len(split))])


def test_typing_errors_cost_what_they_hide() -> None:
    network = Counting(("excellent", "filler"))
    ids = [network.vocabulary.encode(text) for text in ["filler excellent", "filler filler"] * 2000]
    split = Split.from_sequences(ids, np.array([1, 0] * 2000))
    rows = {row.name: row.accuracy for row in measure(network, split)}  # type: ignore[arg-type]
    assert rows["all reviews"] == 1.0
    for share in (0.01, 0.05, 0.10):  # half of the reviews have the word; an error in it is always one
        assert 1 - rows[f"in {share:.0%} of the words"] == pytest.approx(share / 2, abs=0.01)
    assert "negations" not in rows  # its labels are others


def test_errors_are_of_four_kinds_and_in_about_so_many_words() -> None:
    words = ["wonderful", "a", "film"] * 3000
    found = mistyped(words, 0.3, np.random.default_rng(0))
    changed = [(one, other) for one, other in zip(words, found, strict=True) if one != other]
    assert len(changed) / 6000 == pytest.approx(0.29, abs=0.03)  # now and then a letter is replaced by itself
    assert all(one != "a" for one, _ in changed)
    lengths = {len(other) - len(one) for one, other in changed}
    assert lengths == {-1, 0, 1}
    swapped = [other for one, other in changed if len(one) == len(other) and sorted(one) == sorted(other)]
    replaced = [other for one, other in changed if len(one) == len(other) and sorted(one) != sorted(other)]
    assert swapped and replaced
    assert mistyped(words, 0.0, np.random.default_rng(0)) == words


def test_the_texts_that_are_brought_along_are_balanced_and_all_different() -> None:
    for texts in (challenges.negated(), challenges.contrasted(), challenges.of_other_domains()):
        assert len({text for text, _ in texts}) == len(texts) >= 48
        assert sum(positive for _, positive in texts) * 2 == len(texts)
