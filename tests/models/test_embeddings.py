"""Word vectors of others: the formats they come in, and what they become."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rnnsent.cli.options import overrides
from rnnsent.config.loader import load_config
from rnnsent.data.sources import load_dataset, load_sample
from rnnsent.data.tokenizer import FIRST_WORD
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import DataError
from rnnsent.models.embeddings import load
from rnnsent.runs.registry import open_run
from rnnsent.training.features import resolve
from tests.conftest import rnnsent

WORDS = Vocabulary(("the", "film", "fine", ". . ."))
LINES = {"film": [1.0, 2.0, 3.0], "fine": [-1.0, 0.5, 1e-2], "other": [9.0, 9.0, 9.0], ". . .": [4.0, 5.0, 6.0]}


def write(path: str, *, header: bool = False, end: str = "\n", extra: str = "", mark: str = "") -> Path:
    lines = [f"{word} {' '.join(map(str, numbers))}" for word, numbers in LINES.items()]
    text = end.join([*([f"{len(lines)} 3"] if header else []), *lines, *([extra] if extra else [])]) + end
    content = (mark + text).encode()
    Path(path).write_bytes(gzip.compress(content) if path.endswith(".gz") else content)
    return Path(path)


@pytest.mark.parametrize(
    "path",
    [
        lambda: write("glove.txt"),
        lambda: write("word2vec.txt", header=True),
        lambda: write("fasttext.vec", header=True, end=" \n"),
        lambda: write("windows.txt", end="\r\n"),
        lambda: write("glove.txt.gz"),
        lambda: write("marked.txt", mark="\ufeff"),
        lambda: write("blank.txt", header=True, extra="\n\n"),
    ],
    ids=["glove", "word2vec", "fasttext", "windows", "gzip", "byte order mark", "blank lines"],
)
def test_every_text_format_gives_the_words_their_vectors(path: object) -> None:
    found = load(path(), WORDS, 8, 3, seed=0)  # type: ignore[operator]
    assert (found.found, found.words, found.table.shape) == (3, 4, (8, 3))
    for rank, word in enumerate(WORDS.words):
        if word in LINES:
            np.testing.assert_array_equal(found.table[FIRST_WORD + rank], np.array(LINES[word], np.float32))


def test_words_without_a_vector_are_drawn_like_the_others() -> None:
    rng = np.random.default_rng(1)
    known = rng.normal(3.0, 0.5, (500, 2))
    words = tuple(f"w{number}" for number in range(2000))
    Path("v.txt").write_text("".join(f"{word} {a} {b}\n" for word, (a, b) in zip(words, known, strict=False)))
    first, again, other = (load(Path("v.txt"), Vocabulary(words), 2004, 2, seed=seed).table for seed in (0, 0, 1))
    drawn = first[504:]
    assert drawn.mean() == pytest.approx(3.0, abs=0.1) and drawn.std() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(drawn, other[504:])


def test_rows_beyond_the_embedding_and_second_lines_of_a_word_are_passed_over() -> None:
    found = load(write("v.txt", extra="film 7 7 7"), WORDS, 6, 3, seed=0)
    assert found.found == 1  # film; fine and the dots have ids from 6 on
    np.testing.assert_array_equal(found.table[5], np.array(LINES["film"], np.float32))


@pytest.mark.parametrize("text", ["7 1 2 3\nfilm 4 5 6\n", "7  1  2 3\nfilm 4 5  6\n", "2\t3\n7 1 2 3\nfilm 4 5 6\n"])
def test_the_first_word_may_be_a_number(text: str) -> None:
    Path("v.txt").write_text(text)
    found = load(Path("v.txt"), Vocabulary(("film", "7")), 6, 3, seed=0)
    np.testing.assert_array_equal(found.table[4:6], np.array([[4, 5, 6], [1, 2, 3]], np.float32))


@pytest.mark.parametrize("between", ["\t", "  ", " \t"])
def test_what_stands_between_word_and_numbers_may_be_a_tab_or_several_spaces(between: str) -> None:
    Path("v.txt").write_text(f"film{between}1\t2\t3\nfine{between}4 5 6\t\n")
    found = load(Path("v.txt"), Vocabulary(("film", "fine")), 6, 3, seed=0)
    assert found.found == 2
    np.testing.assert_array_equal(found.table[4:6], np.array([[1, 2, 3], [4, 5, 6]], np.float32))


def test_a_file_of_vectors_is_found_by_a_variable_and_from_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("there").mkdir()
    Path("there/v.txt").write_text("the 1 2 3\nfilm 4 5 6\n")
    monkeypatch.setenv("VECTORS", str(Path("there").resolve()))
    vectors = "model.vectors={path: $VECTORS/v.txt}"
    config = load_config("notebook/gru", overrides(["data.source=sample", vectors]), to_train=True)
    found = resolve(config, load_dataset(config.data)).model.vectors
    assert found is not None and found.path == str(Path("there/v.txt").resolve())
    missing = rnnsent("train", "--config", "notebook/gru", "--set", "model.vectors={path: $NOWHERE/v.txt}")
    assert missing.exit_code == 1 and "is not set (model.vectors.path)" in missing.stderr


@pytest.mark.parametrize(
    ("extra", "width", "message"),
    [
        ("", 4, r"v\.txt, line 1: has 3 numbers, not 4: set model.embedding_dim to 3, or repair the file"),
        ("the 1 2", 3, r"v\.txt, line 5: has 2 numbers, not 3: set"),
        ("the 1 x", 3, r"v\.txt, line 5: has 1 number, not 3"),
        ("the 1 2 x", 3, r"v\.txt, line 5: not a word and 3 numbers"),
        ("the 1 2 nan", 3, r"v\.txt, line 5: not all numbers are finite"),
        ("the 1 2 1e60", 3, r"v\.txt, line 5: not all numbers are finite"),
        ("the", 3, r"v\.txt, line 5: has 0 numbers, not 3: not a file of vectors\?"),
    ],
)
def test_what_is_no_file_of_vectors_is_refused(extra: str, width: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(write("v.txt", extra=extra), WORDS, 8, width, seed=0)


def test_a_file_that_cannot_be_read_or_has_none_of_the_words_is_refused() -> None:
    with pytest.raises(DataError, match=r"nowhere\.txt: cannot be read: No such file"):
        load(Path("nowhere.txt"), WORDS, 8, 3, seed=0)
    Path("broken.gz").write_bytes(gzip.compress(b"film 1 2 3\n" * 1000)[:-20])
    with pytest.raises(DataError, match=r"broken\.gz: cannot be read"):
        load(Path("broken.gz"), WORDS, 8, 3, seed=0)
    Path("cut.txt").write_text("5 3\nfilm 1 2 3\nfine 4 5 6\n")
    with pytest.raises(DataError, match=r"cut\.txt: ends after 2 of the 5 vectors that its first line names"):
        load(Path("cut.txt"), WORDS, 8, 3, seed=0)
    Path("head.txt").write_text("2 3\nfilm 1 2\nfine 4 5\n")
    with pytest.raises(DataError, match=r"head\.txt, line 2: has 2 numbers, not 3"):
        load(Path("head.txt"), WORDS, 8, 3, seed=0)
    with zipfile.ZipFile("glove.zip", "w") as archive:
        archive.writestr("glove.txt", "film 1 2 3\n")
    with pytest.raises(DataError, match=r"glove\.zip: is a zip archive: unpack it"):
        load(Path("glove.zip"), WORDS, 8, 3, seed=0)
    with pytest.raises(DataError, match="has none of the 1 words"):
        load(write("v.txt"), Vocabulary(("absent",)), 8, 3, seed=0)


CONFIG = """\
data: {source: sample, num_words: 300, maxlen: 40}
model:
  embedding_dim: 3
  vectors: {path: v.txt, trainable: TRAINABLE}
  recurrent: [{cell: gru, units: 4}]
