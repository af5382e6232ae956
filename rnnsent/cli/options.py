"""Options and arguments that several commands share, and what they mean as overrides of a config."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rnnsent.cli.terminal import say
from rnnsent.config.sections import data_settings
from rnnsent.errors import escaped, printable

if TYPE_CHECKING:
    from rnnsent.runs.directory import Run

F = TypeVar("F", bound=Callable[..., Any])

Overrides = dict[str, object]  # of keys of a config, by their dotted names

NO_QUOTES = "Quotes in a CSV or TSV are text, not around cells."
ONCE = "Keep a text that occurs again once only."

set_option = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key of the config.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")


def config_options(command: F) -> F:
    """Add --set, --data, --epochs and --seed."""
    for option in reversed(
        [
            set_option,
            click.option("--data", metavar="SOURCE", help="imdb, sample, or the path of imdb.npz or of texts."),
            click.option("--epochs", type=int, metavar="N", help="Short for --set training.epochs=N."),
            click.option("--seed", type=int, metavar="N", help="Short for --set training.seed=N."),
        ]
    ):
        command = option(command)
    return command


def texts_options(command: F) -> F:
    """Add the options that say how a file of labeled texts is to be read; `text_settings` takes their values."""
    for option in reversed(
        [
            click.option("--text-column", metavar="NAME", help="Of --data texts: a name, or a number from 1."),
            click.option("--label-column", metavar="NAME", help="The same for the label."),
            click.option("--split-column", metavar="NAME", help="The same for the split, where rows say theirs."),
            click.option("--group-column", metavar="NAME", help="The same for what a split must not tear apart."),
            click.option("--label-map", metavar="MAP", help="Such as '1-4: negative, 7-10: positive'."),
            click.option("--encoding", metavar="NAME", help="Of the texts [UTF-8, or by its mark]."),
            click.option("--delimiter", metavar="CHARACTER", help="Of a CSV [found]."),
            click.option("--no-quotes", "quotes", flag_value=False, type=bool, default=None, help=NO_QUOTES),
            click.option("--drop-duplicates", flag_value=True, type=bool, default=None, help=ONCE),
        ]
    ):
        command = option(command)
    return command


def text_settings(given: dict[str, Any]) -> Overrides:
    """Return what the `texts_options` set."""
    read: dict[str, Callable[[str], Any]] = {"label_map": label_map_of, "delimiter": delimiter_of}
    read |= {f"{name}_column": column_number for name in ("text", "label", "split", "group")}
    chosen = {name: value for name, value in given.items() if value is not None}
    return {f"data.{name}": read[name](value) if name in read else value for name, value in chosen.items()}


def label_map_of(value: str) -> dict[str, str]:
    """Return what `--label-map` says.

    Raises:
        click.UsageError: if it is no map.
    """
    from rnnsent.config.sections import label_texts
    from rnnsent.config.yaml_reader import read_document
    from rnnsent.errors import ConfigError

    try:
        text = value if value.lstrip().startswith("{") else f"{{{value}}}"
        labels: dict[str, str] = label_texts(read_document(text, "--label-map").values)
    except ConfigError:
        labels = {}
    if not labels or not all(isinstance(label, str) for label in labels.values()):
        raise click.UsageError(f"--label-map {value}: is no map; such as '1-4: negative, 7-10: positive'")
    return labels


def as_label_map(context: click.Context, option: click.Parameter, value: str | None) -> dict[str, str] | None:
    """Return what `--label-map` says; the callback of an option."""
    return None if value is None else label_map_of(value)


class RunPath(click.Path):
    """The folder of a run; the empty name, which would mean the current folder, is none."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; see click."""
        if value == "":
            self.fail("the name of the run is empty", param, ctx)
        return super().convert(value, param, ctx)


def require_run(run: Path) -> None:
    """Require that what stands where a TEXT is missing is a run, and not that text.

    Raises:
        click.UsageError: showing where the run goes.
    """
    if not run.exists():
        shown = shlex.quote(escaped(str(run)))
        raise click.UsageError(f"no such run: {shown}; the run comes before TEXT, such as: runs/latest {shown}")


def _device(context: click.Context, option: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"auto|cpu|gpu|gpu:\d+", value):
        raise click.BadParameter(f"{value!r} is not auto, cpu, gpu or gpu:N")
    return value


