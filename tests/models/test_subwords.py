"""Vectors of character n-grams: as in fastText, and what a network makes of words that it does not know."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gensim.models import FastText
from gensim.models.fasttext_inner import compute_ngrams, ft_hash_bytes

import rnnsent as package
from rnnsent.config.sections import Word2VecConfig
from rnnsent.data.dataset import Split
from rnnsent.data.tokenizer import FIRST_WORD
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.models import embeddings
from rnnsent.models.subwords import Subwords
from tests.conftest import rnnsent, write_imdb

VECTORS = "{word2vec: {subwords: [3, 4], min_count: 1, epochs: 60, window: 3}, trainable: false}"
GOOD, BAD = ["wonderful", "delightful", "beautiful", "graceful"], ["terrible", "horrible", "miserable", "unwatchable"]


def table(name: str, number: int = 240) -> str:
    rng = np.random.default_rng(0)
    lines = ["text,label,split"]
    for n in range(number):
        words = [str(word) for word in rng.choice((BAD, GOOD)[n % 2], 3)]
        split = "test" if n % 5 == 0 else "train"
        lines.append(f"w{n % 5} {' '.join(words)} w{n % 7},{('bad', 'good')[n % 2]},{split}")
    Path(name).write_text("\n".join(lines) + "\n")
    return name


def trained(*arguments: str) -> dict[str, Any]:
    settings = [
        "--set",
        f"model.vectors={VECTORS}",
        "--set",
        "model.embedding_dim=16",
        "--set",
        "training.learning_rate=0.02",
    ]
    result = rnnsent(
        "train", "gru", "--data", table("t.csv"), "--epochs", "8", "--run-dir", "run", *settings, *arguments
    )
    assert result.exit_code == 0, result.stderr
    metrics: dict[str, Any] = json.loads(Path("run/metrics.json").read_text())
    return metrics


def test_vectors_are_those_of_fasttext() -> None:
    texts = [line.split(",")[0].split() for line in Path(table("t.csv")).read_text().splitlines()[1:]]
    vocabulary = Vocabulary(tuple(sorted({word for text in texts for word in text})), oov="unknown")
    config = Word2VecConfig(subwords=(3, 4), min_count=1, epochs=5, window=3)
    rows = FIRST_WORD + len(vocabulary.words)
    found = embeddings.train([Split.from_words(vocabulary, texts)], vocabulary, (rows, 16), config, seed=0)
    model = FastText(
        texts, vector_size=16, window=3, min_count=1, epochs=5, sg=1, negative=5, sample=1e-4, workers=1, seed=0,
        min_n=3, max_n=4, bucket=embeddings.BUCKETS,
    )  # fmt: skip
    for place, word in enumerate(vocabulary.words, start=FIRST_WORD):
        assert found.table[place] == pytest.approx(model.wv[word], abs=1e-6)
    known = {ngram for word in vocabulary.words for ngram in compute_ngrams(word, 3, 4)}
    for word in ("wonderfull", "terribl", "w", "zzzzz"):
        places = {ngram: ft_hash_bytes(ngram.encode()) % embeddings.BUCKETS for ngram in compute_ngrams(word, 3, 4)}
        parts = [model.wv.vectors_ngrams[place] for ngram, place in places.items() if ngram in known]
        assert found.subwords is not None
        vector = found.subwords.vector(word)
        if not parts:
            assert vector is None
        else:
            assert vector == pytest.approx(np.mean(parts, axis=0), abs=1e-3)  # kept in float16


def test_texts_with_unknown_words_get_ids_of_their_own() -> None:
    vocabulary = Vocabulary(("film", "good"), oov="unknown")
    keys = np.unique(np.concatenate([Subwords.from_arrays(ARRAYS).keys]))
    subwords = Subwords.from_arrays({**ARRAYS, "keys": keys})
    texts = Split.from_words(vocabulary, [["good", "goods", "film"], ["xyz", "goods"]])
    extended, vectors = subwords.extend(texts, 6)
    assert extended.sequence(0).tolist() == [1, 5, 6, 4] and extended.sequence(1).tolist() == [1, 2, 6]
    assert vectors.tolist() == [subwords.vector("goods").tolist()]  # type: ignore[union-attr]
    assert subwords.extend(Split.from_words(vocabulary, [["film"]]), 6)[1].shape == (0, 2)


def _arrays() -> dict[str, Any]:
    from rnnsent.models.ngram_weights import character_keys

    keys = character_keys("good", 3, 3)
    vectors = np.arange(2.0 * len(keys), dtype=np.float16).reshape(-1, 2)
    return {
        "lengths": np.array([3, 3]),
        "keys": keys,
        "buckets": np.arange(len(keys), dtype=np.int32),
        "vectors": vectors,
    }


ARRAYS = _arrays()


@pytest.mark.parametrize("arguments", [(), ("--set", "ensemble=[{}, {recurrent: [{cell: lstm, units: 8}]}]")])
def test_a_network_reads_mistyped_words(arguments: tuple[str, ...]) -> None:
    trained(*arguments)
    models = {backend: package.load("run", backend=backend) for backend in ("numpy", "native", "keras")}
    texts = ["wonderfull delightfull w1", "terriblee horriblee w1", "wonderful", "xq", ""]
    answers = {
        name: [answer.probabilities["good"] for answer in model.predict(texts)] for name, model in models.items()
    }
    for name in ("native", "keras"):
        assert answers[name] == pytest.approx(answers["numpy"], abs=1e-5)
    good, bad, _, unknown, _ = answers["numpy"]
    assert good > 0.6 > 0.4 > bad and bad < unknown < good
    assert pickle.loads(pickle.dumps(models["native"])).predict(texts) == models["native"].predict(texts)
    trace = models["native"].trace(texts[0])
    assert trace.probabilities["good"] == pytest.approx(good, abs=1e-5)
    assert trace.strongest(1)[0][1].word in ("wonderfull", "delightfull")
    assert rnnsent("verify", "run").exit_code == 0
    shown = json.loads(rnnsent("eval", "run", "--split", "validation", "--json").stdout)
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert shown["metrics"]["accuracy"] == metrics["validation"]["accuracy"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.vectors.trainable=true", "model.vectors.trainable: must be false with word2vec.subwords"),
        (
            "model.vectors.word2vec.subwords=[5, 3]",
            "model.vectors.word2vec.subwords: must begin with the shorter length",
        ),
        (
            "ensemble=[{}, {embedding_dim: 8}]",
            "ensemble.1.embedding_dim: has no effect under model.vectors.word2vec.sub",
        ),
        ("model.linear={characters: [4, 2]}", "model.linear.characters: must begin with the shorter length"),
    ],
)
def test_settings_that_do_not_go_together_are_said(setting: str, message: str) -> None:
    result = rnnsent("train", "gru", "--data", table("t.csv"), "--set", f"model.vectors={VECTORS}", "--set", setting)
    assert result.exit_code == 1 and message in result.stderr


def test_reviews_of_imdb_are_spelled_by_their_word_index() -> None:
    folder = write_imdb(Path("imdb")).parent
    settings = ["--set", f"model.vectors={VECTORS}", "--set", "model.embedding_dim=8", "--set", "data.num_words=40"]
    result = rnnsent("train", "gru", "--data", str(folder), "--epochs", "1", "--run-dir", "run", *settings)
    assert result.exit_code == 0, result.stderr
    assert Path("run/subwords.safetensors").is_file() and rnnsent("eval", "run").exit_code == 0
