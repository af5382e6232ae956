"""What the files of a run hold, read back: weights, ratios of n-grams, calibration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnsent import archives
from rnnsent.errors import RunError
from rnnsent.runs import CALIBRATION, NGRAMS, WEIGHTS, RunDirectory, weight_names

if TYPE_CHECKING:
    from rnnsent.calibration import Calibration
    from rnnsent.ratios import NgramRatios


def weight_files(run: RunDirectory) -> list[str]:
    """Return the names of the files with the weights of a finished run: one, or one for each network of an ensemble."""
    return weight_names(run.manifest())


def load_weights(run: RunDirectory) -> dict[str, Any]:
    """Return the arrays of weights.npz by name; of an ensemble those of all its networks, as `members/1/NAME`, ….

    Raises:
        RunError: if a file is not an archive of plain arrays, or the run is not finished.
    """
    return read_weights(run, weight_files(run))


def read_weights(run: RunDirectory, names: Iterable[str]) -> dict[str, Any]:
    """Return the same of the weight files `names`, whether the run is finished or not."""
    weights: dict[str, Any] = {}
    for file in names:
        prefix = file.removesuffix(WEIGHTS)
        weights |= {f"{prefix}{name}": array for name, array in read_arrays(run.file(file)).items()}
    return weights


def read_arrays(path: Path) -> dict[str, Any]:
    """Return the arrays of an .npz by name.

    Raises:
        RunError: if it is not an archive of plain arrays, damaged, or says more of itself than it holds.
    """
    with _array_errors(path):
        return archives.read(path)


def load_ratios(run: RunDirectory) -> NgramRatios | None:
    """Return the ratios of ngrams.npz; None where the run has none.

    Raises:
        RunError: if the file is not what was written.
    """
    from rnnsent.ratios import NgramRatios

    if not run.has(NGRAMS):
        return None
    with _array_errors(run.file(NGRAMS)):
        return NgramRatios.from_npz(run.file(NGRAMS).read_bytes())


def load_calibration(run: RunDirectory) -> Calibration:
    """Return the calibration of a finished run; that of an older one changes nothing.

    Raises:
        RunError: if the file is not what was written.
    """
    from rnnsent.calibration import NONE, Calibration

    if not run.has(CALIBRATION):
        return NONE
    return Calibration.from_dict(run.read_json(CALIBRATION), str(run.file(CALIBRATION)))


@contextmanager
def _array_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from None
