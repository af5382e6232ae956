"""A folder for each label, with a text file for each review; and the same inside `train` and `test`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnsent.data.download import Progress
from rnnsent.data.labels import SPLITS
from rnnsent.data.readers import NAME_ENCODING
from rnnsent.data.table_source import Record
from rnnsent.errors import DataError
from rnnsent.files import plain_size, read_plain

MAX_BYTES = 1 << 26  # of one review; anything larger is no review


@dataclass(frozen=True)
class FolderSource:
    """Text files in a folder a label.

    Attributes:
        root: holds the folders of the labels, or `train`, `test` and so on that hold them.
        encoding: of all files; None is UTF-8.
    """

    root: Path
    encoding: str | None = None

    @property
    def grouped(self) -> bool:
        """Never."""
        return False

    @property
    def paths(self) -> list[Path]:
        """Every text file, in order."""
        return [path for _, _, files in self._labels() for path in files]

    def describe(self) -> dict[str, str]:
        """Return the folders that are read."""
        folders = ", ".join(folder.relative_to(self.root).as_posix() for _, folder, _ in self._labels())
        return {"format": "folder", "encoding": self.encoding or "utf-8", "folders": folders}

    def records(self, progress: Progress | None = None) -> Iterator[Record]:
        """Yield a record for each file; the label is the name of its folder."""
        labels = self._labels()
        total = sum(path.stat().st_size for _, _, files in labels for path in files) if progress else 0
        done = 0
        for split, folder, files in labels:
            for path in files:
                yield Record(str(path), read_text(path, self.encoding), folder.name, split)
                if progress:
                    done += path.stat().st_size
                    progress(self.root.name, done, total)

    def group_name(self, group: str) -> str:
        """Return the group itself."""
        return group

    def _labels(self) -> list[tuple[str | None, Path, list[Path]]]:
        """Return split, folder and files of each label."""
        inside = _folders(self.root)
        names = [(folder.name.lower(), folder) for folder in inside]
        splits: list[tuple[str | None, Path]] = [(SPLITS[name], folder) for name, folder in names if name in SPLITS]
        places = [(split, label) for split, folder in splits for label in _folders(folder)]
        found: list[tuple[str | None, Path, list[Path]]] = []
        for split, folder in places or [(None, folder) for folder in inside]:
            files = sorted(folder.glob("*.txt"), key=lambda path: path.name)
            if files:
                found.append((split, folder, files))
        if not found:
            raise DataError(
                f"{self.root}: holds no reviews: a folder a label with .txt files in it is needed, or the same inside "
                "train/ and test/; a single table is named itself, not its folder"
            )
        return found


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{root}: cannot be read: {error.strerror}") from None


def read_text(path: Path, encoding: str | None) -> str:
    """Return the text of one file.

    Raises:
        DataError: if it cannot be read, is too large, or is not text of this encoding.
    """
    return decoded(read_bytes(path), encoding, str(path))


def read_bytes(path: Path) -> bytes:
    """Return the bytes of one file.

    Raises:
        DataError: if it cannot be read, or is too large.
    """
    try:
        if plain_size(path) > MAX_BYTES:
            raise DataError(f"{path}: has more than {MAX_BYTES:,} bytes; one review a file is expected")
        return read_plain(path, MAX_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def decoded(content: bytes, encoding: str | None, place: str) -> str:
    """Return bytes as text; see `read_text`."""
    try:
        return content.decode(encoding or "utf-8-sig")
    except UnicodeDecodeError as error:
        given = content[error.start]
        fact = f"{place}: is not {(encoding or 'utf-8').upper()} text (byte 0x{given:02x})"
        raise DataError(f"{fact}; {NAME_ENCODING}", fact=fact) from None
    except (LookupError, ValueError):  # none of text, or one of text that cannot say where it fails
        raise DataError(f"{place}: there is no encoding called {encoding}; for example utf-8, cp1252") from None
