"""The model card of a run: current, true to what the run says of itself, and whole whatever names stand in it."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rnnsent.config import Config
from rnnsent.config.loader import load_config, parse_config
from rnnsent.data.sources import load_sample
from rnnsent.reporting import markdown, model_card
from rnnsent.reporting.model_card import RunFacts
from rnnsent.runs import directory as runs
from rnnsent.runs.registry import open_run
from tests.conftest import SAMPLE_CONFIG, rnnsent

ODD = ('a|b: "c"', "*no* `x` <i>&amp;</i>", "# _yes_ \\| [y](z) ~~$1$~~")
SECTIONS = ["What it does", "Data", "Network", "Training", "Figures"]
SECTIONS += ["Intended use", "Limits", "How to load", "How to reproduce"]


@pytest.fixture
def run(sample_run: Path) -> Path:
    shutil.copytree(sample_run, "run")
    return Path("run")


@pytest.fixture
def facts(sample_run: Path) -> RunFacts:
    found = open_run(sample_run)
    config = load_config(str(found.file(runs.CONFIG)))
    metrics, environment = found.read_json(runs.METRICS), found.read_json(runs.ENVIRONMENT)
    sizes = {runs.WEIGHTS: 123_456, runs.MODEL: 1_234}
    return RunFacts("small", "runs/small", config, metrics, environment, 1039, sizes)


def with_data(facts: RunFacts, source: str, **changes: Any) -> RunFacts:
    return replace(facts, metrics={**facts.metrics, "data": {**facts.metrics["data"], "source": source, **changes}})


def head(card: str) -> dict[str, Any]:
    """Return the YAML head, by another reader than the one that wrote it, and of YAML 1.1."""
    found = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(found, dict)
    return found


def on_the_hub(card: str) -> Any:
    """Return the head as the hub's own library reads it."""
    return ModelCard(card).data


def body(card: str) -> str:
    return card.split("---\n", 2)[2]


def parsed(card: str) -> list[Any]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(body(card))


def texts_of(tokens: list[Any], kind: str) -> list[str]:
    """Return what a reader sees in each element of a kind."""
    found = []
    for place, token in enumerate(tokens):
        if token.type == f"{kind}_open":
            found.append("".join(part.content for part in tokens[place + 1].children))
    return found


def test_every_run_has_one_in_its_manifest(sample_run: Path) -> None:
    found = open_run(sample_run)
    assert found.has(runs.MODEL_CARD)
    card = found.file(runs.MODEL_CARD).read_text()
    assert texts_of(parsed(card), "heading") == ["Model card: run", *SECTIONS]
    for name in (runs.WEIGHTS, runs.MODEL, runs.VOCABULARY):
        assert f"`{name}`" in card


def test_the_hub_can_read_it(sample_run: Path) -> None:
    data = on_the_hub(open_run(sample_run).file(runs.MODEL_CARD).read_text())
    assert (data.library_name, data.pipeline_tag) == ("keras", "text-classification")
    assert data.license is None and data.language == "en" and "gru" in data.tags
    validation = open_run(sample_run).read_json(runs.METRICS)["validation"]
    results = {each.metric_type: each for each in data.eval_results}
    assert {each.dataset_split for each in results.values()} == {"validation"}
    for name, hub in (("accuracy", "accuracy"), ("mcc", "matthews_correlation"), ("brier", "brier_score")):
        assert results[hub].metric_value == pytest.approx(validation[name]["value"], abs=5e-5)
    assert set(data.metrics) == set(results)


