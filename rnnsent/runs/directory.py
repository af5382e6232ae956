"""The run directory: the names of its files, and one class to write and read them.

Training writes a run, and `manifest.json`, written last, seals it: it holds the SHA-256 of every file, and none of them
changes from then on. Evaluations are files of their own in `evaluations/`, each with the hash of the run it is of.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rnnsent.errors import RunError, count
from rnnsent.files import atomic_path, disk_errors, sha256, write_atomic
from rnnsent.runs import schemas

if TYPE_CHECKING:
    import numpy as np
    from filelock import FileLock
    from numpy.typing import NDArray

    from rnnsent.config.sections import Config

logger = logging.getLogger(__name__)

CONFIG = "config.yaml"
SETTINGS = "config.json"  # the same: a prediction needs no YAML reader
SUMMARY = "summary.txt"
SUMMARY_JSON = "summary.json"
VOCABULARY = "vocabulary.json"
SPLIT = "split.npz"
FOLDS = "folds"  # in it, under cross-validation: the network, from 0, that each validation text is for
HELD_OUT = "held_out.safetensors"  # probabilities of the validation texts by the parts of a model that lack them
DATA = "data.jsonl"  # texts that were trained on from memory
MODEL = "model.keras"
WEIGHTS = "weights.safetensors"
NGRAM_WEIGHTS = "ngram_weights.safetensors"
LINEAR = "linear.safetensors"  # the linear part of the model
SUBWORDS = "subwords.safetensors"  # vectors of character n-grams
CHECKPOINTS = "checkpoints"
HISTORY = "history.csv"
METRICS = "metrics.json"
CALIBRATION = "calibration.json"
ENVIRONMENT = "environment.json"
FINGERPRINT = "fingerprint.json"
EMBEDDINGS = "embeddings.json"
LANGUAGE_MODEL = "language_model.json"
CURVES = "plots/curves.png"
MEMBERS = "members"  # of an ensemble: a folder each, from 1
TEACHER = "teacher"  # networks that labeled texts, from 1
EVALUATIONS = "evaluations"
LOGS = "logs"  # of the trackers
REPORT = "report.html"
MODEL_CARD = "model_card.md"
SEEDS = "seeds.json"  # in a folder with a run for each seed
MANIFEST = "manifest.json"
LOCK = ".lock"

PREDICTING = (
    SETTINGS,
    VOCABULARY,
    WEIGHTS,
    NGRAM_WEIGHTS,
    LINEAR,
    SUBWORDS,
    CALIBRATION,
)  # what predictions follow from
UNSEALED = (EVALUATIONS, LOGS, REPORT, MODEL_CARD, MANIFEST)  # may come and go after training
MANIFEST_FORMAT = 3
RESTORE = "restore it from a copy, or train again"

Schema = TypeVar("Schema")
EvaluationFile = TypeVar("EvaluationFile", bound=schemas.Origin)


@dataclass(frozen=True)
class Run:
    """A run on disk, or one network of an ensemble inside it."""

    path: Path  # its folder
    training: str = field(default="", compare=False)  # the id of the training; checkpoints carry it
    lock: FileLock | None = field(default=None, repr=False, compare=False)  # held by the process that trains

    def __str__(self) -> str:
        return str(self.path)

    @property
    def address(self) -> str:
        """The path, quoted for a command line."""
        text = str(self.path)
        return shlex.quote(text) if text.isprintable() else f"${str(os.fsencode(text))[1:]}"

    @property
    def replaced(self) -> Path:
        """Where the run that this one replaces is, if there is one, until this one is finished."""
        return self.path.with_name(f"{self.path.name}.replaced")

    def file(self, name: str) -> Path:
        """Return the path of one of the run's files."""
        return self.path / name

    def part(self, folder: str, number: int) -> Run:
        """Return network `number`, from 1, in MEMBERS or TEACHER: a folder with the files of training, no manifest."""
        name = f"{folder}/{number}"
        return Run(self.file(name), training=f"{self.training}/{name}")

    @property
    def networks(self) -> list[Run]:
        """The networks whose predictions are averaged: the members of an ensemble, or the run itself if it has one."""
        folder = self.file(MEMBERS)
        if not folder.is_dir():
            return [] if self.file(LINEAR).is_file() and not self.file(WEIGHTS).is_file() else [self]
        numbers = sorted(int(path.name) for path in folder.iterdir() if (path / WEIGHTS).is_file())
        return [self.part(MEMBERS, number) for number in numbers]

    def write(self, name: str, content: bytes | str) -> None:
        """Write one file, all or nothing."""
        with disk_errors(self.path):
            write_atomic(self.file(name), content)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a temporary path for a library to write to; it becomes the file `name` when the block succeeds."""
        with disk_errors(self.path), atomic_path(self.file(name)) as temporary:
            yield temporary

    def write_record(self, name: str, record: object) -> None:
        """Write one of the JSON files of `schemas`."""
        self.write(name, schemas.to_json(record))

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            RunError: if it cannot be read.
        """
        try:
            return self.file(name).read_bytes()
        except OSError as error:
            raise RunError(f"{self.file(name)}: cannot be read: {error.strerror}; {RESTORE}") from None

    def read_record(self, name: str, schema: type[Schema]) -> Schema:
        """Return one of the JSON files of `schemas`; errors as `read` and `schemas.parse`."""
        return schemas.parse(schema, self.read(name), self.file(name))

    @cached_property
    def config(self) -> Config:
        """The config that it was trained with, every default written out."""
        from rnnsent.config.sections import Config

        try:
            return Config.from_dict(json.loads(self.read(SETTINGS)))
        except ValueError as error:
            raise RunError(f"{self.file(SETTINGS)}: is not JSON: {error}; {RESTORE}") from None

    @cached_property
    def metrics(self) -> schemas.TrainingMetrics:
        """What metrics.json says."""
        return self.read_record(METRICS, schemas.TrainingMetrics)

    @property
    def fallback_used(self) -> bool:
        """Whether it was trained on the sample corpus in place of other data; read without pydantic, which is slow."""
        try:
            return bool(json.loads(self.read(METRICS))["data"]["fallback_used"])
        except (RunError, ValueError, KeyError, TypeError):
            return False  # whatever needs metrics.json says what is wrong with it

    @cached_property
    def environment(self) -> schemas.Environment:
        """What environment.json says."""
        return self.read_record(ENVIRONMENT, schemas.Environment)

    def history(self) -> list[schemas.Epoch]:
        """Return the rows of history.csv; empty before the first epoch."""
        if not self.file(HISTORY).is_file():
            return []
        rows = csv.DictReader(io.StringIO(self.read(HISTORY).decode(errors="replace"), newline=""))
        return [schemas.parse(schemas.Epoch, row, f"{self.file(HISTORY)}:{rows.line_num}") for row in rows]

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the weights by name, `layer/weight`; of an ensemble `members/1/layer/weight`, ….

        Raises:
            RunError: if a file is missing or damaged.
        """
        arrays: dict[str, NDArray[np.float32]] = {}
        for network in self.networks:
            prefix = "" if network is self else f"{network.path.relative_to(self.path).as_posix()}/"
            arrays |= {f"{prefix}{name}": array for name, array in read_arrays(network.file(WEIGHTS)).items()}
        return arrays

    @property
    def finished(self) -> bool:
        """Whether training came to its end, or was stopped with something worth keeping: there is a manifest."""
        return self.file(MANIFEST).is_file()

    @property
    def resumable(self) -> bool:
        """Whether there is a checkpoint, of this network or of one inside it."""
        return any(self.path.rglob(f"{CHECKPOINTS}/*.safetensors"))

    def names(self) -> list[str]:
        """Return the names of the files that the manifest lists."""
        paths = (path.relative_to(self.path) for path in self.path.rglob("*") if path.is_file())
        return sorted(
            name.as_posix() for name in paths if name.parts[0] not in UNSEALED and not name.name.startswith(".")
        )

    def listed(self, kinds: Sequence[str]) -> list[str]:
        """Return the files of the manifest with one of these names, except those of teachers."""
        names = (name for name in self.manifest() if not name.startswith(f"{TEACHER}/"))
        return [name for name in names if Path(name).name in kinds]

    def finish(self) -> None:
        """Write the manifest; from now on no file of the run changes."""
        files = {name: sha256(self.file(name)) for name in self.names()}
        self.write_record(MANIFEST, schemas.Manifest(MANIFEST_FORMAT, files))
        if self.replaced.is_dir():
            shutil.rmtree(self.replaced)
        self.release()

    def reopen(self) -> None:
        """Let training go on: what was written when it ended goes, and will be written again."""
        with disk_errors(self.path):
            for name in (MANIFEST, METRICS, CALIBRATION):
                self.file(name).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove a run that came to nothing, and put the one back that it was to replace."""
        self.release()
        with disk_errors(self.path):
            shutil.rmtree(self.path)
            if self.replaced.is_dir():
                self.replaced.rename(self.path)

    def release(self) -> None:
        """Let others write the run."""
        if self.lock is not None and self.lock.is_locked:
            self.file(LOCK).unlink(missing_ok=True)
            self.lock.release()

    def manifest(self) -> dict[str, str]:
        """Return the SHA-256 of every file.

        Raises:
            RunError: if the run is unfinished or its manifest damaged.
        """
        if not self.finished:
            raise RunError(self.status())
        try:
            # Not by `parse`: pydantic is slow to import.
            return schemas.Manifest(**json.loads(self.read(MANIFEST))).files
        except (ValueError, TypeError) as error:
            raise RunError(f"{self.file(MANIFEST)}: is not a manifest ({error}); {RESTORE}") from None

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the manifest: what tells this run from all others."""
        self.manifest()
        return sha256(self.file(MANIFEST))

    def verify(self, *names: str) -> None:
        """Check that the files `names`, or all, are those that training left.

        Raises:
            RunError: if the run is unfinished; naming every file that is missing or changed.
        """
        hashes = self.manifest()
        faults = []
        for name in names or hashes:
            path = self.file(name)
            if name not in hashes:
                faults.append(f"{name} is not in the manifest")
            elif not path.is_file():
                faults.append(f"{name} is missing")
            elif sha256(path) != hashes[name]:
                faults.append(f"{name} was changed after training")
        if faults:
            raise RunError(f"{self.path}: {'; '.join(faults)}; {RESTORE}")

    def write_evaluation(self, kind: str, record: schemas.Origin) -> Path:
        """Write evaluations/SPLIT.json, or evaluations/SPLIT-KIND.json; nothing else of the run changes."""
        name = evaluation_name(record.split, kind)
        self.write_record(name, record)
        return self.file(name)

    def evaluation(self, split: str, schema: type[EvaluationFile], kind: str = "") -> EvaluationFile | None:
        """Return an evaluation of this very run; None if there is none, or if it is of the run before more training."""
        name = evaluation_name(split, kind)
        if not self.file(name).is_file():
            return None
        record = self.read_record(name, schema)
        return record if record.run == self.sha256 else None

    def status(self) -> str:
        """Say what is left of a run without a manifest, and what can be done with it."""
        epochs = sum(len(run.history()) for run in [*self.networks, *self._teachers()])
        progress = f"{count(epochs, 'epoch')} kept" if epochs else "no epoch was completed"
        state = "it is being trained now" if self.lock is None and is_locked(self.path) else "training was stopped"
        return (
            f"{self.path}: not a finished run, it has no {MANIFEST}: {state}, {progress}.\n"
            f"  Continue: rnnsent train --resume {self.address}\n"
            f"  Start over: rnnsent train --config {self.address}/{CONFIG} --run-dir {self.address} --force"
        )

    def _teachers(self) -> list[Run]:
        return [Run(path) for path in sorted(self.file(TEACHER).glob("*"))]


def evaluation_name(split: str, kind: str = "", suffix: str = ".json") -> str:
    """Return the name of a file of an evaluation, such as evaluations/test-predictions.csv."""
    return f"{EVALUATIONS}/{split}{'-' if kind else ''}{kind}{suffix}"


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors file by name.

    Raises:
        RunError: if it is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or 'no such file'}; {RESTORE}") from None
    except (SafetensorError, ValueError) as error:
        raise RunError(f"{path}: is damaged: {error}; {RESTORE}") from None


def arrays_bytes(arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return arrays as the bytes of a safetensors file, which `read_arrays` reads."""
    import numpy as np
    from safetensors.numpy import save

    return save({name: np.asarray(array, order="C") for name, array in arrays.items()}, dict(metadata or {}))


def acquire(path: Path) -> FileLock:
    """Return the lock of the one process that trains the run in `path`.

    Raises:
        RunError: if another process holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path / LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(f"{path}: another training is writing this run now; choose another --run-dir") from None
    return lock


def is_locked(path: Path) -> bool:
    """Return whether a process is training the run in `path` now."""
    if not os.path.lexists(path / LOCK):
        return False
    try:
        acquire(path).release()
    except RunError:
        return True
    return False
