"""Reading ragged arrays from .npz files of strangers: bounded sizes, and a pickle reader that can call nothing.

Keras' `imdb.npz` holds NumPy object arrays, which are pickles. A pickle may name any function to be called when it is
read; here only the three names that rebuild an array are known, and everything else is an error before it runs.
"""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rnnsent.errors import DataError

MAX_MEMBER_BYTES = 4 << 30

_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows the names an object array is made of, and no other."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array of word ids needs")
        return super().find_class(module, name)


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
            return {name: _read_member(archive, members[f"{name}.npy"]) for name in names}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: damaged or not an .npz file: {error}") from None
    except pickle.UnpicklingError as error:
        raise DataError(f"{path}: refused, its pickle is not a plain array: {error}") from None
    except (ValueError, TypeError, AttributeError, IndexError, KeyError, MemoryError, OverflowError) as error:
        raise DataError(f"{path}: damaged, its arrays cannot be read: {error}") from None


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    if info.file_size > MAX_MEMBER_BYTES:
        raise DataError(f"{archive.filename}: {info.filename} unpacks to {info.file_size:,} bytes, more than is sane")
    with archive.open(info) as stream:
        content = io.BytesIO(stream.read())
    shape, dtype = _read_header(content)
    if not dtype.hasobject:
        content.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(content, allow_pickle=False)
        return array
    with warnings.catch_warnings():
        # Files written by old versions describe dtypes in a way that newer ones deprecate; the result is the same.
        warnings.simplefilter("ignore")
        loaded = _ArrayUnpickler(content, encoding="latin1").load()
    if not isinstance(loaded, np.ndarray) or loaded.shape != shape:
        raise ValueError(f"{info.filename} is not the array that its header announces")
    return loaded


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
            ids = np.asarray(sequence)
            if ids.ndim != 1 or (ids.size and (ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= 2**31 - 8)):
                raise ValueError
            tokens[offsets[index] : offsets[index + 1]] = ids
        except (ValueError, TypeError, OverflowError):
            raise DataError(f"{where}: review {index} is not a list of word ids") from None
    return tokens, offsets