def test_its_figures_are_current(run: Path) -> None:
    before = (run / runs.MODEL_CARD).read_text()
    assert re.search(r"Test: not judged yet; `rnnsent eval \S*run --split test`", before)
    assert rnnsent("eval", "run").exit_code == 0
    judged = (run / runs.MODEL_CARD).read_text()
    test = json.loads((run / runs.METRICS).read_text())["test"]
    row = next(line for line in judged.split("| test | value")[1].splitlines() if line.startswith("| accuracy"))
    accuracy = test["accuracy"]
    assert row == f"| accuracy | {accuracy['value']:.4f} | {accuracy['low']:.4f} … {accuracy['high']:.4f} |"
    assert "not judged yet" not in judged and "Weakest part of the test reviews" in judged
    assert "`rnnsent baseline run`" in judged

    assert rnnsent("baseline", "run").exit_code == 0
    beside = json.loads((run / runs.METRICS).read_text())["baseline"]["test"]["accuracy"]["value"]
    assert f"{row} {beside:.4f} |" in (run / runs.MODEL_CARD).read_text()
    assert "`rnnsent baseline run`" not in (run / runs.MODEL_CARD).read_text()
    open_run(run).verify()


def test_a_card_that_was_edited_outlives_more_training(run: Path) -> None:
    card = run / runs.MODEL_CARD
    assert rnnsent("eval", "run").exit_code == 0
    card.write_text(card.read_text() + "\nMaintained by Ada.\n")
    trained = rnnsent("train", "--resume", "run", "--epochs", "3", "--allow-changes")
    assert trained.exit_code == 0, trained.stderr
    assert "model_card.md: was edited, and stays" in trained.stderr
    assert "predictions-test.csv: removed" in trained.stderr
    judged = rnnsent("eval", "run")
    assert judged.exit_code == 0 and "model_card.md: was edited, and stays" in judged.stderr
    assert "Maintained by Ada." in card.read_text()


def test_a_card_that_was_completed_by_hand_stays_so(run: Path) -> None:
    card = run / runs.MODEL_CARD
    card.write_text(card.read_text() + "\nMaintained by Ada.\n")
    for arguments in (["eval", "run"], ["robustness", "run"], ["summary", "run"], ["report", "run"]):
        found = rnnsent(*arguments)
        assert found.exit_code == 0, found.stderr
        assert ("model_card.md: was edited, and stays" in found.stderr) == (arguments[0] in ("eval", "robustness"))
    assert "Maintained by Ada." in card.read_text()
    card.unlink()
    assert rnnsent("eval", "run").exit_code == 0
    assert "Ada" not in card.read_text() and "| test | value" in card.read_text()
    (run / runs.CONFIG).write_text((run / runs.CONFIG).read_text() + "\n")
    refused = rnnsent("eval", "run")
    assert refused.exit_code == 1 and "config.yaml was changed after training" in refused.stderr


def test_what_robustness_found_is_in_it(run: Path) -> None:
    assert re.search(r"not measured; `rnnsent robustness \S*run`", (run / runs.MODEL_CARD).read_text())
    assert rnnsent("robustness", "run", "--json").exit_code == 0
    rows = json.loads((run / runs.METRICS).read_text())["robustness"]["test"]
    negations = next(row for row in rows if row["name"] == "negations")
    card = (run / runs.MODEL_CARD).read_text()
    assert f"negations ({negations['texts']}): accuracy {negations['accuracy']:.1%}" in card
    assert "not measured" not in card and "weaker on negations" not in card  # it reads no n-grams
    open_run(run).verify()


def test_readers_of_ngrams_are_said_to_be_weaker_on_negations(facts: RunFacts) -> None:
    row = {"group": "written for it", "name": "negations", "texts": 9, "accuracy": 0.3, "low": 0.1, "high": 0.6}
    ngrams = parse_config(SAMPLE_CONFIG.replace("embedding_dim: 8,", "embedding_dim: 8, ngrams: {},"), "c")
    changed = replace(facts, config=ngrams, metrics={**facts.metrics, "robustness": {"test": [row]}})
    assert "such networks are weaker on negations" in model_card.render(changed)
    assert "weights of n-grams up to 3 words" in model_card.render(changed)


def test_no_sentence_of_the_reviews_is_in_it(run: Path) -> None:
    assert rnnsent("eval", "run").exit_code == 0
    dataset = load_sample()
    said = {
        tuple(words[at : at + 4])
        for split in (dataset.train, dataset.test)
        for words in (dataset.vocabulary.decode(split.sequence(index)).split() for index in range(len(split)))
        for at in range(len(words) - 3)
    }
    words = dataset.vocabulary.words_of((run / runs.MODEL_CARD).read_text())
    assert len(said) > 10_000 and len(words) > 300
    assert [words[at : at + 4] for at in range(len(words) - 3) if tuple(words[at : at + 4]) in said] == []


