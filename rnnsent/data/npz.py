"""Reading ragged arrays from .npz files of strangers: bounded sizes, and a pickle reader that can call nothing.

Keras' `imdb.npz` holds NumPy object arrays, which are pickles. A pickle may name any function to be called when it is
read. Here only the names that rebuild an array are known, and they lead to classes that just take notes: NumPy's own
would crash on forged ones. Python's reader also believes what a pickle says of lengths and of places in its memory, and
fills 64 GB for five bytes; so the operations are looked through before.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.errors import DataError

MAX_MEMBER_BYTES = 4 << 30
FREE_BYTES = 16 << 20  # that any member may unpack to
MAX_EXPANSION = 100  # lists of word ids shrink to a quarter

# Operations of a pickle whose arguments have a fixed size and lead to nothing large.
_PLAIN = re.compile(rb"(?:[(012NadbelRstu})\]\x81\x85-\x89\x93\x94]|[Khq\x80].|M..|[Jj]....|G........)*+", re.DOTALL)
_COUNTED = {  # operations followed by a length and as many bytes: how many bytes the length has
    b"U": 1, b"C": 1, b"\x8c": 1, b"\x8a": 1, b"T": 4, b"X": 4, b"B": 4, b"\x8d": 8, b"\x8e": 8,
}  # fmt: skip
_NAME_BYTES = 1 << 10


class _Dtype:
    """What a pickle says of a dtype: its code, such as i4, and its byte order."""

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _Array:
    """What a pickle says of an array: its shape and its values, a list of objects or the bytes of numbers."""

    shape: Any
    dtype: Any
    data: Any

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, _, self.data = state

    def objects(self) -> NDArray[Any]:
        if not isinstance(self.data, list) or self.shape != (len(self.data),):
            raise ValueError("the array in its pickle is not a row of objects")
        row = np.empty(len(self.data), object)
        row[:] = [item.numbers() if isinstance(item, _Array) else item for item in self.data]
        return row

    def numbers(self) -> NDArray[Any]:
        if not re.fullmatch(r"[biuf][1248]", self.dtype.code):
            raise ValueError(f"its pickle holds an array of {self.dtype.code}")
        # Python 2 wrote bytes as text.
        content = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        return np.frombuffer(content, self.dtype.order + self.dtype.code).reshape(self.shape)


_STAND_INS = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
}


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows the names an object array is made of, and no other."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array of word ids needs")
        return _STAND_INS[module, name]


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Read the arrays called `names` from the .npz file at `path`; object arrays through a restricted unpickler.

    Raises:
        DataError: if the file is no .npz, lacks an array, is damaged, or holds a pickle with anything but arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            missing = [name for name in names if f"{name}.npy" not in members]
            if missing:
                held = ", ".join(sorted(member.removesuffix(".npy") for member in members)) or "nothing"
                raise DataError(f"{path}: lacks {', '.join(missing)}; it holds {held}")
            with warnings.catch_warnings():
                # Headers written by Python 2 are read with a warning; the result is the same.
                warnings.simplefilter("ignore")
                return {name: _read_member(archive, members[f"{name}.npy"]) for name in names}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: damaged or not an .npz file: {error}") from None
    except pickle.UnpicklingError as error:
        raise DataError(f"{path}: refused, its pickle is not a plain array: {error}") from None
    except DataError:
        raise
    except Exception as error:  # zlib, tokenize, pickle and NumPy each have their own for damaged bytes
        raise DataError(f"{path}: damaged, its arrays cannot be read: {error}") from None


def _require_bounded(content: memoryview) -> None:
    """Refuse a pickle that asks for more memory than it has bytes, or for operations that no array needs."""
    at = 0
    while True:
        plain = _PLAIN.match(content, at)
        assert plain is not None  # it matches nothing as well
        at = plain.end()
        operation = bytes(content[at : at + 1])
        if operation == b".":
            return
        at += 1 + _argument_bytes(operation, content, at + 1)


def _argument_bytes(operation: bytes, content: memoryview, at: int) -> int:
    if operation in _COUNTED:
        width = _COUNTED[operation]
        size = width + int.from_bytes(content[at : at + width], "little")
    elif operation == b"c":  # two lines, judged when the name is looked up
        size = sum(len(line) + 1 for line in bytes(content[at : at + _NAME_BYTES]).split(b"\n", 2)[:2])
    elif operation in (b"r", b"\x95"):  # a place in memory, of which each operation can fill one; a frame
        size = 4 if operation == b"r" else 8
        if int.from_bytes(content[at : at + size], "little") > (at if operation == b"r" else len(content)):
            raise pickle.UnpicklingError("it asks for more memory than it has bytes")
    elif operation:
        raise pickle.UnpicklingError(f"its operation {operation!r} is none that an array needs")
    if not operation or size > len(content) - at:
        raise pickle.UnpicklingError("it is cut off")
    return size


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    packed = info.compress_size * MAX_EXPANSION + FREE_BYTES
    if info.file_size > min(MAX_MEMBER_BYTES, packed):
        raise DataError(f"{archive.filename}: {info.filename} unpacks to {info.file_size:,} bytes, more than is sane")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{archive.filename}: {info.filename} is packed as no .npz is")
    with archive.open(info) as stream:
        content = io.BytesIO(stream.read())
    shape, dtype = _read_header(content)
    if not dtype.hasobject:
        if math.prod(shape) * dtype.itemsize != info.file_size - content.tell():
            raise ValueError(f"{info.filename} does not hold what its header announces")
        content.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(content, allow_pickle=False)
        return array
    _require_bounded(content.getbuffer()[content.tell() :])
    loaded = _ArrayUnpickler(content, encoding="latin1").load()
    row = loaded.objects() if isinstance(loaded, _Array) else None
    if row is None or row.shape != shape:
        raise ValueError(f"{info.filename} is not the array that its header announces")
    if sum(len(item) for item in row if isinstance(item, list | np.ndarray)) > info.file_size:
        raise ValueError(f"{info.filename} holds the same lists again and again")
    return row


def _read_header(content: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(content)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(content)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(content)
    return shape, dtype


def flatten(sequences: NDArray[Any], where: str) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Turn an object array of id lists into flat ids and offsets (reviews + 1,).

    Raises:
        DataError: naming `where` and the first review that is not a list of whole numbers ≥ 0.
    """
    try:
        lengths = np.fromiter((len(sequence) for sequence in sequences), np.int64, len(sequences))
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        tokens = np.empty(int(offsets[-1]), np.int32)
    except TypeError:
        raise DataError(f"{where}: must hold one list of word ids a review") from None
    for index, sequence in enumerate(sequences):
        try:
            if isinstance(sequence, list) and not set(map(type, sequence)) <= {int}:  # lists of lists may be endless
                raise ValueError
            ids = np.asarray(sequence)
            if ids.ndim != 1 or (ids.size and (ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= 2**31 - 8)):
                raise ValueError
            tokens[offsets[index] : offsets[index + 1]] = ids
        except (ValueError, TypeError, OverflowError):
            raise DataError(f"{where}: review {index} is not a list of word ids") from None
    return tokens, offsets
