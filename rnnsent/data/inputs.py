"""The bytes of an input: a file, packed or not, a pipe or stdin, and the encoding of the text in it."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import logging
import lzma
import shutil
import stat
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import IO, Any

from rnnsent.errors import DataError

logger = logging.getLogger(__name__)

STDIN = Path("-")
PEEK_BYTES = 1 << 16  # of a file, to find its delimiter
CHUNK = 1 << 20
ZERO = "a byte is zero"
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NO_TABLES = (
    (b"PK\x03\x04", "a zip archive, as Excel's .xlsx is: save the sheet as CSV, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "a file of an older Excel: save the sheet as CSV"),
    (b"version https://git-lfs", "a pointer of Git LFS: git lfs pull brings the file"),
    (b"<!DOCTYPE", "a web page, not a table: perhaps the download went wrong"),
    (b"ARROW1", "a Feather file: write it as Parquet, pandas.read_feather(FILE).to_parquet('texts.parquet')"),
)
# What most texts of Western Europe hold: the files that Excel and Windows write there are in cp1252.
_WESTERN = frozenset(map(chr, range(128))) | frozenset("àâäáãåæçéèêëíìîïñóòôöõøœßúùûüýÿ€£§©®°«»¡¿“”„‘’–—…·²³½¼´")
_WESTERN |= frozenset(letter.upper() for letter in "àâäáãåæçéèêëíìîïñóòôöõøœúùûüýÿ")


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What is said of a file; None is found by looking at it."""

    format: str | None = None  # a key of `readers.FORMATS`
    encoding: str | None = None  # if the file has no mark of its own and is not UTF-8
    # of CSV and TSV
    delimiter: str | None = None
    header: bool | None = None  # whether the first line names the columns
    quotes: bool | None = None  # whether quotes around a cell are not part of it
    escape: str | None = None  # the character before a delimiter or quote that is part of a cell
    skip_bad_rows: bool = False  # leave rows out that cannot be read, instead of refusing the file

    @classmethod
    def chosen(cls, values: Mapping[str, Any]) -> ReadOptions:
        """Return what `values`, of a config or a command line, say of a file; other keys are passed over."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in names and value is not None})


DEFAULTS = ReadOptions()


@contextmanager
def read_errors(name: str | Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a DataError that names it."""
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


@dataclass(frozen=True)
class Input:
    """A file, or a copy of what came through a pipe; or a pipe whose lines are read once, as they come."""

    name: str  # for messages
    path: Path  # can be opened again and again, unless there is a `pipe`
    pipe: IO[bytes] | None = field(default=None, repr=False, compare=False)
    first: bytes = field(default=b"", repr=False, compare=False)  # line of the pipe, which is already read
    copy: Any = field(default=None, repr=False, compare=False)  # the temporary file, which goes with this object

    @cached_property
    def head(self) -> bytes:
        """The first bytes; of a pipe the first line."""
        if self.pipe is not None:
            return self.first
        with self.reading() as raw:
            return raw.read(PEEK_BYTES)

    @contextmanager
    def reading(self) -> Iterator[IO[bytes]]:
        """Yield the open file, unpacked; what goes wrong while it is read is a DataError."""
        with read_errors(self.name), open_bytes(self.path) as raw:
            yield raw

    @contextmanager
    def text(self, encoding: str) -> Iterator[Any]:
        """Yield the file as text, or the lines of the pipe; lines end at line feeds, if there are any, and keep them.

        Raises:
            DataError: if it is not in this encoding.
        """
        if self.pipe is not None:
            lines = enumerate(chain([self.first], self.pipe), start=1)
            yield (decoded(line, encoding, f"{self.name}:{number}") for number, line in lines)
            return
        old_mac = b"\r" in self.head and b"\n" not in self.head
        with self.reading() as raw, io.TextIOWrapper(raw, encoding, newline="" if old_mac else "\n") as stream:
            try:
                yield stream
            except UnicodeError as error:
                raise DataError(f"{self.name}: is not {encoding.upper()} text: {error}; name its --encoding") from None


def find_input(path: str | Path, *, streaming: bool = False) -> Input:
    """Return a file, or what comes through a pipe: copied, or as it comes if it is for `streaming`.

    Args:
        path: of a file, pipe or device such as /dev/stdin; "-" is stdin.
        streaming: whether each line is of use before the next one is there.

    Raises:
        DataError: if there is no such file, or it holds no texts; with what to do.
    """
    path = Path(path)
    name = "stdin" if path == STDIN else str(path)
    try:
        if path != STDIN and path.is_dir():
            raise DataError(f"{path}: is a folder, not a file of texts")
        if path != STDIN and stat.S_ISREG(path.stat().st_mode):
            source = Input(name, path)
        else:
            pipe = sys.stdin.buffer if path == STDIN else path.open("rb")
            source = _of_pipe(name, path, pipe, streaming=streaming)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise DataError(f"{path}: {'no such file' if missing else error.strerror}") from None
    if advice := next((advice for magic, advice in NO_TABLES if source.head.startswith(magic)), None):
        raise DataError(f"{name}: is {advice}")
    return source


