from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rnnsent.data.tables import open_table
from tests.conftest import REPOSITORY
from tests.fuzz.__main__ import fuzz, watched
from tests.fuzz.readers import READERS


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of overflows in what is refused afterwards
@pytest.mark.filterwarnings("ignore::UserWarning")  # NumPy's and zipfile's, of odd archives
@pytest.mark.parametrize("name", READERS)
def test_damaged_and_forged_files_are_read_or_refused(name: str) -> None:
    """The same inputs each time; `make fuzz` takes more of them."""
    found = fuzz(name, 80 if name == "config" else 200, 0, Path("files"))  # a config takes ten times as long
    assert found.failures == {}
    assert found.counts["refused"] >= 20  # else the inputs are not odd at all
    assert found.counts["accepted"] or name == "manifest"  # or they do not come far; one vouches for itself


@pytest.mark.parametrize("name", READERS)
def test_what_is_fuzzed_is_read_when_it_is_whole(name: str) -> None:
    reader = READERS[name]
    for content in reader.whole:
        path = Path("whole", reader.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if reader.file.startswith("t.") and name != "tar":  # what is fuzzed is read in ways that do not fit it as well
            assert open_table(path).columns == ("text", "label", "split")
        elif name != "manifest":  # which lists files that are not there
            reader.read(path)


CRASHING = """
import os, sys
from dataclasses import replace
from tests.fuzz import __main__ as fuzzing

def read(path):
    if path.stat().st_size % 2:
        os.kill(os.getpid(), 11)

fuzzing.READERS["csv"] = replace(fuzzing.READERS["csv"], read=read)
sys.exit(fuzzing.main())
"""


@pytest.mark.slow
def test_a_crash_is_noticed_and_the_rest_is_fed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    found = watched("csv", 12, 0, Path.cwd(), (sys.executable, "-c", CRASHING))
    assert list(found.failures) == ["killed by SIGSEGV"]
    assert len(found.failures["killed by SIGSEGV"]) % 2
    assert 1 <= found.counts["failures"] < 12 and found.counts.total() == 12


def test_a_fuzzer_that_cannot_run_is_not_taken_for_one_that_finds_nothing() -> None:
    with pytest.raises(RuntimeError, match="csv: the fuzzer ended with 3"):
        watched("csv", 12, 0, Path.cwd(), (sys.executable, "-c", "raise SystemExit(3)"))
