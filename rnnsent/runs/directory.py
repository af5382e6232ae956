"""The run directory: the names of its files, its manifest, and who may write where.

A run is complete when `manifest.json` is there; it is written last and holds the SHA-256 of every other file. While a
run is judged later on, the manifest first learns the new hash of a file beside the old one, so that a crash between
two writes leaves a run that still agrees with its manifest.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnsent.errors import RunError, count
from rnnsent.files import atomic_path, disk_errors, read_plain, sha256, write_atomic
from rnnsent.json_files import read_json
from rnnsent.runs import manifest
from rnnsent.runs.lock import LOCK, Lock, is_locked, require_own_folders

logger = logging.getLogger(__name__)

CONFIG = "config.yaml"
SUMMARY = "summary.txt"
VOCABULARY = "vocabulary.json"
MODEL = "model.keras"
WEIGHTS = "weights.npz"
CHECKPOINTS = "checkpoints"
HISTORY = "history.csv"
METRICS = "metrics.json"
CALIBRATION = "calibration.json"
NGRAMS = "ngrams.npz"
ENVIRONMENT = "environment.json"
ORIGIN = "origin.json"
LANGUAGE_MODEL = "language_model.json"  # what the network began with
TEACHER = "teacher"  # a folder for each network that labeled what had no label, from 1
MEMBERS = "members"  # of an ensemble: a folder each, from 1
CURVES = "plots/curves.png"
RELIABILITY = "plots/reliability-{split}.png"
COVERAGE = "plots/coverage-{split}.png"
LOGS = "logs"  # of the trackers
TRACKERS = "trackers.json"  # which of their own runs this one is
MODEL_CARD = "model_card.md"
REPORT = "report.html"
MANIFEST = "manifest.json"
UPDATE_SECONDS = 20.0
MAX_HISTORY = 128 << 20  # bytes of a history.csv: a million epochs, which is the most that a config may ask for
SEEDS = "seeds.json"  # in a folder that holds a run for each seed: what they are of

OWN_NAMES = {
    CONFIG, SUMMARY, VOCABULARY, MODEL, WEIGHTS, CHECKPOINTS, HISTORY, METRICS, CALIBRATION, NGRAMS,
    ENVIRONMENT, ORIGIN, LANGUAGE_MODEL, MEMBERS, TEACHER, "plots", LOGS, TRACKERS, MODEL_CARD, REPORT, MANIFEST,
}  # fmt: skip

AT_THE_END = {METRICS, CALIBRATION, MODEL_CARD, REPORT}  # written when training is over, or later


def json_text(values: dict[str, Any]) -> str:
    """Return what is written into a JSON file of a run."""
    return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def predictions(split: str) -> str:
    """Return the name of the file with the predictions for a split."""
    return f"predictions-{split}.csv"


@dataclass(frozen=True)
class RunDirectory:
    """A run on disk, or the part of one that is one of its networks.

    Attributes:
        path: its folder.
        replaced: where the run that it replaces waits until this one is finished.
        lock: of the process that writes the run.
        training: tells the checkpoints of this training, and of this network, from all others.
    """

    path: Path
    replaced: Path | None = None
    lock: Lock | None = field(default=None, repr=False, compare=False)
    training: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def address(self) -> str:
        """The path in commands that people are told: as it was given, or what a link names, which may change."""
        path = Path(os.path.relpath(self.path.resolve())) if self.path.is_symlink() else self.path
        return shlex.quote(str(path))

    def file(self, name: str) -> Path:
        """Return the path of one of the run's files."""
        return self.path / name

    def member(self, number: int) -> RunDirectory:
        """Return the folder of one network of an ensemble, from 1; it holds the files of training, and no manifest."""
        return self._part(f"{MEMBERS}/{number}")

    def teacher(self, number: int) -> RunDirectory:
        """Return the folder of a network that labels texts, from 1; as that of a member."""
        return self._part(f"{TEACHER}/{number}")

    @property
    def teaches(self) -> bool:
        """Whether this is the folder of a network that labels texts."""
        return f"{self.training}".rpartition("/")[0].endswith(f"/{TEACHER}")

    def _part(self, name: str) -> RunDirectory:
        return RunDirectory(self.file(name), training=f"{self.training}/{name}")

    def write(self, name: str, content: bytes | str) -> None:
        """Write one file of an unfinished run, all or nothing."""
        with disk_errors(self.path):
            write_atomic(self.file(name), content)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a temporary path for a library to write to; it becomes the file `name` when the block succeeds."""
        with disk_errors(self.path), atomic_path(self.file(name)) as temporary:
            yield temporary

    def names(self) -> list[str]:
        """Return the names of all files but the manifest."""
        within = (Path(folder, name) for folder, _, files in os.walk(self.path) for name in files)  # follows no link
        files = (path.relative_to(self.path).as_posix() for path in within if path.is_file())
        return sorted(name for name in files if name != MANIFEST)

    def finish(self) -> None:
        """Write the manifest: from now on the run is complete."""
        self._write_manifest({name: [sha256(self.file(name))] for name in self.names() if not is_temporary(name)})
        self.release()
        if self.replaced is not None:
            shutil.rmtree(self.replaced)

    def begin_again(self, trackers: Iterable[str]) -> list[str]:
        """Let a run be trained on: what was written at its end, or only in part, goes, as do the logs of `trackers`.

        Returns:
            Which of these files somebody asked for after training: they were of the network as it was then.
        """
        asked_for = [name for name in (predictions("test"), REPORT) if self.file(name).exists()]
        ours = AT_THE_END - ({MODEL_CARD} if self.edited(MODEL_CARD) else set())
        with disk_errors(self.path):
            self.file(MANIFEST).unlink(missing_ok=True)
            for name in self.names():
                if (is_temporary(name) and name != LOCK) or (
                    name in ours or name.startswith("predictions-") or (name.startswith("plots/") and name != CURVES)
                ):
                    self.file(name).unlink()
            for folder in filter(Path.is_dir, (self.file(f"{LOGS}/{name}") for name in trackers)):
                shutil.rmtree(folder)
        return asked_for

    def discard(self) -> None:
        """Remove a run that came to nothing, and put back the one it was to replace."""
        with disk_errors(self.path):
            shutil.rmtree(self.path)
            if self.replaced is not None:
                self.replaced.rename(self.path)
        self.release()

    def release(self) -> None:
        """Let others write the run; once this was done, the lock may be theirs."""
        if self.lock is not None and self.lock.release.alive:
            self.file(LOCK).unlink(missing_ok=True)
            self.lock.release()

    @property
    def trained(self) -> list[str]:
        """The names of the files with weights that are there, whether the run is finished or not."""
        return weight_names(self.names())

    @property
    def resumable(self) -> bool:
        """Whether there is a state from which training can go on."""
        return any(name.rpartition("/")[0].rpartition("/")[2] == CHECKPOINTS for name in self.names())

    @property
    def finished(self) -> bool:
        """Whether there is a manifest."""
        return self.file(MANIFEST).is_file()

    def manifest(self) -> dict[str, list[str]]:
        """Return the accepted SHA-256 of every file.

        Raises:
            RunError: if the run is unfinished or its manifest damaged.
        """
        if not self.finished:
            raise RunError(self.unfinished())
        return manifest.read(self.file(MANIFEST))

    def has(self, name: str) -> bool:
        """Return whether the run was finished with a file of this name."""
        return name in self.manifest()

    def unfinished(self) -> str:
        """Say what is left of a run without a manifest, and what can be done with it."""
        names = self.names()
        kept = "training has not come far enough to be kept"
        states = [name.rpartition("/")[2] for name in names if name.startswith(f"{CHECKPOINTS}/")]
        if states:
            kept = f"the state of training is kept in {CHECKPOINTS}/{states[-1]}; no epoch was over"
        try:
            epochs = [self.epochs_in(name) for name in names if name.rpartition("/")[2] == HISTORY]
        except RunError as error:  # which must not hide what else is to be said
            epochs, kept = [], f"how many epochs are kept cannot be said: {error}"
        if sum(epochs) > 0:
            several = f", of {len(epochs)} networks" if len(epochs) > 1 else ""
            best = weight_names(names) or [name for name in names if name.rpartition("/")[2] == WEIGHTS]
            kept = f"{count(sum(epochs), 'whole epoch')}{several} kept" + (
                f": the best in {' and '.join(best)}" if best else ""
            )
        locked = is_locked(self.path) and self.lock is None
        now = "it is being trained now" if locked else "training was stopped"
        return (
            f"{self.path}: not a finished run, it has no {MANIFEST}: {now}.\n"
            f"  {kept}.\n"
            + "".join(f"  The run that it was to replace is in {path}.\n" for path in waiting_runs(self.path))
            + f"  Go on: rnnsent train --resume {to_resume(self.path)}\n"
            + f"  Anew: rnnsent train --config {self.address}/{CONFIG} --run-dir {self.address} --force"
        )

    def epochs_in(self, history: str = HISTORY) -> int:
        """Return how many epochs a history.csv has, whole or not; 0 where there is none.

        Raises:
            RunError: if there is one, and it cannot be read: it may have epochs that would be trained over.
        """
        path = self.file(history)
        if not os.path.lexists(path):
            return 0
        with manifest.read_errors(path):
            content = read_plain(path, MAX_HISTORY)
        return max(0, content.count(b"\n") + (not content.endswith(b"\n")) - 1)

    def verify(self, *names: str) -> None:
        """Check that the files `names`, or all, are those the run was finished with.

        Raises:
            RunError: naming every file that is missing or changed.
        """
        while True:
            files = self.manifest()
            faults = manifest.faults(self.path, files, names or tuple(files), optional=(REPORT,), free=(MODEL_CARD,))
            if not faults:
                return
            if self.manifest() == files:
                break  # or somebody has written into the run meanwhile
        # Files are damaged one at a time; where half of those looked at seem to be, it is their list.
        many = len(faults) > 1 and 2 * len(faults) >= len(names or files)
        whose = f"; or {MANIFEST} is another run's" if many else ""
        raise RunError(f"{self.path}: {'; '.join(faults)}{whose}. {manifest.RESTORE}")

    def edited(self, name: str) -> bool:
        """Return whether a file that holds its own hash is there, but not as it was written.

        The manifest alone does not tell: of a run that was trained on it lists what somebody had edited before.
        """
        path = self.file(name)
        with manifest.read_errors(path):
            if not path.is_file():
                return False
            listed = not self.finished or sha256(path) in self.manifest().get(name, [])
            return not listed or not manifest.vouches_for_itself(path)

    @contextmanager
    def updating(self) -> Iterator[None]:
        """Keep other processes from writing into a finished run, so that what is read is still so when it is written.

        Raises:
            RunError: if one does for longer than a judgment takes to be written, such as a training; or if files of the
                run would be written elsewhere.
        """
        if self.lock is not None and self.lock.release.alive:
            yield
            return
        require_own_folders(self.path)
        with disk_errors(self.path):
            lock = Lock(self.path, UPDATE_SECONDS)
        try:
            yield
        finally:
            self.file(LOCK).unlink(missing_ok=True)
            lock.release()

    def update(self, contents: Mapping[str, str | bytes]) -> None:
        """Replace or add files of a finished run; whoever is killed meanwhile, it agrees with its manifest.

        To be called while `updating`.
        """
        files = self.manifest()
        digests = {
            name: hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()
            for name, content in contents.items()
        }
        replaced = [name for name in contents if name in files]
        # New files come before the manifest that names them: one too many does no harm, a missing one would.
        for name in [name for name in contents if name not in files]:
            self.write(name, contents[name])
        self._write_manifest(files | {name: [*files[name], digests[name]] for name in replaced})
        for name in replaced:
            self.write(name, contents[name])
        self._write_manifest(files | {name: [new] for name, new in digests.items()})

    def read_json(self, name: str) -> dict[str, Any]:
        """Return one of the run's JSON files."""
        try:
            values = read_json(self.file(name))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.file(name)}: cannot be read: {error}") from None
        if not isinstance(values, dict):
            raise RunError(f"{self.file(name)}: is not a JSON object")
        return values

    def _write_manifest(self, files: Mapping[str, list[str]]) -> None:
        self.write(MANIFEST, manifest.text(files))


