"""The linear part of a model: n-grams of words and characters, mixed with the network."""

from __future__ import annotations

import json
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

import rnnsent as package
from rnnsent.config.sections import LinearConfig
from rnnsent.data.dataset import Split
from rnnsent.data.tokenizer import FIRST_WORD
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import DataError
from rnnsent.inference.calibration import best_weight
from rnnsent.models.linear import blend, fit_linear
from rnnsent.models.ngram_weights import character_keys
from tests.conftest import rnnsent

GOOD, BAD = ["lovely", "splendid", "superb", "charming"], ["dreadful", "horrid", "dismal", "tedious"]


def table(name: str, labels: tuple[str, ...] = ("bad", "good"), number: int = 240) -> str:
    rng = np.random.default_rng(0)
    lines = ["text,label,split"]
    for n in range(number):
        words = BAD if n % len(labels) == 0 else GOOD if n % len(labels) == 1 else ["so so", "average", "plain"]
        fill = " ".join(f"w{word}" for word in rng.integers(0, 40, 6))
        split = ("test" if n % 5 == 0 else "validation") if n % 5 < 2 else "train"
        lines.append(f"{fill} {words[int(rng.integers(len(words)))]} w{n % 7},{labels[n % len(labels)]},{split}")
    Path(name).write_text("\n".join(lines) + "\n")
    return name


def trained(path: str, run: str = "run", **linear: Any) -> dict[str, Any]:
    settings = ["--set", f"model.linear={json.dumps(linear)}", "--set", "model.embedding_dim=8"]
    result = rnnsent("train", "gru", "--data", path, "--epochs", "2", "--run-dir", run, "--json", *settings)
    assert result.exit_code == 0, result.stderr
    values: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return values


def split_of(texts: list[str], labels: list[int], vocabulary: Vocabulary) -> Split:
    return Split.from_words(vocabulary, [text.split() for text in texts], np.array(labels, np.int64))


def expected(texts: list[str], labels: list[int], asked: list[str], strength: float) -> np.ndarray[Any, Any]:
    """Compute by scikit-learn and sets of strings what the linear part predicts."""

    def words(text: str) -> set[str]:
        tokens = ["‹start›", *text.split()]
        return {*tokens, *(" ".join(pair) for pair in pairwise(tokens))}

    def characters(text: str) -> set[str]:
        spaced = [f" {word} " for word in text.split()]
        return {word[at : at + n] for word in spaced for n in (2, 3) for at in range(len(word) - n + 1)}

    real, blocks = np.array(labels) == 1, []
    for kind in (words, characters):
        found = [kind(text) for text in texts]
        names = sorted({name for held in found for name in held if sum(name in other for other in found) >= 2})

        def counted(rows: list[set[str]], names: list[str] = names) -> np.ndarray[Any, Any]:
            return np.array([[name in row for name in names] for row in rows], float)

        matrix, other = counted(found), counted([kind(text) for text in asked])
        here, there = 1 + matrix[real].sum(axis=0), 1 + matrix[~real].sum(axis=0)
        ratios = np.log(here / here.sum()) - np.log(there / there.sum())
        blocks.append((normalize(matrix * ratios), normalize(other * ratios)))
    train, test = (sparse.csr_matrix(np.concatenate(parts, axis=1)) for parts in zip(*blocks, strict=True))
    model = LogisticRegression(C=strength, solver="liblinear", dual=True, max_iter=2000, random_state=0)
    probabilities: np.ndarray[Any, Any] = model.fit(train, real).predict_proba(test)[:, 1]
    return probabilities


def test_probabilities_equal_scikit_learn_on_the_same_ngrams() -> None:
    texts = [line.split(",")[0] for line in Path(table("t.csv")).read_text().splitlines()[1:81]]
    labels = [n % 2 for n in range(80)]
    vocabulary = Vocabulary(tuple(sorted({word for text in texts[:60] for word in text.split()})), oov="unknown")
    asked = [*texts[60:], "a lovly w3", "", "zzz", "w1 w1 w1"]
    config = LinearConfig(orders=2, characters=(2, 3), strength=1.0)
    held_out = [np.arange(0, 20), np.arange(40, 55)]
    model, predicted = fit_linear(split_of(texts[:60], labels[:60], vocabulary), held_out, 2, config)
    found = model.probabilities(split_of(asked, [0] * len(asked), vocabulary))
    assert found == pytest.approx(expected(texts[:60], labels[:60], asked, 1.0), abs=2e-4)
    for rows, part in zip(held_out, np.split(predicted, [20]), strict=True):  # by a model that was not fitted on them
        others = np.setdiff1d(np.arange(60), rows).tolist()
        reference = expected([texts[n] for n in others], [labels[n] for n in others], [texts[n] for n in rows], 1.0)
        assert part == pytest.approx(reference, abs=2e-4)


