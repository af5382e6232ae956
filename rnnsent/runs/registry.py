"""The folder of all runs: where a new one goes, which is the latest, and which one was meant."""

from __future__ import annotations

import datetime
import difflib
import logging
import os
from contextlib import suppress
from pathlib import Path

from rnnsent.errors import RunError
from rnnsent.files import atomic_path, disk_errors, read_plain
from rnnsent.runs.directory import (
    CONFIG,
    MANIFEST,
    METRICS,
    OWN_NAMES,
    SEEDS,
    RunDirectory,
    is_temporary,
    predictions,
    to_resume,
    waiting_runs,
)
from rnnsent.runs.lock import LOCK, Lock, is_locked, require_no_link, require_own_folders
from rnnsent.runs.manifest import read_errors

logger = logging.getLogger(__name__)

ROOT = Path("runs")
LATEST = ROOT / "latest"
LONGEST_PATH = 4096  # bytes: no system takes more


def create_run(name: str, path: Path | None = None, *, force: bool = False) -> RunDirectory:
    """Make the folder of a new run: `path`, or `runs/NAME-DATE-N` with the next free N.

    Args:
        name: of the config; only used without `path`.
        path: where the run is to be.
        force: replace the run that is there. A folder with anything but a run in it is never touched.

    Raises:
        RunError: if the folder is in use or cannot be written to.
    """
    with disk_errors(path or ROOT):
        if path is None:
            path = _next_free(name)
            return RunDirectory(path, lock=Lock(path))
        if path.exists() and not path.is_dir():
            raise RunError(f"{path}: is a file; --run-dir names a folder")
        if path.is_symlink() or path.name in ("", ".."):  # such as runs/latest: the run is meant, not the link
            path = path.resolve()
        occupied = path.is_dir() and any(not is_temporary(entry.name) for entry in path.iterdir())
        if occupied:
            _require_replaceable(path, force)
        path.mkdir(parents=True, exist_ok=True)
        _require_writable(path)
        lock = Lock(path)
        if not occupied:
            return RunDirectory(path, lock=lock)
        waiting = waiting_runs(path)
        replaced = path.rename(path.with_name(f"{path.name}.replaced-{os.getpid()}"))
        (replaced / LOCK).unlink()
        lock.release()
        path.mkdir()
        for other in waiting:
            logger.warning("%s holds a run that %s was to replace when it was stopped", other, path)
        return RunDirectory(path, replaced, lock=Lock(path))


def seeds_folder(name: str, path: Path | None) -> Path:
    """Return the folder for runs with several seeds: `path`, or a new `runs/NAME-DATE-N`."""
    if path is not None:
        return path
    with disk_errors(ROOT):
        return _next_free(name)


def reopen_run(path: Path) -> RunDirectory:
    """Return the run at `path` for its training to go on.

    Raises:
        RunError: if there is no such run, it is being trained now, cannot be written to, or its files would be written
            elsewhere.
    """
    run = open_run(path)
    path = run.path.resolve() if run.path.is_symlink() else run.path
    require_own_folders(path)
    with disk_errors(path):
        lock = Lock(path)
        _require_writable(path)
    return RunDirectory(path, next(iter(waiting_runs(path)[-1:]), None), lock=lock)


def _require_writable(path: Path) -> None:
    with atomic_path(path / ".probe"):
        pass
    (path / ".probe").unlink()


def open_run(path: Path | None) -> RunDirectory:
    """Return the run at `path`, or the latest one.

    Raises:
        RunError: if there is no such run.
    """
    if path is None:
        path = _latest_target()
        if path is None:
            raise RunError(f"no run given and there is no {LATEST}; train one, or name a run directory")
        if not _is_folder(path):
            raise RunError(f"{LATEST}: names {path}, which is not there any more; name another run{_other_runs(path)}")
    is_folder = _is_folder(path)
    if path.exists() and not is_folder:
        inside = f"; did you mean {path.parent}?" if (path.parent / CONFIG).is_file() else ""
        raise RunError(f"{path}: is a file; a run is the folder that `rnnsent train` leaves{inside}")
    if not is_folder:
        raise RunError(f"{path}: no such run directory{_other_runs(path)}")
    if not (path / CONFIG).is_file() and not (path / MANIFEST).is_file():
        within = runs_of(path)
        if within != [path]:
            raise RunError(f"{path}: holds a run for each seed; name one of them: {', '.join(map(str, within))}")
        raise RunError(f"{path}: not a run directory, it has no {CONFIG}{_other_runs(path)}")
    return RunDirectory(path)


