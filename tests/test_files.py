from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from pathlib import Path

import pytest

from rnnsent.data.cache import cache_root
from rnnsent.data.download import places
from rnnsent.files import atomic_path, sha256, write_atomic


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"\x00\xff", b"\x00\xff"), ("a\r\nb\nc\x85é", b"a\r\nb\nc\xc2\x85\xc3\xa9"), ("", b"")],
    ids=["bytes", "text", "empty"],
)
def test_content_is_written_as_it_is(content: bytes | str, expected: bytes) -> None:
    target = Path("new") / "folder" / "file.txt"
    for _ in range(2):  # where nothing was, and over what was there
        write_atomic(target, content)
        assert target.read_bytes() == expected
        assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("old", [b"old", None], ids=["old-file", "no-file"])
@pytest.mark.parametrize("error", [ValueError, OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt])
def test_a_writer_that_fails_leaves_what_was_there(
    old: bytes | None, error: BaseException | type[BaseException]
) -> None:
    Path("folder").mkdir()
    target = Path("folder/file")
    if old is not None:
        target.write_bytes(old)
    with pytest.raises(error if isinstance(error, type) else type(error)), atomic_path(target) as temporary:
        temporary.write_bytes(b"half of the new")
        raise error
    assert [path.read_bytes() for path in target.parent.iterdir()] == ([old] if old is not None else [])


def test_the_old_content_stands_until_the_block_ends() -> None:
    target = Path("model.keras")
    target.write_text("old")
    with atomic_path(target) as temporary:
        assert (temporary.parent, temporary.suffix) == (target.parent.absolute(), ".keras")
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


def test_data_reach_the_disk_before_the_rename_and_the_rename_before_the_return(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = Path("file").resolve()
    events: list[tuple[str, bytes | None]] = []

    def synced(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        events.append(("folder" if path.is_dir() else "file", target.read_bytes() if target.exists() else None))

    monkeypatch.setattr(os, "fsync", synced)
    write_atomic(target, b"new")
    assert events == [("file", None), ("folder", b"new")]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(mask: int) -> None:
    before = os.umask(mask)
    try:
        write_atomic(Path("file"), "x")
        assert Path("file").stat().st_mode & 0o777 == 0o666 & ~mask
        assert os.umask(mask) == mask  # reading it has not changed it
    finally:
        os.umask(before)


def test_a_folder_in_the_way_is_an_error_and_stays() -> None:
    Path("target").mkdir()
    Path("target/inside").write_text("kept")
    with pytest.raises(OSError, match="target"):
        write_atomic(Path("target"), "x")
    assert sorted(path.name for path in Path().rglob("*")) == ["inside", "target"]


@pytest.mark.parametrize("content", [b"", b"abc", b"x" * 1_000_000])
def test_sha256_is_that_of_all_bytes(content: bytes) -> None:
    Path("file").write_bytes(content)
    assert sha256(Path("file")) == hashlib.sha256(content).hexdigest()


def test_sha256_of_the_standard() -> None:
    """FIPS 180-2, appendix B.1."""
    Path("file").write_bytes(b"abc")
    assert sha256(Path("file")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_without_a_home_folder_the_cache_is_among_the_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("RNNSENT_CACHE", "XDG_CACHE_HOME", "KERAS_HOME", "RNNSENT_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    temporary = Path(tempfile.gettempdir())
    assert temporary in cache_root().parents
    assert all(temporary in place.parents for place in places("imdb.npz"))
