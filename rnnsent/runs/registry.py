"""The folder of all runs: where a new run goes, which is the latest, which one was meant."""

from __future__ import annotations

import datetime
import difflib
import logging
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rnnsent.errors import RunError
from rnnsent.files import disk_errors
from rnnsent.runs.directory import LOCK, MANIFEST, SEEDS, SETTINGS, Run, acquire, is_locked

logger = logging.getLogger(__name__)

ROOT = Path("runs")
LATEST = ROOT / "latest"


def create_run(name: str, path: Path | None = None, *, force: bool = False) -> Run:
    """Make the folder of a new run: `path`, or `runs/NAME-DATE-N` with the next free N.

    Args:
        name: of the config; only used without `path`.
        path: where the run goes.
        force: replace the run in `path`. A folder with anything but a run in it is never touched.

    Raises:
        RunError: if the folder is in use or cannot be written to.
    """
    with disk_errors(path or ROOT):
        if path is None:
            path = new_folder(name)
            return Run(path, lock=acquire(path))
        if path.exists() and not path.is_dir():
            raise RunError(f"{path}: is a file; --run-dir names a folder")
        if path.is_symlink():  # such as runs/latest: the run is meant, not the link
            path = path.resolve()
        run = Run(path)
        if path.is_dir() and any(entry.name != LOCK for entry in path.iterdir()):
            _require_replaceable(path, force)
            if run.replaced.is_dir():  # of an attempt that was killed
                shutil.rmtree(path)
            else:
                path.rename(run.replaced)
        path.mkdir(parents=True, exist_ok=True)
        return replace(run, lock=acquire(path))


def new_folder(name: str, root: Path = ROOT) -> Path:
    """Make and return `runs/NAME-DATE-N`, or one in another root, with the next free N."""
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        day = datetime.date.today().isoformat()
        number = 1
        while True:
            path = root / f"{name}-{day}-{number}"
            try:
                path.mkdir()
                return path
            except FileExistsError:
                number += 1


def open_run(path: Path | None) -> Run:
    """Return the run at `path`, or the latest one, under its own name.

    Raises:
        RunError: if there is no such run.
    """
    if path is None:
        if not LATEST.is_symlink() and not LATEST.is_file():
            raise RunError(f"no run given and there is no {LATEST}; train one, or name a run directory")
        path = LATEST
    if path.is_symlink() or (path == LATEST and path.is_file()):
        link, path = path, _target(path)
        if not path.is_dir():
            raise RunError(f"{link}: names {path}, which is not there any more; name another run{_hint(path)}")
    if path.is_file():
        hint = f"; did you mean {path.parent}?" if _is_run(path.parent) else ""
        raise RunError(f"{path}: is a file; a run is the folder that `rnnsent train` leaves{hint}")
    if not path.is_dir():
        raise RunError(f"{path}: no such run directory{_hint(path)}")
    if not _is_run(path):
        runs = runs_of(path)
        if runs != [path]:
            raise RunError(f"{path}: holds a run for each seed; name one of them: {', '.join(map(str, runs))}")
        raise RunError(f"{path}: not a run directory, it has no {SETTINGS}{_hint(path)}")
    return Run(path)


def runs_of(path: Path) -> list[Path]:
    """Return the runs that a path stands for: of a folder of `train --seeds` that of each seed, else itself."""
    if not (path / SEEDS).is_file() or _is_run(path):
        return [path]
    paths = [entry.parent for entry in path.glob(f"seed-*/{SETTINGS}")]
    return sorted(paths, key=lambda run: (len(run.name), run.name)) or [path]


def mark_latest(run: Run) -> None:
    """Let `runs/latest` name this run; where links cannot be made, a file of that name holds the path."""
    temporary = LATEST.with_name(f".latest-{os.getpid()}")
    try:
        target = os.path.relpath(run.path.resolve(), LATEST.parent.resolve())
        LATEST.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            temporary.unlink()
        try:
            temporary.symlink_to(target, target_is_directory=True)
        except OSError:
            temporary.write_text(target, encoding="utf-8")
        temporary.replace(LATEST)
    except OSError as error:  # the run is complete all the same
        logger.warning("%s cannot be written (%s); name the run yourself: %s", LATEST, error.strerror, run)


def _target(link: Path) -> Path:
    target = str(link.readlink()) if link.is_symlink() else link.read_text(encoding="utf-8").strip()
    return Path(os.path.normpath(link.parent / target))


def _is_run(path: Path) -> bool:
    return (path / SETTINGS).is_file() or (path / MANIFEST).is_file()


def _hint(path: Path) -> str:
    """Return a hint at the run that was meant by `path`, or at the newest runs."""
    folders = sorted(ROOT.glob("*/"), key=lambda entry: entry.stat().st_mtime, reverse=True)
    names = [entry.name for entry in folders if entry.name != LATEST.name]
    matches = difflib.get_close_matches(path.name, [*names, *[LATEST.name] * LATEST.exists()], n=1)
    if matches:
        return f"; did you mean {ROOT / matches[0]}?"
    return f"; {ROOT} holds {', '.join(names[:3])}{', …' if len(names) > 3 else ''}" if names else ""


def _require_replaceable(path: Path, force: bool) -> None:
    """Allow only a run to be replaced, and only with --force."""
    if is_locked(path):
        raise RunError(f"{path}: another training is writing this run now; choose another --run-dir")
    if not _is_run(path):
        names = ", ".join(sorted(entry.name for entry in path.iterdir())[:3])
        raise RunError(f"{path}: is not empty and not a run: it holds {names}; choose another --run-dir")
    if not force:
        run = Run(path)
        stopped = not run.finished or run.metrics.interrupted
        resume = f"; continue it: rnnsent train --resume {run.address}" if stopped else ""
        raise RunError(f"{path}: holds a run{resume}; choose another --run-dir, or --force to replace it")
    if path.resolve() in (folder := Path.cwd(), *folder.parents):
        raise RunError(f"{path}: cannot be replaced from inside it; change to another folder")
