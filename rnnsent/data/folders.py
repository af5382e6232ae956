"""Texts in files of their own: a folder for each label, and the original IMDB reviews, as a folder or an archive.

Source: Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011: `train|test/{pos,neg}/<id>_<rating>.txt`
and `urls_{pos,neg}.txt`, whose line of number id names the film.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rnnsent.config import LABELS
from rnnsent.data.download import Progress
from rnnsent.data.labels import SPLITS
from rnnsent.data.readers import NAME_ENCODING, open_bytes
from rnnsent.data.records import Record, RecordSource
from rnnsent.errors import DataError

MAX_BYTES = 1 << 26  # of one text
_REVIEW = re.compile(r"(?:.*/)?(train|test)/(neg|pos|unsup)/([0-9]{1,9})_([0-9]{1,3})\.txt")
_URLS = re.compile(r"(?:.*/)?(train|test)/urls_(neg|pos|unsup)\.txt")
_NAMES = dict(zip(("neg", "pos"), LABELS, strict=True))


@dataclass(frozen=True)
class FolderSource(RecordSource):
    """Text files in a folder for each label.

    Attributes:
        root: holds the folders of the labels, or `train`, `test` and so on that hold them.
        encoding: of all files; None is UTF-8.
    """

    root: Path
    encoding: str | None = None

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
        splits = {path: split for split, _, files in self._labels() for path in files}
        for path, content in _contents(list(splits), self.root.name, progress):
            yield Record(str(path), _decoded(content, self.encoding, str(path)), path.parent.name, splits[path])

    def _labels(self) -> list[tuple[str | None, Path, list[Path]]]:
        """Return split, folder and files of each label."""
        inside = _folders(self.root)
        splits: list[tuple[str | None, Path]] = [
            (SPLITS[folder.name.lower()], folder) for folder in inside if folder.name.lower() in SPLITS
        ]
        places = [(split, label) for split, folder in splits for label in _folders(folder)]
        places = places or [(None, folder) for folder in inside]
        labels = [(split, folder, sorted(folder.glob("*.txt"))) for split, folder in places]
        if not any(files for _, _, files in labels):
            raise DataError(
                f"{self.root}: holds no texts: a folder for each label with .txt files in it is needed, or the same "
                "inside train/ and test/; a single table is named itself, not its folder"
            )
        return [label for label in labels if label[2]]


@dataclass(frozen=True)
class AclImdbSource(RecordSource):
    """The original reviews, each with its film as its group; the archive is read as a stream and never unpacked.

    Attributes:
        path: the folder `aclImdb`, or `aclImdb_v1.tar.gz`.
        by_rating: whether the label is the rating, "1" … "10", instead of negative or positive.
        unlabeled: whether the unlabeled ones are read too.
    """

    path: Path
    by_rating: bool = False
    unlabeled: bool = False
    _films: dict[str, list[str]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def grouped(self) -> bool:
        """By film."""
        return True

    @property
    def paths(self) -> list[Path]:
        """The archive, or the files of the folder that are read, in order."""
        if not self.path.is_dir():
            return [self.path]
        files = [*self.path.glob("t*/*/*.txt"), *self.path.glob("t*/urls_*.txt")]
        return sorted((file for file in files if self._reads(file.relative_to(self.path).as_posix())), key=_by_number)

    def describe(self) -> dict[str, str]:
        """Return what is read as label and as group."""
        label = "rating, 1 to 10" if self.by_rating else "negative and positive"
        return {"format": "aclimdb", "encoding": "utf-8", "labels": label, "groups": "films"}

    def records(self, progress: Progress | None = None) -> Iterator[Record]:
        """Yield the 50,000 labeled reviews, and the 50,000 unlabeled ones if they are requested."""
        self._films.clear()
        empty = True
        for name, content in self._folder(progress) if self.path.is_dir() else self._archive(progress):
            text = _decoded(content, None, f"{self.path}: {name}")
            if urls := _URLS.fullmatch(name):
                self._films[f"{urls[1]}/{urls[2]}"] = text.split()
            elif review := _REVIEW.fullmatch(name):
                empty = False
                split, folder, number, rating = review.groups()
                group = f"{split}/{folder}/{number}"
                if folder == "unsup":
                    yield Record(f"{self.path}: {name}", text, None, group=group)
                else:
                    label = rating if self.by_rating else _NAMES[folder]
                    yield Record(f"{self.path}: {name}", text, label, split, group, rating=int(rating))
        if empty:
            raise DataError(f"{self.path}: holds no reviews such as aclImdb/train/pos/0_9.txt")

    def group_name(self, group: str) -> str:
        """Return the address of the film of a review, known once the list of films has been read."""
        split, folder, number = group.split("/")
        films = self._films.get(f"{split}/{folder}", [])
        return films[int(number)].removesuffix("/usercomments") if int(number) < len(films) else group

    def _reads(self, name: str) -> bool:
        review = _REVIEW.fullmatch(name)
        return _URLS.fullmatch(name) is not None if review is None else self.unlabeled or review[2] != "unsup"

    def _folder(self, progress: Progress | None) -> Iterator[tuple[str, bytes]]:
        for path, content in _contents(self.paths, self.path.name, progress):
            yield path.relative_to(self.path).as_posix(), content

    def _archive(self, progress: Progress | None) -> Iterator[tuple[str, bytes]]:
        # Python's own gzip, not that of tarfile, which takes the middle of a broken file for its end.
        total = self.path.stat().st_size
        try:
            with open_bytes(self.path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
                packed = getattr(unpacked, "fileobj", unpacked)
                for member in archive:
                    if member.isfile() and self._reads(member.name):
                        if member.size > MAX_BYTES:
                            raise DataError(f"{self.path}: {member.name} has {member.size:,} bytes: no text")
                        stream = archive.extractfile(member)
                        assert stream is not None
                        yield member.name, stream.read()
                    archive.members.clear()  # type: ignore[attr-defined]  # it would keep all 100,000
                    if progress:
                        progress(self.path.name, packed.tell(), total)
                while unpacked.read(1 << 20):  # to its end, where its checksum is
                    pass
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise DataError(f"{self.path}: not a whole tar.gz archive: {error}") from None


def is_aclimdb(path: Path) -> bool:
    """Return whether `path` is the folder of the original reviews, or has the name of an archive."""
    if path.is_dir():
        return (path / "train" / "urls_pos.txt").is_file() and (path / "train" / "pos").is_dir()
    return path.name.endswith((".tar.gz", ".tgz"))


def _by_number(path: Path) -> tuple[str, int, str]:
    number = path.name.partition("_")[0]
    return str(path.parent), int(number) if number.isdigit() else -1, path.name


def _contents(paths: list[Path], name: str, progress: Progress | None) -> Iterator[tuple[Path, bytes]]:
    total = sum(path.stat().st_size for path in paths) if progress else 0
    done = 0
    for path in paths:
        content = _read(path)
        yield path, content
        done += len(content)
        if progress:
            progress(name, done, total)


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{root}: cannot be read: {error.strerror}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _decoded(content: bytes, encoding: str | None, place: str) -> str:
    try:
        return content.decode(encoding or "utf-8-sig")
    except UnicodeDecodeError as error:
        given = content[error.start]
        raise DataError(
            f"{place}: is not {(encoding or 'utf-8').upper()} text (byte 0x{given:02x}); {NAME_ENCODING}"
        ) from None
    except (LookupError, ValueError):
        raise DataError(f"{place}: unknown encoding {encoding}; for example utf-8, cp1252") from None
