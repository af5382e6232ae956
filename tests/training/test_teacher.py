"""Texts without a label: read beside the others, and taught by the baseline."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.milestones import of_run
from rnnsent.config.loader import load_config, parse_config
from rnnsent.config.sections import NgramsConfig
from rnnsent.data.dataset import Split
from rnnsent.data.sources import load_dataset
from rnnsent.models.ngram_weights import out_of_fold
from rnnsent.runs.registry import open_run
from rnnsent.training.features import prepare, taught
from tests.conftest import rnnsent

GOOD, BAD = ("splendid", "moving", "warm", "witty"), ("dreary", "hollow", "dull", "clumsy")
FILLER = tuple(f"word{number}" for number in range(60))
ONLY_UNLABELED = ("radiant", "tedious")  # stand beside good and bad words, in texts without a label alone

CONFIG = """\
data: {source: texts, path: t.csv, unlabeled: true, maxlen: 40, validation_split: 0.3}
model: {embedding_dim: 8, ngrams: {orders: 2, folds: 3}, recurrent: [{cell: gru, units: 8}]}
training: {epochs: 2, batch_size: 32, learning_rate: 2e-2, teacher: baseline}
"""


def write(labeled: int = 200, unlabeled: int = 300) -> None:
    rng = np.random.default_rng(0)
    with Path("t.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "label"])
        for row in range(labeled + unlabeled):
            good = bool(rng.integers(2))
            words = [*rng.choice(GOOD if good else BAD, 3), *rng.choice(FILLER, 8)]
            if row >= labeled:
                words.append(ONLY_UNLABELED[not good])
            writer.writerow([" ".join(rng.permutation(words)), "" if row >= labeled else "good" if good else "bad"])


def load(**changes: Any) -> Any:
    return load_dataset(replace(parse_config(CONFIG, "c").data, **changes))


def test_rows_without_a_label_are_read_apart_and_their_words_count() -> None:
    write()
    found = load()
    assert found.unlabeled is not None and found.validation is not None
    assert (len(found.train) + len(found.validation) + len(found.test), len(found.unlabeled)) == (200, 300)
    assert set(ONLY_UNLABELED) <= set(found.vocabulary.words)
    assert found.provenance["unlabeled"] == 300 and "without a label" not in found.provenance["dropped"]
    without = load(unlabeled=False)
    assert without.unlabeled is None and without.provenance["dropped"]["without a label"] == 300
    assert not set(ONLY_UNLABELED) & set(without.vocabulary.words)
    for one, other in ((found.train, without.train), (found.test, without.test)):
        texts = [
            [each.vocabulary.decode(split.sequence(index)) for index in range(len(split))]
            for each, split in ((found, one), (without, other))
        ]
        assert texts[0] == texts[1]


def test_a_text_without_a_label_that_stands_in_a_split_too_is_dropped_where_that_is_asked_for() -> None:
    write(100, 0)
    lines = Path("t.csv").read_text().splitlines()
    again = [f"{line.rpartition(',')[0]}," for line in lines[1:]]
    Path("t.csv").write_text("\n".join([*lines, *again, "something new,"]) + "\n")
    found = load(drop_duplicates=True)
    assert found.unlabeled is not None
    assert len(found.unlabeled) == 1 and len(found.train) + len(found.validation) + len(found.test) == 100


def test_the_teacher_says_how_probable_each_label_is_and_certain_labels_stay() -> None:
    write()
    ready = prepare(load_config_text(CONFIG))
    train = ready.train
    labeled = len(ready.parts.train)
    assert len(train) == labeled + 300 and train.targets is not None and train.channels is not None
    np.testing.assert_array_equal(train.targets[:labeled], np.eye(2)[ready.parts.train.labels])
    taught = train.targets[labeled:]
    np.testing.assert_allclose(taught.sum(axis=1), 1, atol=1e-6)
    radiant = ready.parts.vocabulary.id_of("radiant")
    good = np.array([radiant in train.sequence(index) for index in range(labeled, len(train))])
    names = ready.parts.label_names
    assert (taught[good, names.index("good")] > 0.5).mean() > 0.95
    assert (taught[~good, names.index("bad")] > 0.5).mean() > 0.95
    assert np.unique(taught).size > 50  # soft
    # What stands beside their words is what all labeled reviews say.
    at = train.take(np.arange(labeled, len(train))).positions()
    assert ready.ratios is not None
    expected = ready.ratios.onto(train).channels
    assert expected is not None
    np.testing.assert_array_equal(train.channels[at], expected[at])


def load_config_text(text: str) -> Any:
    Path("c.yaml").write_text(text)
    return load_config("c.yaml", to_train=True)


def test_a_taught_network_knows_words_that_no_label_explained() -> None:
    write()
    Path("c.yaml").write_text(CONFIG)
    trained = rnnsent("train", "--config", "c.yaml", "--run-dir", "run", "--epochs", "6", "--json")
    assert trained.exit_code == 0, trained.stderr
    metrics = json.loads(trained.stdout)
    assert metrics["data"]["teacher"]["teaches"] == 300
    assert metrics["validation"]["accuracy"]["value"] > 0.9
    answers = rnnsent("predict", "run", "radiant radiant", "tedious tedious").stdout.splitlines()
    assert [line.split("\t")[0] for line in answers] == ["good", "bad"]
    assert rnnsent("eval", "run").exit_code == 0 and rnnsent("verify", "run").exit_code == 0
    told = "300 texts without a label were labeled by an n-gram baseline"
    assert told in Path("run/model_card.md").read_text()
    assert rnnsent("report", "run", "--output", "page.html").exit_code == 0
    assert told in Path("page.html").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("data.unlabeled=false", "training.teacher"),
        ("data={source: imdb, unlabeled: true}", "data.unlabeled"),
    ],
)
def test_a_teacher_needs_texts(changes: str, message: str) -> None:
    write(40, 10)
    Path("c.yaml").write_text(CONFIG)
    found = rnnsent("train", "--config", "c.yaml", "--set", changes)
    assert found.exit_code == 1 and message in found.stderr


def test_texts_to_teach_must_be_there() -> None:
    write(60, 0)
    Path("c.yaml").write_text(CONFIG)
    found = rnnsent("train", "--config", "c.yaml")
    assert found.exit_code == 1 and "t.csv: holds no text without a label" in found.stderr
    found = rnnsent("train", "--config", "c.yaml", "--set", "training.teacher=null", "--epochs", "1")
    assert found.exit_code == 0 and "data: no text is without a label" in found.stderr


def test_a_network_can_be_its_own_teacher() -> None:
    write()
    Path("c.yaml").write_text(CONFIG.replace("teacher: baseline", "teacher: self, teacher_rounds: 2"))
    trained = rnnsent("train", "--config", "c.yaml", "--run-dir", "run", "--epochs", "6", "--json")
    assert trained.exit_code == 0, trained.stderr
    metrics = json.loads(trained.stdout)
    assert metrics["data"]["teacher"]["teaches"] == 300
    assert metrics["validation"]["accuracy"]["value"] > 0.9
    assert sorted(path.name for path in Path("run/teacher").iterdir()) == ["1", "2"]
    assert Path("run/teacher/2/weights.npz").is_file()
    assert [len(list(Path(f"run/teacher/{number}/checkpoints").iterdir())) for number in (1, 2)] == [1, 1]
    answers = rnnsent("predict", "run", "radiant radiant", "tedious tedious").stdout.splitlines()
    assert [line.split("\t")[0] for line in answers] == ["good", "bad"]
    assert rnnsent("eval", "run").exit_code == 0 and rnnsent("verify", "run").exit_code == 0


def test_what_a_teacher_says_tells_no_review_its_own_label() -> None:
    """The worst of teachers: one that knows the label, drawn by lot, of every review, which all texts say again."""
    rng = np.random.default_rng(0)
    rows = [
        (" ".join(f"w{word}" for word in rng.integers(60, size=9)), rng.choice(["bad", "good"])) for _ in range(600)
    ]
    with Path("t.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([("text", "label"), *rows, *((f"{text} too", "") for text, _ in rows)])
    for weights in ("naive_bayes", "regression"):
        ngrams = f"least_reviews: 1, weights: [{weights}], folds"
        before = prepare(load_config_text(CONFIG.replace("baseline", "self").replace("folds", ngrams)))
        after = taught(before, np.array([label == "good" for _, label in rows], np.float32))
        labeled = np.arange(len(before.train))
        assert len(after.train) == len(labeled) + 600 and after.ratios is before.ratios
        config = after.config.model.ngrams
        assert config is not None and abs(told_by_channels(after.train.take(labeled)) - 0.5) < 0.06
        assert told_by_channels(out_of_fold(after.train, 2, config, 0)[1].take(labeled)) > 0.75


def told_by_channels(split: Split) -> float:
    """Return how many labels the sum of what stands beside a review's words tells."""
    assert split.channels is not None
    sums = np.array(
        [split.channels[start:][:length].sum() for start, length in zip(split.starts, split.lengths, strict=True)]
    )
    return float(((sums > np.median(sums)) == split.labels).mean())


