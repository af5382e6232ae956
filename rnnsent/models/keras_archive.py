"""`model.keras` of a run that may come from a stranger: looked through before Keras sees it.

`verify` has to load the file as plain Keras users do: a network built from the run's config, with only the weights from
here, would not say whether this Keras still reads the file and what they get from it. But the loader follows the config
wherever it leads, and a manifest vouches for nothing where a stranger wrote it. So the file is refused unless it holds
three members of bounded size, its config names only what networks of rnnsent consist of and describes the very network
that the run's own config gives, and its weights are plain numbers, as many as that network has. What was looked through
is what is loaded: a copy of it.
"""

from __future__ import annotations

import io
import json
import math
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnsent.errors import RunError
from rnnsent.json_files import parse_json
from rnnsent.models.keras_config import difference, require_known
from rnnsent.runs.archives import ZIP_ERRORS

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MAX_JSON = 4 << 20
OVERHEAD, OVERHEAD_A_WEIGHT = 1 << 20, 1 << 14  # bytes that HDF5 needs besides the numbers
MAX_H5_DEPTH = 16


def load(path: Path, expected: Any) -> Any:
    """Return the Keras model in `path`, uncompiled.

    Args:
        path: the file.
        expected: the network that it has to be, built from the config of the run; its weights do not matter.

    Raises:
        RunError: saying what in the file is not of such a network; nothing of it was run.
    """
    import keras

    try:
        members = _members(path, _weight_bytes(expected))
        config = parse_json(members[CONFIG])
        require_known(config)
        parse_json(members[METADATA])
        other = difference(config, parse_json(_config_of(expected)))
        if other:
            raise ValueError(f"{CONFIG} is of another network than the run's config: {other}")
        _require_plain_weights(members[WEIGHTS], expected)
    except (ValueError, RecursionError, *ZIP_ERRORS) as error:
        raise RunError(f"{path}: refused: {error}") from None
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error}") from None
    with tempfile.TemporaryDirectory(prefix="rnnsent-") as folder:
        copy = Path(folder, "model.keras")
        with zipfile.ZipFile(copy, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        try:
            return keras.models.load_model(copy, compile=False, safe_mode=True)
        except Exception as error:  # Keras has no base of its own for what it cannot load
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise RunError(f"{path}: Keras cannot load it: {reason}") from None


def _weight_bytes(expected: Any) -> int:
    """Return how large the weights of a network may be as HDF5."""
    variables = expected.variables  # the states of its random generators as well
    numbers: int = sum(math.prod(variable.shape) for variable in variables)
    return 4 * numbers + OVERHEAD + OVERHEAD_A_WEIGHT * len(variables)


def _members(path: Path, weights: int) -> dict[str, bytes]:
    """Return the three members of the archive, each in its bounds."""
    limits = {METADATA: MAX_JSON, CONFIG: MAX_JSON, WEIGHTS: weights}
    size, most = path.stat().st_size, sum(limits.values())
    if size > most:
        raise ValueError(f"it has {size:,} bytes, the network of this run needs at most {most:,}")
    with zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist()]
        for name in names:
            if name not in limits:
                raise ValueError(f"it holds {name[:80]!r}, which is no part of a saved network")
        if sorted(names) != sorted(limits):
            raise ValueError(f"it must hold {', '.join(limits)}, each once")
        for info in archive.infolist():
            if info.file_size > limits[info.filename]:
                claim = f"{info.file_size:,} bytes, {limits[info.filename]:,} are allowed"
                raise ValueError(f"its {info.filename} unpacks to {claim}")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"its {info.filename} is packed as Keras packs nothing")
        return {info.filename: archive.read(info) for info in archive.infolist()}


def _config_of(expected: Any) -> str:
    """Return what Keras writes as config.json of a network."""
    from keras.saving import serialize_keras_object

    return json.dumps(serialize_keras_object(expected))


def _require_plain_weights(content: bytes, expected: Any) -> None:
    """Refuse HDF5 that leads out of itself, claims more than it holds, or holds more than the network."""
    import h5py

    allowed = sum(math.prod(variable.shape) for variable in expected.variables)
    numbers = 0
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            for name, dataset in _datasets(file):
                claimed = math.prod(dataset.shape or ())
                if dataset.external:
                    raise ValueError(f"{WEIGHTS}: {name} lies in another file")
                if dataset.is_virtual:
                    raise ValueError(f"{WEIGHTS}: {name} is put together from other files")
                if dataset.dtype.kind not in "fiu" or dataset.dtype.itemsize > 8:
                    raise ValueError(f"{WEIGHTS}: {name} does not hold plain numbers")
                if claimed * dataset.dtype.itemsize != dataset.id.get_storage_size():
                    raise ValueError(f"{WEIGHTS}: {name} claims {claimed:,} numbers and does not hold them")
                numbers += claimed
                if numbers > allowed:
                    raise ValueError(f"{WEIGHTS}: holds more numbers than the {allowed:,} of the network")
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{WEIGHTS} is not whole: {error}") from None


def _datasets(group: Any, depth: int = 0, path: str = "") -> Iterator[tuple[str, Any]]:
    import h5py

    if depth > MAX_H5_DEPTH:  # a group can hold itself
        raise ValueError(f"{WEIGHTS}: is nested too deeply")
    for name in group:
        link = group.get(name, getlink=True)
        place = f"{path}/{name}"
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{WEIGHTS}: {place} is a link, {type(link).__name__}")
        held = group[name]
        if isinstance(held, h5py.Group):
            yield from _datasets(held, depth + 1, place)
        elif isinstance(held, h5py.Dataset):
            yield place, held
        else:
            raise ValueError(f"{WEIGHTS}: {place} is no array")
