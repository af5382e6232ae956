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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Any

from rnnsent.errors import DataError

logger = logging.getLogger(__name__)

STDIN = Path("-")
PEEK_BYTES = 1 << 16  # of a file, to find its delimiter
CHUNK = 1 << 20
ZERO = "a byte is zero"
PLAIN = bytes(range(32, 127))
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NO_TABLES = (
    (b"PK\x03\x04", "a zip archive, as Excel's .xlsx is: save the sheet as CSV, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "a file of an older Excel: save the sheet as CSV"),
    (b"version https://git-lfs", "a pointer of Git LFS: git lfs pull brings the file"),
    (b"<!DOCTYPE", "a web page, not a table: perhaps the download went wrong"),
    (b"<html", "a web page, not a table: perhaps the download went wrong"),
    (b"ARROW1", "a Feather file: write it as Parquet, pandas.read_feather(FILE).to_parquet('texts.parquet')"),
)
# What most texts of Western Europe hold: the files that Excel and Windows write there are in cp1252.
_WESTERN = frozenset(map(chr, range(128))) | frozenset("àâäáãåæçéèêëíìîïñóòôöõøœßúùûüýÿ€£§©®°«»¡¿“”„‘’–—…·²³½¼´")
_WESTERN |= frozenset(letter.upper() for letter in "àâäáãåæçéèêëíìîïñóòôöõøœúùûüýÿ")
READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)


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


class Stream(io.RawIOBase):
    """A pipe or stdin that is read as it comes; `head` is its first line."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.head = b"" if stream.isatty() else stream.readline(PEEK_BYTES)
        self._rest = self.head

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the first line again, then the rest."""
        read: Any = getattr(self._stream, "read1", self._stream.read)
        content = self._rest[: len(buffer)] or read(len(buffer))
        self._rest = self._rest[len(content) :] if self._rest else b""
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        """Close the pipe; stdin stays open."""
        if self._stream is not sys.stdin.buffer:
            self._stream.close()
        super().close()


@dataclass(frozen=True)
class Input:
    """What is read: a file, a copy of what came through a pipe, or a stream that can be read once."""

    name: str  # for messages
    path: Path  # can be opened again and again, unless it is a stream
    stream: Stream | None = field(default=None, repr=False, compare=False)
    copy: Any = field(default=None, repr=False, compare=False)  # the temporary file, which goes with this object

    def open(self) -> IO[bytes]:
        """Open the file, unpacked, or return the stream.

        Raises:
            DataError: if it cannot be opened.
        """
        return open_bytes(self.path, self.name) if self.stream is None else self.stream  # type: ignore[return-value]

    def head(self) -> bytes:
        """Return the first bytes; of a stream the first line."""
        if self.stream is not None:
            return self.stream.head
        with self.reading() as raw:
            return raw.read(PEEK_BYTES)

    @contextmanager
    def text(self, encoding: str, raw: Any = None) -> Iterator[IO[str]]:
        """Yield the file, or what is open of it, as text; lines end at line feeds, where there are some, and keep them.

        Raises:
            DataError: if it is not in this encoding.
        """
        head = self.head()
        old_mac = b"\r" in head and b"\n" not in head
        with nullcontext(raw) if raw is not None else self.reading() as opened:
            stream = io.TextIOWrapper(opened, encoding=encoding, newline="" if old_mac else "\n")
            try:
                yield stream
            except UnicodeError as error:
                raise DataError(f"{self.name}: is not {encoding.upper()} text: {error}; name its --encoding") from None
            finally:
                stream.detach()

    @contextmanager
    def reading(self) -> Iterator[IO[bytes]]:
        """Yield the open file; what goes wrong while it is read is a DataError."""
        raw = self.open()
        try:
            yield raw
        except READ_ERRORS as error:
            raise DataError(f"{self.name}: cannot be read: {error}") from None
        finally:
            raw.close()


def find_input(path: str | Path, *, streaming: bool = False) -> Input:
    """Return a file, or what comes through a pipe: copied, or as it comes if it is for `streaming`.

    Args:
        path: of a file, pipe or device such as /dev/stdin; "-" is stdin.
        streaming: whether each line is of use before the next one is there.

    Raises:
        DataError: if there is no such file, or it is a folder.
    """
    path = Path(path)
    if path == STDIN:
        if sys.stdin is None:
            raise DataError("stdin is closed")
        name, pipe = "stdin", sys.stdin.buffer
    else:
        name = str(path)
        try:
            if path.is_dir():
                raise DataError(f"{path}: is a folder, not a file of texts")
            if stat.S_ISREG(path.stat().st_mode):
                return Input(name, path)
            pipe = path.open("rb")
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            raise DataError(f"{path}: {'no such file' if missing else error.strerror}") from None
    stream = Stream(pipe)
    if streaming and not any(stream.head.startswith(mark) for mark, _ in PACKERS):
        return Input(name, path, stream)
    copy = tempfile.NamedTemporaryFile(prefix="rnnsent-")  # noqa: SIM115  # goes with the `Input`
    with stream:
        shutil.copyfileobj(stream, copy, CHUNK)
    copy.flush()
    return Input(name, Path(copy.name), copy=copy)


def _zstandard(path: Path) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise DataError("is packed with zstd, which needs pyarrow: pip install 'rnnsent[parquet]'") from None
    return pyarrow.input_stream(str(path), compression="zstd")


PACKERS: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
    (b"\x1f\x8b", gzip.GzipFile),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\0", lzma.LZMAFile),
    (b"\x28\xb5\x2f\xfd", _zstandard),
)


