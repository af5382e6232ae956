"""`rnnsent trace`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rnnsent as package
from rnnsent.data import sample
from rnnsent.data.tokenizer import imdb_words
from tests.conftest import rnnsent


@pytest.fixture(scope="module")
def run(sample_run: Path) -> Path:
    return sample_run


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [review.text for review in sample.generate_reviews(20, sample.TEST_SEED)]


def traced(run: Path, *arguments: str) -> dict[str, Any]:
    result = rnnsent("trace", str(run), *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) == 1
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rnnsent", "trace", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_the_answer_is_that_of_predict(run: Path, texts: list[str]) -> None:
    answers = package.load(run).predict(texts)
    assert {answer.truncated for answer in answers} == {True, False}
    for text, answer in zip(texts, answers, strict=True):
        found = traced(run, text)
        assert found["label"] == answer.label
        assert found["probability"] == pytest.approx(answer.probability, abs=1e-6)
        assert found["words"][-1]["probabilities"] == found["probabilities"]
        assert len(found["words"]) <= 40
        assert len(found["words"]) + found["truncated"] == len(imdb_words(text))


def test_a_text_can_come_from_standard_input_or_a_file(run: Path, texts: list[str]) -> None:
    Path("text.txt").write_bytes(b"\xef\xbb\xbf" + texts[0].replace(" ", "\n", 2).encode())
    expected = traced(run, texts[0])
    assert traced(run, "--input", "text.txt") == expected
    for arguments in (["-"], ["--input", "-"]):
        done = process(str(run), *arguments, "--json", input=texts[0])
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == expected


def test_piped_output_has_no_escape_codes_and_fits_80_columns(run: Path, texts: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "COLUMNS")}
    done = process(str(run), " ".join(texts[:3]), env=environment | {"TERM": "xterm-256color"})
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout and done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "cut off by data.maxlen" in done.stdout


def test_page_and_plot_are_written_and_said(run: Path, texts: list[str]) -> None:
    Path("new").mkdir()
    result = rnnsent("trace", str(run), texts[0], "--html", "new/page.html", "--png", "plot.png")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.splitlines() == ["written: new/page.html", "written: plot.png"]
    assert Path("plot.png").read_bytes().startswith(b"\x89PNG")
    label = traced(run, texts[0])["label"]
    assert f"<h1>{label} " in Path("new/page.html").read_text(encoding="utf-8")
    assert [path.name for path in Path("new").iterdir()] == ["page.html"]


@pytest.mark.parametrize("backend", ["numpy", "keras"])
def test_backends_agree(run: Path, texts: list[str], backend: str) -> None:
    expected, found = traced(run, texts[0]), traced(run, texts[0], "--backend", backend)
    for one, other in zip(found["words"], expected["words"], strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)
        assert one["contributions"] == pytest.approx(other["contributions"], abs=1e-3)


def test_integrated_gradients_sum_to_the_difference_of_logits(run: Path, texts: list[str]) -> None:
    found = traced(run, texts[0], "--method", "both")
    facts = found["integrated_gradients"]
    values = [word["contributions"]["integrated_gradients"] for word in found["words"]]
    assert sum(values) == pytest.approx(facts["logit"] - facts["baseline_logit"], rel=0.01, abs=1e-3)


def test_unknown_words_are_marked(run: Path) -> None:
    result = rnnsent("trace", str(run), "zzyzx qwrtp")
    assert result.exit_code == 0, result.stderr
    assert "‹zzyzx›" in result.stdout
    assert "none of the words is known to the network" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give TEXT (- is stdin), or --input FILE"),
        (["text", "--input", "text.txt"], 2, "not both"),
        (["text", "--method", "gradients"], 2, "'gradients' is not one of"),
        ([""], 1, "the text has no words"),
        (["--input", "empty.txt"], 1, "the text has no words"),
        (["--input", "missing.txt"], 1, "missing.txt: cannot be read: No such file or directory"),
        (["--input", "."], 1, ".: cannot be read: Is a directory"),
        (["--input", "latin.txt"], 1, "latin.txt: is not UTF-8 text, at byte 9"),
        (["caf\udce9"], 1, "TEXT: is not UTF-8 text, at byte 4"),
        (["good film", "--html", "folder.html"], 1, "folder.html: cannot be written: Is a directory"),
        (["good film", "--html", "texts.csv"], 1, "texts.csv: unknown output format; use .html or .htm"),
        (["good film", "--html", "latin.txt/page.html"], 1, "latin.txt/page.html: there is no folder latin.txt"),
        (["good film", "--png", "/proc/plot.png"], 1, "/proc/plot.png: cannot be written:"),
    ],
)
def test_wrong_uses(run: Path, arguments: list[str], code: int, message: str) -> None:
    Path("latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    Path("empty.txt").touch()
    Path("folder.html").mkdir()
    result = rnnsent("trace", str(run), *arguments)
    assert result.exit_code == code and message in result.stderr
    assert "Traceback" not in result.stderr and "fault of rnnsent" not in result.stderr