def _of_pipe(name: str, path: Path, pipe: IO[bytes], *, streaming: bool) -> Input:
    first = pipe.readline()
    if streaming and b"\0" not in first and not any(first.startswith(mark) for mark, _ in PACKERS):
        return Input(name, path, pipe, first)
    copy = tempfile.NamedTemporaryFile(prefix="rnnsent-")  # noqa: SIM115  # goes with the `Input`
    copy.write(first)
    shutil.copyfileobj(pipe, copy, CHUNK)
    copy.flush()
    if path != STDIN:
        pipe.close()
    return Input(name, Path(copy.name), copy=copy)


def _zstandard(path: Path) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise DataError(f"{path}: is packed with zstd, which needs pyarrow: pip install 'rnnsent[parquet]'") from None
    return pyarrow.input_stream(str(path), compression="zstd")


PACKERS: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
    (b"\x1f\x8b", gzip.GzipFile),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\0", lzma.LZMAFile),
    (b"\x28\xb5\x2f\xfd", _zstandard),
)


def open_bytes(path: Path) -> Any:
    """Open a file for reading, unpacked if it is packed by gzip, bzip2, xz or zstd, whatever it is called."""
    with read_errors(path), path.open("rb") as raw:
        magic = raw.read(6)
    unpack = next((unpack for mark, unpack in PACKERS if magic.startswith(mark)), None)
    return path.open("rb") if unpack is None else unpack(path)


def decoded(content: bytes, encoding: str | None, place: str) -> str:
    """Return a text or a line in UTF-8, if it is valid, else in `encoding`; neither is a DataError of its place."""
    for name in ("utf-8-sig", encoding or "ascii"):
        try:
            return content.decode(name)
        except UnicodeDecodeError as error:
            byte = f"byte 0x{content[error.start]:02x}"
        except (LookupError, UnicodeError):
            raise DataError(f"{place}: unknown encoding {encoding}; for example utf-8, cp1252, latin-1") from None
    raise DataError(f"{place}: is not UTF-8 text ({byte}); --encoding NAME names it")


def find_encoding(source: Input, named: str | None = None) -> str:
    """Return the encoding of a text: that of its mark, UTF-8 if all of it is, or the one that is `named`.

    Of a pipe no line but the first is known, so each is decoded by itself: see `decoded`.

    Raises:
        DataError: if it is no text, or in no encoding that is known.
    """
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=named)
    except (LookupError, ValueError):  # not one of text, such as zip, or none at all
        raise DataError(f"{source.name}: unknown encoding {named}; for example utf-8, cp1252, latin-1") from None
    marked = next((encoding for mark, encoding in MARKS if source.head.startswith(mark)), None)
    if marked is not None:
        return marked
    if source.pipe is not None:
        return named or "utf-8"
    fault = _first_fault(source, "utf-8")
    if fault is None:
        return "utf-8"
    line, reason = fault
    if named is None:
        raise DataError(f"{source.name}:{line}: is not UTF-8 text ({reason}){_encoding_hint(source, reason)}")
    if other := _first_fault(source, named):
        raise DataError(f"{source.name}:{other[0]}: is not {named.upper()} text ({other[1]})")
    if _is_mostly_utf8(source.head):
        logger.warning(
            "%s:%d: is not UTF-8 (%s), but most of the file is; is %s right?", source.name, line, reason, named
        )
    return named


def _first_fault(source: Input, encoding: str) -> tuple[int, str] | None:
    """Return the line of the first bytes that are not text in an encoding, and what is wrong; None if all are."""
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    with source.reading() as raw:
        while True:
            chunk = raw.read(CHUNK)
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                byte = f"byte 0x{error.object[error.start]:02x}"
                return line + error.object[: error.start].count(b"\n"), byte
            except UnicodeError as error:  # UTF-16 without a mark
                return line, str(error)
            if "\0" in text:
                return line + text[: text.index("\0")].count("\n"), ZERO
            if not chunk:
                return None
            line += text.count("\n")


def _encoding_hint(source: Input, reason: str) -> str:
    """Return which encoding reads a text, as far as can be guessed, and how to name it or to mend the fault."""
    head = source.head
    if b"\n\0" in head or b"\0\n" in head:
        guesses = ["utf-16-be" if head[::2].count(0) > head[1::2].count(0) else "utf-16-le"]
    elif reason == ZERO:
        return "; if it is a fault, tr -d '\\000' < FILE > NEW removes it"
    elif _is_mostly_utf8(head):
        return "; most of the others are: correct this one"
    else:
        import charset_normalizer

        guess = charset_normalizer.from_bytes(head).best() if set(head.decode("cp1252", "replace")) - _WESTERN else None
        guesses = ["cp1252"] if guess is None else [guess.encoding, "cp1252"]
    right = next((name for name in guesses if _first_fault(source, name) is None), None)
    way = f"perhaps it is {right}: --encoding {right}" if right else "--encoding NAME names its encoding"
    return f"; {way} (in a config data.encoding)"


def _is_mostly_utf8(content: bytes) -> bool:
    """Return whether more letters beyond ASCII are valid UTF-8 than not."""
    text = content.decode("utf-8", "replace")
    return sum(not letter.isascii() for letter in text) > 2 * text.count("\N{REPLACEMENT CHARACTER}")