def test_labels_and_files_with_signs_of_markdown_and_yaml_do_not_break_it() -> None:
    name = 'my | `file` *of* "texts": #1.csv'
    with Path(name).open("w", newline="") as handle:
        rows = [(f"word{number % 3} and more words {number}", ODD[number % 3]) for number in range(90)]
        csv.writer(handle).writerows([("text", "label"), *rows])
    Path("small.yaml").write_text(SAMPLE_CONFIG)
    found = rnnsent("train", "--config", "small.yaml", "--data", name, "--run-dir", "yes: |\"'no")
    assert found.exit_code == 0, found.stderr
    card = Path("yes: |\"'no", runs.MODEL_CARD).read_text()
    tokens = parsed(card)
    assert texts_of(tokens, "heading") == ["Model card: yes: |\"'no", *SECTIONS]
    assert texts_of(tokens, "th")[:5] == ["split", "texts", *sorted(ODD)]
    assert "sentiment-analysis" not in head(card)["tags"] and "validation reviews" not in card
    rows_of_counts = texts_of(tokens, "td")[:15]
    assert [rows_of_counts[0], rows_of_counts[5], rows_of_counts[10]] == ["train", "validation", "test"]
    assert sum(map(int, (rows_of_counts[1], rows_of_counts[6], rows_of_counts[11]))) == 90
    assert name in [part.content for token in tokens for part in token.children or () if part.type == "code_inline"]
    (result,) = head(card)["model-index"][0]["results"]
    assert head(card)["model-index"][0]["name"] == "yes: |\"'no" and result["dataset"]["split"] == "validation"
    assert on_the_hub(card).model_name == "yes: |\"'no"
    assert "for the owner of the texts to say" in card and "language" not in head(card)


@pytest.mark.parametrize("name", ["no", "2026-11-24", "1e-3", "null", "~", "a: b", "x\n---\ny", "- é"])
def test_a_name_stays_text_to_every_reader(facts: RunFacts, name: str) -> None:
    card = model_card.render(replace(facts, name=name))
    assert head(card)["model-index"][0]["name"] == name
    assert on_the_hub(card).model_name == name


def test_html_in_names_is_shown_and_not_run(facts: RunFacts) -> None:
    evil = "<script>alert(1)</script>"
    config = facts.config.model_copy(
        update={"data": facts.config.data.model_copy(update={"labels": [evil, "<img src=x>"]})}
    )
    said = json.dumps(facts.metrics).replace('"negative"', f'"{evil}"').replace('"positive"', '"<img src=x>"')
    hostile = replace(facts, name=evil, config=config, metrics=json.loads(said))
    card = model_card.render(with_data(hostile, "texts", file=evil))
    tokens = MarkdownIt("commonmark").enable("table").parse(card.split("---\n", 2)[2])
    inside = [child for token in tokens for child in token.children or ()]
    (ours,) = [token.content for token in (*tokens, *inside) if token.type.startswith("html")]
    assert re.fullmatch(r"<!-- written by rnnsent[a-zA-Z0-9 ,:-]+ [0-9a-f]{64} -->\n", ours) and card.endswith(ours)
    assert evil in {unescape(token.content) for token in inside}


@given(st.text(st.characters(exclude_categories=["C"])))
def test_any_text_is_shown_as_it_is(value: str) -> None:
    shown = " ".join(value.split())
    table = "\n".join(markdown.table(["x", markdown.text(value)], [["y", markdown.text(value)]]))
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(table)
    assert [unescape(cell) for cell in (texts_of(tokens, "th")[1], texts_of(tokens, "td")[1])] == [unescape(shown)] * 2
    line = MarkdownIt("commonmark").parseInline(f"x {markdown.code(value)} y")
    if shown:
        assert [part.content for part in line[0].children or () if part.type == "code_inline"] == [shown]
    fence = MarkdownIt("commonmark").parse("\n".join(markdown.fenced(value, "sh")))
    assert fence[0].type == "fence" and fence[0].content == value + "\n"


