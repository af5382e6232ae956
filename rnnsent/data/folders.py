"""Texts in files of their own: a folder for each label, and the original IMDB reviews, as a folder or an archive.

Source: Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011: `train|test/{pos,neg}/<id>_<rating>.txt`
and `urls_{pos,neg}.txt`, whose line of number id names the film.
"""

from __future__ import annotations

import logging
import re
import tarfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rnnsent.config.sections import LABELS
from rnnsent.data.download import Progress
from rnnsent.data.inputs import decoded, open_bytes, read_errors
from rnnsent.data.labels import SPLITS
from rnnsent.data.records import Record, RecordSource
from rnnsent.errors import DataError, count

logger = logging.getLogger(__name__)

_REVIEW = re.compile(r"(?:.*/)?(train|test)/(neg|pos|unsup)/([0-9]{1,9})_([0-9]{1,3})\.txt")
_URLS = re.compile(r"(?:.*/)?(train|test)/urls_(neg|pos|unsup)\.txt")
_NAMES = dict(zip(("neg", "pos"), LABELS, strict=True))


def folder_source(root: Path, encoding: str | None = None) -> RecordSource:
    """Return the text files in folders of their labels, which may be in `train`, `test` and so on; UTF-8 by default."""
    inside = [path for path in _visible(root) if path.is_dir()]
    splits = {folder: SPLITS[folder.name.lower()] for folder in inside if folder.name.lower() in SPLITS}
    labels = {label: split for folder, split in splits.items() for label in _visible(folder)} or dict.fromkeys(inside)
    files = {
        path: split
        for label, split in labels.items()
        if label.is_dir()
        for path in _visible(label)
        if path.suffix.lower() == ".txt"
    }
    beside = [path for path in inside if splits and path not in splits]
    others = sum(path.is_file() and not path.name.startswith(".") for path in root.rglob("*")) - len(files)
    if files and (beside or others):
        where = f", such as those in {beside[0].name}, which is beside train or test" if beside else ""
        logger.warning("%s: %s not read: no .txt, or in no folder of a label%s", root, count(others, "file"), where)
    if not files:
        raise DataError(
            f"{root}: holds no texts: a folder for each label with .txt files in it is needed, or the same inside "
            "train/ and test/; a single table is named itself, not its folder"
        )
    folders = ", ".join(dict.fromkeys(path.parent.relative_to(root).as_posix() for path in files))

    def records(progress: Progress | None) -> Iterator[Record]:
        contents = _contents(list(files), root.name, progress)
        for (path, split), (place, content) in zip(files.items(), contents, strict=True):
            file = path.relative_to(root).as_posix()
            yield Record(place, decoded(content, encoding, place), path.parent.name, split, file=file)

    return RecordSource(list(files), {"format": "folder", "encoding": encoding or "utf-8", "folders": folders}, records)


def _visible(folder: Path) -> list[Path]:
    with read_errors(folder):
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def is_aclimdb(path: Path) -> bool:
    """Return whether `path` is the folder of the original reviews, or has the name of an archive."""
    if path.is_dir():
        return (path / "train" / "urls_pos.txt").is_file() and (path / "train" / "pos").is_dir()
    return path.name.endswith((".tar.gz", ".tgz"))


def aclimdb_source(path: Path, *, by_rating: bool = False, unlabeled: bool = False) -> RecordSource:
    """Return the original reviews, each with its film as its group.

    Args:
        path: the folder `aclImdb`, or `aclImdb_v1.tar.gz`, which is read as a stream.
        by_rating: whether the label is the rating, "1" … "10".
        unlabeled: whether the 50,000 unlabeled ones are read too.
    """
    paths, contents, place = [path], partial(_archive, path, unlabeled), f"{path}: "
    if path.is_dir():
        files = [*path.glob("t*/*/*.txt"), *path.glob("t*/urls_*.txt")]
        paths = sorted((file for file in files if _is_read(file.as_posix(), unlabeled)), key=_by_number)
        contents, place = partial(_contents, paths, path.name), ""
    films: dict[str, list[str]] = {}

    def records(progress: Progress | None) -> Iterator[Record]:
        empty = True
        for name, content in contents(progress):
            text = decoded(content, None, place + name)
            if urls := _URLS.fullmatch(name):
                films[f"{urls[1]}/{urls[2]}"] = text.split()
            elif review := _REVIEW.fullmatch(name):
                empty = False
                split, folder, number, rating = review.groups()
                label = None if folder == "unsup" else rating if by_rating else _NAMES[folder]
                group, stars = f"{split}/{folder}/{number}", int(rating) if label else 0
                file = f"{split}/{folder}/{number}_{rating}.txt"
                yield Record(place + name, text, label, split if label else None, group, rating=stars, file=file)
        if empty:
            raise DataError(f"{path}: holds no reviews such as aclImdb/train/pos/0_9.txt")

    def group_name(group: str) -> str:
        split, folder, number = group.split("/")
        urls = films.get(f"{split}/{folder}", [])
        return urls[int(number)].removesuffix("/usercomments") if int(number) < len(urls) else group

    label = "rating, 1 to 10" if by_rating else "negative and positive"
    description = {"format": "aclimdb", "encoding": "utf-8", "labels": label, "groups": "films"}
    return RecordSource(paths, description, records, grouped=True, group_name=group_name)


def _is_read(name: str, unlabeled: bool) -> bool:
    review = _REVIEW.fullmatch(name)
    return _URLS.fullmatch(name) is not None if review is None else unlabeled or review[2] != "unsup"


def _by_number(path: Path) -> tuple[str, int, str]:
    number = path.name.partition("_")[0]
    return str(path.parent), int(number) if number.isdigit() else -1, path.name


def _archive(path: Path, unlabeled: bool, progress: Progress | None) -> Iterator[tuple[str, bytes]]:
    # Python's own gzip, not that of tarfile, which takes the middle of a broken file for its end.
    total = path.stat().st_size
    try:
        with open_bytes(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
            packed = getattr(unpacked, "fileobj", unpacked)
            for member in archive:
                if member.isfile() and _is_read(member.name, unlabeled):
                    stream = archive.extractfile(member)
                    assert stream is not None
                    yield member.name, stream.read()
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep all 100,000
                if progress:
                    progress(path.name, packed.tell(), total)
            while unpacked.read(1 << 20):  # to its end, where its checksum is
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: not a whole tar.gz archive: {error}") from None


def _contents(paths: list[Path], name: str, progress: Progress | None) -> Iterator[tuple[str, bytes]]:
    done, total = 0, sum(path.stat().st_size for path in paths) if progress else 0
    for path in paths:
        with read_errors(path):
            content = path.read_bytes()
        done += len(content)
        yield path.as_posix(), content
        if progress:
            progress(name, done, total)
