"""Texts without a label: read beside the others, and labeled by a teacher."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from rnnsent.config.loader import load_config
from rnnsent.config.sections import Config
from rnnsent.data.dataset import Split, split_dataset
from rnnsent.data.sources import load_dataset
from rnnsent.models.ngram_weights import out_of_fold
from rnnsent.runs.registry import open_run
from rnnsent.training.features import Features, fit_features
from rnnsent.training.pseudo_label import add_unlabeled
from tests.conftest import rnnsent

GOOD, BAD = ("splendid", "moving", "warm", "witty"), ("dreary", "hollow", "dull", "clumsy")
FILLER = tuple(f"word{number}" for number in range(60))
ONLY_UNLABELED = ("radiant", "tedious")  # stand beside good and bad words, in texts without a label alone

CONFIG = """\
data: {source: texts, path: t.csv, unlabeled: true, maxlen: 40, validation_split: 0.3}
model: {embedding_dim: 8, ngrams: {orders: 2, folds: 3}, recurrent: [{cell: gru, units: 8}]}
training: {epochs: 2, batch_size: 32, learning_rate: 2e-2, teacher: baseline}
"""
SELF = CONFIG.replace("teacher: baseline", "teacher: self, teacher_rounds: 2")


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


def prepared(text: str) -> tuple[Config, Features]:
    Path("c.yaml").write_text(text)
    config = load_config("c.yaml", to_train=True)
    dataset = load_dataset(config.data)
    return config, add_unlabeled(fit_features(dataset, split_dataset(dataset, config.data), config), dataset, config)


def test_teacher_labels_softly_and_certain_labels_stay() -> None:
    write()
    _, features = prepared(CONFIG)
    train, labeled = features.train, len(features.split.train)
    assert len(train) == labeled + 300 and train.targets is not None and features.pseudo_labels == 300
    np.testing.assert_array_equal(train.targets[:labeled], np.eye(2)[features.split.train.labels])
    soft = train.targets[labeled:]
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    radiant = features.split.vocabulary.id_of("radiant")
    good = np.array([radiant in train.sequence(index) for index in range(labeled, len(train))])
    names = features.split.label_names
    assert (soft[good, names.index("good")] > 0.5).mean() > 0.95
    assert (soft[~good, names.index("bad")] > 0.5).mean() > 0.95
    assert np.unique(soft).size > 50


@pytest.mark.parametrize("text", [CONFIG, SELF], ids=["baseline", "self"])
def test_network_learns_words_that_only_pseudo_labels_explain(text: str) -> None:
    write()
    Path("c.yaml").write_text(text)
    trained = rnnsent("train", "--config", "c.yaml", "--run-dir", "run", "--epochs", "6")
    assert trained.exit_code == 0, trained.stderr
    metrics = open_run(Path("run")).metrics
    accuracy = metrics.validation["accuracy"].value
    assert metrics.pseudo_labels == 300 and accuracy is not None and accuracy > 0.9
    answers = rnnsent("predict", "run", "radiant radiant", "tedious tedious").stdout.splitlines()
    assert [line.split("\t")[0] for line in answers] == ["good", "bad"]
    teachers = sorted(path.name for path in Path("run/teacher").glob("*"))
    assert teachers == (["1", "2"] if text == SELF else [])
    assert all(len(list(Path(f"run/teacher/{each}/checkpoints").iterdir())) == 1 for each in teachers)


def test_what_a_teacher_says_tells_no_text_its_own_label() -> None:
    """The worst of teachers: one that knows the label, drawn by lot, of every text, which all texts say again."""
    rng = np.random.default_rng(0)
    rows = [(" ".join(f"w{w}" for w in rng.integers(60, size=9)), rng.choice(["bad", "good"])) for _ in range(600)]
    with Path("t.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([("text", "label"), *rows, *((f"{text} too", "") for text, _ in rows)])
    weighted = SELF.replace("folds", "min_texts: 1, weights: [naive_bayes], folds")
    config, before = prepared(weighted)
    good = np.array([label == "good" for _, label in rows])
    after = before.with_pseudo_labels(np.eye(2, dtype=np.float32)[good.astype(int)])
    labeled = np.arange(len(before.train))
    assert len(after.train) == len(labeled) + 600 and after.ngram_weights is before.ngram_weights
    ngrams = config.model.ngrams
    assert ngrams is not None and abs(accuracy_of_channels(after.train.take(labeled)) - 0.5) < 0.06
    assert accuracy_of_channels(out_of_fold(after.train, 2, ngrams, 0)[1].take(labeled)) > 0.75


def accuracy_of_channels(split: Split) -> float:
    """Return how many labels the sum of what stands beside a text's words predicts."""
    assert split.channels is not None
    spans = zip(split.starts, split.lengths, strict=True)
    sums = np.array([split.channels[start:][:length].sum() for start, length in spans])
    return float(((sums > np.median(sums)) == split.labels).mean())


def test_teacher_can_be_a_network_that_reads_no_ngrams_and_shares_its_language_model() -> None:
    write(60, 60)
    before = "language_model: {epochs: 1, samples: 8}, recurrent"
    text = SELF.replace("teacher_rounds: 2", "teacher_rounds: 1").replace("recurrent", before)
    Path("c.yaml").write_text(f"{text}ensemble: [{{ngrams: false}}, {{}}]\n")
    trained = rnnsent("train", "--config", "c.yaml", "--run-dir", "run", "--epochs", "1")
    assert trained.exit_code == 0, trained.stderr
    assert "language model: trained" in trained.stderr and "language model: from the cache" in trained.stderr
    open_run(Path("run")).verify()


def test_texts_to_label_must_be_there() -> None:
    write(60, 0)
    Path("c.yaml").write_text(CONFIG)
    found = rnnsent("train", "--config", "c.yaml")
    assert found.exit_code == 1 and "t.csv: holds no text without a label" in found.stderr
    found = rnnsent("train", "--config", "c.yaml", "--set", "data.unlabeled=false")
    assert found.exit_code == 1 and "training.teacher" in found.stderr
    found = rnnsent("train", "--config", "c.yaml", "--set", "training.teacher=null", "--epochs", "1")
    assert found.exit_code == 0 and "data: no text is without a label" in found.stderr