def open_bytes(path: Path, name: str = "") -> Any:
    """Open a file for reading, unpacked if it is packed by gzip, bzip2, xz or zstd, whatever it is called.

    Raises:
        DataError: if it cannot be opened; by `name`, which is that of the path by default.
    """
    try:
        with path.open("rb") as raw:
            magic = raw.read(16)
        unpack = next((unpack for mark, unpack in PACKERS if magic.startswith(mark)), None)
        return path.open("rb") if unpack is None else unpack(path)
    except DataError as error:
        raise DataError(f"{name or path}: {error}") from None
    except OSError as error:
        raise DataError(f"{name or path}: cannot be read: {error.strerror or error}") from None


def decoded_lines(raw: Iterable[bytes], name: str, encoding: str) -> Iterator[str]:
    """Yield the lines of a stream, each in UTF-8 if it is valid, else in the encoding that was named.

    Raises:
        DataError: with the line that is neither.
    """
    for number, line in enumerate(raw, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            try:
                yield line.decode(encoding)
            except UnicodeError:
                byte = f"byte 0x{line[error.start]:02x}"
                raise DataError(f"{name}:{number}: is not UTF-8 text ({byte}); --encoding NAME names it") from None


def require_texts(source: Input) -> bytes:
    """Return the first bytes of an input.

    Raises:
        DataError: if they are those of another kind of file, with what to do.
    """
    head = source.head()
    for magic, advice in NO_TABLES:
        if head.startswith(magic):
            raise DataError(f"{source.name}: is {advice}")
    return head


def find_encoding(source: Input, named: str | None = None) -> str:
    """Return the encoding of a text: that of its mark, UTF-8 if all of it is, or the one that is named.

    Args:
        source: what is read; of a stream only the first line is looked at.
        named: by the user or the run; what the text itself says wins.

    Raises:
        DataError: if it is no text, or in no encoding that is known.
    """
    if named is not None:
        try:
            io.TextIOWrapper(io.BytesIO(), encoding=named)
            PLAIN.decode(named, "replace")
        except (LookupError, ValueError):  # not one of text, such as zip, or none at all
            raise DataError(f"{source.name}: unknown encoding {named}; for example utf-8, cp1252, latin-1") from None
    head = source.head()
    marked = next((encoding for mark, encoding in MARKS if head.startswith(mark)), None)
    if marked is not None:
        return marked
    invalid = _first_invalid(source, "utf-8")
    if invalid is None:
        # Of ASCII alone both would do, unless it is one of those that write other letters in it, as ISO-2022.
        ascii_too = named is not None and PLAIN.decode(named, "replace") == PLAIN.decode()
        return str(named) if ascii_too and _first_invalid(source, "ascii") is None else "utf-8"
    if named is not None:
        other = _first_invalid(source, named)
        if other is None:
            if _is_mostly_utf8(head):
                line, fault = invalid
                logger.warning(
                    "%s:%d: is not UTF-8 (%s), but most of the file is; is %s right?", source.name, line, fault, named
                )
            return named
        raise DataError(f"{source.name}:{other[0]}: is not {named.upper()} text ({other[1]})")
    raise DataError(f"{source.name}:{invalid[0]}: is not UTF-8 text ({invalid[1]}){_encoding_hint(source, invalid[1])}")


def _first_invalid(source: Input, encoding: str) -> tuple[int, str] | None:
    """Return the line and the fault of the first bytes that are not text in an encoding; None if all are."""
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    chunks = [source.stream.head] if source.stream is not None else _chunks(source)
    for chunk in chunks:
        try:
            text = decoder.decode(chunk)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            return line, f"byte 0x{error.object[error.start]:02x}"
        except UnicodeError as error:
            return line, str(error)
        if "\0" in text:
            return line + text[: text.index("\0")].count("\n"), ZERO
        line += text.count("\n")
    try:
        decoder.decode(b"", final=source.stream is None)
    except UnicodeError:
        return line, "it ends within a letter"
    return None


def _chunks(source: Input) -> Iterator[bytes]:
    with source.reading() as raw:
        while chunk := raw.read(CHUNK):
            yield chunk


def _encoding_hint(source: Input, fault: str) -> str:
    """Return which encoding reads a text, as far as can be guessed, and how to name it, or to mend the `fault`."""
    import charset_normalizer

    head = source.head()
    wide = {"utf-16-le": b"\n\0", "utf-16-be": b"\0\n"}
    guesses = [name for name, end in wide.items() if end in head and _first_invalid(source, name) is None]
    if not guesses and fault == ZERO:
        return "; if it is a fault, tr -d '\\000' < FILE > NEW removes it"
    if not guesses and _is_mostly_utf8(head):
        return "; most of the others are: correct this one"
    if not guesses:
        guess = charset_normalizer.from_bytes(head).best() if set(head.decode("cp1252", "replace")) - _WESTERN else None
        names = ["cp1252"] if guess is None else [guess.encoding, "cp1252"]
        guesses = [name for name in names if _first_invalid(source, name) is None]
    way = f"perhaps it is {guesses[0]}: --encoding {guesses[0]}" if guesses else "--encoding NAME names its encoding"
    return f"; {way} (in a config data.encoding)"


def _is_mostly_utf8(content: bytes) -> bool:
    """Return whether more letters beyond ASCII are valid UTF-8 than not."""
    text = content.decode("utf-8", "replace")
    return sum(not letter.isascii() for letter in text) > 2 * text.count("\N{REPLACEMENT CHARACTER}")
