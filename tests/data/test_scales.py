"""Which labels are steps of a scale."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from rnnsent.data.scales import scale
from tests.conftest import rnnsent

SCALES = """1|2|3|4|5
1 star|2 stars|4 stars|5 stars
3★|4★|5★
strongly disagree|disagree|neither agree nor disagree|agree|strongly agree
very_bad|bad|ok|good|very_good
Very negative|negative|neutral|positive|very positive
poor|fair|good|excellent
extremely unlikely|somewhat unlikely|neutral|somewhat likely|extremely likely"""
CLASSES = """negative|neutral|positive
0|1|2|3
1|2|3|4
sport|politics|very good
very good|good
good|ok|okay|very good"""


@pytest.mark.parametrize("labels", SCALES.splitlines())
def test_scale_orders_labels_however_they_are_given(labels: str) -> None:
    steps = tuple(labels.split("|"))
    assert scale(random.Random(0).sample(steps, len(steps))) == steps


@pytest.mark.parametrize("labels", CLASSES.splitlines())
def test_scale_is_not_found_among_classes(labels: str) -> None:
    assert scale(labels.split("|")) is None


def table(path: Path, labels: list[str]) -> str:
    """Write a table with 30 texts of each label."""
    rows = [f"word{row % 7} {label} film,{label}" for row in range(30) for label in labels]
    path.write_text("\n".join(["text,label", *rows]))
    return str(path)


def order(path: str, *arguments: str) -> object:
    result = rnnsent("data", "info", path, "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)["provenance"].get("order")


def test_labels_of_a_table_are_ordered_if_they_are_or_are_said_to_be(tmp_path: Path) -> None:
    words = table(tmp_path / "words.csv", ["very bad", "bad", "good", "very good"])
    numbers = table(tmp_path / "numbers.csv", ["0", "1", "2", "10"])
    assert order(words) == "very bad < bad < good < very good"
    assert order(words, "--set", "data.ordered=false") is None
    assert order(numbers) is None
    assert order(numbers, "--set", "data.ordered=true") == "0 < 1 < 2 < 10"
    given = ("--set", "data.labels=[good, very bad, bad, very good]")
    assert order(words, *given) is None
    assert order(words, *given, "--set", "data.ordered=true") == "good < very bad < bad < very good"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["mild", "hot", "warm"], "the order of hot, mild, warm is unknown; name it by data.labels"),
        (["calm", "stormy"], "two labels have no order to learn: calm, stormy; leave it out"),
        (["1", "2"], "two labels have no order to learn: 1, 2; leave it out"),
        (["low", "5", "7"], "the order of 5, 7, low is unknown; name it by data.labels"),
    ],
)
def test_ordered_labels_without_a_known_order_are_refused(tmp_path: Path, labels: list[str], message: str) -> None:
    path = table(tmp_path / "t.csv", labels)
    result = rnnsent("train", "--config", "gru", "--data", path, "--set", "data.ordered=true")
    assert result.exit_code == 1
    assert f"{path}: data.ordered: {message}" in result.stderr.splitlines()[-1]


def test_ordered_needs_texts_and_a_truth_value(tmp_path: Path) -> None:
    for data, value in (("sample", "true"), (table(tmp_path / "t.csv", ["a", "b", "c"]), "'yes'")):
        result = rnnsent("train", "--config", "gru", "--data", data, "--set", f"data.ordered={value}")
        assert result.exit_code == 1 and "data.ordered" in result.stderr
