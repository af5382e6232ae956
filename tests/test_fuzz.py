from __future__ import annotations

from pathlib import Path

import pytest

from rnnsent.data.tables import open_table
from tests.fuzz.__main__ import fuzz
from tests.fuzz.readers import READERS


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of overflows in what is refused afterwards
@pytest.mark.filterwarnings("ignore::UserWarning")  # NumPy's and zipfile's, of odd archives
@pytest.mark.parametrize("name", READERS)
def test_damaged_and_forged_files_are_read_or_refused(name: str) -> None:
    """The same inputs each time; `make fuzz` takes more of them."""
    found = fuzz(name, 80 if name == "config" else 200, 0, Path("files"))  # a config takes ten times as long
    assert found.failures == {}
    assert found.counts["refused"] >= 20  # else the inputs are not odd at all
    assert found.counts["accepted"]  # or they do not come far


@pytest.mark.parametrize("name", READERS)
def test_what_is_fuzzed_is_read_when_it_is_whole(name: str) -> None:
    reader = READERS[name]
    for content in reader.whole:
        Path(reader.file).write_bytes(content)
        if reader.file.startswith("t."):  # what is fuzzed is read in ways that do not fit it as well
            assert open_table(reader.file).columns == ("text", "label", "split")
        else:
            reader.read(Path(reader.file))
