"""The original IMDB reviews: the folder `aclImdb`, or `aclImdb_v1.tar.gz`, read as a stream and never unpacked.

Source: Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011: `train|test/{pos,neg}/<id>_<rating>.txt`
and `urls_{pos,neg}.txt`, whose line of number id names the film.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from rnnsent.config import LABELS
from rnnsent.data.download import Progress
from rnnsent.data.folders import MAX_BYTES, decoded, read_bytes
from rnnsent.data.gzip_reader import open_gzip
from rnnsent.data.table_source import Record
from rnnsent.errors import DataError

_REVIEW = re.compile(r"(?:.*/)?(train|test)/(neg|pos|unsup)/([0-9]{1,9})_([0-9]{1,3})\.txt")
_URLS = re.compile(r"(?:.*/)?(train|test)/urls_(neg|pos|unsup)\.txt")
MAX_HEADER = 1 << 16  # of a long name or a list of attributes
_HEADERS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
)  # fmt: skip
_NAMES = dict(zip(("neg", "pos"), LABELS, strict=True))


def is_aclimdb(path: Path) -> bool:
    """Return whether `path` is the folder, or has the name of the archive."""
    if path.is_dir():
        return (path / "train" / "urls_pos.txt").is_file() and (path / "train" / "pos").is_dir()
    return path.name.endswith((".tar.gz", ".tgz"))


@dataclass(frozen=True)
class AclImdbSource:
    """The reviews, the labeled ones each with its film as its group.

    Attributes:
        path: folder or archive.
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
        """The archive, or the files that are read of the folder, in order."""
        return [self.path / name for name in self._names()] if self.path.is_dir() else [self.path]

    def describe(self) -> dict[str, str]:
        """Return what is read as label and as group."""
        label = "rating, 1 to 10" if self.by_rating else "negative and positive"
        return {"format": "aclimdb", "encoding": "utf-8", "labels": label, "groups": "films"}

    def records(self, progress: Progress | None = None) -> Iterator[Record]:
        """Yield the 50,000 labeled reviews, and the 50,000 unlabeled ones where they are asked for."""
        self._films.clear()
        found = 0
        for name, content in self._contents(progress):
            urls = _URLS.fullmatch(name)
            if urls is not None:
                self._films[f"{urls[1]}/{urls[2]}"] = decoded(content, None, name).split()
            review = self._review(name)
            if review is None:
                continue
            found += 1
            split, folder, number, rating = review.groups()
            text = decoded(content, None, f"{self.path}: {name}")
            group = f"{split}/{folder}/{number}"
            if folder == "unsup":
                yield Record(f"{self.path}: {name}", text, None, group=group)
                continue
            label = rating if self.by_rating else _NAMES[folder]
            yield Record(f"{self.path}: {name}", text, label, split, group, rating=int(rating))
        if not found:
            raise DataError(f"{self.path}: holds no reviews such as aclImdb/train/pos/0_9.txt")

    def _review(self, name: str) -> re.Match[str] | None:
        review = _REVIEW.fullmatch(name)
        return review if review is None or self.unlabeled or review[2] != "unsup" else None

    def group_name(self, group: str) -> str:
        """Return the address of the film of a review, known once the list of films has been read."""
        split, folder, number = group.split("/")
        films = self._films.get(f"{split}/{folder}", [])
        return films[int(number)].removesuffix("/usercomments") if int(number) < len(films) else group

    def _names(self) -> list[str]:
        """Return the names inside the folder that are read, in order."""
        files = (path.relative_to(self.path).as_posix() for path in self.path.glob("t*/*/*.txt"))
        lists = (path.relative_to(self.path).as_posix() for path in self.path.glob("t*/urls_*.txt"))
        return sorted(
            (name for name in [*files, *lists] if self._review(name) or _URLS.fullmatch(name)), key=_by_number
        )

    def _contents(self, progress: Progress | None) -> Iterator[tuple[str, bytes]]:
        if self.path.is_dir():
            yield from self._of_folder(progress)
        else:
            yield from self._of_archive(progress)

    def _of_folder(self, progress: Progress | None) -> Iterator[tuple[str, bytes]]:
        names = self._names()
        total = sum((self.path / name).stat().st_size for name in names) if progress else 0
        done = 0
        for name in names:
            content = read_bytes(self.path / name)
            yield name, content
            done += len(content)
            if progress:
                progress(self.path.name, done, total)

    def _of_archive(self, progress: Progress | None) -> Iterator[tuple[str, bytes]]:
        # Python's own gzip, not the one of tarfile, which takes the middle of a broken file for its end.
        try:
            with open_gzip(self.path) as unpacked:
                raw: IO[bytes] = unpacked.fileobj  # type: ignore[attr-defined]  # the packed file
                total = self.path.stat().st_size
                with tarfile.open(str(self.path), "r|", unpacked, tarinfo=_Member) as archive:
                    for member in archive:
                        _require_harmless(self.path, member)
                        if member.isfile() and (self._review(member.name) or _URLS.fullmatch(member.name)):
                            stream = archive.extractfile(member)
                            assert stream is not None
                            yield member.name, stream.read()
                        archive.members.clear()  # type: ignore[attr-defined]  # it would keep all 100,000
                        if progress:
                            progress(self.path.name, raw.tell(), total)
                while unpacked.read(1 << 20):  # to its end, where its checksum is
                    pass
                if progress:
                    progress(self.path.name, total, total)
        except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError) as error:
            raise DataError(f"{self.path}: not a whole tar.gz archive: {error}") from None


class _Member(tarfile.TarInfo):
    """A member whose header is not read into memory where it is as large as no header."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        extended = self.type not in tarfile.SUPPORTED_TYPES or self.type in _HEADERS
        if self.size < 0 or (extended and self.size > MAX_HEADER):
            raise DataError(f"{archive.name!s}: refused: one of its members has a header of {self.size:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]  # not in typeshed; a test holds that it is called


def _by_number(name: str) -> tuple[str, int]:
    path = PurePosixPath(name)
    number = path.stem.partition("_")[0]
    return str(path.parent), int(number) if number.isdigit() else -1


def _require_harmless(path: Path, member: tarfile.TarInfo) -> None:
    """Refuse an archive that means harm to whoever unpacks it, though nothing is unpacked here."""
    parts = PurePosixPath(member.name).parts
    if member.name.startswith("/") or ".." in parts or not (member.isfile() or member.isdir()):
        kind = "a link or device" if not (member.isfile() or member.isdir()) else "outside of its folder"
        raise DataError(f"{path}: refused: its member {member.name!r} is {kind}")
    if member.issparse():
        raise DataError(f"{path}: refused: its member {member.name!r} is a file with holes")
    if member.size > MAX_BYTES:
        raise DataError(f"{path}: refused: its member {member.name!r} has {member.size:,} bytes")
