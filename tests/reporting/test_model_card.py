"""The model card: read as Hugging Face's hub reads it, whole whatever names stand in it."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rnnsent.reporting import pages
from rnnsent.reporting.model_card import model_card
from rnnsent.runs import directory
from rnnsent.runs.directory import Run
from rnnsent.runs.schemas import Estimate
from tests.conftest import rnnsent
from tests.reporting.written import HOSTILE, write_baseline, write_robustness, write_run

SECTIONS = ["Intended use", "Metrics", "Limitations", "Data", "Training", "How to use", "How to reproduce"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return write_run(tmp_path / "run")


def head(card: str) -> dict[str, Any]:
    """Return the YAML head, by a reader of YAML 1.1."""
    found = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(found, dict)
    return found


def on_the_hub(card: str) -> Any:
    """Return the head as the hub's own library reads it."""
    return ModelCard(card).data


def parsed(card: str) -> list[Any]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(card.split("---\n", 2)[2])


def shown(tokens: list[Any], kind: str) -> list[str]:
    """Return what a reader sees in each element of a kind."""
    places = [place for place, token in enumerate(tokens) if token.type == f"{kind}_open"]
    return ["".join(part.content for part in tokens[place + 1].children) for place in places]


def with_metrics(run: Run, **changes: Any) -> Run:
    """Return the run with another metrics.json."""
    data = {name: changes.pop(name) for name in list(changes) if name in run.metrics.data.__dataclass_fields__}
    metrics = dataclasses.replace(run.metrics, data=dataclasses.replace(run.metrics.data, **data), **changes)
    run.write_record(directory.METRICS, metrics)
    run.finish()
    return Run(run.path)


def test_card_has_the_sections_and_what_the_hub_reads(run: Run) -> None:
    card = model_card(run)
    assert shown(parsed(card), "heading") == ["Model card: run", *SECTIONS]
    data = on_the_hub(card)
    assert (data.library_name, data.pipeline_tag, data.model_name) == ("keras", "text-classification", "run")
    assert data.license is None and {"gru", "sentiment-analysis"} <= set(data.tags)
    assert {(each.metric_type, each.dataset_split) for each in data.eval_results} >= {
        ("accuracy", "validation"), ("matthews_correlation", "validation"), ("brier_score", "test")
    }  # fmt: skip
    assert next(each.metric_value for each in data.eval_results) == 0.75
    assert "rnnsent train --config 'a b.yaml'" in card


def test_card_shows_evaluations_that_are_there(run: Run) -> None:
    card = model_card(run)
    assert "There is no baseline yet" in card and f"`rnnsent robustness {run}`" in card
    assert "Weakest slice of the test texts: length, weak (900 texts)" in card
    write_baseline(run, 0.5)
    write_robustness(run, "negations", Estimate(0.31, 0.2, 0.5))
    card = model_card(run)
    assert re.search(r"\| accuracy \| 0\.\d{4} \| 0\.\d{4} … [01]\.\d{4} \| 0\.5000 \|", card)
    assert "| F1 | – | – |" in card
    assert "Challenge set: negations (64 texts), accuracy 31.0" in card
    assert "rnnsent robustness" not in card and "no baseline" not in card


def test_hostile_names_do_not_break_it(tmp_path: Path) -> None:
    name = "yes: |\"'no"
    card = model_card(write_run(tmp_path / name, HOSTILE))
    tokens = parsed(card)
    inside = [child for token in tokens for child in token.children or ()]
    assert not [token for token in (*tokens, *inside) if token.type.startswith("html")]
    assert shown(tokens, "heading") == [f"Model card: {name}", *SECTIONS]
    labels = [label.replace("\u202e", "\ufffd") for label in HOSTILE]
    assert [unescape(cell) for cell in shown(tokens, "th")][-5:] == ["split", "texts", *labels]
    assert "my `texts`|1.csv" in [each.content for each in inside if each.type == "code_inline"]
    assert "sentiment-analysis" not in head(card)["tags"] and "language" not in head(card)
    assert on_the_hub(card).model_name == name


@pytest.mark.parametrize("name", ["no", "2026-11-24", "1e-3", "null", "~", "a: b", "x\n---\ny", "é \U0001f642 \x85\\"])
def test_names_stay_text_in_every_version_of_yaml(name: str) -> None:
    assert yaml.safe_load(f"- {pages.yaml(name)}") == [name]


@given(st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" \n")))
def test_any_text_is_shown_as_it_is(value: str) -> None:
    line = " ".join(value.split())
    table = f"| x | {pages.markdown(value)} |\n|---|---|\n| y | {pages.markdown(value)} |"
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(table)
    assert [unescape(shown(tokens, kind)[1]) for kind in ("th", "td")] == [unescape(line)] * 2
    inline = MarkdownIt("commonmark").parseInline(f"x {pages.code(value)} y")
    if line:
        assert [part.content for part in inline[0].children or () if part.type == "code_inline"] == [line]
    fence = MarkdownIt("commonmark").parse(pages.fenced(value, "sh"))
    assert fence[0].type == "fence" and fence[0].content == value + "\n"


def test_card_says_where_the_texts_are_from(run: Run) -> None:
    plain = model_card(with_metrics(run, source="imdb", file="/here/imdb.npz", details={"official_file": False}))
    original = model_card(with_metrics(run, source="texts", format="aclimdb", details={"splits": {"test": "given"}}))
    for card in (plain, original):
        assert "ACL 2011" in card and "states no license" in card
        assert head(card)["datasets"] == ["stanfordnlp/imdb"] and "license" not in head(card)
    assert "`imdb.npz`, not the file that Keras distributes" in plain and "/here/" not in plain
    assert "about the same films" in plain and "about the same films" not in original
    assert "test: given" in original
    sample = model_card(with_metrics(run, source="sample", fallback_used=True, interrupted=True))
    assert "generated by rnnsent" in sample and "datasets" not in head(sample)
    assert "took their place" in sample and "stopped after 3 epochs" in sample


def test_card_is_written_where_told_and_holds_no_text(finished_run: Path, tiny_imdb: Path) -> None:
    shutil.copytree(finished_run, "run")
    assert rnnsent("report", "--card", "run").exit_code == 0
    card = Path("run", directory.MODEL_CARD).read_text(encoding="utf-8")
    assert rnnsent("report", "--card", "run", "-o", "README.md").exit_code == 0
    assert Path("README.md").read_text(encoding="utf-8") == card
    Run(Path("run")).verify()
    assert "Not evaluated on the test texts yet" in card and "without calibration" in card
    words = json.loads((tiny_imdb / "imdb_word_index.json").read_text())
    assert len(words) > 40 and not set(words) & set(re.findall(r"\w+", card))
