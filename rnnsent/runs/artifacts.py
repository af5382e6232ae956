"""What the files of a run hold, read back: weights, ratios of n-grams, calibration, metrics, environment, history."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnsent.errors import RunError
from rnnsent.files import read_plain
from rnnsent.runs import archives
from rnnsent.runs.directory import (
    CALIBRATION,
    ENVIRONMENT,
    MAX_HISTORY,
    METRICS,
    NGRAMS,
    WEIGHTS,
    RunDirectory,
    json_text,
    weight_names,
)
from rnnsent.runs.manifest import read_errors
from rnnsent.runs.numerics import first_not_finite

if TYPE_CHECKING:
    from rnnsent.config import Config
    from rnnsent.inference.calibration import Calibration
    from rnnsent.models.ngram_weights import NgramWeights
    from rnnsent.runs.schemas import Epoch, Record

MAX_TEXT = 256 << 20  # bytes of a text; the predictions for a million reviews are a quarter of it
MAX_SUMMARY = 16 << 20  # of 64 networks of 64 layers
LONGEST_LINE = 10_000  # of history.csv; whatever Python's own limit is, which others in the process may have raised


def weight_files(run: RunDirectory) -> list[str]:
    """Return the names of the files with the weights of a finished run: one, or one for each network of an ensemble."""
    return weight_names(run.manifest())


def load_weights(run: RunDirectory) -> dict[str, Any]:
    """Return the arrays of weights.npz by name; of an ensemble those of all its networks, as `members/1/NAME`, ….

    Raises:
        RunError: if a file is not an archive of plain arrays, if one of them holds NaN or infinity, or the run is not
            finished.
    """
    return read_weights(run, weight_files(run))


def read_weights(run: RunDirectory, names: Iterable[str]) -> dict[str, Any]:
    """Return the same of the weight files `names`, whether the run is finished or not."""
    weights: dict[str, Any] = {}
    for file in names:
        prefix = file.removesuffix(WEIGHTS)
        arrays = read_arrays(run.file(file))
        require_finite(run.file(file), arrays)
        weights |= {f"{prefix}{name}": array for name, array in arrays.items()}
    return weights


def npz(arrays: Mapping[str, Any]) -> bytes:
    """Return arrays as the bytes of an .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def read_arrays(path: Path) -> dict[str, Any]:
    """Return the arrays of an .npz by name.

    Raises:
        RunError: if it is not an archive of plain arrays, damaged, or says more of itself than it holds.
    """
    with _array_errors(path):
        return archives.read(path)


def require_finite(path: Path, arrays: Mapping[str, Any]) -> None:
    """Refuse arrays that rnnsent never writes: whoever goes on from them would blame something else.

    Raises:
        RunError: naming the file and the first array with NaN or infinity.
    """
    name = first_not_finite(arrays)
    if name is not None:
        raise RunError(f"{path}: damaged: {name} holds a number that is NaN or infinite")


def load_ratios(run: RunDirectory) -> NgramWeights | None:
    """Return the ratios of ngrams.npz; None where the run has none.

    Raises:
        RunError: if the file is not what was written.
    """
    from rnnsent.models.ngram_weights import NgramWeights

    if not run.has(NGRAMS):
        return None
    with _array_errors(run.file(NGRAMS)):
        return NgramWeights.from_arrays(archives.read(run.file(NGRAMS)))


def load_calibration(run: RunDirectory) -> Calibration:
    """Return the calibration of a finished run; that of an older one changes nothing.

    Raises:
        RunError: if the file is not what was written.
    """
    from rnnsent.inference.calibration import NONE, Calibration

    if not run.has(CALIBRATION):
        return NONE
    return Calibration.from_dict(run.read_json(CALIBRATION), str(run.file(CALIBRATION)))


def load_metrics(run: RunDirectory, config: Config | None = None) -> dict[str, Any]:
    """Return what metrics.json says; all that somebody reads of it is there, and of its type.

    Args:
        run: of which.
        config: of the run; with it labels and networks are those of the run, too.

    Raises:
        RunError: naming file and key.
    """
    from rnnsent.runs.schemas import Metrics

    return _load(run, METRICS, Metrics, config)


def load_environment(run: RunDirectory) -> dict[str, Any]:
    """Return what environment.json says; errors as `load_metrics`."""
    from rnnsent.runs.schemas import Environment

    return _load(run, ENVIRONMENT, Environment)


def load_history(run: RunDirectory, name: str) -> tuple[Epoch, ...]:
    """Return the epochs of `name`, the history.csv of a network.

    Raises:
        RunError: naming file, line and column.
    """
    from rnnsent.config.section import MOST_EPOCHS
    from rnnsent.runs.schemas import Epoch, checked

    path = run.file(name)
    content = read_text(path, MAX_HISTORY)
    if re.search(rf"[^\r\n]{{{LONGEST_LINE + 1}}}", content):
        raise RunError(f"{path}: has a line of more than {LONGEST_LINE:,} characters")
    reader = csv.DictReader(io.StringIO(content, newline=""))
    found: list[Epoch] = []
    try:
        for row in reader:
            cells = {column: row[column] for column in Epoch.model_fields if column in row}
            if not cells.get("elapsed"):
                cells.pop("elapsed", None)
            if len(found) == MOST_EPOCHS:
                raise RunError(f"{path}:{reader.line_num}: more than {MOST_EPOCHS:,} epochs, which no training has")
            found.append(checked(Epoch, cells, f"{path}:{reader.line_num}"))
    except csv.Error as error:
        raise RunError(f"{path}:{reader.line_num}: {error}") from None
    if not found:
        raise RunError(f"{path}: holds no epoch")
    return tuple(found)


def read_text(path: Path, limit: int = MAX_TEXT) -> str:
    """Return the text of one of a run's files.

    Args:
        path: the file.
        limit: of its size in bytes.

    Raises:
        RunError: if it cannot be read, is larger, or is not UTF-8.
    """
    try:
        with read_errors(path):
            return read_plain(path, limit).decode()
    except UnicodeDecodeError as error:
        raise RunError(f"{path}: is not UTF-8 text (byte {error.start})") from None


def _load(run: RunDirectory, name: str, kind: type[Record], config: Config | None = None) -> dict[str, Any]:
    from rnnsent.runs.schemas import checked

    values = run.read_json(name)
    checked(kind, values, str(run.file(name)), config)
    try:
        json_text(values).encode()  # it may be written again, with what nobody relies on
    except (ValueError, RecursionError) as error:
        raise RunError(f"{run.file(name)}: is not what JSON can say: {error}") from None
    return values


@contextmanager
def _array_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from None