@pytest.mark.parametrize(("labels", "ends"), [(("bad", "good"), False), (("bad", "good", "plain"), True)])
def test_train_eval_predict_and_trace_use_both_parts(labels: tuple[str, ...], ends: bool) -> None:
    metrics = trained(table("t.csv", labels))
    assert 0 <= metrics["linear"]["weight"] <= 1 and metrics["linear"]["ngrams"] > 100
    assert [part["name"] for part in metrics["parts"]] == ["network", "linear part"]
    assert metrics["parts"][1]["accuracy"]["value"] > 0.9  # one word decides; the network had two epochs
    best = max(part["accuracy"]["value"] for part in metrics["parts"])
    assert metrics["validation"]["accuracy"]["value"] >= best - 0.05
    shown = rnnsent("eval", "run")
    assert shown.exit_code == 0 and "the linear part alone" in shown.stdout
    as_json = json.loads(rnnsent("eval", "run", "--json").stdout)
    assert {part["name"] for part in as_json["parts"]} == {"network", "linear part"}
    model = package.load("run")
    text = "w1 splendid w2 unheardof"
    [prediction] = model.predict([text])
    trace = model.trace(text)
    assert trace.probabilities == pytest.approx(prediction.probabilities, abs=1e-5)
    assert trace.strongest(1)[0][1].word == "splendid"
    if not ends:
        with pytest.raises(DataError, match="linear part; occlusion is"):
            model.trace(text, "integrated-gradients")


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_weight_can_be_given_and_one_part_can_have_it_all(weight: float) -> None:
    metrics = trained(table("t.csv"), weight=weight, strength=1.0)
    differences = [part["difference"]["value"] for part in metrics["parts"]]
    assert metrics["linear"] == {"ngrams": metrics["linear"]["ngrams"], "strength": 1.0, "weight": weight}
    assert differences[1 if weight else 0] == 0


def test_unknown_words_are_read_by_their_characters() -> None:
    trained(table("t.csv"), weight=1.0)
    model = package.load("run")
    known, mistyped, other = model.predict(["splendid", "splendidd", "xyzzyx"])
    assert known.label == mistyped.label == "good" and mistyped.unknown_share == 1
    assert mistyped.probability > other.probability and mistyped.probability > 0.6


def test_a_resumed_run_has_the_same_linear_part() -> None:
    trained(table("t.csv"))
    other = rnnsent("train", "gru", "--data", "t.csv", "--epochs", "1", "--run-dir", "other",
                    "--set", "model.linear={}", "--set", "model.embedding_dim=8")  # fmt: skip
    assert other.exit_code == 0, other.stderr
    assert rnnsent("train", "--resume", "other", "--epochs", "2").exit_code == 0
    assert Path("run/linear.safetensors").read_bytes() == Path("other/linear.safetensors").read_bytes()


def test_blends_are_between_their_parts_and_the_best_weight_is_found() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 400)
    sure = np.full((400, 3), 0.1, np.float32)
    sure[np.arange(400), labels] = 0.8
    noise = rng.dirichlet([1, 1, 1], 400).astype(np.float32)
    assert best_weight(labels, sure, noise) <= 0.1 and best_weight(labels, noise, sure) >= 0.9
    half = blend(sure, noise, 0.5)
    reference = np.sqrt(sure * noise)
    assert half == pytest.approx(reference / reference.sum(axis=1, keepdims=True), abs=1e-5)
    two = blend(sure[:, 0], noise[:, 0], 0.25)
    odds = (sure[:, 0] / (1 - sure[:, 0])) ** 0.75 * (noise[:, 0] / (1 - noise[:, 0])) ** 0.25
    assert two == pytest.approx(odds / (1 + odds), abs=1e-5)


def test_characters_are_those_of_the_word_between_spaces() -> None:
    assert len(character_keys("ab", 2, 3)) == 5  # " a", "ab", "b ", " ab", "ab "
    assert set(character_keys("ab", 2, 2)) < set(character_keys("abc", 2, 5)) | set(character_keys("ab", 2, 5))
    assert FIRST_WORD == 4


def test_without_scikit_learn_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnsent.models.ngram_weights.installed", lambda name: False)
    result = rnnsent("train", "gru", "--data", table("t.csv", number=99), "--epochs", "1", "--run-dir", "run",
                     "--set", "model.linear={}")  # fmt: skip
    assert result.exit_code == 1 and "needs scikit-learn: pip install 'rnnsent[baseline]'" in result.stderr


def test_a_pickled_classifier_keeps_its_linear_part() -> None:
    trained(table("t.csv"), weight=1.0)
    model = package.load("run")
    texts = ["splendidd w1", "dreadful w2"]
    assert pickle.loads(pickle.dumps(model)).predict(texts) == model.predict(texts)