training: {epochs: 1, batch_size: 256, learning_rate: 1e-2}
"""


def test_training_begins_with_the_vectors() -> None:
    vocabulary = load_sample().vocabulary
    Path("v.txt").write_text(f"{vocabulary.words[0]} 0.5 1 -1\n{vocabulary.words[1]} 0.25 1.5 -2\n")
    Path("c.yaml").write_text(CONFIG.replace("TRAINABLE", "false"))
    trained = rnnsent("train", "--config", "c.yaml", "--run-dir", "run", "--json")
    assert trained.exit_code == 0, trained.stderr
    assert json.loads(trained.stdout)["embeddings"]["found"] == 2
    table = open_run(Path("run")).weights()["embedding/embeddings"]
    np.testing.assert_array_equal(table[FIRST_WORD], np.array([0.5, 1, -1], np.float32))


def test_a_file_that_is_not_there_is_said_before_anything_is_read() -> None:
    Path("c.yaml").write_text(CONFIG.replace("TRAINABLE", "true"))
    found = rnnsent("train", "--config", "c.yaml", "--run-dir", "run")
    assert found.exit_code == 1 and "model.vectors.path" in found.stderr and not Path("run").exists()
    assert "no such file" in found.stderr
    folder = rnnsent("train", "--config", "c.yaml", "--run-dir", "run", "--set", "model.vectors.path=.")
    assert folder.exit_code == 1 and "is a folder: name the file of vectors in it" in folder.stderr
