"""`rnnsent report`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnsent.cli.options import PAGE, RunPath, moved_option, split_option, write_file
from rnnsent.cli.terminal import say
from rnnsent.data.naming import data_settings

if TYPE_CHECKING:
    from rnnsent.reporting.facts import Facts
    from rnnsent.reporting.texts import Texts
    from rnnsent.runs.directory import RunDirectory


@click.command(name="report")
@click.argument("paths", nargs=-1, type=RunPath(), metavar="[RUN]...")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Else report.html in the one RUN, or here."
)
@split_option
@moved_option
@click.option("--force", is_flag=True, help="Replace a file that is not a report of rnnsent.")
def command(paths: tuple[Path, ...], output: Path | None, split: str, data: str | None, force: bool) -> None:
    """Write one page about RUN, or about several side by side.

    One HTML file, for any browser, without script or network: accuracy with
    its interval beside the n-grams, curves, confusion, calibration, accuracy
    on parts of the reviews, the surest mistakes word by word, how to
    reproduce it. Several are compared with the first, review by review; a
    folder of rnnsent train --seeds is several. Without RUN, of the latest one. Runs must have been judged, with
    `rnnsent eval`, on the split; a report never does that by itself.
    """
    from rnnsent import __version__
    from rnnsent.cli.options import opened, opened_all
    from rnnsent.errors import RunError
    from rnnsent.evaluation.compare import compare_runs
    from rnnsent.reporting import comparison as several
    from rnnsent.reporting import facts
    from rnnsent.reporting import report as single
    from rnnsent.reporting.page import render
    from rnnsent.runs import directory as runs

    found = opened_all(paths) if paths else [opened(None)]
    own = len(found) == 1 and (output is None or output.resolve() == found[0].file(runs.REPORT).resolve())
    target = found[0].file(runs.REPORT) if own else output or Path(runs.REPORT)
    if own and not os.access(found[0].path, os.W_OK):
        raise RunError(f"{found[0]}: cannot be written to; --output FILE puts the report elsewhere")
    _require_free(target, force)
    gathered = [facts.gather(run, split, name) for run, name in zip(found, _names(found), strict=True)]
    if len(found) == 1:
        page = single.page(gathered[0], _texts(gathered[0], data))
    else:
        page = several.page(gathered, compare_runs(found, split, data=_moved(data), tell=_tell))
    content = render(page, __version__)
    if own:
        with found[0].updating():
            found[0].update({runs.REPORT: content})
        say(f"written: {target}")
    else:
        write_file(target, content, PAGE)
    click.echo(target)


def _texts(gathered: Facts, data: str | None) -> Texts:
    """Return the texts of a run; where they cannot be had, why, unless it was said where they are."""
    from rnnsent.errors import DataError, RunError
    from rnnsent.reporting import texts

    try:
        return texts.read(gathered, _moved(data), _tell)
    except (DataError, RunError) as error:
        if data is not None:
            raise
        say(f"without texts: {error}")
        return texts.Texts(unread=f"The texts could not be read: {error}")


def _moved(data: str | None) -> dict[str, str | None] | None:
    return None if data is None else data_settings(data)


def _tell(line: str) -> None:
    say(line)


def _names(found: list[RunDirectory]) -> list[str]:
    """Return what each run is called: its folder, or, where two are called so, its path."""
    names = [run.path.resolve().name for run in found]
    return [name if names.count(name) == 1 else str(run) for name, run in zip(names, found, strict=True)]


def _require_free(target: Path, force: bool) -> None:
    """Require that a file that is there is a report.

    Raises:
        RnnsentError: if it is anything else.
    """
    from rnnsent.errors import RnnsentError
    from rnnsent.reporting.page import is_report

    if not force and target.exists() and not is_report(target):
        raise RnnsentError(f"{target}: is there and is not a report of rnnsent; name another file, or --force")