def member_files(names: Iterable[str], name: str) -> list[str]:
    """Return which of `names` are the file `name` of the networks of an ensemble, in their order."""
    pattern = re.compile(rf"{MEMBERS}/([1-9][0-9]{{0,5}})/{re.escape(name)}")
    found = [match for match in map(pattern.fullmatch, names) if match is not None]
    return [match[0] for match in sorted(found, key=lambda match: int(match[1]))]


def weight_names(names: Iterable[str]) -> list[str]:
    """Return which of `names` are files with weights: one, or one for each network of an ensemble."""
    return [WEIGHTS] if WEIGHTS in names else member_files(names, WEIGHTS)


def waiting_runs(path: Path) -> list[Path]:
    """Return the runs that trainings which were killed in `path` were to replace."""
    named = re.compile(rf"{re.escape(path.name)}\.replaced-[0-9]+")  # by `run_root`; anything else is somebody's own
    there = (each for each in path.parent.glob("*") if named.fullmatch(each.name) and not each.is_symlink())
    return sorted(each for each in there if (each / CONFIG).is_file())


def to_resume(path: Path) -> str:
    """Return what `rnnsent train --resume` takes to go on with a run: of one with a seed the folder of all seeds."""
    whole = Path(os.path.relpath(path.resolve())) if path.is_symlink() else path
    several = whole.name.startswith("seed-") and (whole.parent / SEEDS).is_file()
    return shlex.quote(str(whole.parent if several else path))


def is_temporary(name: str) -> bool:
    """Return whether a file is one that was being written when somebody was killed."""
    return name.rpartition("/")[2].startswith(".")