def test_a_teacher_can_be_a_network_that_reads_no_ngrams() -> None:
    write(60, 60)
    Path("c.yaml").write_text(CONFIG.replace("baseline", "self") + "ensemble: [{ngrams: false}, {}]\n")
    trained = rnnsent("train", "--config", "c.yaml", "--run-dir", "run", "--epochs", "1")
    assert trained.exit_code == 0, trained.stderr
    assert rnnsent("verify", "run").exit_code == 0


def test_what_a_teacher_trained_first_was_not_there_before_the_run() -> None:
    write(60, 60)
    before = "vectors: {word2vec: {epochs: 1}}, language_model: {epochs: 1, samples: 8}, recurrent"
    Path("c.yaml").write_text(CONFIG.replace("recurrent", before).replace("teacher: baseline", "teacher: self"))
    for run, cached in (("run", False), ("again", True)):  # of the cache is what another run left there
        trained = rnnsent("train", "--config", "c.yaml", "--run-dir", run, "--epochs", "1", "--json")
        assert trained.exit_code == 0, trained.stderr
        assert "language model: from the cache" in trained.stderr
        metrics = json.loads(trained.stdout)
        assert [metrics[name]["cached"] for name in ("vectors", "language_model")] == [cached, cached]
        seconds = sum(metrics[name]["seconds"] for name in ("vectors", "language_model"))
        course = of_run(open_run(Path(run)))
        epoch, *_ = csv.DictReader(Path(run, "history.csv").read_text().splitlines())
        first = float(epoch["elapsed"])
        assert seconds > 0 and course.seconds[0] == pytest.approx(first + seconds * cached)


def test_uncertain_texts_count_for_less() -> None:
    rng = np.random.default_rng(0)
    sequences = [[1, *rng.integers(4, 12, 6).tolist()] for _ in range(60)]
    labels = rng.integers(0, 2, 60)
    certain = Split.from_sequences(sequences, labels)
    targets = np.eye(2, dtype=np.float32)[labels]
    config = NgramsConfig(orders=1, folds=2, least_reviews=1, weights=("naive_bayes", "regression"))
    same = out_of_fold(replace(certain, targets=targets), 2, config, 0)[0]
    for one, other in zip(same.weights, out_of_fold(certain, 2, config, 0)[0].weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    # Of a text of which nobody knows anything, its half-hearted label is left out of account.
    targets[30:] = 0.5
    halves = [out_of_fold(each, 2, config, 0)[0] for each in (
        replace(certain, targets=targets), certain.take(slice(0, 30)))]  # fmt: skip
    np.testing.assert_allclose(halves[0].weights[0], halves[1].weights[0], atol=1e-4)