device_option = click.option(
    "--device", default="auto", metavar="DEVICE", callback=_device, help="auto, cpu, gpu or gpu:N; a GPU needs keras."
)
backend_option = click.option(
    "--backend",
    type=click.Choice(["auto", "native", "numpy", "keras"]),  # predictor.BACKENDS, which is slow to import
    default="auto",
    show_default=True,
    help="Backend used for prediction.",
)
split_option = click.option(
    "--split", type=click.Choice(["test", "validation"]), default="test", show_default=True, help="Split to evaluate."
)
moved_option = click.option("--data", metavar="SOURCE", help="Where the texts of RUN are now, if they were moved.")
run_argument = click.argument("run", type=RunPath(), required=False)


def delimiter_of(given: str | None) -> str | None:
    """Return a delimiter; a tab can be written as it is in programs, or by its name."""
    return "\t" if given in ("\\t", "tab") else given


def column_number(given: str | None) -> str | int | None:
    """Return a column as the config wants it: a number where only digits were given, else a name."""
    return int(given) if given is not None and given.isdigit() and int(given) > 0 else given


def be_quiet() -> None:
    """Let the library say no more than warnings."""
    import logging

    logging.getLogger("rnnsent").setLevel(logging.WARNING)


def show(text: str) -> None:
    """Print a result for people; what is from a file, such as the name of a label, gives the terminal no orders."""
    click.echo(printable(text, keep="\n\t"))


def opened(run: Path | None, *, quiet: bool = False) -> Run:
    """Return the run that the argument names; without one the latest, and say so."""
    from rnnsent.runs.registry import open_run

    found = open_run(run)
    if run is None and not quiet:
        say(f"run: {found} (the latest)")
    return found


def opened_all(paths: Sequence[Path]) -> list[Run]:
    """Return the runs that the arguments name: of a folder of `train --seeds` that of each seed."""
    from rnnsent.runs.registry import runs_of

    return [opened(run) for path in paths for run in runs_of(path)]


def overrides(
    settings: Sequence[str] = (),
    data: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    no_fallback: bool = False,
    data_name: str = "--data",
) -> Overrides:
    """Return the overrides of a config that the options ask for; short forms come after --set.

    Raises:
        ConfigError: if one of `settings` is not KEY=VALUE.
    """
    changes = _settings(settings)
    if data is not None:
        twice = next((key for key in changes if key in ("data", "data.source", "data.path")), None)
        if twice is not None:
            raise click.UsageError(f"{data_name} and --set {twice} both say which reviews; give one of them")
        changes |= {f"data.{key}": value for key, value in data_settings(data).items()}
    short = {"epochs": epochs, "seed": seed, "device": device}
    changes |= {f"training.{key}": value for key, value in short.items() if value is not None}
    return changes | ({"data.fallback": None} if no_fallback else {})


def _settings(settings: Sequence[str]) -> Overrides:
    from rnnsent.config.yaml_reader import read_value
    from rnnsent.errors import ConfigError, Problem

    changes: Overrides = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        key = re.sub(r"\[(\d+)\]", r".\1", key.strip())
        if not equals or not key:
            raise ConfigError([Problem(f"--set {setting}", "", "must look like training.epochs=3")])
        changes.pop(key, None)  # the last one wins, also against a section that was set in between
        changes[key] = read_value(value, f"--set {setting}", key)
    return changes


PICTURE = (".png",)
PAGE = (".html", ".htm")
DATA = (".json",)


def require_named(path: Path | None, suffixes: tuple[str, ...]) -> None:
    """Refuse a name that does not end in one of `suffixes`; no name at all is fine.

    Raises:
        RnnsentError: saying how it must end.
    """
    from rnnsent.errors import RnnsentError

    if path is not None and path.suffix.lower() not in suffixes:
        raise RnnsentError(f"{path}: its name must end in {suffixes[0]}, so that nothing else is replaced by it")


def write_file(path: Path, content: bytes | str, suffixes: tuple[str, ...]) -> None:
    """Write a file that was asked for, all or nothing, and say so.

    Raises:
        RnnsentError: if its name does not end in one of `suffixes`, or it cannot be written.
    """
    from rnnsent.errors import RnnsentError
    from rnnsent.files import write_atomic

    require_named(path, suffixes)
    try:
        write_atomic(path, content)
    except OSError as error:
        raise RnnsentError(f"{path}: cannot be written: {error.strerror}") from None
    say(f"written: {path}")