def test_where_the_reviews_are_from_and_on_what_terms(facts: RunFacts) -> None:
    plain, _, original = (
        model_card.render(with_data(facts, source, **more))
        for source, more in (
            ("imdb", {"file": "/here/imdb.npz", "official_file": False}),
            ("sample", {}),
            ("texts", {"file": "/here/aclImdb_v1.tar.gz", "format": "aclimdb", "splits": {"test": "given"}}),
        )
    )
    for card in (plain, original):
        assert "ACL 2011" in card and "states no license" in card and "research" in card
        assert head(card)["datasets"] == ["stanfordnlp/imdb"] and "license" not in head(card)
    assert "`imdb.npz`, not the file that Keras distributes" in plain and "/here/" not in plain
    assert "the last 20% of its training reviews" in plain and "about a film that training reviews" in plain
    assert "test given" in original and "about a film that training reviews" not in original
    written = model_card.render(facts)
    assert "written by rnnsent" in written and "datasets" not in head(written)


def test_what_happened_to_the_training_is_said(facts: RunFacts) -> None:
    metrics: dict[str, Any] = {**facts.metrics, "interrupted": True, "epochs": 3}
    assert "stopped early, after 3 epochs" in model_card.render(replace(facts, metrics=metrics))
    assert "took their place" in model_card.render(with_data(facts, "sample", fallback_used=True))
    shares = model_card.render(with_data(facts, "sample", unknown_share=0.123, truncated_share=0.456))
    assert "12.3% of the words" in shares and "cut 45.6% of the validation reviews" in shares
    called = replace(facts, environment={**facts.environment, "command": ["/usr/bin/ipykernel_launcher.py", "-f"]})
    card = model_card.render(called)
    assert "ipykernel" not in card and "`rnnsent train --config config.yaml`" in card
    typed = {**facts.environment, "command": ["/bin/rnnsent", "train", "--config", "a b.yaml", "--seed", "3"]}
    assert "\nrnnsent train --config 'a b.yaml' --seed 3\n" in model_card.render(replace(facts, environment=typed))
    assert "reads ids and no texts" in model_card.render(replace(facts, words=0))


def test_a_run_of_an_older_rnnsent_has_less_to_say(facts: RunFacts) -> None:
    old = {"source": "imdb", "fallback_used": False, "sha256": "0" * 64}
    card = model_card.render(replace(facts, metrics={**facts.metrics, "data": old}, environment={"packages": {}}))
    assert texts_of(parsed(card), "heading")[1:] == SECTIONS


def test_an_ensemble_lists_its_networks(facts: RunFacts) -> None:
    config: Config = parse_config(f"{SAMPLE_CONFIG}ensemble:\n  - {{}}\n  - {{pooling: mean_max}}\n", "c")
    card = model_card.render(replace(facts, config=config, metrics={**facts.metrics, "best_epoch": None}))
    assert "2 recurrent networks" in card and "network 2: word vectors" in card
    assert "mean and maximum of the states" in card and "mean of their probabilities" in card
    assert "`members/N/model.keras`" in card


def test_every_parameter_of_a_split_is_counted(sample_run: Path) -> None:
    data = open_run(sample_run).read_json(runs.METRICS)["data"]
    dataset = load_sample()
    assert sum(data["counts"]["test"].values()) == len(dataset.test)
    assert data["counts"]["test"]["positive"] == int(dataset.test.labels.sum())
    _, validation = dataset.held_back(0.2)
    assert data["truncated_share"] == pytest.approx(float((validation.lengths > 40).mean()), abs=1e-6)
    read = [id_ for index in range(len(validation)) for id_ in validation.sequence(index)[-40:].tolist() if id_ != 1]
    assert data["unknown_share"] == pytest.approx(sum(id_ >= 300 for id_ in read) / len(read), abs=1e-6)