def runs_of(path: Path) -> list[Path]:
    """Return the runs that a path stands for: of a folder of `train --seeds` that of each seed, else itself.

    Raises:
        RunError: if that of a seed is elsewhere.
    """
    if not _is_folder(path) or not (path / SEEDS).is_file() or (path / CONFIG).is_file():
        return [path]
    found = [require_no_link(entry.parent) for entry in path.glob(f"seed-*/{CONFIG}")]
    return sorted(found, key=lambda run: (len(run.name), run.name)) or [path]


def mark_latest(run: RunDirectory) -> None:
    """Let `runs/latest` name this run; where links cannot be made, a file of that name holds the path.

    A run that is complete stays so where neither can be written, and the log says it.
    """
    target = os.path.relpath(run.path.resolve(), LATEST.parent.resolve())
    temporary = LATEST.with_name(f".latest-{os.getpid()}")
    try:
        LATEST.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            temporary.unlink()
        try:
            temporary.symlink_to(target, target_is_directory=True)
        except OSError:
            temporary.write_text(target, encoding="utf-8")
        temporary.replace(LATEST)
    except OSError as error:
        logger.warning("%s cannot be written (%s): name this run, %s, yourself", LATEST, error.strerror, run)


def _is_folder(path: Path) -> bool:
    with read_errors(path):  # such as that a name is too long
        return path.is_dir()


def _latest_target() -> Path | None:
    if LATEST.is_symlink():
        target = str(LATEST.readlink())
    elif LATEST.is_file():
        with read_errors(LATEST):
            target = os.fsdecode(read_plain(LATEST, LONGEST_PATH)).strip()
    else:
        return None
    return Path(os.path.normpath(LATEST.parent / target))


def _other_runs(path: Path) -> str:
    """Return a hint at the run that was meant by `path`, or at the runs that there are."""
    there = sorted(
        entry.name for entry in ROOT.glob("*") if entry.is_dir() and entry != path and entry.name != LATEST.name
    )
    meant = difflib.get_close_matches(path.name, [*there, LATEST.name], n=1)
    if meant:
        return f"; did you mean {ROOT / meant[0]}?"
    newest = sorted(there, key=lambda name: (ROOT / name).stat().st_mtime, reverse=True)[:3]
    more = ", …" if len(there) > len(newest) else ""
    return f"; {ROOT} holds {', '.join(newest)}{more}" if newest else ""


def _next_free(name: str) -> Path:
    ROOT.mkdir(parents=True, exist_ok=True)
    day = datetime.date.today().isoformat()
    number = 1
    while True:
        path = ROOT / f"{name}-{day}-{number}"
        try:
            path.mkdir()
            return path
        except FileExistsError:
            number += 1


def _was_stopped(run: RunDirectory) -> bool:
    """Return whether a training did not come to its end: killed, or stopped by a signal, which leaves a whole run."""
    if not run.finished:
        return True
    try:
        return bool(run.read_json(METRICS).get("interrupted"))
    except RunError:  # a damaged one is not told to go on
        return False


def _require_replaceable(path: Path, force: bool) -> None:
    """Allow only a run to be replaced, and only if that was asked for."""
    if is_locked(path):
        raise RunError(f"{path}: another training is writing this run now; choose another --run-dir")
    if not (path / CONFIG).is_file():
        held = ", ".join(sorted(entry.name for entry in path.iterdir() if not is_temporary(entry.name))[:3])
        rule = "--force replaces runs only, and this is none: " if force else "is not empty, and no run: "
        raise RunError(f"{path}: {rule}it has no {CONFIG}, it holds {held}; choose another --run-dir")
    if path.resolve() in (here := Path.cwd(), *here.parents):
        raise RunError(f"{path}: a run is not replaced from inside it; go to another folder")
    if not force and _was_stopped(RunDirectory(path)):
        raise RunError(
            f"{path}: holds a training that was stopped; go on: rnnsent train --resume {to_resume(path)}; or choose "
            "another --run-dir, or --force to replace it"
        )
    if not force:
        raise RunError(f"{path}: is not empty; choose another --run-dir, or --force to replace the run in it")
    known = OWN_NAMES | {predictions("test"), predictions("validation")}
    foreign = sorted(entry.name for entry in path.iterdir() if entry.name not in known and not is_temporary(entry.name))
    if foreign:
        held = ", ".join(foreign[:3])
        raise RunError(f"{path}: --force replaces runs only, and this is not just a run: it holds {held}")
