"""Word vectors from the texts themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnsent.config import Word2VecConfig
from rnnsent.data.dataset import Split
from rnnsent.data.vocabulary import FIRST_WORD
from rnnsent.errors import DataError
from rnnsent.models import word2vec
from rnnsent.runs.artifacts import load_weights
from rnnsent.runs.registry import open_run
from tests.conftest import rnnsent

ANIMALS, TOOLS = list(range(4, 12)), list(range(12, 20))
RARE = 20


def texts(count: int = 400) -> Split:
    rng = np.random.default_rng(0)
    sequences = [[1, *rng.choice(ANIMALS if number % 2 else TOOLS, 20)] for number in range(count)]
    sequences[0] = [*sequences[0], RARE]
    return Split.from_sequences(sequences, np.zeros(count, np.int64))


def test_words_that_stand_together_get_vectors_that_are_alike() -> None:
    table = word2vec.train([texts()], 24, 12, Word2VecConfig(epochs=20), seed=0).table
    vectors = table[FIRST_WORD:RARE] / np.linalg.norm(table[FIRST_WORD:RARE], axis=1, keepdims=True)
    alike = vectors @ vectors.T
    same = np.kron(np.eye(2), np.ones((8, 8))).astype(bool)
    assert alike[same].min() > alike[~same].max()
    assert not table[RARE:].any() and not table[:2].any()  # too rare; padding and start are no words


def test_a_seed_decides_every_bit_and_the_cache_gives_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = Word2VecConfig(epochs=2)
    told: list[str] = []

    def train(splits: list[Split], seed: int) -> word2vec.Trained:
        return word2vec.train(splits, 24, 6, config, seed, told.append)

    monkeypatch.setenv("RNNSENT_CACHE", str(tmp_path / "one"))
    first, again = train([texts()], 0), train([texts()], 0)
    assert (first.cached, again.cached, len(told)) == (False, True, 1) and first.seconds == again.seconds > 0
    monkeypatch.setenv("RNNSENT_CACHE", str(tmp_path / "another"))
    anew = train([texts()], 0)
    assert not anew.cached
    for other in (again, anew):
        np.testing.assert_array_equal(first.table, other.table)
    assert not np.array_equal(first.table, train([texts()], 1).table)
    assert not np.array_equal(first.table, train([texts(), texts(30)], 0).table)


@pytest.mark.parametrize("least", [1, 1000])
def test_texts_without_a_word_that_is_frequent_enough_are_refused(least: int) -> None:
    nothing = Split.from_sequences([[1], [1]] if least == 1 else [[1, 5, 6, 5]] * 2, [0, 1])
    most = "0 times" if least == 1 else "4 times"
    with pytest.raises(DataError, match=f"of 2 texts stands there {most}, fewer than .*least_count: {least}"):
        word2vec.train([nothing], 24, 6, Word2VecConfig(least_count=least), seed=0)


CONFIG = """\
data: {source: sample, num_words: 300, maxlen: 40}
model:
  embedding_dim: 6
  vectors: {word2vec: {epochs: 1}, trainable: false}
  recurrent: [{cell: gru, units: 4}]
training: {epochs: 1, batch_size: 256, learning_rate: 1e-2}
"""


def test_a_network_begins_with_them_and_keeps_them_where_they_are_not_trainable() -> None:
    Path("c.yaml").write_text(CONFIG)
    tables = []
    for seed in ("0", "1"):
        trained = rnnsent("train", "--config", "c.yaml", "--run-dir", f"run{seed}", "--seed", seed, "--json")
        assert trained.exit_code == 0, trained.stderr
        facts: dict[str, Any] = json.loads(trained.stdout)["vectors"]
        assert facts["word2vec"] > 1000 and 100 < facts["found"] <= facts["words"]
        tables.append(load_weights(open_run(Path(f"run{seed}")))["embedding/embeddings"])
    found = (tables[0] == tables[1]).all(axis=1)
    assert found.sum() >= facts["found"]  # what has no vector is drawn with the seed of the network


@pytest.mark.parametrize("vectors", ["{}", "{path: v.txt, word2vec: {}}"])
def test_vectors_are_from_one_place(vectors: str) -> None:
    Path("c.yaml").write_text(CONFIG.replace("{word2vec: {epochs: 1}, trainable: false}", vectors))
    found = rnnsent("config", "check", "c.yaml")
    assert found.exit_code == 1 and "needs path or word2vec, and not both" in found.stdout + found.stderr
