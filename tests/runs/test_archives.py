from __future__ import annotations

import io
import json
import resource
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rnnsent.runs.artifacts import read_arrays

from rnnsent import json_files as jsonfile
from rnnsent.errors import RunError
from rnnsent.runs import archives

ARRAYS: dict[str, Any] = {
    "layer/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "nothing": np.zeros((0, 3), np.int64),
    "scalar": np.array(7, np.uint8),
    "swapped": np.arange(3, dtype=">i4"),
    "truth": np.array([True, False]),
}


def written(arrays: dict[str, Any], save: Any = np.savez) -> Path:
    save("a.npz", **arrays)
    return Path("a.npz")


def test_arrays_are_those_of_np_load() -> None:
    found = archives.read(written(ARRAYS))
    with np.load("a.npz") as expected:
        assert list(found) == expected.files
        for name in expected.files:
            np.testing.assert_array_equal(found[name], expected[name])
            assert (found[name].dtype, found[name].flags.writeable) == (expected[name].dtype, True)
    again = archives.read(io.BytesIO(Path("a.npz").read_bytes()))
    np.testing.assert_array_equal(again["turned"], ARRAYS["turned"])


def member(header: bytes, body: bytes = b"", name: str = "a.npy", packing: int = zipfile.ZIP_STORED) -> Path:
    header += b"\n"
    with zipfile.ZipFile("a.npz", "w", packing) as archive:
        archive.writestr(name, b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + body)
    return Path("a.npz")


def described(shape: str, dtype: str = "<f4") -> bytes:
    return f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()


@pytest.mark.parametrize(
    ("shape", "dtype", "reason"),
    [
        ("(100000000000,)", "<f4", "the shape of a.npy is not one of weights"),
        ("(1000000000,)", "<f4", "(1000000000,) of <f4 is 4,000,000,000 bytes, and 8 are there"),
        ("(4294967296, 4294967296)", "<f4", "and 8 are there"),  # whose product NumPy takes for 0
        ("(1,)", "<f4", "(1,) of <f4 is 4 bytes, and 8 are there"),
        ("(2,)", "|O", "a.npy is not an array of plain numbers"),
        ("(2,)", "<U1", "a.npy is not an array of plain numbers"),
        ("(2,)", "<i1", None),
        ("(" * 900, "<f4", "a.npy is not an array of plain numbers"),
        ("(" + "1, " * 200 + ")", "<f4", "the shape of a.npy is not one of weights"),
        (f"({'9' * 600},)", "<f4", "the shape of a.npy is not one of weights"),
    ],
)
def test_a_header_that_is_not_true_is_refused(shape: str, dtype: str, reason: str | None) -> None:
    path = member(described(shape, dtype), bytes(2 if reason is None else 8))
    if reason is None:
        assert read_arrays(path)["a"].shape == (2,)
        return
    with pytest.raises(RunError) as raised:
        read_arrays(path)
    assert str(raised.value).startswith("a.npz: cannot be read: ") and reason in str(raised.value)


def test_a_member_that_would_swell_is_refused_before_it_does() -> None:
    """keras#23016: 400 MB in 400 KB."""
    path = member(described("(100000000,)"), bytes(400_000_000), packing=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 500_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RunError, match=r"its member a\.npy is packed, which rnnsent never does"):
        read_arrays(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


def test_sizes_in_the_list_of_members_are_not_believed() -> None:
    content = bytearray(written({"a": np.zeros(9, np.float32)}).read_bytes())
    at = content.rindex(b"PK\1\2") + 20
    content[at : at + 8] = (1 << 30).to_bytes(4, "little") * 2
    Path("a.npz").write_bytes(content)
    with pytest.raises(RunError, match=r"its members claim 1,073,741,824 bytes of its \d+"):
        read_arrays(Path("a.npz"))


@pytest.mark.parametrize("name", ["a.txt", "a", "\x1b[31m.npy", "a.npy/"])
def test_members_are_arrays_with_plain_names(name: str) -> None:
    with pytest.raises(RunError, match="is not an array"):
        read_arrays(member(described("(2,)"), bytes(8), name))


def test_damage_is_named_and_pickles_are_not_read() -> None:
    whole = written(ARRAYS).read_bytes()
    for content in (
        b"",
        b"PK",
        whole[:-9],
        whole[:60] + b"\xff" * 40 + whole[100:],
        whole.replace(b"PK\1\2", b"PK\1\3"),
    ):
        Path("a.npz").write_bytes(content)
        with pytest.raises(RunError, match=r"a\.npz: cannot be read: ."):
            read_arrays(Path("a.npz"))
    with pytest.raises(RunError, match="not an array of plain numbers"):
        read_arrays(written({"a": np.array([Path(), 1], object)}))


def test_an_archive_larger_than_any_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 100)
    with pytest.raises(RunError, match=r"bytes, 100 are allowed"):
        read_arrays(written(ARRAYS))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "it is nested too deeply"),
        ('{"a":' * 100_000, "it is nested too deeply"),
        (f"[{'9' * 5000}]", "4300 digits"),
        ("[NaN]", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        (r'{"a": "\ud83d"}', "it holds half a character"),
    ],
)
def test_json_is_bounded(text: str, reason: str) -> None:
    Path("a.json").write_text(text)
    with pytest.raises(ValueError, match=reason):
        jsonfile.read_json(Path("a.json"))


def test_json_may_write_a_character_in_two_halves() -> None:
    Path("a.json").write_text(r'"\ud83d\ude00"')
    assert jsonfile.read_json(Path("a.json")) == "😀"


def test_a_json_file_is_not_read_where_it_is_too_large() -> None:
    Path("a.json").write_text(json.dumps(list(range(100))))
    with pytest.raises(ValueError, match="it has 390 bytes, 100 are allowed"):
        jsonfile.read_json(Path("a.json"), limit=100)
