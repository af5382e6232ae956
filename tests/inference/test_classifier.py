"""Texts in, answers out: the same ones as for the reviews that the network was trained and evaluated on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnsent as package
from rnnsent.data import sample
from rnnsent.data.sources import load_sample
from rnnsent.data.vocabulary import Vocabulary
from rnnsent.errors import RunError
from rnnsent.runs.registry import open_run
from tests.conftest import rnnsent


@pytest.fixture(scope="module")
def run(sample_run: Path) -> Path:
    assert rnnsent("eval", str(sample_run)).exit_code == 0
    return sample_run


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [review.text for review in sample.generate_reviews(sample.TEST_REVIEWS, sample.TEST_SEED)]


def test_texts_get_the_answers_that_eval_gave_to_their_reviews(run: Path, texts: list[str]) -> None:
    rows = [line.split(",") for line in (run / "evaluations" / "test-predictions.csv").read_text().splitlines()[1:]]
    answers = package.load(run).predict(texts)
    assert len(answers) == len(rows) == 2000
    found = [answer.probabilities["positive"] for answer in answers]
    np.testing.assert_allclose(found, [float(row[3]) for row in rows], rtol=0, atol=1e-6)
    assert [answer.label for answer in answers] == [row[2] for row in rows]
    assert {answer.truncated for answer in answers} == {True, False}


@pytest.mark.parametrize("backend", ["numpy", "keras"])
def test_backends_agree_and_company_changes_nothing(run: Path, texts: list[str], backend: str) -> None:
    expected = package.load(run).predict(texts[:50])
    other = package.load(run, backend=backend)
    alone = [other.predict([text])[0] for text in texts[:5]]
    for answer, wanted in zip([*other.predict(texts[:50]), *alone], [*expected, *expected[:5]], strict=True):
        assert answer.probability == pytest.approx(wanted.probability, abs=1e-5)
    again = [package.load(run).predict([text])[0] for text in texts[:20]]
    assert again == expected[:20]


def test_what_an_answer_says_of_its_text(run: Path) -> None:
    known = open_run(run).file("vocabulary.json")
    word = Vocabulary.load(known).words[0]
    blank, strange, mixed, long = package.load(run).predict(["", "zzyzx qwrtp", f"{word} zzyzx", f"{word} " * 100])
    assert (blank.unknown_share, blank.truncated) == (1.0, False)
    assert (strange.unknown_share, mixed.unknown_share, long.unknown_share) == (1.0, 0.5, 0.0)
    assert long.truncated and not mixed.truncated
    for answer in (blank, strange, mixed, long):
        assert sum(answer.probabilities.values()) == pytest.approx(1.0)
        assert answer.probability == answer.probabilities[answer.label] >= 0.5


def test_the_name_of_a_file_is_a_text_and_that_is_said(run: Path) -> None:
    Path("new.csv").write_text("text\nlovely\n")
    found = rnnsent("predict", str(run), "new.csv", "a lovely film", "x" * 5000, "a\0b")
    assert found.exit_code == 0, found.stderr
    assert len(found.stdout.splitlines()) == 4
    told = [line for line in found.stderr.splitlines() if "is a file" in line]
    assert told == ["new.csv is a file, and its name was read as a text; --input new.csv reads the file"]


def test_predict_prints_a_line_a_text(run: Path, texts: list[str]) -> None:
    by_argument = rnnsent("predict", str(run), *texts[:3])
    assert by_argument.exit_code == 0, by_argument.stderr
    assert [line.split("\t")[0] for line in by_argument.stdout.splitlines()] == [
        answer.label for answer in package.load(run).predict(texts[:3])
    ]
    # A byte order mark, carriage returns, a blank line, U+0085 inside a line, and no line feed at the end.
    Path("lines.txt").write_bytes("\ufeff".encode() + f"{texts[0]}\r\n\n{texts[1]}\x85".encode())
    rows = [
        json.loads(line) for line in rnnsent("predict", str(run), "--input", "lines.txt", "--json").stdout.splitlines()
    ]
    expected = package.load(run).predict([texts[0], "", f"{texts[1]}\x85"])
    numbered = [{"row": number, **answer.to_dict()} for number, answer in enumerate(expected, start=1)]
    assert rows == json.loads(json.dumps(numbered))
    assert "(100% unknown words)" in rnnsent("predict", str(run), "zzyzx").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "or --input FILE"),
        (["text", "--input", "-"], 2, "or --input FILE"),
        (["--input", "missing.txt"], 1, "missing.txt: no such file"),
        (["--input", "."], 1, ".: is a folder, not a file of texts"),
        (["--input", "latin.txt"], 1, "latin.txt:2: is not UTF-8 text (byte 0xe9)"),
    ],
)
def test_wrong_uses_of_predict(run: Path, arguments: list[str], code: int, message: str) -> None:
    Path("latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    result = rnnsent("predict", str(run), *arguments)
    assert result.exit_code == code and message in result.stderr


@pytest.mark.parametrize("command", ["predict", "trace"])
def test_a_text_without_its_run_is_told_where_the_run_goes(command: str) -> None:
    result = rnnsent(command, "It's a nice kettle")
    assert result.exit_code == 2
    assert """no such run: 'It'"'"'s a nice kettle'; RUN comes before TEXT""" in result.stderr


def test_a_run_without_words_cannot_read(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnsent.inference.classifier.Vocabulary.load", lambda path: Vocabulary(()))
    with pytest.raises(RunError, match=r"trained without imdb_word_index\.json"):
        package.load(finished_run)


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rnnsent", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_predict_from_a_pipe_without_any_framework(run: Path, texts: list[str]) -> None:
    Path("block").mkdir()
    for name in ("tensorflow", "keras", "matplotlib"):
        Path(f"block/{name}.py").write_text("raise ImportError('must not be needed')")
    environment = os.environ | {"PYTHONPATH": str(Path("block").resolve())}
    done = process("predict", str(run), "--input", "-", env=environment, input="\n".join(texts[:2]) + "\n")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


KINDS = ("Config", "Data", "Device", "Rnnsent", "Run", "Training")  # of errors


def test_the_package_has_what_it_offers() -> None:
    functions = {"compare", "evaluate", "load", "report", "suspects", "train"}
    errors = {"DataUnavailable", "Interrupted", *(f"{kind}Error" for kind in KINDS)}
    assert set(package.__all__) == {"Vocabulary", "__version__", *functions, *errors}
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        package.laod  # noqa: B018


def test_sample_reviews_and_texts_have_the_same_ids(texts: list[str]) -> None:
    dataset = load_sample()
    for index in range(0, 2000, 97):
        np.testing.assert_array_equal(
            dataset.vocabulary.encode(texts[index]), dataset.rows.take(dataset.indices["test"]).sequence(index)
        )
